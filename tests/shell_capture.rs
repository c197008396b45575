//! Shell integration in real shells at a real terminal: what is recorded, and that the shell goes on as before.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use caro::history::{Filter, Record, Waiting};

use crate::common::home::{BETWEEN_LOOKS, DEADLINE, TestHome};
use crate::common::peers::nushell;
use crate::common::tmux::Screen;

/// A shell with the integration in the file it reads when it starts.
pub struct Shell {
    kind: Kind,
    // Ends before its home, where its socket is, goes.
    pub screen: Screen,
    pub home: TestHome,
    /// How many commands were run, each followed by a line that numbers it.
    ran: std::cell::Cell<usize>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Bash,
    Zsh,
    Fish,
    /// Where it is installed; it has another syntax, and tests of its own.
    Nu,
}

pub const ALL: [Kind; 3] = [Kind::Bash, Kind::Zsh, Kind::Fish];

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Nu => "nu",
        }
    }

    /// A line that is not recorded and shows `END-` with this number, which the line itself does not hold.
    fn marker(self, number: usize) -> String {
        match self {
            Self::Nu => format!(" print $\"END-({number})\""),
            _ => format!(" echo END-''{number}"),
        }
    }

    /// Starts with `before` and `after` around the integration in its start-up file. Its prompt counts.
    pub fn start(self, before: &str, after: &str) -> Shell {
        let home = TestHome::new();
        let shell = self.name();
        let screen = match self {
            Self::Bash => {
                let rc = format!("PS1='ready> '\n{before}\neval \"$(caro init bash)\"\n{after}\n");
                let rc = home.file("bashrc", rc);
                Screen::start(&home, (120, 50), &[shell, "--noprofile", "--rcfile", path(&rc), "-i"], &[])
            }
            Self::Zsh => {
                let rc = format!("PS1='ready> '; unsetopt prompt_sp\n{before}\neval \"$(caro init zsh)\"\n{after}\n");
                home.file(".zshrc", rc);
                Screen::start(&home, (120, 50), &[shell, "-i"], &[("ZDOTDIR", path(home.path()))])
            }
            Self::Fish => {
                let folder = home.path().join("config/fish");
                fs::create_dir_all(&folder).expect("a folder");
                // Without it the first start of fish reads all manual pages, which keeps a processor busy for minutes.
                fs::create_dir_all(home.path().join(".local/share/fish/generated_completions")).expect("a folder");
                let rc = format!(
                    "set -g fish_greeting\nfunction fish_prompt; echo 'ready> '; end\n{before}\ncaro init fish | source\n{after}\n"
                );
                fs::write(folder.join("config.fish"), rc).expect("a file is written");
                let config = home.path().join("config");
                Screen::start(&home, (120, 50), &[shell, "-i"], &[("XDG_CONFIG_HOME", path(&config))])
            }
            Self::Nu => {
                let folder = home.path().join("config/nushell");
                fs::create_dir_all(&folder).expect("a folder");
                let script = home.path().join("caro.nu");
                home.file("caro.nu", home.run(["init", shell]).success().stdout);
                let completions = home.run(["completions", shell]).success().stdout;
                fs::write(folder.join("compl.nu"), completions).expect("a file is written");
                let rc = format!(
                    "$env.config.show_banner = false; $env.PROMPT_COMMAND = {{|| 'ready' }}; $env.PROMPT_INDICATOR = '> '\n\
                     $env.PROMPT_COMMAND_RIGHT = {{|| '' }}\n{before}\nsource '{}'\n{after}\n",
                    script.display()
                );
                fs::write(folder.join("config.nu"), rc).expect("a file is written");
                let program = nushell().expect("there is one");
                let config = home.path().join("config");
                Screen::start(&home, (120, 50), &[path(&program)], &[("XDG_CONFIG_HOME", path(&config))])
            }
        };
        screen.shows("ready>");
        Shell { kind: self, home, screen, ran: 0.into() }
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

impl Shell {
    /// Types a line and Enter.
    #[track_caller]
    pub fn enter(&self, line: &str) {
        // Nushell may lose what is typed before its prompt is there.
        if self.kind == Kind::Nu {
            self.screen.until("a prompt", |text| text.trim_end().ends_with([':', '>']));
            self.screen.types(line);
            self.screen.until(line, |text| text.trim_end().ends_with(line.trim_end()));
            self.screen.press("Enter");
        } else {
            self.screen.enter(line);
        }
    }

    /// Runs a line to its end and returns what the screen shows. The line after it, which is not recorded,
    /// marks the end.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        let number = self.ran.get() + 1;
        self.ran.set(number);
        self.enter(line);
        self.enter(&self.kind.marker(number));
        self.screen.shows(&format!("END-{number}\n"))
    }

    /// The records that have ended, once there are as many.
    #[track_caller]
    pub fn records(&self, count: usize) -> Vec<Record> {
        let end = Instant::now() + DEADLINE;
        loop {
            if self.home.history_path().exists() {
                let history = self.home.history();
                // On a busy machine one may have been put aside.
                history.take_in(&Waiting::new(self.home.data_dir().join("waiting"))).expect("what waits can be stored");
                let mut records = history.list(&Filter::default()).expect("the history can be read");
                records.retain(|record| record.exit.is_some());
                if records.len() == count {
                    return records;
                }
                assert!(Instant::now() < end, "{count} are expected: {records:#?}\n{}", self.screen.text());
            }
            assert!(Instant::now() < end, "nothing is recorded: {}", self.screen.text());
            thread::park_timeout(BETWEEN_LOOKS);
        }
    }
}

