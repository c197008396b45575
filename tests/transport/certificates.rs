//! Which relays are believed to be who they say.

use std::path::PathBuf;
use std::sync::Arc;

use caro::net::{Network, Proxies, RelayAddress};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use super::peers::{connect, echo, failure, receive, send, serve};

/// A root of our own.
struct Root {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Root {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, folder: tempfile::tempdir().unwrap() }
    }

    /// The file that a user would name.
    fn file(&self) -> PathBuf {
        let path = self.folder.path().join("root.pem");
        std::fs::write(&path, self.issuer.pem()).unwrap();
        path
    }

    /// What a relay of this name shows, until a year.
    fn acceptor(&self, name: &str, until: i32) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A relay behind TLS; its address.
fn secure_echo(network: &Network, acceptor: TlsAcceptor) -> String {
    let server = serve(network, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                echo(stream).await;
            }
        }
    });
    format!("wss://{server}")
}

fn address(url: &str, root: Option<PathBuf>) -> RelayAddress {
    RelayAddress::parse(url, root, Proxies::default()).unwrap()
}

#[test]
fn a_relay_of_ones_own_is_believed_with_its_root_and_not_without() {
    let network = Network::start().unwrap();
    let (root, other) = (Root::new(), Root::new());
    let relay = secure_echo(&network, root.acceptor("127.0.0.1", 2100));

    let mut frames = connect(&network, address(&relay, Some(root.file())));
    send(&frames, "é over TLS".into());
    assert_eq!(receive(&network, &mut frames).as_deref(), Some("é over TLS"));

    let untrusted = "its certificate is not one that this machine trusts";
    assert_eq!(failure(&network, address(&relay, Some(other.file()))), untrusted);
    let by_the_system = failure(&network, address(&relay, None));
    assert!(
        by_the_system == untrusted || by_the_system.starts_with("this system has no root certificates"),
        "{by_the_system}"
    );
}

#[test]
fn large_frames_pass_through_tls_too() {
    let network = Network::start().unwrap();
    let root = Root::new();
    let relay = secure_echo(&network, root.acceptor("127.0.0.1", 2100));
    let mut frames = connect(&network, address(&relay, Some(root.file())));
    let large = "m".repeat(9 << 20);
    send(&frames, large.clone());
    assert!(receive(&network, &mut frames).is_some_and(|text| text == large));
}

#[test]
fn a_certificate_for_another_name_or_another_time_is_refused() {
    let network = Network::start().unwrap();
    let root = Root::new();
    let other = secure_echo(&network, root.acceptor("relay.example", 2100));
    assert_eq!(failure(&network, address(&other, Some(root.file()))), "its certificate is for another name");
    let old = secure_echo(&network, root.acceptor("127.0.0.1", 2021));
    assert_eq!(
        failure(&network, address(&old, Some(root.file()))),
        "its certificate is not valid at this time (check this machine's clock)"
    );
}

#[test]
fn a_relay_without_tls_is_not_taken_for_a_forger() {
    let network = Network::start().unwrap();
    let plain = serve(&network, |mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = stream.shutdown().await;
    });
    let said = failure(&network, address(&format!("wss://{plain}"), Some(Root::new().file())));
    assert_eq!(said, "it answers, but without TLS (is it a ws:// address?)");
}

#[test]
fn a_certificate_file_that_is_of_no_use_is_named() {
    let network = Network::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (missing, empty) = (folder.path().join("missing.pem"), folder.path().join("empty.pem"));
    std::fs::write(&empty, "nothing here\n").unwrap();
    let said = failure(&network, address("wss://127.0.0.1:1", Some(missing.clone())));
    assert_eq!(said, format!("the certificate file {} cannot be read", missing.display()));
    let said = failure(&network, address("wss://127.0.0.1:1", Some(empty.clone())));
    assert_eq!(said, format!("there is no certificate in {}", empty.display()));
}
