//! Settings that people write, and preferences that other devices send.

use toml_edit::DocumentMut;

use super::content::Content;
use super::{ALL, Register, document};
use crate::fuzz::{Target, cbor, survives_cbor, survives_json, text, texts};

pub(crate) const FUZZED: &[Target] = &[
    Target { name: "prefs-document", seeds: documents, run: document },
    Target { name: "prefs-register", seeds: registers, run: register },
];

fn documents() -> Vec<Vec<u8>> {
    texts(&[
        "# mine\n[sync]\nfrequency = \"manual\" # x\nfilter = [\"exclude command \\\"aws *\\\"\"]\n\n[history]\nlimit = 5\n",
        "sync.frequency = 'live'\nsync.filter = '''\nexclude tag a\n'''\n[caro]\nsafety_level = 3\n",
        "sync = 5\n",
    ])
}

/// What is read can be set again, and an edit leaves a document that can be read.
fn document(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Ok(mut read) = text.parse::<DocumentMut>() else { return };
    for preference in ALL {
        let Ok(Some(value)) = document::get(&read, preference, std::path::Path::new("sync.toml")) else { continue };
        assert_eq!(preference.parse(&value).ok().as_ref(), Some(&value), "{} in {text}", preference.name);
        document::set(&mut read, preference, Some(&value));
    }
    let again = read.to_string();
    assert!(again.parse::<DocumentMut>().is_ok(), "{again}");
}

fn registers() -> Vec<Vec<u8>> {
    let register = Register {
        name: "sync.filter/exclude command \"aws *\"".into(),
        value: Some("5".into()),
        changed_at: 1_700_000_000_000_000_000,
        device: uuid::Uuid::nil(),
        unknown: [("newer".to_owned(), ciborium::Value::Bytes(vec![1, 2]))].into(),
    };
    let known = r#"{"version":1,"values":{"safety_level":{"value":"strict","changed_at":1,"device":"00000000-0000-0000-0000-000000000000","newer":"oA"}},"seen":{"a":null},"held":["a"],"undo":[]}"#;
    vec![cbor(&register), known.as_bytes().to_vec()]
}

/// What other devices send and what this one has kept of it survive being written.
fn register(bytes: &[u8]) {
    survives_cbor::<Register>(bytes);
    if let Some(text) = text(bytes) {
        survives_json::<Content>(text);
    }
}
