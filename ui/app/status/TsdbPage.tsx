// What the head of the database holds, and which names and labels make it large.

import { request } from "../api";
import { FailureNote } from "../FailureNote";
import { zoneName } from "../time";
import { useLoaded } from "../useLoaded";
import { FactTable } from "./FactTable";
import { bytes, type HeadStats, headRows, type Row } from "./rows";

interface Count {
  name: string;
  value: number;
}

interface Statistics {
  headStats: HeadStats;
  seriesCountByMetricName: Count[];
  labelValueCountByLabelName: Count[];
  memoryInBytesByLabelName: Count[];
  seriesCountByLabelValuePair: Count[];
}

const rowsOf = (counts: Count[], text = (value: number) => value.toLocaleString("en")): Row[] =>
  counts.map(({ name, value }) => [name, text(value)]);

export function TsdbPage() {
  const { data, failure, at } = useLoaded("", async (signal) => (await request<Statistics>("status/tsdb", {}, signal)).data, 15_000);
  return (
    <main className="grid">
      {failure && <div className="wide"><FailureNote failure={failure} old={data !== undefined} /></div>}
      {data && (
        <>
          <div className="wide">
            <FactTable title="Head" rows={headRows(data.headStats)} />
            <p className="zone">Times in {zoneName(at)}</p>
          </div>
          <FactTable numbers title="Series by metric name" rows={rowsOf(data.seriesCountByMetricName)} />
          <FactTable numbers title="Series by label pair" rows={rowsOf(data.seriesCountByLabelValuePair)} />
          <FactTable numbers title="Values by label name" rows={rowsOf(data.labelValueCountByLabelName)} />
          <FactTable numbers title="Memory by label name" rows={rowsOf(data.memoryInBytesByLabelName, bytes)} />
        </>
      )}
    </main>
  );
}
