// Which program runs here, since when, and how.

import { request } from "../api";
import { FailureNote } from "../FailureNote";
import { zoneName } from "../time";
import { useLoaded } from "../useLoaded";
import { FactTable } from "./FactTable";
import { factRows, type Facts } from "./rows";

export function RuntimePage() {
  const { data, failure, at } = useLoaded("", async (signal) => {
    const [runtime, build] = await Promise.all([request<Facts>("status/runtimeinfo", {}, signal), request<Facts>("status/buildinfo", {}, signal)]);
    return { runtime: factRows(runtime.data), build: factRows(build.data) };
  }, 15_000);
  return (
    <main>
      <FailureNote failure={failure} old={data !== undefined} />
      {data && <FactTable title="Runtime" rows={data.runtime} />}
      {data && <FactTable title="Build" rows={data.build} />}
      {data && <p className="zone">Times in {zoneName(at)}</p>}
    </main>
  );
}
