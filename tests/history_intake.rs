//! What is recorded at all: neither secrets nor what the user's rules exclude, at the prompt, when a history is taken
//! over and when records are added; and that both can be chosen.

use crate::common::home::{Run, TestHome};

const SECRET: &str = "mysql -u root -phunter2 app";

fn started(home: &TestHome, command: &str) -> Run {
    home.run(["history", "start", "--session", "s1", "--cwd", "/clients/acme/x", "--", command]).success()
}

fn commands(home: &TestHome) -> Vec<String> {
    home.run(["history", "list", "--cmd-only"]).success().stdout.lines().map(str::to_owned).collect()
}

fn choose(home: &TestHome, name: &str, value: &str) {
    let run = home.run(["config", "set", name, value]);
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn a_prompt_records_no_secret_unless_the_user_wants_it() {
    let home = TestHome::new();
    assert_eq!(started(&home, SECRET).stdout, "", "no id, so there is nothing to end");
    assert_eq!(started(&home, "mysql -u root -p app").stdout.trim_end().len(), 36);
    assert_eq!(commands(&home), ["mysql -u root -p app"]);
    for file in std::fs::read_dir(home.data_dir()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(7).any(|part| part == b"hunter2"), "it was never on the disk");
    }
    choose(&home, "history.secrets", "keep");
    assert_eq!(started(&home, SECRET).stdout.trim_end().len(), 36);
    assert_eq!(home.run(["config", "set", "history.secrets", "all"]).failure(2).stdout, "");
}

#[test]
fn a_prompt_obeys_the_rules_and_outlives_wrong_ones() {
    let home = TestHome::new();
    choose(
        &home,
        "history.filter",
        "exclude command \"aws *\"\ninclude command \"aws s3*\"\nexclude directory /clients",
    );
    assert_eq!(started(&home, "make").stdout, "", "in a directory that is excluded");
    for (command, recorded) in [("aws iam list-users", false), ("aws s3 ls", true), ("make", true)] {
        let run = home.run(["history", "start", "--", command]).success();
        assert_eq!(!run.stdout.is_empty(), recorded, "{command}");
    }
    assert_eq!(commands(&home), ["aws s3 ls", "make"]);
}

