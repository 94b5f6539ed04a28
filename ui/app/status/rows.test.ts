import { expect, it, vi } from "vitest";
import { bytes, factRows, flagRows, headRows } from "./rows";

it("names facts, leaves out empty ones, and shows times in the zone of the browser", () => {
  vi.stubEnv("TZ", "Europe/Berlin");
  expect(factRows({ goVersion: "", hostname: "vm", startTime: "2026-11-21T18:47:03.983Z", reloadConfigSuccess: false, GOGC: "", goroutineCount: 0, GOMAXPROCS: 2, other: "x" })).toEqual([
    ["Started", "2026-11-21 19:47:03"], ["Host name", "vm"], ["Last reload of the configuration", "failed"], ["Processors in use", "2"], ["other", "x"],
  ]);
  vi.unstubAllEnvs();
});

it("has words for an empty head", () => {
  const rows = headRows({ numSeries: 0, numLabelPairs: 0, chunkCount: 0, minTime: Number.MAX_SAFE_INTEGER, maxTime: Number.MIN_SAFE_INTEGER });
  expect(rows).toContainEqual(["Oldest sample", "none yet"]);
  expect(headRows({ numSeries: 12345, numLabelPairs: 1, chunkCount: 2, minTime: 0, maxTime: 1 })[0]).toEqual(["Series", "12,345"]);
});

it("finds flags by every word in name or value", () => {
  const flags = { "web.listen-address": "0.0.0.0:9090", "query.timeout": "2m", "storage.tsdb.path": "data/" };
  expect(flagRows(flags, "").map(([name]) => name)).toEqual(["query.timeout", "storage.tsdb.path", "web.listen-address"]);
  expect(flagRows(flags, "WEB 9090")).toEqual([["web.listen-address", "0.0.0.0:9090"]]);
  expect(flagRows(flags, "--query.timeout=2m")).toHaveLength(1);
  expect(flagRows(flags, "nothing")).toEqual([]);
});

it("writes bytes", () => expect([0, 999, 24_003].map(bytes)).toEqual(["0 B", "999 B", "24kB"]));
