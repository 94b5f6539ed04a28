// Targets by their scrape pool, also of pools that have none.

import type { ActiveTarget, Targets } from "../api";

export interface Pool {
  name: string;
  /** Those that fit the filter. */
  targets: ActiveTarget[];
  /** Of all its targets. */
  up: number;
  total: number;
  dropped: number;
}

export interface Filter {
  text: string;
  /** `all`, or a health. */
  health: string;
}

/** Every pool that fits, in the order of names: with a filter those whose name fits or that have a target that fits. */
export function poolsOf(names: string[], { activeTargets, droppedTargetCounts }: Targets, { text, health }: Filter): Pool[] {
  const wanted = text.trim().toLowerCase();
  const members = new Map<string, ActiveTarget[]>();
  for (const name of [...names, ...Object.keys(droppedTargetCounts)]) members.set(name, []);
  for (const target of activeTargets) {
    const known = members.get(target.scrapePool);
    if (known) known.push(target);
    else members.set(target.scrapePool, [target]);
  }
  return [...members]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, all]) => ({
      name,
      targets: all.filter((target) => (health === "all" || target.health === health) && describe(target).includes(wanted)),
      up: all.filter((target) => target.health === "up").length,
      total: all.length,
      dropped: droppedTargetCounts[name] ?? 0,
    }))
    .filter(({ name, targets }) => targets.length > 0 || (health === "all" && name.toLowerCase().includes(wanted)));
}

function describe({ scrapeUrl, scrapePool, labels }: ActiveTarget): string {
  return `${scrapeUrl} ${scrapePool} ${Object.entries(labels).map(([name, value]) => `${name}="${value}"`).join(" ")}`.toLowerCase();
}
