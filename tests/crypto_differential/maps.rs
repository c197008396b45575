//! Random histories of two session maps of one CoValue: each writes, they exchange transactions whole,
//! in part, wrongly signed and tampered with, announce and delete.
//!
//! The steps choose by number among what there is at that point, so every sequence of steps is a
//! history. Each step is followed by a look at everything the step may have changed.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::calls::Calls;

const ID: &str = "co_zMap";
const HEADER: &str = r#"{"type":"costream","ruleset":{"type":"unsafeAllowAll"},"meta":null,"uniqueness":"u"}"#;
const SESSIONS: [&str; 4] = ["co_zA_session_zOne", "co_zB_session_zTwo", "co_zA_session_dGone$", "odd \"é\\\u{1}"];

/// What the maps and their authors are.
#[derive(Debug)]
pub struct Setting {
    max_tx_size: Option<u32>,
    signers: [String; 2],
    keys: [String; 2],
}

pub fn setting() -> impl Strategy<Value = Setting> {
    let size = prop_oneof![Just(None), (0_u32..200).prop_map(Some), Just(Some(u32::MAX))];
    (size, any::<[[u8; 32]; 4]>()).prop_map(|(max_tx_size, [a, b, c, d])| Setting {
        max_tx_size,
        signers: [encode("signerSecret_z", &a), encode("signerSecret_z", &b)],
        keys: [encode("keySecret_z", &c), encode("keySecret_z", &d)],
    })
}

fn encode(prefix: &str, bytes: &[u8]) -> String {
    format!("{prefix}{}", bs58::encode(bytes).into_string())
}

/// One thing that happens. `map` is 0 or 1, `session` an index into [`SESSIONS`].
#[derive(Debug, Clone)]
pub enum Step {
    /// A map writes; now and then with a broken secret.
    Make {
        map: u64,
        session: usize,
        changes: String,
        meta: Option<String>,
        made_at: u64,
        key: Option<usize>,
        good: bool,
    },
    /// Transactions go from one map to the other.
    Transfer {
        to: u64,
        session: usize,
        take: Option<Index>,
        signer: Signer,
        signature: Sign,
        tamper: Tamper,
        skip_verify: bool,
    },
    /// Junk arrives instead of transactions.
    Junk { map: u64, session: usize, transactions: String, skip_verify: bool },
    /// Content is announced.
    Announce { map: u64, sessions: String },
    /// The CoValue is deleted.
    Delete { map: u64 },
}

#[derive(Debug, Clone, Copy)]
pub enum Signer {
    Author,
    Another,
    Nobody,
    Malformed,
}

#[derive(Debug, Clone, Copy)]
pub enum Sign {
    Right,
    OfAnother,
    Malformed,
}

#[derive(Debug, Clone, Copy)]
pub enum Tamper {
    Nothing,
    Time,
    Content,
    Order,
}

pub fn step() -> impl Strategy<Value = Step> {
    let map = || 0_u64..2;
    let session = || 0..SESSIONS.len();
    let mostly = || prop::bool::weighted(0.95);
    prop_oneof![
        30 => (home(), text(), prop::option::of(text()), made_at(), prop::option::of(0_usize..2), mostly())
            .prop_map(|((session, map), changes, meta, made_at, key, good)| Step::Make {
                map, session, changes, meta, made_at, key, good,
            }),
        40 => (home(), take(), signer(), sign(), tamper(), prop::bool::weighted(0.15))
            .prop_map(|((session, home), take, signer, signature, tamper, skip_verify)| Step::Transfer {
                to: 1 - home, session, take, signer, signature, tamper, skip_verify,
            }),
        6 => (map(), session(), junk(), any::<bool>())
            .prop_map(|(map, session, transactions, skip_verify)| Step::Junk { map, session, transactions, skip_verify }),
        8 => (map(), announcement()).prop_map(|(map, sessions)| Step::Announce { map, sessions }),
        1 => map().prop_map(|map| Step::Delete { map }),
    ]
}

