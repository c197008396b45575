/**
 * The relay: a node of the Jazz protocol that stores everything and owns nothing.
 *
 * It verifies every signature, forgets values that nobody has touched for a while (the store keeps
 * them), and, unlike stock relays, erases the content of deleted values and names its peers at random.
 */

import { cojsonInternals, LocalNode, type RawCoID } from "cojson";
import { Audience } from "./audience";
import { Backlog } from "./backlog";
import { CaroCrypto, handleOf } from "./crypto";
import { awaitDependencies } from "./dependencies";
import { onDisk } from "./flush";
import { Guest, type Host } from "./guest";
import { eraseHoldings, keepHoldings } from "./holdings";
import { Inbox } from "./inbox";
import { Largest } from "./largest";
import { speakAsRelay } from "./lines";
import { contentBytes, Memory } from "./memory";
import { Names } from "./names";
import { refresh, tellWhatIsStored } from "./others";
import type { Handlers, MayWrite, Serving } from "./protocol";
import { onStorageRefusal, openStorage, storageRefusal } from "./storage";
import { Turns } from "./turns";
import { Upstream } from "./upstream";
import { forgetUsage, Usage } from "./usage";
import { Writers } from "./writers";

/**
 * For how long the SDK deals with what has come before others are heard, milliseconds. Its own 50 are for a device, where
 * nobody else waits.
 */
const TURN_MS = 5;
/** The code of `src/runtime/ending.rs` for whose content the disk does not take. */
const NO_DISK = 4509;
/** How often it says that the store takes nothing: those who bring something come again and again. */
const COMPLAIN_EVERY_MS = 10_000;

export class Relay {
  private readonly crypto = new CaroCrypto();
  /** The clients, by the names that the SDK has for them. */
  private readonly guests = new Map<string, Guest>();
  private readonly backlog = new Backlog(this.guests);
  private readonly inbox = new Inbox();
  private node: LocalNode;
  private complainedAt = -Infinity;
  private turns!: Turns;
  private names!: Names;
  private memory!: Memory;
  private audience!: Audience;
  private writers: Writers | undefined;
  private upstream: Upstream | undefined;
  private usage: Usage | undefined;

  constructor(private readonly setting: Serving) {
    speakAsRelay();
    cojsonInternals.setIncomingMessagesTimeBudget(TURN_MS);
    this.node = this.newNode();
    onStorageRefusal(() => {
      if (performance.now() - this.complainedAt > COMPLAIN_EVERY_MS) {
        this.complainedAt = performance.now();
        console.error(`the store takes no changes: ${storageRefusal()}`);
      }
      this.startOver(this.setting.isShared ? undefined : this.writers?.writing);
    });
  }

  private readonly host: Host = {
    onDisk,
    turn: (guest) => this.turns.of(guest),
    opens: (guest) => this.inbox.opens(guest),
    speaks: (guest, id) => {
      if (this.audience.hears(guest, id)) this.names.speaks(guest);
    },
    mapOf: (id) => handleOf(this.node.getCoValue(id as RawCoID).verified?.["impl"]),
    holds: (bytes) => this.backlog.grows(bytes),
    left: (guest) => {
      this.guests.delete(guest.id);
      this.inbox.left(guest);
      this.audience.left(guest);
      this.names.left(guest);
    },
  };

  readonly handlers: Handlers = {
    accept: async ({ socket, mayWrite, isRelay }) => {
      this.accept(socket, mayWrite, isRelay);
      return {};
    },
    measure: async ({ memory }) => ({
      heapBytes: memory ? Deno.core.ops.op_memory_usage().heapUsed : null,
      contentBytes: contentBytes(),
      upstream: this.upstream?.agreement ?? null,
    }),
    forget: async ({ account }) => {
      const values = await eraseHoldings(
        account,
        // What somebody has in memory of it would be confirmed, and given to others.
        () => this.startOver(),
        (id) => this.node.internalDeleteCoValue(id),
      );
      // Whoever hears that it is gone does not ask for that again.
      await onDisk();
      return { values };
    },
    refresh: async ({ ids }) => {
      await refresh(this.node, ids as RawCoID[] | null, (gone) => this.release(gone));
      return {};
    },
    noteUse: async ({ day }) => {
      await this.usage?.note(day);
      return {};
    },
    unused: async ({ before }) => ({ accounts: (await this.usage?.unused(before)) ?? [] }),
    eraseSome: async ({ account, before }) =>
      (await this.usage?.eraseSome(account, before, (gone) => this.release(gone))) ?? { ids: [], more: false },
    release: async ({ ids }) => {
      this.release(ids as RawCoID[]);
      return {};
    },
    close: async () => {
      try {
        await this.usage?.flush();
      } catch (error) {
        console.warn("what was used in the last minute was not noted", error);
      }
      this.upstream?.disconnect();
      await this.node.storage?.eraseAllDeletedCoValues();
      // Who waits for a confirmation gets it.
      await onDisk();
      await this.node.gracefulShutdown();
      return {};
    },
  };

  private newNode(): LocalNode {
    const secret = this.crypto.newRandomAgentSecret();
    const node = new LocalNode(secret, this.crypto.newRandomSessionID(this.crypto.getAgentID(secret)), this.crypto);
    const storage = openStorage();
    if (this.setting.tells) tellWhatIsStored(storage);
    node.setStorage(storage);
    if (!this.setting.isShared) keepHoldings();
    if (this.setting.notesUse) this.usage = new Usage(node, this.guests, this.setting.isShared);
    else if (!this.setting.isShared) forgetUsage();
    this.writers = new Writers(node, this.guests, this.setting, new Largest(node, this.setting.largestValue ?? Infinity));
    this.turns = new Turns(node, this.guests);
    this.audience = new Audience(node.syncManager);
    this.names = new Names(node, this.guests, this.audience);
    this.memory = new Memory(node, this.setting.contentInMemory ?? Infinity);
    awaitDependencies(node, this.names);
    if (this.setting.hasUpstream) {
      this.upstream = new Upstream(node, storage);
      this.upstream.connect();
    }
    node.enableGarbageCollector();
    return node;
  }

  /**
   * The store does not hold what this node has in memory, and would confirm: it refused a change, or something was erased.
   * Whoever sent it gets no confirmation but has to come again, to a node that knows what the store holds and no more; and
   * hears why, where the disk did not take what he brought.
   */
  private startOver(by?: Guest): void {
    by?.refuse(NO_DISK);
    for (const guest of this.guests.values()) guest.close();
    this.guests.clear();
    this.upstream?.disconnect();
    const failed = this.node;
    this.turns.stop();
    this.names.stop();
    this.memory.stop();
    this.node = this.newNode();
    void failed.gracefulShutdown();
  }

  /**
   * CoValues that are not in the store any more are in nobody's memory either, where they would be confirmed; and who may
   * have heard that they are here comes again.
   */
  private release(ids: RawCoID[]): void {
    for (const guest of this.guests.values()) {
      if (ids.some((id) => guest.topics.has(id))) guest.close();
    }
    for (const id of ids) this.node.internalDeleteCoValue(id);
  }

  private accept(socket: number, mayWrite: MayWrite, isRelay: boolean): void {
    // Random, since stock names have the time in them, and two of one moment end each other.
    const id = `client-${this.crypto.uniquenessForHeader()}`;
    const guest = new Guest(id, socket, mayWrite === "anyone" ? undefined : mayWrite.account, this.host);
    guest.isForMany = isRelay;
    this.guests.set(id, guest);
    this.node.syncManager.addPeer(guest);
  }
}
