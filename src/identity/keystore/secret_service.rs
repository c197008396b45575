//! One item in the Secret Service (GNOME Keyring, KWallet, KeePassXC), over D-Bus, in time.
//!
//! Source: freedesktop.org's Secret Service API draft 0.2. The item is found by the attributes
//! `service` and `username`; the secret is text, since some providers show or keep nothing else,
//! and travels encrypted between the two processes (Diffie-Hellman session).
//!
//! Two rules shape this file. Nothing may prompt: a locked keyring is found out by its `Locked`
//! property and reported, never unlocked, since the dialogue may have nobody to answer it. And
//! each use ends by its deadline: it runs on a thread with its own runtime, where a timeout
//! cancels it; the caller waits a moment longer at most, whatever that thread does.

use std::{collections::HashMap, future::Future, sync::mpsc, thread, time::Duration};

use secret_service::{Collection, EncryptionType, Error, Item, SecretService};
use zbus::DBusError;
use zeroize::Zeroizing;

use super::{KeyStoreError, os::SERVICE};

/// For the thread to notice that its time is up.
const GRACE: Duration = Duration::from_millis(250);
const LABEL: &str = "Caro Sync keys";
const CONTENT_TYPE: &str = "text/plain";

/// Where one home's item is, and how long its keyring may take.
pub(super) struct SecretServiceItem {
    place: Place,
    deadline: Duration,
}

#[derive(Clone)]
struct Place {
    home: String,
    bus_address: Option<String>,
}

impl SecretServiceItem {
    pub(super) fn new(home: &str, bus_address: Option<&str>, deadline: Duration) -> Self {
        let place = Place { home: home.to_owned(), bus_address: bus_address.map(ToOwned::to_owned) };
        Self { place, deadline }
    }

    /// Whether something could be written now.
    pub(super) fn check(&self) -> Result<(), KeyStoreError> {
        self.run(async |place| {
            let service = place.connect().await?;
            unlocked_default(&service).await.map(drop)
        })
    }

    pub(super) fn write(&self, secret: &str) -> Result<(), KeyStoreError> {
        let secret = Zeroizing::new(secret.to_owned());
        self.run(async move |place| {
            let service = place.connect().await?;
            match place.unlocked_items(&service).await?.as_slice() {
                [] => {
                    unlocked_default(&service)
                        .await?
                        .create_item(LABEL, place.attributes(), secret.as_bytes(), true, CONTENT_TYPE)
                        .await
                        .map_err(Failure::from)?;
                }
                [newest, others @ ..] => {
                    newest.set_secret(secret.as_bytes(), CONTENT_TYPE).await?;
                    for item in others {
                        item.delete().await?;
                    }
                }
            }
            Ok(())
        })
    }

    pub(super) fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
        self.run(async |place| {
            let service = place.connect().await?;
            match place.unlocked_items(&service).await?.first() {
                Some(item) => Ok(Some(Zeroizing::new(item.get_secret().await?))),
                None => Ok(None),
            }
        })
    }

    pub(super) fn remove(&self) -> Result<bool, KeyStoreError> {
        self.run(async |place| {
            let service = place.connect().await?;
            let items = place.unlocked_items(&service).await?;
            for item in &items {
                item.delete().await?;
            }
            Ok(!items.is_empty())
        })
    }

    /// Runs `task` on a thread of its own until it is done or the deadline is over.
    fn run<T, F>(&self, task: impl FnOnce(Place) -> F + Send + 'static) -> Result<T, KeyStoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>>,
    {
        let (place, deadline) = (self.place.clone(), self.deadline);
        let (answer, answered) = mpsc::sync_channel(1);
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|_| KeyStoreError::NoResource { what: "files" })?;
            let result = runtime.block_on(async {
                tokio::time::timeout(deadline, task(place))
                    .await
                    .map_err(|_| KeyStoreError::NoAnswer { deadline })?
                    .map_err(|failure| failure.0)
            });
            runtime.shutdown_background();
            result
        };
        thread::Builder::new()
            .name("system-keyring".to_owned())
            // If the receiver is gone, nobody waits for the answer any more.
            .spawn(move || drop(answer.send(work())))
            .map_err(|_| KeyStoreError::NoResource { what: "threads" })?;
        answered.recv_timeout(deadline + GRACE).unwrap_or(Err(KeyStoreError::NoAnswer { deadline }))
    }
}

