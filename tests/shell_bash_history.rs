//! Bash's own history beside the integration: what bash is told to hide gets into no file, and what runs is recorded
//! whatever bash keeps of it.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::home::wait_until;
use crate::shell_capture::{Kind, Shell};

/// A bash that keeps its history in a file of its home.
fn bash(before: &str, after: &str) -> Shell {
    Kind::Bash.start(&format!("HISTFILE=$HOME/kept\n{before}"), after)
}

/// The lines that bash has kept, once this one is among them.
#[track_caller]
fn kept(shell: &Shell, wanted: &str) -> Vec<String> {
    let file = shell.home.path().join("kept");
    let read = || -> Vec<String> { fs::read_to_string(&file).unwrap_or_default().lines().map(Into::into).collect() };
    wait_until(wanted, || read().iter().any(|line| line == wanted));
    read()
}

/// The clock, in seconds.
fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set").as_secs_f64()
}

/// What is recorded, once there is so much.
#[track_caller]
fn commands(shell: &Shell, count: usize) -> Vec<String> {
    shell.records(count).into_iter().map(|record| record.command).collect()
}

#[test]
fn what_bash_hides_is_in_no_file_however_the_shell_ends() {
    let others = [
        "",
        "PROMPT_COMMAND=\"history -a; $PROMPT_COMMAND\"",
        "PROMPT_COMMAND+=$'\\nhistory -a'",
        "PS0='\\e[0m'",
        "shopt -u promptvars",
        "PROMPT_COMMAND=",
    ];
    for after in others {
        for end in [" cat # TOPSECRET", " echo TOPSECRET; exit"] {
            let shell = bash("HISTCONTROL=ignoreboth", after);
            shell.run("echo one");
            shell.run(" echo TOPSECRET");
            shell.run("echo two");
            shell.run("echo two");
            shell.run("echo three");
            shell.screen.enter(&format!(" echo run-''ning;{end}"));
            if end.contains("cat") {
                shell.screen.shows("\nrun-ning\n");
                // The terminal is closed.
                shell.screen.tmux(&["kill-server"]);
            }
            let mut kept = kept(&shell, "echo three");
            // Where the integration is not the first to run, what was kept stays.
            kept.dedup();
            assert_eq!(kept, ["echo one", "echo two", "echo three"], "{after}");
            let recorded = shell.home.run(["history", "list", "--cmd-only"]).success().stdout;
            assert!(!recorded.contains("TOPSECRET"), "{recorded}");
        }
    }
}

#[test]
fn commands_that_are_run_again_are_recorded_and_bash_keeps_one_of_them() {
    for settings in ["HISTCONTROL=ignoreboth", "HISTCONTROL=ignoredups", "HISTCONTROL=erasedups; HISTIGNORE="] {
        for ignored in ["", "HISTIGNORE='ls:ls *:[ ]*'"] {
            if settings.contains("erasedups") && !ignored.is_empty() {
                continue;
            }
            let shell = bash(&format!("{settings}; {ignored}"), "");
            shell.run("echo first");
            for _ in 0..3 {
                shell.screen.enter("sh -c 'exit 3'");
            }
            if !ignored.is_empty() {
                shell.run("ls -d .");
            }
            shell.run("echo last");
            assert_eq!(
                commands(&shell, 5),
                ["echo first", "sh -c 'exit 3'", "sh -c 'exit 3'", "sh -c 'exit 3'", "echo last"],
                "{settings}; {ignored}"
            );
            shell.screen.enter("exit");
            let kept: Vec<_> = kept(&shell, "exit").into_iter().filter(|line| !line.starts_with(' ')).collect();
            assert_eq!(kept, ["echo first", "sh -c 'exit 3'", "echo last", "exit"], "{settings}; {ignored}");
        }
    }
}

#[test]
fn commands_that_bash_moves_to_the_end_are_told_from_those_that_it_hides() {
    let shell = bash("HISTCONTROL=ignoreboth:erasedups", "");
    for line in ["true one", "true two", " true TOPSECRET", "true one", " true TOPSECRET", "true one"] {
        // Bash tells times in seconds: what is read in that of the prompt before it could be from then.
        shell.screen.until("a prompt", |text| text.trim_end().ends_with("ready>"));
        let before = seconds().ceil();
        // The clock that bash asks may be some milliseconds behind.
        wait_until("the next second", || seconds() > before + 0.2);
        shell.run(line);
    }
    assert_eq!(commands(&shell, 4), ["true one", "true two", "true one", "true one"]);
}

#[test]
fn a_history_that_other_hooks_read_anew_makes_no_command_of_other_lines() {
    for after in ["history -a; history -c; history -r", "history -a; history -n"] {
        let shell = bash("HISTCONTROL=ignoreboth; HISTTIMEFORMAT=%s", &format!("PROMPT_COMMAND+=$'\\n{after}'"));
        shell.run("echo one");
        let another = shell.home.path().join("kept");
        let mut lines = fs::read_to_string(&another).expect("bash has written");
        lines.push_str("#1600000000\necho another\n#1600000001\necho third\n");
        fs::write(another, lines).expect("it is written");
        shell.run(" echo hidden");
        shell.run(" echo hidden");
        shell.run("echo two");
        assert_eq!(commands(&shell, 2), ["echo one", "echo two"], "{after}");
    }
}

