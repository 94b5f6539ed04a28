// The names of the lines, with their values under the pointer or at the end.

import { memo, useCallback, useSyncExternalStore } from "react";
import { shortValue } from "../format";
import { color, type Columns } from "./columns";
import type { HoverStore } from "./hover";

/** More lines than this are drawn, but not all named: the page stays quick. */
const ROWS = 100;

interface Props {
  names: string[];
  data: Columns;
  store: HoverStore;
  only: number | null;
  onOnly: (series: number | null) => void;
}

export function Legend({ names, data, store, only, onOnly }: Props) {
  const at = useSyncExternalStore(store.subscribe, store.at) ?? data[0].length - 1;
  const toggle = useCallback((series: number) => onOnly(only === series ? null : series), [only, onOnly]);
  return (
    <ul className="legend" aria-label="Series">
      {names.slice(0, ROWS).map((name, i) => (
        <Row key={name} name={name} series={i} off={only !== null && only !== i} value={shortValue(data[i + 1]?.[at])} onClick={toggle} />
      ))}
      {names.length > ROWS && <li className="more">and {names.length - ROWS} more series: point at a line for its name</li>}
    </ul>
  );
}

interface RowProps {
  name: string;
  series: number;
  off: boolean;
  value: string;
  onClick: (series: number) => void;
}

const Row = memo(function Row({ name, series, off, value, onClick }: RowProps) {
  return (
    <li className={off ? "off" : ""}>
      <button onClick={() => onClick(series)} title="Show only this series, or all again">
        <span className="swatch" style={{ background: color(series) }} />
        <span className="series">{name}</span>
        <span className="value">{value}</span>
      </button>
    </li>
  );
});
