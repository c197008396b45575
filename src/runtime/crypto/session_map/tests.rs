//! The promises of a session map that the official core does not keep, and those at its edges.

use super::super::encoding::{KEY_SECRET, SIGNER_ID, SIGNER_SECRET};
use super::super::{sign, signer_id};
use super::*;

const HEADER: &str = r#"{"meta":null,"ruleset":{"type":"unsafeAllowAll"},"type":"comap","uniqueness":"u"}"#;
const SESSION: &str = "co_zA_session_zB";
const TRUSTING: &str = r#"[{"privacy":"trusting","changes":"[1]","madeAt":5}]"#;

fn new_map() -> SessionMap {
    SessionMap::new("co_zX", HEADER, None, true).unwrap()
}

fn secret(seed: u8) -> String {
    SIGNER_SECRET.encode58(&[seed; 32])
}

fn id(seed: u8) -> String {
    signer_id(&secret(seed)).unwrap()
}

fn key() -> String {
    KEY_SECRET.encode58(&[9; 32])
}

/// A log of transactions as `(json, signature)`, written by signer 1.
fn written(count: u64) -> Vec<(String, String)> {
    let mut map = new_map();
    (0..count)
        .map(|at| {
            let changes = format!("[{at}]");
            if at % 2 == 0 {
                map.make_private(SESSION, &secret(1), &changes, "key_zK", &key(), Some("{}"), at).unwrap();
            } else {
                map.make_trusting(SESSION, &secret(1), &changes, None, at).unwrap();
            }
            let index = u32::try_from(at).unwrap();
            (map.transaction(SESSION, index).unwrap().to_owned(), map.last_signature(SESSION).unwrap().to_owned())
        })
        .collect()
}

fn list(log: &[(String, String)]) -> String {
    let texts: Vec<&str> = log.iter().map(|(json, _)| json.as_str()).collect();
    format!("[{}]", texts.join(","))
}

/// Everything that can be seen of a map.
fn view(map: &SessionMap) -> String {
    let session = |id: &String| {
        let kept: Vec<_> = (0..9).map(|at| map.signature_after(id, at)).collect();
        format!(
            "{:?} {:?} {:?} {kept:?}",
            map.transactions_json(id, 0),
            map.last_signature(id),
            map.last_checkpoint(id)
        )
    };
    let sessions: Vec<String> = map.sessions.keys().map(session).collect();
    format!(
        "{} {} {:?} {} {sessions:#?}",
        map.session_ids_json(),
        map.known_state_json(),
        map.known_state_with_streaming_json(),
        map.is_deleted()
    )
}

