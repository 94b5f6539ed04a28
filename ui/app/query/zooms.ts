// The ranges that a panel showed before each zoom, for the way back.

import type { Panel } from "../panels";

export type Range = Pick<Panel, "range" | "end" | "step">;

export const rangeOf = ({ range, end, step }: Range): Range => ({ range, end, step });

const equal = (a: Range, b: Range): boolean => a.range === b.range && a.end === b.end && a.step === b.step;

/** The range before, taken off the list. One that is shown already, since the browser's Back led there, is passed over. */
export function unzoom(zooms: Range[], shown: Range): Range | undefined {
  let before = zooms.pop();
  while (before && equal(before, shown)) before = zooms.pop();
  return before;
}

/** A dragged range (seconds) as the panel keeps it. */
export const zoomed = (start: number, end: number): Range => ({
  end: Math.round(end) * 1000, range: Math.max(1, Math.round(end - start)), step: null,
});
