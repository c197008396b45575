/**
 * The SDK's crypto provider and session maps, over the ops of `src/runtime/crypto/`.
 *
 * All cryptography and all transaction logs live in Rust; this file only serialises with the SDK's
 * `stableStringify` and parses what comes back. A session map is named by an integer handle, which is
 * given back when the adapter is collected. `Deno.core.ops` is looked up at every call: this module is
 * part of a snapshot that was made without these ops.
 */
import { CryptoProvider, cojsonInternals, logger } from "cojson";
import type { JsonValue } from "cojson";
import type { Transaction } from "cojson/dist/coValueCore/verifiedState.js";
import type {
  Encrypted,
  KeySecret,
  Sealed,
  SealedForGroup,
  SealerID,
  SealerSecret,
  SessionMapImpl,
  ShortHash,
  Signature,
  SignerID,
  SignerSecret,
} from "cojson/dist/crypto/crypto.js";
import type { RawCoID, TransactionID } from "cojson/dist/ids.js";
import type { Stringified } from "cojson/dist/jsonStringify.js";

/** Where a sealed message stands: it opens nowhere else. */
type Place = { in: RawCoID; tx: TransactionID };

type KnownState = ReturnType<SessionMapImpl["getKnownState"]>;

const { stableStringify } = cojsonInternals;

const HASH_LENGTH = 32;
const SECRET_LENGTH = 32;
const NO_CONTEXT = new Uint8Array(0);

function ops(): CaroOps {
  return Deno.core.ops;
}

/** The ops write an empty string where there is nothing. */
function orUndefined(text: string): string | undefined {
  return text === "" ? undefined : text;
}

/** Opened messages come from other people: what is not JSON counts as unreadable. */
function parseOpened<T extends JsonValue>(text: string, complaint: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch (err) {
    logger.error(complaint, { err });
    return undefined;
  }
}

