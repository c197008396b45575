//! A plan: how many devices and relays there are, and what happens to them, in order.
//!
//! Every operation means something in any state of things, so that one can be left out and the rest still runs: records
//! are chosen by a number that counts through what is there, relays and devices exist from the beginning.

use serde::{Deserialize, Serialize};

use crate::common::random::Random;

/// What happens in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Devices, all of one account.
    pub homes: usize,
    /// Relays, of which one is in use at the beginning and all devices meet on the last in the end.
    pub relays: usize,
    /// What happens.
    pub ops: Vec<Op>,
}

/// What records are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// An ordinary command.
    Plain,
    /// Several scripts, an emoji, a newline, a control character, no trailing sense.
    Unicode,
    /// A few kilobytes that do not compress.
    Bulky,
}

impl Kind {
    /// How every command of this kind begins, and no other.
    pub fn beginning(self) -> &'static str {
        match self {
            Self::Plain => "cargo test",
            Self::Unicode => "echo",
            Self::Bulky => "bulky",
        }
    }

    /// The command of this number.
    pub fn command(self, number: u64) -> String {
        match self {
            Self::Plain => format!("cargo test --package caro -- number_{number}"),
            Self::Unicode => format!("echo 'Größe — 大きさ 🦀 \u{202e}\u{1}' \\\n  --n {number}"),
            Self::Bulky => {
                format!("bulky {number} {}", crate::sync_session_guard::noise(&number.to_string()).repeat(3))
            }
        }
    }
}

/// What is lost or set back on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Everything, into new files: a restored backup.
    Whole,
    /// Everything, over the same files: a snapshot of the disk.
    InPlace,
    /// The sync store alone.
    Store,
}

/// One thing that happens; `home` and `relay` are numbers from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Records commands.
    Add { home: usize, count: u64, kind: Kind },
    /// Imports one of a few bash histories, which several devices may share.
    Import { home: usize, file: u64 },
    /// Completes a record that is there.
    Finish { home: usize, pick: u64 },
    /// Deletes records that are there.
    Delete { home: usize, pick: u64, count: usize },
    /// Deletes what a rule of this machine would not record any more; the rule is gone afterwards.
    Prune { home: usize, kind: Kind },
    /// Nothing is exchanged by itself any more, or again; what the user asks for is.
    Pause { home: usize, paused: bool },
    /// Sets a preference.
    Set { home: usize },
    /// Keeps what is older than so many days out of sync, or nothing.
    Window { home: usize, days: Option<u32> },
    /// Keeps commands of one kind out of sync, or none.
    Rules { home: usize, exclude: Option<Kind> },
    /// A new data key.
    Rotate { home: usize },
    /// One exchange.
    Exchange { home: usize },
    /// Exchanges of several devices at the same time.
    Together { homes: Vec<usize> },
    /// An exchange, killed after so many microseconds.
    Kill { home: usize, micros: u64 },
    /// An exchange whose connection ends after so many bytes, and there is no other.
    CutAfter { home: usize, bytes: u64 },
    /// An exchange whose connection breaks after so many bytes; the next one is well.
    BreakAfter { home: usize, bytes: u64 },
    /// An exchange in the middle of which the relay is killed; then it starts again.
    KillRelay { home: usize, micros: u64 },
    /// The device has no way to its relay, or has one again.
    Partition { home: usize, apart: bool },
    /// The relay ends in good order, or starts.
    Relay { relay: usize, up: bool },
    /// The device uses another relay from now on.
    Move { home: usize, relay: usize },
    /// A backup of the device.
    Backup { home: usize },
    /// The last backup comes back, or a part of it.
    Restore { home: usize, part: Part },
    /// The sync store is lost.
    LoseStore { home: usize },
    /// The device's clock is so many hours off from now on.
    Clock { home: usize, hours: i64 },
}

impl Plan {
    /// The plan of a seed.
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let homes = 2 + random.index(4).min(random.index(4));
        let relays = 1 + usize::from(random.below(3) == 0);
        let length = 10 + random.below(16);
        let ops = (0..length).map(|_| Op::draw(&mut random, homes, relays)).collect();
        Self { homes, relays, ops }
    }

    /// As a line of the file of regressions.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("a plan is JSON")
    }
}

impl Op {
    /// Whether an exchange may end before it has seen what others wrote, or not see it at all.
    pub fn may_break_off(&self) -> bool {
        matches!(
            self,
            Self::Together { .. }
                | Self::Kill { .. }
                | Self::CutAfter { .. }
                | Self::BreakAfter { .. }
                | Self::KillRelay { .. }
                | Self::Rotate { .. }
        )
    }

    fn draw(random: &mut Random, homes: usize, relays: usize) -> Self {
        let home = random.index(homes);
        let relay = random.index(relays);
        match random.below(135) {
            122..126 => Self::Window { home, days: [Some(5), Some(20), Some(40), None][random.index(4)] },
            126..129 => {
                let exclude = [Some(Kind::Plain), Some(Kind::Unicode), None][random.index(3)];
                Self::Rules { home, exclude }
            }
            129..132 => {
                let days = i64::try_from(random.below(400)).expect("a small number") - 200;
                Self::Clock { home, hours: days * 24 }
            }
            132..135 => {
                let kind = [Kind::Plain, Kind::Unicode, Kind::Bulky][random.index(3)];
                Self::Prune { home, kind }
            }
            120..122 => Self::Pause { home, paused: random.below(2) == 0 },
            112..120 => Self::Set { home },
            100..109 => Self::Delete { home, pick: random.number() % 1000, count: 1 + random.index(3) },
            109..112 => Self::Rotate { home },
            0..22 => {
                let kind = match random.below(6) {
                    0 | 1 => Kind::Unicode,
                    2 => Kind::Bulky,
                    _ => Kind::Plain,
                };
                let most = if random.below(8) == 0 { 60 } else { 4 };
                Self::Add { home, count: 1 + random.below(most), kind }
            }
            22..26 => Self::Import { home, file: random.below(3) },
            26..31 => Self::Finish { home, pick: random.number() % 1000 },
            31..50 => Self::Exchange { home },
            50..54 => {
                let second = (home + 1 + random.index(homes - 1)) % homes;
                Self::Together { homes: vec![home, second] }
            }
            54..60 => Self::Kill { home, micros: random.below(90_000) },
            60..63 => Self::CutAfter { home, bytes: random.below(15_000) },
            63..66 => Self::BreakAfter { home, bytes: random.below(15_000) },
            66..69 => Self::KillRelay { home, micros: random.below(90_000) },
            69..73 => Self::Partition { home, apart: random.below(2) == 0 },
            73..76 => Self::Relay { relay, up: random.below(2) == 0 },
            76..81 => Self::Move { home, relay },
            81..86 => Self::Backup { home },
            86..92 => {
                let part = [Part::Whole, Part::InPlace, Part::Store][random.index(3)];
                Self::Restore { home, part }
            }
            92..94 => Self::LoseStore { home },
            _ => Self::Clock { home, hours: i64::try_from(random.below(49)).expect("a small number") - 24 },
        }
    }
}
