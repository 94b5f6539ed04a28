import { expect, it } from "vitest";
import { ApiError } from "./api";
import { failureOf } from "./failure";

const gone = new ApiError("unreachable", "TypeError: Failed to fetch");
const noon = new Date(2026, 10, 21, 12, 0, 0).getTime();

it("counts an outage from its first failure, in words of its own", () => {
  const first = failureOf(gone, undefined, noon);
  expect(first).toEqual({ text: "The server cannot be reached since 12:00:00.", unreachable: true, since: noon });
  expect(failureOf(gone, first, noon + 65_000)).toEqual(first);
  expect(failureOf(gone, first, noon + 86_400_000).text).toBe("The server cannot be reached since 2026-11-21 12:00:00.");
});

it("says what the server says, and begins a new outage after that", () => {
  const refused = failureOf(new ApiError("bad_data", "parse error"), undefined, noon);
  expect(refused).toMatchObject({ text: "bad_data: parse error", unreachable: false });
  expect(failureOf(gone, refused, noon + 5000).since).toBe(noon + 5000);
});
