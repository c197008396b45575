//! Back-pressure, in both directions, by the numbers that the script sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use caro::net::Network;
use caro::runtime::open_database;
use futures::StreamExt;
use tokio::sync::Notify;

use super::peers::{DEADLINE, address, connect, dial, handshake, receive, say, send, serve};
use crate::common::home::wait_until;
use crate::isolate::bare::Bare;

const MIB: usize = 1 << 20;
/// More than a loopback connection keeps in the buffers of the operating system.
const SYSTEM_BUFFERS: usize = 16 * MIB;

#[test]
fn what_a_peer_does_not_read_is_counted_until_it_does() {
    let network = Network::start().unwrap();
    let begin = Arc::new(Notify::new());
    let server = serve(&network, {
        let begin = begin.clone();
        move |stream| {
            let begin = begin.clone();
            async move {
                let mut socket = handshake(stream).await.unwrap();
                begin.notified().await;
                let mut count = 0;
                while let Some(Ok(message)) = socket.next().await {
                    count += usize::from(message.is_text());
                    if count == 64 {
                        say(&mut socket, "got them all".into()).await;
                    }
                }
            }
        }
    });
    let mut frames = connect(&network, address(&format!("ws://{server}")));
    let buffered = || frames.buffered.load(Ordering::Relaxed);
    assert_eq!(buffered(), 0);
    for _ in 0..64 {
        send(&frames, "x".repeat(MIB));
    }
    // However long one waits: the peer does not read.
    network.block_on(async {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
            assert!(frames.buffered.load(Ordering::Relaxed) >= 64 * MIB - SYSTEM_BUFFERS);
        }
    });
    begin.notify_one();
    wait_until("everything was written", || frames.buffered.load(Ordering::Relaxed) == 0);
    assert_eq!(receive(&network, &mut frames).as_deref(), Some("got them all"));
}

#[test]
fn a_peer_that_sends_more_than_is_read_is_slowed_down() {
    let network = Network::start().unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let (total, size) = (400, MIB);
    let server = serve(&network, {
        let sent = sent.clone();
        move |stream| {
            let sent = sent.clone();
            async move {
                let mut socket = handshake(stream).await.unwrap();
                for _ in 0..total {
                    if !say(&mut socket, "x".repeat(size)).await {
                        return;
                    }
                    sent.fetch_add(size, Ordering::Relaxed);
                }
                while let Some(Ok(_)) = socket.next().await {}
            }
        }
    });
    let mut frames = connect(&network, address(&format!("ws://{server}")));
    // It stands still once the queue and the system's buffers are full.
    let mut last = usize::MAX;
    let end = std::time::Instant::now() + DEADLINE;
    network.block_on(async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(300));
        while last != sent.load(Ordering::Relaxed) || last == 0 {
            assert!(std::time::Instant::now() < end);
            last = sent.load(Ordering::Relaxed);
            ticks.tick().await;
        }
    });
    assert!(last <= 128 * MIB, "{} MiB were taken without being read", last / MIB);
    for _ in 0..total {
        assert_eq!(receive(&network, &mut frames).map(|text| text.len()), Some(size));
    }
}

#[test]
fn a_lost_connection_leaves_nothing_that_can_be_sent() {
    let network = Network::start().unwrap();
    let server = serve(&network, |stream| async move { drop(handshake(stream).await) });
    let mut frames = connect(&network, address(&format!("ws://{server}")));
    assert_eq!(receive(&network, &mut frames), None);
    wait_until("the queue is closed", || frames.outgoing.send("x".into()).is_err());
}

#[test]
fn the_script_sees_the_same_numbers_and_none_after_the_end() {
    let network = Network::start().unwrap();
    let deaf = serve(&network, |stream| async move {
        let _socket = handshake(stream).await;
        futures::future::pending::<()>().await;
    });
    let dialer = dial(&network, address(&format!("ws://{deaf}"))).dialer;
    let mut engine = Bare::boot_with(open_database(None).unwrap(), Some(dialer), 256 << 20);
    let seen = engine.value(
        "const { ops } = Deno.core;
         const socket = await ops.op_socket_connect();
         const seen = [ops.op_socket_buffered(socket)];
         for (let i = 0; i < 32; i += 1) ops.op_socket_send(socket, 'x'.repeat(1 << 20));
         await new Promise((resolve) => setTimeout(resolve, 20));
         seen.push(ops.op_socket_buffered(socket));
         globalThis.socket = socket;
         return seen;",
    );
    assert_eq!(seen[0], 0);
    let queued = usize::try_from(seen[1].as_u64().unwrap()).unwrap();
    assert!((32 * MIB - SYSTEM_BUFFERS..=32 * MIB).contains(&queued), "{queued}");
    drop(network);
    let after = engine.value(
        "const { ops } = Deno.core;
         while (await ops.op_socket_receive(socket) !== null);
         ops.op_socket_send(socket, 'too late');
         return ops.op_socket_buffered(socket);",
    );
    assert_eq!(after, 0);
}
