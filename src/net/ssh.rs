//! A relay on any machine that one can log in to: `ssh://[user@]host[:port][/folder]`.
//!
//! The system's `ssh` connects, with its keys, agent, configuration and jump hosts, and starts
//! `caro relay serve --stdio` there; the WebSocket then runs through its standard input and output. Nothing is asked
//! on the way: who has to type something types it into an `ssh` of his own first.

use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use deno_core::url::Url;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

/// Where a login shell that is not one's own may not look for programs, and where caro often is.
const ALSO_LOOK_IN: &str = "$HOME/.local/bin:$HOME/.cargo/bin:/usr/local/bin:/opt/homebrew/bin";
/// How long `ssh` may take to end after its other end has gone.
const LINGER: Duration = Duration::from_secs(2);
/// How long what `ssh` said last may take to be read.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How much of an error of the other machine is told, in characters.
const LONGEST_WORDS: usize = 200;
/// How much of what `ssh` says is kept.
const KEPT: usize = 4 << 10;

/// What to log in to, and what to start there.
#[derive(Clone)]
pub(super) struct Login {
    program: Vec<String>,
    destination: String,
    port: Option<u16>,
    folder: Option<String>,
}

impl Login {
    /// Reads an address; `program` is what stands for `ssh`, with arguments of its own. None where the address could be
    /// taken for something else than a name and a host.
    pub(super) fn of(url: &Url, program: Option<&str>) -> Option<Self> {
        let plain = |text: &str| {
            let allowed = |c: char| c.is_alphanumeric() || "._-:".contains(c);
            !text.is_empty() && !text.starts_with('-') && text.chars().all(allowed)
        };
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
        let user = url.username();
        let is_plain = plain(host) && (user.is_empty() || plain(user)) && url.password().is_none();
        if !is_plain || url.query().is_some() || url.fragment().is_some() {
            return None;
        }
        let folder = match url.path() {
            "" | "/" => None,
            path if path.chars().any(|c| c.is_control() || c == '%') => return None,
            path => Some(path.to_owned()),
        };
        let program: Vec<String> = program.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        Some(Self {
            program: if program.is_empty() { vec!["ssh".into()] } else { program },
            destination: if user.is_empty() { host.to_owned() } else { format!("{user}@{host}") },
            port: url.port(),
            folder,
        })
    }

    /// Logs in. The error is in plain words.
    pub(super) fn connect(&self) -> Result<(Session, Ending), String> {
        let [program, arguments @ ..] = &self.program[..] else { return Err("no `ssh` is named".into()) };
        let mut command = Command::new(program);
        // What the user says in the program's arguments counts before this.
        command.args(arguments).args(["-T", "-a", "-x", "-o", "BatchMode=yes", "-o", "ConnectTimeout=8"]);
        // The user's other sessions must not depend on this one, nor this one run what is meant for them.
        command.args(["-o", "ControlMaster=no", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes"]);
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        command.arg("--").arg(&self.destination).arg(self.remote_command());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no `{program}` on this machine"),
            _ => format!("`{program}` could not be started"),
        })?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(format!("`{program}` could not be started"));
        };
        let (alive, gone) = oneshot::channel();
        let (sender, ended) = oneshot::channel();
        tokio::spawn(async move {
            // Nobody may care how it ended.
            let _ = sender.send(accompany(child, errors, gone).await);
        });
        let port = self.port.map(|port| format!("-p {port} ")).unwrap_or_default();
        let by_hand = format!("{} {port}{}", self.program.join(" "), self.destination);
        let ending = Ending { ended, by_hand };
        Ok((Session { input, output, _alive: alive }, ending))
    }

    /// What the shell there is told; every shell understands it.
    fn remote_command(&self) -> String {
        let folder = self.folder.as_deref().map(|folder| format!(" --data-dir {}", quoted(folder))).unwrap_or_default();
        let script = format!("PATH=\"$PATH:{ALSO_LOOK_IN}\"; export PATH; exec caro relay serve --stdio{folder}");
        format!("exec sh -c {}", quoted(&script))
    }
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The two ends of a login, as one stream; `ssh` ends when it is dropped.
pub(super) struct Session {
    input: ChildStdin,
    output: ChildStdout,
    _alive: oneshot::Sender<()>,
}

impl AsyncRead for Session {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, into)
    }
}

impl AsyncWrite for Session {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(cx)
    }
}

/// How a login ended that came to nothing.
pub(super) struct Ending {
    ended: oneshot::Receiver<(Option<ExitStatus>, String)>,
    /// How the user logs in there himself.
    by_hand: String,
}