#[test]
fn while_the_rules_cannot_be_read_the_last_ones_hold_and_one_is_told_once() {
    let home = TestHome::new();
    let excluded = |command: &str| started(&home, command).stdout.is_empty();
    // Nothing was ever noted: secrets are left out, all else is recorded.
    std::fs::create_dir(home.path().join("config")).unwrap();
    home.file("config/sync.toml", "[history\n");
    assert!(!excluded("aws iam") && excluded(SECRET));
    home.file("config/sync.toml", "[history]\nfilter = ['exclude command \"aws *\"']\n");
    assert!(excluded("aws iam list-users") && !excluded("make"));
    assert_eq!(home.run(["history", "list", "-n", "1", "--cmd-only"]).success().stdout, "make\n");

    home.file("config/sync.toml", "[history]\nfilter = ['exclude command \"aws *\"', 'exclude command \"gcloud *\"'\n");
    assert!(excluded("aws iam list-users") && excluded(SECRET));
    // A rule that could never be read does not count.
    assert!(!excluded("gcloud auth list") && !excluded("ls"));
    let list = || home.run(["history", "list", "-n", "1", "--cmd-only"]);
    let told = list();
    assert_eq!((told.code, told.stdout.as_str()), (Some(0), "ls\n"));
    insta::assert_snapshot!(told.stderr, @r"
    Warning: $HOME/config/sync.toml cannot be read: unclosed array, expected `]` (line 2)
    Hint: What is recorded follows the rules that it held before, until it can be read: caro config edit --sync
    ");
    assert!(excluded("aws iam list-users"));
    list().success();
    // Mended, it counts again; another slip is told again.
    home.file("config/sync.toml", "");
    assert!(!excluded("aws iam list-users"));
    home.file("config/sync.toml", "[history]\nfilter = 7\n");
    assert!(!excluded("aws iam list-users"));
    assert!(list().stderr.contains("sets history.filter to something it cannot be"));
    // Whoever asks for a command to be recorded is told at once, and nothing is.
    home.run(["history", "add", "--command", "ls"]).failure(2);
}

#[test]
fn a_rule_that_could_never_hold_is_refused_and_a_space_is_said_to_hide() {
    let home = TestHome::new();
    let filter = |args: &[&str]| home.run([&["history", "filter"], args].concat());
    let refused = filter(&["add", "exclude", "directory", "clients/secret"]).failure(2);
    assert!(refused.stderr.contains("`**/clients/secret`"), "{refused:?}");
    assert_eq!(filter(&["list"]).success().stdout, "");
    for directory in ["/srv/clients", "~/clients", "**/clients", "C:/clients"] {
        assert_eq!(filter(&["add", "exclude", "directory", directory]).code, Some(0), "{directory}");
    }
    assert_eq!(filter(&["test", " ls"]).success().stdout, "not recorded: it begins with a space\n");
}

#[test]
fn rules_of_recording_are_listed_added_removed_and_explain_themselves() {
    let home = TestHome::new();
    let filter = |args: &[&str]| home.run([&["history", "filter"], args].concat());
    home.add("aws iam list-users");
    let added = filter(&["add", "exclude", "command", "aws *"]);
    insta::assert_snapshot!(added.stderr, @r#"
    The rule counts from the next command on: exclude command "aws *"
    Hint: 1 command that it excludes is stored already; `caro history prune` deletes what would not be recorded now.
    "#);
    assert_eq!((added.code, added.stdout.as_str()), (Some(0), ""));
    let added = filter(&["add", "include command /^aws s3 ls/", "--json"]);
    assert_eq!(added.json()[0]["stored"], 0);
    assert_eq!(
        filter(&["list"]).success().lines(),
        ["  1  exclude command \"aws *\"", "  2  include command /^aws s3 ls/"]
    );
    let listed = filter(&["list", "--json"]).success().json();
    assert_eq!((&listed[1]["number"], &listed[1]["pattern"]), (&2.into(), &"/^aws s3 ls/".into()));
    for (command, said) in [
        ("aws iam list-users", "not recorded: rule 1, exclude command \"aws *\"\n"),
        ("aws s3 ls", "recorded: rule 2, include command /^aws s3 ls/\n"),
        ("make", "recorded: no rule matches\n"),
        (SECRET, "not recorded: it holds what looks like a database password\n"),
    ] {
        assert_eq!(filter(&["test", command]).success().stdout, said);
        assert_eq!(started(&home, command).stdout.is_empty(), said.starts_with("not"), "{command}");
    }
    let tested = filter(&["test", "aws iam", "--json"]).success().json().remove(0);
    let expected = serde_json::json!({"schema_version": 1, "decision": "leave_out", "reason": "rule",
        "rule": "exclude command \"aws *\"", "rule_number": 1, "secret": null});
    assert_eq!(tested, expected);
    assert!(filter(&["list"]).stderr.contains("So far 2 commands were not recorded"));
    let removed = filter(&["remove", "1"]);
    assert_eq!((removed.code, removed.stderr.as_str()), (Some(0), "The rule is gone: exclude command \"aws *\"\n"));
    assert!(filter(&["remove", "7"]).failure(1).stderr.contains("`caro history filter list` shows them."));
    assert!(filter(&["add", "forbid", "command", "x"]).failure(2).stderr.contains("that is no rule"));
    // It is the preference that `caro config` shows.
    assert_eq!(home.run(["config", "get", "history.filter"]).success().stdout, "include command /^aws s3 ls/\n");
}

#[test]
fn an_import_counts_what_it_leaves_out() {
    let home = TestHome::new();
    let file = home.file("bash_history", format!("ls\n{SECRET}\naws iam\nls\nPGPASSWORD=x psql\n"));
    choose(&home, "history.filter", "exclude command \"aws *\"");
    let run = home.run(["history", "import", "bash", "--file", file.to_str().unwrap()]);
    assert_eq!(run.code, Some(0));
    insta::assert_snapshot!(run.stderr, @r"
    Added 2 commands from $HOME/bash_history (1 excluded, 2 with a secret left out)
    Hint: To take commands with secrets over too, on this machine only: caro config set history.secrets keep
    ");
    choose(&home, "history.secrets", "keep");
    let report = home.import(&file);
    assert_eq!([&report["added"], &report["already_there"], &report["secrets"], &report["excluded"]], [2, 2, 0, 1]);
    // The ids are those of an import that leaves nothing out.
    let other = TestHome::new();
    choose(&other, "history.secrets", "keep");
    let copy = other.file("bash_history", std::fs::read(&file).unwrap());
    let device = home.history().device_id().unwrap();
    other.history().meta_set("device_id", Some(&device.to_string())).unwrap();
    assert_eq!(other.import(&copy)["added"], 5);
    let ids = |home: &TestHome| {
        let lines = home.run(["history", "list", "--format", "{id} {command}"]).success().stdout;
        lines.lines().filter(|line| !line.ends_with("aws iam")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (mut here, mut there) = (ids(&home), ids(&other));
    here.sort();
    there.sort();
    assert_eq!(here, there);
}

#[test]
fn records_that_are_added_pass_the_same_gate() {
    let home = TestHome::new();
    let run = home.run(["history", "add", "--command", "login", "--prompt", "log in with --password hunter2"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    assert!(run.stderr.contains("is not recorded: it holds what looks like a secret given by a flag"), "{run:?}");
    assert!(run.stderr.contains("Hint: To record such commands too"), "{run:?}");
    assert!(!run.stderr.contains("hunter2"));
    let lines = format!("{{\"command\": \"ls\"}}\n{{\"command\": \"{SECRET}\"}}\n{{\"command\": \"pwd\"}}\n");
    let run = home.run_with_input(["history", "add", "--json"], &lines);
    let stored: Vec<_> = run.json().iter().map(|line| line["stored"].as_str().unwrap().to_owned()).collect();
    assert_eq!(stored.iter().filter(|stored| *stored == "added").count(), 2, "{run:?}");
    assert_eq!(stored.iter().filter(|stored| *stored == "left_out").count(), 1, "{run:?}");
    assert_eq!(commands(&home), ["ls", "pwd"]);
}

#[test]
fn the_session_is_that_of_the_environment_and_a_paused_one_records_nothing() {
    let home = TestHome::new();
    let run = |args: &[&str], session: &str, input: &str| {
        let mut command = home.command(args);
        command.env("CARO_SESSION", session).stdin(std::process::Stdio::piped());
        home.finish(command, input.as_bytes())
    };
    let answer = r#"{"generated_command": "answered", "exit_code": 0}"#;
    let ways: [(&[&str], &str); 4] = [
        (&["history", "start", "--", "begun"], ""),
        (&["history", "add", "--command", "added"], ""),
        (&["history", "add", "--from", "caro"], answer),
        (&["history", "add"], r#"{"command": "sent"}"#),
    ];
    for (args, input) in ways {
        assert_eq!(run(args, "foo", input).success().lines().len(), 1);
    }
    let sessions: Vec<_> = home.run(["history", "list", "--json"]).success().json();
    let sessions: Vec<_> = sessions.iter().map(|record| record["session"].as_str()).collect();
    assert_eq!(sessions, [Some("foo"), Some("foo"), Some("foo"), None], "a line says by itself where it ran");

    assert_eq!(run(&["history", "pause"], "foo", "").code, Some(0));
    for (args, input) in ways {
        let ran = run(args, "foo", input);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
        let told = ran.stderr.contains("1 command not recorded: the shell session is paused");
        assert_eq!(told, args[1] == "add", "a prompt is told nothing: {ran:?}");
    }
    let named = |session: &str| run(&["history", "add", "--command", "named", "--session", session], "bar", "");
    assert!(named("foo").stdout.is_empty());
    let lines = r#"{"command": "hidden", "session": "foo"}
{"command": "of another", "session": "bar"}
"#;
    let ran = run(&["history", "add", "--json"], "foo", lines);
    let stored: Vec<_> = ran.json().iter().map(|line| line["stored"].as_str().map(str::to_owned)).collect();
    assert_eq!(stored, [Some("left_out".to_owned()), Some("added".to_owned())], "{ran:?}");
    assert_eq!(commands(&home), ["begun", "added", "answered", "sent", "of another"]);
}
