//! A certificate authority of a test's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// A root that certificates are made of, in a folder of its own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key.
pub struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    /// A new root.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).expect("names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root");
        Self { issuer, folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// The file of the root, which a user would name.
    pub fn root(&self) -> PathBuf {
        let path = self.folder.path().join("root.pem");
        std::fs::write(&path, self.issuer.pem()).expect("the root is written");
        path
    }

    /// Where its files lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A certificate for a name or an address.
    pub fn issue(&self, name: &str) -> Issued {
        self.sign(CertificateParams::new(vec![name.to_owned()]).expect("a name"))
    }

    /// A certificate that is described whole.
    pub fn sign(&self, params: CertificateParams) -> Issued {
        let key = KeyPair::generate().expect("a key");
        Issued { certificate: params.signed_by(&key, &self.issuer).expect("a certificate"), key }
    }
}

impl Issued {
    /// One that nobody has signed but itself, and that is one of an authority: as `openssl req -x509` makes it.
    pub fn by_itself(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { certificate: params.self_signed(&key).expect("a certificate"), key }
    }

    /// Writes `NAME.pem` and `NAME.key` into a folder; their paths.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (chain, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&chain, self.certificate.pem()).expect("the certificate is written");
        std::fs::write(&key, self.key.serialize_pem()).expect("the key is written");
        (chain, key)
    }

    /// The certificate as it is sent.
    pub fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }

    /// What answers handshakes with it.
    pub fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.der().clone()], key)
            .expect("a certificate and its key");
        TlsAcceptor::from(Arc::new(config))
    }
}
