//! `caro export`: everything comes out, in every form, and only where the user wants it.

use std::collections::BTreeMap;

use caro::history::{Filter, Generated, Record, RiskLevel, UnixNanos, new_id};
use serde_json::Value;
use uuid::Uuid;

use crate::common::home::TestHome;
use crate::common::random::Random;
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
fn lines_of_json_say_what_they_are() {
    let lines = home().run(["export", "--format", "ndjson"]).success().json();
    assert_eq!(lines[0]["type"], "export");
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!(kinds.len(), lines.len());
    assert_eq!(kinds.iter().filter(|kind| **kind == "command").count(), COMMANDS.len());
}

/// A record that may hold anything that a history can.
fn odd(random: &mut Random, device: Uuid) -> Record {
    const TEXTS: [&str; 14] = [
        "ls",
        "a\nb\r\nc\n",
        " \t leading and trailing \t ",
        "grüße 🦀 日本語 e\u{301}",
        "\u{202e}reversed\u{200b}",
        "\u{1}\u{7f}\u{1b}[31m\u{85}\u{2028}",
        "\"quoted\" 'twice' \\ and \\n",
        "{\"type\": \"preference\"}",
        "# a comment | `with` $(all) ${kinds} of; <things> && more",
        "\u{feff}bom",
        "\u{fffd}",
        "\u{10ffff}",
        "null",
        "-rf --help -",
    ];
    let text = |random: &mut Random| TEXTS[random.index(TEXTS.len())].to_owned();
    let maybe = |random: &mut Random| (random.below(2) == 0).then(|| text(random));
    let at = UnixNanos(random.number().cast_signed() % 4_000_000_000_000_000_000);
    let mut record = Record::with_id(new_id(at), text(random), at, device);
    record.prompt = maybe(random);
    record.explanation = maybe(random);
    record.cwd = maybe(random);
    record.session = maybe(random);
    record.shell = maybe(random);
    record.host = maybe(random);
    record.model = maybe(random);
    record.category = maybe(random);
    record.imported_from = maybe(random);
    record.tags = (0..random.below(4)).filter_map(|_| maybe(random)).collect();
    let said = Generated {
        blocked_reason: maybe(random),
        alternatives: (0..random.below(3)).filter_map(|_| maybe(random)).collect(),
        warnings: (0..random.below(3)).filter_map(|_| maybe(random)).collect(),
        generation_ns: (random.below(2) == 0).then_some(i64::MAX),
    };
    record.set_generated(said);
    record.exit = [None, Some(0), Some(-1), Some(130), Some(i32::MIN), Some(i32::MAX)][random.index(6)];
    record.duration_ns = [None, Some(0), Some(1), Some(i64::MAX)][random.index(4)];
    record.executed = [None, Some(true), Some(false)][random.index(3)];
    record.safety = [None, Some(RiskLevel::Safe), Some(RiskLevel::Critical)][random.index(3)];
    if random.below(8) == 0 {
        record.mark_truncated();
    }
    record
}

#[test]
fn what_is_exported_makes_the_same_history_elsewhere() {
    let home = home();
    let mut random = Random::from_environment();
    let history = home.history();
    let own = history.device_id().unwrap();
    let foreign = Uuid::from_u128(0xfeed_0000_4000_8000_0000_0000_0000_0001);
    let records: Vec<Record> = (0..400).map(|number| odd(&mut random, [own, foreign][number % 2])).collect();
    history.add_batch(&records).unwrap();
    // One that has not ended.
    history.begin(&Record::new("sleep 1d", UnixNanos(1_700_000_000_000_000_000), own)).unwrap();
    assert_eq!(home.run(["config", "set", "search.mode", "regex"]).code, Some(0));

    let exported = |format: &str| {
        let file = home.path().join(format);
        let run = home.run(["export", "--format", format, "-o", file.to_str().unwrap()]);
        assert_eq!(run.code, Some(0), "{run:?}");
        std::fs::read(file).unwrap()
    };
    let whole = exported("json");
    let value: Value = serde_json::from_slice(&whole).unwrap();
    let laid_out_anew = serde_json::to_vec_pretty(&value).unwrap();
    // On one line, its parts sorted by name, behind a mark of the byte order.
    let sorted: BTreeMap<String, Value> = value.as_object().unwrap().clone().into_iter().collect();
    let on_one_line = [b"\xef\xbb\xbf", serde_json::to_vec(&sorted).unwrap().as_slice()].concat();
    let here = home.history();
    for exported in [exported("ndjson"), whole, laid_out_anew, on_one_line] {
        let other = TestHome::new();
        let added = other.run_with_input(["history", "add"], &exported);
        assert_eq!(added.code, Some(0), "{}", added.stderr);
        let told = "Passed over, since they are no commands: preferences (1), usage counts (";
        assert!(added.stderr.starts_with(told), "{}", added.stderr);
        assert_eq!(added.stderr.lines().count(), 1, "{}", added.stderr);
        assert_eq!(added.lines().len(), 405);
        let there = other.history();
        let everything = Filter::default();
        for (one, two) in here.list(&everything).unwrap().iter().zip(&there.list(&everything).unwrap()) {
            assert_eq!(one, two);
        }
        assert_eq!(here.digest().unwrap(), there.digest().unwrap());
        // A second time nothing is new.
        let again = other.run_with_input(["history", "add", "--json"], &exported);
        assert!(again.json().iter().all(|line| line["stored"] == "already_there"));
        assert_eq!(there.count().unwrap(), 405);
    }
}

