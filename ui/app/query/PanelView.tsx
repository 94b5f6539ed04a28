// One panel: expression, time range, and the answer as graph or table.

import { useEffect, useRef, useState } from "react";
import { type Failure, failureOf } from "../failure";
import { FailureNote } from "../FailureNote";
import type { Panel } from "../panels";
import { ask, countOf, identityOf, type Shown, whyNoLine } from "./answer";
import type { Series } from "./columns";
import { Editor } from "./Editor";
import { Graph } from "./Graph";
import { PanelControls } from "./PanelControls";
import { Table } from "./Table";
import { type Range, rangeOf, unzoom, zoomed } from "./zooms";

interface Props {
  panel: Panel;
  /** Counts up when all panels are to ask again. */
  tick: number;
  dark: boolean;
  onChange: (panel: Panel) => void;
  onRemove?: () => void;
}

export function PanelView({ panel, tick, dark, onChange, onRemove }: Props) {
  const [draft, setDraft] = useState(panel.expr);
  const [shown, setShown] = useState<Shown>();
  const [failure, setFailure] = useState<Failure>();
  const [busy, setBusy] = useState(false);
  const [runs, setRuns] = useState(0);
  const zooms = useRef<Range[]>([]);
  const change = (over: Partial<Panel>) => onChange({ ...panel, ...over });
  useEffect(() => setDraft(panel.expr), [panel.expr]);

  const asked = useRef("");
  useEffect(() => {
    if (!panel.expr.trim()) {
      setShown(undefined);
      setFailure(undefined);
      return;
    }
    const stop = new AbortController();
    const identity = identityOf(panel);
    // a refresh of the same question keeps the old answer on screen without a sign of work
    if (asked.current !== identity) setBusy(true);
    asked.current = identity;
    ask(panel, stop.signal)
      .then((answer) => {
        setShown(answer);
        setFailure(undefined);
        setBusy(false);
      })
      .catch((cause) => {
        if (stop.signal.aborted) return;
        setFailure((before) => failureOf(cause, before, Date.now()));
        setBusy(false);
      });
    return () => stop.abort();
  }, [panel.expr, panel.range, panel.end, panel.step, panel.tab, tick, runs]);

  const run = (expr: string) => {
    change({ expr });
    setRuns((n) => n + 1);
  };
  const zoom = (from: number, to: number) => {
    zooms.current.push(rangeOf(panel));
    change(zoomed(from, to));
  };
  const back = () => {
    const before = unzoom(zooms.current, rangeOf(panel));
    if (before) change(before);
  };
  // while the server is away, the last answer to this very question stays, marked as old
  const old = failure?.unreachable === true && shown?.identity === identityOf(panel);
  const current = shown?.tab === panel.tab && (!failure || old) ? shown : undefined;
  const count = current && countOf(current.answer);
  const figures = `${count === undefined ? "" : `${count} series · `}${Math.round(current?.answer.milliseconds ?? 0)} ms`;
  return (
    <section className="panel" aria-label={panel.title || "Query"}>
      {panel.title && <h2>{panel.title}</h2>}
      <div className="ask">
        <Editor value={draft} onChange={setDraft} onRun={run} />
        <button className="primary" onClick={() => run(draft)}>Run</button>
        {onRemove && <button className="icon" onClick={onRemove} title="Remove this panel" aria-label="Remove this panel">×</button>}
      </div>
      <PanelControls panel={panel} onChange={change}>
        <span className="figures" aria-live="polite">{busy ? "asking…" : current && !failure && figures}</span>
      </PanelControls>
      <FailureNote failure={failure} old={old} />
      {current?.answer.warnings.map((text) => <p className="warning" key={text}>{text}</p>)}
      {current?.answer.infos.map((text) => <p className="info" key={text}>{text}</p>)}
      {current && (
        <div className={old ? "old" : ""}>
          <Drawn shown={current} panel={panel} dark={dark} onZoom={zoom} onUnzoom={back} />
        </div>
      )}
    </section>
  );
}

interface DrawnProps {
  shown: Shown;
  panel: Panel;
  dark: boolean;
  onZoom: (start: number, end: number) => void;
  onUnzoom: () => void;
}

function Drawn({ shown: { answer, start, end, step, tab }, panel, dark, onZoom, onUnzoom }: DrawnProps) {
  if (tab === "table") return <Table data={answer.data} />;
  const series = answer.data.result as Series[];
  const nothing = whyNoLine(series, panel.expr, panel.end === null);
  if (nothing) return <p className="empty" onDoubleClick={onUnzoom}>{nothing}</p>;
  return <Graph series={series} start={start} end={end} step={step} dark={dark} onZoom={onZoom} onUnzoom={onUnzoom} />;
}
