/**
 * One client of a relay, as the SDK's node has it: a peer and both of its channels in one object.
 *
 * The SDK's own transport makes dozens of objects for each connection. A relay has thousands that say nothing most of the
 * time, and has this for each instead. Frames are read in turn with those of others. Answers go at once, or by priority
 * where the client has not taken what was sent before; a confirmation, and what follows it, only once the disk has what it
 * confirms: the SDK confirms a change before it stores it, in one go.
 */

import { cojsonInternals, type Peer, PriorityBasedMessageQueue, type SyncMessage } from "cojson";
import { type Frame, frameOf, sendFrame } from "./frame";
import { sizeOf } from "./size";

type Message = Parameters<Peer["outgoing"]["push"]>[0];

/** Answers in bytes that may wait for a client; further ones are held back, and it is not read on. */
const FULL = 100_000;
/** How soon it is looked whether they have gone, milliseconds; the longer that takes, the later again: there may be thousands. */
const LOOK_AFTER_MS = 20;
const LOOK_AFTER_MS_AT_MOST = 500;
const LATER = 1.25;
/** Messages that were held back go in frames of about so many characters, to clients that send several in one too. */
const LONGEST_FRAME = 100_000;

/** The code of `src/runtime/ending.rs` for what is not the protocol. */
const MALFORMED = 4400;
/** No id is longer, in characters. */
const LONGEST_ID = 100;

/** What all clients of a relay share. */
export interface Host {
  /** Resolves once everything is on disk that is stored now. */
  onDisk(): Promise<void>;
  /** Resolves when a client may be read on; undefined where that is now. */
  turn(guest: Guest): Promise<void> | undefined;
  /** A client reads what comes from now on: `read` is to be called whenever something has. */
  opens(guest: Guest): void;
  /** A message about a CoValue has come from a client, or goes to it. */
  speaks(guest: Guest, id: string): void;
  /** The session map of what the node has of a CoValue. */
  mapOf(id: string): number | undefined;
  /** So many bytes more wait until a client has taken what was sent before. */
  holds(bytes: number): void;
  /** A client has gone. */
  left(guest: Guest): void;
}

export class Guest implements Peer {
  /** What its first message was about: a client begins with its account. */
  first: string | undefined;
  /** Whether it brings what several accounts write: it is a relay, or has brought what another account than that has written. */
  isForMany = false;
  /** What messages to it and from it were about. */
  readonly topics = new Set<string>();
  /** About how many bytes of answers are held back until it has taken others. */
  held = 0;
  /** Whether it is still spoken with. */
  isOpen = true;
  private batches = false;
  private deliver: ((message: Message) => void) | undefined;
  /** Frames that wait for the disk. */
  private unconfirmed: Frame[] | undefined;
  /** Messages that wait until the client has taken others. */
  private heldBack: PriorityBasedMessageQueue | undefined;

  /**
   * @param id what the SDK calls it
   * @param socket the host's name of the connection
   * @param account the account that alone may write; null until it is known, undefined where all may
   */
  constructor(
    readonly id: string,
    readonly socket: number,
    public account: string | null | undefined,
    private readonly host: Host,
  ) {}

  get role(): "client" {
    return "client";
  }

  get persistent(): false {
    return false;
  }

  get incoming(): this {
    return this;
  }

  get outgoing(): this {
    return this;
  }

  /** Whether answers wait that it has not taken. */
  get isFull(): boolean {
    if (!this.isOpen) return false;
    const waiting = this.unconfirmed?.reduce((sum, frame) => sum + frame.length, 0) ?? 0;
    return waiting + Deno.core.ops.op_socket_buffered(this.socket) > FULL;
  }

  /** Resolves once it has taken most answers. */
  async room(): Promise<void> {
    for (let ms = LOOK_AFTER_MS; this.isFull; ms = Math.min(ms * LATER, LOOK_AFTER_MS_AT_MOST)) {
      await new Promise<void>((resolve) => setTimeout(resolve, ms));
    }
  }

  // --- what the SDK does with it ----------------------------------------------------------------

  onMessage(deliver: (message: Message) => void): void {
    this.deliver = deliver;
    this.host.opens(this);
  }

  /** The SDK asks for this on behalf of others than the node, of whom there are none here. */
  onClose(): void {}

  push(message: Message): void {
    if (message === "Disconnected") return this.close();
    if (!this.isOpen) return;
    if (isAboutOne(message)) this.host.speaks(this, message.id);
    if (this.heldBack) return this.hold(this.heldBack, message);
    if (!this.isFull) return this.send(this.frame(message), isConfirmation(message));
    this.heldBack = new PriorityBasedMessageQueue(cojsonInternals.CO_VALUE_PRIORITY.HIGH, "outgoing", { peerRole: "client" });
    void this.release(this.heldBack, message);
  }

  close(): void {
    this.end(() => Deno.core.ops.op_socket_close(this.socket));
  }

  // --- what the relay does ----------------------------------------------------------------------

