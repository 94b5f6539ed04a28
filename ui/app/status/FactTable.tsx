// A card with rows of name and value.

import type { Row } from "./rows";

interface Props {
  title: string;
  rows: Row[];
  /** Values are numbers, to be aligned as such. */
  numbers?: boolean;
}

export function FactTable({ title, rows, numbers = false }: Props) {
  return (
    <section className="panel" aria-label={title}>
      <h2>{title}</h2>
      <table className={numbers ? "facts numbers" : "facts"}>
        <tbody>{rows.map(([name, text]) => <tr key={name}><th scope="row">{name}</th><td>{text}</td></tr>)}</tbody>
      </table>
      {rows.length === 0 && <p className="empty">Nothing yet.</p>}
    </section>
  );
}
