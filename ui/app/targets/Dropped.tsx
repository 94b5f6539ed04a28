// The targets of a pool that are not scraped, asked for when they are opened: dropped by relabelling, or rejected, since
// they cannot be scraped. The server counts the former only, so a pool without any target has to look here for its reason.

import { type DroppedTarget, request, type Targets } from "../api";
import { FailureNote } from "../FailureNote";
import { useLoaded } from "../useLoaded";
import { Labels } from "./Labels";

/** Discovery can find tens of thousands; a page shows so many well. */
const ROWS = 200;

interface Props {
  pool: string;
  /** How many relabelling dropped. */
  count: number;
  /** How many are scraped. */
  total: number;
}

export function Dropped({ pool, count, total }: Props) {
  const { data, failure } = useLoaded<DroppedTarget[]>(`${pool} ${count}`, async (signal) => {
    const answer = await request<Targets>("targets", { state: "dropped", scrapePool: pool }, signal);
    return answer.data.droppedTargets.filter((target) => (target.scrapePool ?? pool) === pool);
  });
  return (
    <div className="dropped">
      <FailureNote failure={failure} old={data !== undefined} />
      {data && data.length > 0 && (
        <table className="targets">
          <thead><tr><th>Not scraped: discovered labels</th></tr></thead>
          <tbody>
            {data.slice(0, ROWS).map((target, i) => (
              <tr key={i}><td>
                <Labels labels={target.discoveredLabels} />
                {target.reason && <small>cannot be scraped: {target.reason}</small>}
              </td></tr>
            ))}
          </tbody>
        </table>
      )}
      {data && data.length > ROWS && <p className="empty">and {data.length - ROWS} more</p>}
      {data?.length === 0 && count > 0 && <p className="empty">The server keeps no list of them: keep_dropped_targets in the configuration limits it.</p>}
      {data?.length === 0 && count === 0 && total === 0 && <p className="empty">Discovery found no target for this job.</p>}
    </div>
  );
}
