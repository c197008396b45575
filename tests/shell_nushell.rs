//! The integration in the real Nushell: what is recorded, what the keys do, and that the shell goes on as before.

use crate::common::home::{TestHome, wait_until};
use crate::common::peers::nushell;
use crate::shell_capture::{Kind, Shell};

/// A shell, where there is a Nushell for this platform.
fn start(before: &str) -> Option<Shell> {
    nushell().map(|_| Kind::Nu.start(before, ""))
}

/// Waits for the prompt with this on its line.
#[track_caller]
fn prompt(shell: &Shell, line: &str) -> String {
    let wanted = format!("ready> {line}");
    shell.screen.until(&wanted, |text| text.trim_end().ends_with(wanted.trim_end()) && !text.contains('❯'))
}

/// Waits until the cursor is in this column.
#[track_caller]
fn cursor(shell: &Shell, column: usize) {
    let at = || shell.screen.tmux(&["display-message", "-p", "#{cursor_x}"]).stdout;
    wait_until("the cursor is there", || String::from_utf8_lossy(&at()).trim() == column.to_string());
}

fn commands(home: &TestHome) -> Vec<String> {
    let records = home.history().list(&caro::history::Filter::default()).expect("the history can be read");
    records.into_iter().map(|record| record.command).collect()
}

#[test]
fn what_is_run_is_recorded() {
    let Some(shell) = start("") else { return };
    shell.run("cd /tmp");
    shell.run("print $\"grüße ('日本') it's\"");
    shell.run("^sh -c 'exit 7'");
    shell.run("sleep 200ms");
    shell.run(" print hidden");
    shell.enter("if true {");
    shell.enter("print inner");
    shell.run("}");
    let records = shell.records(5);
    let commands: Vec<&str> = records.iter().map(|record| record.command.as_str()).collect();
    assert_eq!(commands[..4], ["cd /tmp", "print $\"grüße ('日本') it's\"", "^sh -c 'exit 7'", "sleep 200ms"]);
    assert!(commands[4].starts_with("if true {\n") && commands[4].contains("print inner\n"), "{commands:?}");
    let exits: Vec<_> = records.iter().map(|record| record.exit).collect();
    assert_eq!(exits, [Some(0), Some(0), Some(7), Some(0), Some(0)]);
    assert_eq!(records[1].cwd.as_deref(), Some("/tmp"));
    assert!(records.iter().all(|record| record.shell.as_deref() == Some("nu")));
    assert!(records.iter().all(|record| record.session.is_some() && record.session == records[0].session));
    assert!(records[3].duration_ns >= Some(200_000_000), "{:?}", records[3]);
}

#[test]
fn a_paused_session_an_interrupted_command_and_a_second_loading_are_as_in_other_shells() {
    let Some(shell) = start("") else { return };
    shell.run("caro history pause");
    shell.run("print unseen");
    shell.run(" caro history resume");
    shell.enter("^sh -c 'echo begun; exec sleep 1000'");
    shell.screen.shows("begun\n");
    shell.screen.press("C-c");
    prompt(&shell, "");
    shell.run(&format!(" source '{}'", shell.home.path().join("caro.nu").display()));
    shell.run("print once");
    let records = shell.records(3);
    let commands: Vec<&str> = records.iter().map(|record| record.command.as_str()).collect();
    assert_eq!(commands, ["caro history pause", "^sh -c 'echo begun; exec sleep 1000'", "print once"]);
    assert!(records[1].exit.is_some_and(|exit| exit != 0), "{records:?}");
}

