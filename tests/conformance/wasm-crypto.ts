/** Stands where the suite imports `crypto/WasmCrypto`: our provider under that name. */

import { CaroCrypto } from "../../js/src/crypto.ts";

export class WasmCrypto extends CaroCrypto {
  /** The suite awaits `create()` while its modules load; `bundle.mjs` turns that into this. */
  static createSync(): WasmCrypto {
    // Not by its name: the bundler would rename the class, and test names show that.
    return new this();
  }
}
