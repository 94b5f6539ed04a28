// A failure above what is shown.

import type { Failure } from "./failure";

/** `old`: an earlier answer is shown below. */
export function FailureNote({ failure, old }: { failure?: Failure; old: boolean }) {
  if (!failure) return null;
  return (
    <pre className={failure.unreachable ? "warning" : "error"} role="alert">
      {failure.text}{failure.unreachable && old && " Below is its last answer."}
    </pre>
  );
}
