//! Tests of sealing: what must hold for any data (`properties`), what is frozen (`vectors`), and
//! how the keys behave (`keys`).

mod keys;
mod properties;
mod vectors;

use super::{Context, Keyring, Purpose, VersionedKey};

/// One context; tests change a field to get another.
fn context() -> Context<'static> {
    Context { purpose: Purpose::History, container: "co_zSegment", device: "device-a", schema_version: 1 }
}

/// A keyring of one fixed key.
fn keyring(fill: u8) -> Keyring {
    let mut keyring = Keyring::new();
    keyring.insert(VersionedKey::fixed([1; 8], 1, [fill; 32])).unwrap();
    keyring
}