impl Place {
    async fn connect(&self) -> Result<SecretService<'static>, Failure> {
        let builder = match &self.bus_address {
            Some(address) => zbus::connection::Builder::address(address.as_str()),
            None => zbus::connection::Builder::session(),
        };
        // Whatever keeps a bus from being reached means the same to the user.
        let connection = match builder {
            Ok(builder) => builder.build().await,
            Err(error) => Err(error),
        }
        .map_err(|_| Failure(KeyStoreError::NoService))?;
        Ok(SecretService::connect_with_existing(EncryptionType::Dh, connection).await?)
    }

    fn attributes(&self) -> HashMap<&str, &str> {
        HashMap::from([("service", SERVICE), ("username", self.home.as_str())])
    }

    /// This home's items, newest first: normally one or none. If none is to be seen but a keyring
    /// is locked, it may be in there, so that is an error.
    async fn unlocked_items<'a>(&self, service: &'a SecretService<'static>) -> Result<Vec<Item<'a>>, Failure> {
        let found = service.search_items(self.attributes()).await?;
        if found.unlocked.is_empty() {
            let default_is_locked = match service.get_default_collection().await {
                Ok(collection) => collection.is_locked().await?,
                Err(Error::NoResult) => false,
                Err(error) => return Err(error.into()),
            };
            if default_is_locked || !found.locked.is_empty() {
                return Err(Failure(KeyStoreError::Locked));
            }
        }
        let mut items = Vec::with_capacity(found.unlocked.len());
        for item in found.unlocked {
            items.push((item.get_modified().await?, item));
        }
        items.sort_by_key(|(modified, _)| std::cmp::Reverse(*modified));
        Ok(items.into_iter().map(|(_, item)| item).collect())
    }
}

/// The keyring that new items go to.
async fn unlocked_default<'a>(service: &'a SecretService<'static>) -> Result<Collection<'a>, Failure> {
    let collection = match service.get_default_collection().await {
        Err(Error::NoResult) => return Err(Failure(KeyStoreError::NoCollection)),
        other => other?,
    };
    if collection.is_locked().await? {
        return Err(Failure(KeyStoreError::Locked));
    }
    Ok(collection)
}

/// A newtype for `?`: turns what D-Bus or the provider said into an error with advice.
struct Failure(KeyStoreError);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(match error {
            Error::Locked | Error::Prompt | Error::PromptDisconnected => KeyStoreError::Locked,
            Error::Unavailable => KeyStoreError::NoService,
            Error::NoResult => KeyStoreError::NoCollection,
            Error::Zbus(error) => explain(&error),
            Error::ZbusFdo(error) => explain_named(&error),
            _ => senseless(),
        })
    }
}

fn explain(error: &zbus::Error) -> KeyStoreError {
    match error {
        zbus::Error::MethodError(name, ..) => explain_name(name),
        zbus::Error::FDO(error) => explain_named(error),
        zbus::Error::InputOutput(_) | zbus::Error::Connection(..) => KeyStoreError::NoService,
        _ => senseless(),
    }
}

fn explain_named(error: &zbus::fdo::Error) -> KeyStoreError {
    match error {
        zbus::fdo::Error::ZBus(error) => explain(error),
        error => explain_name(&error.name()),
    }
}

/// Only the error's name is looked at: its text is the provider's, and may hold anything.
fn explain_name(name: &str) -> KeyStoreError {
    const BUS: &str = "org.freedesktop.DBus.Error.";
    let is_gone = name.strip_prefix(BUS).is_some_and(|error| {
        ["ServiceUnknown", "NameHasNoOwner", "NoServer", "NoReply", "Disconnected"].contains(&error)
            || error.starts_with("Spawn.")
    });
    if is_gone {
        KeyStoreError::NoService
    } else if name == "org.freedesktop.Secret.Error.IsLocked" {
        KeyStoreError::Locked
    } else {
        KeyStoreError::Refused { reason: name.to_owned() }
    }
}

fn senseless() -> KeyStoreError {
    KeyStoreError::Refused { reason: "its answer makes no sense".to_owned() }
}
