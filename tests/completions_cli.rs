//! Completions in real shells, and the manual.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::home::TestHome;
use crate::common::tmux::Screen;

/// A shell in this home's environment, in which the program under test is found as `caro`.
fn shell(home: &TestHome, program: &str) -> Command {
    let folder = PathBuf::from(env!("CARGO_BIN_EXE_caro")).parent().map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(folder.into_iter().chain(std::env::split_paths(&path))).expect("a search path");
    let mut shell = Command::new(program);
    shell.env_clear().current_dir(home.work_dir());
    let plain = home.command([""; 0]);
    shell.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("PATH", path).env("LC_ALL", "C.UTF-8");
    shell
}

/// What a shell prints on its standard output, line by line.
#[track_caller]
fn printed(mut shell: Command, script: &str) -> Vec<String> {
    let output = shell.arg("-c").arg(script).output().expect("the shell starts");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

/// What Bash offers for the last of these words.
#[track_caller]
fn bash_offers(home: &TestHome, words: &[&str]) -> Vec<String> {
    let last = words.len() - 1;
    let line = words.join(" ");
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "source <(caro completions bash); COMP_WORDS=({}) COMP_CWORD={last} COMP_LINE='{line}' COMP_POINT={} COMP_TYPE=9
         _clap_complete_caro caro '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        line.len(),
        words[last],
        words[last - 1],
    );
    let offers = printed(shell(home, "bash"), &script);
    offers.into_iter().map(|offer| offer.trim_end().to_owned()).collect()
}

#[test]
fn bash_completes_commands_preferences_and_ids() {
    let home = TestHome::new();
    assert_eq!(bash_offers(&home, &["caro", "hist"]), ["history"]);
    assert_eq!(bash_offers(&home, &["caro", "config", "get", "safety_l"]), ["safety_level"]);
    assert_eq!(bash_offers(&home, &["caro", "init", "fi"]), ["fish"]);
    assert_eq!(bash_offers(&home, &["caro", "config", "set", "sync.frequency", "da"]), ["daily"]);
    assert_eq!(bash_offers(&home, &["caro", "config", "set", "search.enter", "r"]), ["run"]);
    // Asking creates nothing.
    assert_eq!(bash_offers(&home, &["caro", "history", "show", "0"]), [""]);
    assert!(!home.data_dir().exists());
    let (first, second) = (home.add("ls"), home.add("pwd"));
    assert_eq!(bash_offers(&home, &["caro", "history", "show", &first[..2]]), [second.as_str(), first.as_str()]);
    assert_eq!(bash_offers(&home, &["caro", "history", "delete", &second]), [second]);
}

#[test]
fn zsh_completes_commands_and_preferences() {
    let home = TestHome::new();
    home.file(
        ".zshrc",
        "PS1='ready> '; unsetopt prompt_sp; autoload -Uz compinit; compinit -u -d $HOME/dump\nsource <(caro completions zsh)\n",
    );
    let folder = home.path().to_str().expect("a plain path");
    let screen = Screen::start(&home, (120, 50), &["zsh", "-i"], &[("ZDOTDIR", folder)]);
    screen.shows("ready>");
    screen.types("caro hist").press("Tab").shows("ready> caro history");
    screen.press("C-u").types("caro config get safety_l").press("Tab").shows("ready> caro config get safety_level");
}

#[test]
fn fish_completes_with_descriptions() {
    let home = TestHome::new();
    let id = home.add("make test");
    let offers = |line: &str| {
        printed(shell(&home, "fish"), &format!("caro completions fish | source; complete --do-complete '{line}'"))
    };
    assert!(offers("caro hist")[0].starts_with("history\t"));
    assert!(offers("caro config set safety_l")[0].starts_with("safety_level\t"));
    assert_eq!(offers("caro history show 0"), [format!("{id}\tmake test")]);
}

#[test]
fn elvish_completes_commands_preferences_and_ids() {
    let home = TestHome::new();
    let id = home.add("make test");
    let config = home.path().join("xdg");
    std::fs::create_dir_all(config.join("elvish")).expect("a folder");
    let rc = "set edit:prompt = { print 'ready> ' }\nset edit:rprompt = { }\neval (caro completions elvish | slurp)\n";
    std::fs::write(config.join("elvish/rc.elv"), rc).expect("a file");
    let folder = config.to_str().expect("a plain path");
    let vars = ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"].map(|name| (name, folder));
    let screen = Screen::start(&home, (120, 50), &["elvish"], &vars);
    screen.shows("ready>");
    for (typed, completed) in [
        ("caro hist", "caro history"),
        ("caro config get safety_l", "caro config get safety_level"),
        ("caro history list --rev", "caro history list --reverse"),
        ("caro history show 0", &format!("caro history show {id}")),
    ] {
        screen.types(typed).press("Tab").shows(&format!("ready> {completed}\n"));
        screen.press("C-u").until("an empty line", |text| text.trim_end().ends_with("ready>"));
    }
    screen.enter("set paths = [/nonexistent]").types("caro hist").press("Tab").types("x");
    let shown = screen.shows("ready> caro histx\n");
    assert!(!shown.contains("not found") && !shown.contains("xception"), "{shown}");
}

