/**
 * Who may write on a relay, and how much.
 *
 * Where clients are invited, one connection is for one account: what other accounts have signed is not taken through it. Who
 * comes with an invitation that nobody has used yet names his account in the first message, and proves it by what it
 * signs; only then is the invitation his. Everybody who was let in may read what he knows the id of, since accounts share
 * groups, and an id is as hard to guess as a key.
 *
 * What is refused is never confirmed. A client that cannot go on hears why; what it brings of others without need, as
 * devices do that share something, is left out.
 */

import { cojsonInternals, type LocalNode, type RawCoID } from "cojson";
import { type Content, isWellFormed, sizeOf, tidy } from "./content";
import type { Guest } from "./guest";
import { type Held, held, isStored, noteRefusal, ownerIn, takeBack } from "./holdings";
import type { Largest } from "./largest";
import type { Serving } from "./protocol";

type Handle = LocalNode["syncManager"]["handleNewContent"];
type Core = ReturnType<LocalNode["getCoValue"]>;

/** The codes of `src/runtime/ending.rs` that are decided on here. */
const MALFORMED = 4400;
const OTHER_ACCOUNT = 4409;
const TOO_LARGE = 4413;
const NO_ROOM = 4507;
const TOO_MANY_VALUES = 4508;
const VALUE_TOO_LARGE = 4510;

/** The largest transaction, in characters: the SDK makes none of more than 1 MiB before it encrypts it. */
const LARGEST_TRANSACTION = 2 << 20;
/** What is no larger may go a sixteenth beyond the limit: settings and the names of devices go on. */
const SMALL = 4 << 10;
/** No header is longer, in characters: it counts for nobody. */
const LONGEST_HEADER = 64 << 10;
/** About as many characters does a transaction have in the store besides what it says. */
const FRAME = 200;
/** How long a client whose account is full is still heard: what fits gets through before it hears why. */
const LENIENCE_MS = 2_000;
/** Accounts of which it is remembered what they hold, and when something of theirs was not taken. */
const REMEMBERED = 10_000;
/** For how long, where others use the same store: so late it is seen what an account has brought to them. */
const REMEMBERED_MS = 1_000;
/** The same for an account that has not even half of what it may. */
const FAR_FROM_FULL_MS = 30_000;

/** What an account holds, and when that was looked up. */
interface Remembered extends Held {
  at: number;
}

const DAY_MS = 86_400_000;

/** Why a message is too much, and for whom. */
interface Excess {
  code: number;
  /** Undefined where it would be for anybody. */
  account?: string;
  /** Whether nothing but this one message is not taken. */
  isOfOne?: boolean;
}

export class Writers {
  /** Whose content is being taken in. */
  writing: Guest | undefined;
  private readonly holdings = new Map<string, Remembered>();
  /** On which day something of an account was last not taken. */
  private readonly refused = new Map<string, number>();

  /** Takes part in what a node does with content from outside; `guests` are by the names that the SDK has for them. */
  constructor(
    private readonly node: LocalNode,
    guests: ReadonlyMap<string, Guest>,
    private readonly limits: Serving,
    private readonly largest: Largest,
  ) {
    const sync = node.syncManager;
    const push = sync.pushMessage.bind(sync);
    sync.pushMessage = (message, peer) => {
      const guest = guests.get(peer.id);
      if (guest) guest.first ??= message.id;
      push(message, peer);
    };
    const handle: Handle = sync.handleNewContent.bind(sync);
    sync.handleNewContent = (message, from) => {
      const isOwn = from === "storage" || from === "import";
      // What has waited until its client had gone is nobody's: nothing of it could be judged.
      if (!isOwn && from.closed) return;
      const guest = isOwn ? undefined : guests.get(from.id);
      if (!guest) return handle(message, from);
      if (!isWellFormed(message)) return guest.refuse(MALFORMED);
      tidy(message);
      this.take(message, guest, (admitted) => handle(admitted, from));
    };
  }

  private take(message: Content, guest: Guest, handle: (message: Content) => void): void {
    const own = guest.account === undefined ? message : this.ofAccount(message, guest);
    if (!own) return;
    const isOfOthers = guest.first !== undefined && Object.keys(own.new).some((session) => this.authorOf(session, own) !== guest.first);
    const excess = this.exceeds(own);
    if (excess) return this.refuse(excess, guest, isOfOthers);
    if (isOfOthers) guest.isForMany = true;
    const before = this.counts(own);
    const isNew = guest.account === null && !isStored(own.id);
    this.writing = guest;
    try {
      handle(own);
    } finally {
      this.writing = undefined;
    }
    const after = this.counts(own);
    if (guest.account === null && Object.keys(own.new).some((session) => (after[session] ?? 0) > (before[session] ?? 0))) {
      const account = this.writer(guest);
      // What was taken is confirmed only later.
      if (account && guest.claim(account)) {
        guest.account = account;
      } else {
        // Somebody was quicker to use the invitation.
        if (isNew) takeBack(this.node, own.id);
        guest.refuse(OTHER_ACCOUNT);
      }
    }
  }

  /**
   * Does not take a message. Whoever brings it for others, as a relay below this one does, goes on without it: only
   * who is full himself, or has made too large what he brings, is sent away.
   */
  private refuse(excess: Excess, guest: Guest, isOfOthers: boolean): void {
    const { code, account } = excess;
    if (account !== undefined) {
      this.note(account);
      if (account !== this.writer(guest)) return;
    } else if (!excess.isOfOne) {
      return guest.refuse(code);
    } else {
      console.warn("a CoValue is as large as one may be (max_value_mib), and what somebody adds to it is not taken");
      if (isOfOthers) return;
    }
    setTimeout(() => {
      if (!guest.isForMany) guest.refuse(code);
    }, LENIENCE_MS);
  }

