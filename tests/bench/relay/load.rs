//! Many devices that write at the same time: how many messages a second, and how long each takes to its confirmation.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

use super::client::{Client, Counts, Said, load};
use super::contender::{Contender, Running, Speech};
use super::history::Arriving;
use super::signed::Device;
use super::usage;
use crate::times::percentile;

/// How the devices write.
#[derive(Clone, Copy)]
pub enum Pace {
    /// Each as soon as the message before is confirmed.
    Full,
    /// All together so many messages a second, whether those before are confirmed or not.
    Fixed(f64),
}

/// What came of it.
pub struct Load {
    /// Confirmed messages a second.
    pub rate: f64,
    /// From sending a message to its confirmation, sorted.
    times: Vec<Duration>,
    /// The relay's processor time for one message.
    pub processor: Duration,
    /// Messages that were confirmed, and were not in the store after the relay had been killed.
    pub lost: u64,
}

impl Load {
    /// A percentile of the times.
    pub fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.times, percent)
    }
}

/// Has the devices write for so long, or until the first of them has said everything; kills the relay when the last message
/// is confirmed, and looks for all of them in its store.
pub async fn run(
    contender: &Contender,
    folder: &Path,
    devices: &[Arc<Device>],
    pace: Pace,
    length: Duration,
) -> Result<Load, String> {
    let relay = contender.start(folder);
    let ready = Arc::new(Barrier::new(devices.len() + 1));
    let over = Arc::new(AtomicBool::new(false));
    let writers = devices.iter().enumerate().map(|(number, device)| {
        let every = match pace {
            Pace::Full => None,
            Pace::Fixed(rate) => Some(Duration::from_secs_f64(devices.len() as f64 / rate)),
        };
        let writer = Writer {
            device: device.clone(),
            speech: relay.speech,
            every,
            // They do not begin all at the same moment.
            first: every.unwrap_or_default().mul_f64(number as f64 / devices.len() as f64),
            length,
            over: over.clone(),
        };
        let (address, ready) = (relay.address, ready.clone());
        tokio::spawn(async move {
            let client = writer.introduced(address).await;
            ready.wait().await;
            writer.write(client?).await
        })
    });
    let writers: Vec<_> = writers.collect();
    ready.wait().await;
    let (begun, before) = (Instant::now(), usage::processor(relay.pid));
    let mut each = Vec::with_capacity(devices.len());
    for writer in writers {
        each.push(writer.await.map_err(|e| e.to_string())??);
    }
    let (took, processor) = (begun.elapsed(), usage::processor(relay.pid).saturating_sub(before));

    let sent: Vec<usize> = each.iter().map(Vec::len).collect();
    let lost = lost(contender, folder, relay, devices, &sent).await?;
    let mut times: Vec<Duration> = each.into_iter().flatten().collect();
    times.sort_unstable();
    match u32::try_from(times.len()) {
        Ok(count @ 1..) => {
            Ok(Load { rate: f64::from(count) / took.as_secs_f64(), times, processor: processor / count, lost })
        }
        _ => Err("nothing was confirmed".into()),
    }
}

/// A device and how it writes.
struct Writer {
    device: Arc<Device>,
    speech: Speech,
    /// The time between two messages, where that does not depend on confirmations.
    every: Option<Duration>,
    /// When the first one is due.
    first: Duration,
    length: Duration,
    /// Whether one of them has nothing more to say.
    over: Arc<AtomicBool>,
}

impl Writer {
    /// Connects, and brings the account and the group.
    async fn introduced(&self, relay: SocketAddr) -> Result<Client, String> {
        let mut client = Client::connect(relay).await?;
        if self.speech == Speech::Jazz {
            client.bring(&self.device.introduction).await?;
        }
        Ok(client)
    }

    /// Writes, until the last of its messages is confirmed; how long each took.
    async fn write(&self, mut client: Client) -> Result<Vec<Duration>, String> {
        let begun = Instant::now();
        let mut times = Vec::new();
        let mut waiting = VecDeque::new();
        let mut next = 0;
        loop {
            let due = self.every.map(|every| self.first + every * u32::try_from(next).unwrap_or(u32::MAX));
            if next == self.device.messages.len() {
                self.over.store(true, Ordering::Relaxed);
            }
            let over = self.over.load(Ordering::Relaxed) || due.unwrap_or_else(|| begun.elapsed()) >= self.length;
            if over && waiting.is_empty() {
                return Ok(times);
            }
            let may_send = !over && (due.is_some() || waiting.is_empty());
            tokio::select! {
                () = wait_until(begun, due), if may_send => {
                    waiting.push_back((next, Instant::now()));
                    client.send(self.device.messages[next].frame.clone()).await?;
                    next += 1;
                }
                frame = client.next(), if !waiting.is_empty() => {
                    let (frame, now) = (frame?, Instant::now());
                    let confirmed = self.confirmed(&frame, &waiting)?;
                    times.extend(waiting.drain(..confirmed).map(|(_, sent)| now.duration_since(sent)));
                }
            }
        }
    }

    /// How many of the waiting messages a frame confirms.
    fn confirmed(&self, frame: &str, waiting: &VecDeque<(usize, Instant)>) -> Result<usize, String> {
        if self.speech == Speech::Echo {
            return Ok(1);
        }
        let mut confirmed = 0;
        for said in Said::all(frame)? {
            let is_confirmed = |&&(number, _): &&(usize, Instant)| {
                let message = &self.device.messages[number];
                said.confirmed(&message.feed, &self.device.session).is_some_and(|count| count >= message.count)
            };
            confirmed += waiting.iter().skip(confirmed).take_while(is_confirmed).count();
        }
        Ok(confirmed)
    }
}

async fn wait_until(begun: Instant, due: Option<Duration>) {
    if let Some(due) = due {
        tokio::time::sleep_until((begun + due).into()).await;
    }
}

/// Kills the relay, and counts what another one on the same store lacks of that which was confirmed.
async fn lost(
    contender: &Contender,
    folder: &Path,
    relay: Running,
    devices: &[Arc<Device>],
    sent: &[usize],
) -> Result<u64, String> {
    if relay.speech == Speech::Echo {
        return Ok(0);
    }
    drop(relay);
    let relay = contender.start(folder);
    let mut lost = 0;
    for (device, sent) in devices.iter().zip(sent) {
        let mut feeds: HashMap<&str, u64> = HashMap::new();
        for message in &device.messages[..*sent] {
            feeds.insert(&message.feed, message.count);
        }
        let mut reader = Client::connect(relay.address).await?;
        for (feed, count) in feeds {
            reader.send(load(feed, &Counts::new())).await?;
            let mut arriving = Arriving::default();
            while !arriving.is_complete() && !arriving.take_all(&reader.next().await?, feed)? {}
            lost += count.saturating_sub(arriving.transactions());
        }
    }
    Ok(lost)
}