impl Ending {
    /// Why, in plain words; none where `ssh` does not say.
    pub(super) async fn reason(self) -> Option<String> {
        let (status, said) = self.ended.await.ok()?;
        let by_hand = &self.by_hand;
        let knows = |part: &str| said.contains(part);
        Some(match status?.code()? {
            255 if knows("Permission denied") || knows("Too many authentication failures") => {
                format!("ssh was not let in: `{by_hand}` has to work without a question")
            }
            255 if knows("Host key verification failed") || knows("IDENTIFICATION HAS CHANGED") => {
                format!("its host key is not known, or is another one: `{by_hand}` tells more")
            }
            255 if knows("Could not resolve") => "its name is not known".into(),
            255 if knows("Connection refused") => "nothing listens there".into(),
            255 if knows("timed out") => "it did not answer in time".into(),
            255 if knows("No route to host") || knows("unreachable") => "there is no way to it on this network".into(),
            255 => format!("ssh did not get through: `{by_hand}` tells more"),
            127 => "there is no caro on that machine, or not where its shell looks".into(),
            2 if knows("--stdio") => "the caro on that machine is too old to be a relay".into(),
            _ => {
                let error = said.lines().find_map(|line| line.strip_prefix("Error: "))?;
                // Another machine's words must not do anything to this one's terminal.
                let plain: String = error.chars().filter(|c| !c.is_control()).take(LONGEST_WORDS).collect();
                format!("the caro on that machine says: {plain}")
            }
        })
    }
}

/// Waits until `ssh` has ended, which it does soon after whoever uses it has gone; how it ended, and what it said last.
async fn accompany(
    mut child: Child,
    mut errors: ChildStderr,
    gone: oneshot::Receiver<()>,
) -> (Option<ExitStatus>, String) {
    let mut said = Vec::new();
    let listening = async {
        let mut bytes = [0; 1024];
        // It must not have to wait for a reader.
        while let Ok(read @ 1..) = errors.read(&mut bytes).await {
            said.extend_from_slice(&bytes[..read]);
            let excess = said.len().saturating_sub(KEPT);
            said.drain(..excess);
        }
    };
    let ending = async {
        tokio::select! {
            status = child.wait() => return status.ok(),
            _ = gone => {}
        }
        if let Ok(status) = tokio::time::timeout(LINGER, child.wait()).await {
            return status.ok();
        }
        // Fails only where it has ended meanwhile.
        let _ = child.kill().await;
        None
    };
    let status = {
        tokio::pin!(listening, ending);
        tokio::select! {
            status = &mut ending => {
                // A connection that is shared with later ones may keep the pipe open.
                let _ = tokio::time::timeout(LAST_WORDS, listening).await;
                status
            }
            () = &mut listening => ending.await,
        }
    };
    (status, String::from_utf8_lossy(&said).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(address: &str) -> Option<Login> {
        Login::of(&Url::parse(address).unwrap(), None)
    }

    #[test]
    fn an_address_says_whom_to_log_in_as_where_and_what_folder_to_use() {
        let full = login("ssh://me@host.example:2222/srv/it's").unwrap();
        assert_eq!((full.destination.as_str(), full.port), ("me@host.example", Some(2222)));
        let plain = login("ssh://host/").unwrap();
        assert_eq!((plain.destination.as_str(), plain.port, plain.folder), ("host", None, None));
    }

    #[test]
    fn the_shell_there_starts_a_relay_with_that_folder() {
        use std::os::unix::fs::PermissionsExt;
        let there = tempfile::tempdir().unwrap();
        let caro = there.path().join("caro");
        std::fs::write(&caro, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").unwrap();
        std::fs::set_permissions(&caro, std::fs::Permissions::from_mode(0o755)).unwrap();
        for (address, folder) in [("ssh://host", None), ("ssh://host/srv/it's;$HOME", Some("/srv/it's;$HOME"))] {
            let mut command = std::process::Command::new("/bin/sh");
            command
                .args(["-c", &login(address).unwrap().remote_command()])
                .env("PATH", format!("{}:/usr/bin:/bin", there.path().display()));
            let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
            let mut expected = vec!["relay", "serve", "--stdio"];
            expected.extend(folder.into_iter().flat_map(|folder| ["--data-dir", folder]));
            assert_eq!(said.lines().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn nothing_in_an_address_is_taken_for_an_option_or_a_command() {
        for address in [
            "ssh://-oProxyCommand=evil/",
            "ssh://-l@host",
            "ssh://me:secret@host",
            "ssh://host?command=evil",
            "ssh://host/a%0Ab",
            "ssh://a%20b@host",
        ] {
            assert!(Url::parse(address).map_or(true, |url| Login::of(&url, None).is_none()), "{address}");
        }
    }

    #[test]
    fn a_word_stays_one_whatever_is_in_it() {
        for text in ["", "plain", "it's $HOME `x` \"y\" \\ ;&|*"] {
            let shell = std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quoted(text))]).output();
            assert_eq!(String::from_utf8(shell.unwrap().stdout).unwrap(), text);
        }
    }
}
