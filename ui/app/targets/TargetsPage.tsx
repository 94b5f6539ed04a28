// The targets page: who is scraped, how it went, and why not. As the page of service discovery, what discovery found and
// relabelling dropped is open from the start.

import { useMemo, useState } from "react";
import { request, type Targets } from "../api";
import { FailureNote } from "../FailureNote";
import { useLoaded } from "../useLoaded";
import { poolsOf } from "./pools";
import { PoolView } from "./PoolView";

const EVERY_MS = 5000;

async function load(signal: AbortSignal): Promise<{ names: string[]; targets: Targets }> {
  const [pools, targets] = await Promise.all([
    request<{ scrapePools: string[] }>("scrape_pools", {}, signal),
    request<Targets>("targets", { state: "active" }, signal),
  ]);
  return { names: pools.data.scrapePools, targets: targets.data };
}

export function TargetsPage({ discovery }: { discovery: boolean }) {
  const { data, failure, at } = useLoaded("", load, EVERY_MS);
  const [text, setText] = useState("");
  const [health, setHealth] = useState("all");
  const pools = useMemo(() => (data ? poolsOf(data.names, data.targets, { text, health }) : []), [data, text, health]);
  const active = data?.targets.activeTargets ?? [];
  const dropped = Object.values(data?.targets.droppedTargetCounts ?? {}).reduce((sum, count) => sum + count, 0);
  return (
    <main>
      <div className="controls">
        <input type="search" placeholder="Filter by job, address or label" value={text} onChange={(e) => setText(e.target.value)} />
        <select aria-label="Health" value={health} onChange={(e) => setHealth(e.target.value)}>
          {["all", "up", "down", "unknown"].map((one) => <option key={one}>{one}</option>)}
        </select>
        {data && (
          <span className="figures">
            {active.filter((target) => target.health === "up").length} of {active.length} up{dropped > 0 && ` · ${dropped} dropped`}
          </span>
        )}
      </div>
      <FailureNote failure={failure} old={data !== undefined} />
      {data && pools.length === 0 && (
        <p className="empty">{text || health !== "all" ? "No target fits the filter." : "No target is known. Is there a scrape configuration?"}</p>
      )}
      <div className={failure && data ? "pools old" : "pools"}>
        {pools.map((pool) => <PoolView key={pool.name} pool={pool} now={at} open={discovery} />)}
      </div>
    </main>
  );
}
