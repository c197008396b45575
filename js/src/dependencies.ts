/**
 * What a node waits for.
 *
 * The SDK takes for a dependency of a CoValue whatever a message names as its author or owner, as what it is a branch of, or
 * as a member of a group, before it has checked the message, and then keeps everything that anybody writes there waiting
 * until that dependency has come. A name that was garbled on its way, or made up, never comes: nobody could write to the
 * CoValue any more, and what they try would pile up. So a message from outside waits by itself for what it names, and is
 * dropped if that cannot be had; its sender gets no confirmation. A header that is not that of its id counts for nothing.
 *
 * The SDK also takes a message with a header for all that there is of a CoValue that is not in memory, though the store may
 * have what others wrote to it: whoever asks then is told that there is no more. So that is taken out of the store first.
 */

import { cojsonInternals, type LocalNode, type RawCoID } from "cojson";
import { isStored } from "./holdings";

type Handle = LocalNode["syncManager"]["handleNewContent"];
type Message = Parameters<Handle>[0];
type Header = NonNullable<Message["header"]>;
export type Peer = Exclude<Parameters<Handle>[1], string>;

/** How long what a message names is waited for, milliseconds. */
const PATIENCE_MS = 5_000;

/** Who counts the messages that wait. */
export interface Count {
  /** A message begins to wait for these names; what hears that it is over, and whether they have come. None where it is not to wait: it is dropped. */
  begins(from: Peer, message: Message, names: RawCoID[]): ((came: boolean) => void) | undefined;
}

const NOBODY: Count = { begins: () => () => {} };

/** Has a node take content from outside only once everything is there that it names. */
export function awaitDependencies(node: LocalNode, count = NOBODY): void {
  const sync = node.syncManager;
  const handle: Handle = sync.handleNewContent.bind(sync);
  // `hasCoValue` is true of what was looked for in vain, too.
  const lacks = (id: RawCoID) => !node.hasCoValue(id) || !node.getCoValue(id).isAvailable();
  const take: Handle = (message, from) => {
    if (from === "storage" || from === "import") return handle(message, from);
    const isHere = !lacks(message.id);
    // Of what is here the header is known, and another one would be believed.
    if (isHere) delete message.header;
    if (message.header && cojsonInternals.idforHeader(message.header, node.crypto) !== message.id) {
      return console.warn("dropped content with a header that is not its own");
    }
    const header = isHere ? node.getCoValue(message.id).verified?.header : message.header;
    const names = named(message, header);
    if (!names) return console.warn("dropped content that names what cannot be");
    const lacking = names.filter(lacks);
    if (message.header && isStored(message.id)) lacking.push(message.id);
    if (lacking.length === 0) return handle(message, from);
    const over = count.begins(from, message, lacking);
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
      // With what has come it may be seen that it names more.
      if (came) take(message, from);
      else console.warn("dropped content that names what nobody has");
    });
  };
  sync.handleNewContent = take;
}

/**
 * What a message makes its CoValue depend on, as the SDK has it, with this header: owner, source, authors that are accounts, and
 * the members and parents of a group. None where something of that is no name: whoever makes up a message may put anything there.
 */
function named(message: Message, header: Header | undefined): RawCoID[] | undefined {
  const ids = new Set<unknown>();
  if (header?.ruleset?.type === "ownedByGroup") ids.add(header.ruleset.group);
  if (header?.meta?.source) ids.add(header.meta.source);
  for (const [session, content] of Object.entries(message.new)) {
    const author = session.slice(0, session.indexOf("_session_"));
    if (author.startsWith("co_")) ids.add(author);
    if (header?.ruleset?.type === "group") for (const id of inGroup(content?.newTransactions)) ids.add(id);
  }
  ids.delete(message.id);
  const all = [...ids];
  return all.every((id) => typeof id === "string") ? (all as RawCoID[]) : undefined;
}

/** Whom transactions of a group name. */
function* inGroup(transactions: unknown): Generator<string> {
  if (!Array.isArray(transactions)) return;
  for (const transaction of transactions) {
    if (transaction?.privacy !== "trusting") continue;
    for (const change of changesIn(transaction.changes)) {
      const key = change?.op === "set" ? cojsonInternals.getGroupDependentKey(change.key) : undefined;
      if (key) yield key;
    }
  }
}

function changesIn(text: unknown): { op?: unknown; key?: unknown }[] {
  try {
    const changes: unknown = JSON.parse(text as string);
    return Array.isArray(changes) ? changes : [];
  } catch {
    return [];
  }
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
