//! Many devices that begin with nothing and load the same history at once, from a relay that has just started.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

use super::client::{Client, Counts, Said, load};
use super::contender::Contender;
use super::history::{Arriving, Brought};
use super::usage;
use crate::times::median;

/// What came of it.
pub struct Restore {
    /// Until the last had everything.
    pub whole: Duration,
    /// What one in the middle took.
    pub median: Duration,
    /// The relay's processor time for one of them.
    pub processor: Duration,
}

/// Brings the history to a relay, starts it anew, and has so many devices load it.
pub async fn run(
    contender: &Contender,
    folder: &Path,
    history: &Arc<Brought>,
    devices: u32,
) -> Result<Restore, String> {
    let relay = contender.start(folder);
    Client::connect(relay.address).await?.bring(&history.frames).await?;
    drop(relay);

    let relay = contender.start(folder);
    let ready = Arc::new(Barrier::new(devices as usize + 1));
    let readers: Vec<_> = (0..devices)
        .map(|_| {
            let (ready, history, address) = (ready.clone(), history.clone(), relay.address);
            tokio::spawn(async move {
                let client = Client::connect(address).await;
                ready.wait().await;
                read(client?, &history).await
            })
        })
        .collect();
    ready.wait().await;
    let (begun, before) = (Instant::now(), usage::processor(relay.pid));
    let mut times = Vec::new();
    for reader in readers {
        times.push(reader.await.map_err(|e| e.to_string())??);
    }
    Ok(Restore {
        whole: begun.elapsed(),
        median: median(times),
        processor: usage::processor(relay.pid).saturating_sub(before) / devices,
    })
}

/// Loads everything; how long it took.
async fn read(mut client: Client, history: &Brought) -> Result<Duration, String> {
    let begun = Instant::now();
    for id in &history.ids {
        client.send(load(id, &Counts::new())).await?;
    }
    let mut arriving: HashMap<&str, Arriving> = HashMap::new();
    let transactions = |arriving: &HashMap<&str, Arriving>| arriving.values().map(Arriving::transactions).sum::<u64>();
    let ids: HashMap<&str, &str> = history.ids.iter().map(|id| (id.as_str(), id.as_str())).collect();
    while arriving.len() < ids.len() || transactions(&arriving) < history.transactions {
        let frame = client.next().await?;
        for said in Said::all(&frame)? {
            if let (true, Some(id)) = (said.is_content(), ids.get(&*said.id)) {
                arriving.entry(id).or_default().take(&said);
            }
        }
    }
    Ok(begun.elapsed())
}
