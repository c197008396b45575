//! Connections that say nothing after their first word: how many are held, and what memory each costs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::client::{Client, PATIENCE, Said, load};
use super::contender::Contender;
use super::signed::Account;
use super::usage;

/// Devices of one account.
const DEVICES: usize = 5;
/// Clients that connect at the same time.
const CONNECTING: usize = 50;
/// A relay that is silent for so long is given up by the SDK's client.
const SILENCE: Duration = Duration::from_secs(10);

/// What came of it.
pub struct Idle {
    /// Connections over which the relay has been heard in the last ten seconds, at the end.
    pub held: usize,
    /// Bytes of the relay's memory for each.
    pub each: f64,
    /// Bytes of its memory before and at the end.
    pub memory: (u64, u64),
    /// How long all of them took to connect and to be answered.
    pub connecting: Duration,
    /// The part of a processor that the relay then needs to hold them.
    pub processor: f64,
}

/// Connects so many devices, each of which asks for its account as one that has it, and looks at them after `hold`.
pub async fn run(contender: &Contender, folder: &Path, count: usize, hold: Duration) -> Result<Idle, String> {
    let accounts: Vec<Account> = (0..count.div_ceil(DEVICES)).map(|_| Account::new()).collect();
    let relay = contender.start(folder);
    let frames: Vec<Utf8Bytes> = accounts.iter().map(|account| account.frame.clone()).collect();
    Client::connect(relay.address).await?.bring(&frames).await?;
    drop(relay);

    let relay = contender.start(folder);
    let (before, begun) = (usage::memory(relay.pid), Instant::now());
    let heard: Arc<Vec<AtomicU64>> = Arc::new((0..count).map(|_| AtomicU64::new(0)).collect());
    let mut connecting = stream::iter(0..count)
        .map(|number| {
            let account = &accounts[number / DEVICES];
            let (heard, address) = (heard.clone(), relay.address);
            let (id, question) = (account.id.clone(), load(&account.id, &account.counts()));
            async move {
                let mut client = Client::connect(address).await?;
                client.send(question).await?;
                let answered = async {
                    loop {
                        let frame = client.next().await?;
                        if Said::all(&frame)?.iter().any(|said| said.id == id && said.has_header()) {
                            return Ok::<(), String>(());
                        }
                    }
                };
                tokio::time::timeout(PATIENCE, answered)
                    .await
                    .map_err(|_| "no answer to the first word".to_owned())??;
                heard[number].store(since(begun).max(1), Ordering::Relaxed);
                tokio::spawn(async move {
                    while client.next().await.is_ok() {
                        heard[number].store(since(begun), Ordering::Relaxed);
                    }
                });
                Ok::<(), String>(())
            }
        })
        .buffer_unordered(CONNECTING);
    let (mut connected, mut failure) = (0, None);
    while let Some(outcome) = connecting.next().await {
        match outcome {
            Ok(()) => connected += 1,
            Err(error) => failure = Some(error),
        }
    }
    let took = begun.elapsed();
    if connected == 0 {
        return Err(failure.unwrap_or_default());
    }
    let processor = usage::processor(relay.pid);
    tokio::time::sleep(hold).await;
    let used = usage::processor(relay.pid).saturating_sub(processor);
    let after = usage::memory(relay.pid);
    let now = since(begun);
    let is_held = |heard: &&AtomicU64| {
        let heard = heard.load(Ordering::Relaxed);
        heard > 0 && Duration::from_millis(now - heard) < SILENCE
    };
    let held = heard.iter().filter(is_held).count();
    if let Some(failure) = failure {
        eprintln!("{}: {} of {count} did not connect, one since: {failure}", contender.name, count - connected);
    }
    Ok(Idle {
        held,
        each: after.saturating_sub(before) as f64 / held.max(1) as f64,
        memory: (before, after),
        connecting: took,
        processor: used.as_secs_f64() / hold.as_secs_f64(),
    })
}

fn since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