#[test]
fn every_shell_records_what_is_run() {
    for kind in ALL {
        let shell = kind.start("", "");
        shell.run("cd /tmp");
        shell.run("printf 'grüße %s\\n' \"it's\" | cat");
        shell.run("sh -c 'exit 7'");
        shell.run("sleep 0.2");
        let records = shell.records(4);
        let commands: Vec<&str> = records.iter().map(|record| record.command.as_str()).collect();
        assert_eq!(commands, ["cd /tmp", "printf 'grüße %s\\n' \"it's\" | cat", "sh -c 'exit 7'", "sleep 0.2"]);
        let exits: Vec<_> = records.iter().map(|record| record.exit).collect();
        assert_eq!(exits, [Some(0), Some(0), Some(7), Some(0)]);
        assert_eq!(records[1].cwd.as_deref(), Some("/tmp"));
        assert!(records.iter().all(|record| record.shell.as_deref() == Some(kind.name())));
        assert!(records.iter().all(|record| record.session.is_some() && record.session == records[0].session));
        assert!(records[3].duration_ns >= Some(200_000_000), "{:?}", records[3]);
    }
}

#[test]
fn a_command_of_several_lines_is_one_record() {
    for kind in ALL {
        let shell = kind.start("", "");
        let lines = match kind {
            Kind::Fish => ["for i in 1 2", "echo line$i", "end"],
            _ => ["for i in 1 2", "do echo line$i", "done"],
        };
        shell.screen.enter(lines[0]);
        shell.screen.enter(lines[1]);
        shell.run(lines[2]);
        let records = shell.records(1);
        assert!(records[0].command.starts_with("for i in 1 2"), "{records:?}");
        assert!(records[0].command.contains("echo line$i"), "{records:?}");
    }
}

#[test]
fn a_leading_space_hides() {
    for kind in ALL {
        let shell = kind.start(if kind == Kind::Bash { "HISTCONTROL=ignoreboth" } else { "" }, "");
        shell.run("echo first");
        shell.run(" echo hidden");
        shell.run("echo last");
        shell.run("echo last");
        let commands: Vec<_> = shell.records(3).into_iter().map(|record| record.command).collect();
        assert_eq!(commands, ["echo first", "echo last", "echo last"]);
        if kind == Kind::Bash {
            let shown = shell.run("history");
            let listed = shown.rsplit("> history\n").next().expect("a listing");
            assert!(!listed.contains("hidden"), "{shown}");
        }
    }
}

