// A panel's question to the server, and what its answer lacks for a graph.

import { type Answer, type QueryData, request } from "../api";
import type { Panel } from "../panels";
import type { Series } from "./columns";

export interface Shown {
  /** Of the question, so that an answer is told from one to another question. */
  identity: string;
  answer: Answer<QueryData>;
  /** Seconds, as are the two below. */
  start: number;
  end: number;
  step: number;
  tab: Panel["tab"];
}

/** Points that a screen shows well. */
const POINTS = 250;

export const identityOf = ({ expr, range, end, step, tab }: Panel): string => JSON.stringify([expr, range, end, step, tab]);

export async function ask(panel: Panel, signal: AbortSignal): Promise<Shown> {
  const now = (panel.end ?? Date.now()) / 1000;
  const identity = identityOf(panel);
  if (panel.tab === "table") {
    const answer = await request<QueryData>("query", { query: panel.expr, time: now.toFixed(3) }, signal);
    return { identity, answer, start: now, end: now, step: 1, tab: "table" };
  }
  const step = panel.step ?? Math.max(1, Math.floor(panel.range / POINTS));
  // on the step's grid, so that a refresh moves the window and not the points
  const end = Math.floor(now / step) * step;
  const start = end - Math.floor(panel.range / step) * step;
  const answer = await request<QueryData>(
    "query_range", { query: panel.expr, start: String(start), end: String(end), step: String(step) }, signal,
  );
  return { identity, answer, start, end, step, tab: "graph" };
}

/** How many series an answer has; undefined for scalars and strings. */
export function countOf({ data }: Answer<QueryData>): number | undefined {
  return data.resultType === "vector" || data.resultType === "matrix" ? data.result.length : undefined;
}

/** Why a graph of this answer would show no line; undefined where it shows one. */
export function whyNoLine(series: Series[], expr: string, live: boolean): string | undefined {
  if (series.length === 0) {
    if (!live) return "No samples in this range.";
    const two = needsTwoSamples(expr);
    return two
      ? `No samples in this range. ${two}() needs at least two scrapes within its window: after a start, the first value comes with the second scrape.`
      : "No samples in this range. New series appear with their first scrape.";
  }
  let [nan, infinite] = [false, false];
  for (const { values = [] } of series) {
    for (const [, text] of values) {
      if (text === "NaN") nan = true;
      else if (text === "+Inf" || text === "-Inf") infinite = true;
      else return undefined;
    }
  }
  if (!nan && !infinite) return "All samples in this range are native histograms: there is no line to draw. histogram_quantile() makes numbers of them.";
  const what = nan && infinite ? "NaN or infinite" : nan ? "NaN (not a number)" : "infinite";
  return `All values in this range are ${what}: there is no line to draw. The table shows them.`;
}

/** The function in an expression that has no value before the second sample. */
export function needsTwoSamples(expr: string): string | undefined {
  const code = expr.replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|#.*/g, "");
  return /\b(i?rate|increase|i?delta|deriv|predict_linear)\s*\(/.exec(code)?.[1];
}
