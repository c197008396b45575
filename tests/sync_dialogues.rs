//! What is asked at the terminal before something is erased, replaced or sent: a no, a wrong word and Ctrl-C change
//! nothing, and the words that are shown say what will happen.

use std::time::Duration;

use crate::common::home::Run;
use crate::common::line::Line;
use crate::common::pty::Terminal;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::common::wire::{Fate, Way, Wire};
use crate::sync_daemon::pair;

/// Insists that a run at a terminal that was answered with no changed nothing, and said this.
#[track_caller]
fn refused(run: &Run, said: &str) {
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains(said) && run.stdout.is_empty(), "{run:?}");
    assert!(!run.stderr.contains("Error:"), "{run:?}");
}

/// Insists that Ctrl-C ended a run.
#[track_caller]
fn interrupted(run: &Run) {
    assert_eq!((run.code, run.stdout.as_str()), (Some(130), ""), "{run:?}");
}

#[track_caller]
fn done(run: &Run, said: &[&str]) {
    assert_eq!(run.code, Some(0), "{run:?}");
    for part in said {
        assert!(run.stderr.contains(part), "{part:?} is not shown: {}", run.stderr);
    }
}

#[test]
fn everything_is_erased_after_the_words_were_typed_and_not_before() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    a.add_one("on a");
    b.add_one("on b");
    for device in [&a, &b, &a] {
        device.now();
    }
    let begin = || {
        let mut terminal = Terminal::run(&a, &["sync", "delete", "--everywhere"]);
        terminal
            .sees("on the relay now, on this")
            .sees("It cannot be undone.")
            .sees("Type `delete everything` to go on: ");
        terminal
    };
    for wrong in ["yes", "", "delete"] {
        let mut terminal = begin();
        terminal.types(wrong);
        refused(&terminal.ends(), "Nothing was erased.");
    }
    let mut terminal = begin();
    terminal.interrupts();
    interrupted(&terminal.ends());
    assert!(a.state()["closing"].is_null());
    assert_eq!((a.now().pending, assert_equal_histories(&[&a, &b])), (0, 2));

    let mut terminal = begin();
    terminal.types(" delete everything ");
    let run = terminal.ends();
    done(&run, &["Your other devices erase theirs when they next reach the relay"]);
    assert!(run.stdout.contains("Erased. The relay was asked anew"), "{run:?}");
    assert!(a.commands().is_empty());
    b.run(["sync", "now"]).failure(1);
    assert!(b.commands().is_empty());
}

#[test]
fn a_phrase_is_replaced_after_a_yes_and_the_new_one_is_shown() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    a.add_one("on a");
    a.now();
    let begin = || {
        let mut terminal = Terminal::run(&a, &["sync", "revoke", "--words", "12"]);
        terminal.sees("You get a new recovery phrase.").sees("Go on? [y/N] ");
        terminal
    };
    let mut terminal = begin();
    terminal.types("perhaps").sees("Please answer yes or no.").sees("[y/N] ").types("");
    refused(&terminal.ends(), "Nothing was changed.");
    let mut terminal = begin();
    terminal.interrupts();
    interrupted(&terminal.ends());
    assert!(a.state()["revoking"].is_null() && !a.data("keys.next").exists());
    a.now();

    let mut terminal = begin();
    terminal.types("y").sees("This is your recovery phrase.").sees("The old phrase opens nothing any more.");
    let run = terminal.ends();
    done(&run, &["on each\nof them run `caro sync restore` with the new phrase"]);
    assert_eq!(run.stdout, "");
    let words = crate::sync_terminal::words_shown(&run.stderr);
    assert_eq!(words.len(), 12, "{run:?}");
    let phrase = b.home.file("typed", words.join(" "));
    b.run(["sync", "now"]).failure(1);
    b.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 1);
}

#[test]
fn a_new_exclusion_offers_to_take_back_what_went_up() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    a.add(&["make", "aws iam", "aws s3 ls"].map(str::to_owned));
    a.now();
    b.now();
    let begin = |rule: &str| {
        let mut terminal = Terminal::run(&a, &["sync", "filter", "add", rule]);
        terminal.sees("The rule counts from the next sync on").sees("commands that it excludes").sees("[y/N] ");
        terminal
    };
    let mut terminal = begin("exclude command 'aws s3 *'");
    terminal.types("n");
    done(&terminal.ends(), &["They stay on the relay and your other devices."]);
    a.now();
    b.now();
    assert_eq!(b.commands().len(), 3);

    let mut terminal = begin("exclude command 'aws *'");
    terminal.types("y");
    done(&terminal.ends(), &["2 of your commands", "deleted from the relay and your other devices. Here they stay."]);
    a.now();
    b.now();
    assert_eq!((a.commands().len(), b.commands()), (3, vec!["make".to_owned()]));
}

