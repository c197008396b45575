//! Through a proxy: what it is asked for, and what happens when it refuses.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};

use caro::net::{Network, Proxies, RelayAddress};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use super::peers::{connect, echo, failure, head, receive, send, serve};

/// No name server knows it: who reaches it was helped by the proxy.
const RELAY: &str = "ws://relay.invalid:4200";

fn through(proxy: &str, none_for: Option<&str>) -> RelayAddress {
    let proxies = Proxies { https: None, http: Some(proxy.into()), none_for: none_for.map(str::to_owned) };
    RelayAddress::parse(RELAY, None, proxies).unwrap()
}

/// A proxy that takes every client to one place; it tells the heads of the requests.
fn connect_proxy(network: &Network, relay: SocketAddr, answer: &'static str) -> (SocketAddr, Receiver<String>) {
    let (sender, heads) = channel();
    let proxy = serve(network, move |mut client| {
        let sender = sender.clone();
        async move {
            let _ = sender.send(head(&mut client).await);
            let _ = client.write_all(answer.as_bytes()).await;
            if answer.contains(" 200 ") {
                let mut server = TcpStream::connect(relay).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        }
    });
    (proxy, heads)
}

fn assert_echoes(network: &Network, address: RelayAddress) {
    let mut frames = connect(network, address);
    send(&frames, "through the tunnel".into());
    assert_eq!(receive(network, &mut frames).as_deref(), Some("through the tunnel"));
}

const OPEN: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

#[test]
fn a_tunnel_is_asked_for_by_name_and_without_a_word_too_many() {
    let network = Network::start().unwrap();
    let (proxy, heads) = connect_proxy(&network, serve(&network, echo), OPEN);
    assert_echoes(&network, through(&format!("http://{proxy}"), None));
    let asked = heads.recv().unwrap();
    assert!(asked.starts_with("CONNECT relay.invalid:4200 HTTP/1.1\r\n"), "{asked}");
    assert!(!asked.to_lowercase().contains("authorization"), "{asked}");
}

#[test]
fn a_proxy_may_be_named_without_its_scheme() {
    let network = Network::start().unwrap();
    let (proxy, _heads) = connect_proxy(&network, serve(&network, echo), OPEN);
    assert_echoes(&network, through(&proxy.to_string(), None));
}

#[test]
fn the_credentials_of_a_proxy_are_given_to_it_alone() {
    let network = Network::start().unwrap();
    let (sender, asked_of_relay) = channel();
    let relay = serve(&network, move |mut stream| {
        let sender = sender.clone();
        async move { drop(sender.send(head(&mut stream).await)) }
    });
    let (proxy, heads) = connect_proxy(&network, relay, OPEN);
    failure(&network, through(&format!("http://us%65r:p%40ss@{proxy}"), None));
    let asked = heads.recv().unwrap().to_lowercase();
    // "user:p@ss".
    assert!(asked.contains("proxy-authorization: basic dxnlcjpwqhnz\r\n"), "{asked}");
    assert!(!asked_of_relay.recv().unwrap().to_lowercase().contains("authorization"));
}

#[test]
fn a_proxy_that_refuses_is_named_as_the_reason() {
    let network = Network::start().unwrap();
    let refused = "the proxy did not let us through";
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for answer in [
        "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\n\r\n",
        "HTTP/1.1 502 Bad Gateway\r\n\r\n",
        "nonsense\r\n\r\n",
        "",
    ] {
        let (proxy, _heads) = connect_proxy(&network, nowhere, answer);
        assert_eq!(failure(&network, through(&format!("http://{proxy}"), None)), refused, "{answer}");
    }
    assert_eq!(failure(&network, through(&format!("http://{nowhere}"), None)), refused);
}

#[test]
fn a_proxy_of_an_unknown_kind_is_an_error_and_is_not_gone_around() {
    let network = Network::start().unwrap();
    for proxy in ["https://proxy.invalid:3128", "socks4://proxy.invalid"] {
        let said = failure(&network, through(proxy, None));
        assert_eq!(said, "the proxy is of a kind that is not supported: name an http:// or socks5:// one");
    }
    let said = failure(&network, through("gopher://proxy.invalid", None));
    assert_eq!(said, "the proxy that the environment names is not an address");
}

#[test]
fn excepted_hosts_and_this_machine_are_dialled_directly() {
    let network = Network::start().unwrap();
    let (proxy, heads) = connect_proxy(&network, serve(&network, echo), OPEN);
    let proxy = format!("http://{proxy}");
    for none_for in ["relay.invalid", "invalid", "*"] {
        assert_eq!(failure(&network, through(&proxy, Some(none_for))), "its name is not known", "{none_for}");
    }
    let local = serve(&network, echo);
    let proxies = Proxies { https: None, http: Some(proxy), none_for: None };
    assert_echoes(&network, RelayAddress::parse(&format!("ws://{local}"), None, proxies).unwrap());
    assert!(heads.try_recv().is_err(), "the proxy was asked");
}

/// As much of SOCKS 5 as a client needs: names, with or without a password.
fn socks_proxy(
    network: &Network,
    relay: SocketAddr,
    credentials: Option<&'static str>,
) -> (SocketAddr, Receiver<String>) {
    let (sender, targets) = channel();
    let proxy = serve(network, move |mut client| {
        let sender = sender.clone();
        async move {
            let mut start = [0; 2];
            client.read_exact(&mut start).await.unwrap();
            let mut methods = vec![0; start[1].into()];
            client.read_exact(&mut methods).await.unwrap();
            let method = if credentials.is_some() { 2 } else { 0 };
            client.write_all(&[5, method]).await.unwrap();
            if let Some(expected) = credentials {
                let mut given = Vec::new();
                assert_eq!(client.read_u8().await.unwrap(), 1);
                for end in [b':', b'\n'] {
                    let mut part = vec![0; client.read_u8().await.unwrap().into()];
                    client.read_exact(&mut part).await.unwrap();
                    given.extend(part);
                    given.push(end);
                }
                let good = given == format!("{expected}\n").into_bytes();
                client.write_all(&[1, u8::from(!good)]).await.unwrap();
                if !good {
                    return;
                }
            }
            let mut request = [0; 4];
            client.read_exact(&mut request).await.unwrap();
            assert_eq!(request, [5, 1, 0, 3], "connect, to a name");
            let mut name = vec![0; client.read_u8().await.unwrap().into()];
            client.read_exact(&mut name).await.unwrap();
            let port = client.read_u16().await.unwrap();
            sender.send(format!("{}:{port}", String::from_utf8(name).unwrap())).unwrap();
            client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            let mut server = TcpStream::connect(relay).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
    });
    (proxy, targets)
}

#[test]
fn a_socks_proxy_resolves_the_name() {
    let network = Network::start().unwrap();
    let (proxy, targets) = socks_proxy(&network, serve(&network, echo), None);
    assert_echoes(&network, through(&format!("socks5h://{proxy}"), None));
    assert_eq!(targets.recv().unwrap(), "relay.invalid:4200");
}

#[test]
fn a_socks_proxy_may_want_a_password() {
    let network = Network::start().unwrap();
    let (proxy, targets) = socks_proxy(&network, serve(&network, echo), Some("user:p@ss"));
    assert_echoes(&network, through(&format!("socks5h://user:p%40ss@{proxy}"), None));
    assert_eq!(targets.recv().unwrap(), "relay.invalid:4200");
    assert_eq!(
        failure(&network, through(&format!("socks5h://user:wrong@{proxy}"), None)),
        "the proxy did not let us through"
    );
}
