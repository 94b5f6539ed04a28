// The read-out at the pointer: the time, the nearest series with its value, and its line above all others. The line is
// drawn on a canvas of its own: the chart below, with perhaps thousands of lines, is not drawn again.

import { useEffect, useRef, useSyncExternalStore } from "react";
import type uPlot from "uplot";
import { shortValue } from "../format";
import { formatTime } from "../time";
import { color, type Columns } from "./columns";
import type { Hover, HoverStore } from "./hover";

interface Props {
  chart: React.RefObject<uPlot | null>;
  store: HoverStore;
  data: Columns;
  names: string[];
}

export function Highlight({ chart, store, data, names }: Props) {
  const hover = useSyncExternalStore(store.subscribe, store.get);
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (chart.current && canvas.current) draw(canvas.current, chart.current, hover, data);
  }, [hover, data]);
  const time = hover && data[0][hover.at];
  const plot = chart.current;
  return (
    <>
      <canvas className="highlight" ref={canvas} />
      {hover && plot && time !== null && time !== undefined && (
        <div className="tip" role="status" style={place(plot, hover)}>
          <time>{formatTime(time * 1000)}</time>
          {hover.nearest && (
            <>
              <div><span className="swatch" style={{ background: color(hover.nearest.series) }} /><Value value={hover.nearest.value} /></div>
              <div className="name">{names[hover.nearest.series]}</div>
              {hover.nearest.same > 0 && <small>and {hover.nearest.same} more of this value</small>}
            </>
          )}
        </div>
      )}
    </>
  );
}

/** Short, and with ten digits where the short form has lost some. */
function Value({ value }: { value: number }) {
  const short = shortValue(value);
  const full = String(Number(value.toPrecision(10)));
  return <><strong>{short}</strong>{full !== short && <span className="full">{full}</span>}</>;
}

/** Beside the pointer, on the side that has more room, and at most that wide. */
function place(plot: uPlot, { left, top }: Hover): React.CSSProperties {
  const box = { left: plot.over.offsetLeft, top: plot.over.offsetTop, width: plot.over.clientWidth, height: plot.over.clientHeight };
  const style: React.CSSProperties = left < box.width / 2 ? { left: box.left + left + 12 } : { right: plot.width - box.left - left + 12 };
  if (top < box.height / 2) style.top = box.top + top + 8;
  else style.bottom = plot.height - box.top - top + 8;
  style.maxWidth = Math.min(440, (left < box.width / 2 ? plot.width - box.left - left : box.left + left) - 16);
  return style;
}

function draw(canvas: HTMLCanvasElement, plot: uPlot, hover: Hover | null, data: Columns): void {
  const nearest = hover?.nearest;
  canvas.style.visibility = nearest ? "visible" : "hidden";
  const column = nearest && data[nearest.series + 1];
  if (!hover || !nearest || !column) return;
  const { offsetLeft, offsetTop, clientWidth: width, clientHeight: height } = plot.over;
  const ratio = devicePixelRatio;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  Object.assign(canvas.style, { left: `${offsetLeft}px`, top: `${offsetTop}px`, width: `${width}px`, height: `${height}px` });
  const pen = canvas.getContext("2d")!;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  if (data.length > 2) {
    pen.globalAlpha = 0.6;
    pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--card");
    pen.fillRect(0, 0, width, height);
    pen.globalAlpha = 1;
  }
  pen.strokeStyle = pen.fillStyle = color(nearest.series);
  pen.lineWidth = 2.5;
  pen.lineJoin = "round";
  pen.beginPath();
  let on = false;
  data[0].forEach((time, i) => {
    const value = column[i];
    if (value === null || value === undefined) { on = false; return; }
    const [x, y] = [plot.valToPos(time, "x"), plot.valToPos(value, "y")];
    if (on) pen.lineTo(x, y);
    else pen.moveTo(x, y);
    on = true;
  });
  pen.stroke();
  pen.beginPath();
  pen.arc(plot.valToPos(data[0][hover.at]!, "x"), plot.valToPos(nearest.value, "y"), 4, 0, 2 * Math.PI);
  pen.fill();
}
