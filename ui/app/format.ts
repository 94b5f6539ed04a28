// Durations, values and label sets as people read them.

import type { LabelSet } from "./api";

const UNITS: [string, number][] = [
  ["y", 365 * 86400],
  ["w", 7 * 86400],
  ["d", 86400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
];

/** Seconds of `1h30m`; undefined where it is no duration. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(y|w|d|h|m|s))+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, number, unit] of text.matchAll(/(\d+)([ywdhms])/g)) {
    seconds += Number(number) * (UNITS.find(([u]) => u === unit)?.[1] ?? 0);
  }
  return seconds > 0 ? seconds : undefined;
}

export function formatDuration(seconds: number): string {
  let rest = Math.round(seconds);
  let out = "";
  for (const [unit, size] of UNITS) {
    if ((unit === "y" || unit === "w") && rest % size !== 0) continue;
    if (rest >= size) {
      out += `${Math.floor(rest / size)}${unit}`;
      rest %= size;
    }
  }
  return out || "0s";
}

/** `1.5k`, `2.25M`, `340m`: four significant digits with an SI prefix, for axes and legends. */
export function shortValue(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  const size = Math.abs(value);
  if (size === 0) return "0";
  for (const [prefix, factor] of [["E", 1e18], ["P", 1e15], ["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]] as const) {
    if (size >= factor && size < factor * 1000) return `${trim(value / factor)}${prefix}`;
  }
  if (size >= 1e21 || size < 1e-9) return value.toExponential(2);
  if (size >= 0.01) return trim(value);
  for (const [prefix, factor] of [["m", 1e-3], ["µ", 1e-6], ["n", 1e-9]] as const) {
    if (size >= factor) return `${trim(value / factor)}${prefix}`;
  }
  return value.toExponential(2);
}

const trim = (value: number): string => String(Number(value.toPrecision(4)));

/** `up{job="x"}`, as a selector that can be pasted. */
export function formatSeries(metric: LabelSet): string {
  const { __name__: name = "", ...labels } = metric;
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return pairs.length > 0 ? `${name}{${pairs.join(", ")}}` : name || "{}";
}

/** How long ago, from now. */
export function ago(iso: string, now: number): string {
  const then = Date.parse(iso);
  if (Number.isNaN(then) || then <= 0) return "never";
  const seconds = (now - then) / 1000;
  return seconds < 60 ? `${Math.max(0, seconds).toFixed(1)}s ago` : `${formatDuration(seconds)} ago`;
}