  /** Ends at once, with a reason that the client hears. */
  refuse(code: number): void {
    this.end(() => Deno.core.ops.op_socket_refuse(this.socket, code));
  }

  /** Whether an account may write through this connection. */
  claim(account: string): boolean {
    return Deno.core.ops.op_socket_claim(this.socket, account);
  }

  /** What was not sent yet never is: it may not be on disk, and who wants it asks again. */
  private end(how: () => void): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.unconfirmed = undefined;
    this.heldBack = undefined;
    this.held = 0;
    how();
  }

  /** Reads the frame that has come, and awaits the next one once it is its turn. */
  read(): void {
    const { op_socket_await, op_socket_take } = Deno.core.ops;
    const text = op_socket_take(this.socket);
    if (text === null) return this.left();
    if (this.isOpen) this.take(text);
    const wait = this.host.turn(this);
    if (wait) void wait.then(() => op_socket_await(this.socket));
    else op_socket_await(this.socket);
  }

  private left(): void {
    this.isOpen = false;
    this.deliver?.("Disconnected");
    this.host.left(this);
  }

  private take(text: string): void {
    // A sign of life.
    if (text === "") return;
    try {
      const messages: unknown[] = text.split("\n").map((line) => JSON.parse(line));
      this.batches ||= messages.length > 1;
      for (const message of messages) {
        if (!isMessage(message)) continue;
        if (message.id.length > LONGEST_ID) return this.refuse(MALFORMED);
        if (isAboutOne(message)) this.host.speaks(this, message.id);
        this.deliver?.(message);
      }
    } catch (error) {
      console.debug("a client sent what is no message", error);
    }
  }

  private frame(message: SyncMessage): Frame {
    return frameOf(message, this.host.mapOf);
  }

  private hold(queue: PriorityBasedMessageQueue, message: SyncMessage): void {
    const bytes = sizeOf(message);
    queue.push(message);
    this.held += bytes;
    this.host.holds(bytes);
  }

  private unhold(queue: PriorityBasedMessageQueue): SyncMessage | undefined {
    const message = queue.pull();
    if (message) this.held -= sizeOf(message);
    return message;
  }

  /** Sends what was held back, as fast as the client takes it. */
  private async release(queue: PriorityBasedMessageQueue, first: SyncMessage): Promise<void> {
    let next: SyncMessage | undefined = first;
    while (next) {
      await this.room();
      if (!this.isOpen) return;
      const texts: string[] = [];
      let large: Frame | undefined;
      let length = 0;
      let confirms = false;
      do {
        const frame = this.frame(next);
        if (typeof frame === "string") texts.push(frame);
        else large = frame;
        length += frame.length;
        confirms ||= isConfirmation(next);
        next = this.unhold(queue);
      } while (next && this.batches && !large && length < LONGEST_FRAME);
      if (texts.length > 0) this.send(texts.join("\n"), confirms);
      if (large) this.send(large, false);
    }
    if (this.heldBack === queue) this.heldBack = undefined;
  }

  private send(frame: Frame, confirms: boolean): void {
    if (!this.isOpen) return;
    if (!this.unconfirmed) {
      if (!confirms) return sendFrame(this.socket, frame);
      this.unconfirmed = [];
      queueMicrotask(() => this.confirm());
    }
    this.unconfirmed.push(frame);
  }

  /** Sends what waits for the disk, and then what was added meanwhile. */
  private async confirm(): Promise<void> {
    while (this.unconfirmed && this.unconfirmed.length > 0) {
      const count = this.unconfirmed.length;
      await this.host.onDisk();
      for (const frame of this.unconfirmed?.splice(0, count) ?? []) sendFrame(this.socket, frame);
    }
    this.unconfirmed = undefined;
  }
}

function isConfirmation(message: SyncMessage): boolean {
  return message.action === "known";
}

/** Whether a message is about the one CoValue that it names. */
function isAboutOne({ action }: SyncMessage): boolean {
  return action === "load" || action === "known" || action === "content";
}

/** Whether it is more than a sign of life, and about something that may be: the SDK remembers any name. It sees to the rest. */
function isMessage(message: unknown): message is SyncMessage {
  if (typeof message !== "object" || message === null) return false;
  const { action, id, sessions, values } = message as Record<string, unknown>;
  if (typeof id !== "string") return false;
  switch (action) {
    case "load":
    case "known":
      return id.startsWith("co_z") && typeof sessions === "object" && sessions !== null && !Array.isArray(sessions);
    case "content":
      return id.startsWith("co_z");
    case "reconcile":
      return Array.isArray(values) && values.every(isCompared);
    default:
      return action === "reconcile-ack";
  }
}

/** Whether it is the name of a CoValue, and a hash of what somebody has of it. */
function isCompared(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [id, hash] = value as unknown[];
  return typeof id === "string" && id.startsWith("co_z") && id.length <= LONGEST_ID && typeof hash === "string";
}
