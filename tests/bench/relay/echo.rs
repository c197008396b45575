//! The limit: a WebSocket server that appends every message to a file, brings it to disk, and sends it back.
//!
//! It does what no relay can do without and nothing else. One thread writes; what comes in while it waits for the disk goes
//! there with the next flush, for all connections at once.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;

use futures::{SinkExt, StreamExt};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Where it is set, this program is such a server, with that file.
pub const ECHO: &str = "CARO_BENCH_ECHO";

/// Serves until it is killed; says first on which port of 127.0.0.1.
pub fn serve(file: &Path) -> ExitCode {
    let mut file = File::create(file).expect("a file");
    let (sender, waiting) = mpsc::channel::<(Utf8Bytes, UnboundedSender<Utf8Bytes>)>();
    std::thread::spawn(move || {
        while let Ok(first) = waiting.recv() {
            let batch: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
            let bytes: Vec<u8> = batch.iter().flat_map(|(text, _)| text.as_bytes()).copied().collect();
            file.write_all(&bytes).and_then(|()| file.sync_data()).expect("the disk takes it");
            for (text, back) in batch {
                // Fails only where the client has gone.
                drop(back.send(text));
            }
        }
    });
    let runtime = crate::runtime();
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("its address").port());
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                stream.set_nodelay(true).expect("a plain socket");
                let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
                let (mut sink, mut stream) = socket.split();
                let (back, mut written) = unbounded_channel();
                tokio::spawn(async move {
                    while let Some(text) = written.recv().await {
                        if sink.send(Message::Text(text)).await.is_err() {
                            return;
                        }
                    }
                });
                while let Some(Ok(message)) = stream.next().await {
                    if let Message::Text(text) = message {
                        sender.send((text, back.clone())).expect("the writer lives");
                    }
                }
            });
        }
    });
    ExitCode::SUCCESS
}
