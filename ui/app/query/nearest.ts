// Which series is nearest to the pointer. Runs at every move of the mouse: one binary search, one pass over the series.

import type { Columns } from "./columns";

export interface Nearest {
  /** Its index among the series, without the time column. */
  series: number;
  value: number;
  /** How many further series have this very value. */
  same: number;
}

/** The index of the time nearest to a given one; times ascend and are not empty. */
export function nearestTime(times: readonly number[], time: number): number {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low > 0 && time - times[low - 1]! < times[low]! - time ? low - 1 : low;
}

/** The series whose value at an index is nearest; only that one where one is isolated. Null where none has a value there. */
export function nearestSeries(columns: Columns, at: number, value: number, only: number | null): Nearest | null {
  let found: Nearest | null = null;
  for (let i = 1; i < columns.length; i++) {
    if (only !== null && only !== i - 1) continue;
    const own = columns[i]![at];
    if (own === null || own === undefined) continue;
    if (found && own === found.value) found.same++;
    else if (!found || Math.abs(own - value) < Math.abs(found.value - value)) found = { series: i - 1, value: own, same: 0 };
  }
  return found;
}
