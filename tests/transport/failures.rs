//! A relay that cannot be used: each way of that has its own words.

use std::time::{Duration, Instant};

use caro::net::{AddressError, Network, Proxies, RelayAddress};

use super::peers::{address, answer, connect, dial, echo, failure, serve};

#[test]
fn what_is_no_address_of_a_relay_is_refused_at_once() {
    let parse = |text: &str| RelayAddress::parse(text, None, Proxies::default()).err();
    assert_eq!(parse("https://relay.example"), Some(AddressError::Scheme));
    assert_eq!(parse("relay.example"), Some(AddressError::Malformed));
    assert!(parse("ws://").is_some());
    for good in ["ws://[::1]:4200", "wss://relay.example", "wss://relay.example:8443/sync?key=x", "WSS://RELAY.example"]
    {
        assert_eq!(parse(good), None, "{good}");
    }
}

#[test]
fn a_token_in_an_address_is_not_shown() {
    let address = address("wss://user:pass@relay.example:8443/t0ken?key=t0ken");
    assert_eq!(address.shown(), "wss://relay.example:8443");
    assert!(!address.fingerprint().contains("t0ken"));
    for wrong in ["relay.example/t0ken", "t0ken:pass@relay.example", "https://relay.example/t0ken"] {
        let refused = RelayAddress::parse(wrong, None, Proxies::default()).err().unwrap();
        assert!(!refused.to_string().contains("t0ken"), "{refused}");
    }
}

#[test]
fn nothing_listens() {
    let network = Network::start().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(failure(&network, address(&format!("ws://{free}"))), "nothing listens there");
}

#[test]
fn a_name_that_nobody_knows() {
    let network = Network::start().unwrap();
    assert_eq!(failure(&network, address("ws://relay.invalid")), "its name is not known");
}

#[test]
fn answers_that_are_not_those_of_a_relay() {
    let network = Network::start().unwrap();
    for (given, said) in [
        (
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n",
            "the relay wants a token in the address, and one that still counts",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
            "the relay wants a token in the address, and one that still counts",
        ),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "it answers, but has no relay at that path"),
        (
            "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n",
            "the relay has as many connections from your address as it takes",
        ),
        (
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
            "the relay, or what stands before it, takes nobody in at the moment",
        ),
        (
            "HTTP/1.1 503 Service Unavailable\r\ncaro-refusal: database\r\ncontent-length: 0\r\n\r\n",
            "the relay's database does not answer",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "it answers, but not as a relay (HTTP 200)"),
        (
            "HTTP/1.1 301 Moved\r\nlocation: https://x.example\r\ncontent-length: 0\r\n\r\n",
            "it answers, but not as a relay (HTTP 301)",
        ),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "it answers, but not as a relay"),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", "it answers, but not as a relay"),
        ("", "it closed the connection"),
    ] {
        let server = serve(&network, move |stream| answer(stream, given));
        assert_eq!(failure(&network, address(&format!("ws://{server}"))), said, "{given}");
    }
}

#[test]
fn a_relay_that_says_nothing_is_given_up_in_time() {
    let network = Network::start().unwrap();
    let silent = serve(&network, |stream| async move {
        futures::future::pending::<()>().await;
        drop(stream);
    });
    let begun = Instant::now();
    let patient = address(&format!("ws://{silent}")).within(Duration::from_millis(200));
    assert_eq!(failure(&network, patient), "it did not answer in time");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn the_next_attempt_may_succeed_and_then_the_failure_is_forgotten() {
    let network = Network::start().unwrap();
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let there = place.local_addr().unwrap();
    drop(place);
    let dialled = dial(&network, address(&format!("ws://{there}")));
    assert!(dialled.first.is_err());
    assert!(network.block_on((dialled.dialer)()).is_err());
    let listener = network.block_on(tokio::net::TcpListener::bind(there)).unwrap();
    network.handle().spawn(async move { echo(listener.accept().await.unwrap().0).await });
    assert!(network.block_on((dialled.dialer)()).is_ok());
    assert_eq!(dialled.last_failure.reason(), None);
}

#[test]
fn the_network_ends_with_its_owner() {
    let network = Network::start().unwrap();
    let server = serve(&network, echo);
    let mut frames = connect(&network, address(&format!("ws://{server}")));
    drop(network);
    crate::common::home::wait_until("the connection is gone", || frames.outgoing.is_closed());
    assert!(futures::executor::block_on(frames.incoming.recv()).is_none());
}
