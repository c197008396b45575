/**
 * What comes from the clients of a relay. One promise waits for all of them: one for each, and the function that waits for
 * it, would be most of what a client takes up that says nothing.
 */

import type { Guest } from "./guest";

export class Inbox {
  /** The clients by the host's name of their connections, until these have ended. */
  private readonly guests = new Map<number, Guest>();

  constructor() {
    void this.run();
  }

  /** A client reads what comes from now on. */
  opens(guest: Guest): void {
    this.guests.set(guest.socket, guest);
    Deno.core.ops.op_socket_await(guest.socket);
  }

  /** Nothing comes from a client any more. */
  left(guest: Guest): void {
    this.guests.delete(guest.socket);
  }

  private async run(): Promise<never> {
    for (;;) {
      for (const socket of await Deno.core.ops.op_socket_arrivals()) this.read(socket);
    }
  }

  private read(socket: number): void {
    try {
      this.guests.get(socket)?.read();
    } catch (error) {
      // The others are read on.
      console.error("what a client sent could not be dealt with", error);
    }
  }
}
