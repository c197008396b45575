//! What arrives: every text whole and in order, up to 64 MiB, and nothing else.

use std::sync::mpsc::channel;

use caro::net::Network;
use futures::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::peers::{address, connect, echo, handshake, receive, say, send, serve};

/// The largest frame that is taken, bytes.
const LARGEST: usize = 64 << 20;

#[test]
fn texts_arrive_whole_and_in_order() {
    let network = Network::start().unwrap();
    let server = serve(&network, echo);
    let mut frames = connect(&network, address(&format!("ws://{server}/")));
    let texts: Vec<String> = (0..2_000).map(|n| format!("{n} é😀\0\"\n{}", "x".repeat(n % 700))).collect();
    for text in &texts {
        send(&frames, text.clone());
    }
    for text in &texts {
        assert_eq!(receive(&network, &mut frames).as_ref(), Some(text));
    }
}

#[test]
fn the_path_and_the_query_reach_the_relay() {
    let network = Network::start().unwrap();
    let (sender, heads) = channel();
    let server = serve(&network, move |mut stream| {
        let sender = sender.clone();
        async move { drop(sender.send(super::peers::head(&mut stream).await)) }
    });
    super::peers::failure(&network, address(&format!("ws://{server}/sync?key=t%20ken")));
    let head = heads.recv().unwrap();
    assert!(head.starts_with("GET /sync?key=t%20ken HTTP/1.1\r\n"), "{head}");
    assert!(!head.to_lowercase().contains("user-agent"), "what says which program this is: {head}");
}

#[test]
fn only_texts_are_taken() {
    let network = Network::start().unwrap();
    let server = serve(&network, |stream| async move {
        let mut socket = handshake(stream).await.unwrap();
        for message in [Message::binary(vec![1, 2, 3]), Message::Ping(vec![7].into()), Message::text("after")] {
            socket.send(message).await.unwrap();
        }
        // The ping must have been answered.
        let answer = socket.next().await.unwrap().unwrap();
        assert!(matches!(&answer, Message::Pong(data) if data.as_ref() == [7]), "{answer:?}");
        say(&mut socket, "answered".into()).await;
        while socket.next().await.is_some() {}
    });
    let mut frames = connect(&network, address(&format!("ws://{server}")));
    assert_eq!(receive(&network, &mut frames).as_deref(), Some("after"));
    assert_eq!(receive(&network, &mut frames).as_deref(), Some("answered"));
}

#[test]
fn a_frame_of_64_mib_passes_both_ways() {
    let network = Network::start().unwrap();
    let server = serve(&network, echo);
    let mut frames = connect(&network, address(&format!("ws://{server}")));
    let large = "m".repeat(LARGEST);
    send(&frames, large.clone());
    send(&frames, "next".into());
    assert!(receive(&network, &mut frames).is_some_and(|text| text == large));
    assert_eq!(receive(&network, &mut frames).as_deref(), Some("next"));
}

#[test]
fn a_larger_frame_ends_the_connection() {
    let network = Network::start().unwrap();
    let server = serve(&network, |stream| async move {
        let mut socket = handshake(stream).await.unwrap();
        say(&mut socket, "small".into()).await;
        say(&mut socket, "m".repeat(LARGEST + 1)).await;
        say(&mut socket, "never".into()).await;
        while let Some(Ok(_)) = socket.next().await {}
    });
    let mut frames = connect(&network, address(&format!("ws://{server}")));
    assert_eq!(receive(&network, &mut frames).as_deref(), Some("small"));
    assert_eq!(receive(&network, &mut frames), None);
}

#[test]
fn a_text_that_is_none_ends_the_connection() {
    let network = Network::start().unwrap();
    let server = serve(&network, |mut stream| async move {
        use tokio::io::AsyncWriteExt;
        let socket = handshake(&mut stream).await;
        drop(socket);
        // A text frame of two bytes that are no UTF-8.
        stream.write_all(&[0x81, 2, 0xff, 0xfe]).await.unwrap();
        super::peers::head(&mut stream).await;
    });
    let mut frames = connect(&network, address(&format!("ws://{server}")));
    assert_eq!(receive(&network, &mut frames), None);
}

#[test]
fn what_was_queued_is_sent_before_the_connection_closes() {
    let network = Network::start().unwrap();
    let (sender, outcome) = channel();
    let server = serve(&network, move |stream| {
        let sender = sender.clone();
        async move {
            let mut socket = handshake(stream).await.unwrap();
            let (mut texts, mut closed) = (0, false);
            while let Some(Ok(message)) = socket.next().await {
                texts += usize::from(message.is_text());
                closed |= message.is_close();
            }
            let _ = sender.send((texts, closed));
        }
    });
    let mut frames = connect(&network, address(&format!("ws://{server}")));
    for _ in 0..500 {
        send(&frames, "x".repeat(10_000));
    }
    let (gone, _) = caro::runtime::queue::queue();
    drop(std::mem::replace(&mut frames.outgoing, gone));
    assert_eq!(outcome.recv_timeout(super::peers::DEADLINE), Ok((500, true)));
    assert_eq!(receive(&network, &mut frames), None);
}

#[test]
fn a_relay_that_closes_ends_the_connection() {
    let network = Network::start().unwrap();
    let server = serve(&network, |stream| async move {
        let mut socket = handshake(stream).await.unwrap();
        say(&mut socket, "bye".into()).await;
        let frame = CloseFrame { code: CloseCode::Away, reason: "restart".into() };
        socket.close(Some(frame)).await.unwrap();
    });
    let mut frames = connect(&network, address(&format!("ws://{server}")));
    assert_eq!(receive(&network, &mut frames).as_deref(), Some("bye"));
    assert_eq!(receive(&network, &mut frames), None);
}
