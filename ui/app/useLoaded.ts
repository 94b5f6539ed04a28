// Data of a page, asked for once or again and again while the page is seen.

import { useEffect, useState } from "react";
import { type Failure, failureOf } from "./failure";

export interface Loaded<T> {
  data?: T;
  failure?: Failure;
  /** Milliseconds: when the data came. */
  at: number;
}

/** `load` is called anew where `key` changes. What came last stays while later requests fail. */
export function useLoaded<T>(key: string, load: (signal: AbortSignal) => Promise<T>, everyMs?: number): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ at: 0 });
  useEffect(() => {
    const stop = new AbortController();
    const again = () =>
      load(stop.signal).then(
        (data) => stop.signal.aborted || setLoaded({ data, at: Date.now() }),
        (cause) => stop.signal.aborted || setLoaded((before) => ({ ...before, failure: failureOf(cause, before.failure, Date.now()) })),
      );
    setLoaded({ at: 0 });
    void again();
    const timer = everyMs === undefined ? undefined : setInterval(() => document.hidden || void again(), everyMs);
    return () => { stop.abort(); clearInterval(timer); };
  }, [key, everyMs]);
  return loaded;
}
