import { expect, it } from "vitest";
import { decodePanels, encodePanels, takeOver } from "./panels";

it("survives the way through the URL", () => {
  const text = "g0.expr=up%7Bjob%3D%22x%22%7D&g0.tab=table&g0.range_input=15m&g0.end_input=2026-01-02 03:04:05&g0.step_input=30&g1.expr=1";
  const [first, second] = decodePanels(text);
  expect(first).toMatchObject({ expr: 'up{job="x"}', tab: "table", range: 900, end: Date.UTC(2026, 0, 2, 3, 4, 5), step: 30 });
  expect(second).toMatchObject({ expr: "1", tab: "graph", range: 3600, end: null, step: null });
  const again = decodePanels(encodePanels([first!, second!]));
  expect(again.map(({ id: _, ...rest }) => rest)).toEqual([first, second].map(({ id: _, ...rest }: any) => rest));
});

it("begins with one empty panel", () => {
  expect(decodePanels("")).toMatchObject([{ expr: "", tab: "graph" }]);
});

it("keeps the identity of panels that a step back shows again", () => {
  const [before] = decodePanels("g0.expr=up&g0.range_input=5m");
  const after = takeOver([before!], decodePanels("g0.expr=up&g0.range_input=1h&g1.expr=x"));
  expect(after[0]).toEqual({ ...before, range: 3600 });
  expect(after[1]!.id).not.toBe(before!.id);
});
