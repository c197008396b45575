//! What must hold for the functions and the session map whatever they are given: round trips, refusal
//! of what was changed, and no panic on junk. Exact results are compared with the official core in
//! `tests/crypto_differential.rs`.

use proptest::prelude::*;
use proptest::sample::Index;

use super::encoding::{
    CO_ID, ENCRYPTED, KEY_SECRET, Kind, SEALED, SEALED_FOR_GROUP, SEALER_SECRET, SIGNATURE, SIGNER_SECRET,
};
use super::*;

fn secrets() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>()
}

/// A base64url value with one bit of its bytes flipped.
fn flipped(kind: &Kind, text: &str, at: Index, bit: u8) -> String {
    let mut bytes = kind.decode64(text).unwrap();
    let at = at.index(bytes.len());
    bytes[at] ^= 1 << bit;
    kind.encode64(&bytes)
}

#[test]
fn account_of_a_known_seed_has_its_known_id() {
    let seed: Vec<u8> = (0..32).collect();
    let secret = |kind: &Kind, context: &[u8]| {
        let mut bytes = [0; 32];
        blake3_into(&seed, context, &mut bytes).unwrap();
        kind.encode58(&bytes)
    };
    let (sealer, signer) = (secret(&SEALER_SECRET, b"seal"), secret(&SIGNER_SECRET, b"sign"));
    assert_eq!(sealer, "sealerSecret_zG4mMpgwV15SSppv6ojNtGVUJdP4aqRvcx3gxErLF83Pe");
    assert_eq!(signer, "signerSecret_zBArFXTSgFncTtrATfYboyyy9eNffiajE1xrHR9nziEkR");

    let agent = format!("{}/{}", sealer_id(&sealer).unwrap(), signer_id(&signer).unwrap());
    let header = format!(
        r#"{{"createdAt":null,"meta":{{"type":"account"}},"ruleset":{{"initialAdmin":"{agent}","type":"group"}},"type":"comap","uniqueness":null}}"#
    );
    let id = "co_zUhoeV5ekSfDcyekmfHXVhZJBeU";
    assert_eq!(short_hash(&header).replace("shortHash_z", "co_z"), id);
    assert_eq!(SessionMap::new(id, &header, None, false).unwrap().header(), header);
}

