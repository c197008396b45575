//! `make bench`: what syncing costs, side by side with the official SDK on Node, in one run.
//!
//! Several tables. The first has the SDK's own work (the same batches through the same protocol): in our isolate over our
//! relay, and under Node with its native core over the official relay. The second has whole commands, as a user runs
//! them; the third and the fourth have those that a user waits for, with sync and without, beside Atuin; the others have what
//! searching and the filter of secrets cost. The machine may be noisy: compare within one run, and quote ratios.
//! `cargo bench --locked --bench sync -- search alone` prints only these tables.

// A benchmark that cannot go on has said why.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::cast_precision_loss, clippy::panic)]

mod alone;
mod atuin;
mod home;
mod meter;
#[path = "../common/node/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests use more of the peers than this")]
mod node;
#[allow(dead_code, reason = "the other benchmark asks for the process")]
mod our_relay;
mod program;
mod sdk;
mod search;
#[path = "../common/secret_set.rs"]
mod secret_set;
mod secrets;
mod side_by_side;
mod terminal;
mod text;
mod times;

use std::path::Path;
use std::process::ExitCode;

use times::ms;

/// Records in every step.
const RECORDS: usize = 10_000;
/// Records in one transaction of the SDK's work.
const BATCH: usize = 100;
/// Single updates sent live.
const ROUNDS: usize = 100;

fn main() -> ExitCode {
    if std::env::var_os(program::MEASURE).is_some() {
        return program::measure();
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tables: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |table: &str| tables.is_empty() || tables.iter().any(|wanted| wanted == table);
    if is_wanted("sdk") {
        print_sdk(folder.path());
    }
    if is_wanted("commands") {
        println!("\n{:<34}{:>12}{:>14}", "whole commands", "ms", "peak MB");
        for step in program::run(folder.path(), RECORDS) {
            println!("{:<34}{:>12.1}{:>14}", step.name, ms(step.time), step.peak_mb());
        }
        println!("binary, MB {:>45.1}", megabytes(size(Path::new(home::BINARY))));
    }
    if is_wanted("sync") {
        side_by_side::print(folder.path(), &[RECORDS, 10 * RECORDS]);
    }
    if is_wanted("alone") {
        alone::print(folder.path(), &[RECORDS, 10 * RECORDS]);
    }
    if is_wanted("search") {
        search::print(folder.path(), &[10 * RECORDS, 100 * RECORDS]);
    }
    if is_wanted("secrets") {
        secrets::print(folder.path());
    }
    ExitCode::SUCCESS
}

/// The SDK's own work, here and on Node.
fn print_sdk(folder: &Path) {
    let engine = if cfg!(feature = "engine-v8") { "V8" } else { "QuickJS" };
    println!("engine {engine}, {RECORDS} records, batches of {BATCH}\n");

    let node = sdk::on_node(folder);
    let ours = sdk::in_isolate(folder);
    println!("{:<34}{:>12}{:>12}{:>8}", "the SDK's work", "caro, ms", "node, ms", "ratio");
    for (name, ours, node) in [
        ("up: create and confirm", ours.up, node.up),
        ("down: open an empty device", ours.down, node.down),
        ("live: one update, p50", ours.live_p50, node.live_p50),
        ("live: one update, p95", ours.live_p95, node.live_p95),
    ] {
        println!("{name:<34}{:>12.1}{:>12.1}{:>8.2}", ms(ours), ms(node), ours.as_secs_f64() / node.as_secs_f64());
    }

    println!("node relay's peak MB {:>35.1}", megabytes(node.relay_peak));
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}