export class CaroCrypto extends CryptoProvider {
  override randomBytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    ops().op_crypto_random(bytes);
    return bytes;
  }

  newEd25519SigningKey(): Uint8Array {
    return this.randomBytes(SECRET_LENGTH);
  }

  newX25519StaticSecret(): Uint8Array {
    return this.randomBytes(SECRET_LENGTH);
  }

  getSignerID(secret: SignerSecret): SignerID {
    return ops().op_crypto_signer_id(secret) as SignerID;
  }

  getSealerID(secret: SealerSecret): SealerID {
    return ops().op_crypto_sealer_id(secret) as SealerID;
  }

  sign(secret: SignerSecret, message: JsonValue): Signature {
    return ops().op_crypto_sign(secret, stableStringify(message)) as Signature;
  }

  verify(signature: Signature, message: JsonValue, id: SignerID): boolean {
    return ops().op_crypto_verify(signature, stableStringify(message), id);
  }

  blake3HashOnce(data: Uint8Array): Uint8Array {
    return this.blake3HashOnceWithContext(data, { context: NO_CONTEXT });
  }

  blake3HashOnceWithContext(data: Uint8Array, { context }: { context: Uint8Array }): Uint8Array {
    const hash = new Uint8Array(HASH_LENGTH);
    ops().op_crypto_blake3(data, context, hash);
    return hash;
  }

  shortHash(value: JsonValue): ShortHash {
    return ops().op_crypto_short_hash(stableStringify(value)) as ShortHash;
  }

  encrypt<T extends JsonValue, N extends JsonValue>(
    value: T,
    keySecret: KeySecret,
    nOnceMaterial: N,
  ): Encrypted<T, N> {
    return ops().op_crypto_encrypt(
      stableStringify(value),
      keySecret,
      stableStringify(nOnceMaterial),
    ) as Encrypted<T, N>;
  }

  decryptRaw<T extends JsonValue, N extends JsonValue>(
    encrypted: Encrypted<T, N>,
    keySecret: KeySecret,
    nOnceMaterial: N,
  ): Stringified<T> {
    return ops().op_crypto_decrypt(
      encrypted,
      keySecret,
      stableStringify(nOnceMaterial),
    ) as Stringified<T>;
  }

  seal<T extends JsonValue>(args: {
    message: T;
    from: SealerSecret;
    to: SealerID;
    nOnceMaterial: Place;
  }): Sealed<T> {
    return ops().op_crypto_seal(
      stableStringify(args.message),
      args.from,
      args.to,
      stableStringify(args.nOnceMaterial),
    ) as Sealed<T>;
  }

  /** Throws when the message does not open; `undefined` when it opens to something that is not JSON. */
  unseal<T extends JsonValue>(
    sealed: Sealed<T>,
    sealer: SealerSecret,
    from: SealerID,
    nOnceMaterial: Place,
  ): T | undefined {
    const text = ops().op_crypto_unseal(sealed, sealer, from, stableStringify(nOnceMaterial));
    return parseOpened(text, "Failed to decrypt/parse sealed message");
  }

  sealForGroup<T extends JsonValue>(args: {
    message: T;
    to: SealerID;
    nOnceMaterial: Place;
  }): SealedForGroup<T> {
    return ops().op_crypto_seal_for_group(
      stableStringify(args.message),
      args.to,
      stableStringify(args.nOnceMaterial),
    ) as SealedForGroup<T>;
  }

  /** `undefined` when the message does not open. */
  unsealForGroup<T extends JsonValue>(
    sealed: SealedForGroup<T>,
    groupSealerSecret: SealerSecret,
    nOnceMaterial: Place,
  ): T | undefined {
    const complaint = "Failed to decrypt/parse sealed for group message";
    let text: string;
    try {
      text = ops().op_crypto_unseal_for_group(
        sealed,
        groupSealerSecret,
        stableStringify(nOnceMaterial),
      );
    } catch (err) {
      logger.error(complaint, { err });
      return undefined;
    }
    return parseOpened(text, complaint);
  }

  createSessionMap(
    coID: RawCoID,
    headerJson: string,
    maxTxSize?: number,
    skipVerify?: boolean,
  ): SessionMapImpl {
    return new NativeSessionMap(
      ops().op_session_map_new(
        coID,
        headerJson,
        maxTxSize ?? cojsonInternals.TRANSACTION_CONFIG.MAX_RECOMMENDED_TX_SIZE,
        skipVerify ?? false,
      ),
      coID,
    );
  }
}

/** Gives handles back; made with the first session map, since a snapshot cannot hold one. */
let collector: FinalizationRegistry<number> | undefined;

function freeWithAdapter(adapter: NativeSessionMap, handle: number): void {
  collector ??= new FinalizationRegistry((handle) => ops().op_session_map_free(handle));
  collector.register(adapter, handle);
}

/** Sessions of which something came that does not continue what is held of them, by CoValue. */
const discontinued = new Set<string>();
/** So many are remembered: nobody has as many, and who sends a relay nonsense would fill its memory with them. */
const MOST_DISCONTINUED = 10_000;

/** Whether something came of this session that does not continue what is held of it. */
export function isDiscontinued(coId: string, sessionId: string): boolean {
  return discontinued.has(`${coId} ${sessionId}`);
}

/** The handle of what holds the sessions of a CoValue, where it is one of ours. */
export function handleOf(sessions: SessionMapImpl | undefined): number | undefined {
  return sessions instanceof NativeSessionMap ? sessions.handle : undefined;
}

/** The sessions of one CoValue, in Rust. */
class NativeSessionMap implements SessionMapImpl {
  readonly #handle: number;

  constructor(
    handle: number,
    private readonly coId: string,
  ) {
    this.#handle = handle;
    freeWithAdapter(this, handle);
  }

