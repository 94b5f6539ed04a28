// What the status pages show, as rows of name and text.

import { shortValue } from "../format";
import { formatTime } from "../time";

export type Row = [name: string, text: string];

/** A status answer: flat, its values text, numbers or booleans. */
export type Facts = Record<string, string | number | boolean>;

const NAMES: Record<string, string> = {
  version: "Version", revision: "Revision", branch: "Branch", buildUser: "Built by", buildDate: "Built on", goVersion: "Compiler",
  startTime: "Started", serverTime: "Server time", CWD: "Working directory", hostname: "Host name", reloadConfigSuccess: "Last reload of the configuration",
  lastConfigTime: "Configuration loaded", corruptionCount: "WAL corruptions", goroutineCount: "Goroutines", GOMAXPROCS: "Processors in use",
  storageRetention: "Storage retention",
};

/** Facts in words; those without a value, and settings of a Go runtime, which this server has not, are left out. */
export function factRows(facts: Facts): Row[] {
  const foreign = ["GOGC", "GODEBUG", "GOMEMLIMIT", "goroutineCount"];
  const known = Object.keys(NAMES);
  const rank = (key: string) => (known.includes(key) ? known.indexOf(key) : known.length);
  return Object.entries(facts)
    .filter(([key, value]) => value !== "" && !(foreign.includes(key) && !Number(value)))
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([key, value]) => [NAMES[key] ?? key, factText(key, value)]);
}

function factText(key: string, value: string | number | boolean): string {
  if (key === "reloadConfigSuccess") return value ? "succeeded" : "failed";
  if (typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value)) return formatTime(Date.parse(value));
  return String(value);
}

export interface HeadStats {
  numSeries: number;
  numLabelPairs: number;
  chunkCount: number;
  /** Milliseconds. */
  minTime: number;
  maxTime: number;
}

export function headRows({ numSeries, numLabelPairs, chunkCount, minTime, maxTime }: HeadStats): Row[] {
  const empty = minTime > maxTime;
  return [
    ["Series", numSeries.toLocaleString("en")],
    ["Chunks", chunkCount.toLocaleString("en")],
    ["Label pairs", numLabelPairs.toLocaleString("en")],
    ["Oldest sample", empty ? "none yet" : formatTime(minTime)],
    ["Newest sample", empty ? "none yet" : formatTime(maxTime)],
  ];
}

/** Flags whose name or value has every word of the filter. */
export function flagRows(flags: Record<string, string>, filter: string): Row[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return Object.entries(flags)
    .filter(([name, value]) => words.every((word) => `--${name}=${value}`.toLowerCase().includes(word)))
    .sort(([a], [b]) => a.localeCompare(b));
}

/** `23.4kB`, from bytes. */
export const bytes = (value: number): string => (value < 1000 ? `${value} B` : `${shortValue(value)}B`);
