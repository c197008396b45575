//! Secrets in commands: what must not leave this device, whatever the rules say.
//!
//! Each pattern stands with commands that it must find; `tests` runs them all, and everyday commands that no pattern
//! may find. Patterns that look for a password where one is expected, such as after `--password`, find places; what
//! stands there is a secret unless it is plainly something else: a variable, a file, a switch (`is_secret`).
//!
//! A secret that is missed leaves sealed, and an innocent command that is found stays on the device that ran it. So in
//! doubt a pattern finds.

use std::sync::{LazyLock, OnceLock};

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// A kind of secret.
#[derive(Debug)]
pub struct Pattern {
    /// What it is, with its article, to follow "it holds".
    pub name: &'static str,
    regex: &'static str,
    /// Commands that hold one, made up.
    #[cfg_attr(not(test), expect(dead_code, reason = "they say what the pattern means, and tests run them"))]
    examples: &'static [&'static str],
}

impl Pattern {
    fn compiled(&self) -> Option<Regex> {
        RegexBuilder::new(self.regex).unicode(false).build().ok()
    }
}

/// Where a value may stand: an optional quote, then the value, for [`is_secret`].
macro_rules! value {
    () => {
        r#"(?P<quote>["']?)(?P<value>[^\s"']+)"#
    };
}

/// The end of a name that something secret is called by.
macro_rules! secret_name {
    () => {
        "(?:token|secret|passwd|password|passphrase|credentials|(?:api|access|secret|private|master|account|auth|signing|encryption)[_-]?key)"
    };
}

