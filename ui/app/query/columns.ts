// From a matrix to the aligned columns that the chart draws.

import type { LabelSet, Point } from "../api";

export interface Series {
  metric: LabelSet;
  values?: Point[];
}

export type Columns = [times: number[], ...values: (number | null)[][]];

/** One time column for all series, a step apart; null where a series has no sample. A gap is a gap. */
export function align(series: Series[], start: number, end: number, step: number): Columns {
  const count = Math.floor((end - start) / step + 1e-6) + 1;
  const times = Array.from({ length: count }, (_, i) => start + i * step);
  const values = series.map(({ values = [] }) => {
    const column: (number | null)[] = new Array(count).fill(null);
    for (const [time, text] of values) {
      const at = Math.round((time - start) / step);
      const value = text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
      if (at >= 0 && at < count && Number.isFinite(value)) column[at] = value;
    }
    return column;
  });
  return [times, ...values];
}

const PALETTE = [
  "#2563eb", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6", "#06b6d4", "#ec4899", "#84cc16", "#f97316", "#6366f1",
  "#14b8a6", "#eab308", "#d946ef", "#22c55e", "#0ea5e9", "#f43f5e", "#a16207", "#4d7c0f", "#7c3aed", "#be185d",
];

export const color = (index: number): string => PALETTE[index % PALETTE.length]!;