  /** Bytes that it takes up. */
  size(): number {
    return ops().op_session_map_size(this.#handle);
  }

  /** Bytes of the names of its sessions. */
  names(): number {
    return ops().op_session_map_names(this.#handle);
  }

  get handle(): number {
    return this.#handle;
  }

  getHeader(): string {
    return ops().op_session_map_header(this.#handle);
  }

  addTransactions(
    sessionId: string,
    signerId: string | undefined,
    transactionsJson: string,
    signature: string,
    skipVerify: boolean,
  ): void {
    try {
      ops().op_session_map_add(this.#handle, sessionId, signerId ?? "", transactionsJson, signature, skipVerify);
    } catch (error) {
      if (discontinued.size >= MOST_DISCONTINUED) discontinued.clear();
      discontinued.add(`${this.coId} ${sessionId}`);
      throw error;
    }
  }

  makeNewPrivateTransaction(
    sessionId: string,
    signerSecret: string,
    changesJson: string,
    keyId: string,
    keySecret: string,
    metaJson: string | undefined,
    madeAt: number,
  ): string {
    return ops().op_session_map_make_private(
      this.#handle,
      sessionId,
      signerSecret,
      changesJson,
      keyId,
      keySecret,
      metaJson ?? "",
      madeAt,
    );
  }

  makeNewTrustingTransaction(
    sessionId: string,
    signerSecret: string,
    changesJson: string,
    metaJson: string | undefined,
    madeAt: number,
  ): string {
    return ops().op_session_map_make_trusting(
      this.#handle,
      sessionId,
      signerSecret,
      changesJson,
      metaJson ?? "",
      madeAt,
    );
  }

  getSessionIds(): string[] {
    return JSON.parse(ops().op_session_map_session_ids(this.#handle)) as string[];
  }

  getTransactionCount(sessionId: string): number {
    return ops().op_session_map_count(this.#handle, sessionId);
  }

  getTransaction(sessionId: string, txIndex: number): Transaction | undefined {
    const json = ops().op_session_map_transaction(this.#handle, sessionId, txIndex);
    return json === "" ? undefined : (JSON.parse(json) as Transaction);
  }

  getSessionTransactions(sessionId: string, fromIndex: number): Transaction[] | undefined {
    const json = ops().op_session_map_transactions(this.#handle, sessionId, fromIndex);
    return json === "" ? undefined : (JSON.parse(json) as Transaction[]);
  }

  getLastSignature(sessionId: string): string | undefined {
    return orUndefined(ops().op_session_map_last_signature(this.#handle, sessionId));
  }

  getSignatureAfter(sessionId: string, txIndex: number): string | undefined {
    return orUndefined(ops().op_session_map_signature_after(this.#handle, sessionId, txIndex));
  }

  getLastSignatureCheckpoint(sessionId: string): number | undefined {
    const index = ops().op_session_map_checkpoint(this.#handle, sessionId);
    return index === -2 ? undefined : index;
  }

  getKnownState(): KnownState {
    return JSON.parse(ops().op_session_map_known_state(this.#handle)) as KnownState;
  }

  getKnownStateWithStreaming(): KnownState | undefined {
    const json = ops().op_session_map_known_state_streaming(this.#handle);
    return json === "" ? undefined : (JSON.parse(json) as KnownState);
  }

  isStreaming(): boolean {
    return ops().op_session_map_is_streaming(this.#handle);
  }

  setStreamingKnownState(streamingJson: string): void {
    ops().op_session_map_set_streaming(this.#handle, streamingJson);
  }

  markAsDeleted(): void {
    ops().op_session_map_mark_deleted(this.#handle);
  }

  isDeleted(): boolean {
    return ops().op_session_map_is_deleted(this.#handle);
  }

  /** What does not decrypt counts as unreadable, for the SDK would let an exception end its whole turn. */
  decryptTransaction(sessionId: string, txIndex: number, keySecret: string): string | undefined {
    try {
      return orUndefined(
        ops().op_session_map_decrypt(this.#handle, sessionId, txIndex, keySecret),
      );
    } catch (err) {
      logger.error("a transaction does not decrypt", { err });
      return undefined;
    }
  }

  decryptTransactionMeta(
    sessionId: string,
    txIndex: number,
    keySecret: string,
  ): string | undefined {
    return orUndefined(
      ops().op_session_map_decrypt_meta(this.#handle, sessionId, txIndex, keySecret),
    );
  }
}
