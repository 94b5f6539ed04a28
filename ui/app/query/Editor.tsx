// The expression editor: PromQL highlighting, completion from the server, errors as they are typed.

import {
  acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, completionStatus,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { useEffect, useRef } from "react";
import { root } from "../api";

const highlight = HighlightStyle.define([
  { tag: tags.number, color: "var(--code-number)" },
  { tag: tags.string, color: "var(--code-string)" },
  { tag: tags.keyword, color: "var(--code-keyword)" },
  { tag: tags.function(tags.variableName), color: "var(--code-function)" },
  { tag: tags.labelName, color: "var(--code-label)" },
  { tag: tags.operator, color: "var(--dim)" },
  { tag: tags.modifier, color: "var(--code-keyword)" },
  { tag: tags.comment, color: "var(--dim)", fontStyle: "italic" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

interface Props {
  value: string;
  onChange: (value: string) => void;
  onRun: (value: string) => void;
}

export function Editor({ value, onChange, onRun }: Props) {
  const parent = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const calls = useRef({ onChange, onRun });
  calls.current = { onChange, onRun };

  useEffect(() => {
    const promql = new PromQLExtension().activateLinter(true).setComplete({
      remote: { url: root().replace(/\/$/, ""), httpMethod: "GET", cache: { initialMetricList: [] } },
    });
    // Enter takes a completion while one is chosen, and runs the expression otherwise
    const run = (target: EditorView) => {
      if (completionStatus(target.state) === "active" && acceptCompletion(target)) return true;
      calls.current.onRun(target.state.doc.toString());
      return true;
    };
    const created = new EditorView({
      parent: parent.current!,
      state: EditorState.create({
        doc: value,
        extensions: [
          Prec.highest(keymap.of([{ key: "Enter", run }, { key: "Shift-Enter", run: insertNewlineAndIndent }])),
          history(),
          bracketMatching(),
          closeBrackets(),
          autocompletion({ activateOnTyping: true }),
          promql.asExtension(),
          syntaxHighlighting(highlight),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": "Expression" }),
          placeholder("Expression — Enter runs it, Shift+Enter begins a new line"),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) calls.current.onChange(update.state.doc.toString());
          }),
          Prec.low(keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap])),
        ],
      }),
    });
    view.current = created;
    return () => created.destroy();
    // the editor owns its text; changes from outside arrive through the effect below
  }, []);

  useEffect(() => {
    const target = view.current;
    if (target && target.state.doc.toString() !== value) {
      target.dispatch({ changes: { from: 0, to: target.state.doc.length, insert: value } });
    }
  }, [value]);

  return <div className="editor" ref={parent} />;
}
