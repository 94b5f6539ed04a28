// The chart: lines over time, drag to zoom, a legend that isolates series.

import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatSeries, shortValue } from "../format";
import { align, color, type Series } from "./columns";

interface Props {
  series: Series[];
  start: number;
  end: number;
  step: number;
  /** Called with seconds when a range was dragged. */
  onZoom: (start: number, end: number) => void;
  dark: boolean;
}

/** More lines than this are drawn, but not all named: the page stays quick. */
const LEGEND_ROWS = 100;

export function Graph({ series, start, end, step, onZoom, dark }: Props) {
  const parent = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>(null);
  const zoom = useRef(onZoom);
  zoom.current = onZoom;
  const [only, setOnly] = useState<number | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const data = useMemo(() => align(series, start, end, step), [series, start, end, step]);
  const names = useMemo(() => series.map((one) => formatSeries(one.metric)), [series]);
  const shape = names.join("\n");

  useEffect(() => {
    const style = getComputedStyle(document.documentElement);
    const axis = { stroke: style.getPropertyValue("--dim"), grid: { stroke: style.getPropertyValue("--line"), width: 1 }, ticks: { show: false } };
    const created = new uPlot(
      {
        width: parent.current!.clientWidth,
        height: 300,
        legend: { show: false },
        cursor: { drag: { x: true, y: false, setScale: false }, focus: { prox: 24 }, points: { size: 6 } },
        focus: { alpha: 0.25 },
        scales: { x: { time: true }, y: { range: (_, low, high) => padded(low, high) } },
        axes: [axis, { ...axis, size: 60, values: (_, ticks) => ticks.map(shortValue) }],
        series: [{}, ...names.map((label, i) => ({ label, stroke: color(i), width: 1.5, points: { show: data[0].length === 1 } }))],
        hooks: {
          setCursor: [(u) => setCursor(u.cursor.idx ?? null)],
          setSelect: [
            (u) => {
              if (u.select.width < 4) return;
              zoom.current(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            },
          ],
        },
      },
      data as uPlot.AlignedData,
      parent.current!,
    );
    chart.current = created;
    setOnly(null);
    const resized = new ResizeObserver(() => created.setSize({ width: parent.current!.clientWidth, height: 300 }));
    resized.observe(parent.current!);
    return () => {
      resized.disconnect();
      created.destroy();
      chart.current = null;
    };
    // new data of the same series only replaces the columns, below
  }, [shape, dark, data[0].length === 1]);

  useEffect(() => chart.current?.setData(data as uPlot.AlignedData), [data]);
  useEffect(() => {
    names.forEach((_, i) => chart.current?.setSeries(i + 1, { show: only === null || only === i }));
  }, [only, shape]);

  const at = cursor ?? data[0].length - 1;
  return (
    <>
      <div className="chart" ref={parent} />
      <ul className="legend" aria-label="Series">
        {names.slice(0, LEGEND_ROWS).map((name, i) => (
          <li key={name} className={only !== null && only !== i ? "off" : ""}>
            <button onClick={() => setOnly(only === i ? null : i)} title="Show only this series, or all again">
              <span className="swatch" style={{ background: color(i) }} />
              <span className="series">{name}</span>
              <span className="value">{shortValue(data[i + 1]?.[at])}</span>
            </button>
          </li>
        ))}
        {names.length > LEGEND_ROWS && <li className="more">and {names.length - LEGEND_ROWS} more series</li>}
      </ul>
    </>
  );
}

/** A little room above and below; a flat line gets some of both. Zero stays the floor of what is never negative. */
function padded(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  const floor = low >= 0 && low < (high - low) * 2 ? 0 : low - room;
  return [floor, high + room];
}
