// The targets page: who is scraped, how it went, and why not.

import { useEffect, useMemo, useState } from "react";
import { type ActiveTarget, ApiError, type LabelSet, request, type Targets } from "../api";
import { ago } from "../format";

const EVERY_MS = 5000;

export function TargetsPage() {
  const [targets, setTargets] = useState<Targets>();
  const [error, setError] = useState<string>();
  const [filter, setFilter] = useState("");
  const [health, setHealth] = useState("all");
  const [now, setNow] = useState(Date.now());

  useEffect(() => {
    const stop = new AbortController();
    const load = () =>
      request<Targets>("targets", { state: "any" }, stop.signal).then(
        ({ data }) => { setTargets(data); setError(undefined); setNow(Date.now()); },
        (cause) => stop.signal.aborted || setError(cause instanceof ApiError ? cause.message : String(cause)),
      );
    void load();
    const timer = setInterval(() => document.hidden || void load(), EVERY_MS);
    return () => { stop.abort(); clearInterval(timer); };
  }, []);

  const pools = useMemo(() => {
    const found = new Map<string, ActiveTarget[]>();
    for (const target of targets?.activeTargets ?? []) {
      const text = `${target.scrapeUrl} ${target.scrapePool} ${Object.entries(target.labels).map(([n, v]) => `${n}="${v}"`).join(" ")}`;
      if (!text.toLowerCase().includes(filter.toLowerCase())) continue;
      if (health !== "all" && target.health !== health) continue;
      found.set(target.scrapePool, [...(found.get(target.scrapePool) ?? []), target]);
    }
    return [...found].sort(([a], [b]) => a.localeCompare(b));
  }, [targets, filter, health]);

  const dropped = Object.entries(targets?.droppedTargetCounts ?? {}).filter(([, count]) => count > 0);
  return (
    <main>
      <div className="controls">
        <input type="search" placeholder="Filter by job, address or label" value={filter} onChange={(e) => setFilter(e.target.value)} />
        <select aria-label="Health" value={health} onChange={(e) => setHealth(e.target.value)}>
          {["all", "up", "down", "unknown"].map((one) => <option key={one}>{one}</option>)}
        </select>
        {targets && <span className="figures">{targets.activeTargets.filter((t) => t.health === "up").length} of {targets.activeTargets.length} up</span>}
      </div>
      {error && <pre className="error" role="alert">{error}</pre>}
      {targets && pools.length === 0 && <p className="empty">{targets.activeTargets.length === 0 ? "No target is known. Is there a scrape configuration?" : "No target fits the filter."}</p>}
      {pools.map(([pool, members]) => (
        <section className="panel" key={pool} aria-label={pool}>
          <h2>{pool} <small className={members.every((t) => t.health === "up") ? "up" : "down"}>{members.filter((t) => t.health === "up").length}/{members.length} up</small></h2>
          <table className="targets">
            <thead><tr><th>Endpoint</th><th>State</th><th>Labels</th><th>Last scrape</th></tr></thead>
            <tbody>
              {members.map((target) => (
                <tr key={target.globalUrl + JSON.stringify(target.labels)}>
                  <td><a href={target.globalUrl}>{target.scrapeUrl}</a></td>
                  <td><span className={`health ${target.health}`}>{target.health}</span></td>
                  <td><LabelList labels={target.labels} discovered={target.discoveredLabels} /></td>
                  <td>{ago(target.lastScrape, now)}<br /><small>took {(target.lastScrapeDuration * 1000).toFixed(1)} ms, every {target.scrapeInterval}</small>
                    {target.lastError && <pre className="error">{target.lastError}</pre>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ))}
      {dropped.length > 0 && (
        <p className="info">Dropped by relabelling: {dropped.map(([pool, count]) => `${count} of ${pool}`).join(", ")}</p>
      )}
    </main>
  );
}

function LabelList({ labels, discovered }: { labels: LabelSet; discovered: LabelSet }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <span className="labels">{Object.entries(labels).map(([name, value]) => <code key={name}>{name}="{value}"</code>)}</span>
      <button className="quiet" onClick={() => setOpen(!open)}>{open ? "hide discovered" : "discovered"}</button>
      {open && <span className="labels discovered">{Object.entries(discovered).map(([name, value]) => <code key={name}>{name}="{value}"</code>)}</span>}
    </>
  );
}
