/** Stands where the suite's storage helper imports from Node: all it wants is a fresh database name. */

export function randomUUID(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Names are relative: the driver gives the isolate a folder and removes it afterwards. */
export const tmpdir = () => "";
export const join = (...parts: string[]) => parts.filter((part) => part !== "").join("-");

/** Nothing to do: the folder goes as a whole. */
export const unlinkSync = (_path: string) => {};
