//! `caro config` as a user meets it: the real program, the files it leaves, what it says.

use std::fs;
use std::path::PathBuf;

use crate::common::home::{Run, TestHome};

fn config_toml(home: &TestHome) -> PathBuf {
    home.path().join("config/config.toml")
}

/// Insists that it went well; what it says goes to standard error.
fn done(run: Run) -> Run {
    assert_eq!(run.code, Some(0), "{run:?}");
    run
}

#[test]
fn a_preference_is_set_read_and_unset_in_place() {
    let home = TestHome::new();
    fs::create_dir(home.path().join("config")).unwrap();
    fs::write(config_toml(&home), "# mine\nsafety_level = \"moderate\" # careful\n[ai]\napi_token = \"hush\"\n")
        .unwrap();
    let run = done(home.run(["config", "set", "safety_level", "strict"]));
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", "safety_level is now strict\n"));
    assert_eq!(
        fs::read_to_string(config_toml(&home)).unwrap(),
        "# mine\nsafety_level = \"strict\" # careful\n[ai]\napi_token = \"hush\"\n"
    );
    assert_eq!(home.run(["config", "get", "safety_level"]).success().stdout, "strict\n");
    done(home.run(["config", "unset", "safety_level"]));
    assert_eq!(home.run(["config", "get", "safety_level"]).success().stdout, "moderate\n");
    done(home.run(["config", "undo", "safety_level"]));
    assert_eq!(home.run(["config", "get", "safety_level"]).success().stdout, "strict\n");
    done(home.run(["config", "undo", "safety_level"]));
    assert_eq!(home.run(["config", "get", "safety_level"]).success().stdout, "moderate\n");
    let everywhere = home.run(["config", "show", "--json"]).success().stdout;
    assert!(!everywhere.contains("hush"), "what is no preference of ours is not shown");
}

