//! What serves others over the network: sockets, TLS, who asks and how many may, HTTP, pages, the database that several share.
//!
//! A relay and a collector are built of it. It knows neither what they store nor for whom.

mod address;
mod admission;
mod certificate;
mod client;
mod daily;
mod database;
mod database_tls;
mod forwarded;
mod http;
mod listener;
pub(crate) mod page;
mod read_ahead;
mod signals;
mod told;

pub use address::ListenAddress;
pub use admission::ConnectionLimits;
pub(crate) use admission::{Admission, Admitted, Full};
pub(crate) use certificate::Certificate;
pub use certificate::CertificateFiles;
pub(crate) use client::{Client, Via, behind, nearest};
pub(crate) use daily::DailyHash;
pub use database::DatabaseAddress;
pub(crate) use database::{Connector, DatabaseConnection, in_words};
pub(crate) use http::answer;
pub use listener::{Inherited, ListenError};
pub(crate) use listener::{Listener, Stream};
pub(crate) use read_ahead::ReadAhead;
pub(crate) use signals::{Asked, Signals};
pub use told::Told;

/// Each connection needs a descriptor; systems let a process have more of them than they give it at first.
pub(crate) fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the number of descriptors stays");
    }
}
