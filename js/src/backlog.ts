/**
 * What waits for clients that do not take what they are sent: it has no end, where they are told of everything that others
 * write. Of all of it together there is no more than so much; then the one is sent away for whom the most waits.
 */

import type { Guest } from "./guest";

/** The code of `src/runtime/ending.rs` for a client that takes too little. */
const TOO_SLOW = 4408;

/** Bytes that may wait for all clients together: a quarter of what the engine may have. */
const MOST = 512 << 20;
/** After so many more those of all are added up. */
const ADD_UP_EVERY = 1 << 20;

export class Backlog {
  private since = 0;

  /** `guests` are the clients that there are. */
  constructor(private readonly guests: ReadonlyMap<string, Guest>) {}

  /** So many bytes more wait. */
  grows(bytes: number): void {
    this.since += bytes;
    if (this.since < ADD_UP_EVERY) return;
    this.since = 0;
    const guests = [...this.guests.values()];
    if (guests.reduce((sum, guest) => sum + guest.held, 0) <= MOST) return;
    guests.reduce((most, guest) => (guest.held > most.held ? guest : most)).refuse(TOO_SLOW);
  }
}
