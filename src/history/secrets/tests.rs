//! Each pattern finds its examples, and everyday commands pass.

use super::*;

#[test]
fn each_pattern_is_sound_and_finds_its_examples() {
    for index in 0..COUNT {
        let pattern = pattern(index).unwrap();
        assert!(!pattern.examples.is_empty() && !pattern.hints.is_empty(), "{}", pattern.name);
        assert!(pattern.compiled(true).is_some(), "{}", pattern.name);
        let alone = pattern.compiled(false).unwrap_or_else(|| panic!("the pattern of {} is not sound", pattern.name));
        for example in pattern.examples {
            let mut found = false;
            look(example, |by, _| {
                found |= std::ptr::eq(by, pattern);
                true
            });
            assert!(alone.is_match(example.as_bytes()), "the pattern of {} does not match: {example}", pattern.name);
            assert!(found, "{} is not found in: {example}", pattern.name);
        }
    }
}

#[test]
fn stars_take_the_place_of_secrets_and_of_nothing_else() {
    for (command, masked) in [
        ("ls -la", "ls -la"),
        ("DB_PASSWORD=\"hunter 2\" make", "DB_PASSWORD=\"*****\" make"),
        ("mysql -uroot -phunter2 app", "mysql -uroot -p***** app"),
        ("snmpwalk -A authpass1 -x AES -X hunter2 host", "snmpwalk -A ***** -x AES -X ***** host"),
        ("curl -u me:hunter2 https://a -u you:hunter3", "curl -u me:***** https://a -u you:*****"),
        ("PGPASSWORD='hünter2' psql postgres://u:p@h/db", "PGPASSWORD='*****' psql postgres://u:*****@h/db"),
        ("DB_PASS=ä X_TOKEN=b ./é", "DB_PASS=***** X_TOKEN=***** ./é"),
        ("echo '-----BEGIN RSA PRIVATE KEY-----\nAAAA\nBBBB' > é", "echo '*****"),
        (
            "curl -H 'Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln' https://api",
            "curl -H 'Authorization: Bearer *****' https://api",
        ),
    ] {
        assert_eq!(mask(command), masked);
    }
}

proptest::proptest! {
    /// Whatever a command holds, nothing fails on it, and what is masked holds no secret of the command.
    #[test]
    fn any_text_can_be_masked(before in ".{0,30}", word in "[a-z]{4,9}", after in "(\\PC|\n){0,30}") {
        let secret = format!("{before} ghp_{} {after} --password={word}7 {after}", "a1".repeat(18));
        let masked = mask(&secret);
        proptest::prop_assert!(find(&secret).is_some());
        proptest::prop_assert!(!masked.contains("ghp_a1a1"));
    }
}

#[test]
fn passwords_that_begin_with_a_sign_are_found() {
    for secret in [
        "PGPASSWORD='!Secret1' psql",
        "tool --password='#1pass-word'",
        "API_KEY=+Zm9vYmFyYmF6cXV4",
        "export DB_PASSWORD='/wJalrXUtnFEMI'",
    ] {
        assert!(find(secret).is_some(), "{secret}");
    }
}

/// What a filter of another program let pass, and what it found.
#[test]
fn the_fourteen_probes_are_found() {
    for probe in [
        "export OPENAI_API_KEY=sk-proj-T3BlbkFJabcdefghijklmnop",
        "export ANTHROPIC_API_KEY=sk-ant-api03-abcdefghijklmnop",
        "curl -H 'Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N' https://a",
        "mysql -u root -phunter2 production",
        "psql postgres://user:hunter2@db.example/app",
        "sshpass -p hunter2 ssh root@host",
        "echo '-----BEGIN RSA PRIVATE KEY-----' > key.pem",
        "aws configure set aws_access_key_id AKIAIOSFODNN7EXAMPLE",
        "export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00",
        "git clone https://ghp_abcdefghijklmnopqrstuvwxyz0123456789@github.com/a/b",
        "curl --header 'PRIVATE-TOKEN: glpat-ABCDEFGHIJKLMNOPQRST' https://gitlab.example",
        "slackcat --token xoxb-123456789012-123456789012-abcdefghijkl",
        "stripe login --api-key sk_live_abcdefghijklmnopqrstuvwx",
        "npm config set //registry.npmjs.org/:_authToken npm_abcdefghijklmnopqrstuvwxyz0123456789",
    ] {
        assert!(find(probe).is_some(), "{probe}");
    }
}

