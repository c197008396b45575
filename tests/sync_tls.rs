//! Sync through a relay behind TLS, with a root certificate of one's own.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::common::authority::Authority;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

/// A proxy that speaks TLS to the outside and plainly to the relay, as one would stand before it.
struct Proxy {
    address: SocketAddr,
    authority: Authority,
    _runtime: Runtime,
}

impl Proxy {
    fn before(relay: SocketAddr) -> Self {
        let authority = Authority::new();
        let acceptor = authority.issue("127.0.0.1").acceptor();
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
        Self { address, authority, _runtime: runtime }
    }

    fn url(&self) -> String {
        format!("wss://{}", self.address)
    }

    /// Where the root's file lies.
    fn folder(&self) -> &Path {
        self.authority.folder()
    }
}

#[test]
fn a_relay_behind_a_certificate_of_ones_own_is_used_once_its_root_is_named() {
    let relay = Relay::new();
    let proxy = Proxy::before(relay.address());
    let (url, root) = (proxy.url(), proxy.authority.root());
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("over TLS");
    let phrase = proxy.folder().join("phrase");
    let phrase = phrase.to_str().unwrap();

    let init = ["sync", "init", "--new", "--yes", "--relay", &url, "--phrase-out", phrase];
    let refused = a.run(init).failure(5);
    assert!(refused.stderr.contains("not one that this machine trusts"), "{refused:?}");

    // Named from the folder it lies in; later runs are somewhere else.
    let mut command = a.command(init.into_iter().chain(["--relay-certificate", "root.pem"]));
    command.current_dir(proxy.folder());
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
    proxy.authority.root();
    let mut command = device.command(["sync", "relay", "set", &url, "--relay-certificate", "root.pem", "--yes"]);
    command.current_dir(proxy.folder());
    assert_eq!(device.finish(command, b"").code, Some(0));
    device.add_one("after");
    assert_eq!(device.now().sent, 1);
}
