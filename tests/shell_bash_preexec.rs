//! The integration in a real bash under the real bash-preexec: both do what they do alone.

use crate::common::peers::bash_preexec;
use crate::shell_capture::{Kind, Shell};

/// What uses bash-preexec: functions that note the commands they are told of, and the statuses that they see.
const OTHERS: &str = "begun=; ended=
before_it() { begun+=\"<$1>\"; }
after_it() { ended+=\"<$?>\"; }
preexec_functions+=(before_it); precmd_functions+=(after_it)";

/// A bash that loads both, bash-preexec first and last, with settings of its own before and a prompt command beside them.
fn every_order(settings: &str) -> [Shell; 2] {
    let peer = format!("source '{}'\n{OTHERS}", bash_preexec().display());
    let before = format!("HISTCONTROL=ignoreboth; PROMPT_COMMAND='seen+=\"<$?>\"'\n{settings}");
    [Kind::Bash.start(&format!("{before}\n{peer}"), ""), Kind::Bash.start(&before, &peer)]
}

#[test]
fn each_command_is_recorded_once_as_it_was_run() {
    for shell in every_order("") {
        shell.run("cd /tmp");
        shell.run("printf 'grüße %s\\n' \"it's\" | cat");
        shell.run("sh -c 'exit 7'");
        shell.run(" echo hidden");
        shell.run("(echo one); { echo two; }");
        shell.screen.enter("for i in 1 2").enter("do echo line$i");
        shell.run("done");
        shell.run("sleep 0.2");
        let records = shell.records(6);
        let commands: Vec<&str> = records.iter().map(|record| record.command.as_str()).collect();
        let lines = commands[4];
        assert_eq!(
            commands,
            [
                "cd /tmp",
                "printf 'grüße %s\\n' \"it's\" | cat",
                "sh -c 'exit 7'",
                "(echo one); { echo two; }",
                lines,
                "sleep 0.2"
            ]
        );
        assert!(lines.starts_with("for i in 1 2") && lines.contains("echo line$i"), "{lines}");
        let exits: Vec<_> = records.iter().map(|record| record.exit).collect();
        assert_eq!(exits, [Some(0), Some(0), Some(7), Some(0), Some(0), Some(0)]);
        assert!(records[5].duration_ns >= Some(200_000_000), "{:?}", records[5]);
    }
}

#[test]
fn what_other_hooks_do_is_no_part_of_the_duration() {
    for shell in every_order("") {
        // Slower than any machine, once.
        shell.run(" slow() { [[ -z $slowly ]] || { slowly=; sleep 1; }; }; precmd_functions+=(slow)");
        shell.run("slowly=yes");
        shell.run("echo \"slowly:$slowly.\"");
        shell.screen.shows("\nslowly:.\n");
        let records = shell.records(2);
        assert!(records.iter().all(|record| record.duration_ns.is_some_and(|ran| ran < 900_000_000)), "{records:?}");
    }
}

#[test]
fn status_last_argument_and_other_hooks_are_what_they_were() {
    // Its own setting for subshells makes every function and subshell run its trap.
    for settings in ["", "__bp_enable_subshells=true"] {
        for shell in every_order(settings) {
            let screen = &shell.screen;
            screen.enter("seen= begun= ended=");
            screen.enter("sh -c 'exit 9'").enter("echo status:$?");
            screen.shows("status:9\n");
            screen.enter("echo one two").enter("echo under:$_");
            screen.shows("under:two\n");
            screen.enter("echo \"begun:$begun\"; echo \"ended:$ended\"; echo \"seen:$seen\"");
            let shown = screen.shows("\nseen:<");
            let begun = "begun:<sh -c 'exit 9'><echo status:$?><echo one two><echo under:$_><echo \"begun:$begun\"; ";
            assert!(shown.contains(begun), "{shown}");
            assert!(shown.contains("\nended:<0><9><0><0><0>\nseen:<0><9><0><0><0>\n"), "{shown}");
            assert!(!shown.contains("__caro") && !shown.contains("rror"), "{shown}");
        }
    }
}
