// The chart: lines over time, drag to zoom, double click to go back.

import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatSeries } from "../format";
import { zoneName } from "../time";
import { axisSize, RIGHT_ROOM, strideFor, timeLabels, timeMarks, valueLabels } from "./axis";
import { align, color, type Series } from "./columns";
import { Highlight } from "./Highlight";
import { HoverStore } from "./hover";
import { Legend } from "./Legend";
import { nearestSeries, nearestTime } from "./nearest";

interface Props {
  series: Series[];
  start: number;
  end: number;
  step: number;
  /** Called with seconds when a range was dragged. */
  onZoom: (start: number, end: number) => void;
  /** Called at a double click: back to the range before. */
  onUnzoom: () => void;
  dark: boolean;
}

const HEIGHT = 300;

export function Graph({ series, start, end, step, onZoom, onUnzoom, dark }: Props) {
  const parent = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>(null);
  const [store] = useState(() => new HoverStore());
  const [only, setOnly] = useState<number | null>(null);
  const data = useMemo(() => align(series, start, end, step), [series, start, end, step]);
  const names = useMemo(() => series.map((one) => formatSeries(one.metric)), [series]);
  const shape = useMemo(() => names.join("\n"), [names]);
  // what the chart's own callbacks see: always of the last drawing
  const now = useRef({ data, only, onZoom, onUnzoom });
  now.current = { data, only, onZoom, onUnzoom };

  useEffect(() => {
    const box = parent.current!;
    let frame = 0;
    const pointed = (u: uPlot) => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => point(u, store, now.current));
    };
    const created = new uPlot(
      {
        ...look(),
        width: box.clientWidth,
        height: HEIGHT,
        series: [{}, ...names.map((_, i) => ({ stroke: color(i), width: 1.5, points: { show: data[0].length === 1 } }))],
        cursor: {
          y: false,
          drag: { x: true, y: false, setScale: false },
          points: { show: false },
          bind: { dblclick: () => () => { now.current.onUnzoom(); return null; } },
        },
        hooks: {
          setCursor: [pointed],
          setSelect: [
            (u) => {
              if (u.select.width < 4) return;
              now.current.onZoom(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            },
          ],
        },
      },
      data as uPlot.AlignedData,
      box,
    );
    chart.current = created;
    setOnly(null);
    // also told when the box leaves the page, and then has no width
    const resized = new ResizeObserver(() => box.clientWidth > 0 && created.setSize({ width: box.clientWidth, height: HEIGHT }));
    resized.observe(box);
    return () => {
      cancelAnimationFrame(frame);
      store.set(null);
      resized.disconnect();
      created.destroy();
      chart.current = null;
    };
    // new data of the same series only replaces the columns, below
  }, [shape, dark, data[0].length === 1]);

  useEffect(() => {
    const drawn = chart.current;
    if (!drawn || drawn.data === (data as unknown)) return;
    drawn.setData(data as uPlot.AlignedData);
    if (store.get()) point(drawn, store, now.current);
  }, [data]);
  useEffect(() => {
    const drawn = chart.current;
    drawn?.batch(() => names.forEach((_, i) => {
      const show = only === null || only === i;
      if (drawn.series[i + 1]!.show !== show) drawn.setSeries(i + 1, { show });
    }));
  }, [only, shape]);

  return (
    <>
      <div className="plot">
        <div className="chart" ref={parent} />
        <Highlight chart={chart} store={store} data={data} names={names} />
      </div>
      <p className="zone">Times in {zoneName(end * 1000)}</p>
      <Legend names={names} data={data} store={store} only={only} onOnly={setOnly} />
    </>
  );
}

/** Axes, colours and scales: what depends on the theme and not on the data. */
function look(): Pick<uPlot.Options, "legend" | "padding" | "scales" | "axes"> {
  const style = getComputedStyle(document.documentElement);
  const axis = { stroke: style.getPropertyValue("--dim"), grid: { stroke: style.getPropertyValue("--line"), width: 1 }, ticks: { show: false } };
  const plotWidth = (u: uPlot) => (u.bbox.width || u.width * uPlot.pxRatio) / uPlot.pxRatio;
  return {
    legend: { show: false, live: false },
    padding: [12, RIGHT_ROOM, 0, 0],
    scales: { x: { time: true }, y: { range: (_, low, high) => padded(low, high) } },
    axes: [
      {
        ...axis,
        size: 44,
        splits: (u, _, min, max) => timeMarks(min, max, strideFor(min, max, plotWidth(u))),
        values: (u, marks) => {
          const { min, max } = u.scales["x"]!;
          return timeLabels(marks, strideFor(min!, max!, plotWidth(u)), max!, (max! - min!) / plotWidth(u));
        },
      },
      { ...axis, size: (_, labels) => axisSize(labels), values: (_, marks) => valueLabels(marks) },
    ],
  };
}

function point(u: uPlot, store: HoverStore, { data, only }: { data: ReturnType<typeof align>; only: number | null }): void {
  const { left = -1, top = -1 } = u.cursor;
  if (left < 0 || top < 0) {
    store.set(null);
    return;
  }
  const at = nearestTime(data[0], u.posToVal(left, "x"));
  store.set({ at, left, top, nearest: nearestSeries(data, at, u.posToVal(top, "y"), only) });
}

/** A little room above and below; a flat line gets some of both. Zero stays the floor of what is never negative. */
function padded(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  const floor = low >= 0 && low < (high - low) * 2 ? 0 : low - room;
  return [floor, high + room];
}
