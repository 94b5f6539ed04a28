// One panel: expression, time range, and the answer as graph or table.

import { useEffect, useRef, useState } from "react";
import { type Answer, ApiError, type QueryData, request } from "../api";
import { formatDuration, parseDuration } from "../format";
import type { Panel } from "../panels";
import type { Series } from "./columns";
import { Editor } from "./Editor";
import { Graph } from "./Graph";
import { Table } from "./Table";

interface Props {
  panel: Panel;
  /** Counts up when all panels are to ask again. */
  tick: number;
  dark: boolean;
  onChange: (panel: Panel) => void;
  onRemove?: () => void;
}

interface Shown {
  answer: Answer<QueryData>;
  start: number;
  end: number;
  step: number;
  tab: Panel["tab"];
}

const RANGES = ["1m", "5m", "15m", "1h", "3h", "6h", "12h", "1d", "2d", "1w"].map((text) => parseDuration(text)!);
/** Points that a screen shows well. */
const POINTS = 250;

export function PanelView({ panel, tick, dark, onChange, onRemove }: Props) {
  const [draft, setDraft] = useState(panel.expr);
  const [shown, setShown] = useState<Shown>();
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [runs, setRuns] = useState(0);
  const change = (over: Partial<Panel>) => onChange({ ...panel, ...over });
  useEffect(() => setDraft(panel.expr), [panel.expr]);

  const asked = useRef("");
  useEffect(() => {
    if (!panel.expr.trim()) {
      setShown(undefined);
      setError(undefined);
      return;
    }
    const stop = new AbortController();
    const identity = JSON.stringify([panel.expr, panel.range, panel.end, panel.step, panel.tab]);
    // a refresh of the same question keeps the old answer on screen without a sign of work
    if (asked.current !== identity) setBusy(true);
    asked.current = identity;
    ask(panel, stop.signal)
      .then((answer) => {
        setShown(answer);
        setError(undefined);
        setBusy(false);
      })
      .catch((cause) => {
        if (stop.signal.aborted) return;
        setError(cause instanceof ApiError ? `${cause.kind}: ${cause.message}` : String(cause));
        setBusy(false);
      });
    return () => stop.abort();
  }, [panel.expr, panel.range, panel.end, panel.step, panel.tab, tick, runs]);

  const run = (expr: string) => {
    change({ expr });
    setRuns((n) => n + 1);
  };
  const end = panel.end ?? Date.now();
  const data = shown?.answer.data;
  const count = data && (data.resultType === "vector" || data.resultType === "matrix") ? data.result.length : undefined;
  return (
    <section className="panel" aria-label={panel.title || "Query"}>
      {panel.title && <h2>{panel.title}</h2>}
      <div className="ask">
        <Editor value={draft} onChange={setDraft} onRun={run} />
        <button className="primary" onClick={() => run(draft)}>Run</button>
        {onRemove && <button className="icon" onClick={onRemove} title="Remove this panel" aria-label="Remove this panel">×</button>}
      </div>
      <div className="controls">
        <div className="tabs" role="tablist">
          {(["graph", "table"] as const).map((tab) => (
            <button key={tab} role="tab" aria-selected={panel.tab === tab} onClick={() => change({ tab })}>
              {tab === "graph" ? "Graph" : "Table"}
            </button>
          ))}
        </div>
        {panel.tab === "graph" && (
          <>
            <label>Range <select value={panel.range} onChange={(e) => change({ range: Number(e.target.value) })}>
              {[...new Set([...RANGES, panel.range])].sort((a, b) => a - b).map((s) => <option key={s} value={s}>{formatDuration(s)}</option>)}
            </select></label>
            <label>Step <select value={panel.step ?? ""} onChange={(e) => change({ step: e.target.value ? Number(e.target.value) : null })}>
              <option value="">auto</option>
              {[...new Set([1, 5, 15, 30, 60, 300, 900, 3600, panel.step ?? 1])].sort((a, b) => a - b).map((s) => <option key={s} value={s}>{formatDuration(s)}</option>)}
            </select></label>
          </>
        )}
        <div className="time">
          <button onClick={() => change({ end: end - (panel.range * 1000) / 2 })} title="Earlier" aria-label="Earlier">‹</button>
          <input
            type="datetime-local"
            aria-label="End time"
            step={1}
            value={panel.end === null ? "" : local(panel.end)}
            onChange={(e) => change({ end: e.target.value ? new Date(e.target.value).getTime() : null })}
          />
          <button onClick={() => change({ end: end + (panel.range * 1000) / 2 })} title="Later" aria-label="Later">›</button>
          <button disabled={panel.end === null} onClick={() => change({ end: null })}>Now</button>
        </div>
        <span className="figures" aria-live="polite">
          {busy ? "asking…" : shown && `${count === undefined ? "" : `${count} series · `}${Math.round(shown.answer.milliseconds)} ms`}
        </span>
      </div>
      {error && <pre className="error" role="alert">{error}</pre>}
      {shown?.answer.warnings.map((text) => <p className="warning" key={text}>{text}</p>)}
      {shown?.answer.infos.map((text) => <p className="info" key={text}>{text}</p>)}
      {!error && shown && shown.tab === panel.tab && (
        shown.tab === "table" ? <Table data={shown.answer.data} /> :
          count === 0 ? <p className="empty">No samples in this range. {panel.end === null && "New series appear with their first scrape."}</p> :
            <Graph
              series={shown.answer.data.result as Series[]}
              start={shown.start} end={shown.end} step={shown.step} dark={dark}
              onZoom={(from, to) => change({ end: Math.round(to) * 1000, range: Math.max(1, Math.round(to - from)), step: null })}
            />
      )}
    </section>
  );
}

async function ask(panel: Panel, signal: AbortSignal): Promise<Shown> {
  const now = (panel.end ?? Date.now()) / 1000;
  if (panel.tab === "table") {
    const answer = await request<QueryData>("query", { query: panel.expr, time: now.toFixed(3) }, signal);
    return { answer, start: now, end: now, step: 1, tab: "table" };
  }
  const step = panel.step ?? Math.max(1, Math.floor(panel.range / POINTS));
  // on the step's grid, so that a refresh moves the window and not the points
  const end = Math.floor(now / step) * step;
  const start = end - Math.floor(panel.range / step) * step;
  const answer = await request<QueryData>(
    "query_range", { query: panel.expr, start: String(start), end: String(end), step: String(step) }, signal,
  );
  return { answer, start, end, step, tab: "graph" };
}

function local(ms: number): string {
  const date = new Date(ms);
  return new Date(ms - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
