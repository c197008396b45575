//! What each system is told of the service.

use super::Platform;

/// The name of the systemd unit.
pub(super) const UNIT: &str = "caro-sync.service";
/// The name of the launchd agent and of the Windows task.
pub(super) const LABEL: &str = "caro-sync";

/// What is to be run.
pub(super) struct Definition {
    /// The program's path.
    pub program: String,
    /// What it is told behind `sync daemon`.
    pub arguments: Vec<String>,
    /// Variables of the environment, by name.
    pub variables: Vec<(&'static str, String)>,
}

impl Definition {
    pub(super) fn text(&self, platform: Platform) -> String {
        match platform {
            Platform::Linux => self.systemd(),
            Platform::Macos => self.launchd(),
            Platform::Windows => self.task(),
        }
    }

    /// Without new privileges, and with no more of the kernel than it needs. Exit codes 2 and 3 (wrong configuration,
    /// sync not set up) do not mend themselves.
    fn systemd(&self) -> String {
        let variables: String = self
            .variables
            .iter()
            .map(|(name, value)| format!("Environment={}\n", quoted(&format!("{name}={value}"))))
            .collect();
        // Unlike elsewhere, a dollar sign in a command line begins a variable.
        let in_line = |word: &String| quoted(word).replace('$', "$$");
        let arguments: String = self.arguments.iter().map(|word| format!(" {}", in_line(word))).collect();
        // An engine that compiles at run time needs memory that it can write and run.
        let no_code = if cfg!(feature = "engine-v8") { "" } else { "MemoryDenyWriteExecute=yes\n" };
        format!(
            "[Unit]\n\
             Description=Caro sync: your command history on all your machines\n\
             \n\
             [Service]\n\
             Type=exec\n\
             ExecStart={} sync daemon{arguments}\n\
             {variables}\
             Restart=on-failure\n\
             RestartSec=5\n\
             RestartPreventExitStatus=2 3\n\
             UMask=0077\n\
             NoNewPrivileges=yes\n\
             LockPersonality=yes\n\
             {no_code}\
             RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n\
             RestrictNamespaces=yes\n\
             RestrictRealtime=yes\n\
             RestrictSUIDSGID=yes\n\
             SystemCallArchitectures=native\n\
             SystemCallFilter=@system-service\n\
             SystemCallErrorNumber=EPERM\n\
             \n\
             [Install]\n\
             WantedBy=default.target\n",
            in_line(&self.program),
        )
    }

    fn launchd(&self) -> String {
        let variables: String = self
            .variables
            .iter()
            .map(|(name, value)| format!("        <key>{name}</key>\n        <string>{}</string>\n", escaped(value)))
            .collect();
        let arguments: String =
            self.arguments.iter().map(|word| format!("        <string>{}</string>\n", escaped(word))).collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
             <plist version=\"1.0\">\n\
             <dict>\n\
             \x20   <key>Label</key>\n\
             \x20   <string>{LABEL}</string>\n\
             \x20   <key>ProgramArguments</key>\n\
             \x20   <array>\n\
             \x20       <string>{}</string>\n\
             \x20       <string>sync</string>\n\
             \x20       <string>daemon</string>\n\
             {arguments}\
             \x20   </array>\n\
             \x20   <key>EnvironmentVariables</key>\n\
             \x20   <dict>\n\
             {variables}\
             \x20   </dict>\n\
             \x20   <key>RunAtLoad</key>\n\
             \x20   <true/>\n\
             \x20   <key>KeepAlive</key>\n\
             \x20   <dict>\n\
             \x20       <key>SuccessfulExit</key>\n\
             \x20       <false/>\n\
             \x20   </dict>\n\
             \x20   <key>ThrottleInterval</key>\n\
             \x20   <integer>10</integer>\n\
             \x20   <key>ProcessType</key>\n\
             \x20   <string>Background</string>\n\
             \x20   <key>Umask</key>\n\
             \x20   <integer>63</integer>\n\
             </dict>\n\
             </plist>\n",
            escaped(&self.program)
        )
    }

