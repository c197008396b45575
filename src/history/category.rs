//! What kind of work a command line does, told from the programs it runs: the categories of usage, and the program under
//! which it is counted.
//!
//! Everything is in the tables of [`programs`]. A line of several commands is what the first of them is that does some work:
//! `cd src && git pull` is version control, and `find . | xargs grep x` is about text. How often that is right is measured
//! on labelled lines (`labelled`).

#[cfg(test)]
mod labelled;
mod programs;

/// The categories of usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Files and folders: looking, moving, packing.
    FileManagement,
    /// What the machine does and how it is.
    SystemMonitoring,
    /// Git and its like.
    GitVersionControl,
    /// Reading logs.
    LogAnalysis,
    /// Other machines.
    NetworkOperations,
    /// Containers, clusters, clouds, services.
    DevopsKubernetes,
    /// Searching and changing text.
    TextProcessing,
    /// Everything else.
    Other,
}

use Category::{
    DevopsKubernetes as Devops, FileManagement as Files, GitVersionControl as Git, LogAnalysis as Logs,
    NetworkOperations as Network, Other, SystemMonitoring as System, TextProcessing as Text,
};
use programs::{chosen_for, find, of_command};

impl Category {
    /// All of them.
    pub const ALL: [Self; 8] = [Files, System, Git, Logs, Network, Devops, Text, Other];

    /// The name as Caro writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Files => "file_management",
            System => "system_monitoring",
            Git => "git_version_control",
            Logs => "log_analysis",
            Network => "network_operations",
            Devops => "devops_kubernetes",
            Text => "text_processing",
            Other => "other",
        }
    }

    /// The category of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.as_str() == name)
    }

    /// The category of a command line.
    #[must_use]
    pub fn of(line: &str) -> Self {
        Look::at(line).category
    }
}

/// What a look at a command line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look<'a> {
    pub(super) category: Category,
    /// Its first program: under this, and the subcommand where it has some, it is counted.
    pub(super) program: Option<&'a str>,
    pub(super) subcommand: Option<&'a str>,
}

impl<'a> Look<'a> {
    pub(super) fn at(line: &'a str) -> Self {
        let mut look = Self { category: Other, program: None, subcommand: None };
        let mut all = commands(line);
        while let Some(command) = all.next() {
            let Command { program, rest, .. } = command;
            if look.program.is_none() {
                look.program = Some(program);
                if find(HAS_SUBCOMMANDS, |name| name, program).is_some() {
                    look.subcommand = first_word(program, rest);
                }
            }
            // One that is not known may be a function, or a word of the shell, before the one that matters.
            let Some(category) = of_command(command) else { continue };
            look.category = category;
            // What only changes the directory does so for something else.
            if !MOVES.contains(&program) {
                look.category = chosen_for(program, all).unwrap_or(category);
                break;
            }
        }
        look
    }
}

/// Programs that are counted with their subcommand, in the order of their names.
#[rustfmt::skip]
const HAS_SUBCOMMANDS: &[&str] = &[
    "apt", "apt-get", "aws", "az", "brew", "bun", "bundle", "cargo", "caro", "composer", "deno", "dnf", "docker",
    "docker-compose", "dotnet", "flatpak", "gcloud", "gh", "git", "glab", "go", "gradle", "helm", "hg", "ip", "jj",
    "kubectl", "minikube", "mvn", "nix", "nmcli", "npm", "npx", "pacman", "pip", "pip3", "pipx", "pnpm", "podman", "poetry",
    "pulumi", "rails", "rustup", "snap", "svn", "systemctl", "terraform", "tmux", "tofu", "uv", "vagrant", "yarn", "zypper",
];

/// Programs that only run another one, how many words of its own each takes before it, and which of its options take one too.
#[rustfmt::skip]
const RUNS_ANOTHER: &[(&str, usize, &[&str])] = &[
    ("builtin", 0, &[]), ("command", 0, &[]), ("doas", 0, &["-u"]), ("env", 0, &["-u", "-C"]), ("exec", 0, &["-a"]),
    ("ionice", 0, &["-c", "-n"]), ("nice", 0, &["-n"]), ("nohup", 0, &[]), ("setsid", 0, &[]), ("stdbuf", 0, &["-i", "-o", "-e"]),
    ("strace", 0, &["-e", "-o"]), ("sudo", 0, &["-u", "-g", "-h", "-p"]), ("time", 0, &["-f", "-o"]), ("timeout", 1, &["-k", "-s"]),
    ("unbuffer", 0, &[]), ("watch", 0, &["-n"]), ("xargs", 0, &["-I", "-L", "-P", "-d", "-n"]),
];

/// Programs that only change the directory.
const MOVES: &[&str] = &["cd", "popd", "pushd", "z"];

/// A program and what follows it.
#[derive(Clone, Copy)]
struct Command<'a> {
    program: &'a str,
    rest: &'a str,
    /// Whether it is given its words by `xargs`.
    by_xargs: bool,
}

/// The commands of a line, in order: what stands between `|`, `&`, `;`, parentheses and line ends outside of quotes.
fn commands(line: &str) -> impl Iterator<Item = Command<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let end = end_of_command(rest);
            let (command, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if let Some(command) = program(command) {
                return Some(command);
            }
        }
    })
}

/// Where a command ends: at the first separator outside of quotes.
fn end_of_command(text: &str) -> usize {
    let (mut quote, mut escaped) = (None, false);
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            _ if escaped => escaped = false,
            (None | Some(b'"'), b'\\') => escaped = true,
            (Some(open), byte) if open == byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'|' | b'&' | b';' | b'\n' | b'(' | b')') => return at,
            _ => {}
        }
    }
    text.len()
}

