//! What `caro relay serve` can be told: by flags, by the environment and by a file, and what it says of mistakes.

use std::process::Command;

use crate::common::home::{Run, TestHome};

/// `caro relay serve --print-config` with a settings file, variables and flags.
fn printed(home: &TestHome, file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Run {
    home.file("relay.toml", file);
    let mut command: Command = home.command(["relay", "serve", "--print-config", "--config"]);
    command.arg(home.path().join("relay.toml")).args(flags).envs(variables.iter().copied());
    home.finish(command, &[])
}

/// The value of a setting in what was printed.
fn value(run: &Run, key: &str) -> String {
    assert_eq!(run.code, Some(0), "{run:?}");
    let table: toml::Table = run.stdout.parse().expect("what is printed is a settings file");
    table.get(key).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn a_flag_counts_before_a_variable_and_that_before_the_file_and_that_before_what_is_usual() {
    let home = TestHome::new();
    let file = "drain = 1\nmax_connections = 2\nlisten = [\"127.0.0.1:1\", \"unix:/run/r.sock\"]\n";
    let variables = [("CARO_RELAY_DRAIN", "3"), ("CARO_RELAY_TRUSTED_PROXY", "10.0.0.0/8,192.0.2.1")];
    let run = printed(&home, file, &variables, &["--max-connections", "4"]);
    assert_eq!(value(&run, "drain"), "3");
    assert_eq!(value(&run, "max_connections"), "4");
    assert_eq!(value(&run, "listen"), r#"["127.0.0.1:1", "unix:/run/r.sock"]"#);
    assert_eq!(value(&run, "trusted_proxy"), r#"["10.0.0.0/8", "192.0.2.1/32"]"#);
    assert!(run.stdout.contains("\n# max_connections_per_address = 256\n"), "what is usual is a remark: {run:?}");
    assert_eq!(value(&run, "token_file"), "");
    assert!(
        run.stdout.contains("\n# token_file = (not set)\n") && run.stdout.contains("\n# idle_exit = (not set)\n"),
        "{run:?}"
    );
}

#[test]
fn what_is_printed_is_a_file_that_says_the_same() {
    let home = TestHome::new();
    let flags = ["--listen", "[::1]:0", "--path", "/caro", "--origin", "https://app.example", "--idle-exit", "9"];
    let first = printed(&home, "", &[], &flags);
    assert_eq!(first.code, Some(0), "{first:?}");
    let again = printed(&home, &first.stdout, &[], &[]);
    assert_eq!(again.stdout, first.stdout);
    // Each setting has a line that says what it means, those too that are not set.
    for key in ["listen", "data_dir", "in_memory", "tls_certificate", "token_file", "max_connections", "idle_exit"] {
        let mut lines = first.stdout.lines().skip_while(|line| !line.trim_start_matches("# ").starts_with(key));
        assert!(lines.next().is_some(), "{key} is missing in {}", first.stdout);
    }
}

#[test]
fn a_mistake_in_the_file_is_named_and_nothing_is_served() {
    let home = TestHome::new();
    let cases = [
        ("listn = []\n", "setting `listn`", "You may have meant `listen`"),
        ("zebra = 1\n", "setting `zebra`", "--print-config"),
        ("drain = \"soon\"\n", "it has to be a whole number", "drain"),
        ("listen = [\"localhost\"]\n", "an address looks like", "listen"),
        ("\ndrain = = 1\n", "(line 2)", "no TOML file"),
        ("tls_key = \"key.pem\"\n", "belong together", "--tls-certificate"),
        ("engines = 100\n", "`engines` cannot be 100", "from 1 to 64"),
        ("max_value_mib = 2000\n", "`max_value_mib` cannot be 2000", "from 1 to 1024"),
        ("origin = [\"https://app.example/x\"]\n", "`origin` cannot be", "https://app.example"),
    ];
    for (file, said, also) in cases {
        home.file("relay.toml", file);
        let mut command = home.command(["relay", "serve", "--listen", "127.0.0.1:0", "--config"]);
        if file.starts_with("listen") {
            command = home.command(["relay", "serve", "--config"]);
        }
        command.arg(home.path().join("relay.toml"));
        let run = home.finish(command, &[]);
        assert_eq!(run.code, Some(2), "{file}: {run:?}");
        assert!(run.stderr.contains(said) && run.stderr.contains(also), "{file}: {run:?}");
        assert!(run.stdout.is_empty(), "{run:?}");
    }
}
