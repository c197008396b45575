/**
 * The part of the WebSocket interface that the SDK's transport uses, over the socket ops: a connection to the configured
 * relay. Its address is the host's business and never reaches the script. A relay's clients are `guest.ts`.
 */

type Listener = { call: (event: any) => void; once: boolean };
type EventName = "open" | "message" | "close" | "error";

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** How the SDK's message begins that says what a peer has. */
const CONFIRMATION = '{"action":"known"';

const ops = () => Deno.core.ops;

export class HostSocket {
  readyState = CONNECTING;
  /** The code with which the relay has ended the connection, where it gave one (`src/runtime/ending.rs`). */
  ending: number | undefined;
  private handle: number | undefined;
  private unsent: string[] = [];
  private readonly listeners = new Map<EventName, Listener[]>();

  /** Dials the relay; `open` or `close` follows. */
  static dial(): HostSocket {
    const socket = new HostSocket();
    ops()
      .op_socket_connect()
      .then(
        (handle) => socket.opened(handle),
        (error) => {
          // The host knows why, and says so where that is wanted.
          console.debug("dialling failed", error);
          socket.closed();
        },
      );
    return socket;
  }

  get isOpen(): boolean {
    return this.readyState === OPEN;
  }

  get bufferedAmount(): number {
    return this.handle === undefined ? 0 : ops().op_socket_buffered(this.handle);
  }

  /**
   * A confirmation, and what follows it, is sent once the work under way has ended: the SDK confirms a change
   * before it stores it, in one go, and no confirmation may leave before what it confirms is in the store.
   * Everything else goes at once, so that `bufferedAmount` tells the SDK how fast the line really is.
   */
  send(text: string): void {
    if (this.readyState !== OPEN || this.handle === undefined) return;
    if (this.unsent.length === 0) {
      if (!text.startsWith(CONFIRMATION)) return ops().op_socket_send(this.handle, text);
      queueMicrotask(() => this.flush());
    }
    this.unsent.push(text);
  }

  private flush(): void {
    const texts = this.unsent;
    this.unsent = [];
    if (this.readyState !== OPEN || this.handle === undefined) return;
    for (const text of texts) ops().op_socket_send(this.handle, text);
  }

  close(): void {
    if (this.readyState >= CLOSING) return;
    this.flush();
    this.readyState = CLOSING;
    if (this.handle !== undefined) ops().op_socket_close(this.handle);
  }

  addEventListener(type: EventName, call: (event: any) => void, options?: { once: boolean }): void {
    const list = this.listeners.get(type) ?? [];
    list.push({ call, once: options?.once ?? false });
    this.listeners.set(type, list);
  }

  removeEventListener(type: EventName, call: (event: any) => void): void {
    const list = this.listeners.get(type);
    if (list) this.listeners.set(type, list.filter((listener) => listener.call !== call));
  }

  private opened(handle: number): void {
    this.handle = handle;
    if (this.readyState === CONNECTING) {
      this.readyState = OPEN;
      this.emit("open", {});
    } else {
      // Closed by us while it was being dialled.
      ops().op_socket_close(handle);
    }
    void this.receive(handle);
  }

  private async receive(handle: number): Promise<void> {
    for (;;) {
      let text: string | null;
      try {
        text = await ops().op_socket_receive(handle);
      } catch (error) {
        this.emit("error", error);
        text = null;
      }
      if (text === null) {
        this.ending = ops().op_socket_ending() || undefined;
        break;
      }
      if (this.readyState === OPEN) this.emit("message", { data: text });
    }
    this.closed();
  }

  private closed(): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.emit("close", { code: 1000, reason: "" });
  }

  private emit(type: EventName, event: unknown): void {
    for (const listener of this.listeners.get(type) ?? []) {
      if (listener.once) this.removeEventListener(type, listener.call);
      try {
        listener.call(event);
      } catch (error) {
        console.error("a socket listener failed", error);
      }
    }
  }
}
