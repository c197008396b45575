//! Every integration test in one binary, so that the program's dependencies are linked once.

// A test that panics has said what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;
mod community_collect;
mod community_published;
mod community_report;
mod completions_cli;
mod config_cli;
mod convergence;
mod crypto_differential;
mod doctor_cli;
mod export_cli;
mod faults;
mod generator_records;
mod history_cli;
mod history_import;
mod history_intake;
mod history_removal;
mod history_rescue;
mod history_safety;
mod history_stats;
mod history_usage;
mod isolate;
mod keyring_secret_service;
mod official_peers;
mod relay_accounts;
mod relay_durability;
mod relay_fairness;
mod relay_forgetting;
mod relay_fuzzed;
mod relay_hostile;
mod relay_largest;
mod relay_outside;
mod relay_postgres;
mod relay_presence;
mod relay_proxies;
mod relay_remembered;
mod relay_retention;
mod relay_revocation;
mod relay_serving;
mod relay_settings;
mod relay_shared;
mod relay_upkeep;
mod relay_upstream;
mod relay_waiting;
mod search_filters;
mod search_screen;
mod secrets;
mod shell_bash_history;
mod shell_bash_preexec;
mod shell_capture;
mod shell_nushell;
mod shell_trouble;
mod spec_acceptance;
mod spec_coverage;
mod spec_edge_cases;
mod sync_background;
mod sync_closing;
mod sync_compaction;
mod sync_concurrency;
mod sync_consent;
mod sync_copies;
mod sync_daemon;
mod sync_deletion;
mod sync_devices;
mod sync_dialogues;
mod sync_disk_full;
mod sync_doctor;
mod sync_errors;
mod sync_filter;
mod sync_forks;
mod sync_idle;
mod sync_kill;
mod sync_leave;
mod sync_limits;
mod sync_local_only;
mod sync_lost_writer;
mod sync_lying_relay;
mod sync_offline;
mod sync_preferences;
mod sync_relay;
mod sync_repair;
mod sync_revoke;
mod sync_revoke_meeting;
mod sync_rotation;
mod sync_sealed_keys;
mod sync_secrecy;
mod sync_service;
mod sync_session_guard;
mod sync_ssh;
mod sync_succession;
mod sync_terminal;
mod sync_tls;
mod sync_twins;
mod sync_two_homes;
mod sync_usage;
mod sync_verify;
mod sync_versions;
mod transport;

/// A test file that is not a module here would never run.
#[test]
fn no_test_file_is_forgotten() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let runner = include_str!("runner.rs");
    // Some are programs of their own, this one among them.
    let manifest = include_str!("../Cargo.toml");
    let mut forgotten: Vec<String> = std::fs::read_dir(directory)
        .expect("the tests directory")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|name| !manifest.contains(&format!("path = \"tests/{name}.rs\"")))
        .filter(|name| !runner.lines().any(|line| line == format!("mod {name};")))
        .collect();
    forgotten.sort();
    assert!(forgotten.is_empty(), "add to tests/runner.rs: {forgotten:?}");
}