#[test]
fn of_an_export_that_was_cut_off_the_commands_before_the_cut_are_stored() {
    let exported = home().run(["export"]).success().stdout;
    let cut = &exported[..exported.rfind("grep").unwrap()];
    let home = TestHome::new();
    let run = home.run_with_input(["history", "add"], cut);
    assert_eq!((run.code, run.lines().len()), (Some(2), 3), "{run:?}");
    insta::assert_snapshot!(run.stderr, @r"
    Error: this is not a whole export: it ends too early
    Hint: The commands before it are stored. Export it anew and send it again; nothing is stored twice.
    ");
    let run = home.run_with_input(["history", "add"], &exported);
    assert_eq!((run.code, run.lines().len()), (Some(0), 4), "{run:?}");
    let wrong = home.run_with_input(["history", "add"], "{\n\"command\": \"ls\"\n}\n").failure(2);
    assert!(wrong.stderr.contains("a record has to be on one line"), "{wrong:?}");
}

#[test]
fn what_comes_behind_an_export_is_taken_too() {
    let [whole, lines] = ["json", "ndjson"].map(|format| home().run(["export", "--format", format]).success().stdout);
    let compact = serde_json::from_str::<Value>(&whole).unwrap().to_string();
    assert_eq!(compact.lines().count(), 1);
    let everything = [
        whole.as_str(),
        "\u{feff}",
        &compact,
        &compact,
        "\n\u{feff}",
        &lines,
        &whole,
        "{\"command\": \"the last\"}\n",
        "{\"command\": 5}\n",
    ]
    .concat();
    let home = TestHome::new();
    let run = home.run_with_input(["history", "add"], &everything);
    assert_eq!((run.code, run.lines().len()), (Some(2), 5 * 4 + 1), "{run:?}");
    // What was wrong is named by its line, and what came before it is stored.
    let line = everything.lines().count();
    assert!(run.stderr.contains(&format!("line {line} is not a record")), "{run:?}");
    assert_eq!(home.history().count().unwrap(), 2 * 4 + 1);
    let broken = home.run_with_input(["history", "add"], [&whole, "{\"history\": [\n!]}"].concat());
    let line = whole.lines().count() + 2;
    assert!(broken.stderr.contains(&format!("not valid JSON, in line {line} from character 1 on")), "{broken:?}");
}

#[test]
fn of_what_a_newer_version_exports_the_commands_are_taken() {
    let home = TestHome::new();
    let lines = "{\"type\": \"future\", \"x\": 1}\n{\"type\": \"command\", \"command\": \"ls\"}\n";
    let run = home.run_with_input(["history", "add"], lines);
    assert_eq!((run.code, run.lines().len()), (Some(0), 1), "{}", run.stderr);
    insta::assert_snapshot!(run.stderr, @"Passed over, since they are no commands: others (1).");
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
    let asked = home();
    asked.run(["history", "add", "--command", "df", "--prompt", "how much\nroom is left", "--suggested"]).success();
    let text = asked.run(["export", "--format", "markdown"]).success().stdout;
    assert!(text.contains("  - Prompt: `how much · room is left`\n  - Executed: `no, only suggested`\n"), "{text}");
}

#[test]
fn a_dash_is_standard_output() {
    let home = TestHome::new();
    home.add("ls");
    let dashed = home.run(["export", "-o", "-", "--format", "ndjson"]).success();
    assert_eq!(dashed.json().last().unwrap()["command"], "ls");
    let page = home.run(["history", "stats", "--html", "-"]).success();
    assert!(page.stdout.starts_with("<!DOCTYPE html>"), "{page:?}");
    assert_eq!(std::fs::read_dir(home.work_dir()).unwrap().count(), 0);
    let file = home.path().join("out.json");
    let said = home.run(["export", "-o", file.to_str().unwrap()]);
    assert_eq!(said.stderr, "1 command exported to $HOME/out.json\n");
}

#[cfg(unix)]
#[test]
fn a_device_is_written_to_and_not_replaced() {
    let home = home();
    // A link to it, so that a mistake replaces nothing but the link.
    let device = home.path().join("device");
    std::os::unix::fs::symlink("/dev/stdout", &device).unwrap();
    let said = home.run(["export", "-o", device.to_str().unwrap()]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), "4 commands exported to $HOME/device\n"));
    assert!(serde_json::from_str::<Value>(&said.stdout).is_ok(), "{said:?}");
    let page = home.run(["history", "stats", "--html", device.to_str().unwrap()]);
    assert!(page.code == Some(0) && page.stdout.starts_with("<!DOCTYPE html>"), "{page:?}");
    assert!(std::fs::symlink_metadata(&device).unwrap().is_symlink());
    let folder = home.run(["export", "-o", home.path().to_str().unwrap()]).failure(1);
    assert!(folder.stderr.contains("is a directory"), "{folder:?}");
    let nowhere = home.path().join("missing/file");
    let nowhere = home.run(["export", "-o", nowhere.to_str().unwrap()]).failure(1);
    assert!(nowhere.stderr.contains("its folder is not there"), "{nowhere:?}");
}

