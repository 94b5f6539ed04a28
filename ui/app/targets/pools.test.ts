import { expect, it } from "vitest";
import type { ActiveTarget, Targets } from "../api";
import { poolsOf } from "./pools";

const target = (scrapePool: string, instance: string, health: ActiveTarget["health"]): ActiveTarget => ({
  scrapePool, health, labels: { instance, job: scrapePool }, discoveredLabels: {}, scrapeUrl: `http://${instance}/metrics`, globalUrl: "",
  lastError: "", lastScrape: "", lastScrapeDuration: 0, scrapeInterval: "15s", scrapeTimeout: "10s",
});
const targets: Targets = {
  activeTargets: [target("node", "a:1", "up"), target("node", "b:1", "down"), target("pharos", "c:2", "up")],
  droppedTargets: [],
  droppedTargetCounts: { node: 3, gone: 2 },
};
const all = { text: "", health: "all" };

it("shows pools that have no target", () => {
  const pools = poolsOf(["pharos", "empty", "node"], targets, all);
  expect(pools.map(({ name, up, total, dropped }) => [name, up, total, dropped])).toEqual([
    ["empty", 0, 0, 0], ["gone", 0, 0, 2], ["node", 1, 2, 3], ["pharos", 1, 1, 0],
  ]);
});

it("filters targets and keeps the figures of the whole pool", () => {
  expect(poolsOf(["empty"], targets, { text: " B:1", health: "all" })).toMatchObject([{ name: "node", targets: [{ health: "down" }], up: 1, total: 2 }]);
  expect(poolsOf(["empty"], targets, { text: 'job="pharos"', health: "all" }).map((pool) => pool.name)).toEqual(["pharos"]);
  expect(poolsOf(["empty"], targets, { text: "emp", health: "all" }).map((pool) => pool.name)).toEqual(["empty"]);
  expect(poolsOf(["empty"], targets, { text: "", health: "down" }).map((pool) => pool.name)).toEqual(["node"]);
  expect(poolsOf(["empty"], targets, { text: "none such", health: "all" })).toEqual([]);
});
