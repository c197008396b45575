//! Selective sync: what the rules and the secrets keep here never reaches another device, and a change of the rules
//! is heeded.

use crate::common::sync::{Relay, SyncHome};

fn rules(device: &SyncHome, lines: &str) {
    let run = device.run(["config", "set", "sync.filter", lines]);
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn secrets_and_what_the_rules_exclude_stay_on_the_device_that_ran_them() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    assert_eq!(a.run(["config", "set", "history.secrets", "keep"]).code, Some(0));
    rules(&a, "exclude command \"aws *\"\ninclude command \"aws s3 ls*\"");
    a.add(&["make", "aws iam", "aws s3 ls", "export GITHUB_TOKEN=abcdef0123"].map(str::to_owned));
    let phrase = a.init(&relay.url());
    assert_eq!(a.now().pending, 0, "what is held does not wait");
    assert_eq!((&a.status()["pending"], &a.status()["held"]), (&0.into(), &2.into()));
    b.restored(&relay.url(), &phrase);
    assert_eq!(b.commands(), ["aws s3 ls", "make"]);
    assert_eq!(a.commands().len(), 4);

    // The rules change by hand: all that was held is looked at again. Secrets stay.
    let file = a.home.path().join("config/sync.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("exclude command \"aws *\"", "exclude command \"vault *\"")).unwrap();
    a.add_one("vault read x");
    assert_eq!(a.now().sent, 1);
    b.now();
    assert_eq!(b.commands(), ["aws iam", "aws s3 ls", "make"]);
}

fn rule(device: &SyncHome, args: &[&str]) -> String {
    let run = device.run(["sync", "filter"].iter().chain(args));
    assert_eq!(run.code, Some(0), "{run:?}");
    run.stdout
}

#[test]
fn rules_are_listed_added_and_removed_and_explain_themselves() {
    let device = SyncHome::new("laptop");
    rule(&device, &["add", "exclude", "command", "aws *"]);
    rule(&device, &["add", "include command \"/^aws s3 ls/\""]);
    rule(&device, &["add", "exclude", "directory", "~/clients"]);
    assert_eq!(
        rule(&device, &["list"]),
        "  1  exclude command \"aws *\"\n  2  include command /^aws s3 ls/\n  3  exclude directory \"~/clients\"\n"
    );
    let would = [
        ("make", "would sync: no rule matches\n"),
        ("aws iam", "would stay here: rule 1, exclude command \"aws *\"\n"),
    ];
    for (command, said) in would {
        assert_eq!(rule(&device, &["test", command, "--cwd", "/"]), said, "sync is not set up");
    }
    device.init("none");
    for (command, cwd, said) in [
        ("aws iam", "/", "stays here: rule 1, exclude command \"aws *\"\n"),
        ("aws s3 ls", "/", "syncs: rule 2, include command /^aws s3 ls/\n"),
        ("aws s3 ls", "/home/ada/clients/x", "stays here: rule 3, exclude directory \"~/clients\"\n"),
        ("make", "/", "syncs: no rule matches\n"),
        (
            "export ANTHROPIC_API_KEY=sk-ant-api03-abcdefgh",
            "/",
            "stays here: it holds what looks like an Anthropic key\n",
        ),
    ] {
        assert_eq!(rule(&device, &["test", command, "--cwd", cwd]), said);
    }
    let json: serde_json::Value =
        serde_json::from_str(&rule(&device, &["test", "aws iam", "--cwd", "/", "--tag", "x", "--json"])).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"schema_version": 1, "decision": "held", "reason": "rule",
            "rule": "exclude command \"aws *\"", "rule_number": 1, "secret": null, "large": null})
    );
    rule(&device, &["remove", "1"]);
    rule(&device, &["remove", "exclude", "directory", "~/clients"]);
    assert_eq!(rule(&device, &["list"]), "  1  include command /^aws s3 ls/\n");
    let wrong = device.run(["sync", "filter", "remove", "7"]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(1), ""));
    let wrong = device.run(["sync", "filter", "add", "exclude", "host", "x"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("command, directory, device or tag"), "{wrong:?}");
}