#[test]
fn everyday_commands_pass() {
    let everyday = [
        "ls -la",
        "cd ~/work/project",
        "git status",
        "git commit -m 'add bearer authentication'",
        "git commit -m \"fix: password reset sends two mails\"",
        "git log --author=token --oneline",
        "git clone git@github.com:owner/repo.git",
        "git clone https://user@example.org/repo.git",
        "git push origin feature/api-key-rotation",
        "git config --global credential.helper store",
        "git checkout 8f14e45fceea167a5a36dedd4bea2543",
        "ssh -i ~/.ssh/id_ed25519 me@host",
        "ssh-keygen -t ed25519 -C me@host",
        "ssh -p 2222 me@host",
        "scp -P 2222 file me@host:/tmp",
        "sshpass -e ssh me@host",
        "sshpass -f ~/.pass ssh me@host",
        "sshpass -p \"$PASS\" ssh me@host",
        "mysql -u root -p app",
        "mysql -u root -p",
        "mysql -h db -P 3306 -u root -p\"$MYSQL_PASSWORD\"",
        "mysqldump --protocol=tcp --port 3306 app",
        "mysql --print-defaults",
        "psql postgres://localhost:5432/app",
        "psql postgres://user@localhost:5432/app",
        "psql \"postgres://user:$PGPASSWORD@localhost/app\"",
        "redis-cli -h cache -p 6379 ping",
        "curl https://example.org/a:b@c",
        "curl -u me https://api",
        "curl -u \"$USER:$TOKEN\" https://api",
        "curl -H \"Authorization: Bearer $TOKEN\" https://api",
        "curl -H 'Accept: application/json' https://api/v1/tokens",
        "curl -sSL -o out http://localhost:8080/@scope/pkg",
        "wget -q https://example.org/file.tar.gz",
        "docker login --password-stdin registry.example",
        "docker run -p 8080:80 -e PASSWORD nginx",
        "docker run -e TOKEN=$TOKEN image",
        "docker compose up -d",
        "kubectl get secret db -o yaml",
        "kubectl create secret generic db --from-file=password=./password.txt",
        "kubectl get pods -n kube-system",
        "export TOKEN=$(cat ~/.token)",
        "export API_KEY=\"$(pass show api)\"",
        "TOKEN=`cat token` make deploy",
        "unset GITHUB_TOKEN",
        "echo $GITHUB_TOKEN",
        "TOKENIZERS_PARALLELISM=false python train.py",
        "python generate.py --max-tokens 512 --max_tokens=512",
        "grep -rn password src/",
        "grep 'password=' config.ini",
        "rg 'api_key=\\w+' .",
        "sed -i 's/password=.*/password=/' config.ini",
        "GOOGLE_APPLICATION_CREDENTIALS=/etc/gcp.json terraform plan",
        "VAULT_TOKEN_FILE=/run/token ./app",
        "gh auth login --with-token < token.txt",
        "gh secret set NAME --body \"$VALUE\"",
        "vault kv get secret/app",
        "pass show mail/work",
        "passwd",
        "sudo passwd me",
        "sudo apt install libsecret-tools",
        "echo hello | sudo tee /etc/motd",
        "openssl rand -hex 32",
        "openssl x509 -in cert.pem -noout -text",
        "echo '-----BEGIN CERTIFICATE-----' > c.pem",
        "pip install sk-learn-contrib-utilities",
        "cargo run --features token-auth",
        "cargo test --test secrets -- --nocapture",
        "npm run token:refresh",
        "npm install @scope/password-field",
        "ls desk-organizer-photos-2024-summer-holiday",
        "unzip -p archive.zip file",
        "7z x archive.7z",
        "zip -r out.zip dir",
        "tar xzf a.tgz",
        "make -j4 test",
        "aws s3 ls s3://bucket --profile prod",
        "aws sts get-session-token",
        "terraform apply -var-file=secret.tfvars",
        "ansible-playbook site.yml --ask-vault-pass",
        "PWD=/tmp pwd",
        "OLDPWD=/x cd -",
        "if [ -z \"$PASSWORD\" ]; then echo missing; fi",
        "[[ $TOKEN == \"\" ]]",
        "read -s PASSWORD",
        "find . -name '*.token'",
        "jq '.access_token' response.json",
        "jq '{\"token\": .token}' response.json",
        "tool --password \"$PASS\" --verbose",
        "tool --password -",
        "tool --token=${TOKEN}",
        "tool --secret=false",
        "kubectl rollout restart deploy/token-service",
    ];
    assert!(everyday.len() >= 60);
    for command in everyday {
        let found = find(command).map(|pattern| pattern.name);
        assert_eq!(found, None, "{command}");
    }
}

#[test]
fn a_long_text_takes_no_time() {
    for part in ["git commit -m 'x' && mysql --password $X ", "curl https://a/b | cat <(echo) "] {
        let text = part.repeat(30_000);
        let begun = std::time::Instant::now();
        assert!(find(&text).is_none());
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
