// The configuration in force, as text.

import { useRef, useState } from "react";
import { request } from "../api";
import { FailureNote } from "../FailureNote";
import { useLoaded } from "../useLoaded";

export function ConfigPage() {
  const { data, failure } = useLoaded("", async (signal) => (await request<{ yaml: string }>("status/config", {}, signal)).data.yaml);
  const text = useRef<HTMLPreElement>(null);
  const [told, setTold] = useState("");
  const copy = async () => {
    setTold((await copied(text.current!, data ?? "")) ? "Copied" : "Selected: copy it with the keyboard");
    setTimeout(() => setTold(""), 3000);
  };
  return (
    <main>
      <FailureNote failure={failure} old={data !== undefined} />
      {data !== undefined && (
        <section className="panel" aria-label="Configuration">
          <h2>Configuration in force <button onClick={() => void copy()}>Copy</button> <small role="status">{told}</small></h2>
          <pre className="code" ref={text} tabIndex={0}>{data}</pre>
        </section>
      )}
    </main>
  );
}

/** Browsers give the clipboard to pages of https and of this machine only; elsewhere the text is selected and the old way tried. */
async function copied(shown: HTMLElement, text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    return document.execCommand("copy");
  }
}
