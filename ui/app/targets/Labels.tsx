// Labels as small plates.

import type { LabelSet } from "../api";

export function Labels({ labels, dim = false }: { labels: LabelSet; dim?: boolean }) {
  return (
    <span className={dim ? "labels discovered" : "labels"}>
      {Object.entries(labels).map(([name, value]) => <code key={name}>{name}="{value}"</code>)}
    </span>
  );
}
