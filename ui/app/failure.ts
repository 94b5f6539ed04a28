// What went wrong with a request, in words, and since when.

import { ApiError } from "./api";
import { clock, isoDate } from "./time";

export interface Failure {
  text: string;
  /** The server was not reached, so that an earlier answer may still be shown. */
  unreachable: boolean;
  /** Milliseconds: when the first of an unbroken row of such failures was seen. */
  since: number;
}

export function failureOf(cause: unknown, before: Failure | undefined, now: number): Failure {
  const unreachable = cause instanceof ApiError && cause.kind === "unreachable";
  const since = unreachable && before?.unreachable ? before.since : now;
  if (unreachable) return { text: `The server cannot be reached since ${moment(since, now)}.`, unreachable, since };
  return { text: cause instanceof ApiError ? `${cause.kind}: ${cause.message}` : String(cause), unreachable, since };
}

/** The time of day, with the date where it is another day's. */
function moment(ms: number, now: number): string {
  const [then, today] = [new Date(ms), new Date(now)];
  return isoDate(then) === isoDate(today) ? clock(then) : `${isoDate(then)} ${clock(then)}`;
}
