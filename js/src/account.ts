/**
 * The account and what hangs from it: one private group, a root, and the registries.
 *
 * The account's id follows from the secret alone, so a new device finds everything with the phrase.
 * The SDK's default migration would publish a profile that everyone may read; ours makes a private
 * one that is empty. No header carries a name or an exact time.
 */

import {
  cojsonInternals,
  LocalNode,
  type AgentSecret,
  type CryptoProvider,
  type RawAccount,
  type RawAccountID,
  type RawCoMap,
  type RawGroup,
  type StorageAPI,
} from "cojson";
import { Failure, type Registries, type RegistryName } from "./protocol";

const REGISTRIES: RegistryName[] = ["index", "preferences", "devices", "usage", "deletions", "keyring"];

/** The account's id, a pure function of its secret. */
export function accountId(secret: AgentSecret, crypto: CryptoProvider): RawAccountID {
  const header = cojsonInternals.accountHeaderForInitialAgentSecret(secret, crypto);
  return cojsonInternals.idforHeader(header, crypto) as RawAccountID;
}

/** A header without a time that would tell when it was made: `createdAt` is the month. */
export function coarse(crypto: CryptoProvider, month: string): { createdAt: `2${string}`; uniqueness: `z${string}` } {
  return { createdAt: month as `2${string}`, uniqueness: crypto.uniquenessForHeader() };
}

/** Makes the account with its group, root and registries in this store. */
export async function createAccount(
  secret: AgentSecret,
  crypto: CryptoProvider,
  storage: StorageAPI,
  month: string,
): Promise<LocalNode> {
  const { node } = await LocalNode.withNewlyCreatedAccount({
    creationProps: { name: "" },
    crypto,
    initialAgentSecret: secret,
    storage,
    peers: [],
    migration: (account, node) => {
      const group = node.createGroup(coarse(crypto, month));
      const map = () => group.createMap(undefined, null, "private", coarse(crypto, month));
      const root = map();
      root.assign(Object.fromEntries(REGISTRIES.map((name) => [name, map().id])));
      account.set("profile", map().id as never, "trusting");
      account.set("root", root.id as never, "trusting");
    },
  });
  return node;
}

export function account(node: LocalNode): RawAccount {
  return node.expectCurrentAccount("the account is loaded first");
}

export function loadedMap(node: LocalNode, id: string): RawCoMap {
  const core = node.getCoValue(id as never);
  if (!core.isAvailable()) throw new Failure("misuse", "that map is not loaded");
  const content = core.getCurrentContent();
  if (content.type !== "comap") throw new Failure("damaged", "the store holds something else in place of a map");
  return content as RawCoMap;
}

export function rootId(node: LocalNode): string {
  const id = account(node).get("root");
  // Whoever brought it was cut off: the rest of it is elsewhere.
  if (typeof id !== "string") throw new Failure("account_unknown", "the account has no root yet");
  return id;
}

export function registriesOf(node: LocalNode): Registries {
  const root = loadedMap(node, rootId(node));
  const found = REGISTRIES.map((name) => [name, root.get(name)] as const);
  for (const [name, id] of found) {
    if (typeof id !== "string") throw new Failure("account_unknown", `the account has no registry of ${name} yet`);
  }
  return Object.fromEntries(found) as Registries;
}

/** The empty profile that the SDK asks for. */
export function profileId(node: LocalNode): string | undefined {
  const id = account(node).get("profile");
  return typeof id === "string" ? id : undefined;
}

/** A text that the root holds beside the registries' ids. */
export function rootText(node: LocalNode, key: "closed" | "schema"): string | null {
  const value = loadedMap(node, rootId(node)).get(key);
  return typeof value === "string" ? value : null;
}

/** The group that owns everything; also the one that owns the root. */
export function groupOf(node: LocalNode): RawGroup {
  return loadedMap(node, rootId(node)).group;
}
