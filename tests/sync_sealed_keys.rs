//! Keys that a passphrase seals: what cannot happen by itself is said, and a file with the passphrase makes it happen.

use std::path::{Path, PathBuf};

use crate::common::daemon::Daemon;
use crate::common::home::{Run, wait_until};
use crate::common::pty::Terminal;
use crate::common::sync::{Relay, SyncHome};

/// A device whose keys are sealed, and the file with the passphrase.
fn sealed(relay: &Relay) -> (SyncHome, PathBuf) {
    let device = SyncHome::new("laptop");
    device.exchanges("realtime");
    let passphrase = device.home.file("passphrase", "correct horse\n");
    let phrase = device.home.path().join("phrase");
    let (url, phrase, file) = (relay.url(), phrase.to_str().unwrap(), passphrase.to_str().unwrap());
    device.ok(["sync", "init", "--new", "--relay", &url, "--phrase-out", phrase, "--yes", "--passphrase-file", file]);
    (device, passphrase)
}

/// Runs the program in a shell whose start-up file names the passphrase's file.
fn with_file(device: &SyncHome, args: &[&str], passphrase: &Path) -> Run {
    let mut command = device.command(args);
    command.env("CARO_PASSPHRASE_FILE", passphrase);
    device.finish(command, &[])
}

fn last_error(device: &SyncHome) -> Option<String> {
    device.state()["last_exchange"]["error"].as_str().map(str::to_owned)
}

#[test]
fn an_exchange_that_cannot_open_the_keys_is_shown_with_its_remedy() {
    let relay = Relay::new();
    let (device, _) = sealed(&relay);
    device.add_one("ls");
    wait_until("the exchange after the command has failed", || last_error(&device).is_some());
    assert!(last_error(&device).unwrap().contains("sealed with a passphrase"));
    let status = device.ok(["sync", "status"]);
    for part in ["is not at hand, so nothing is exchanged by itself", "CARO_PASSPHRASE_FILE", "--passphrase-file FILE"]
    {
        assert!(status.stderr.contains(part), "{status:?}");
    }
    assert!(status.stdout.contains("when you run `caro sync now`"), "{status:?}");
    assert!(device.status()["next_exchange"].is_null());
    let doctor = device.run(["sync", "doctor", "--offline", "--json"]);
    let found = doctor.json().remove(0)["findings"].as_array().unwrap().clone();
    let of = |check: &str| found.iter().find(|finding| finding["check"] == check).unwrap().clone();
    assert_ne!(of("keys")["verdict"], "ok", "{doctor:?}");
    assert!(of("exchange")["remedy"].as_str().unwrap().contains("CARO_PASSPHRASE_FILE"), "{doctor:?}");
}

#[test]
fn a_file_that_the_environment_names_opens_them_for_what_happens_by_itself() {
    let relay = Relay::new();
    let (device, passphrase) = sealed(&relay);
    let added = with_file(&device, &["history", "add", "--command", "ls"], &passphrase);
    assert_eq!(added.code, Some(0), "{added:?}");
    wait_until("the command has gone up by itself", || device.status()["pending"] == 0);
    assert_eq!(last_error(&device), None);
    let status = with_file(&device, &["sync", "status", "--offline"], &passphrase);
    assert!(status.stdout.contains("after the next command") && !status.stderr.contains("at hand"), "{status:?}");
}

#[test]
fn a_service_is_told_where_the_passphrase_is_or_refused() {
    let relay = Relay::new();
    let (device, passphrase) = sealed(&relay);
    let install = |more: &[&str]| {
        let mut command = device.command([&["sync", "service", "install", "--no-start"], more].concat());
        command.env("XDG_CONFIG_HOME", device.home.path().join("xdg"));
        device.finish(command, &[])
    };
    let refused = install(&[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("service install --passphrase-file FILE"), "{refused:?}");
    let unit = device.home.path().join("xdg/systemd/user/caro-sync.service");
    assert!(!unit.exists());
    let file = passphrase.to_str().unwrap();
    assert_eq!(install(&["--passphrase-file", file]).code, Some(0));
    let text = std::fs::read_to_string(unit).unwrap();
    assert!(text.contains(&format!("sync daemon \"--passphrase-file\" \"{file}\"\n")), "{text}");
}

#[test]
fn a_daemon_without_the_passphrase_says_so_where_one_looks() {
    let relay = Relay::new();
    let (device, passphrase) = sealed(&relay);
    let refused = device.run(["sync", "daemon"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(last_error(&device).unwrap().contains("sealed with a passphrase"));
    assert!(device.ok(["sync", "logs"]).stdout.contains("could not start"));
    let daemon = Daemon::start(&device, &[("CARO_PASSPHRASE_FILE", passphrase.as_os_str())]);
    daemon.wait_for("listening");
    let status = device.ok(["sync", "status", "--offline"]);
    assert!(!status.stderr.contains("at hand"), "it is open in the daemon: {status:?}");
}

#[test]
fn a_setup_at_a_terminal_asks_for_a_passphrase() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    let mut terminal = Terminal::run(&device, &["sync", "init", "--new", "--words", "12", "--relay", &relay.url()]);
    terminal.sees("Set this up? [y/N] ").types("y");
    terminal.sees("Passphrase of the key file (Enter for none): ").types("correct horse");
    terminal.sees("Once more: ").types("battery staple");
    terminal.sees("These were not the same.").sees("(Enter for none): ").types("correct horse");
    terminal.sees("Once more: ").types("correct horse");
    terminal.sees("Sync is set up").sees("On your other machines, run: caro sync restore --relay ");
    assert_eq!(terminal.ends().code, Some(0));
    assert_eq!(device.status()["keys"], "sealed_file");
    let mut terminal = Terminal::run(&device, &["sync", "now"]);
    terminal.sees("Passphrase of the key file: ").types("correct horse");
    assert_eq!(terminal.ends().code, Some(0));
}
