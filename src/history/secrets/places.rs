//! Places where a secret is expected, whatever it looks like.

use super::Pattern;

/// Where a value may stand: an optional quote, then the value, for `is_secret`.
macro_rules! value {
    () => {
        r#"(?P<quote>["']?)(?P<value>[^\s"']+)"#
    };
}

/// The same for what has to look drawn by lot.
macro_rules! random {
    () => {
        r#"(?P<quote>["']?)(?P<random>[^\s"'&]+)"#
    };
}

/// Where a program's name stands, and not a file or a container that is called like one.
macro_rules! program {
    () => {
        r#"(?:^|[|;&(\n`"']\s*|\w=\S*\s+|\b(?:sudo|doas|exec|time|env|nohup|watch|xargs|ssh|then|do)\s(?:[^|;&\n]*\s)?)(?:[\w.~/-]*/)?"#
    };
}

/// The end of a name that something secret is called by.
macro_rules! secret_name {
    () => {
        "(?:token|secret|passwd|password|passphrase|credentials|(?:api|access|secret|master|account|auth|subscription)[_-]?key)"
    };
}

/// What names like these have in them.
const NAMED: &[&str] = &[
    "token",
    "secret",
    "passw",
    "passphrase",
    "credentials",
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "access-key",
    "accesskey",
    "master_key",
    "master-key",
    "masterkey",
    "account_key",
    "account-key",
    "accountkey",
    "auth_key",
    "auth-key",
    "authkey",
    "subscription-key",
    "subscription_key",
    "subscriptionkey",
    "securestring",
];

