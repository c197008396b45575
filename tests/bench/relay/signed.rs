//! Devices whose messages are signed before any clock starts, with the program's own cryptography.
//!
//! Each has an account, a group, and feeds of this group as a device of ours has them: a message adds one transaction of the
//! size of a sealed command, and a feed is full after so many.

use std::collections::HashMap;

use caro::runtime::crypto::{self, SessionMap};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::client::Counts;

/// Transactions in a feed at most, as in a segment of ours.
const IN_FEED: usize = 250;
/// Bytes of one sealed command.
const SEALED: usize = 300;
const MONTH: &str = "2026-11-01T00:00:00.000Z";
const MADE_AT: u64 = 1_793_500_000_000;

/// Who signs.
pub struct Account {
    /// Its id.
    pub id: String,
    /// The message that brings it.
    pub frame: Utf8Bytes,
    signer: String,
    own_session: String,
    /// In which its device writes.
    session: String,
}

/// A device with its account and everything that it is going to say.
pub struct Device {
    /// The messages that bring its account and its group.
    pub introduction: Vec<Utf8Bytes>,
    /// In which it writes.
    pub session: String,
    /// What it adds to its feeds, in order.
    pub messages: Vec<Signed>,
}

/// A message that adds a transaction.
#[derive(Clone)]
pub struct Signed {
    /// What is sent.
    pub frame: Utf8Bytes,
    /// The feed.
    pub feed: String,
    /// How many transactions the feed has with it.
    pub count: u64,
}

impl Account {
    /// A fresh one, of nobody.
    pub fn new() -> Self {
        let secret = crypto::agent_secret(&random::<32>());
        let (sealer, signer) = secret.split_once('/').expect("both halves");
        let agent = format!(
            "{}/{}",
            crypto::sealer_id(sealer).expect("a sealer"),
            crypto::signer_id(signer).expect("a signer")
        );
        let header = json!({
            "createdAt": null, "meta": { "type": "account" }, "ruleset": { "initialAdmin": agent, "type": "group" },
            "type": "comap", "uniqueness": null,
        });
        let own_session = format!("{agent}_session_z{}", base58::<8>());
        let mut map = CoValue::new(&header);
        map.set(&own_session, signer, &agent);
        Self {
            frame: map.frame(&own_session, 0),
            session: format!("{}_session_z{}", map.id, base58::<8>()),
            signer: signer.to_owned(),
            own_session,
            id: map.id,
        }
    }

    /// What a device has of it that has brought it.
    pub fn counts(&self) -> Counts<'_> {
        HashMap::from([(self.own_session.as_str().into(), 1)])
    }
}

impl Device {
    /// A device of a fresh account that is going to send so many messages.
    pub fn new(messages: usize) -> Self {
        let account = Account::new();
        let owned = |kind: &str, ruleset: Value| {
            json!({
                "createdAt": MONTH, "meta": null, "ruleset": ruleset, "type": kind,
                "uniqueness": format!("z{}", base58::<12>()),
            })
        };
        let mut group = CoValue::new(&owned("comap", json!({ "initialAdmin": account.id, "type": "group" })));
        group.set(&account.session, &account.signer, &account.id);
        let (key, secret) = (format!("key_z{}", base58::<12>()), format!("keySecret_z{}", base58::<32>()));
        let mut signed = Vec::with_capacity(messages);
        while signed.len() < messages {
            let mut feed = CoValue::new(&owned("costream", json!({ "group": group.id, "type": "ownedByGroup" })));
            for index in 0..IN_FEED.min(messages - signed.len()) {
                let item = json!([crate::text::random_text(SEALED)]).to_string();
                let made =
                    feed.map.make_private(&account.session, &account.signer, &item, &key, &secret, None, MADE_AT);
                drop(made.expect("a transaction"));
                let frame = feed.frame(&account.session, index);
                signed.push(Signed { frame, feed: feed.id.clone(), count: index as u64 + 1 });
            }
        }
        let introduction = vec![account.frame, group.frame(&account.session, 0)];
        Self { introduction, session: account.session, messages: signed }
    }
}

struct CoValue {
    id: String,
    map: SessionMap,
}

impl CoValue {
    fn new(header: &Value) -> Self {
        let header = header.to_string();
        let id = crypto::short_hash(&header).replacen("shortHash_", "co_", 1);
        let map = SessionMap::new(&id, &header, None, false).expect("a header of the protocol");
        Self { id, map }
    }

    /// Makes somebody its administrator.
    fn set(&mut self, session: &str, signer: &str, who: &str) {
        let changes = json!([{ "op": "set", "key": who, "value": "admin" }]).to_string();
        self.map.make_trusting(session, signer, &changes, None, MADE_AT).expect("a transaction");
    }

    /// The message that brings what comes after the first so many transactions.
    fn frame(&self, session: &str, after: usize) -> Utf8Bytes {
        let transactions = self.map.transactions_json(session, u32::try_from(after).expect("few")).expect("a session");
        let signature = self.map.last_signature(session).expect("a signature");
        let header = match after {
            0 => format!(r#""header":{},"#, self.map.header()),
            _ => String::new(),
        };
        format!(
            r#"{{"action":"content","id":"{}",{header}"priority":3,"new":{{"{session}":{{"after":{after},"newTransactions":{transactions},"lastSignature":"{signature}"}}}}}}"#,
            self.id
        )
        .into()
    }
}

/// The id of a CoValue that nobody has made.
pub fn random_id() -> String {
    format!("co_z{}", base58::<19>())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    crypto::fill_random(&mut bytes).expect("random bytes");
    bytes
}

fn base58<const N: usize>() -> String {
    bs58::encode(random::<N>()).into_string()
}