const PATTERNS: &[Pattern] = &[
    Pattern {
        name: "a private key",
        regex: r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\bAGE-SECRET-KEY-1[A-Z0-9]{20,}",
        examples: &[
            "echo '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk' > id",
            "echo \"-----BEGIN RSA PRIVATE KEY-----\" | openssl rsa",
            "cat <<E\n-----BEGIN PGP PRIVATE KEY BLOCK-----\nE",
            "age -d -i <(echo AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQ) x",
        ],
    },
    Pattern {
        name: "an Anthropic key",
        regex: r"\bsk-ant-[A-Za-z0-9_-]{8,}",
        examples: &["export KEY1=sk-ant-api03-AbCdEfGhIjKlMnOp", "curl -H 'x: sk-ant-admin01-AAAAbbbbCCCC' https://a"],
    },
    Pattern {
        name: "an OpenAI key",
        regex: r"\bsk-(?:(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{8,}|[A-Za-z0-9]{20,})",
        examples: &[
            "X=sk-proj-AbCdEfGhIjKl",
            "openai -k sk-abcdefghijklmnopqrstuvwx12345678",
            "llm keys set sk-svcacct-AAAAbbbb",
        ],
    },
    Pattern {
        name: "an AWS access key",
        regex: r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
        examples: &["aws configure set aws_access_key_id AKIAIOSFODNN7EXAMPLE", "s3cmd --x ASIAABCDEFGHIJKLMNOP"],
    },
    Pattern {
        name: "an AWS secret key",
        regex: r#"(?i)\baws_?secret_?access_?key["']?\s*[=:\s]\s*["']?[a-z0-9/+=]{40}"#,
        examples: &["aws configure set aws_secret_access_key wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYxx"],
    },
    Pattern {
        name: "a GitHub token",
        regex: r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})",
        examples: &[
            "gh auth login ghp_abcdefghijklmnopqrstuvwxyz0123456789",
            "git push github_pat_11ABCDEFG0abcdefghijkl_mnopqrst",
        ],
    },
    Pattern {
        name: "a GitLab token",
        regex: r"\bgl(?:pat|ptt|rt|dt|soat|ft|imt|agent|cbt|oas)-[A-Za-z0-9_-]{20,}",
        examples: &["glab x glpat-ABCDEFGHIJKLMNOPQRST", "gitlab-runner register glrt-abcdefghijklmnopqrst"],
    },
    Pattern {
        name: "a Slack token",
        regex: r"\bxox[abceoprs]-[A-Za-z0-9-]{10,}|\bxapp-\d-[A-Za-z0-9-]{10,}|hooks\.slack\.com/(?:services|workflows)/\w+/\w+",
        examples: &[
            "slack -t xoxb-123456789012-abcdefABCDEF",
            "curl -d x https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXX",
        ],
    },
    Pattern {
        name: "a Stripe key",
        regex: r"\b(?:[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9]{16,})",
        examples: &["stripe charge sk_live_abcdefghijklmnop", "x rk_test_abcdefghijklmnop", "x whsec_abcdefghijklmnop"],
    },
    Pattern {
        name: "an npm token",
        regex: r"\bnpm_[A-Za-z0-9]{36}\b",
        examples: &["npm whoami npm_abcdefghijklmnopqrstuvwxyz0123456789"],
    },
    Pattern {
        name: "a PyPI token",
        regex: r"\bpypi-AgE[A-Za-z0-9_-]{16,}",
        examples: &["twine upload -x pypi-AgEIcHlwaS5vcmcCJDAwMDAwMDAw dist/*"],
    },
    Pattern {
        name: "a Google key",
        regex: r"\bAIza[0-9A-Za-z_-]{30,}|\bya29\.[0-9A-Za-z_-]{20,}|\bGOCSPX-[0-9A-Za-z_-]{20,}",
        examples: &["curl https://maps?x=AIzaSyA-abcdefghijklmnopqrstuvwxyz01234", "x ya29.abcdefghijklmnopqrstuvwxyz"],
    },
    Pattern {
        name: "an access token",
        regex: r"\b(?:hf_[A-Za-z0-9]{30,}|hvs\.[A-Za-z0-9_-]{20,}|do[opr]_v1_[a-f0-9]{40,}|dckr_pat_[A-Za-z0-9_-]{20,}|lin_api_[A-Za-z0-9]{30,}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|dapi[a-f0-9]{32}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|cio[A-Za-z0-9]{32}|\d{8,10}:AA[A-Za-z0-9_-]{30,})",
        examples: &[
            "huggingface-cli login hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
            "vault login hvs.abcdefghijklmnopqrstuvwx",
            "cargo login cioabcdefghijklmnopqrstuvwxyz012345",
            "curl https://api.telegram.org/bot 123456789:AAabcdefghijklmnopqrstuvwxyz012345",
            "sendgrid SG.abcdefghijklmnopqrst.abcdefghijklmnopqrstuvwx",
        ],
    },
    Pattern {
        name: "a signed token (JWT)",
        regex: r"\beyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}\.",
        examples: &[
            "curl -H 'Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl' https://api",
            "jwt decode eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.",
        ],
    },
    Pattern {
        name: "credentials in a header",
        regex: concat!(
            r#"(?i)(?:\bauthorization["']?\s*[:=]\s*["']?(?:bearer|basic|token|apikey)\s+|"#,
            r#"\b(?:x-api-key|api-key|apikey|x-auth-token|private-token|job-token|x-vault-token)["']?\s*:\s*)"#,
            value!()
        ),
        examples: &[
            "curl -H 'Authorization: Bearer 0123abcd' https://api",
            "http GET api Authorization:'Basic dXNlcjpwYXNz'",
            "curl -H \"PRIVATE-TOKEN: abcdef\" https://gitlab.example",
        ],
    },
    Pattern {
        name: "a bearer token",
        regex: r"(?i)\bbearer\s+[a-z_.~+/=-]{0,60}[0-9][a-z0-9._~+/=-]{7,}",
        examples: &["grpcurl -x 'bearer abc1def2ghi3' host", "wscat -H Bearer 0123456789abcdef"],
    },
    Pattern {
        name: "a password in an address",
        regex: r#"(?i)\b[a-z][a-z0-9+.-]*://[^\s/:@"']*:[^\s/@"'$<{*][^\s/@"']*@"#,
        examples: &[
            "psql postgres://u:p@h/db",
            "git clone https://me:hunter2@example.org/x.git",
            "redis-cli -u redis://:hunter2@cache:6379",
            "DATABASE_URL=\"mysql://root:toor@localhost/app\" make",
        ],
    },
    Pattern {
        name: "a database password",
        regex: r#"\b(?:mysql\w*|mariadb[\w-]*)\s(?:[^|;&\n]*\s)?-p(?:[^\s$"'|;&<>-]|"[^$"]|'[^'])"#,
        examples: &[
            "mysql -uroot -phunter2 app",
            "mysqldump -u root -p'hunter 2' app > x",
            "mariadb -pX",
            "mysql -h db -proot",
        ],
    },
    Pattern {
        name: "a password",
        regex: concat!(
            r"\b(?:sshpass\s+(?:-[vh]\s+)*-p\s*|",
            r"(?:docker|podman|nerdctl|buildah|skopeo|helm|oras|crane)\s+(?:registry\s+)?login\s(?:[^|;&\n]*\s)?-p\s+|",
            r"redis-cli\s(?:[^|;&\n]*\s)?-a\s+|",
            r"(?:mongo|mongosh|mongodump|mongorestore)\s(?:[^|;&\n]*\s)?-p\s+|",
            r"ldap(?:search|add|modify|delete|whoami|passwd)\s(?:[^|;&\n]*\s)?-w\s+|",
            r"(?:unzip|zip|zipcloak)\s(?:[^|;&\n]*\s)?-P\s+|",
            r"7z[ar]?\s(?:[^|;&\n]*\s)?-p|",
            r"sqlcmd\s(?:[^|;&\n]*\s)?-P\s+|",
            r"az\s+login\s(?:[^|;&\n]*\s)?-p\s+|",
            r"htpasswd\s+-\w*b\w*\s+(?:-\w+\s+)*\S+\s+\S+\s+|",
            r"smbclient\s(?:[^|;&\n]*\s)?-U\s*[^\s%]+%)",
            value!()
        ),
        examples: &[
            "sshpass -p hunter2 ssh me@host",
            "sshpass -p 'hunter2' scp x host:",
            "docker login -u me -p hunter2 registry.example",
            "redis-cli -h cache -a hunter2 ping",
            "mongosh -u me -p hunter2",
            "ldapsearch -x -D cn=admin -w hunter2",
            "unzip -P hunter2 a.zip",
            "7z x -phunter2 a.7z",
            "htpasswd -nb -B me hunter2",
            "htpasswd -b file me hunter2",
            "smbclient //nas/share -U me%hunter2",
        ],
    },
    Pattern {
        name: "a user's password for a web server",
        regex: r#"\b(?:curl|wget|http|https|xh)\s(?:[^|;&\n]*\s)?(?:-u|--user|-U|--proxy-user|-a|--auth)[=\s]*["']?[^\s:"'$/-][^\s:"'$/]*:[^\s"'$/]"#,
        examples: &[
            "curl -u me:hunter2 https://api",
            "curl -sS --user 'me:hunter2' https://api",
            "curl --proxy-user me:hunter2 -x proxy https://a",
            "http -a me:hunter2 api.example",
        ],
    },
    Pattern {
        name: "a passphrase",
        regex: r#"-(?:pass|passin|passout|password)\s+["']?pass:[^\s$"']"#,
        examples: &["openssl enc -aes-256-cbc -pass pass:hunter2 -in x", "openssl rsa -passin pass:hunter2 -in k.pem"],
    },
    Pattern {
        name: "a password that is piped into a program",
        regex: r#"\b(?:echo|printf)\s[^|\n]*[^\s|$"'][^|\n]*\|\s*(?:sudo\s+(?:-\w+\s+)*-\w*S|(?:sudo\s+)?chpasswd|(?:sudo\s+)?passwd\s+--stdin)"#,
        examples: &[
            "echo hunter2 | sudo -S apt update",
            "echo 'me:hunter2' | sudo chpasswd",
            "printf '%s' hunter2 | passwd --stdin me",
        ],
    },
    Pattern {
        name: "a secret given by a flag",
        regex: concat!(
            r"(?i)(?:^|\s)--?(?:[a-z0-9]+[-_.])*(?:",
            secret_name!(),
            r"|pass|pwd|oauth2-bearer|psk)(?:=|\s+)",
            value!()
        ),
        examples: &[
            "gpg --batch --passphrase hunter2 -c x",
            "tool --password=hunter2",
            "tool --db-password 'hunter2'",
            "kubeadm join --token abcdef.0123456789abcdef host",
            "az ad sp --client-secret hunter2",
            "curl --oauth2-bearer abcdef https://a",
            "wget --http-password=hunter2 https://a",
            "nordvpn login --token 0123456789abcdef",
            "tool --api-key abcdef --x",
        ],
    },
    Pattern {
        name: "a secret in an assignment",
        regex: concat!(
            r"(?i)(?:\b|_)[a-z0-9_.-]*(?:",
            secret_name!(),
            r"|_pass|\bpass|_pwd|_pat|authtoken)=",
            value!()
        ),
        examples: &[
            "OPENAI_API_KEY=sk-proj-x ./run",
            "export ANTHROPIC_API_KEY='abc'",
            "export GITHUB_TOKEN=abcdef",
            "DB_PASSWORD=\"hunter 2\" make",
            "PGPASSWORD=hunter2 psql",
            "CLIENT_SECRET=abc ./x",
            "docker run -e MYSQL_ROOT_PASSWORD=toor mysql",
            "kubectl create secret generic s --from-literal=password=hunter2",
            "npm set //registry.npmjs.org/:_authToken=abcdef",
            "curl 'https://api.example/v1?access_token=abcdef'",
            "DB_PASS=x ./run",
            "set -x AWS_SECRET_ACCESS_KEY=abc",
            "az storage x --connection-string 'AccountName=a;AccountKey=Zm9v;'",
            "PASSWORD='$ecret' ./run",
        ],
    },
    Pattern {
        name: "a secret in fish's or PowerShell's way",
        regex: concat!(
            r"(?i)(?:\bset\s+(?:-\w+\s+)+[a-z0-9_]*",
            secret_name!(),
            r"\s+|\$(?:env:)?[a-z0-9_]*",
            secret_name!(),
            r"\s*=\s*)",
            value!()
        ),
        examples: &["set -gx GITHUB_TOKEN abcdef", "set -x -U API_KEY abcdef", "$env:GITHUB_TOKEN = 'abcdef'"],
    },
    Pattern {
        name: "a secret in JSON",
        regex: r#"(?i)\\?["'][a-z0-9_-]*(?:token|secret|password|passwd|passphrase|api_?key|apikey)\\?["']\s*:\s*\\?(?P<quote>["'])(?P<value>[^"'\s\\]+)"#,
        examples: &[
            "curl -d '{\"user\":\"me\",\"password\":\"hunter2\"}' https://a",
            "curl -d \"{\\\"token\\\":\\\"abc\\\"}\" a",
        ],
    },
];

