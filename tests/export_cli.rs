//! `caro export`: everything comes out, in every form, and only where the user wants it.

use serde_json::Value;

use crate::common::home::TestHome;
use crate::common::sync::{Relay, SyncHome};

const COMMANDS: [&str; 4] =
    ["ls -la", "echo \"a, b\" | tr , ;", "for f in *; do\n  echo `file $f`\ndone", "grep 'ü' | cat"];

fn home() -> TestHome {
    let home = TestHome::new();
    for command in COMMANDS {
        home.add(command);
    }
    home
}

#[test]
fn json_holds_everything_there_is() {
    let relay = Relay::new();
    let home = SyncHome::new("laptop");
    home.add(&COMMANDS.map(str::to_owned));
    home.init(&relay.url());
    let export = home.ok(["export"]);
    let export: Value = serde_json::from_str(&export.stdout).expect("one JSON value");
    assert_eq!(export["schema_version"], 1);
    assert_eq!(export["devices"][0]["name"], "laptop");
    assert_eq!(export["usage"].as_array().unwrap().iter().map(|row| row["commands"].as_u64().unwrap()).sum::<u64>(), 4);
    let commands: Vec<&str> =
        export["history"].as_array().unwrap().iter().map(|record| record["command"].as_str().unwrap()).collect();
    assert_eq!(commands.len(), COMMANDS.len());
    assert!(COMMANDS.iter().all(|command| commands.contains(command)));
}

#[test]
fn lines_of_json_say_what_they_are_and_can_be_read_in_again() {
    let home = home();
    let lines = home.run(["export", "--format", "ndjson"]).success().json();
    assert_eq!(lines[0]["type"], "export");
    let commands: Vec<&Value> = lines.iter().filter(|line| line["type"] == "command").collect();
    assert_eq!(commands.len(), COMMANDS.len());

    let other = TestHome::new();
    let text: String = commands
        .into_iter()
        .map(|line| {
            let mut record = line.clone();
            record.as_object_mut().unwrap().remove("type");
            format!("{record}\n")
        })
        .collect();
    other.run_with_input(["history", "add"], &text).success();
    let format = ["history", "list", "--format", "{id} {time} {exit} {command}"];
    assert_eq!(other.run(format).success().stdout, home.run(format).success().stdout);
}

#[test]
fn a_table_survives_commas_quotes_and_lines() {
    let home = home();
    let csv = home.run(["export", "--format", "csv"]);
    assert_eq!(csv.code, Some(0));
    assert!(csv.stdout.starts_with("id,started_at,command,"), "{}", csv.stdout);
    assert!(csv.stdout.contains(",\"echo \"\"a, b\"\" | tr , ;\","), "{}", csv.stdout);
    assert!(csv.stdout.contains("\"for f in *; do\n  echo `file $f`\ndone\""), "{}", csv.stdout);
    assert!(csv.stderr.contains("--format json"), "it says what it leaves out: {}", csv.stderr);
}

#[test]
fn markdown_is_there_to_read() {
    let text = home().run(["export", "--format", "markdown"]).success().stdout;
    assert!(text.contains("## History"), "{text}");
    assert!(text.contains(" `ls -la`"), "{text}");
    assert!(text.contains("```\n  for f in *; do\n    echo `file $f`\n  done\n  ```"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_file_is_private_and_whole_or_not_there() {
    use std::os::unix::fs::PermissionsExt;

    let home = home();
    let file = home.path().join("out.json");
    let said = home.run(["export", "-o", file.to_str().unwrap()]);
    assert_eq!(said.code, Some(0));
    assert!(said.stdout.is_empty() && said.stderr.contains("4 commands"), "{said:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).is_ok());

    let nowhere = home.path().join("missing").join("out.json");
    let refused = home.run(["export", "-o", nowhere.to_str().unwrap()]).failure(1);
    assert!(refused.stderr.contains("cannot be written"), "{refused:?}");
    assert!(!nowhere.exists());
}