#[test]
fn nothing_is_recorded_while_bash_keeps_no_history() {
    let shell = bash("", "");
    shell.run("set +o history");
    shell.run("false");
    shell.run("true");
    shell.run("set -o history");
    shell.run("echo on");
    assert_eq!(commands(&shell, 2), ["set +o history", "echo on"]);
}

#[test]
fn a_command_of_several_lines_that_bash_keeps_apart_is_one_record() {
    let shell = bash("shopt -u cmdhist", "");
    shell.run("echo before");
    shell.screen.enter("for i in 1 2").enter("do echo line$i");
    shell.run("done");
    shell.screen.enter(" for i in 1 2").enter("do echo hidden$i");
    shell.run("done");
    shell.run("echo after");
    assert_eq!(commands(&shell, 3), ["echo before", "for i in 1 2\ndo echo line$i\ndone", "echo after"]);
}

#[test]
fn evaluated_again_the_integration_puts_its_hooks_back_and_never_twice() {
    for overwritten in ["PROMPT_COMMAND='history -a'", "PROMPT_COMMAND=; PS0=", ":"] {
        let shell = bash(&format!("HISTCONTROL=ignoreboth; {overwritten}"), "");
        shell.run("echo one");
        shell.run(" source $HOME/bashrc");
        shell.run("sh -c 'exit 2'");
        shell.run(" source $HOME/bashrc");
        shell.run("sh -c 'exit 2'");
        let records = shell.records(3);
        let ended: Vec<_> = records.iter().map(|record| (record.command.as_str(), record.exit)).collect();
        let exit = ("sh -c 'exit 2'", Some(2));
        assert_eq!(ended, [("echo one", Some(0)), exit, exit], "{overwritten}");
        assert!(records.iter().all(|record| record.session == records[0].session), "{records:?}");
    }
    let zsh = Kind::Zsh.start("precmd_functions=(); preexec_functions=()", "");
    zsh.run("echo one");
    zsh.run(" source $ZDOTDIR/.zshrc");
    zsh.run("sh -c 'exit 2'");
    assert_eq!(zsh.records(2)[1].exit, Some(2));
    assert_eq!(zsh.home.history().count().expect("it can be counted"), 2);
}

#[test]
fn a_trap_of_errors_is_sprung_once_by_a_command_that_fails() {
    for settings in ["", "set -E"] {
        let bash = bash(&format!("{settings}\ntrap 'printf \"[%s]\" trap' ERR"), "PROMPT_COMMAND+=$'\\nseen=$?'");
        bash.run("sh -c 'exit 4'");
        let shown = bash.run("echo seen:$seen:$?");
        assert_eq!(shown.matches("[trap]").count(), 1, "{shown}");
    }
    let zsh =
        Kind::Zsh.start("other() { seen=$?; }; precmd_functions=(other); TRAPZERR() { printf '[%s]\\n' trap; }", "");
    zsh.screen.enter("sh -c 'exit 4'").enter("echo seen:$seen:$?");
    zsh.screen.shows("seen:4:4\n");
    let shown = zsh.run("true");
    assert_eq!(shown.matches("[trap]").count(), 1, "{shown}");
}

#[test]
fn where_bash_expands_no_prompts_nothing_of_the_hooks_is_shown() {
    let shell = bash("PS0='[own]'", "");
    shell.run("echo before");
    shell.run("shopt -u promptvars");
    shell.run("echo during");
    let shown = shell.run("echo still");
    assert!(!shown.contains("__caro") && shown.contains("[own]"), "{shown}");
    assert_eq!(shown.matches("caro: what you run is not recorded while bash expands no prompts").count(), 1, "{shown}");
    shell.run(" shopt -s promptvars");
    shell.run("echo after");
    assert_eq!(commands(&shell, 3), ["echo before", "shopt -u promptvars", "echo after"]);
}

#[test]
fn a_shell_that_inherits_the_hooks_without_their_functions_is_as_without_them() {
    let shell = bash("", "PROMPT_COMMAND+=$'\\nseen=$?'; export PROMPT_COMMAND PS0");
    shell.screen.enter("bash --norc");
    shell.screen.enter("PS1='inner> '; set -u").enter("sh -c 'exit 6'").enter("echo seen:$seen");
    let shown = shell.screen.shows("seen:6\n");
    assert!(!shown.contains("not found") && !shown.contains("__caro") && !shown.contains("unbound"), "{shown}");
}

#[test]
fn the_last_job_of_fish_stays_the_users() {
    let shell = Kind::Fish.start("", "");
    shell.screen.enter("echo none:(count $last_pid).");
    shell.screen.shows("\nnone:0.\n");
    shell.run("sleep 1000 &");
    shell.run("kill $last_pid");
    shell.screen.shows("terminated");
    assert_eq!(shell.records(3)[2].exit, Some(0));
}
