//! Which relays are believed to be who they say.

use std::path::PathBuf;

use caro::net::{Network, Proxies, RelayAddress};
use rcgen::{CertificateParams, date_time_ymd};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use crate::common::authority::{Authority, Issued};

use super::peers::{connect, echo, failure, receive, send, serve};

/// What a relay of this name shows, until a year.
fn acceptor(root: &Authority, name: &str, until: i32) -> TlsAcceptor {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    root.sign(params).acceptor()
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
    let (root, other) = (Authority::new(), Authority::new());
    let relay = secure_echo(&network, acceptor(&root, "127.0.0.1", 2100));

    let mut frames = connect(&network, address(&relay, Some(root.root())));
    send(&frames, "é over TLS".into());
    assert_eq!(receive(&network, &mut frames).as_deref(), Some("é over TLS"));

    let untrusted = "its certificate is not one that this machine trusts";
    assert_eq!(failure(&network, address(&relay, Some(other.root()))), untrusted);
    let by_the_system = failure(&network, address(&relay, None));
    assert!(
        by_the_system == untrusted || by_the_system.starts_with("this system has no root certificates"),
        "{by_the_system}"
    );
}

#[test]
fn large_frames_pass_through_tls_too() {
    let network = Network::start().unwrap();
    let root = Authority::new();
    let relay = secure_echo(&network, acceptor(&root, "127.0.0.1", 2100));
    let mut frames = connect(&network, address(&relay, Some(root.root())));
    let large = "m".repeat(9 << 20);
    send(&frames, large.clone());
    assert!(receive(&network, &mut frames).is_some_and(|text| text == large));
}

#[test]
fn a_certificate_for_another_name_or_another_time_is_refused() {
    let network = Network::start().unwrap();
    let root = Authority::new();
    let other = secure_echo(&network, acceptor(&root, "relay.example", 2100));
    assert_eq!(failure(&network, address(&other, Some(root.root()))), "its certificate is for another name");
    let old = secure_echo(&network, acceptor(&root, "127.0.0.1", 2021));
    assert_eq!(
        failure(&network, address(&old, Some(root.root()))),
        "its certificate is not valid at this time (check this machine's clock)"
    );
}

#[test]
fn a_certificate_of_an_authority_is_refused_with_the_reason() {
    let network = Network::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let issued = Issued::by_itself("127.0.0.1");
    let (named, _) = issued.write(folder.path(), "relay");
    let relay = secure_echo(&network, issued.acceptor());
    let said = failure(&network, address(&relay, Some(named)));
    assert!(said.contains("openssl req -x509") && said.contains("CA:FALSE"), "{said}");
}

#[test]
fn a_relay_without_tls_is_not_taken_for_a_forger() {
    let network = Network::start().unwrap();
    let plain = serve(&network, |mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = stream.shutdown().await;
    });
    let said = failure(&network, address(&format!("wss://{plain}"), Some(Authority::new().root())));
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
