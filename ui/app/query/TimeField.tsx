// A moment as text: 24 hours and an ISO date whatever the browser's language, which its own date field does not offer.

import { useEffect, useState } from "react";
import { formatTime, parseTime } from "../time";

interface Props {
  label: string;
  /** Milliseconds; null for now. */
  value: number | null;
  onChange: (value: number | null) => void;
}

export function TimeField({ label, value, onChange }: Props) {
  const shown = value === null ? "" : formatTime(value);
  const [text, setText] = useState(shown);
  useEffect(() => setText(shown), [shown]);
  const parsed = parseTime(text, Date.now());
  const done = () => {
    if (parsed !== undefined && text !== shown) onChange(parsed);
  };
  return (
    <input
      type="text" className="moment" aria-label={label} placeholder="now" spellCheck={false} autoComplete="off"
      title="2026-11-21 18:36:05, or 18:36 of today; empty follows the clock"
      aria-invalid={parsed === undefined} value={text}
      onChange={(e) => setText(e.target.value)} onBlur={done} onKeyDown={(e) => e.key === "Enter" && done()}
    />
  );
}