#[test]
fn what_is_wrong_is_said_with_what_is_right() {
    let home = TestHome::new();
    let run = home.run(["config", "set", "safety_level", "reckless"]).failure(2);
    insta::assert_snapshot!(run.stderr, @r"
    Error: safety_level cannot be `reckless`: it is one of strict, moderate, permissive
    Hint: Nothing was changed.
    ");
    let run = home.run(["config", "set", "safety_level", "Permisive"]).failure(2);
    insta::assert_snapshot!(run.stderr, @r"
    Error: safety_level cannot be `Permisive`: it is one of strict, moderate, permissive
    Hint: Did you mean permissive? Nothing was changed.
    ");
    let run = home.run(["config", "get", "safty_level"]).failure(2);
    insta::assert_snapshot!(run.stderr, @r"
    Error: there is no preference `safty_level`
    Hint: Did you mean safety_level? `caro config show` lists all.
    ");
    let run = home.run(["config", "set", "sync.relay", "wss://relay.example"]).failure(2);
    assert!(run.stderr.contains("caro sync relay set"), "{run:?}");
    let run = home.run(["config", "get", "model_name"]).failure(1);
    assert!(run.stderr.contains("caro config set model_name VALUE"), "{run:?}");
    let run = home.run(["config", "undo", "model_name"]).failure(1);
    assert!(run.stderr.contains("no change of model_name is known"), "{run:?}");
    assert!(!config_toml(&home).exists(), "a mistake leaves no file");
}

#[test]
fn a_file_with_a_mistake_is_named_and_left() {
    let home = TestHome::new();
    done(home.run(["config", "set", "sync.frequency", "daily"]));
    fs::write(home.path().join("config/sync.toml"), "frequency = daily\n").unwrap();
    for args in [vec!["config", "get", "sync.frequency"], vec!["config", "set", "sync.frequency", "hourly"]] {
        let run = home.run(args).failure(2);
        assert!(run.stderr.contains("$HOME/config/sync.toml cannot be read"), "{run:?}");
    }
    assert_eq!(fs::read_to_string(home.path().join("config/sync.toml")).unwrap(), "frequency = daily\n");
    fs::write(home.path().join("config/sync.toml"), "frequency = \"often\"\n").unwrap();
    let run = home.run(["config", "get", "sync.frequency"]).failure(2);
    assert!(run.stderr.contains("realtime, hourly, daily, manual"), "{run:?}");
    done(home.run(["config", "set", "sync.frequency", "hourly"]));
    assert_eq!(home.run(["config", "get", "sync.frequency"]).success().stdout, "hourly\n");
}

#[test]
fn everything_is_shown_with_where_it_comes_from() {
    let home = TestHome::new();
    done(home.run(["config", "set", "sync.retention_days", "unlimited"]));
    done(home.run(["config", "set", "telemetry.enabled", "false"]));
    let shown = home.run(["config", "show", "--origin"]).success().stdout;
    assert!(shown.contains("sync.retention_days   unlimited   ($HOME/config/sync.toml, synced)"), "{shown}");
    assert!(shown.contains("safety_level          moderate    (default, synced)"), "{shown}");
    assert!(shown.contains("model_name            -           (none, synced)"), "{shown}");
    assert!(shown.contains("telemetry.enabled     false       ($HOME/config/config.toml)"), "{shown}");

    let explained = home.run(["config", "show", "--verbose"]).success().stdout;
    let wanted = "sync.retention_days   unlimited\n                      # days that commands stay on the relay;";
    assert!(explained.contains(wanted), "{explained}");
    assert_eq!(explained.lines().count(), 2 * shown.lines().count());

    let all = home.run(["config", "show", "--json"]).success().json().remove(0);
    assert_eq!(all["schema_version"], 1);
    let one = all["preferences"].as_array().unwrap().iter().find(|one| one["name"] == "sync.retention_days").unwrap();
    let mut keys: Vec<_> = one.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["about", "file", "name", "origin", "synced", "value"]);
    assert_eq!((&one["value"], &one["origin"]), (&"unlimited".into(), &"file".into()));
    let one = home.run(["config", "get", "--json", "model_name"]).success().json().remove(0);
    assert_eq!((&one["value"], &one["origin"], &one["schema_version"]), (&().into(), &"none".into(), &1.into()));
    let path = home.run(["config", "path"]).success();
    assert_eq!(path.lines(), ["$HOME/config/config.toml", "$HOME/config/sync.toml"]);
}

#[cfg(unix)]
#[test]
fn an_editor_works_on_a_copy_that_is_checked() {
    let home = TestHome::new();
    done(home.run(["config", "set", "safety_level", "strict"]));
    let edit = |script: &str| {
        let mut command = home.command(["config", "edit"]);
        let editor = home.file("editor", format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        command.env("EDITOR", &editor);
        home.finish(command, &[])
    };
    assert_eq!(done(edit("true")).stderr, "Nothing was changed.\n");
    done(edit("echo 'model_name = \"large\"' >> \"$1\""));
    assert_eq!(home.run(["config", "get", "model_name"]).success().stdout, "large\n");

    let before = fs::read_to_string(config_toml(&home)).unwrap();
    let wrong = edit("echo 'safety_level = \"none\"' > \"$1\"").failure(2);
    assert!(wrong.stderr.contains("strict, moderate, permissive") && wrong.stderr.contains("is kept in"), "{wrong:?}");
    assert_eq!(fs::read_to_string(config_toml(&home)).unwrap(), before);
    let kept = wrong.stderr.split("is kept in $HOME/").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(fs::read_to_string(home.path().join(kept)).unwrap(), "safety_level = \"none\"\n");
    let late = edit("echo '# by another' >> \"$HOME/config/config.toml\"; echo '# mine' >> \"$1\"").failure(2);
    assert!(late.stderr.contains("was changed while you edited it") && late.stderr.contains("is kept in"), "{late:?}");
    assert_eq!(fs::read_to_string(config_toml(&home)).unwrap(), format!("{before}# by another\n"));
    let before = fs::read_to_string(config_toml(&home)).unwrap();
    edit("exit 3").failure(1);
    assert_eq!(fs::read_to_string(config_toml(&home)).unwrap(), before);

    let copies = || {
        let names = fs::read_dir(home.path().join("config")).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().contains(".edit.")).count()
    };
    let kept = copies();
    let with = |name: &str, value: &str| {
        let mut command = home.command(["config", "edit"]);
        command.env(name, value);
        home.finish(command, &[])
    };
    let run = with("PATH", "/nowhere").failure(2);
    assert!(run.stderr.contains("neither VISUAL nor EDITOR is set") && !run.stderr.contains("is kept"), "{run:?}");
    let run = with("EDITOR", "/nope/ed").failure(2);
    assert!(run.stderr.contains("`/nope/ed` cannot be started") && !run.stderr.contains("is kept"), "{run:?}");
    assert_eq!(copies(), kept, "nothing was written, so nothing is kept");
    done(with("VISUAL", "sed -i \"s/large/very large/\""));
    assert_eq!(home.run(["config", "get", "model_name"]).success().stdout, "very large\n");
}

#[cfg(unix)]
#[test]
fn an_editor_that_is_there_is_taken_where_none_is_named() {
    let home = TestHome::new();
    let bin = home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("vi"), "#!/bin/sh\necho 'model_name = \"by vi\"' > \"$1\"\n").unwrap();
    fs::set_permissions(bin.join("vi"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut command = home.command(["config", "edit"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    done(home.finish(command, &[]));
    assert_eq!(home.run(["config", "get", "model_name"]).success().stdout, "by vi\n");
}

#[test]
fn many_processes_set_at_once_and_all_of_it_stays() {
    let home = TestHome::new();
    let names = [
        ("safety_level", "strict"),
        ("default_shell", "zsh"),
        ("model_name", "large"),
        ("log_level", "debug"),
        ("sync.frequency", "daily"),
        ("sync.max_records", "5"),
        ("sync.retention_days", "7"),
        ("sync.large_records", "exclude"),
    ];
    std::thread::scope(|scope| {
        for (name, value) in names {
            let home = &home;
            scope.spawn(move || done(home.run(["config", "set", name, value])));
        }
    });
    for (name, value) in names {
        assert_eq!(home.run(["config", "get", name]).success().stdout, format!("{value}\n"));
    }
}

/// A row of the table in the documentation: names, values and defaults stand in the same order, separated by commas.
fn documented() -> Vec<(String, String, String, bool)> {
    let text = include_str!("../docs/cli.md");
    let table = text.split("## Preferences").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let mut documented = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" |").map(str::trim).collect();
        let [names, values, defaults, synced] = cells.as_slice() else { panic!("{row}") };
        let names: Vec<&str> = names.split(", ").map(|name| name.trim_matches('`')).collect();
        for (at, name) in names.iter().enumerate() {
            // Where several share a row and differ, each has its own; `1 to 365, 1 to 1000`.
            let own = |cell: &str| {
                let parts: Vec<&str> = cell.split(", ").collect();
                if names.len() > 1 && parts.len() == names.len() { parts[at].to_owned() } else { cell.to_owned() }
            };
            let values = if values.contains(" to ") { own(values) } else { (*values).to_owned() };
            documented.push(((*name).to_owned(), values, own(defaults), *synced == "yes"));
        }
    }
    documented
}

#[test]
fn the_documentation_has_every_preference_with_its_values_and_its_default() {
    use caro::prefs::{ALL, Kind};

    let documented = documented();
    let home = TestHome::new();
    for preference in ALL {
        let name = preference.name;
        let (_, values, default, synced) =
            documented.iter().find(|row| row.0 == name).unwrap_or_else(|| panic!("{name} is not in docs/cli.md"));
        let said = match preference.kind {
            Kind::OneOf(words) => words.join(", "),
            Kind::Text => "a name".to_owned(),
            Kind::Switch => "true, false".to_owned(),
            Kind::Number(from, to) => format!("{from} to {to}"),
            Kind::Limit(to) => format!("1 to {to}, unlimited"),
            Kind::Rules => "rules, one a line".to_owned(),
        };
        assert_eq!((values, *synced), (&said, preference.synced), "{name}");
        // What the program says where nothing is set.
        let run = home.run(["config", "get", name]);
        let holds = match (run.code, run.stdout.trim_end()) {
            (Some(0), "") => "none",
            (Some(0), value) => value,
            _ => "",
        };
        assert_eq!(default, holds, "{name}");
    }
    assert_eq!(documented.len(), ALL.len(), "the documentation has none that is not there");
}
