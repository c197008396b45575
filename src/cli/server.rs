//! What the commands that serve others have in common: values of their flags, and what they tell the service manager.

use std::path::PathBuf;

use ipnet::IpNet;
use sd_notify::NotifyState;

use super::{CliError, Ui};
use crate::server::{CertificateFiles, Inherited, Told};

/// A network, or a single address as one.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let single = || text.parse().map(|address: std::net::IpAddr| address.into()).ok();
    text.parse().ok().or_else(single).ok_or_else(|| "a network looks like 10.0.0.0/8, an address like 10.0.0.1".into())
}

/// The files of a certificate, both of which have to be named.
pub(super) fn certificate(chain: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<CertificateFiles>, CliError> {
    match (chain, key) {
        (Some(chain), Some(key)) => Ok(Some(CertificateFiles { chain, key })),
        (None, None) => Ok(None),
        _ => Err(CliError::usage("a certificate and its key belong together")
            .hinted("Name both: --tls-certificate FILE --tls-key FILE")),
    }
}

/// The sockets that systemd has bound for this process.
pub(super) fn inherited() -> Vec<Inherited> {
    let mut given = listenfd::ListenFd::from_env();
    (0..given.len())
        .filter_map(|at| {
            let tcp = given.take_tcp_listener(at).ok().flatten().map(Inherited::Tcp);
            tcp.or_else(|| given.take_unix_listener(at).ok().flatten().map(Inherited::Unix))
        })
        .collect()
}

/// Says where a server listens, and tells the service manager what it does.
pub(super) fn tell(ui: &mut Ui, what: &Told) -> Result<(), CliError> {
    match what {
        Told::Listening { clients, watching } => {
            let clients = clients.iter().map(|address| format!("listening on {address}"));
            let watching = watching.iter().map(|address| format!("to be watched at {address}"));
            let said = clients.chain(watching).try_for_each(|line| ui.line(line)).and_then(|()| ui.flush());
            notify(&[NotifyState::Ready]);
            return said;
        }
        Told::Reloading => match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(_) => notify(&[NotifyState::Reloading]),
        },
        Told::Reloaded => notify(&[NotifyState::Ready]),
        Told::Alive => notify(&[NotifyState::Watchdog]),
        Told::Stopping => notify(&[NotifyState::Stopping]),
    }
    Ok(())
}

/// Tells the service manager, where there is one.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}
