import { describe, expect, it } from "vitest";
import { ago, formatDuration, formatSeries, parseDuration, shortValue } from "./format";

describe("durations", () => {
  it.each([["1h", 3600], ["1h30m", 5400], ["15s", 15], ["2d", 172800], ["1w", 604800]])("%s", (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
    expect(formatDuration(seconds)).toBe(text);
  });
  it.each(["", "x", "1", "h1", "1.5h", "0s", "-1h"])("refuses %s", (text) => expect(parseDuration(text)).toBeUndefined());
});

describe("values", () => {
  it.each([
    [0, "0"], [1, "1"], [1234, "1.234k"], [0.25, "0.25"], [0.001234, "1.234m"], [-2_500_000, "-2.5M"],
    [1e-7, "100n"], [1e20, "100E"], [1.8446744073709552e19, "18.45E"], [1e22, "1.00e+22"], [Number.NaN, "NaN"], [-Infinity, "-Inf"], [999.99, "1000"],
  ])("%d", (value, text) => expect(shortValue(value)).toBe(text));
});

describe("series", () => {
  it("quotes values and keeps the name in front", () => {
    expect(formatSeries({ __name__: "up", job: 'a"b' })).toBe('up{job="a\\"b"}');
    expect(formatSeries({})).toBe("{}");
    expect(formatSeries({ mode: "idle" })).toBe('{mode="idle"}');
  });
});

describe("ago", () => {
  it("counts from now", () => {
    const now = Date.parse("2026-01-01T00:02:05Z");
    expect(ago("2026-01-01T00:02:04.5Z", now)).toBe("0.5s ago");
    expect(ago("2026-01-01T00:00:00Z", now)).toBe("2m5s ago");
    expect(ago("0001-01-01T00:00:00Z", now)).toBe("never");
  });
});