#[test]
fn a_paused_session_records_nothing_and_others_do() {
    for kind in ALL {
        let shell = kind.start("", "");
        shell.run("caro history pause");
        shell.run("echo unseen");
        shell.run(" caro history resume");
        shell.run("echo seen");
        let commands: Vec<_> = shell.records(2).into_iter().map(|record| record.command).collect();
        assert_eq!(commands, ["caro history pause", "echo seen"]);
    }
}

#[test]
fn status_and_last_argument_are_what_they_were() {
    for kind in ALL {
        let shell = kind.start("", "");
        let (status, ask) = match kind {
            Kind::Fish => ("false", "echo status:$status"),
            _ => ("sh -c 'exit 9'", "echo status:$?"),
        };
        shell.run("true");
        // Without a marker between the two.
        shell.screen.enter(status);
        shell.screen.enter(ask);
        shell.screen.shows(if kind == Kind::Fish { "status:1\n" } else { "status:9\n" });
        if kind != Kind::Fish {
            shell.screen.enter("echo one two");
            shell.screen.enter("echo under:$_");
            shell.screen.shows("under:two\n");
        }
    }
}

#[test]
fn other_hooks_go_on() {
    let bash = Kind::Bash
        .start("PROMPT_COMMAND='seen=\"$?\"'; trap 'debugged=yes' DEBUG; PS0='[PS0]'", "PROMPT_COMMAND+='; after=yes'");
    bash.screen.enter("sh -c 'exit 4'");
    bash.screen.enter("echo hooks:$seen:$debugged:$after");
    let shown = bash.screen.shows("hooks:4:yes:yes\n");
    assert!(shown.contains("[PS0]"), "{shown}");
    let zsh = Kind::Zsh.start("precmd() { seen=$?; }; preexec() { line=$1; }", "");
    zsh.screen.enter("sh -c 'exit 4'");
    zsh.screen.enter("echo hooks:$seen:$line");
    zsh.screen.shows("hooks:4:echo hooks:$seen:$line\n");
    let fish = Kind::Fish.start("function seen --on-event fish_postexec; set -g seen $status; end", "");
    fish.screen.enter("sh -c 'exit 4'");
    fish.screen.enter("echo hooks:$seen");
    fish.screen.shows("hooks:4\n");
}

#[test]
fn a_shell_that_ends_on_errors_does_not_end_by_the_hooks() {
    let bash = Kind::Bash.start("", "");
    bash.run("set -eu");
    bash.run("! true");
    bash.run("echo alive");
    assert_eq!(bash.records(3)[1].exit, Some(1));
    let zsh = Kind::Zsh.start("", "");
    zsh.run("setopt err_exit no_unset");
    zsh.run("! true");
    zsh.run("echo alive");
    assert_eq!(zsh.records(3)[1].exit, Some(1));
}

#[test]
fn unusual_options_of_zsh_disturb_neither_the_hooks_nor_the_keys() {
    for option in ["nounset", "ksharrays"] {
        let shell = Kind::Zsh.start(&format!("setopt {option}; other() {{ seen=yes; }}; precmd_functions=(other)"), "");
        shell.run("echo $seen");
        assert_eq!(shell.records(1)[0].exit, Some(0));
        shell.screen.press("Up").shows("1 of 1");
        shell.screen.press("Escape");
        let shown = shell.screen.until("the prompt", |text| text.trim_end().ends_with("ready>"));
        // A line that was typed ahead may stand before it.
        assert!(
            shown.lines().any(|line| line.ends_with("yes")) && !shown.contains("not set") && !shown.contains("__caro"),
            "{shown}"
        );
    }
    // Before anything made the array.
    let shell = Kind::Zsh.start("setopt nounset; unset precmd_functions", "");
    shell.run("sh -c 'exit 2'");
    assert_eq!(shell.records(1)[0].exit, Some(2));
    assert!(!shell.screen.text().contains("not set"));
}

#[test]
fn what_the_hook_itself_takes_is_no_part_of_the_duration() {
    for kind in [Kind::Bash, Kind::Zsh] {
        let shell = kind.start("", "");
        // Slower than the program, and than any machine.
        let slow = "printf '#!/bin/sh\\n[ $2 = start ] && sleep 1; exec %s \"$@\"' $(command -v caro) >bin/caro";
        shell.run(&format!(" mkdir bin; {slow}; chmod +x bin/caro; PATH=$PWD/bin:$PATH"));
        shell.run("true");
        let duration = shell.records(1)[0].duration_ns;
        assert!(duration.is_some_and(|duration| duration < 900_000_000), "{duration:?}");
    }
}

