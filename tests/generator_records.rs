//! What the generator made and what came of it: handed over in every way, and found again by what it had been asked for.

use serde_json::{Value, json};

use crate::common::home::TestHome;
use crate::common::tmux::Screen;

#[path = "../examples/generator.rs"]
#[expect(dead_code, reason = "its own main")]
mod example;

/// An answer as the generator prints it, with everything in it.
fn answer() -> Value {
    json!({
        "generated_command": "du -ah . | sort -rh | head -20",
        "explanation": "Lists the twenty largest files.",
        "executed": true,
        "blocked_reason": null,
        "requires_confirmation": false,
        "confirmation_prompt": "",
        "alternatives": ["find . -size +100M"],
        "shell_used": "zsh",
        "output_format": "Json",
        "debug_info": null,
        "generation_details": "Generated in 900 ms",
        "timing_info": {"generation_time_ms": 900, "execution_time_ms": 35, "total_time_ms": 935},
        "warnings": ["it may take a while"],
        "detected_context": "which files need most room",
        "exit_code": 0,
        "stdout": "4.0G\tprinted-by-the-command",
        "stderr": "warned-by-the-command",
        "execution_error": null
    })
}

fn blocked() -> Value {
    json!({
        "generated_command": "rm -rf /",
        "explanation": "Erases everything.",
        "executed": false,
        "blocked_reason": "it erases the whole system",
        "alternatives": [],
        "shell_used": "bash",
        "timing_info": {"generation_time_ms": 800, "execution_time_ms": 0, "total_time_ms": 800},
        "warnings": [],
        "detected_context": "make room at any price",
        "exit_code": null,
        "stdout": null,
        "stderr": null
    })
}

/// Adds answers as the generator lays them out, over several lines each.
fn home() -> TestHome {
    let home = TestHome::new();
    let text = format!("{:#}\n{:#}\n", answer(), blocked());
    let args = ["history", "add", "--from", "caro", "--model", "some-model", "--safety", "moderate", "--tag", "asked"];
    let added = home.run_with_input(args, text).success();
    assert_eq!(added.lines().len(), 2);
    home
}

fn commands(home: &TestHome, args: &[&str]) -> Vec<String> {
    let run = home.run([&["history"], args, &["--cmd-only"]].concat()).success();
    run.lines().into_iter().map(str::to_owned).collect()
}

#[test]
fn the_generators_own_records_are_taken_as_they_are() {
    let home = home();
    let records = home.run(["history", "list", "--json"]).success().json();
    let [one, two] = records.as_slice() else { panic!("{records:?}") };
    let (ran, suggested) = if one["exit"] == 0 { (one, two) } else { (two, one) };
    for (field, value) in [
        ("command", json!("du -ah . | sort -rh | head -20")),
        ("prompt", json!("which files need most room")),
        ("explanation", json!("Lists the twenty largest files.")),
        ("executed", json!(true)),
        ("exit", json!(0)),
        ("duration_ns", json!(35_000_000)),
        ("generation_ns", json!(900_000_000)),
        ("alternatives", json!(["find . -size +100M"])),
        ("warnings", json!(["it may take a while"])),
        ("blocked_reason", Value::Null),
        ("shell", json!("zsh")),
        ("model", json!("some-model")),
        ("safety", json!("moderate")),
        ("tags", json!(["asked"])),
        ("cwd", json!("$HOME/work")),
    ] {
        assert_eq!(ran[field], value, "{field}");
    }
    // It has no exit code, so it did not run, whatever the safety check said.
    assert_eq!((&suggested["executed"], &suggested["exit"]), (&json!(false), &Value::Null));
    assert_eq!(suggested["blocked_reason"], "it erases the whole system");
    for file in std::fs::read_dir(home.data_dir()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("by-the-command"), "what a command printed is stored nowhere");
    }
}

