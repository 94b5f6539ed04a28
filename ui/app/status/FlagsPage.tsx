// The command line as the server understood it.

import { useState } from "react";
import { request } from "../api";
import { FailureNote } from "../FailureNote";
import { useLoaded } from "../useLoaded";
import { flagRows } from "./rows";

export function FlagsPage() {
  const { data, failure } = useLoaded("", async (signal) => (await request<Record<string, string>>("status/flags", {}, signal)).data);
  const [filter, setFilter] = useState("");
  const rows = data ? flagRows(data, filter) : [];
  return (
    <main>
      <div className="controls">
        <input type="search" placeholder="Filter by name or value" value={filter} onChange={(e) => setFilter(e.target.value)} />
        {data && <span className="figures">{rows.length} of {Object.keys(data).length} flags</span>}
      </div>
      <FailureNote failure={failure} old={data !== undefined} />
      {data && (
        <section className="panel" aria-label="Flags">
          <table className="facts flags">
            <thead><tr><th>Flag</th><th>Value</th></tr></thead>
            <tbody>
              {rows.map(([name, value]) => <tr key={name}><th scope="row"><code>--{name}</code></th><td>{value ? <code>{value}</code> : <small>not set</small>}</td></tr>)}
            </tbody>
          </table>
          {rows.length === 0 && <p className="empty">No flag fits the filter.</p>}
        </section>
      )}
    </main>
  );
}
