// An instant answer as rows.

import type { LabelSet, Point, QueryData } from "../api";
import { formatSeries } from "../format";

const ROWS = 1000;

interface Row {
  metric: LabelSet;
  value?: Point;
  values?: Point[];
  histogram?: [number, unknown];
}

export function Table({ data }: { data: QueryData }) {
  if (data.resultType === "scalar" || data.resultType === "string") {
    return <table className="result"><tbody><tr><td>{data.resultType}</td><td className="number">{data.result[1]}</td></tr></tbody></table>;
  }
  const rows: Row[] = data.result;
  if (rows.length === 0) return <p className="empty">Nothing matches at this time.</p>;
  return (
    <table className="result">
      <tbody>
        {rows.slice(0, ROWS).map((row) => {
          const name = formatSeries(row.metric);
          return (
            <tr key={name}>
              <td className="series">{name}</td>
              <td className="number">{cell(row)}</td>
            </tr>
          );
        })}
        {rows.length > ROWS && <tr><td className="empty">and {rows.length - ROWS} more rows</td><td /></tr>}
      </tbody>
    </table>
  );
}

function cell({ value, values, histogram }: Row): string {
  if (value) return value[1];
  if (values) return values.map(([t, v]) => `${v} @${t}`).join("\n");
  return JSON.stringify(histogram?.[1]);
}
