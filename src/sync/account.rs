//! From the derived key to the secret that the SDK signs and seals with.

use zeroize::Zeroizing;

use crate::identity::DerivedKeys;
use crate::runtime::crypto;

/// The SDK's secret of this identity. It is what the isolate must hold to take part in the protocol;
/// neither the phrase nor a data key can be found from it.
pub(super) fn agent_secret(keys: &DerivedKeys) -> Zeroizing<String> {
    crypto::agent_secret(keys.jazz_seed.expose())
}