/// A session and the map that writes it, which most of the time is always the same one.
fn home() -> impl Strategy<Value = (usize, u64)> {
    (0..SESSIONS.len(), prop::bool::weighted(0.9)).prop_map(|(session, usual)| {
        let home = session as u64 % 2;
        (session, if usual { home } else { 1 - home })
    })
}

/// How many of the transactions go over: all, or some.
fn take() -> impl Strategy<Value = Option<Index>> {
    prop::option::weighted(0.4, any::<Index>())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => any::<String>(), 1 => "[a-z\"\\\\]{0,300}"]
}

/// A time that survives the way through JavaScript's numbers.
fn made_at() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..10, 0_u64..=(1 << 53)]
}

fn signer() -> impl Strategy<Value = Signer> {
    prop_oneof![
        20 => Just(Signer::Author),
        1 => Just(Signer::Another),
        1 => Just(Signer::Nobody),
        1 => Just(Signer::Malformed),
    ]
}

fn sign() -> impl Strategy<Value = Sign> {
    prop_oneof![20 => Just(Sign::Right), 1 => Just(Sign::OfAnother), 1 => Just(Sign::Malformed)]
}

fn tamper() -> impl Strategy<Value = Tamper> {
    prop_oneof![
        20 => Just(Tamper::Nothing),
        1 => Just(Tamper::Time),
        1 => Just(Tamper::Content),
        1 => Just(Tamper::Order),
    ]
}

fn junk() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r#"\[(\{("(changes|madeAt|privacy|keyUsed|x)":("[a-z]"|[0-9]|null|\[\]),?){0,4}\},?){0,2}\]"#,
        Just("[]".to_owned()),
    ]
}

fn announcement() -> impl Strategy<Value = String> {
    let counts = prop::collection::btree_map(prop::sample::select(&SESSIONS[..]), any::<Count>(), 0..4);
    prop_oneof![
        6 => counts.prop_map(|counts| {
            let counts: serde_json::Map<_, _> = counts.into_iter().map(|(id, Count(count))| (id.to_owned(), count.into())).collect();
            Value::Object(counts).to_string()
        }),
        1 => any::<String>(),
        1 => r#"\{"a":(-1|1\.5|"1"|null|4294967296|\{\})\}"#,
    ]
}

/// A small number of transactions, or the largest.
#[derive(Debug)]
struct Count(u32);

impl Arbitrary for Count {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        prop_oneof![9 => 0_u32..6, 1 => Just(u32::MAX)].prop_map(Count).boxed()
    }
}

/// The requests of a history with our answers.
pub fn exchanges(setting: &Setting, steps: &[Step]) -> Vec<(Value, Value)> {
    let mut history = History { setting, calls: Calls::default(), exchanges: Vec::new() };
    for map in 0..2 {
        history.ask(json!(["map.new", map, ID, HEADER, setting.max_tx_size, true]));
    }
    for step in steps {
        history.take(step);
    }
    for map in 0..2 {
        for session in SESSIONS {
            history.read(map, session);
        }
    }
    history.exchanges
}

struct History<'a> {
    setting: &'a Setting,
    calls: Calls,
    exchanges: Vec<(Value, Value)>,
}

