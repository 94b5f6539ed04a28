import { expect, it } from "vitest";
import { align } from "./columns";

it("keeps gaps, and drops what cannot be drawn", () => {
  const series = [
    { metric: {}, values: [[100, "1"], [120, "3"]] as [number, string][] },
    { metric: {}, values: [[110, "NaN"], [120, "+Inf"], [130, "-2.5"]] as [number, string][] },
    { metric: {} },
  ];
  expect(align(series, 100, 130, 10)).toEqual([
    [100, 110, 120, 130],
    [1, null, 3, null],
    [null, null, null, -2.5],
    [null, null, null, null],
  ]);
});
