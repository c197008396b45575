//! What kind of work a command line does, told from the programs it runs: the categories of usage, and the program under
//! which it is counted.
//!
//! Everything is in two tables, [`PROGRAMS`] and [`SUBCOMMANDS`]. A line of several commands is what the first of them is
//! that does some work: `cd src && git pull` is version control. Nothing of the line but names from these tables decides, so
//! a category says nothing more of a command than that.

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
        for command in commands(line) {
            let Command { program, rest } = command;
            if look.program.is_none() {
                look.program = Some(program);
                if find(HAS_SUBCOMMANDS, |name| name, program).is_some() {
                    look.subcommand = first_word(program, rest);
                }
            }
            let category = of_command(command).unwrap_or(Other);
            if category != Other {
                look.category = category;
                // What only changes the directory does so for something else.
                if !MOVES.contains(&program) {
                    break;
                }
            }
        }
        look
    }
}

/// What programs are for, in the order of their names.
#[rustfmt::skip]
const PROGRAMS: &[(&str, Category)] = &[
    ("7z", Files), ("ack", Text), ("ag", Text), ("ansible", Devops), ("ansible-playbook", Devops), ("apropos", Other),
    ("arp", Network), ("atop", System), ("awk", Text), ("aws", Devops), ("az", Devops), ("base64", Text),
    ("basename", Files), ("bat", Text), ("batcat", Text), ("btop", System), ("buildah", Devops), ("bunzip2", Files),
    ("bzip2", Files), ("cat", Text), ("cd", Files), ("chgrp", Files), ("chmod", Files), ("chown", Files), ("column", Text),
    ("comm", Text), ("cp", Files), ("cpio", Files), ("csplit", Text), ("curl", Network), ("cut", Text), ("cvs", Git),
    ("dd", Files), ("df", System), ("diff", Text), ("dig", Network), ("dir", Files), ("dirname", Files), ("dmesg", Logs),
    ("docker", Devops), ("docker-compose", Devops), ("doctl", Devops), ("du", System), ("egrep", Text), ("eksctl", Devops),
    ("exa", Files), ("expand", Text), ("eza", Files), ("fd", Files), ("fdfind", Files), ("fgrep", Text), ("file", Files),
    ("find", Files), ("flux", Devops), ("fmt", Text), ("fold", Text), ("free", System), ("ftp", Network),
    ("gcloud", Devops), ("gh", Git), ("git", Git), ("glab", Git), ("glances", System), ("goaccess", Logs), ("grep", Text),
    ("gunzip", Files), ("gzip", Files), ("head", Text), ("helm", Devops), ("helmfile", Devops), ("hexdump", Text),
    ("hg", Git), ("host", Network), ("htop", System), ("http", Network), ("iconv", Text), ("ifconfig", Network),
    ("iftop", Network), ("install", Files), ("iostat", System), ("iotop", System), ("ip", Network), ("iperf", Network),
    ("iperf3", Network), ("iptables", Network), ("iwconfig", Network), ("jj", Git), ("join", Text), ("journalctl", Logs),
    ("jq", Text), ("k3d", Devops), ("k3s", Devops), ("k9s", Devops), ("kill", System), ("killall", System),
    ("kind", Devops), ("kubectl", Devops), ("kubectx", Devops), ("kubens", Devops), ("kustomize", Devops), ("last", Logs),
    ("lastb", Logs), ("lazygit", Git), ("less", Text), ("link", Files), ("ln", Files), ("lnav", Logs), ("locate", Files),
    ("logcli", Logs), ("ls", Files), ("lsattr", Files), ("lsblk", System), ("lscpu", System), ("lsd", Files),
    ("lsmod", System), ("lsof", System), ("lspci", System), ("lsusb", System), ("minikube", Devops), ("mkdir", Files),
    ("mkfifo", Files), ("mktemp", Files), ("more", Text), ("mosh", Network), ("mount", Files), ("mpstat", System),
    ("mtr", Network), ("multitail", Logs), ("mv", Files), ("nc", Network), ("ncat", Network), ("ncdu", System),
    ("netstat", Network), ("nft", Network), ("nl", Text), ("nmap", Network), ("nmcli", Network), ("nomad", Devops),
    ("nslookup", Network), ("od", Text), ("packer", Devops), ("paste", Text), ("perf", System), ("pgrep", System),
    ("ping", Network), ("pkill", System), ("podman", Devops), ("popd", Files), ("pr", Text), ("printf", Text),
    ("ps", System), ("pulumi", Devops), ("pushd", Files), ("pwd", Files), ("rclone", Network), ("readlink", Files),
    ("realpath", Files), ("rename", Files), ("rev", Text), ("rg", Text), ("rm", Files), ("rmdir", Files),
    ("route", Network), ("rsync", Network), ("sar", System), ("scp", Network), ("sed", Text), ("sftp", Network),
    ("shred", Files), ("shuf", Text), ("skaffold", Devops), ("socat", Network), ("sort", Text), ("split", Text),
    ("ss", Network), ("ssh", Network), ("ssh-copy-id", Network), ("stat", Files), ("stern", Logs), ("strings", Text),
    ("svn", Git), ("systemctl", Devops), ("tac", Text), ("tail", Text), ("tar", Files), ("tcpdump", Network), ("tee", Text),
    ("telnet", Network), ("terraform", Devops), ("terragrunt", Devops), ("tig", Git), ("tofu", Devops), ("top", System),
    ("touch", Files), ("tr", Text), ("tracepath", Network), ("traceroute", Network), ("tree", Files), ("truncate", Files),
    ("umount", Files), ("unexpand", Text), ("uniq", Text), ("unlink", Files), ("unxz", Files), ("unzip", Files),
    ("uptime", System), ("vagrant", Devops), ("vmstat", System), ("w", System), ("watch", System), ("wc", Text),
    ("wg", Network), ("wget", Network), ("who", System), ("whois", Network), ("xxd", Text), ("xz", Files), ("yq", Text),
    ("z", Files), ("zcat", Text), ("zgrep", Text), ("zip", Files), ("zless", Text), ("zstd", Files),
];