#[test]
fn what_is_no_answer_is_refused_and_what_came_before_it_stays() {
    let home = TestHome::new();
    let add = |text: String| home.run_with_input(["history", "add", "--from", "caro"], text);
    let run = add(format!("{}\n{{\"command\": \"ls\"}}\n{}", answer(), blocked()));
    assert_eq!((run.code, run.lines().len()), (Some(2), 1));
    insta::assert_snapshot!(run.stderr, @r"
    Error: answer 2 is not one of the Caro generator: missing field `generated_command` at line 2 column 17
    Hint: The answers before it are stored, nothing from it on is. `caro history add` without --from takes JSON lines.
    ");
    assert_eq!(add("{\"generated_command\": \"ls\", ".into()).code, Some(2));
    assert_eq!(commands(&home, &["list"]), ["du -ah . | sort -rh | head -20"]);
    let both = home.run(["history", "add", "--from", "caro", "--command", "ls"]).failure(2);
    assert!(both.stderr.contains("cannot be used with"), "{}", both.stderr);
}

#[test]
fn secrets_are_looked_for_in_everything_the_generator_said() {
    for (field, value) in [
        ("generated_command", json!("mysql -u root -phunter2secret shop")),
        ("detected_context", json!("log in with --password hunter2secret")),
        ("alternatives", json!(["ls", "mysql -u root -phunter2secret shop"])),
        ("warnings", json!(["export TOKEN=ghp_0123456789abcdefghijABCDEFGHIJ456789 is in there"])),
    ] {
        let home = TestHome::new();
        let mut answer = answer();
        answer[field] = value;
        let run = home.run_with_input(["history", "add", "--from", "caro"], answer.to_string());
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{field}");
        assert!(run.stderr.contains("is not recorded: it holds what looks like"), "{field}: {}", run.stderr);
        assert!(!run.stderr.contains("hunter2secret") && !run.stderr.contains("ghp_"), "{field}");
    }
}

#[test]
fn one_record_is_given_by_flags() {
    let home = TestHome::new();
    let args =
        ["history", "add", "--command", "tar xf a.tgz", "--prompt", "unpack this", "--explanation", "unpacks it"];
    home.run([&args[..], &["--category", "file_management", "--safety", "safe", "--suggested"]].concat()).success();
    let record = home.run(["history", "last", "--json"]).success().json().remove(0);
    assert_eq!((&record["executed"], &record["explanation"]), (&json!(false), &json!("unpacks it")));
    assert_eq!((&record["category"], &record["safety"]), (&json!("file_management"), &json!("safe")));
    let shown = home.run(["history", "show", record["id"].as_str().unwrap()]).success().stdout;
    assert!(shown.contains("Executed     no, only suggested"), "{shown}");
    let both = home.run(["history", "add", "--command", "ls", "--suggested", "--exit", "0"]).failure(2);
    assert!(both.stderr.contains("cannot be used with"), "{}", both.stderr);
}

#[test]
fn a_suggestion_that_ran_after_all_is_completed() {
    let home = TestHome::new();
    let id = home.run(["history", "add", "--command", "make", "--suggested"]).success().stdout;
    let stats = |home: &TestHome| home.run(["history", "stats", "--json"]).success().json()[0]["commands"].clone();
    assert_eq!(stats(&home), 0, "it was not run");
    let line = json!({"id": id.trim_end(), "command": "make", "executed": true, "exit": 2}).to_string();
    home.run_with_input(["history", "add"], line).success();
    let record = home.run(["history", "last", "--json"]).success().json().remove(0);
    assert_eq!((&record["executed"], &record["exit"]), (&json!(true), &json!(2)));
    assert_eq!(stats(&home), 1);
}

#[test]
fn a_command_is_found_by_what_one_had_asked_for_and_one_sees_why() {
    let home = home();
    home.add("echo files");
    assert_eq!(commands(&home, &["search", "most", "room"]), ["du -ah . | sort -rh | head -20"]);
    assert_eq!(commands(&home, &["search", "--mode", "fuzzy", "mstroom"]), ["du -ah . | sort -rh | head -20"]);
    for args in [&["list"][..], &["search", "room"]] {
        let rows = home.run([&["history"], args].concat()).success().stdout;
        assert!(rows.contains("du -ah . | sort -rh | head -20  # which files need most room\n"), "{rows}");
        assert!(rows.contains("rm -rf /  # make room at any price (only suggested)\n"), "{rows}");
    }
    let screen = Screen::start(&home, (120, 10), &["caro", "history", "search", "-i", "most room"], &[]);
    screen.until("the prompt", |text| text.contains("head -20  # which files need most room"));
    screen.press("Escape");
}

#[test]
fn what_was_only_suggested_has_filters() {
    let home = home();
    home.add("ls");
    assert_eq!(commands(&home, &["list", "--suggested"]), ["rm -rf /"]);
    assert_eq!(commands(&home, &["search", "room", "--suggested"]), ["rm -rf /"]);
    assert_eq!(commands(&home, &["search", "room", "--executed"]), ["du -ah . | sort -rh | head -20"]);
    // What a shell recorded ran, though nothing says so.
    assert_eq!(commands(&home, &["list", "--executed", "-n", "1"]), ["ls"]);
    let format = ["history", "list", "--suggested", "--format", "{executed} {command}"];
    assert_eq!(home.run(format).success().stdout, "false rm -rf /\n");
    let exported = home.run(["export", "--format", "ndjson", "--suggested"]).success().json();
    let commands: Vec<&Value> = exported.iter().filter(|line| line["type"] == "command").collect();
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0]["command"], "rm -rf /");
}

#[test]
fn the_example_of_the_library_does_what_it_says() {
    let home = TestHome::new();
    let config = home.path().join("config");
    let found = example::remember_and_find(&config, &home.data_dir()).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(commands(&home, &["list", "--suggested"]), ["find . -size +100M -delete"]);
    assert_eq!(commands(&home, &["search", "show me large"]), ["find . -size +100M"]);
    // The rules of this home hold for a program that adds records by itself too.
    home.run(["config", "set", "history.filter", "exclude command \"* -delete\""]).code.unwrap();
    let found = example::remember_and_find(&config, &home.data_dir()).unwrap();
    assert_eq!(found.len(), 3);
}
