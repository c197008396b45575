use super::*;
use crate::community::noise::tests::Seeded;
use crate::community::questions::QUESTIONS;
use crate::community::wire::BODY_BYTES;

/// A report, another one of the same key, and its revocation, as every version of this program must read them.
const FROZEN: &str = include_str!("../../../tests/vectors/community-report.json");

fn report(seed: u8) -> Report {
    let question = Question::named("git_version_control").unwrap();
    Report::make(question, 3, &Key::from_seed(&[seed; 32]), &mut Seeded(seed.into())).unwrap()
}

/// A report that was not worked for, which is what takes the time.
fn idle(question: &'static Question, answer: usize, key: &Key) -> Report {
    let mut report = Report { question, answer, key: key.id(), signature: [0; 64], work: u64::MAX };
    report.signature = key.0.sign(&report.message()).to_bytes();
    report
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap().trim_end()
}

#[test]
fn what_is_written_is_read_and_nothing_else_is() {
    let report = report(1);
    let bytes = report.bytes();
    assert_eq!(Report::read(&bytes), Ok(report));
    for at in 0..bytes.len() {
        for bit in [0x01, 0x20] {
            let mut other = bytes.clone();
            other[at] ^= bit;
            assert!(Report::read(&other).is_err(), "byte {at}: {}", text(&bytes));
        }
    }
    let line = text(&bytes);
    for other in [
        line.replace("\"format\"", " \"format\""),
        line.replace("{", "{\"note\":\"me\","),
        line.replace("git_version", "\\u0067it_version"),
        line.replace("\"format\":1", "\"format\":2"),
        line.replace("\"format\":1,", ""),
        line.replace("git_version_control", "cooking"),
        line.to_uppercase(),
        String::new(),
        "[]".into(),
    ] {
        let mut padded = other.into_bytes();
        padded.resize(BODY_BYTES, b' ');
        assert!(Report::read(&padded).is_err(), "{}", text(&padded));
    }
    assert_eq!(Report::read(line.as_bytes()), Err(Malformed::Format), "without its padding");
}

#[test]
fn what_is_wrong_is_told() {
    let key = Key::from_seed(&[2; 32]);
    let changed = |from: &str, to: &str| {
        let line = text(&report(1).bytes()).replace(from, to);
        let mut padded = line.into_bytes();
        padded.resize(BODY_BYTES, b' ');
        Report::read(&padded).unwrap_err()
    };
    let told = report(1).told();
    let other = QUESTIONS[0].answers.iter().find(|answer| **answer != told).unwrap();
    assert_eq!(changed("\"format\":1", "\"format\":2"), Malformed::Version);
    assert_eq!(changed(told, "always"), Malformed::Unknown);
    assert_eq!(changed(told, other), Malformed::Signature);
    assert_eq!(changed(&report(1).key.to_string(), &key.id().to_string()), Malformed::Signature);
    assert_eq!(Report::read(&idle(&QUESTIONS[0], 0, &key).bytes()), Err(Malformed::Work));
}

#[test]
fn a_revocation_is_by_the_key_of_its_report() {
    let (key, other) = (Key::from_seed(&[1; 32]), Key::from_seed(&[2; 32]));
    let revocation = Revocation::make(&key);
    assert_eq!(Revocation::read(&revocation.bytes()), Ok(revocation.clone()));
    assert_eq!(revocation.key, report(1).key);
    let forged = Revocation { key: key.id(), ..Revocation::make(&other) };
    assert_eq!(Revocation::read(&forged.bytes()), Err(Malformed::Signature));
    // A report's signature is not one of a revocation, nor the other way round.
    let reused = Revocation { key: key.id(), signature: report(1).signature };
    assert_eq!(Revocation::read(&reused.bytes()), Err(Malformed::Signature));
    assert!(Report::read(&revocation.bytes()).is_err() && Revocation::read(&report(1).bytes()).is_err());
}

#[test]
fn a_weak_key_signs_nothing() {
    // The neutral element: under it the signature of zeros is one of every message, unless looked at strictly.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let weak = Revocation { key: KeyId(neutral), signature };
    assert_eq!(Revocation::read(&weak.bytes()), Err(Malformed::Signature));
}

#[test]
fn all_bodies_have_one_size_and_show_what_is_sent() {
    let key = Key::from_seed(&[3; 32]);
    for question in QUESTIONS {
        for answer in 0..question.answers.len() {
            let bytes = idle(question, answer, &key).bytes();
            assert_eq!(bytes.len(), BODY_BYTES);
            let line = text(&bytes);
            assert!(line.ends_with('}') && line.len() < BODY_BYTES, "nothing was cut off: {line}");
            assert!(line.contains(question.name) && line.contains(question.answers[answer]), "{line}");
        }
    }
    assert_eq!(Revocation::make(&key).bytes().len(), BODY_BYTES);
}

#[test]
fn a_frozen_report_and_its_revocation_are_read() {
    let frozen: serde_json::Value = serde_json::from_str(FROZEN).unwrap();
    let body = |name: &str| {
        let mut bytes = frozen[name].as_str().unwrap().as_bytes().to_vec();
        bytes.resize(BODY_BYTES, b' ');
        bytes
    };
    let report = Report::read(&body("report")).unwrap();
    assert_eq!((report.question.name, report.told()), ("git_version_control", "200 or more"));
    assert_eq!(report.bytes(), body("report"));
    let other = Report::read(&body("other")).unwrap();
    assert_eq!((other.question.name, other.told(), other.key), ("weekend", "too few", report.key));
    let revocation = Revocation::read(&body("revocation")).unwrap();
    assert_eq!(revocation.key, report.key);
    let key = Key::from_seed(&hex::decode(frozen["seed"].as_str().unwrap()).unwrap());
    assert_eq!(Revocation::make(&key), revocation);
    assert_eq!(idle(report.question, report.answer, &key).signature, report.signature);
}

#[test]
fn a_key_shows_nothing_of_itself() {
    let key = Key::generate().unwrap();
    assert_eq!(format!("{key:?}"), "Key(..)");
    assert_ne!(key.id(), Key::generate().unwrap().id());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
        assert!(Report::read(&bytes).is_err());
        assert!(Revocation::read(&bytes).is_err());
    }

    #[test]
    fn digits_go_there_and_back(bytes in proptest::prelude::any::<[u8; 32]>()) {
        assert_eq!(hex::decode(&hex::encode(&bytes)), Some(bytes));
    }
}