/// All of them at once. Their classes and borders are those of ASCII, which takes a tenth of the time to prepare.
static SET: LazyLock<Option<RegexSet>> =
    LazyLock::new(|| RegexSetBuilder::new(PATTERNS.iter().map(|pattern| pattern.regex)).unicode(false).build().ok());

/// Gets ready to look for secrets, which takes a while: on a thread that has nothing better to do.
pub fn prepare() {
    LazyLock::force(&SET);
}

/// The kind of secret that a text holds, if one was found.
#[must_use]
pub fn find(text: &str) -> Option<&'static Pattern> {
    static EACH: [OnceLock<Option<Regex>>; PATTERNS.len()] = [const { OnceLock::new() }; PATTERNS.len()];
    let text = text.as_bytes();
    let matched = SET.as_ref()?.matches(text);
    matched.iter().find_map(|index| {
        let pattern = &PATTERNS[index];
        if !pattern.regex.contains("?P<value>") {
            return Some(pattern);
        }
        let regex = EACH[index].get_or_init(|| pattern.compiled()).as_ref()?;
        let mut places = regex.captures_iter(text);
        let found = places.any(|place| match (place.name("quote"), place.name("value")) {
            (quote, Some(value)) => {
                let value = String::from_utf8_lossy(value.as_bytes());
                is_secret(&value, quote.is_some_and(|quote| quote.as_bytes() == b"'"))
            }
            _ => true,
        });
        found.then_some(pattern)
    })
}

