//! A long time of ordinary use (`make soak-relay`): devices come, write, read back what they wrote, ask for what nobody has, go
//! and come again, and make new accounts. Memory has to stay where it is once what comes into it and what leaves it balance.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use caro::relay::{RelayError, Status, ask};
use tokio::task::JoinSet;

use super::client::{Client, Counts, Said, load};
use super::history::Arriving;
use super::signed::{Device, random_id};
use crate::our_relay::OurRelay;

/// Messages that an account gets; then the device makes another one.
const OF_ACCOUNT: usize = 100;
/// Those that it writes before it goes and comes again, and names nobody has that it asks for each time.
const OF_VISIT: usize = 10;
/// Between two messages of a device.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at the relay.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The SDK unloads what nobody has touched for ten to fifteen minutes, and an account is used for some: until then memory grows.
const WARM_UP: Duration = Duration::from_secs(23 * 60);
/// Lines of the table.
const LINES: usize = 12;
/// So much may it grow from the first third after the warm-up to the last: a part of it, and bytes beyond.
const GROWTH: (f64, f64) = (0.10, 8e6);

/// What was seen, and whether memory stayed where it was.
pub struct Soak {
    samples: Vec<Sample>,
    /// How often it did not say in time how it does.
    silent: u64,
    warm_up: Duration,
    visits: u64,
    written: u64,
}

struct Sample {
    at: Duration,
    status: Status,
}

/// Has so many devices use a relay for so long.
pub async fn run(folder: &Path, devices: usize, length: Duration) -> Result<Soak, String> {
    let relay = OurRelay::start(folder);
    let address = relay.url.trim_start_matches("ws://").parse().map_err(|_| "no address".to_owned())?;
    let begun = Instant::now();
    let counted = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let mut using = JoinSet::new();
    for number in 0..devices {
        // They do not begin all at the same moment.
        let first = PAUSE.mul_f64(number as f64 / devices as f64);
        let counted = counted.clone();
        using.spawn(async move {
            tokio::time::sleep(first).await;
            while begun.elapsed() < length {
                let device =
                    tokio::task::spawn_blocking(|| Device::new(OF_ACCOUNT)).await.map_err(|e| e.to_string())?;
                for visit in 0..OF_ACCOUNT / OF_VISIT {
                    if begun.elapsed() < length {
                        self::visit(address, &device, visit).await?;
                        counted[0].fetch_add(1, Ordering::Relaxed);
                        counted[1].fetch_add(OF_VISIT as u64, Ordering::Relaxed);
                    }
                }
            }
            Ok::<(), String>(())
        });
    }
    let (mut samples, mut silent) = (Vec::new(), 0);
    let mut look = tokio::time::interval(LOOK_EVERY.min(length / 24));
    loop {
        tokio::select! {
            _ = look.tick() => {
                let folder = folder.to_owned();
                let status = tokio::task::spawn_blocking(move || ask(&folder)).await.map_err(|e| e.to_string())?;
                match status {
                    Ok(status) => {
                        let status = status.ok_or("the relay has ended")?;
                        samples.push(Sample { at: begun.elapsed(), status });
                    }
                    // The machine has other things to do.
                    Err(RelayError::Silent(_)) => silent += 1,
                    Err(error) => return Err(error.to_string()),
                }
            }
            used = using.join_next() => match used {
                Some(used) => used.map_err(|e| e.to_string())??,
                None => break,
            },
        }
    }
    let [visits, written] = [0, 1].map(|which: usize| counted[which].load(Ordering::Relaxed));
    Ok(Soak { samples, silent, warm_up: WARM_UP.min(length / 2), visits, written })
}

/// Comes, writes a few messages, reads all of the feed as one who has nothing, and goes.
async fn visit(relay: std::net::SocketAddr, device: &Device, number: usize) -> Result<(), String> {
    let mut client = Client::connect(relay).await?;
    if number == 0 {
        client.bring(&device.introduction).await?;
    }
    let messages = &device.messages[number * OF_VISIT..][..OF_VISIT];
    for message in messages {
        client.send(message.frame.clone()).await?;
        loop {
            let frame = client.next().await?;
            let said = Said::all(&frame)?;
            let confirms = |said: &Said<'_>| said.confirmed(&message.feed, &device.session) == Some(message.count);
            if said.iter().any(confirms) {
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    let mut reader = Client::connect(relay).await?;
    let Some(last) = messages.last() else { return Ok(()) };
    reader.send(load(&last.feed, &Counts::new())).await?;
    let mut arriving = Arriving::default();
    while arriving.transactions() < last.count {
        if arriving.take_all(&reader.next().await?, &last.feed)? {
            return Err(format!("{} is not there any more", last.feed));
        }
    }
    for _ in 0..OF_VISIT {
        let nobodys = random_id();
        reader.send(load(&nobodys, &Counts::new())).await?;
        while !Said::all(&reader.next().await?)?.iter().any(|said| said.id == nobodys) {}
    }
    Ok(())
}

impl Soak {
    /// Shows how it went, and says what is wrong with that.
    pub fn judge(&self) -> Result<(), String> {
        println!("{} visits, {} messages, all of them read back", self.visits, self.written);
        if self.silent > 0 {
            println!("{} times of {} it did not say how it does", self.silent, self.samples.len() as u64 + self.silent);
        }
        println!(
            "{:>8}{:>12}{:>12}{:>12}{:>12}{:>12}{:>12}",
            "minute", "memory MB", "heap MB", "waiting", "clients", "CoValues", "store MB"
        );
        for part in self.samples.chunks(self.samples.len().div_ceil(LINES)) {
            let of = |figure: fn(&Status) -> f64| median(part.iter().map(|sample| figure(&sample.status)));
            println!(
                "{:>8.1}{:>12.1}{:>12.1}{:>12.0}{:>12.0}{:>12.0}{:>12.1}",
                part.last().map_or(0.0, |sample| sample.at.as_secs_f64() / 60.0),
                of(memory) / 1e6,
                of(heap) / 1e6,
                of(|status| status.waiting.frames as f64),
                of(|status| status.connections.now as f64),
                of(|status| status.stored.map_or(0.0, |stored| stored.covalues as f64)),
                of(|status| status.stored.and_then(|stored| stored.database_bytes).map_or(0.0, |bytes| bytes as f64))
                    / 1e6,
            );
        }
        let warm: Vec<&Sample> = self.samples.iter().filter(|sample| sample.at >= self.warm_up).collect();
        let third = warm.len() / 3;
        if third == 0 {
            return Err("it was too short to see anything".into());
        }
        let mut grown = Vec::new();
        for (name, figure) in [("memory", memory as fn(&Status) -> f64), ("heap", heap)] {
            let of = |part: &[&Sample]| median(part.iter().map(|sample| figure(&sample.status)));
            let (before, after) = (of(&warm[..third]), of(&warm[warm.len() - third..]));
            println!(
                "{name} after {:.0} minutes {:.1} MB, at the end {:.1} MB",
                self.warm_up.as_secs_f64() / 60.0,
                before / 1e6,
                after / 1e6
            );
            if after > before * (1.0 + GROWTH.0) + GROWTH.1 {
                grown.push(name);
            }
        }
        if grown.is_empty() { Ok(()) } else { Err(format!("grows: {}", grown.join(", "))) }
    }
}

fn memory(status: &Status) -> f64 {
    status.memory_bytes.unwrap_or(0) as f64
}

fn heap(status: &Status) -> f64 {
    status.work.heap_bytes as f64
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}