/// The program of a command, past assignments, key words of the shell, and programs that only run another one.
fn program(command: &str) -> Option<Command<'_>> {
    let (mut rest, mut skip, mut by_xargs) = (command, 0, false);
    let mut runner: Option<&[&str]> = None;
    loop {
        let (word, after) = next_word(rest)?;
        rest = after;
        if runner.is_some_and(|options| options.contains(&word)) {
            rest = next_word(rest)?.1;
            continue;
        }
        if word.starts_with('#') {
            return None;
        }
        let is_option = word.starts_with('-') && runner.is_some();
        let is_assignment =
            word.split_once('=').is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        if is_option || is_assignment || word.starts_with(['>', '<']) || KEY_WORDS.contains(&word) {
            continue;
        }
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let name = word.trim_matches(['"', '\'', '\\']).rsplit('/').next().filter(|name| !name.is_empty())?;
        match RUNS_ANOTHER.iter().find(|(runner, ..)| *runner == name) {
            Some((name, takes, options)) if next_word(rest).is_some() => {
                (skip, runner) = (*takes, Some(*options));
                by_xargs |= *name == "xargs";
            }
            // Without another one it is itself what is run.
            _ => return Some(Command { program: name, rest, by_xargs }),
        }
    }
}

const KEY_WORDS: &[&str] = &["!", "do", "elif", "else", "if", "then", "until", "while", "{", "}"];

/// The first word after a program that is no option; of git and kubectl and their like, past what their options take.
fn first_word<'a>(program: &str, rest: &'a str) -> Option<&'a str> {
    let takes: &[&str] = match program {
        "git" => &["-C", "-c"],
        "kubectl" | "helm" => &["-n", "--namespace", "--context", "--kubeconfig"],
        "docker" => &["-H", "--context"],
        "cargo" => &["-C", "-Z"],
        _ => &[],
    };
    let mut words = words(rest);
    while let Some(word) = words.next() {
        if takes.contains(&word) {
            words.next();
        } else if !word.starts_with('-') && !word.starts_with('+') {
            let is_name = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':'));
            return Some(word).filter(|_| is_name);
        }
    }
    None
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_ascii_whitespace()
}

fn next_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_ascii_start();
    let end = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_order() {
        assert!(HAS_SUBCOMMANDS.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn lines_fall_into_the_categories_of_their_programs() {
        for (line, category) in [
            ("ls -la", Files),
            ("sudo rm -rf /tmp/x", Files),
            ("cd /src", Files),
            ("cd /src && git pull", Git),
            ("git -C /src commit -m 'x; ls | grep y'", Git),
            ("PAGER=cat git log", Git),
            ("/usr/bin/git status", Git),
            ("htop", System),
            ("df -h", System),
            ("ps aux | grep nginx", System),
            ("tail -f /var/log/syslog | grep error", Logs),
            ("grep -r TODO src", Text),
            ("grep ERROR app.log", Logs),
            ("journalctl -u nginx", Logs),
            ("kubectl -n web logs pod/x", Logs),
            ("kubectl -n web get pods", Devops),
            ("docker run -it debian", Devops),
            ("docker stats", System),
            ("ssh host uptime", Network),
            ("curl -s https://example.org | jq .", Network),
            ("timeout 5 ping example.org", Network),
            ("sudo -u postgres nice -n 5 tar cf x y", Files),
            ("watch -n 1 df -h", System),
            ("find . -print0 | xargs -0 -I {} rm {}", Files),
            ("env FOO=bar terraform plan", Devops),
            ("sort x | uniq -c", Text),
            ("for f in *; do mv \"$f\" x; done", Files),
            ("(cd x; make)", Other),
            ("make test", Other),
            ("cargo build", Other),
            ("echo 'git pull'", Other),
            ("", Other),
            ("   ", Other),
            ("'", Other),
            ("| | |", Other),
            ("sudo", Other),
            ("grüße 🦀", Other),
        ] {
            assert_eq!(Category::of(line), category, "{line}");
        }
    }

    #[test]
    fn commands_are_counted_under_their_program_and_subcommand() {
        for (line, name) in [
            ("git status --short", Some("git status")),
            ("git -C /src -c a=b log", Some("git log")),
            ("git", Some("git")),
            ("sudo apt install jq", Some("apt install")),
            ("cargo +nightly test", Some("cargo test")),
            ("kubectl -n web get pods", Some("kubectl get")),
            ("ls -la /srv", Some("ls")),
            ("FOO=1 ./run.sh x", Some("run.sh")),
            ("python3 -m venv .venv", Some("python3")),
            ("cd x && make", Some("cd")),
            ("docker \"$x\"", Some("docker")),
            ("# a note", None),
            ("", None),
        ] {
            let Look { program, subcommand, .. } = Look::at(line);
            let words: Vec<&str> = program.into_iter().chain(subcommand).collect();
            assert_eq!(Some(words.join(" ")).filter(|words| !words.is_empty()).as_deref(), name, "{line}");
        }
    }

    #[test]
    fn a_category_is_found_by_the_name_it_has() {
        for category in Category::ALL {
            assert_eq!(Category::named(category.as_str()), Some(category));
        }
        assert_eq!(Category::named("cooking"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_line_has_a_category(line in ".{0,80}") {
            let _ = Look::at(&line);
        }
    }
}
