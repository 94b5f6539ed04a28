// Times as this app shows them: 24 hours, ISO dates, in the browser's zone.

const two = (number: number): string => String(number).padStart(2, "0");

/** `2026-11-21` */
export const isoDate = (date: Date): string => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;

/** `18:36`, or `18:36:05` */
export const clock = (date: Date, seconds = true): string =>
  `${two(date.getHours())}:${two(date.getMinutes())}${seconds ? `:${two(date.getSeconds())}` : ""}`;

/** `2026-11-21 18:36:05`, from milliseconds since the epoch. */
export function formatTime(ms: number): string {
  const date = new Date(ms);
  return `${isoDate(date)} ${clock(date)}`;
}

/** `UTC`, or `Europe/Berlin (UTC+01:00)` with the offset in force at that time. */
export function zoneName(ms: number): string {
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const minutes = -new Date(ms).getTimezoneOffset();
  if (name === "UTC") return name;
  const size = Math.abs(minutes);
  return `${name} (UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)})`;
}

/**
 * Milliseconds of `2026-11-21 18:36:05`, with or without seconds, time of day or date (then of today); null for no text;
 * undefined where it is no time.
 */
export function parseTime(text: string, now: number): number | null | undefined {
  if (!text.trim()) return null;
  const found = /^(?:(\d{4})-(\d{1,2})-(\d{1,2}))?(?:(?:^|[ T]+)(\d{1,2}):(\d{2})(?::(\d{2}))?)?$/.exec(text.trim());
  if (!found) return undefined;
  const today = new Date(now);
  const [year, month, day] = found[1]
    ? [Number(found[1]), Number(found[2]), Number(found[3])]
    : [today.getFullYear(), today.getMonth() + 1, today.getDate()];
  const [hour, minute, second] = [Number(found[4] ?? 0), Number(found[5] ?? 0), Number(found[6] ?? 0)];
  if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59) return undefined;
  const date = new Date(year, month - 1, day, hour, minute, second);
  return date.getMonth() === month - 1 && date.getDate() === day ? date.getTime() : undefined;
}