#[test]
fn an_interrupted_command_and_jobs_in_the_background_are_recorded() {
    for kind in ALL {
        let shell = kind.start("", "");
        shell.screen.enter("sh -c 'echo begun; exec sleep 1000'");
        shell.screen.shows("begun\n");
        shell.screen.press("C-c");
        shell.run("sleep 0 &");
        let records = shell.records(2);
        assert!(records[0].exit.is_some_and(|exit| exit != 0), "{records:?}");
        assert_eq!(records[1].command, "sleep 0 &");
    }
}

#[test]
fn a_subshell_is_another_session() {
    for kind in [Kind::Bash, Kind::Zsh] {
        let shell = kind.start("", "");
        shell.run("echo outside");
        let inner = match kind {
            Kind::Bash => format!("bash --noprofile --rcfile {}", shell.home.path().join("bashrc").display()),
            _ => "zsh -i".to_owned(),
        };
        shell.screen.enter(&inner);
        shell.run("echo inside");
        shell.run("exit");
        // The end of `exit` itself nobody can tell.
        let records = shell.records(3);
        let session = |command: &str| {
            records.iter().find(|record| record.command == command).and_then(|record| record.session.clone())
        };
        assert!(session("echo inside").is_some());
        assert_ne!(session("echo inside"), session("echo outside"));
    }
}

#[test]
fn a_very_long_command_is_recorded_whole() {
    for kind in ALL {
        let shell = kind.start("", "");
        // Beyond what is handed over as an argument.
        let long = format!("echo {} | wc -c", "y".repeat(31_000));
        shell.run(&long);
        assert_eq!(shell.records(1)[0].command, long);
    }
}

#[test]
fn where_caro_is_missing_or_fails_the_shell_goes_on() {
    for kind in ALL {
        let shell = kind.start("", "");
        shell.run("echo recorded");
        shell.records(1);
        // A data directory that cannot be made.
        shell.run(match kind {
            Kind::Fish => "set -gx CARO_DATA_DIR /proc/none",
            _ => "export CARO_DATA_DIR=/proc/none",
        });
        let shown = shell.run("echo without-''home");
        assert!(shown.contains("without-home") && !shown.contains("annot"), "{shown}");
        shell.run(if kind == Kind::Fish { "set PATH /nonexistent" } else { "PATH=/nonexistent" });
        let shown = shell.run("echo without-''program");
        assert!(shown.contains("without-program") && !shown.contains("found"), "{shown}");
    }
}

#[test]
fn a_database_that_another_process_holds_delays_no_prompt_and_loses_no_command() {
    for kind in ALL {
        let shell = kind.start("", "");
        shell.run("echo before");
        shell.records(1);
        let db = rusqlite::Connection::open(shell.home.history_path()).expect("the database opens");
        db.execute_batch("BEGIN IMMEDIATE").expect("it is locked");
        shell.run("echo during");
        shell.run("echo still");
        assert!(fs::read_dir(shell.home.data_dir().join("waiting")).is_ok());
        db.execute_batch("COMMIT").expect("it is free again");
        shell.run("echo after");
        let mut commands: Vec<_> = shell.records(4).into_iter().map(|record| record.command).collect();
        commands.sort();
        assert_eq!(commands, ["echo after", "echo before", "echo during", "echo still"]);
    }
}

#[test]
fn scripts_are_valid_in_their_shells() {
    let home = TestHome::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.run(["init", shell]).success().stdout;
        let file = home.file("script", script);
        let checked = Command::new(shell).arg("-n").arg(&file).output().expect("the shell starts");
        assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    }
    for shell in ["nu", "powershell"] {
        assert!(home.run(["init", shell]).success().stdout.contains("caro history start"));
    }
    assert_eq!(home.run(["init", "tcsh"]).code, Some(2));
}