#[test]
fn where_the_program_is_gone_completing_says_nothing() {
    let home = TestHome::new();
    let bash = "source <(caro completions bash); PATH=/nonexistent; COMP_WORDS=(caro hist) COMP_CWORD=1 COMP_TYPE=9
        _clap_complete_caro caro hist caro; echo \"[${COMPREPLY[*]-}]\"";
    assert_eq!(printed(shell(&home, "bash"), bash), ["[]"]);
    let fish = "caro completions fish | source; set PATH /nonexistent; complete --do-complete 'caro hist'; echo done";
    assert_eq!(printed(shell(&home, "fish"), fish), ["done"]);
    let rc = "PS1='ready> '; unsetopt prompt_sp; autoload -Uz compinit; compinit -u -d $HOME/dump
        source <(caro completions zsh); PATH=/usr/bin:/bin\n";
    home.file(".zshrc", rc);
    let folder = home.path().to_str().expect("a plain path");
    let screen = Screen::start(&home, (120, 50), &["zsh", "-i"], &[("ZDOTDIR", folder)]);
    screen.shows("ready>");
    screen.types("caro hist").press("Tab").types("x").shows("ready> caro histx\n");
    assert!(!screen.text().contains("not found"), "{}", screen.text());
}

#[test]
fn every_shell_has_its_script() {
    let home = TestHome::new();
    for (shell, part) in
        [("nu", "export extern \"caro history import zsh\""), ("powershell", "Register-ArgumentCompleter")]
    {
        assert!(home.run(["completions", shell]).success().stdout.contains(part), "{shell}");
    }
    assert_eq!(home.run(["completions", "tcsh"]).code, Some(2));
    let mut asked = home.command(["--", "caro", "hist"]);
    asked.env("CARO_COMPLETE", "tcsh");
    let run = home.finish(asked, &[]);
    assert!(run.stdout.is_empty() && run.stderr.contains("tcsh"), "{run:?}");
}

#[test]
fn the_lines_of_a_help_text_are_full() {
    let home = TestHome::new();
    for command in [["history", "stats"], ["history", "add"], ["sync", "filter"]] {
        let help = home.run(command.iter().chain(&["--help"])).success().stdout;
        let prose: Vec<&str> = help.lines().skip_while(|line| !line.contains("Print help")).skip(1).collect();
        for lines in prose.windows(2).filter(|lines| !lines.iter().any(|line| line.is_empty() || line.starts_with(' ')))
        {
            let next = lines[1].split(' ').next().unwrap();
            assert!(lines[0].chars().count() + 1 + next.chars().count() > 100, "{command:?}: {lines:?}\n{help}");
        }
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let home = TestHome::new();
    let folder = home.path().join("man/man1");
    let run = home.run(["man", folder.to_str().expect("a plain path")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let mut pages: Vec<String> = std::fs::read_dir(&folder)
        .expect("the pages")
        .map(|entry| entry.expect("a page").file_name().into_string().expect("a plain name"))
        .collect();
    pages.sort();
    assert_eq!(run.stderr, format!("Wrote {} pages to $HOME/man/man1\n", pages.len()));
    for name in ["caro.1", "caro-history.1", "caro-history-import-zsh.1", "caro-sync-devices-rename.1", "caro-man.1"] {
        assert!(pages.iter().any(|page| page == name), "{name}: {pages:?}");
        let page = std::fs::read_to_string(folder.join(name)).expect("a page");
        assert!(page.contains(".TH ") && page.contains(".SH SYNOPSIS"), "{page}");
    }
    for name in &pages {
        let page = std::fs::read_to_string(folder.join(name)).expect("a page");
        assert!(!page.contains("EXTRA") && !page.contains("Example:") && !page.contains("Examples:"), "{page}");
    }
    let stats = std::fs::read_to_string(folder.join("caro-history-stats.1")).expect("a page");
    assert!(
        stats.contains("\n.SH NOTES\nPERIOD is") && stats.contains("\n.SH EXAMPLES\n  caro history stats\n"),
        "{stats}"
    );
    home.file("blocked", "");
    let blocked = home.path().join("blocked");
    let run = home.run(["man", blocked.to_str().expect("a plain path")]).failure(1);
    assert!(run.stderr.contains("Name a directory that is yours"), "{run:?}");
    #[cfg(target_os = "linux")]
    {
        // Writing to it fails as on a full disk.
        let full = home.path().join("full");
        std::fs::create_dir(&full).expect("a folder");
        std::os::unix::fs::symlink("/dev/full", full.join("caro-man.1")).expect("a link");
        let run = home.run(["man", full.to_str().expect("a plain path")]).failure(1);
        assert!(run.stderr.contains("Make room on the disk"), "{run:?}");
    }
}
