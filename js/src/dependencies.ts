/**
 * What a node waits for.
 *
 * The SDK takes for a dependency of a CoValue whatever a message names as its author or owner, before it has checked the
 * message, and then keeps everything that anybody writes there waiting until that dependency has come. A name that was
 * garbled on its way, or made up, never comes: nobody could write to the CoValue any more. So a message from outside
 * waits by itself for what it names, and is dropped if that cannot be had; its sender gets no confirmation.
 *
 * The SDK also takes a message with a header for all that there is of a CoValue that is not in memory, though the store may
 * have what others wrote to it: whoever asks then is told that there is no more. So that is taken out of the store first.
 */

import type { LocalNode, RawCoID } from "cojson";
import { isStored } from "./holdings";

type Handle = LocalNode["syncManager"]["handleNewContent"];
type Message = Parameters<Handle>[0];
export type Peer = Exclude<Parameters<Handle>[1], string>;

/** How long what a message names is waited for, milliseconds. */
const PATIENCE_MS = 5_000;

/** Who counts the messages that wait. */
export interface Count {
  /** A message begins to wait for these names; what hears that it is over, and whether they have come. None where it is not to wait: it is dropped. */
  begins(from: Peer, names: RawCoID[]): ((came: boolean) => void) | undefined;
}

const NOBODY: Count = { begins: () => () => {} };

/** Has a node take content from outside only once everything is there that it names. */
export function awaitDependencies(node: LocalNode, count = NOBODY): void {
  const sync = node.syncManager;
  const handle: Handle = sync.handleNewContent.bind(sync);
  // `hasCoValue` is true of what was looked for in vain, too.
  const lacks = (id: RawCoID) => !node.hasCoValue(id) || !node.getCoValue(id).isAvailable();
  sync.handleNewContent = (message, from) => {
    if (from === "storage" || from === "import") return handle(message, from);
    const lacking = named(message).filter(lacks);
    if (message.header && lacks(message.id) && isStored(message.id)) lacking.push(message.id);
    if (lacking.length === 0) return handle(message, from);
    const over = count.begins(from, lacking);
    if (!over) return;
    const peers = sync.getServerPeers(message.id);
    if (from.role === "client") peers.push(from);
    const come = lacking.map((id) => {
      const core = node.getCoValue(id);
      core.load(peers, "immediate");
      return Promise.race([core.waitForAvailableOrUnavailable(), passed(PATIENCE_MS)]);
    });
    void Promise.all(come).then(() => {
      const came = !lacking.some(lacks);
      over(came);
      if (came) handle(message, from);
      else console.warn("dropped content of an author or owner that nobody has");
    });
  };
}

/** The authors of a message's transactions that are accounts, and the owner that its header names. */
function named(message: Message): RawCoID[] {
  const ids = new Set<string>();
  const ruleset = message.header?.ruleset;
  // Whoever makes up a message may put anything there.
  if (ruleset?.type === "ownedByGroup" && typeof ruleset.group === "string") ids.add(ruleset.group);
  for (const session of Object.keys(message.new)) {
    const author = session.slice(0, session.indexOf("_session_"));
    if (author.startsWith("co_")) ids.add(author);
  }
  ids.delete(message.id);
  return [...ids] as RawCoID[];
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
