// Where the axes have their marks, and what is written there. Labels keep clear of each other by construction: marks are
// at least as far apart as the widest label is wide.

import { clock, isoDate } from "../time";

type Unit = "second" | "hour" | "day" | "month";

/** A distance between marks on the time axis. */
export interface Stride {
  unit: Unit;
  count: number;
}

const SECONDS: Record<Unit, number> = { second: 1, hour: 3600, day: 86_400, month: 28 * 86_400 };
const STRIDES: Stride[] = [
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800].map((count) => ({ unit: "second" as const, count })),
  ...[1, 2, 3, 6, 12].map((count) => ({ unit: "hour" as const, count })),
  ...[1, 2, 7, 14].map((count) => ({ unit: "day" as const, count })),
  ...[1, 3, 6, 12, 24, 60, 120, 600].map((count) => ({ unit: "month" as const, count })),
];

/** Pixels from mark to mark: `2026-11-21` in a wide font, and a gap. */
const TIME_GAP = 82;
/** Pixels right of the plot that a label may reach into. */
export const RIGHT_ROOM = 30;
/** Pixels of half a date. */
const HALF_DATE = 36;

export function strideFor(start: number, end: number, width: number): Stride {
  const least = ((end - start) * TIME_GAP) / Math.max(1, width);
  return STRIDES.find(({ unit, count }) => count * SECONDS[unit] >= least) ?? STRIDES.at(-1)!;
}

/** The marks from start to end (seconds), on round times of the local clock. */
export function timeMarks(start: number, end: number, { unit, count }: Stride): number[] {
  const from = new Date(start * 1000);
  const [year, month, day, hour] = [from.getFullYear(), from.getMonth(), from.getDate(), from.getHours()];
  const shift = -from.getTimezoneOffset() * 60;
  const first = Math.floor((start + shift) / count) * count - shift;
  const dayNumber = Date.UTC(year, month, day) / 86_400_000;
  const at: Record<Unit, (i: number) => number> = {
    second: (i) => first + i * count,
    hour: (i) => new Date(year, month, day, hour - (hour % count) + i * count).getTime() / 1000,
    day: (i) => new Date(year, month, day - (dayNumber % count) + i * count).getTime() / 1000,
    month: (i) => new Date(year, month - ((year * 12 + month) % count) + i * count).getTime() / 1000,
  };
  const marks: number[] = [];
  for (let i = 0; ; i++) {
    const mark = at[unit](i);
    if (mark > end) return marks;
    // an hour that summer time leaves out is the next one once more
    if (mark >= start && mark > (marks.at(-1) ?? -Infinity)) marks.push(mark);
  }
}

/** `18:36`, with the date below at the first mark and where a day begins; dates alone for strides of days. */
export function timeLabels(marks: number[], { unit, count }: Stride, end: number, secondsPerPixel: number): string[] {
  let previous = "";
  return marks.map((mark) => {
    const moment = new Date(mark * 1000);
    const date = isoDate(moment);
    const cut = mark + (HALF_DATE - RIGHT_ROOM) * secondsPerPixel > end;
    if (unit === "day" || unit === "month") return cut ? "" : date;
    const time = clock(moment, unit === "second" && count < 60);
    if (date === previous || cut) return time;
    previous = date;
    return `${time}\n${date}`;
  });
}

const PREFIXES: [string, number][] = [
  ["Y", 1e24], ["Z", 1e21], ["E", 1e18], ["P", 1e15], ["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3], ["", 0.01], ["m", 1e-3], ["µ", 1e-6], ["n", 1e-9],
];

/** Labels of evenly spaced values: one SI prefix for all, as many digits as tell neighbours apart. */
export function valueLabels(marks: number[]): string[] {
  const largest = Math.max(...marks.map(Math.abs));
  const found = largest < 1e27 ? PREFIXES.find(([, size]) => largest >= size) : undefined;
  const exponent = found ? 0 : Math.floor(Math.log10(largest || 1));
  const [prefix, size] = found ? [found[0], found[0] === "" ? 1 : found[1]] : [exponent ? `e${exponent}` : "", 10 ** exponent];
  const apart = marks.length > 1 ? Math.abs(marks[1]! - marks[0]!) / size : Math.abs(largest / size) / 1000;
  const digits = apart > 0 ? Math.min(12, Math.max(0, Math.ceil(-Math.log10(apart) - 1e-9) + (isRound(apart) ? 0 : 1))) : 3;
  return marks.map((mark) => (mark === 0 ? "0" : `${Number((mark / size).toFixed(digits))}${prefix}`));
}

/** Whether it is one digit times a power of ten: 0.2, not 0.25. */
const isRound = (value: number): boolean => {
  const digit = value / 10 ** Math.floor(Math.log10(value) + 1e-9);
  return Math.abs(digit - Math.round(digit)) < 1e-6;
};

/** Pixels that the axis needs for its labels in a wide font. */
export const axisSize = (labels: readonly string[] | null): number =>
  Math.max(36, 14 + 8 * Math.max(0, ...(labels ?? []).map((label) => label.length)));
