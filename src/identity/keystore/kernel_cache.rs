//! A copy of the credentials in the Linux kernel's memory, so that a command need not wait for
//! D-Bus each time.
//!
//! The copy is in the user's *persistent* keyring (persistent-keyring(7)): one for each user, not
//! one for each login session, hence never two copies of different age. The kernel drops it when
//! it was not used for three days (`/proc/sys/kernel/keys/persistent_keyring_expiry`) or at reboot;
//! it is never on a disk. Processes of the same user can read it, just as they can ask an
//! unlocked system keyring.
//!
//! Everything here is best effort: where the kernel has no such keyring (containers often forbid
//! it), there is no copy, and all goes on as before. The one promise that is kept or reported
//! is [`KernelCache::forget`]: after it, no old copy is found.

use linux_keyutils::{Key, KeyError, KeyRing, KeyRingIdentifier};
use zeroize::Zeroizing;

/// Where one home's copy is.
#[derive(Debug)]
pub(super) struct KernelCache {
    description: String,
}

impl KernelCache {
    /// `name` tells the item from all others of this user.
    pub(super) fn new(name: &str) -> Self {
        Self { description: format!("caro-sync:{name}") }
    }

    /// The copy, if there is one.
    pub(super) fn get(&self) -> Option<Zeroizing<Vec<u8>>> {
        let key = self.find(&persistent()?)?;
        key.read_to_vec().ok().map(Zeroizing::new)
    }

    /// Keeps a copy of a value just written, in place of an older one.
    pub(super) fn put(&self, secret: &[u8]) {
        let added = persistent().map(|keyring| keyring.add_key(&self.description, secret).is_ok());
        if added != Some(true) {
            tracing::debug!("the kernel keyring keeps no copy of the keys");
        }
    }

    /// Keeps a copy of a value just read, unless there is one by now: another process may have
    /// written a newer value meanwhile, and its copy must stay.
    pub(super) fn put_if_absent(&self, secret: &[u8]) {
        if persistent().is_some_and(|keyring| self.find(&keyring).is_none()) {
            self.put(secret);
        }
    }

    /// Drops the copy. False if one is left that can't be dropped.
    #[must_use]
    pub(super) fn forget(&self) -> bool {
        let Some(keyring) = persistent() else {
            return true;
        };
        match keyring.search(&self.description) {
            Ok(key) => keyring.unlink_key(key).is_ok(),
            Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => true,
            Err(_) => false,
        }
    }

    fn find(&self, keyring: &KeyRing) -> Option<Key> {
        keyring.search(&self.description).ok()
    }
}

/// The user's persistent keyring, linked to the calling thread so that it may be used.
fn persistent() -> Option<KeyRing> {
    KeyRing::get_persistent(KeyRingIdentifier::Thread).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel or container without persistent keyrings keeps no copies; that is no failure.
    #[test]
    fn keeps_replaces_and_forgets() {
        let cache = KernelCache::new(&format!("unit-test-{}", std::process::id()));
        let other = KernelCache::new(&format!("unit-test-other-{}", std::process::id()));
        assert!(cache.get().is_none());
        cache.put(b"one");
        let works = persistent().is_some();
        let kept = |text: &[u8]| works.then(|| text.to_vec());
        let get = || cache.get().map(|secret| secret.to_vec());
        assert_eq!(get(), kept(b"one"));
        cache.put(b"two");
        assert_eq!(get(), kept(b"two"));
        cache.put_if_absent(b"three");
        assert_eq!(get(), kept(b"two"));
        assert!(other.get().is_none());
        // Seen from any thread of the process, as from any process of the user.
        let elsewhere =
            std::thread::scope(|scope| scope.spawn(|| cache.get().map(|secret| secret.to_vec())).join().unwrap());
        assert_eq!(elsewhere, kept(b"two"));
        assert!(cache.forget());
        assert!(cache.get().is_none());
        assert!(cache.forget());
        cache.put_if_absent(b"four");
        assert_eq!(get(), kept(b"four"));
        assert!(cache.forget());
    }
}