#[test]
fn nothing_leaves_before_yes_and_the_screen_says_what_will() {
    let relay = Relay::new();
    let line = Line::to(relay.address());
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    let begin = || {
        let mut terminal = Terminal::run(&device, &["sync", "init", "--new", "--words", "12", "--relay", &line.url()]);
        let parts = ["What leaves", "1 command", "To whom", &line.url(), "What it sees", "Who can read", "To undo it"];
        for part in parts {
            terminal.sees(part);
        }
        terminal.sees("Set this up? [y/N] ");
        terminal
    };
    let mut terminal = begin();
    terminal.types("no");
    refused(&terminal.ends(), "Nothing was set up, and nothing was sent.");
    let mut terminal = begin();
    terminal.interrupts();
    interrupted(&terminal.ends());
    assert!(!device.data("sync.json").exists() && !device.data("keys").exists());
    assert_eq!(line.connections(), 0);

    let mut terminal = begin();
    terminal.types("yes").sees("Passphrase of the key file (Enter for none): ").types("");
    done(&terminal.ends(), &["This is your recovery phrase.", "Sync is set up, and 1 command went up to the relay."]);
    assert!(line.connections() > 0);

    device.ok(["sync", "disable"]);
    let before = line.connections();
    let begin = || {
        let mut terminal = Terminal::run(&device, &["sync", "enable"]);
        terminal.sees("Nothing is synced at present.").sees("To undo it").sees("Enable sync? [y/N] ");
        terminal
    };
    let mut terminal = begin();
    terminal.types("n");
    refused(&terminal.ends(), "Sync stays disabled, and nothing is synced");
    assert_eq!((device.status()["state"].as_str(), line.connections()), (Some("disabled"), before));
    let mut terminal = begin();
    terminal.types("y");
    done(&terminal.ends(), &["Sync is enabled on this device."]);
    device.now();
}

#[test]
fn a_value_that_was_held_back_takes_effect_where_somebody_reads_of_it() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    let get = || b.ok(["config", "get", "safety_level"]).stdout;
    a.ok(["config", "set", "safety_level", "permissive"]);
    a.now();
    b.now();
    assert_eq!(get(), "moderate\n");
    let shown = Terminal::run(&b, &["sync", "now"]).ends();
    let changes = "safety_level changes from moderate (the default) to permissive: it was set on the device laptop";
    done(&shown, &[changes, "To keep the old value everywhere: caro config undo safety_level"]);
    assert_eq!(get(), "permissive\n");
    assert!(!b.ok(["sync", "now"]).stderr.contains("safety_level"), "it is said once");
}

/// The months and counts that a terminal named while commands arrived, in order.
fn arriving(screen: &str) -> Vec<(jiff::civil::Date, u64)> {
    let named = screen.split("Receiving ").skip(1).filter_map(|rest| {
        let (month, rest) = rest.split_once(": ")?;
        let month = jiff::civil::Date::strptime("%d %B %Y", format!("1 {month}")).ok()?;
        Some((month, rest.split(' ').next()?.parse().ok()?))
    });
    named.collect()
}

#[test]
fn a_restore_says_which_months_arrive_and_how_much_is_there() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let now = jiff::Timestamp::now();
    let lines: String = (0..10_000)
        .map(|i| {
            let at = now - jiff::SignedDuration::from_mins(i * 13);
            format!("{}\n", serde_json::json!({ "command": format!("make target-{i} --jobs 4"), "at": at.to_string() }))
        })
        .collect();
    assert_eq!(a.run_with_input(["history", "add"], lines).code, Some(0));
    let phrase = a.init(&relay.url());
    // Progress is shown where it takes a moment: here every part is late.
    let late = |way, message: &serde_json::Value| {
        let is_part = way == Way::Down && message["action"] == "content";
        if is_part { Fate::Late(Duration::from_millis(150)) } else { Fate::Pass }
    };
    let wire = Wire::tampering(&relay.url(), Box::new(late));
    let args = ["sync", "restore", "--relay", &wire.url(), "--phrase-file", phrase.to_str().unwrap(), "--yes"];
    let run = Terminal::run(&b, &args).ends();
    done(&run, &["Restored 10000 commands; this machine now has 10000 from 1 device."]);
    let arrived = arriving(&run.stderr);
    println!("shown while 10,000 commands arrived: {arrived:?}");
    assert!(!arrived.is_empty(), "{run:?}");
    assert!(arrived.is_sorted_by(|(month, count), (later, more)| month >= later && count <= more), "{arrived:?}");
    assert!(run.stderr.contains('%'), "{run:?}");
}