/// The patterns, the surest first.
pub(super) const PLACES: &[Pattern] = &[
    Pattern {
        name: "credentials in a header",
        hints: &["authorization", "api-key", "apikey", "-token", "subscription-key"],
        regex: concat!(
            r#"(?i)(?:\bauthorization["']?\s*[:=]\s*["']?(?:bearer|basic|token|apikey|bot|ssws|key|geniekey|splunk|digest|negotiate)(?:\s+|=)|"#,
            r#"\b(?:(?:x-[a-z-]*|dd-)?api-?key|x-auth-token|private-token|job-token|x-vault-token|x-[a-z-]*-token|circle-token|[a-z-]*subscription-key)["']?\s*:\s*)"#,
            value!()
        ),
        examples: &[
            "curl -H 'Authorization: Bearer 0123abcd' https://api",
            "http GET api Authorization:'Basic dXNlcjpwYXNz'",
            "curl -H \"PRIVATE-TOKEN: abcdef\" https://gitlab.example",
            "curl -H 'X-Shopify-Access-Token: abcdef' https://shop.example",
        ],
    },
    Pattern {
        name: "what looks drawn by lot in a header",
        hints: &["authorization", "cookie", " -b"],
        regex: concat!(
            r#"(?i)(?:\bauthorization["']?\s*:\s*|(?:\bcookie:\s*|\s(?:-b|--cookie)[\s=]+)["']?(?:[^"'\n]*[;\s])?[a-z0-9_.-]+=)"#,
            random!()
        ),
        examples: &[
            "curl -H 'Authorization: 9a8b7c6d5e4f3a2b1c0d9e8f' https://api",
            "curl -b 'lang=en; sessionid=9a8b7c6d5e4f3a2b1c0d9e8f' https://app",
            "curl -H 'Cookie: sid=9a8b7c6d5e4f3a2b1c0d9e8f' https://app",
        ],
    },
    Pattern {
        name: "a bearer token",
        hints: &["bearer"],
        regex: r"(?i)\bbearer\s+(?P<secret>[a-z_.~+/=-]{0,60}[0-9][a-z0-9._~+/=-]{7,})",
        examples: &["grpcurl -x 'bearer abc1def2ghi3' host", "wscat -H Bearer 0123456789abcdef"],
    },
    Pattern {
        name: "a password in an address",
        hints: &["://…@"],
        regex: r#"(?i)\b[a-z][a-z0-9+.-]*://[^\s/:@"']*:(?P<value>[^\s/@"'$<{*][^\s/@"']*)@"#,
        examples: &[
            "psql postgres://u:p@h/db",
            "git clone https://me:hunter2@example.org/x.git",
            "redis-cli -u redis://:hunter2@cache:6379",
            "DATABASE_URL=\"mysql://root:toor@localhost/app\" make",
        ],
    },
    Pattern {
        name: "a token in an address",
        hints: &["://…@"],
        regex: r#"(?i)\b[a-z][a-z0-9+.-]*://(?P<random>[a-z0-9_-]{20,})(?::[^\s/@"']*)?@"#,
        examples: &["git clone https://a1B2c3D4e5F6g7H8i9J0k1L2@example.org/x.git"],
    },
    Pattern {
        name: "a key in an address",
        hints: &["://…="],
        regex: r#"(?i)://[^\s"']*[?&][a-z_-]*(?:key|sig|signature|auth|code)=(?P<random>[^\s"'&$]{20,})"#,
        examples: &["curl 'https://api.example/v1?q=x&key=a1B2c3D4e5F6g7H8i9J0k1L2'"],
    },
    Pattern {
        name: "a database password",
        hints: &["mysql", "mariadb", "sqlplus"],
        regex: concat!(
            program!(),
            r#"(?:(?:mysql\w*|mariadb[\w-]*)\s(?:[^|;&\n]*\s)?-p(?P<secret>[^\s$"'|;&<>-][^\s"'|;&<>]*|"[^$"][^"]*|'[^'][^']*)|sqlplus\s+(?:-\w+\s+)*["']?\w+/(?P<value>[^\s@"'/]+))"#
        ),
        examples: &[
            "mysql -uroot -phunter2 app",
            "mysqldump -u root -p'hunter 2' app > x",
            "mariadb -pX",
            "mysql -h db -proot",
            "sqlplus scott/tiger@db",
        ],
    },
    Pattern {
        name: "a password in SQL",
        hints: &["identified", "password '", "password('", "password = ", "pragma"],
        regex: r#"(?i)\b(?:identified\s+(?:with\s+\S+\s+)?by\s+["']|password\s*\(?'|pragma\s+(?:re)?key\s*=\s*["'])(?P<value>[^"'\\]+)["']"#,
        examples: &[
            "psql -c \"ALTER USER me WITH PASSWORD 'hunter2'\"",
            "mysql -e \"CREATE USER me IDENTIFIED BY 'hunter2'\"",
            "mysql -e \"SET PASSWORD FOR me = PASSWORD('hunter2')\"",
            "sqlite3 a.db \"PRAGMA key='hunter2'\"",
        ],
    },
    Pattern {
        name: "a password",
        hints: &[
            "sshpass",
            "login",
            "redis-cli",
            "mongo",
            "ldap",
            "zip",
            "7z",
            "sqlcmd",
            "htpasswd",
            "smbclient",
            "rar",
            "cqlsh",
            "ipmitool",
            "snmp",
            "mosquitto_",
            "lftp",
            "xfreerdp",
            "rdesktop",
            "wpa_passphrase",
            "nmcli",
            "net use",
            "pdftk",
            "rclone",
            "openssl passwd",
            "mkpasswd",
            "vault",
            "bw ",
            "evil-winrm",
            "crackmapexec",
            "netexec",
            "nxc ",
            "security",
            "cmdkey",
            "bcp ",
            "curlftpfs",
            "hydra",
            "kinit",
            "unrar",
        ],
        regex: concat!(
            program!(),
            r"(?:sshpass\s+(?:-[vh]\s+)*-p\s*|",
            r"(?:docker|podman|nerdctl|buildah|skopeo|helm|oras|crane|oc|az|cf|argocd|odo)\s+(?:registry\s+|acr\s+)?login\s(?:[^|;&\n]*\s)?-p\s*|",
            r"redis-cli\s(?:[^|;&\n]*\s)?-a\s+|",
            r"(?:mongo|mongosh|mongodump|mongorestore|mongoexport|mongoimport|cqlsh|evil-winrm|crackmapexec|netexec|nxc|rdesktop|hydra)\s(?:[^|;&\n]*\s)?-p\s+|",
            r"ldap(?:search|add|modify|delete|whoami|passwd)\s(?:[^|;&\n]*\s)?-w\s+|ldappasswd\s(?:[^|;&\n]*\s)?-[sa]\s+|",
            r"(?:unzip|zip|zipcloak|ipmitool|mosquitto_(?:pub|sub)|sqlcmd|bcp)\s(?:[^|;&\n]*\s)?-P\s+|",
            r"snmp\w+\s(?:[^|;&\n]*\s)?-[AX]\s+|",
            r"(?:7z[ar]?|unrar|rar)\s(?:[^|;&\n]*\s)?-h?p|",
            r"htpasswd\s+(?:-\w+\s+)*-\w*b\w*\s+(?:-\w+\s+)*\S+\s+\S+\s+|htpasswd\s+-\w*n\w*b\w*\s+(?:-\w+\s+)*\S+\s+|htpasswd\s+-\w*b\w*n\w*\s+(?:-\w+\s+)*\S+\s+|",
            r"smbclient\s(?:[^|;&\n]*\s)?-U\s*[^\s%]+%|",
            r"lftp\s(?:[^|;&\n]*\s)?-u\s+[^\s,]+,|",
            r"(?:xfreerdp|wlfreerdp|cmdkey)\s(?:[^|;&\n]*\s)?/p(?:ass)?:|",
            r#"wpa_passphrase\s+(?:"[^"]*"|'[^']*'|\S+)\s+|"#,
            r"nmcli\s(?:[^|;&\n]*\s)?(?:password|wifi-sec\.psk|802-11-wireless-security\.psk)\s+|",
            r"net\s+use\s(?:[^|;&\n]*\s)?/user:\S+\s+|",
            r"pdftk\s(?:[^|;&\n]*\s)?(?:input_pw|user_pw|owner_pw)\s+|",
            r"rclone\s+obscure\s+|",
            r"(?:openssl\s+passwd|mkpasswd)\s+(?:-(?:m\s+\S+|salt\s+\S+|[0-9a-z-]+)\s+)*|",
            r"vault\s+(?:login|operator\s+unseal)\s+(?:-\S+\s+)*|",
            r"bw\s+(?:unlock|login\s+\S+)\s+|",
            r"security\s+add-\w+-password\s(?:[^|;&\n]*\s)?-w\s+)",
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
            "wpa_passphrase 'my net' hunter2222",
            "openssl passwd -6 hunter2",
            "vault operator unseal hunter2",
        ],
    },
    Pattern {
        name: "a password for a program",
        hints: &[
            "ssh-keygen",
            " -pw",
            "mysqladmin",
            "useradd",
            "usermod",
            "net user",
            "net use ",
            "rpcclient",
            "smbmap",
            "twine",
            "nuget",
            "ncftp",
            "creds",
            "--encrypt",
            "rabbitmqctl",
            "sendemail",
            "freerdp",
            "keychain",
            "setairportnetwork",
            "wpa_cli",
            "redis-cli",
            "cloudflared",
            "-cert ",
            "yt-dlp",
            "youtube-dl",
            "mc alias",
            "mc config",
            "encrypt_string",
            "bundle config",
            "iwconfig",
        ],
        regex: concat!(
            program!(),
            r"(?:ssh-keygen\s(?:[^|;&\n]*\s)?-[NP]\s+|",
            r"(?:pscp|plink|psftp|putty)\s(?:[^|;&\n]*\s)?-pw\s+|",
            r"mysqladmin\s(?:[^|;&\n]*\s)?password\s+|",
            r"user(?:add|mod)\s(?:[^|;&\n]*\s)?-p\s+|",
            r"net\s+user\s+\S+\s+|net\s+use\s+\S+\s+\\\\\S+\s+|",
            r"(?:rpcclient|smbmap)\s(?:[^|;&\n]*\s)?-U\s*[^\s%]+%|",
            r"(?:twine\s+upload|dotnet\s+nuget|ncftp\w*)\s(?:[^|;&\n]*\s)?-p\s+|",
            r#"(?:skopeo|podman|buildah|oras)\s(?:[^|;&\n]*\s)?--(?:(?:src|dest|from|to)-)?creds[=\s]+["']?[^\s:"']+:|"#,
            r"qpdf\s(?:[^|;&\n]*\s)?--encrypt\s+|",
            r"rabbitmqctl\s+(?:-\S+\s+(?:\S+@\S+\s+)?)*(?:add_user|change_password|authenticate_user)\s+\S+\s+|",
            r"sendemail\s(?:[^|;&\n]*\s)?-xp\s+|",
            r#"[xw]l?freerdp3?\s(?:[^|;&\n]*\s)?["']?/p(?:ass)?:|"#,
            r"security\s+(?:unlock|create)-keychain\s(?:[^|;&\n]*\s)?-p\s+|",
            r#"networksetup\s+-setairportnetwork\s+\S+\s+(?:"[^"]*"|'[^']*'|\S+)\s+|"#,
            r#"wpa_cli\s(?:[^|;&\n]*\s)?(?:psk|password)\s+["']?|"#,
            r"redis-cli\s(?:[^|;&\n]*\s)?(?i:auth|requirepass|masterauth)\s+|",
            r"cloudflared\s+service\s+install\s+|",
            r#"curl\s(?:[^|;&\n]*\s)?--(?:proxy-)?cert[=\s]+["']?[^\s:"']+\.\w+:|"#,
            r"(?:yt-dlp|youtube-dl)\s(?:[^|;&\n]*\s)?-p\s+|",
            r"mc\s+(?:alias\s+set|config\s+host\s+add)\s+\S+\s+\S+\s+\S+\s+|",
            r"ansible-vault\s+encrypt_string\s+(?:--\S+\s+\S+\s+)*|",
            r"bundle\s+config\s+(?:set\s+)?(?:--\S+\s+)*\S+\s+[^\s:]+:|",
            r"iwconfig\s+\S+\s+key\s+s:)",
            value!()
        ),
        examples: &[
            "ssh-keygen -t ed25519 -N hunter2 -f id",
            "plink -ssh -pw hunter2 me@host",
            "mysqladmin -u root password hunter2",
            "useradd -m -p hunter2 me",
            "net user me hunter2 /add",
            "twine upload -u me -p hunter2 dist/*",
            "skopeo inspect --creds me:hunter2 docker://a",
            "rabbitmqctl add_user me hunter2",
            "xfreerdp3 /v:host '/p:hunter2'",
            "redis-cli CONFIG SET requirepass hunter2",
            "curl --cert client.pem:hunter2 https://api",
            "mc alias set m https://m.example me hunter2",
        ],
    },
    Pattern {
        name: "a user's password for a web server",
        hints: &["-u", "u ", "u=", "--user", "-U", "-a ", "-a=", "--auth", "--proxy-user"],
        regex: r#"\b(?:curl|wget|http|https|xh)\s(?:[^|;&\n]*\s)?(?:-\w*u|--user|-U|--proxy-user|-a|--auth)[=\s]*["']?[^\s:"'$/-][^\s:"'$/]*:(?P<value>[^\s"'$/][^\s"']*)"#,
        examples: &[
            "curl -u me:hunter2 https://api",
            "curl -sS --user 'me:hunter2' https://api",
            "curl --proxy-user me:hunter2 -x proxy https://a",
            "http -a me:hunter2 api.example",
        ],
    },
    Pattern {
        name: "a passphrase",
        hints: &["pass:", "openssl"],
        regex: r#"-(?:pass|passin|passout|password)\s+["']?pass:(?P<secret>[^\s$"'][^\s"']*)|\bopenssl\s+enc\s(?:[^|;&\n]*\s)?-k\s+(?P<quote>["']?)(?P<value>[^\s"']+)"#,
        examples: &["openssl enc -aes-256-cbc -pass pass:hunter2 -in x", "openssl rsa -passin pass:hunter2 -in k.pem"],
    },
    Pattern {
        name: "a password that is piped into a program",
        hints: &["echo", "printf", "<<<"],
        regex: concat!(
            r#"\b(?:(?:echo|printf)\s+(?:-[neE]+\s+)*(?:["']?%s(?:\\n)?["']?\s+)?(?P<quote>["']?)(?P<value>[^\s"'|]+)[^|\n]*\|\s*(?:sudo\s+)?(?:sudo\s+(?:-\w+\s+)*-\w*S|chpasswd|smbpasswd|passwd\s+(?:--stdin|\w+)|kinit\b|cryptsetup\s|ecryptfs|keepassxc-cli\s|gcloud\s+secrets\s|docker\s+secret\s|wrangler\s+secret\s|[^|\n]*(?:--(?:password|passphrase|token|api-key|secret)-stdin|--with-token|--passwd-on-stdin|password_stdin|--passphrase-fd\s+0|--pinentry-mode\s+loopback|-passin\s+stdin|-pass\s+stdin))|"#,
            r#"(?:sudo\s+(?:-\w+\s+)*-\w*S\b|\w*passwd|cryptsetup|kinit|wrangler\s+secret|[^|\n]*(?:[-_]stdin|--with-token))[^|\n<]*<<<\s*["']?(?P<secret>[^\s"'$][^\s"']*))"#
        ),
        examples: &[
            "echo hunter2 | sudo -S apt update",
            "echo 'me:hunter2' | sudo chpasswd",
            "printf '%s' hunter2 | passwd --stdin me",
            "echo hunter2 | docker login --username me --password-stdin",
            "chpasswd <<< 'me:hunter2'",
        ],
    },
    Pattern {
        name: "a password that another command prints",
        hints: &["-command…echo", "<(…echo", "<(…printf", "-command…printf"],
        regex: concat!(
            r#"(?:--pass(?:word|phrase)-command[=\s]+["']?|-(?:file|key)[=\s]+<\(\s*)(?:echo|printf)\s+(?:-\w+\s+)*"#,
            value!()
        ),
        examples: &[
            "restic --password-command 'echo hunter2' backup x",
            "rsync --password-file=<(echo hunter2) rsync://me@host/m .",
            "wg set wg0 private-key <(echo hunter2)",
        ],
    },
    Pattern {
        name: "a password that a script types",
        hints: &["assword…send", "passphrase…send"],
        regex: r#"(?i)(?:password|assword|passphrase)[^\n]{0,20}?[\s;{]send\s+(?:--\s+)?\\?["'](?P<value>[^"'\\\s]+)"#,
        examples: &["expect -c 'spawn ssh me@h; expect \"assword:\"; send \"hunter2\\r\"; interact'"],
    },
    Pattern {
        name: "a secret given by a flag",
        hints: &[
            "token",
            "secret",
            "passw",
            "passphrase",
            "credentials",
            "-key",
            "_key",
            ".key",
            "apikey",
            "accesskey",
            "secretkey",
            "masterkey",
            "accountkey",
            "authkey",
            "pass ",
            "pass=",
            "pwd",
            "oauth2-bearer",
            "psk",
        ],
        regex: concat!(
            r"(?i)(?:^|\s)--(?P<not>(?:no|ask|with|read|prompt)-\S+|(?:[a-z-]*(?:next|starting|continuation|max|page)[-_]?tokens?|secret-name|secret)(?:=|\s+)[a-z_.-]+(?:\s|$))|(?:^|\s)--?(?:[a-z0-9]+[-_.])*(?:",
            secret_name!(),
            r"|(?:store|key|src|dest|sftp-|ftp-)*pass|pwd|bindpw|oauth2-bearer|psk|secret-string)(?:=|\s+)",
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
            "keytool -list -storepass changeit",
        ],
    },
    Pattern {
        name: "a key given by a flag",
        hints: &["-key", "-auth", "-sas", "-pat"],
        regex: concat!(
            r"(?i)(?:^|\s)-(?:-?(?:(?:private|encryption|signing|license|service|project|write|admin|server|client|app)-)?key|-?auth|-?sas(?:-token)?|-?pat)(?:=|\s+)",
            random!()
        ),
        examples: &[
            "cast send --private-key 0x9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 0x0",
            "tool --key a1B2c3D4e5F6g7H8i9J0 run",
        ],
    },
    Pattern {
        name: "a secret in an assignment",
        hints: NAMED_OR_SHORT,
        regex: concat!(
            r"(?i)(?P<not>\b[a-z0-9_.-]*(?:existing_?secret|(?:next|max|page)_?token)=\S+|--secret=[a-z_.-]+(?:\s|$))|(?:\b|_)[a-z0-9_.-]*(?:",
            secret_name!(),
            r"|_pass|\bpass|sshpass|rediscli_auth|_pwd|_pat|authtoken|_creds|_apikey|(?:private|signing|encryption)_key)=",
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
        name: "a key in an assignment",
        hints: &["key=", "auth=", "salt=", "cookie=", "session=", "key_base=", "sonar.login="],
        regex: concat!(r"(?i)\b[a-z0-9_.-]*(?:key|auth|salt|cookie|session|key_base|sonar\.login)=", random!()),
        examples: &[
            "export STRIPE_KEY=a1B2c3D4e5F6g7H8i9J0 && ./run",
            "SECRET_KEY_BASE=9f86d081884c7d659a2feaa0c55ad015 rails s",
        ],
    },
    Pattern {
        name: "a value that is put among secrets",
        hints: &[
            "--from-literal",
            "secrets set",
            "kv put",
            "secret set",
            "put-parameter",
            "keyvault",
            "secret put",
            "config set",
            "config http-basic",
            "rclone config",
            "env:set",
            "variable set",
            "git config",
            "yarn config",
            "npm config",
            "npm set",
            "poetry config",
            "composer config",
        ],
        regex: concat!(
            r"\b(?:kubectl\s[^|;&\n]*\bsecret\s[^|;&\n]*--from-literal[=\s][\w.-]+=|",
            r"(?:fly|flyctl|doppler|supabase|gh)\s+secrets?\s+set\s(?:[^|;&\n]*\s)?(?:[A-Za-z_]\w*=|(?:-b|--body)[\s=]+)|",
            r"vault\s+kv\s+put\s(?:[^|;&\n]*\s)?[\w.-]+=|",
            r"aws\s+ssm\s+put-parameter\s[^|;&\n]*--value[\s=]+|",
            r"az\s+keyvault\s+secret\s+set\s[^|;&\n]*--value[\s=]+|",
            r"dotnet\s+user-secrets\s+set\s+\S+\s+|",
            r"pulumi\s+config\s+set\s+(?:--\S+\s+)*--secret\s+(?:--\S+\s+)*\S+\s+|",
            r"kaggle\s+config\s+set\s+-n\s+key\s+-v\s+|",
            r"(?:poetry|composer)\s+config\s+(?:-\S+\s+)*http-basic\.\S+\s+\S+\s+|poetry\s+config\s+pypi-token\.\S+\s+|",
            r"rclone\s+config\s+(?:create|update)\s[^|;&\n]*\s(?:pass|password|token|key|secret_access_key)\s+|",
            r"(?:netlify\s+env:set|(?:gh|glab)\s+variable\s+set|consul\s+kv\s+put)\s+(?:-\S+\s+)*\S*(?i:passw|secret|token|key)\S*\s+|",
            r"git\s+config\s+(?:--\S+\s+)*[\w.-]*(?:password|passwd|token|secret)\s+|",
            r"yarn\s+config\s+set\s+(?:-\S+\s+)*\S*npmAuth(?:Token|Ident)\s+|npm\s+(?:config\s+)?set\s+\S*_auth(?:Token)?[\s=]+)",
            value!()
        ),
        examples: &[
            "kubectl create secret generic db --from-literal=user=hunter2",
            "fly secrets set SMTP=hunter2",
            "vault kv put secret/app user=hunter2",
            "az keyvault secret set --name x --value hunter2",
            "dotnet user-secrets set Db:Password hunter2",
            "pulumi config set --secret dbPassword hunter2",
            "poetry config http-basic.private me hunter2",
            "rclone config create r webdav user me pass hunter2",
            "netlify env:set API_KEY hunter2",
        ],
    },
    Pattern {
        name: "a secret in fish's or PowerShell's way",
        hints: NAMED,
        regex: concat!(
            r"(?i)(?:\bset\s+(?:-\w+\s+)+[a-z0-9_]*",
            secret_name!(),
            r"\s+|\$(?:env:)?[a-z0-9_]*",
            secret_name!(),
            r"\s*=\s*|\bconvertto-securestring\s+(?:-string\s+)?)",
            value!()
        ),
        examples: &[
            "ConvertTo-SecureString 'hunter2' -AsPlainText -Force",
            "set -gx GITHUB_TOKEN abcdef",
            "set -x -U API_KEY abcdef",
            "$env:GITHUB_TOKEN = 'abcdef'",
        ],
    },
    Pattern {
        name: "a secret that a tool is configured with",
        hints: &["config", "setx", "authtoken", "login"],
        regex: concat!(
            r"(?i)\b(?:(?:config(?:ure)?\s+(?:set\s+)?(?:--?\S+\s+)*|setx\s+)\S*(?:",
            secret_name!(),
            r"|_authtoken|\.pat)|ngrok\s+(?:config\s+add-)?authtoken|(?:cargo|wandb|huggingface-cli|nordvpn|snyk\s+auth|railway)\s+login)\s+",
            random!()
        ),
        examples: &[
            "ngrok config add-authtoken 2a1B2c3D4e5F6g7H8i9J0k1L2",
            "wandb login 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        ],
    },
    Pattern {
        name: "a secret in JSON",
        hints: NAMED,
        regex: r#"(?i)["'](?P<not>(?:next|page)_?(?:page_?)?token)\\?["']|\\?["'][a-z0-9_-]*(?:token|secret|password|passwd|passphrase|(?:api|access|private)_?-?key|apikey)\\?["']\s*:\s*\\?(?P<quote>["'])(?P<value>[^"'\s\\]+)"#,
        examples: &[
            "curl -d '{\"user\":\"me\",\"password\":\"hunter2\"}' https://a",
            "curl -d \"{\\\"token\\\":\\\"abc\\\"}\" a",
        ],
    },
    Pattern {
        name: "a secret in YAML",
        hints: NAMED,
        regex: concat!(r"(?i)\b[a-z0-9_.-]*", secret_name!(), r"\s*:\s+", random!()),
        examples: &["echo 'api_key: a1B2c3D4e5F6g7H8i9J0' >> config.yml"],
    },
];

/// [`NAMED`], and the short forms of assignments.
const NAMED_OR_SHORT: &[&str] = &[
    "token=",
    "secret=",
    "passw",
    "passphrase=",
    "credentials=",
    "key=",
    "pass=",
    "pwd=",
    "_pat=",
    "_creds=",
    "apikey=",
    "sshpass=",
    "rediscli_auth=",
];