    /// A task has no variables of its own: those of the user hold.
    fn task(&self) -> String {
        let arguments: String = self.arguments.iter().map(|word| format!(" \"{}\"", escaped(word))).collect();
        format!(
            "<?xml version=\"1.0\"?>\n\
             <Task version=\"1.2\" xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">\n\
             \x20 <RegistrationInfo>\n\
             \x20   <Description>Caro sync: your command history on all your machines</Description>\n\
             \x20 </RegistrationInfo>\n\
             \x20 <Triggers>\n\
             \x20   <LogonTrigger>\n\
             \x20     <Enabled>true</Enabled>\n\
             \x20   </LogonTrigger>\n\
             \x20 </Triggers>\n\
             \x20 <Principals>\n\
             \x20   <Principal id=\"Author\">\n\
             \x20     <LogonType>InteractiveToken</LogonType>\n\
             \x20     <RunLevel>LeastPrivilege</RunLevel>\n\
             \x20   </Principal>\n\
             \x20 </Principals>\n\
             \x20 <Settings>\n\
             \x20   <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>\n\
             \x20   <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>\n\
             \x20   <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>\n\
             \x20   <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>\n\
             \x20   <Hidden>true</Hidden>\n\
             \x20   <RestartOnFailure>\n\
             \x20     <Interval>PT1M</Interval>\n\
             \x20     <Count>10</Count>\n\
             \x20   </RestartOnFailure>\n\
             \x20 </Settings>\n\
             \x20 <Actions Context=\"Author\">\n\
             \x20   <Exec>\n\
             \x20     <Command>{}</Command>\n\
             \x20     <Arguments>sync daemon{arguments}</Arguments>\n\
             \x20   </Exec>\n\
             \x20 </Actions>\n\
             </Task>\n",
            escaped(&self.program)
        )
    }
}

/// A word as systemd reads it: in quotes, with its specifiers and escapes taken literally.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('%', "%%").replace('\\', "\\\\").replace('"', "\\\""))
}

/// Text inside XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn awkward() -> Definition {
        Definition {
            program: "/opt/it's \"100%\" <good> & $HOME/caro".into(),
            arguments: vec!["--passphrase-file".into(), "/my $ <pass>".into()],
            variables: vec![("CARO_DATA_DIR", "/da ta/100%".into())],
        }
    }

    #[test]
    fn names_with_special_characters_are_taken_literally() {
        let unit = awkward().text(Platform::Linux);
        assert!(unit.contains(r#"ExecStart="/opt/it's \"100%%\" <good> & $$HOME/caro" sync daemon "--passphrase-file" "/my $$ <pass>""#), "{unit}");
        assert!(unit.contains(r#"Environment="CARO_DATA_DIR=/da ta/100%%""#), "{unit}");
        for platform in [Platform::Macos, Platform::Windows] {
            let text = awkward().text(platform);
            assert!(text.contains("/opt/it's \"100%\" &lt;good&gt; &amp; $HOME/caro"), "{text}");
            assert!(text.contains("--passphrase-file") && text.contains("/my $ &lt;pass&gt;"), "{text}");
        }
    }

    #[test]
    fn every_element_that_is_opened_is_closed() {
        for platform in [Platform::Macos, Platform::Windows] {
            let text = awkward().text(platform);
            let mut open: Vec<&str> = Vec::new();
            for tag in text.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
                match tag.strip_prefix('/') {
                    Some(name) => assert_eq!(open.pop(), Some(name), "{text}"),
                    None if tag.starts_with(['?', '!']) || tag.ends_with('/') => {}
                    None => open.extend(tag.split(' ').next()),
                }
            }
            assert!(open.is_empty(), "{open:?} in {text}");
        }
    }
}