/// Whether what stands where a secret is expected is one. `literal`: it is in quotes that keep variables as text.
fn is_secret(value: &str, literal: bool) -> bool {
    const SWITCHES: [&str; 12] =
        ["true", "false", "yes", "no", "on", "off", "none", "null", "nil", "undefined", "stdin", "prompt"];
    // Between single quotes a sign is part of a password, unless it begins what is a placeholder anywhere.
    const PLACEHOLDERS: &[&str] = &["${", "$(", "<", "{", ".*", "[", "\\"];
    // A variable, another command's output, a placeholder, a pattern, a file, a comment, the next flag.
    const OTHERS: &[&str] = &[
        "$", "`", "<", ">", "{", "(", ")", "[", "*", "%", "/", "~", ".", "?", "\\", "&", "|", ";", "-", "@", "#", ":",
        "=",
    ];
    let other = if literal { PLACEHOLDERS } else { OTHERS };
    if literal && value == "$" {
        return false;
    }
    let short_number = value.len() < 4 && value.bytes().all(|byte| byte.is_ascii_digit());
    !(other.iter().any(|start| value.starts_with(start))
        || short_number
        || SWITCHES.contains(&value.to_lowercase().as_str())
        || value.len() > 2 && value.chars().all(|c| matches!(c, 'x' | 'X')))
}

#[cfg(test)]
mod tests;
