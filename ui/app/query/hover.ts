// Where the pointer is on a chart, for those who show it: told outside of React's state, so that a move of the mouse
// draws the tooltip and the values shown, and nothing else.

import type { Nearest } from "./nearest";

export interface Hover {
  /** Index of the time under the pointer. */
  at: number;
  /** Pixels from the upper left corner of the plot. */
  left: number;
  top: number;
  nearest: Nearest | null;
}

export class HoverStore {
  #value: Hover | null = null;
  #listeners = new Set<() => void>();

  readonly get = (): Hover | null => this.#value;
  readonly at = (): number | null => this.#value?.at ?? null;
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  set(value: Hover | null): void {
    if (value === this.#value) return;
    this.#value = value;
    for (const listener of this.#listeners) listener();
  }
}
