// One scrape pool: its targets, and on demand those that were dropped.

import { useState } from "react";
import type { ActiveTarget } from "../api";
import { ago } from "../format";
import { Dropped } from "./Dropped";
import { Labels } from "./Labels";
import type { Pool } from "./pools";

export function PoolView({ pool: { name, targets, up, total, dropped }, now, open }: { pool: Pool; now: number; open: boolean }) {
  const [shown, setShown] = useState(open);
  return (
    <section className="panel" aria-label={name}>
      <h2>
        {name} <small className={total === 0 ? "none" : up === total ? "up" : "down"}>{up}/{total} up</small>
        {dropped > 0 && <button className="quiet" aria-expanded={shown} onClick={() => setShown(!shown)}>{dropped} dropped by relabelling {shown ? "▴" : "▾"}</button>}
      </h2>
      {total === 0 && dropped > 0 && <p className="empty">Relabelling dropped every target that discovery found.</p>}
      {total > 0 && targets.length === 0 && <p className="empty">No target of this pool fits the filter.</p>}
      {targets.length > 0 && (
        <table className="targets cards">
          <thead><tr><th>Endpoint</th><th>State</th><th>Labels</th><th>Last scrape</th></tr></thead>
          <tbody>{targets.map((target) => <Row key={target.globalUrl + JSON.stringify(target.labels)} target={target} now={now} open={open} />)}</tbody>
        </table>
      )}
      {(shown || (total === 0 && dropped === 0)) && <Dropped pool={name} count={dropped} total={total} />}
    </section>
  );
}

function Row({ target, now, open }: { target: ActiveTarget; now: number; open: boolean }) {
  const [discovered, setDiscovered] = useState(open);
  return (
    <tr>
      <td><a href={target.globalUrl}>{target.scrapeUrl}</a></td>
      <td><span className={`health ${target.health}`}>{target.health}</span></td>
      <td>
        <Labels labels={target.labels} />
        <button className="quiet" aria-expanded={discovered} onClick={() => setDiscovered(!discovered)}>{discovered ? "hide discovered" : "discovered"}</button>
        {discovered && <Labels labels={target.discoveredLabels} dim />}
      </td>
      <td>
        {ago(target.lastScrape, now)}<br />
        <small>took {(target.lastScrapeDuration * 1000).toFixed(1)} ms, every {target.scrapeInterval}</small>
        {target.lastError && <pre className="error">{target.lastError}</pre>}
      </td>
    </tr>
  );
}
