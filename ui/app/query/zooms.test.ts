import { expect, it } from "vitest";
import { type Range, unzoom, zoomed } from "./zooms";

const first: Range = { range: 3600, end: null, step: null };
const second: Range = { range: 600, end: 1000, step: null };
const third: Range = { range: 60, end: 500, step: null };

it("goes back zoom by zoom, also to a range that follows the clock", () => {
  const zooms = [first, second];
  expect(unzoom(zooms, third)).toBe(second);
  expect(unzoom(zooms, second)).toBe(first);
  expect(unzoom(zooms, first)).toBeUndefined();
});

it("passes over what the browser's Back has undone", () => {
  expect(unzoom([first, second], { ...second })).toBe(first);
});

it("rounds what was dragged to whole seconds", () => {
  expect(zoomed(100.4, 219.6)).toEqual({ end: 220_000, range: 119, step: null });
  expect(zoomed(100, 100.2)).toMatchObject({ range: 1 });
});