  /** Notes that something of an account was not taken today, for whoever runs this relay. */
  private note(account: string): void {
    const today = Math.floor(Date.now() / DAY_MS);
    if (this.refused.get(account) === today) return;
    if (this.refused.size >= REMEMBERED) this.refused.clear();
    this.refused.set(account, today);
    console.warn("an account is full, and what it brings is not taken: `caro relay accounts` says which one");
    noteRefusal(account, today);
  }

  /** The account whose writing is taken from a guest. */
  private writer(guest: Guest): string | undefined {
    return guest.account ?? guest.first;
  }

  /** The part of a message that the guest's account has written; undefined where there is none. */
  private ofAccount(message: Content, guest: Guest): Content | undefined {
    const writer = this.writer(guest);
    const sessions = Object.entries(message.new);
    const own = sessions.filter(([session]) => this.authorOf(session, message) === writer);
    const isNew = message.header !== undefined && guest.account !== null;
    const owns = isNew && ownerIn(this.node, message.id, message.header as never) === writer;
    if (own.length > 0 || (sessions.length === 0 && owns)) return { ...message, new: Object.fromEntries(own) };
    if (guest.account && guest.first !== guest.account) guest.refuse(OTHER_ACCOUNT);
    else console.debug("left out what another account has written");
    return undefined;
  }

  /** The account that has signed a session. */
  private authorOf(session: string, message: Content): string | undefined {
    const author = session.slice(0, session.indexOf("_session_"));
    if (author.startsWith("co_")) return author;
    // An agent is that of the account which it made, and of no other.
    const header = message.header ?? this.core(message.id)?.verified?.header;
    const ruleset = header?.ruleset;
    if (ruleset?.type === "group" && ruleset.initialAdmin === author) return ownerIn(this.node, message.id, header as never);
    const standard = { type: "comap", ruleset: { type: "group", initialAdmin: author }, meta: { type: "account" }, createdAt: null, uniqueness: null };
    return cojsonInternals.idforHeader(standard as never, this.node.crypto);
  }

  private core(id: RawCoID): Core | undefined {
    return this.node.hasCoValue(id) ? this.node.getCoValue(id) : undefined;
  }

  private counts(message: Content): Record<string, number> {
    const core = this.core(message.id);
    return core?.isAvailable() ? { ...core.knownState().sessions } : {};
  }

  /** Why a message is too much; undefined where it is not. */
  private exceeds(message: Content): Excess | undefined {
    if (message.header && JSON.stringify(message.header).length > LONGEST_HEADER) return { code: TOO_LARGE };
    const written = new Map<string, number>();
    for (const [session, { newTransactions }] of Object.entries(message.new)) {
      let bytes = 0;
      for (const transaction of newTransactions) {
        const size = sizeOf(transaction);
        if (size > LARGEST_TRANSACTION) return { code: TOO_LARGE };
        bytes += size + FRAME;
      }
      const author = this.authorOf(session, message);
      // Deleting makes room.
      if (author && !this.largest.deletes(message, session, newTransactions)) written.set(author, (written.get(author) ?? 0) + bytes);
    }
    if (this.largest.isExceededBy(message)) return { code: VALUE_TOO_LARGE, isOfOne: true };
    return this.exceedsBytes(written) ?? this.exceedsValues(message);
  }

  private exceedsBytes(written: Map<string, number>): Excess | undefined {
    const limit = this.limits.bytesPerAccount;
    if (limit === null) return undefined;
    for (const [account, bytes] of written) {
      const most = bytes <= SMALL ? limit + Math.floor(limit / 16) : limit;
      const fits = (holding: Held) => holding.bytes + bytes <= most;
      if (!fits(this.holding(account)) && !fits(this.lookUp(account))) return { code: NO_ROOM, account };
      this.holding(account).bytes += bytes;
    }
    return undefined;
  }

  private exceedsValues(message: Content): Excess | undefined {
    const limit = this.limits.valuesPerAccount;
    if (limit === null || !message.header || this.core(message.id)?.isAvailable() || isStored(message.id)) return undefined;
    const owner = ownerIn(this.node, message.id, message.header as never);
    if (owner === undefined) return undefined;
    const fits = (holding: Held) => holding.values + 1 <= limit;
    if (!fits(this.holding(owner)) && !fits(this.lookUp(owner))) return { code: TOO_MANY_VALUES, account: owner };
    this.holding(owner).values += 1;
    return undefined;
  }

  /** What an account holds, or a little more: what was refused afterwards or came twice is counted in. */
  private holding(account: string): Held {
    const known = this.holdings.get(account);
    return known && this.isFresh(known) ? known : this.lookUp(account);
  }

  /** Whether it can be relied on that an account holds this. */
  private isFresh(known: Remembered): boolean {
    if (!this.limits.tells) return true;
    const { bytesPerAccount, valuesPerAccount } = this.limits;
    const isFar = known.bytes * 2 < (bytesPerAccount ?? Infinity) && known.values * 2 < (valuesPerAccount ?? Infinity);
    return performance.now() - known.at < (isFar ? FAR_FROM_FULL_MS : REMEMBERED_MS);
  }

  private lookUp(account: string): Held {
    if (this.holdings.size >= REMEMBERED) this.holdings.clear();
    const found = { ...held(account), at: performance.now() };
    this.holdings.set(account, found);
    return found;
  }
}
