// The public HTTP API, typed: the app has no other door to the server.

export type LabelSet = Record<string, string>;
export type Point = [time: number, value: string];

export type QueryData =
  | { resultType: "vector"; result: { metric: LabelSet; value?: Point; histogram?: [number, unknown] }[] }
  | { resultType: "matrix"; result: { metric: LabelSet; values?: Point[]; histograms?: [number, unknown][] }[] }
  | { resultType: "scalar"; result: Point }
  | { resultType: "string"; result: Point };

export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
  milliseconds: number;
}

export interface ActiveTarget {
  discoveredLabels: LabelSet;
  labels: LabelSet;
  scrapePool: string;
  scrapeUrl: string;
  globalUrl: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  health: "up" | "down" | "unknown";
  scrapeInterval: string;
  scrapeTimeout: string;
}

export interface DroppedTarget {
  discoveredLabels: LabelSet;
  scrapePool?: string;
  /** Why, where the server says. */
  reason?: string;
}

export interface Targets {
  activeTargets: ActiveTarget[];
  droppedTargets: DroppedTarget[];
  droppedTargetCounts: Record<string, number>;
}

/** What the server said is wrong, in its words. */
export class ApiError extends Error {
  constructor(
    readonly kind: string,
    message: string,
  ) {
    super(message);
  }
}

/** The page that a path names: `query` for `/query` and for the root. */
export const pageOf = (path: string): string => path.slice(root().length) || "query";

/** The app's root, with a slash at the end: the page's <base>. */
export const root = (): string => new URL(".", document.baseURI).pathname;

export async function request<T>(
  path: string,
  params: Record<string, string | string[]> = {},
  signal?: AbortSignal,
): Promise<Answer<T>> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, one);
  }
  const began = performance.now();
  const post = path.startsWith("query");
  const url = `${root()}api/v1/${path}${post || query.size === 0 ? "" : `?${query}`}`;
  let response: Response;
  try {
    response = await fetch(url, post ? { method: "POST", body: query, signal } : { signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("unreachable", `The server does not answer: ${String(error)}`);
  }
  const text = await response.text().catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new ApiError("unreachable", `The answer broke off: ${String(error)}`);
  });
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    // a proxy in front of a server that is away
    if ([502, 503, 504].includes(response.status)) throw new ApiError("unreachable", `HTTP ${response.status}`);
    throw new ApiError("internal", `HTTP ${response.status}: ${text.slice(0, 300)}`);
  }
  if (body.status !== "success") throw new ApiError(body.errorType, body.error);
  return {
    data: body.data,
    warnings: body.warnings ?? [],
    infos: body.infos ?? [],
    milliseconds: performance.now() - began,
  };
}
