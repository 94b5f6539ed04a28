import { expect, it } from "vitest";
import type { Columns } from "./columns";
import { nearestSeries, nearestTime } from "./nearest";

it("finds the nearest time", () => {
  const times = [10, 20, 30, 40];
  expect([-5, 10, 14, 16, 29, 40, 99].map((time) => nearestTime(times, time))).toEqual([0, 0, 0, 1, 2, 3, 3]);
  expect(nearestTime([7], 100)).toBe(0);
});

it("finds the nearest value, counts its equals, and passes gaps and hidden series over", () => {
  const columns: Columns = [[1, 2], [5, null], [1, 9], [5, 9], [null, null]];
  expect(nearestSeries(columns, 0, 4, null)).toEqual({ series: 0, value: 5, same: 1 });
  expect(nearestSeries(columns, 0, 2, null)).toEqual({ series: 1, value: 1, same: 0 });
  expect(nearestSeries(columns, 1, 0, null)).toEqual({ series: 1, value: 9, same: 1 });
  expect(nearestSeries(columns, 0, 1, 2)).toEqual({ series: 2, value: 5, same: 0 });
  expect(nearestSeries(columns, 0, 1, 3)).toBeNull();
});

it("is quick among thousands of series", () => {
  const columns: Columns = [[1], ...Array.from({ length: 20_000 }, (_, i) => [i])];
  const began = performance.now();
  for (let i = 0; i < 100; i++) nearestSeries(columns, 0, i * 37.2, null);
  expect((performance.now() - began) / 100).toBeLessThan(16);
});
