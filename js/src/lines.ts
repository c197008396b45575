/**
 * Lines of the log on their way to the host. What a relay says in it unasked names nobody, and there is no more of it than
 * somebody could read: whoever means harm could fill a disk with it otherwise.
 */

/** Levels as `op_log` numbers them: this one and what is more important is said unasked. */
const WARN = 1;

/** The ids of the protocol, some of which are those of accounts or begin with them. */
const IDS = /\b(co_z|signer_z|sealer_z|session_z|signature_z|key_z)[1-9A-HJ-NP-Za-km-z]+/g;

/** So many lines are said in a minute. */
const MOST = 30;
const MINUTE_MS = 60_000;

let isOfRelay = false;
let begun = 0;
let said = 0;

/** From now on these are lines of a relay. */
export function speakAsRelay(): void {
  isOfRelay = true;
}

export function writeLine(level: number, text: string): void {
  const { op_log, op_clock_monotonic } = Deno.core.ops;
  if (!isOfRelay || level > WARN) return op_log(level, text);
  const now = op_clock_monotonic();
  if (now - begun > MINUTE_MS) {
    if (said > MOST) op_log(WARN, `${said - MOST} more such lines were left out`);
    [begun, said] = [now, 0];
  }
  said += 1;
  if (said <= MOST) op_log(level, text.replace(IDS, "$1…"));
}
