//! What the history reads from outside: files of shells, records from other devices, rules, queries, and commands in which
//! secrets and kinds are looked for.

use super::encoding::{decode_unknown, encode_batch};
use super::filter::FilterRule;
use super::import::{Content, Kind};
use super::{Category, Matcher, Record, SearchMode, UnixNanos, decode_batch, secrets};
use crate::fuzz::{Target, text, texts, two_texts};

pub(crate) const FUZZED: &[Target] = &[
    Target { name: "history-files", seeds: files, run: file },
    Target { name: "history-records", seeds: batches, run: batch },
    Target { name: "history-rules", seeds: rules, run: rule },
    Target { name: "history-queries", seeds: queries, run: query },
    Target { name: "history-secrets", seeds: commands, run: command },
];

/// The first byte says whose file it is.
fn files() -> Vec<Vec<u8>> {
    let mut all = texts(&[
        "0#1700000000\nls -l\n#1700000001\nfor x in 1 2\ndo echo $x\ndone\n\n#-1\n#99999999999999999999\nx",
        "1: 1700000000:3;git push\n: 1700000001:0;echo 'a\\\nb'\nplain\n",
        "2- cmd: echo \\\\n\\n\n  when: 1700000000\n  paths:\n    - /x\n- cmd: \n  when: x\n",
        "3ls<\\n>pwd\nopen x\n",
        "4Get-Item `\n  x\nls\n",
    ]);
    all.push(b"1: 1700000000:0;caf\x83\xe3\x83\x89\xff\0\n".to_vec());
    all
}

/// Every entry is a command that can be kept, and no more is read than there is.
fn file(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let kind = Kind::ALL[usize::from(*first) % Kind::ALL.len()];
    for item in kind.entries(bytes) {
        let Ok(item) = item else { return };
        assert!(item.done <= bytes.len() as u64 && item.line >= 1, "{item:?}");
        if let Content::Entry { command, .. } = &item.content {
            assert!(!command.is_empty() && !command.contains('\0'), "{item:?}");
        }
    }
}

fn batches() -> Vec<Vec<u8>> {
    let mut record = Record::new("git commit -m 'x'", UnixNanos(1_700_000_000_000_000_000), uuid::Uuid::nil());
    let plain = record.clone();
    record.exit = Some(1);
    record.cwd = Some("/home/me".into());
    record.tags = vec!["a".into(), "b".into()];
    record.duration_ns = Some(5);
    record.imported_from = Some("bash".into());
    let alone = encode_batch(std::slice::from_ref(&plain));
    vec![alone, encode_batch(&[record, plain]), encode_batch(&[])]
}

/// Whatever is understood is written the same by everybody.
fn batch(bytes: &[u8]) {
    if let Ok(records) = decode_batch(bytes) {
        let again = encode_batch(&records);
        let read = decode_batch(&again);
        assert_eq!(read.ok().map(|records| encode_batch(&records)), Some(again), "{records:?}");
    }
    let _ = decode_unknown(bytes);
}

fn rules() -> Vec<Vec<u8>> {
    texts(&[
        "exclude command \"aws *\"",
        "include directory ~/work/**",
        "exclude command '/^git (push|pull)/'",
        "exclude command \"a\\n\\\"\\\\\"",
        "exclude tag {a,b}[!c]",
    ])
}

/// A rule is written as it was read.
fn rule(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(rule) = text.parse::<FilterRule>() {
        let shown = rule.to_string();
        assert_eq!(shown.parse::<FilterRule>().map(|again| again.to_string()), Ok(shown), "{text}");
    }
}

fn queries() -> Vec<Vec<u8>> {
    texts(&["doc run\ndocker run --rm x", "^a.*(b|c)+$\nabc", "ünï\nÜNÏcode ẞ", "İ\ni\u{307}", "Gıt\ngit GIT"])
}

/// What is shown as found lies in the text, between its characters, in order.
fn query(bytes: &[u8]) {
    let Some((query, text)) = two_texts(bytes) else { return };
    for mode in [SearchMode::Fulltext, SearchMode::Prefix, SearchMode::Fuzzy, SearchMode::Regex] {
        let Ok(matcher) = Matcher::new(query, mode) else { continue };
        let (quality, mut end) = (matcher.quality(text, Some(query)), 0);
        assert!(quality.is_none_or(|quality| quality <= 1000), "{quality:?}");
        for range in matcher.ranges(text) {
            assert!(range.start >= end && text.get(range.clone()).is_some(), "{mode:?} {range:?} in {text:?}");
            end = range.end;
        }
    }
}

fn commands() -> Vec<Vec<u8>> {
    texts(&[
        "curl -H 'Authorization: Bearer abcdefghijklmnopqrstuvwxyz012345' https://x",
        "mysql --password=\"hunter 2é\" -u root; export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "git commit -m 'password=x' && sudo -u x docker login -p \"$(cat y)\" | tee é",
        "psql postgres://me:s3cr3t-value@host/db",
    ])
}

/// A command that holds a secret is shown with stars in it, and one without stays as it is.
fn command(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let masked = secrets::mask(text);
    assert_eq!(secrets::find(text).is_some(), masked != text, "{text}");
    let _ = Category::of(text);
}
