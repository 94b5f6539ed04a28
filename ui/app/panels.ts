// The state of the query page lives in the URL, in Prometheus' own form (`g0.expr=…&g0.range_input=1h`), so links can be
// shared between the two.

import { formatDuration, parseDuration } from "./format";

export interface Panel {
  id: number;
  title: string;
  expr: string;
  tab: "graph" | "table";
  /** Seconds. */
  range: number;
  /** Milliseconds since the epoch; null follows the clock. */
  end: number | null;
  /** Seconds; null for one that suits the width. */
  step: number | null;
}

export const DEFAULT_RANGE = 3600;
let nextId = 0;

export const newPanel = (over: Partial<Panel> = {}): Panel => ({
  id: nextId++, title: "", expr: "", tab: "graph", range: DEFAULT_RANGE, end: null, step: null, ...over,
});

export function decodePanels(search: string): Panel[] {
  const params = new URLSearchParams(search);
  const panels: Panel[] = [];
  for (let i = 0; params.has(`g${i}.expr`); i++) {
    const get = (name: string) => params.get(`g${i}.${name}`) ?? "";
    const end = Date.parse(`${get("end_input").replace(" ", "T")}Z`);
    panels.push(newPanel({
      title: get("title"),
      expr: get("expr"),
      tab: get("tab") === "table" || get("tab") === "1" ? "table" : "graph",
      range: parseDuration(get("range_input")) ?? DEFAULT_RANGE,
      end: Number.isNaN(end) ? null : end,
      step: parseDuration(`${get("step_input")}s`) ?? null,
    }));
  }
  return panels.length > 0 ? panels : [newPanel()];
}

export function encodePanels(panels: Panel[]): string {
  const params = new URLSearchParams();
  panels.forEach((panel, i) => {
    params.set(`g${i}.expr`, panel.expr);
    if (panel.title) params.set(`g${i}.title`, panel.title);
    params.set(`g${i}.tab`, panel.tab);
    params.set(`g${i}.range_input`, formatDuration(panel.range));
    if (panel.end !== null) {
      params.set(`g${i}.end_input`, new Date(panel.end).toISOString().slice(0, 19).replace("T", " "));
    }
    if (panel.step !== null) params.set(`g${i}.step_input`, String(panel.step));
  });
  return params.toString();
}

/** The panels of another URL, with the identities of those that stand in their places: a graph on screen stays there. */
export const takeOver = (from: Panel[], panels: Panel[]): Panel[] =>
  panels.map((panel, i) => ({ ...panel, id: from[i]?.id ?? panel.id }));