impl History<'_> {
    fn ask(&mut self, request: Value) {
        let answer = self.calls.answer(&request);
        self.exchanges.push((request, answer));
    }

    fn take(&mut self, step: &Step) {
        let (map, session) = match step {
            Step::Make { map, session, changes, meta, made_at, key, good } => {
                let secret = if *good { &self.setting.signers[author(*session)] } else { "signerSecret_zBroken" };
                let session = SESSIONS[*session];
                self.ask(match key {
                    Some(key) => {
                        let key = &self.setting.keys[*key];
                        json!(["map.makePrivate", map, session, secret, changes, "key_z\"é", key, meta, made_at])
                    }
                    None => json!(["map.makeTrusting", map, session, secret, changes, meta, made_at]),
                });
                (*map, session)
            }
            Step::Transfer { to, session, take, signer, signature, tamper, skip_verify } => {
                self.transfer(*to, *session, *take, *signer, *signature, *tamper, *skip_verify);
                (*to, SESSIONS[*session])
            }
            Step::Junk { map, session, transactions, skip_verify } => {
                let signer = self.signer_id(author(*session));
                let session = SESSIONS[*session];
                self.ask(json!(["map.add", map, session, signer, transactions, "signature_z1", skip_verify]));
                (*map, session)
            }
            Step::Announce { map, sessions } => {
                self.ask(json!(["map.setStreaming", map, sessions]));
                (*map, SESSIONS[0])
            }
            Step::Delete { map } => {
                self.ask(json!(["map.markDeleted", map]));
                (*map, SESSIONS[0])
            }
        };
        self.observe(map, session);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of the step")]
    fn transfer(
        &mut self,
        to: u64,
        session: usize,
        take: Option<Index>,
        signer: Signer,
        sign: Sign,
        tamper: Tamper,
        skip_verify: bool,
    ) {
        let (name, author) = (SESSIONS[session], author(session));
        let source = self.calls.map(1 - to);
        let have = self.calls.map(to).transaction_count(name).unwrap_or(0);
        let Some(available) = source.transaction_count(name).and_then(|count| count.checked_sub(have)) else {
            return;
        };
        let count =
            take.map_or(available, |take| u32::try_from(take.index(available as usize + 1)).expect("it is small"));
        let mut transactions: Vec<String> =
            (have..have + count).filter_map(|index| source.transaction(name, index).map(str::to_owned)).collect();
        let last = (have + count).saturating_sub(1);
        let signature = match sign {
            Sign::Right if count == available => source.last_signature(name),
            Sign::Right => source.signature_after(name, last).or(source.last_signature(name)),
            Sign::OfAnother => source.signature_after(name, 0),
            Sign::Malformed => Some("signature_z0"),
        };
        let signature = signature.unwrap_or("signature_z2").to_owned();
        match tamper {
            Tamper::Nothing => {}
            Tamper::Time => change(&mut transactions, |json| json.replacen("\"madeAt\":", "\"madeAt\":1", 1)),
            Tamper::Content => change(&mut transactions, |json| json.replacen("es\":\"", "es\":\"a", 1)),
            Tamper::Order => transactions.reverse(),
        }
        let signer = match signer {
            Signer::Author => self.signer_id(author),
            Signer::Another => self.signer_id(1 - author),
            Signer::Nobody => Value::Null,
            Signer::Malformed => "signer_z123".into(),
        };
        let transactions = format!("[{}]", transactions.join(" ,"));
        self.ask(json!(["map.add", to, name, signer, transactions, signature, skip_verify]));
    }

    fn signer_id(&self, author: usize) -> Value {
        caro::runtime::crypto::signer_id(&self.setting.signers[author]).expect("the secret is good").into()
    }

    /// Asks what may have changed.
    fn observe(&mut self, map: u64, session: &str) {
        for question in ["sessionIds", "knownState", "knownStateWithStreaming", "isStreaming", "isDeleted"] {
            self.ask(json!([format!("map.{question}"), map]));
        }
        for question in ["count", "lastSignature", "checkpoint"] {
            self.ask(json!([format!("map.{question}"), map, session]));
        }
    }

    /// Asks for all of a session.
    fn read(&mut self, map: u64, session: &str) {
        let count = self.calls.map(map).transaction_count(session).unwrap_or(0);
        for from in [0, 1, count, u32::MAX] {
            self.ask(json!(["map.transactions", map, session, from]));
        }
        for index in (0..=count).chain([u32::MAX]) {
            self.ask(json!(["map.transaction", map, session, index]));
            self.ask(json!(["map.signatureAfter", map, session, index]));
            for key in [&self.setting.keys[0], &self.setting.keys[1], "keySecret_zBroken"] {
                self.ask(json!(["map.decrypt", map, session, index, key]));
                self.ask(json!(["map.decryptMeta", map, session, index, key]));
            }
        }
    }
}

/// Who writes a session, as an index into the signers.
fn author(session: usize) -> usize {
    session % 2
}

fn change(transactions: &mut [String], change: impl Fn(&str) -> String) {
    if let Some(last) = transactions.last_mut() {
        *last = change(last);
    }
}
