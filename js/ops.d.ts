/**
 * Every op the isolate has, typed. An op is a plain function on `Deno.core.ops`, implemented in
 * `src/runtime/ops/`; a test there compares its names with this list. Nothing else reaches the
 * machine from JavaScript: no file system, no process, no environment, no general network.
 *
 * All strings in Jazz formats (`signer_z…`, `encrypted_U…`) travel as they are; `text` is JSON that
 * has been serialised by the SDK's `stableStringify`.
 */
declare interface CaroOps {
  // --- crypto: pure functions -------------------------------------------------------------
  /** Fills `out` from the operating system's random source. */
  op_crypto_random(out: Uint8Array): void;
  op_crypto_signer_id(signerSecret: string): string;
  op_crypto_sealer_id(sealerSecret: string): string;
  op_crypto_sign(signerSecret: string, text: string): string;
  op_crypto_verify(signature: string, text: string, signerId: string): boolean;
  /** BLAKE3 of `context ‖ data` into the 32 bytes of `out`; `context` may be empty. */
  op_crypto_blake3(data: Uint8Array, context: Uint8Array, out: Uint8Array): void;
  op_crypto_short_hash(text: string): string;
  op_crypto_encrypt(text: string, keySecret: string, nonceText: string): string;
  op_crypto_decrypt(encrypted: string, keySecret: string, nonceText: string): string;
  op_crypto_seal(text: string, from: string, to: string, nonceText: string): string;
  /** The opened text; throws when it does not open. */
  op_crypto_unseal(sealed: string, sealerSecret: string, from: string, nonceText: string): string;
  op_crypto_seal_for_group(text: string, to: string, nonceText: string): string;
  op_crypto_unseal_for_group(sealed: string, groupSealerSecret: string, nonceText: string): string;

  // --- crypto: session maps, one native object per CoValue, named by an integer handle ----------
  op_session_map_new(coId: string, headerJson: string, maxTxSize: number, skipVerify: boolean): number;
  op_session_map_free(map: number): void;
  /** Bytes of the transactions in all of them. */
  op_session_map_bytes(): number;
  /** Bytes that one of them takes up: its transactions, with some for each of them and each session. */
  op_session_map_size(map: number): number;
  /** Bytes of the names of its sessions. */
  op_session_map_names(map: number): number;
  /** Has those freed that nobody reaches any more; walks the whole heap. */
  op_session_map_collect(): void;
  op_session_map_header(map: number): string;
  op_session_map_add(map: number, sessionId: string, signerId: string, transactionsJson: string, signature: string, skipVerify: boolean): void;
  op_session_map_make_private(map: number, sessionId: string, signerSecret: string, changesJson: string, keyId: string, keySecret: string, metaJson: string, madeAt: number): string;
  op_session_map_make_trusting(map: number, sessionId: string, signerSecret: string, changesJson: string, metaJson: string, madeAt: number): string;
  /** JSON array of session ids. */
  op_session_map_session_ids(map: number): string;
  /** -1 where there is no such session. */
  op_session_map_count(map: number, sessionId: string): number;
  /** JSON of one transaction, or "" where there is none. */
  op_session_map_transaction(map: number, sessionId: string, index: number): string;
  /** JSON array of the transactions from `from` on, or "" where there is no such session. */
  op_session_map_transactions(map: number, sessionId: string, from: number): string;
  op_session_map_last_signature(map: number, sessionId: string): string;
  op_session_map_signature_after(map: number, sessionId: string, index: number): string;
  /** Index, -1 for none, -2 where there is no such session. */
  op_session_map_checkpoint(map: number, sessionId: string): number;
  op_session_map_known_state(map: number): string;
  /** "" when not streaming. */
  op_session_map_known_state_streaming(map: number): string;
  op_session_map_is_streaming(map: number): boolean;
  op_session_map_set_streaming(map: number, knownStateJson: string): void;
  op_session_map_mark_deleted(map: number): void;
  op_session_map_is_deleted(map: number): boolean;
  /** "" where the transaction does not exist or is not private. */
  op_session_map_decrypt(map: number, sessionId: string, index: number, keySecret: string): string;
  op_session_map_decrypt_meta(map: number, sessionId: string, index: number, keySecret: string): string;

  // --- storage: the SQLite file that was opened for this isolate --------------------------------
  /** Runs one statement; returns nothing. */
  op_sql_run(sql: string, params: SqlValue[]): void;
  /** All rows, as objects keyed by column name. */
  op_sql_query(sql: string, params: SqlValue[]): Record<string, SqlValue>[];
  /** Resolves once everything is on disk that was committed before. */
  op_sql_flush(): Promise<void>;

  // --- clock and log ----------------------------------------------------------------------------
  /** Milliseconds since the Unix epoch, with fractions. */
  op_clock_now(): number;
  /** Monotonic milliseconds since the isolate started, with fractions. */
  op_clock_monotonic(): number;
  /** 0 error, 1 warn, 2 info, 3 debug, 4 trace. */
  op_log(level: number, message: string): void;

  // --- socket: text frames to a relay, or from a relay's client ----------------------------------
  /** Opens a connection to the configured relay (a client isolate only); resolves to a socket handle. */
  op_socket_connect(): Promise<number>;
  /** Queues one text frame. */
  op_socket_send(socket: number, text: string): void;
  /**
   * Queues a message with content of a session map. `head` is all else that it says, a JSON object; `sessions` is a JSON
   * array of `[id, first transaction, how many, signature]`. False where the map does not hold all of it.
   */
  op_socket_send_content(socket: number, map: number, head: string, sessions: string): boolean;
  /** Bytes queued but not yet handed to the operating system. */
  op_socket_buffered(socket: number): number;
  /** The next text frame; null once the connection is closed. */
  op_socket_receive(socket: number): Promise<string | null>;
  /** Has `op_socket_arrivals` name a connection once it has a frame, or is closed. */
  op_socket_await(socket: number): void;
  /** The connections that were awaited and have something now, at least one. */
  op_socket_arrivals(): Promise<number[]>;
  /** The frame that has come from a connection that was named; null once it is closed. */
  op_socket_take(socket: number): string | null;
  op_socket_close(socket: number): void;
  /** The code with which the relay ended the connection to it that has ended last; 0 where it gave none. */
  op_socket_ending(): number;
  /** Ends a connection at once; its client hears why: one of the codes of `src/runtime/ending.rs`. */
  op_socket_refuse(socket: number, code: number): void;
  /** Whether an account may write through a relay's connection; its invitation is that account's from then on. */
  op_socket_claim(socket: number, account: string): boolean;

  // --- the host --------------------------------------------------------------------------------
  /** Waits for the next request of the Rust side: JSON of `{id, method, params}`; null at the end. */
  op_host_receive(): Promise<string | null>;
  /** Answers a request: JSON of `{id, result}` or `{id, error: {code, message}}`. */
  op_host_reply(json: string): void;
  /** Tells the Rust side that something happened: JSON of a tagged event. */
  op_host_event(json: string): void;
}

declare type SqlValue = string | number | null | Uint8Array;