#[test]
fn refused_transactions_leave_no_trace() {
    let log = written(4);
    let mut map = new_map();
    map.set_streaming_known_state(r#"{"later":3}"#).unwrap();
    for begun in [false, true] {
        if begun {
            map.add_transactions(SESSION, Some(&id(1)), &list(&log[..1]), &log[0].1, false).unwrap();
        }
        let before = view(&map);
        let rest = list(&log[usize::from(begun)..]);
        let wrong = sign(&secret(1), "\"something else\"").unwrap();
        for signature in ["junk", "signature_z1", &wrong, &log[0].1] {
            assert!(map.add_transactions(SESSION, Some(&id(1)), &rest, signature, false).is_err());
            assert_eq!(view(&map), before);
        }
        for junk in ["x", "[1]", "[{}]", r#"[{"privacy":"trusting","changes":"","madeAt":0},null]"#] {
            assert!(map.add_transactions(SESSION, Some(&id(1)), junk, &log[3].1, true).is_err());
            assert_eq!(view(&map), before);
        }
    }
    // None of the refused ones got into the hash either.
    map.add_transactions(SESSION, Some(&id(1)), &list(&log[1..]), &log[3].1, false).unwrap();
    assert_eq!(map.transactions_json(SESSION, 0).unwrap(), list(&log));
}

#[test]
fn failed_writes_leave_no_trace() {
    let mut map = new_map();
    let before = view(&map);
    let large = "x".repeat(MAX_CHANGES + 1);
    assert_eq!(
        map.make_trusting(SESSION, &secret(1), &large, None, 0),
        Err(CryptoError::TransactionTooLarge { size: MAX_CHANGES + 1, limit: MAX_CHANGES })
    );
    assert!(map.make_private(SESSION, &secret(1), &large, "k", &key(), None, 0).is_err());
    assert!(map.make_trusting(SESSION, "junk", "[]", None, 0).is_err());
    assert!(map.make_private(SESSION, "junk", "[]", "k", &key(), None, 0).is_err());
    assert!(map.make_private(SESSION, &secret(1), "[]", "k", "junk", None, 0).is_err());
    assert_eq!(view(&map), before);
    assert!(map.make_trusting(SESSION, &secret(1), &large[1..], None, 0).is_ok());
}

#[test]
fn unverified_transactions_count_for_later_signatures() {
    let log = written(4);
    let mut map = new_map();
    map.add_transactions(SESSION, None, &list(&log[..2]), "not looked at", true).unwrap();
    assert_eq!(map.last_signature(SESSION), Some("not looked at"));
    map.add_transactions(SESSION, Some(&id(1)), &list(&log[2..]), &log[3].1, false).unwrap();
    assert_eq!(map.transactions_json(SESSION, 0).unwrap(), list(&log));

    let mut map = new_map();
    map.add_transactions(SESSION, None, &list(&log[..3]), "", true).unwrap();
    let made = map.make_trusting(SESSION, &secret(1), "[3]", None, 3).unwrap();
    assert!(made.contains(&log[3].1), "our own signature is over the whole log");
}

#[test]
fn a_session_begun_here_takes_verified_transactions_later() {
    let log = written(3);
    let mut map = new_map();
    map.make_private(SESSION, &secret(1), "[0]", "key_zK", &key(), Some("{}"), 0).unwrap();
    assert_eq!(map.transaction(SESSION, 0), Some(&*log[0].0));
    map.add_transactions(SESSION, Some(&id(1)), &list(&log[1..]), &log[2].1, false).unwrap();
    assert_eq!(map.transaction_count(SESSION), Some(3));
}

#[test]
fn the_first_signer_of_a_session_stays() {
    let log = written(2);
    let mut map = new_map();
    map.add_transactions(SESSION, Some(&id(1)), &list(&log[..1]), &log[0].1, false).unwrap();
    let mut other = new_map();
    other.make_private(SESSION, &secret(1), "[0]", "key_zK", &key(), Some("{}"), 0).unwrap();
    other.make_trusting(SESSION, &secret(2), "[1]", None, 1).unwrap();
    let forged = other.last_signature(SESSION).unwrap();
    assert!(matches!(
        map.add_transactions(SESSION, Some(&id(2)), &list(&log[1..]), forged, false),
        Err(CryptoError::SignatureVerification { .. })
    ));
    map.add_transactions(SESSION, Some("not even read"), &list(&log[1..]), &log[1].1, false).unwrap();
}

#[test]
fn a_malformed_signer_id_is_an_error() {
    let mut map = new_map();
    let (long, no_point) = (SIGNER_ID.encode58(&[7; 33]), SIGNER_ID.encode58(&[2; 32]));
    for id in ["", "junk", "signer_z", "signer_z1", "signer_z0", &long, &no_point] {
        for skip_verify in [false, true] {
            assert!(map.add_transactions(SESSION, Some(id), TRUSTING, "s", skip_verify).is_err(), "{id}");
        }
    }
    assert_eq!(map.session_ids_json(), "[]");
}

#[test]
fn a_signed_transaction_cannot_be_relabelled() {
    let log = written(2);
    let relabel = |from: &str, to: &str, json: &str| {
        assert!(json.contains(from));
        format!("[{}]", json.replace(from, to))
    };
    let private = &log[0].0;
    let forged = r#""changes":"[\"forged\"]","privacy":"trusting""#;
    for json in [
        // The author's private transaction, shown to readers as a trusting one with other contents.
        relabel(r#""privacy":"private""#, forged, private),
        relabel(r#""privacy":"private""#, r#""changes":"[]","privacy":"private""#, private),
        relabel(r#""privacy":"private""#, r#""privacy":"trusting""#, private),
        relabel(r#""privacy":"private""#, r#""privacy":"other""#, private),
        relabel(r#","privacy":"private""#, "", private),
    ] {
        let error = new_map().add_transactions(SESSION, Some(&id(1)), &json, &log[0].1, false).unwrap_err();
        assert!(matches!(error, CryptoError::InvalidTransaction { .. }), "{json}: {error}");
    }
    let mut map = new_map();
    map.add_transactions(SESSION, Some(&id(1)), &list(&log[..1]), &log[0].1, false).unwrap();
    let json = relabel("trusting", "private", &log[1].0);
    assert!(map.add_transactions(SESSION, Some(&id(1)), &json, &log[1].1, false).is_err());
}

#[test]
fn transactions_and_headers_are_objects_with_each_field_once() {
    for json in [
        r#"[["[1]",5,null,"trusting"]]"#,
        r#"[{"privacy":"trusting","changes":"[1]","changes":"[2]","madeAt":5}]"#,
        r#"[{"privacy":"trusting","privacy":"trusting","changes":"[1]","madeAt":5}]"#,
    ] {
        assert!(new_map().add_transactions(SESSION, None, json, "", true).is_err(), "{json}");
    }
    for header in [
        r#"["2020",null,{"type":"unsafeAllowAll"},"comap","u"]"#,
        r#"{"type":"comap","ruleset":["unsafeAllowAll"],"meta":null,"uniqueness":"u"}"#,
    ] {
        assert!(
            matches!(SessionMap::new("co_zX", header, None, true), Err(CryptoError::InvalidHeader { .. })),
            "{header}"
        );
    }
}

#[test]
fn signatures_signers_and_keys_need_the_prefix_of_their_kind() {
    let log = written(1);
    let foreign = |text: &str| text.replacen('_', "s_", 1);
    let mut map = new_map();
    assert!(map.add_transactions(SESSION, Some(&foreign(&id(1))), &list(&log), &log[0].1, false).is_err());
    assert!(map.add_transactions(SESSION, Some(&id(1)), &list(&log), &foreign(&log[0].1), false).is_err());
    map.add_transactions(SESSION, Some(&id(1)), &list(&log), &log[0].1, false).unwrap();
    assert!(map.decrypt(SESSION, 0, &foreign(&key())).is_err());
    assert_eq!(map.decrypt(SESSION, 0, &key()).unwrap().as_deref(), Some("[0]"));
}

#[test]
fn every_spelling_of_a_transaction_becomes_the_same_text() {
    let canonical = r#"{"changes":"[\"a/é\u0001\"]","madeAt":5,"meta":"{}","privacy":"trusting"}"#;
    for spelling in [
        canonical,
        r#" { "privacy" : "trusting" , "meta":"\u007b}","madeAt":5 , "changes":"[\u0022a\/\u00e9\u0001\"]" } "#,
        r#"{"more":[{"changes":1}],"madeAt":5,"changes":"[\"a/é\u0001\"]","meta":"{}","privac\u0079":"tr\u0075sting"}"#,
    ] {
        let mut map = new_map();
        map.add_transactions(SESSION, None, &format!("[{spelling}]"), "", true).unwrap();
        assert_eq!(map.transaction(SESSION, 0), Some(canonical));
    }
}

#[test]
fn indexes_past_the_end_find_nothing() {
    let mut map = new_map();
    map.make_trusting(SESSION, &secret(1), "[]", None, u64::MAX).unwrap();
    for index in [1, 2, u32::MAX] {
        assert_eq!(map.transaction(SESSION, index), None);
        assert_eq!(map.signature_after(SESSION, index), None);
        assert_eq!(map.transactions_json(SESSION, index).as_deref(), Some("[]"));
        assert_eq!(map.decrypt(SESSION, index, &key()), Err(CryptoError::TransactionNotFound { index }));
    }
    assert_eq!(map.transactions_json("other", 0), None);
    assert_eq!(map.decrypt("other", 0, &key()), Ok(None));
    assert_eq!(
        map.transaction(SESSION, 0),
        Some(r#"{"changes":"[]","madeAt":18446744073709551615,"privacy":"trusting"}"#)
    );
}

#[test]
fn a_large_batch_is_kept_whole() {
    let mut author = SessionMap::new("co_zX", HEADER, Some(u32::MAX), true).unwrap();
    for at in 0..2000 {
        author
            .make_private(SESSION, &secret(1), &format!("[{at},\"{}\"]", "x".repeat(300)), "key_zK", &key(), None, at)
            .unwrap();
    }
    let json = author.transactions_json(SESSION, 0).unwrap();
    let mut reader = new_map();
    reader.add_transactions(SESSION, Some(&id(1)), &json, author.last_signature(SESSION).unwrap(), false).unwrap();
    assert_eq!(reader.transactions_json(SESSION, 0).unwrap(), json);
    assert_eq!(reader.last_checkpoint(SESSION), Some(Some(1999)), "one signature came, so one is kept");
    for at in [0, 1, 1999] {
        assert!(reader.decrypt(SESSION, at, &key()).unwrap().unwrap().starts_with(&format!("[{at},")));
    }
}

#[test]
fn deletion_keeps_what_is_here_readable_and_reports_the_marker_only() {
    const MARKER: &str = "co_zA_session_dGone$";
    let mut map = new_map();
    map.make_trusting(SESSION, &secret(1), "[1]", None, 0).unwrap();
    map.make_trusting(MARKER, &secret(1), "[2]", None, 0).unwrap();
    map.set_streaming_known_state(r#"{"later":3}"#).unwrap();
    map.mark_deleted();
    assert!(!map.is_streaming());
    assert_eq!(map.known_state_json(), format!(r#"{{"header":true,"id":"co_zX","sessions":{{"{MARKER}":1}}}}"#));
    let deleted = CryptoError::Deleted { id: "co_zX".into() };
    assert_eq!(map.add_transactions(SESSION, None, TRUSTING, "", true), Err(deleted.clone()));
    assert_eq!(map.make_trusting(MARKER, &secret(1), "[]", None, 0), Err(deleted));
    map.add_transactions(MARKER, None, TRUSTING, "", true).unwrap();
    map.set_streaming_known_state("not read any more").unwrap();
    assert_eq!(map.transaction_count(SESSION), Some(1));
    assert_eq!(map.decrypt(SESSION, 0, &key()).unwrap().as_deref(), Some("[1]"));
}

#[test]
fn its_extent_is_that_of_what_came_and_of_a_deleted_one_that_of_what_deletes_it() {
    let log = written(3);
    let mut map = new_map();
    let header = map.header().len();
    assert_eq!(map.extent(), Extent { bytes: header, names: 0 });
    map.add_transactions(SESSION, Some(&id(1)), &list(&log[..1]), &log[0].1, false).unwrap();
    map.add_transactions(SESSION, None, &list(&log[1..]), &log[2].1, false).unwrap();
    map.make_trusting("co_zA_session_zC", &secret(1), "[7]", None, 7).unwrap();
    let all = Extent { bytes: header + map.content_bytes() + 2 * 1_000 + 4 * 200, names: 2 * SESSION.len() };
    assert_eq!(map.extent(), all);
    map.add_transactions("co_zA_session_zD", Some(&id(1)), TRUSTING, "signature_z1", false).unwrap_err();
    assert_eq!(map.extent(), all, "what is refused takes up nothing");

    let deleting = "co_zA_session_dE$";
    map.add_transactions(deleting, None, TRUSTING, "signature_z1", true).unwrap();
    map.mark_deleted();
    let left = TRUSTING.len() - 2;
    assert_eq!(map.extent(), Extent { bytes: header + left + 1_000 + 200, names: deleting.len() });
}

#[test]
fn a_message_with_content_has_what_was_added_and_nothing_where_some_is_missing() {
    let log = written(4);
    let mut map = new_map();
    map.add_transactions(SESSION, Some(&id(1)), &list(&log), &log[3].1, false).unwrap();
    let head = r#"{"action":"content","id":"co_zX","priority":3}"#;
    let message = |sessions: &str| map.content_message(head, sessions).unwrap();

    let excerpt = format!(r#"[["{SESSION}",1,2,"{}"]]"#, log[2].1);
    let expected = format!(
        r#"{{"action":"content","id":"co_zX","priority":3,"new":{{"{SESSION}":{{"after":1,"newTransactions":{},"lastSignature":"{}"}}}}}}"#,
        list(&log[1..3]),
        log[2].1
    );
    assert_eq!(message(&excerpt).as_deref(), Some(expected.as_str()));

    // Whoever has the first one takes it in.
    let said: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let said = &said["new"][SESSION];
    let mut other = new_map();
    other.add_transactions(SESSION, Some(&id(1)), &list(&log[..1]), &log[0].1, false).unwrap();
    let (transactions, signature) = (said["newTransactions"].to_string(), said["lastSignature"].as_str().unwrap());
    other.add_transactions(SESSION, None, &transactions, signature, false).unwrap();
    assert_eq!(other.transaction_count(SESSION), Some(3));

    for missing in
        [format!(r#"[["{SESSION}",2,3,"s"]]"#), format!(r#"[["{SESSION}",5,1,"s"]]"#), r#"[["other",0,1,"s"]]"#.into()]
    {
        assert_eq!(message(&missing), None, "{missing}");
    }
    assert_eq!(message("[]").as_deref(), Some(r#"{"action":"content","id":"co_zX","priority":3,"new":{}}"#));
    for (head, sessions) in [("{}", "[]"), ("", "[]"), (head, "{}"), (head, r#"[["a",-1,1,"s"]]"#)] {
        assert!(map.content_message(head, sessions).is_err(), "{head} {sessions}");
    }
}