#[test]
fn an_exclusion_takes_back_what_went_up_if_the_user_says_so() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add(&["make", "aws iam", "aws s3 ls"].map(str::to_owned));
    let phrase = a.init(&relay.url());
    a.now();
    b.restored(&relay.url(), &phrase);
    b.add_one("aws from the desktop");
    b.now();
    a.now();
    assert_eq!(a.commands().len(), 4);

    // Without a terminal and without a flag nothing is deleted, and it says so.
    let run = a.run(["sync", "filter", "add", "exclude", "command", "aws *"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("2 of your commands that it excludes went up already"), "{run:?}");
    assert!(run.stderr.contains("--delete-synced"), "{run:?}");
    a.now();
    b.now();
    assert_eq!(b.commands().len(), 4);

    let backup = ["history.db", "history.db-wal"].map(|file| (file, std::fs::read(a.data(file)).ok()));
    let run = a.run(["sync", "filter", "add", "exclude", "command", "aws *", "--delete-synced", "--json"]);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap(),
        serde_json::json!({"schema_version": 1, "rule": "exclude command \"aws *\"", "already_synced": 2, "withdrawn": 2})
    );
    a.now();
    b.now();
    assert_eq!(b.commands(), ["aws from the desktop", "make"], "what others ran is theirs");
    assert_eq!(a.commands().len(), 4, "here they stay");
    // A store that is built anew does not bring them up again, and the own deletion read back takes nothing away.
    for file in ["sync.db", "sync.db-wal", "sync.db-shm"] {
        drop(std::fs::remove_file(a.data(file)));
    }
    a.now();
    b.now();
    assert_eq!((a.commands().len(), b.commands().len()), (4, 2));
    let again = a.run(["sync", "filter", "add", "exclude", "command", "aws *"]);
    assert!(!again.stderr.contains("went up already"), "{again:?}");

    // Set back to before it took them back, it reads that it did, and keeps them.
    drop(std::fs::remove_file(a.data("history.db-shm")));
    for (file, content) in backup {
        drop(std::fs::remove_file(a.data(file)));
        if let Some(content) = content {
            std::fs::write(a.data(file), content).unwrap();
        }
    }
    a.now();
    b.now();
    a.now();
    assert_eq!((a.commands().len(), b.commands().len()), (4, 2));

    // Deleted after all, they are gone here too, also if it is set back once more.
    let aws = a.records().into_iter().find(|(_, record)| record["command"] == "aws iam").unwrap().0;
    a.ok(["history", "delete", &aws, "--yes"]);
    assert_eq!(a.commands().len(), 3);
    a.now();
    assert_eq!(a.now().pending, 0);
}

#[test]
fn a_rule_of_another_device_holds_before_anything_is_sent() {
    let relay = Relay::new();
    let (a, b) = crate::sync_daemon::pair(&relay);
    rule(&a, &["add", "exclude", "command", "aws *"]);
    a.now();
    b.add_one("aws iam");
    let exchanged = b.now();
    assert_eq!((exchanged.sent, exchanged.pending), (0, 0), "the exchange that brings the rule heeds it");
    assert_eq!(b.status()["held"], 1);
    assert_eq!(a.now().received, 0);
}

#[test]
fn rules_of_another_device_let_nothing_go_before_the_user_has_seen_them() {
    let relay = Relay::new();
    let (a, b) = crate::sync_daemon::pair(&relay);
    rule(&a, &["add", "exclude", "command", "aws *"]);
    a.now();
    a.add_one("aws iam");
    a.now();
    b.now();
    rule(&b, &["remove", "exclude", "command", "aws *"]);
    rule(&b, &["add", "exclude", "command", "vault *"]);
    b.now();
    a.now();
    a.add(&["aws s3 ls", "vault read x", "make"].map(str::to_owned));
    let run = a.ok(["sync", "now"]);
    assert!(run.stderr.contains("sync.filter is to change from"), "{run:?}");
    assert_eq!(a.status()["held"], 3, "what either list keeps stays");
    b.now();
    assert_eq!(b.commands(), ["make"]);

    let run = a.ok(["sync", "now", "--accept"]);
    assert!(run.stderr.contains("sync.filter changes from exclude command \"aws *\""), "{run:?}");
    assert_eq!(a.now().sent, 2);
    assert_eq!(a.status()["held"], 1);
    b.now();
    assert_eq!(b.commands(), ["aws iam", "aws s3 ls", "make"]);
}

#[test]
fn rules_that_two_devices_added_offline_unite_and_both_hold_everywhere() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&relay.url());
    rule(&a, &["add", "exclude", "command", "vault *"]);
    a.now();
    b.restored(&relay.url(), &phrase);
    rule(&a, &["add", "exclude", "command", "aws *"]);
    rule(&b, &["add", "exclude", "directory", "~/clients"]);
    for device in [&a, &b] {
        device.add(&["vault read", "aws iam", "make"].map(|command| format!("{command} on {}", device.name)));
        device.ok(["history", "add", "--command", "ls", "--cwd", "/home/ada/clients/x"]);
    }
    for device in [&b, &a, &b] {
        device.now();
    }
    let united =
        "  1  exclude command \"vault *\"\n  2  exclude command \"aws *\"\n  3  exclude directory \"~/clients\"\n";
    assert_eq!((rule(&a, &["list"]), rule(&b, &["list"])), (united.to_owned(), united.to_owned()));
    // Before b knew of a's rule it sent what that excludes; nothing else of either left.
    let of = |home: &SyncHome, name: &str| home.commands().into_iter().filter(|c| c.contains(name)).collect::<Vec<_>>();
    assert_eq!(of(&a, "desktop"), ["aws iam on desktop", "make on desktop"]);
    assert_eq!(of(&b, "laptop"), ["make on laptop"]);
    assert_eq!((&a.status()["held"], &b.status()["held"]), (&3.into(), &2.into()));

    // Of one and the same rule, added twice and taken out once, the later counts; another's stays.
    rule(&a, &["remove", "2"]);
    rule(&b, &["add", "exclude", "tag", "work"]);
    for device in [&a, &b, &a] {
        device.now();
    }
    assert_eq!(
        rule(&a, &["list"]),
        united
            .replace("2  exclude command \"aws *\"\n  3", "2")
            .replace("~/clients\"\n", "~/clients\"\n  3  exclude tag \"work\"\n")
    );
    // What a let go is let go on b after it was seen there.
    assert!(rule(&b, &["list"]).contains("aws *"));
    b.ok(["config", "show", "--accept"]);
    assert_eq!(rule(&b, &["list"]), rule(&a, &["list"]));
}
