import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { formatTime, parseTime, zoneName } from "./time";

beforeEach(() => void vi.stubEnv("TZ", "America/New_York"));
afterEach(() => void vi.unstubAllEnvs());

const EVENING = Date.UTC(2026, 10, 21, 23, 6, 5);

describe("times", () => {
  it("are ISO dates with 24 hours, in the zone of the browser", () => {
    expect(formatTime(EVENING)).toBe("2026-11-21 18:06:05");
    expect(zoneName(EVENING)).toBe("America/New_York (UTC-05:00)");
    expect(zoneName(Date.UTC(2026, 6, 1))).toBe("America/New_York (UTC-04:00)");
  });
  it("name a zone without an offset shortly", () => {
    vi.stubEnv("TZ", "UTC");
    expect(zoneName(EVENING)).toBe("UTC");
  });
  it.each([
    ["2026-11-21 18:06:05", "2026-11-21 18:06:05"], ["2026-11-21T18:06", "2026-11-21 18:06:00"],
    ["2026-11-21", "2026-11-21 00:00:00"], [" 7:30 ", "2026-11-21 07:30:00"],
  ])("are read from %j", (text, time) => expect(formatTime(parseTime(text, EVENING) as number)).toBe(time));
  it.each(["x", "2026-02-31", "2026-13-01", "24:00", "2026-11-21 18", "18:60", "11/21/2026", "2026-11-2118:06"])(
    "are not read from %j", (text) => expect(parseTime(text, EVENING)).toBeUndefined());
  it("may be left out", () => expect(parseTime("  ", EVENING)).toBeNull());
});
