//! A server's certificate for TLS, read anew when its files have changed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::net;

/// The files of a certificate, both PEM.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The certificate, and after it those between it and its root.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The certificate that handshakes are answered with now.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: CertificateFiles,
    current: RwLock<Arc<CertifiedKey>>,
    stamp: Mutex<Stamp>,
}

/// When the files were last written, and how long they are.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    /// Reads the files, or says what is wrong with them.
    pub(crate) fn load(files: CertificateFiles) -> Result<Arc<Self>, String> {
        // Before they are read: what is written meanwhile is read again.
        let stamp = Mutex::new(stamp(&files));
        let current = read(&files)?;
        Ok(Arc::new(Self { files, current: RwLock::new(current), stamp }))
    }

    /// What does the handshakes.
    pub(crate) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again if they have changed, or could not be read the last time.
    pub(crate) fn renew_if_changed(&self) {
        if *self.stamp() != stamp(&self.files) {
            self.renew();
        }
    }

    /// Reads the files again. Where they cannot be used, the certificate stays that it was.
    pub(crate) fn renew(&self) {
        *self.stamp() = stamp(&self.files);
        match read(&self.files) {
            Ok(renewed) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed;
                tracing::info!("the certificate was renewed");
            }
            Err(reason) => {
                *self.stamp() = Stamp::default();
                tracing::error!("{reason}; the certificate that was read before goes on");
            }
        }
    }
}

impl Certificate {
    fn stamp(&self) -> std::sync::MutexGuard<'_, Stamp> {
        self.stamp.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn stamp(files: &CertificateFiles) -> Stamp {
    [&files.chain, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

/// Whether a certificate is one that signs others: then it is none of a server, whoever trusts it.
fn is_of_an_authority(certificate: &CertificateDer<'static>) -> bool {
    let mut roots = rustls::RootCertStore::empty();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = roots
        .add(certificate.clone())
        .ok()
        .and_then(|()| WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok());
    let (Some(verifier), Ok(name)) = (verifier, ServerName::try_from("relay.example")) else { return false };
    let checked = verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now());
    checked.is_err_and(|error| net::is_of_an_authority(&error))
}

/// The certificate in these files, or what is wrong with them.
fn read(files: &CertificateFiles) -> Result<Arc<CertifiedKey>, String> {
    let unreadable = |path: &Path| format!("{} cannot be read, or is no PEM file", path.display());
    let chain = CertificateDer::pem_file_iter(&files.chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|_| unreadable(&files.chain))?;
    if chain.is_empty() {
        return Err(format!("there is no certificate in {}", files.chain.display()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|_| unreadable(&files.key))?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key)
        .map_err(|_| format!("the key in {} is of a kind that is not supported", files.key.display()))?;
    if chain.first().is_some_and(is_of_an_authority) {
        tracing::warn!(
            "the certificate in {} is one of an authority, as `openssl req -x509` makes it: devices of caro refuse it. Make it \
             with -addext basicConstraints=critical,CA:FALSE",
            files.chain.display()
        );
    }
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        // A key whose public half cannot be told is believed.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(Arc::new(pair)),
        Err(_) => Err(format!(
            "the key in {} is not that of the certificate in {}",
            files.key.display(),
            files.chain.display()
        )),
    }
}