#[test]
fn ctrl_r_searches_what_is_typed_and_leaves_no_trace() {
    let Some(shell) = start("") else { return };
    let Shell { screen, home, .. } = &shell;
    shell.run("print first");
    shell.run("print $\"second\"");
    shell.records(2);
    prompt(&shell, "");
    screen.types("print fir").press("C-r").shows("❯ print fir\n");
    screen.shows("1 of 1");
    screen.press("Enter");
    screen.until("it has run twice", |text| text.matches("\nfirst\n").count() == 2);
    prompt(&shell, "");
    screen.types("seco").press("C-r").shows("1 of 1");
    screen.press("Tab");
    prompt(&shell, "print $\"second\"");
    screen.press("C-u");
    prompt(&shell, "");
    shell.enter("^sh -c 'exit 5'");
    wait_until("it is recorded", || commands(home).len() == 4);
    prompt(&shell, "");
    screen.press("C-r").shows("1 of ");
    screen.press("Escape");
    prompt(&shell, "");
    shell.enter("print $'status:($env.LAST_EXIT_CODE)'");
    screen.shows("\nstatus:5\n");
    let recorded: Vec<String> = shell.records(5).into_iter().map(|record| record.command).collect();
    assert!(!recorded.iter().any(|command| command.contains("__caro")), "{recorded:?}");
}

#[test]
fn up_goes_back_in_time_and_moves_in_a_text_of_several_lines() {
    let Some(shell) = start("") else { return };
    let Shell { screen, .. } = &shell;
    shell.run("print first");
    shell.run("print second");
    shell.records(2);
    prompt(&shell, "");
    screen.press("Up").shows("1 of 2");
    screen.press("Up").shows("2 of 2");
    screen.press("Enter");
    screen.until("it has run twice", |text| text.matches("\nfirst\n").count() == 2);
    prompt(&shell, "");
    shell.enter("if true {");
    shell.enter("print 日本");
    screen.until("a third line", |text| text.trim_end().ends_with(":::"));
    screen.types("print 2").shows("print 2\n");
    screen.press("Up");
    cursor(&shell, "::: print ".len() + 2);
    screen.types("a").shows("print 日a本\n");
    screen.press("Up");
    cursor(&shell, "ready> if true ".len());
    screen.types("b").shows("ready> if true b{\n");
    assert!(!screen.text().contains('❯'));
}

#[test]
fn where_caro_is_missing_the_keys_are_the_shells_own() {
    let Some(shell) = start("source compl.nu") else { return };
    let Shell { screen, home, .. } = &shell;
    shell.run("print with-caro");
    shell.records(1);
    // A data directory that cannot be made.
    shell.run("$env.CARO_DATA_DIR = '/proc/none'");
    shell.run("print without-home");
    shell.run("let folder = $env.PATH.0; $env.PATH = ($env.PATH | skip 1)");
    shell.run("print without-program");
    prompt(&shell, "");
    screen.press("Up");
    prompt(&shell, " print $\"END-(5)\"");
    let shown = screen.text();
    assert!(!shown.contains("rror") && !shown.contains("annot"), "{shown}");
    screen.press("C-u");
    prompt(&shell, "");
    screen.press("C-r");
    screen.until("the shell's own list", |text| text.matches("print with-caro").count() == 2 && !text.contains('❯'));
    screen.press("Escape");
    prompt(&shell, "");
    shell.run(&format!("$env.CARO_DATA_DIR = '{}'; $env.PATH = [$folder ...$env.PATH]", home.data_dir().display()));
    // Once something is recorded again.
    shell.run("print again");
    prompt(&shell, "");
    screen.press("Up").shows("❯");
}

#[test]
fn commands_and_their_options_are_completed() {
    let Some(shell) = start("source compl.nu") else { return };
    let screen = &shell.screen;
    screen.types("caro history dedu").press("Tab");
    prompt(&shell, "caro history dedup");
    screen.press("C-u").types("caro history list --revers").press("Tab");
    prompt(&shell, "caro history list --reverse");
    screen.press("C-u").types("caro history search --mode pref").press("Tab");
    prompt(&shell, "caro history search --mode prefix");
    screen.press("C-u");
    shell.run("caro history add --command 'from nu'");
    assert!(commands(&shell.home).contains(&"from nu".to_owned()));
}
