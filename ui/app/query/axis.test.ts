import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { axisSize, strideFor, timeLabels, timeMarks, valueLabels } from "./axis";

beforeEach(() => void vi.stubEnv("TZ", "Europe/Berlin"));
afterEach(() => void vi.unstubAllEnvs());

const at = (text: string): number => new Date(text).getTime() / 1000;
const labels = (from: string, to: string, width: number): string[] => {
  const [start, end] = [at(from), at(to)];
  const stride = strideFor(start, end, width);
  return timeLabels(timeMarks(start, end, stride), stride, end, (end - start) / width);
};

describe("the time axis", () => {
  it("writes the date under the first mark, in 24 hours", () => {
    expect(labels("2026-11-21T18:35:10", "2026-11-21T18:40:10", 550)).toEqual(["18:36\n2026-11-21", "18:37", "18:38", "18:39", "18:40"]);
    expect(labels("2026-11-21T18:35:10", "2026-11-21T18:36:20", 550)[0]).toBe("18:35:15\n2026-11-21");
  });
  it("writes the date again where a day begins", () => {
    expect(labels("2026-11-21T21:50:00", "2026-11-22T03:00:00", 500)).toEqual(["22:00\n2026-11-21", "23:00", "00:00\n2026-11-22", "01:00", "02:00", "03:00"]);
  });
  it("has marks on local midnights over a change of summer time, and dates alone", () => {
    expect(labels("2026-10-23T12:00:00", "2026-10-27T12:00:00", 500)).toEqual(["2026-10-24", "2026-10-25", "2026-10-26", "2026-10-27"]);
    expect(labels("2026-03-28T23:30:00", "2026-03-29T06:30:00", 700)).toEqual(
      ["00:00\n2026-03-29", "01:00", "03:00", "04:00", "05:00", "06:00"]);
  });
  it("has months and years for long ranges", () => {
    expect(labels("2026-01-15T00:00:00", "2027-01-14T00:00:00", 500)).toEqual(["2026-04-01", "2026-07-01", "2026-10-01", "2027-01-01"]);
  });
  it.each([200, 270, 560, 1100, 2000])("never lets labels collide on %d pixels", (width) => {
    const start = at("2026-11-21T18:34:17");
    for (let range = 1; range < 40 * 365 * 86_400; range = Math.ceil(range * 1.7)) {
      const stride = strideFor(start, start + range, width);
      const marks = timeMarks(start, start + range, stride);
      const pixel = range / width;
      timeLabels(marks, stride, start + range, pixel).forEach((text, i, all) => {
        // 8 pixels a character is more than any usual font takes
        const half = (label: string) => Math.max(...label.split("\n").map((line) => line.length * 8)) / 2;
        if (i > 0 && marks[i]! - marks[i - 1]! >= 86_400 - 3600) expect(text).toMatch(/^$|\d{4}-/);
        if (i > 0) expect((marks[i]! - marks[i - 1]!) / pixel, `${range} s`).toBeGreaterThan(half(text) + half(all[i - 1]!));
      });
    }
  });
});

describe("the value axis", () => {
  it.each([
    [[0, 5e18, 1e19, 1.5e19], ["0", "5E", "10E", "15E"]],
    [[0, 500, 1000, 1500], ["0", "0.5k", "1k", "1.5k"]],
    [[0, 0.25, 0.5], ["0", "0.25", "0.5"]],
    [[1_000_000, 1_000_000.5, 1_000_001], ["1M", "1.0000005M", "1.000001M"]],
    [[0, 0.002, 0.004], ["0", "2m", "4m"]],
    [[-2e6, 0, 2e6], ["-2M", "0", "2M"]],
    [[0, 5e30, 1e31], ["0", "0.5e31", "1e31"]],
    [[0, 1e-12], ["0", "1e-12"]],
    [[0, 0], ["0", "0"]],
  ])("%j", (marks, texts) => expect(valueLabels(marks)).toEqual(texts));
  it("is as wide as its longest label", () => {
    expect(axisSize(["0", "1.0000005M"])).toBe(94);
    expect(axisSize([])).toBe(36);
    expect(axisSize(null)).toBe(36);
  });
});
