//! What a real home of ours has brought to a relay: the messages with which the relay gives it to somebody who has nothing.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::client::{Client, Counts, Said, load};
use crate::home::{Home, write_history};
use crate::our_relay::OurRelay;

/// The CoValues of one account, in an order in which they can be brought.
pub struct Brought {
    /// Their ids.
    pub ids: Vec<String>,
    /// The messages that bring them.
    pub frames: Vec<Utf8Bytes>,
    /// How many transactions there are.
    pub transactions: u64,
}

impl Brought {
    /// Has a home of ours import so many commands and sync them.
    pub async fn by_a_home(folder: &Path, commands: usize) -> Result<Self, String> {
        let store = folder.join("relay");
        let relay = OurRelay::start(&store);
        let home = Home { folder: folder.join("home") };
        std::fs::create_dir_all(&home.folder).map_err(|e| e.to_string())?;
        let (lines, phrase) = (folder.join("commands"), folder.join("phrase"));
        write_history(&lines, commands);
        let (lines, phrase) = (lines.to_string_lossy().into_owned(), phrase.to_string_lossy().into_owned());
        home.run(&["config", "set", "sync.frequency", "manual"]);
        home.run(&["history", "import", "bash", "--file", &lines]);
        home.run(&["sync", "init", "--new", "--relay", &relay.url, "--phrase-out", &phrase, "--yes"]);

        let mut brought = Self { ids: ids(&store)?, frames: Vec::new(), transactions: 0 };
        let address = relay.url.trim_start_matches("ws://").parse().map_err(|_| "no address".to_owned())?;
        for id in &brought.ids {
            let mut client = Client::connect(address).await?;
            client.send(load(id, &Counts::new())).await?;
            let mut arriving = Arriving::default();
            while !arriving.is_complete() {
                let frame = client.next().await?;
                for line in frame.lines() {
                    let said = Said::read(line)?;
                    if said.id == id.as_str() && said.is_content() {
                        arriving.take(&said);
                        brought.frames.push(line.to_owned().into());
                    }
                }
            }
            brought.transactions += arriving.transactions();
        }
        Ok(brought)
    }

    /// Bytes of all of it.
    pub fn bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.len()).sum()
    }
}

/// What a relay of ours holds, the oldest first.
fn ids(store: &Path) -> Result<Vec<String>, String> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let database = Connection::open_with_flags(store.join("relay.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement = database.prepare("SELECT id FROM coValues ORDER BY rowID")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    read().map_err(|e| format!("the store cannot be read: {e}"))
}

/// A CoValue of which parts have come.
#[derive(Default)]
pub struct Arriving {
    has_header: bool,
    counts: HashMap<String, u64>,
    promised: HashMap<String, u64>,
}

impl Arriving {
    /// Takes what a message brings.
    pub fn take(&mut self, said: &Said<'_>) {
        self.has_header |= said.has_header();
        for (session, count) in said.counts() {
            let known = self.counts.entry(session.into_owned()).or_default();
            *known = count.max(*known);
        }
        for (session, count) in said.promised().into_iter().flatten() {
            self.promised.insert(session.clone().into_owned(), *count);
        }
    }

    /// Takes what the messages of a frame bring of a CoValue; whether they say that there is no such CoValue.
    pub fn take_all(&mut self, frame: &str, id: &str) -> Result<bool, String> {
        let mut is_missing = false;
        for said in Said::all(frame)?.iter().filter(|said| said.id == id) {
            match said.is_content() {
                true => self.take(said),
                false => is_missing |= !said.has_header(),
            }
        }
        Ok(is_missing)
    }

    /// Whether everything has come that was promised.
    pub fn is_complete(&self) -> bool {
        let has = |session: &String| self.counts.get(session).copied().unwrap_or(0);
        self.has_header && self.promised.iter().all(|(session, count)| has(session) >= *count)
    }

    /// How many transactions have come.
    pub fn transactions(&self) -> u64 {
        self.counts.values().sum()
    }
}