proptest! {
    #[test]
    fn signatures_verify_and_changed_ones_do_not(
        secret in secrets(), other in secrets(), text: String, at: Index, bit in 0_u8..8,
    ) {
        prop_assume!(secret != other);
        let secret = SIGNER_SECRET.encode58(&secret);
        let signer = signer_id(&secret).unwrap();
        let signature = sign(&secret, &text).unwrap();
        prop_assert!(verify(&signature, &text, &signer).unwrap());
        let longer = format!("{text} ");
        prop_assert!(!verify(&signature, &longer, &signer).unwrap());
        let stranger = signer_id(&SIGNER_SECRET.encode58(&other)).unwrap();
        prop_assert!(!verify(&signature, &text, &stranger).unwrap());

        let mut bytes = *SIGNATURE.decode58::<64>(&signature).unwrap();
        bytes[at.index(64)] ^= 1 << bit;
        prop_assert!(!verify(&SIGNATURE.encode58(&bytes), &text, &signer).unwrap());
    }

    #[test]
    fn encrypted_texts_come_back_and_another_place_or_key_gives_another_text(
        key in secrets(), other in secrets(), text in ".{16,200}", place: String,
    ) {
        prop_assume!(key != other);
        let (key, other) = (KEY_SECRET.encode58(&key), KEY_SECRET.encode58(&other));
        let encrypted = encrypt(&text, &key, &place).unwrap();
        prop_assert_eq!(&decrypt(&encrypted, &key, &place).unwrap(), &text);
        prop_assert_ne!(&decrypt(&encrypted, &other, &place).unwrap(), &text);
        let elsewhere = format!("{place} ");
        prop_assert_ne!(&decrypt(&encrypted, &key, &elsewhere).unwrap(), &text);
        prop_assert_eq!(ENCRYPTED.decode64(&encrypted).unwrap().len(), text.len());
    }

    #[test]
    fn sealed_messages_open_for_their_receiver_only(
        from in secrets(), to in secrets(), other in secrets(), text: String, place: String, at: Index, bit in 0_u8..8,
    ) {
        let [from, to, other] = [from, to, other].map(|bytes| SEALER_SECRET.encode58(&bytes));
        let [from_id, to_id, other_id] = [&from, &to, &other].map(|secret| sealer_id(secret).unwrap());
        prop_assume!(from_id != other_id && to_id != other_id);
        let sealed = seal(&text, &from, &to_id, &place).unwrap();
        prop_assert_eq!(&unseal(&sealed, &to, &from_id, &place).unwrap(), &text);
        let changed = flipped(&SEALED, &sealed, at, bit);
        let elsewhere = format!("{place} ");
        for refused in [
            unseal(&sealed, &other, &from_id, &place),
            unseal(&sealed, &to, &other_id, &place),
            unseal(&sealed, &to, &from_id, &elsewhere),
            unseal(&changed, &to, &from_id, &place),
        ] {
            prop_assert_eq!(refused, Err(CryptoError::WrongTag));
        }
    }

    #[test]
    fn messages_for_a_group_open_for_the_group_only(
        group in secrets(), other in secrets(), text: String, place: String, at: Index, bit in 0_u8..8,
    ) {
        let [group, other] = [group, other].map(|bytes| SEALER_SECRET.encode58(&bytes));
        let id = sealer_id(&group).unwrap();
        prop_assume!(id != sealer_id(&other).unwrap());
        let sealed = seal_for_group(&text, &id, &place).unwrap();
        prop_assert_eq!(&unseal_for_group(&sealed, &group, &place).unwrap(), &text);
        prop_assert_ne!(&sealed, &seal_for_group(&text, &id, &place).unwrap());
        let mut refused = vec![
            unseal_for_group(&sealed, &other, &place),
            unseal_for_group(&sealed, &group, &format!("{place} ")),
        ];
        // The top bit of an X25519 public key means nothing, so flipping it changes nothing.
        let length = SEALED_FOR_GROUP.decode64(&sealed).unwrap().len();
        if (at.index(length), bit) != (31, 7) {
            refused.push(unseal_for_group(&flipped(&SEALED_FOR_GROUP, &sealed, at, bit), &group, &place));
        }
        for refused in refused {
            prop_assert_eq!(refused, Err(CryptoError::WrongTag));
        }
    }

    #[test]
    fn cut_messages_do_not_open(secret in secrets(), text: String, at: Index) {
        let secret = SEALER_SECRET.encode58(&secret);
        let id = sealer_id(&secret).unwrap();
        let sealed = SEALED.decode64(&seal(&text, &secret, &id, "").unwrap()).unwrap();
        let cut = SEALED.encode64(&sealed[..at.index(sealed.len())]);
        prop_assert_eq!(unseal(&cut, &secret, &id, ""), Err(CryptoError::WrongTag));
        let sealed = SEALED_FOR_GROUP.decode64(&seal_for_group(&text, &id, "").unwrap()).unwrap();
        let cut = SEALED_FOR_GROUP.encode64(&sealed[..at.index(sealed.len())]);
        prop_assert_eq!(unseal_for_group(&cut, &secret, ""), Err(CryptoError::WrongTag));
    }

    #[test]
    fn junk_is_refused_by_every_function(junk in junk(), other in junk(), third in junk()) {
        let good = SEALER_SECRET.encode58(&[7; 32]);
        let id = sealer_id(&good).unwrap();
        let _ = (signer_id(&junk), sealer_id(&junk), sign(&junk, &other), verify(&junk, &other, &third));
        let _ = (encrypt(&other, &junk, &third), decrypt(&junk, &other, &third));
        let _ = decrypt(&junk, &KEY_SECRET.encode58(&[7; 32]), &other);
        let _ = (seal(&third, &junk, &other, ""), seal(&third, &good, &junk, ""), seal(&third, &junk, &id, ""));
        let _ = (seal_for_group(&other, &junk, &third), short_hash(&junk));
        for secret in [&other, &good] {
            prop_assert!(unseal(&junk, secret, &third, "").is_err());
            prop_assert!(unseal(&junk, secret, &id, "").is_err());
            prop_assert!(unseal_for_group(&junk, secret, "").is_err());
        }
        prop_assert!(SessionMap::new(&junk, &other, None, false).is_err());
    }

    #[test]
    fn junk_never_panics_a_session_map(
        header in prop_oneof![1 => junk(), 3 => Just(r#"{"type":"x","ruleset":{"type":"unsafeAllowAll"},"uniqueness":null}"#.to_owned())],
        calls in prop::collection::vec((0_u8..12, junk(), junk(), junk(), any::<u32>(), any::<bool>()), 1..20),
    ) {
        let Ok(mut map) = SessionMap::new("co_z", &header, Some(9), true) else { return Ok(()) };
        let secret = SIGNER_SECRET.encode58(&[7; 32]);
        for (call, one, two, three, number, flag) in calls {
            // Half of the calls are about a session that is there.
            let session = if flag { &one } else { "s" };
            match call {
                0 => drop(map.add_transactions(session, Some(&two), &three, &one, flag)),
                1 => drop(map.add_transactions(session, None, &two, &three, true)),
                2 => drop(map.add_transactions("s", None, r#"[{"privacy":"private","encryptedChanges":"encrypted_UAAAA","keyUsed":"","madeAt":1,"meta":"x"}]"#, &two, true)),
                3 => drop(map.make_trusting(session, &secret, &two, Some(&three), u64::from(number))),
                4 => drop(map.make_private(session, &two, &one, &three, &two, None, u64::MAX)),
                5 => drop(map.set_streaming_known_state(&two)),
                6 => drop((map.decrypt(session, number, &two), map.decrypt_meta(session, number, &two))),
                7 => drop((map.decrypt(session, 0, &two), map.decrypt_meta(session, 0, &KEY_SECRET.encode58(&[7; 32])))),
                8 => drop((map.transactions_json(session, number), map.transactions_json(session, 0))),
                9 => drop((map.session_ids_json(), map.known_state_json(), map.known_state_with_streaming_json())),
                10 => {
                    let _ = (map.transaction(session, number), map.signature_after(session, number), map.last_checkpoint(session));
                }
                _ if number % 8 == 0 => map.mark_deleted(),
                _ => {
                    let _ = (map.transaction_count(session), map.last_signature(session));
                }
            }
        }
    }
}

/// Texts of every shape that comes near something that would be accepted.
fn junk() -> impl Strategy<Value = String> {
    const PREFIXES: &[&str] = &[
        "signerSecret_z",
        "signer_z",
        "sealerSecret_z",
        "sealer_z",
        "keySecret_z",
        "signature_z",
        "hash_z",
        "encrypted_U",
        "sealed_U",
        "sealedForGroup_U",
        "co_z",
        "_z",
        "",
    ];
    prop_oneof![
        any::<String>(),
        (prop::sample::select(PREFIXES), ".{0,100}").prop_map(|(prefix, tail)| format!("{prefix}{tail}")),
        (prop::sample::select(PREFIXES), "[1-9A-Za-z_=-]{0,120}").prop_map(|(prefix, tail)| format!("{prefix}{tail}")),
        (prop::sample::select(PREFIXES), Just("1".repeat(100_000)))
            .prop_map(|(prefix, tail)| format!("{prefix}{tail}")),
        Just("[".repeat(100_000)),
        Just(format!("[{}", "{\"a\":".repeat(100_000))),
        r#"\[?(\{("(changes|encryptedChanges|madeAt|privacy|keyUsed|meta|x)":("(private|trusting|encrypted_UAA==)"|[0-9]{1,25}|-?1e99|null|\[\]|"\\u[d0-9a-f]{4}"),?){0,6}\},?){0,3}\]?"#,
        r#"\{("[a-z]{0,3}":(-?[0-9]{1,12}|"x"|1\.5|null),?){0,3}\}"#,
    ]
}

#[test]
fn errors_say_nothing_secret() {
    let secret = format!("keySecret_z{}", "secret".repeat(20));
    let error = encrypt("text", &secret, "place").unwrap_err();
    assert!(!error.to_string().contains("secretsecret"), "{error}");
    let mut map =
        SessionMap::new("co_z", r#"{"type":"x","ruleset":{"type":"unsafeAllowAll"},"uniqueness":null}"#, None, true)
            .unwrap();
    let junk = r#"[{"privacy":"trusting","changes":"a secret","madeAt":"a secret"}]"#;
    let error = map.add_transactions("s", None, junk, "", true).unwrap_err();
    assert!(matches!(error, CryptoError::InvalidTransaction { line: 1, .. }));
    assert!(!format!("{error} {error:?}").contains("a secret"));
}

#[test]
fn the_wordings_that_the_sdk_looks_for_stay() {
    assert!(CryptoError::WrongTag.to_string().contains("Wrong tag"));
    assert_eq!(
        CryptoError::SignatureVerification { hash: "hash_zX".into() }.to_string(),
        "Signature verification failed: (hash: hash_zX)"
    );
    assert_eq!(
        CryptoError::TransactionTooLarge { size: 1_048_689, limit: 1_048_576 }.to_string(),
        "Transaction too large to be synced: 1048689 bytes > 1048576 bytes limit"
    );
    let header = r#"{"type":"x","ruleset":{"type":"unsafeAllowAll"},"uniqueness":null}"#;
    let error = SessionMap::new(&CO_ID.encode58(&[1]), header, None, false).unwrap_err();
    assert!(error.to_string().starts_with("CoValue ID mismatch: expected co_z"), "{error}");
}
