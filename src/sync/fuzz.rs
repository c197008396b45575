//! What devices read of each other once it is opened, and the files and conversations of this one.

use super::closing::Closed;
use super::config::SyncConfig;
use super::daemon::socket::{Answer, Ask};
use super::deletions::Batch;
use super::devices::{DeviceRecord, GivenName, Removal};
use super::heads::Heads;
use super::index::Description;
use super::log;
use super::state::SyncState;
use super::usage::{MonthOfUse, parsed};
use crate::fuzz::{Target, cbor, survives_cbor, survives_json, text, texts};

pub(crate) const FUZZED: &[Target] = &[
    Target { name: "sync-opened", seeds: values, run: value },
    Target { name: "sync-texts", seeds: lines, run: line },
];

/// Values of all registries, as builds have written them.
fn values() -> Vec<Vec<u8>> {
    let json = [
        r#"{"m":202611,"n":5,"f":true,"t":1700000000000000000,"g":"erased","r":["co_z1"],"new":[1]}"#,
        r#"{"at":1,"records":5,"segments":{"co_z1":["co_z2_session_z3",7]},"token":"x"}"#,
        r#"{"at":5,"rows":[]}"#,
        r#"{"ids":[[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]]}"#,
        r#"{"name":"laptop","named_at":5,"platform":"linux","app_version":"0.1.0","schema":1,"joined_at":1,"last_sync":2,"records":3}"#,
        r#"{"name":"desk","named_at":5}"#,
        r#"{"removed":true,"at":5}"#,
    ];
    json.iter().filter_map(|json| serde_json::from_str::<serde_json::Value>(json).ok()).map(|it| cbor(&it)).collect()
}

/// What is understood survives being written, with what only a newer version knows.
fn value(bytes: &[u8]) {
    survives_cbor::<Description>(bytes);
    survives_cbor::<Heads>(bytes);
    survives_cbor::<MonthOfUse>(bytes);
    survives_cbor::<Batch>(bytes);
    survives_cbor::<Closed>(bytes);
    survives_cbor::<DeviceRecord>(bytes);
    survives_cbor::<GivenName>(bytes);
    survives_cbor::<Removal>(bytes);
}

fn lines() -> Vec<Vec<u8>> {
    let mut all = texts(&[
        r#"{"do":"status"}"#,
        r#"{"do":"borrow"}"#,
        "relay = \"wss://x\"\ndevice_name = \"laptop\"\n[sync]\nx = 1\n",
        "00000000000000000000000000000000.202611",
    ]);
    all.push(crate::fuzz::json(&Answer::default()));
    all
}

/// What processes of one user say to each other, and what lies in files.
fn line(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    survives_json::<Ask>(text);
    survives_json::<Answer>(text);
    survives_json::<SyncState>(text);
    survives_json::<super::Device>(text);
    let _ = (log::read(text), parsed(text), toml::from_str::<SyncConfig>(text));
}
