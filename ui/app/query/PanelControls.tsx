// What a panel shows: graph or table, of which time.

import { formatDuration, parseDuration } from "../format";
import type { Panel } from "../panels";
import { TimeField } from "./TimeField";

interface Props {
  panel: Panel;
  onChange: (over: Partial<Panel>) => void;
  children: React.ReactNode;
}

const RANGES = ["1m", "5m", "15m", "1h", "3h", "6h", "12h", "1d", "2d", "1w"].map((text) => parseDuration(text)!);
const STEPS = [1, 5, 15, 30, 60, 300, 900, 3600];

/** Durations to choose from, among them the one that is chosen. */
const choices = (usual: number[], chosen: number | null) =>
  [...new Set([...usual, chosen ?? usual[0]!])].sort((a, b) => a - b).map((s) => <option key={s} value={s}>{formatDuration(s)}</option>);

export function PanelControls({ panel, onChange, children }: Props) {
  const end = panel.end ?? Date.now();
  const half = (panel.range * 1000) / 2;
  return (
    <div className="controls">
      <div className="tabs" role="tablist">
        {(["graph", "table"] as const).map((tab) => (
          <button key={tab} role="tab" aria-selected={panel.tab === tab} onClick={() => onChange({ tab })}>
            {tab === "graph" ? "Graph" : "Table"}
          </button>
        ))}
      </div>
      {panel.tab === "graph" && (
        <>
          <label>Range <select value={panel.range} onChange={(e) => onChange({ range: Number(e.target.value) })}>
            {choices(RANGES, panel.range)}
          </select></label>
          <label>Step <select value={panel.step ?? ""} onChange={(e) => onChange({ step: e.target.value ? Number(e.target.value) : null })}>
            <option value="">auto</option>
            {choices(STEPS, panel.step)}
          </select></label>
        </>
      )}
      <div className="time">
        <button onClick={() => onChange({ end: end - half })} title="Earlier" aria-label="Earlier">‹</button>
        <TimeField label="End time" value={panel.end} onChange={(end) => onChange({ end })} />
        <button onClick={() => onChange({ end: end + half })} title="Later" aria-label="Later">›</button>
        <button disabled={panel.end === null} onClick={() => onChange({ end: null })}>Now</button>
      </div>
      {children}
    </div>
  );
}
