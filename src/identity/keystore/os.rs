//! The operating system's key store: Secret Service, macOS Keychain, Windows Credential Manager.
//!
//! On Linux and the BSDs each use has a hard deadline, since a keyring daemon that is stuck, or
//! waits for an answer from a user who isn't there, would else hang the program: the work runs
//! on a thread of its own, which the caller leaves behind when time is up. On Linux a copy is
//! kept by the kernel, so that usually D-Bus isn't asked at all (see `kernel_cache`). The system
//! keyring stays the truth: it is written first, and a copy that can't be brought up to date is
//! an error.

use std::time::Duration;

use super::{Credentials, KeyStoreError};

/// How long a keyring may take to answer. Long enough to be started by D-Bus on first use.
const DEADLINE: Duration = Duration::from_millis(2500);

/// The name under which all items of this program are found in the system's key store; the
/// home's identifier is the account or user name.
pub(super) const SERVICE: &str = "caro-sync";

/// One home's item in the operating system's key store.
#[derive(Debug)]
pub struct OsKeyStore {
    home: String,
    deadline: Duration,
    bus_address: Option<String>,
    #[cfg(target_os = "linux")]
    cache: super::kernel_cache::KernelCache,
}

impl OsKeyStore {
    /// `home` identifies the home among all of this user on this machine, and must stay the same
    /// for as long as the home lives: a random id kept in its data directory, say.
    pub fn new(home: &str) -> Self {
        Self {
            home: home.to_owned(),
            deadline: DEADLINE,
            bus_address: None,
            #[cfg(target_os = "linux")]
            cache: super::kernel_cache::KernelCache::new(home),
        }
    }

    /// Waits this long instead of two and a half seconds.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Uses the D-Bus at this address instead of the session's. The copy in the kernel is told
    /// apart by `home` alone.
    #[must_use]
    pub fn with_bus_address(mut self, address: &str) -> Self {
        self.bus_address = Some(address.to_owned());
        self
    }

    /// Whether credentials are or could be kept here: `Ok`, or the error that storing would give.
    pub fn usable(&self) -> Result<(), KeyStoreError> {
        if self.has_copy() { Ok(()) } else { self.backend().check() }
    }

    /// Puts `credentials` in, in place of what was there.
    pub fn store(&self, credentials: &Credentials) -> Result<(), KeyStoreError> {
        let text = credentials.to_text();
        self.settle(self.backend().write(&text))?;
        #[cfg(target_os = "linux")]
        self.cache.put(text.as_bytes());
        Ok(())
    }

    /// What is stored; `None` if nothing is.
    pub fn load(&self) -> Result<Option<Credentials>, KeyStoreError> {
        #[cfg(target_os = "linux")]
        if let Some(copy) = self.cache.get()
            && let Ok(credentials) = Credentials::from_text(&copy)
        {
            return Ok(Some(credentials));
        }
        let Some(secret) = self.backend().read()? else {
            return Ok(None);
        };
        let credentials = Credentials::from_text(&secret)?;
        #[cfg(target_os = "linux")]
        self.cache.put_if_absent(&secret);
        Ok(Some(credentials))
    }

    /// Removes what is stored. Returns whether there was something.
    pub fn delete(&self) -> Result<bool, KeyStoreError> {
        self.settle(self.backend().remove())
    }

    /// After a change to the keyring, or one that may have happened although no answer came, the
    /// copy is out of date and must go.
    fn settle<T>(&self, changed: Result<T, KeyStoreError>) -> Result<T, KeyStoreError> {
        if matches!(changed, Ok(_) | Err(KeyStoreError::NoAnswer { .. })) {
            self.forget_copy()?;
        }
        changed
    }

    /// Whether the kernel holds a copy, so that loading asks nobody else.
    pub fn has_copy(&self) -> bool {
        #[cfg(target_os = "linux")]
        return self.cache.get().is_some();
        #[cfg(not(target_os = "linux"))]
        return false;
    }

    /// Drops the kernel's copy only, so that the next use asks the system keyring; a no-op
    /// where there are no copies.
    pub fn forget_copy(&self) -> Result<(), KeyStoreError> {
        #[cfg(target_os = "linux")]
        if !self.cache.forget() {
            return Err(KeyStoreError::Refused { reason: "the kernel does not drop its copy of the keys".to_owned() });
        }
        Ok(())
    }

    #[cfg(all(unix, not(any(target_os = "macos", target_os = "ios", target_os = "android"))))]
    fn backend(&self) -> super::secret_service::SecretServiceItem {
        super::secret_service::SecretServiceItem::new(&self.home, self.bus_address.as_deref(), self.deadline)
    }

    #[cfg(not(all(unix, not(any(target_os = "macos", target_os = "ios", target_os = "android")))))]
    fn backend(&self) -> native::NativeItem {
        native::NativeItem::new(&self.home)
    }
}

/// Keychain and Credential Manager: always there, local, and they answer at once or ask the user.
#[cfg(not(all(unix, not(any(target_os = "macos", target_os = "ios", target_os = "android")))))]
mod native {
    use keyring::{Entry, Error};
    use zeroize::Zeroizing;

    use super::{KeyStoreError, SERVICE};

    pub(super) struct NativeItem {
        home: String,
    }

    impl NativeItem {
        pub(super) fn new(home: &str) -> Self {
            Self { home: home.to_owned() }
        }

        fn entry(&self) -> Result<Entry, KeyStoreError> {
            Entry::new(SERVICE, &self.home).map_err(explain)
        }

        pub(super) fn check(&self) -> Result<(), KeyStoreError> {
            self.entry().map(drop)
        }

        pub(super) fn write(&self, secret: &str) -> Result<(), KeyStoreError> {
            self.entry()?.set_secret(secret.as_bytes()).map_err(explain)
        }

        pub(super) fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
            match self.entry()?.get_secret() {
                Ok(secret) => Ok(Some(Zeroizing::new(secret))),
                Err(Error::NoEntry) => Ok(None),
                Err(error) => Err(explain(error)),
            }
        }

        pub(super) fn remove(&self) -> Result<bool, KeyStoreError> {
            match self.entry()?.delete_credential() {
                Ok(()) => Ok(true),
                Err(Error::NoEntry) => Ok(false),
                Err(error) => Err(explain(error)),
            }
        }
    }

    fn explain(error: Error) -> KeyStoreError {
        match error {
            Error::NoStorageAccess(_) => KeyStoreError::Locked,
            Error::NoDefaultStore => KeyStoreError::NoService,
            Error::PlatformFailure(source) => KeyStoreError::Refused { reason: source.to_string() },
            // The rest may quote stored data.
            _ => KeyStoreError::Refused { reason: "unexpected answer".to_owned() },
        }
    }
}