/// Subcommands that are for something else than their program, in the order of the names.
#[rustfmt::skip]
const SUBCOMMANDS: &[(&str, &str, Category)] = &[
    ("docker", "logs", Logs), ("docker", "stats", System), ("docker", "top", System), ("ip", "monitor", System),
    ("kubectl", "logs", Logs), ("kubectl", "top", System), ("podman", "logs", Logs), ("podman", "stats", System),
    ("systemctl", "status", System),
];

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

/// Programs that show text, and analyse logs where that is one.
const SHOW: &[&str] = &[
    "awk", "bat", "cat", "egrep", "grep", "head", "jq", "less", "more", "rg", "sed", "tac", "tail", "zcat", "zgrep",
    "zless",
];

/// A program and what follows it.
#[derive(Clone, Copy)]
struct Command<'a> {
    program: &'a str,
    rest: &'a str,
}

/// What a program is for; none where the tables do not know it.
fn of_command(Command { program, rest }: Command<'_>) -> Option<Category> {
    let (_, category) = *find(PROGRAMS, |(name, _)| name, program)?;
    if SHOW.contains(&program) && words(rest).any(is_log) {
        return Some(Logs);
    }
    if SUBCOMMANDS.iter().any(|(name, ..)| *name == program)
        && let Some(subcommand) = first_word(program, rest)
        && let Ok(at) = SUBCOMMANDS.binary_search_by_key(&(program, subcommand), |(name, sub, _)| (*name, *sub))
    {
        return SUBCOMMANDS.get(at).map(|(.., category)| *category);
    }
    Some(category)
}

/// The entry of a name in a table in the order of the names. Those that begin with the same byte are few, and most are told
/// apart by their length.
fn find<'a, T>(table: &'a [T], name_of: impl Fn(&T) -> &str, name: &str) -> Option<&'a T> {
    let first = name.as_bytes().first();
    let from = table.partition_point(|entry| name_of(entry).as_bytes().first() < first);
    let mut same = table.get(from..)?.iter().take_while(|entry| name_of(entry).as_bytes().first() == first);
    same.find(|entry| name_of(entry) == name)
}

/// Whether a word is the path of a log.
fn is_log(word: &str) -> bool {
    let word = word.trim_matches(['"', '\'']);
    word.contains("/log/") || word.ends_with(".log") || word.contains(".log.") || word.ends_with("/syslog")
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
    let (mut rest, mut skip, mut runner): (_, _, Option<&[&str]>) = (command, 0, None);
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
            Some((_, takes, options)) if next_word(rest).is_some() => (skip, runner) = (*takes, Some(*options)),
            // Without another one it is itself what is run.
            _ => return Some(Command { program: name, rest }),
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
        assert!(PROGRAMS.is_sorted_by(|a, b| a.0 < b.0), "{:?}", PROGRAMS.windows(2).find(|w| w[0].0 >= w[1].0));
        assert!(SUBCOMMANDS.is_sorted_by(|a, b| (a.0, a.1) < (b.0, b.1)));
        assert!(HAS_SUBCOMMANDS.is_sorted_by(|a, b| a < b));
        for (program, ..) in SUBCOMMANDS {
            assert!(PROGRAMS.iter().any(|(name, _)| name == program), "{program}");
        }
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
            ("(cd x; make)", Files),
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
