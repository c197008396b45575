//! Sync through a relay behind TLS, with a root certificate of one's own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

/// A proxy that speaks TLS to the outside and plainly to the relay, as one would stand before it.
struct Proxy {
    address: SocketAddr,
    folder: TempDir,
    _runtime: Runtime,
}

impl Proxy {
    fn before(relay: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.path().join("root.pem"), root.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &root).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((outside, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut inside = TcpStream::connect(relay).await?;
                    let mut outside = acceptor.accept(outside).await?;
                    tokio::io::copy_bidirectional(&mut outside, &mut inside).await
                });
            }
        });
        Self { address, folder, _runtime: runtime }
    }

    fn url(&self) -> String {
        format!("wss://{}", self.address)
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }
}

#[test]
fn a_relay_behind_a_certificate_of_ones_own_is_used_once_its_root_is_named() {
    let relay = Relay::new();
    let proxy = Proxy::before(relay.address());
    let (url, root) = (proxy.url(), proxy.root());
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("over TLS");
    let phrase = proxy.folder.path().join("phrase");
    let phrase = phrase.to_str().unwrap();

    let init = ["sync", "init", "--new", "--yes", "--relay", &url, "--phrase-out", phrase];
    let refused = a.run(init).failure(5);
    assert!(refused.stderr.contains("not one that this machine trusts"), "{refused:?}");

    // Named from the folder it lies in; later runs are somewhere else.
    let mut command = a.command(init.into_iter().chain(["--relay-certificate", "root.pem"]));
    command.current_dir(proxy.folder.path());
    let run = a.finish(command, b"");
    assert_eq!(run.code, Some(0), "{run:?}");
    let root = root.to_str().unwrap();
    b.ok(["sync", "restore", "--yes", "--relay", &url, "--relay-certificate", root, "--phrase-file", phrase]);
    b.add_one("and back");
    b.now();
    a.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 2);
}

#[test]
fn a_relay_is_changed_to_one_behind_a_certificate() {
    let relay = Relay::new();
    let proxy = Proxy::before(relay.address());
    let device = SyncHome::new("laptop");
    device.add_one("before");
    device.init(&relay.url());
    let url = proxy.url();
    let mut command = device.command(["sync", "relay", "set", &url, "--relay-certificate", "root.pem", "--yes"]);
    command.current_dir(proxy.folder.path());
    assert_eq!(device.finish(command, b"").code, Some(0));
    device.add_one("after");
    assert_eq!(device.now().sent, 1);
}