#[cfg(unix)]
#[test]
fn a_link_stays_one_and_what_it_leads_to_is_written() {
    let home = home();
    let (link, real) = (home.path().join("link.json"), home.file("real.json", "before"));
    std::os::unix::fs::symlink(&real, &link).unwrap();
    assert_eq!(home.run(["export", "-o", link.to_str().unwrap()]).code, Some(0));
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(serde_json::from_slice::<Value>(&std::fs::read(&real).unwrap()).is_ok());

    // Standard output that is a file is found by a link as well.
    let device = home.path().join("device");
    std::os::unix::fs::symlink("/proc/self/fd/1", &device).unwrap();
    let file = home.path().join("redirected.json");
    let mut command = home.command(["export", "-o", device.to_str().unwrap()]);
    let status = command.stdout(std::fs::File::create(&file).unwrap()).stderr(std::process::Stdio::null()).status();
    assert!(status.unwrap().success());
    assert!(std::fs::symlink_metadata(&device).unwrap().is_symlink());
    assert!(serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).is_ok());
}

#[cfg(unix)]
#[test]
fn a_pipe_by_name_whose_reader_leaves_is_a_failure() {
    let home = TestHome::new();
    let lines: String = (0..3000).map(|number| format!("echo {number}\n")).collect();
    let file = home.file("bash_history", lines);
    assert_eq!(home.run(["history", "import", "bash", "--file", file.to_str().unwrap()]).code, Some(0));
    let pipe = home.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader =
        std::process::Command::new("head").args(["-c", "10"]).arg(&pipe).stdout(std::process::Stdio::null()).spawn();
    let run = home.run(["export", "-o", pipe.to_str().unwrap()]).failure(1);
    assert!(run.stderr.contains("cannot be written"), "{run:?}");
    reader.unwrap().wait().unwrap();
}

#[cfg(unix)]
#[test]
fn a_file_is_private_and_whole_or_not_there() {
    use std::os::unix::fs::PermissionsExt;

    let home = home();
    let file = home.path().join("out.json");
    let said = home.run(["export", "-o", file.to_str().unwrap()]);
    assert_eq!(said.code, Some(0));
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", "4 commands exported to $HOME/out.json\n"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).is_ok());

    let nowhere = home.path().join("missing").join("out.json");
    let refused = home.run(["export", "-o", nowhere.to_str().unwrap()]).failure(1);
    assert!(refused.stderr.contains("cannot be written"), "{refused:?}");
    assert!(!nowhere.exists());
}
