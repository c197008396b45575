//! Whose is what a statement of the SDK stores: what is added to it, so that the database knows what each account has.
//!
//! As `js/src/holdings.ts` says it for a store in a file, where triggers do it: a CoValue belongs to an account by its header, and
//! bytes to the account that wrote them by the session's name.

use rusqlite::types::Value;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::runtime::StoreError;

/// The longest name of an account that is looked at, in bytes: an index takes some 2,700. Ids have 30 or so.
const LONGEST: usize = 1000;

/// Whose a CoValue is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// This account's; nobody's where it is empty.
    Account(String),
    /// That of whoever owns this group.
    OfGroup(String),
}

/// What is read of a header, piece by piece: whoever makes one up may write in the rest what he likes.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    ruleset: Option<&'a RawValue>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
}

/// What is read of both of them.
#[derive(Default, Deserialize)]
struct Inside<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, rename = "initialAdmin")]
    admin: Option<&'a RawValue>,
    #[serde(borrow)]
    group: Option<&'a RawValue>,
}

fn inside(of: Option<&RawValue>) -> Inside<'_> {
    of.and_then(|of| serde_json::from_str(of.get()).ok()).unwrap_or_default()
}

/// A text; nothing where it is none, or none that the database takes.
fn text(of: Option<&RawValue>) -> String {
    let text: Option<String> = of.and_then(|of| serde_json::from_str(of.get()).ok());
    text.filter(|text| text.len() <= LONGEST && !text.contains('\0')).unwrap_or_default()
}

impl Owner {
    /// Of the CoValue with this id and header.
    pub(super) fn of(id: &str, header: &str) -> Self {
        let nobody = Self::Account(String::new());
        let Ok(header) = serde_json::from_str::<Header<'_>>(header) else { return nobody };
        if text(inside(header.meta).kind) == "account" {
            return Self::Account(id.to_owned());
        }
        let ruleset = inside(header.ruleset);
        match text(ruleset.kind).as_str() {
            "group" => Self::Account(text(ruleset.admin)),
            _ if ruleset.group.is_some() => Self::OfGroup(text(ruleset.group)),
            _ => nobody,
        }
    }
}

/// The account that wrote a session; none where the name does not say it, as that of an agent.
fn author(session: &str) -> Option<&str> {
    let (author, _) = session.split_once("_session_")?;
    author.starts_with("co_z").then_some(author)
}

/// A statement as it is to be sent, and bytes that it adds to a session.
pub(super) struct Counted {
    pub(super) sql: String,
    pub(super) params: Vec<Value>,
    pub(super) adds: Option<(i64, i64)>,
}

/// What is sent for a statement of the SDK.
///
/// One that stores what is counted in another way than is known here is refused: it would not be counted.
pub(super) fn counted(sql: &str, params: &[Value]) -> Result<Counted, StoreError> {
    let mut counted = Counted { sql: sql.to_owned(), params: params.to_vec(), adds: None };
    let Some(table) = sql.trim_start().strip_prefix("INSERT INTO ").and_then(|rest| rest.split([' ', '(']).next())
    else {
        return Ok(counted);
    };
    let more = |from: &str, to: &str| sql.contains(from).then(|| sql.replacen(from, to, 1));
    let done = match (table, params) {
        ("coValues", [Value::Text(id), Value::Text(header)]) => {
            let (account, group) = match Owner::of(id, header) {
                Owner::Account(account) => (account, Value::Null),
                Owner::OfGroup(group) => (String::new(), Value::Text(group)),
            };
            counted.params.extend([group, Value::Text(account)]);
            more(
                "(id, header) VALUES (?, ?)",
                "(id, header, owner) VALUES (?, ?, COALESCE((SELECT owner FROM coValues WHERE id = ?), ?))",
            )
        }
        ("sessions", [value, Value::Text(session), _, _, _]) => {
            let author = author(session).map_or(Value::Null, |author| Value::Text(author.to_owned()));
            counted.params.extend([author, value.clone()]);
            more(
                "bytesSinceLastSignature) VALUES (?, ?, ?, ?, ?)",
                "bytesSinceLastSignature, author) VALUES (?, ?, ?, ?, ?, \
                 COALESCE(?, (SELECT owner FROM coValues WHERE rowID = ?), ''))",
            )
        }
        ("transactions", [Value::Integer(session), _, Value::Text(content)]) => {
            counted.adds = Some((*session, i64::try_from(content.len()).unwrap_or(i64::MAX)));
            Some(sql.to_owned())
        }
        ("coValues" | "sessions" | "transactions", _) => None,
        _ => Some(sql.to_owned()),
    };
    counted.sql = done.ok_or_else(|| StoreError::Failed("this relay does not know how to count that".into()))?;
    Ok(counted)
}

/// What adds bytes to a session.
pub(super) const ADD: &str = "UPDATE sessions SET bytes = bytes + ? WHERE rowID = ?";

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn a_covalue_belongs_to_whom_its_header_says() {
        let of = |header: &str| Owner::of("co_zSelf", header);
        let account = |name: &str| Owner::Account(name.into());
        let self_made = r#"{"meta":{"type":"account"},"ruleset":{"type":"group","initialAdmin":"sealer_z1"}}"#;
        assert_eq!(of(self_made), account("co_zSelf"));
        assert_eq!(of(r#"{"meta":null,"ruleset":{"type":"group","initialAdmin":"co_zAnn"}}"#), account("co_zAnn"));
        assert_eq!(
            of(r#"{"meta":{"type":"x"},"ruleset":{"type":"ownedByGroup","group":"co_zGroup"}}"#),
            Owner::OfGroup("co_zGroup".into())
        );
        assert_eq!(of(r#"{"ruleset":{"type":"unsafeAllowAll"}}"#), account(""));
        // Nobody escapes being counted by what he writes beside it.
        let strange = r#"{"meta":{"type":5,"a":"\ud800"},"uniqueness":"\u0000\udfff","ruleset":{"b":[1e999],"type":"group","group":7,"initialAdmin":"co_zAnn"}}"#;
        assert_eq!(of(strange), account("co_zAnn"));
        assert_eq!(of("{"), account(""));
        for name in ["x".repeat(5000), "\\u0000".into(), "\\ud800".into()] {
            assert_eq!(of(&format!(r#"{{"ruleset":{{"type":"group","initialAdmin":"{name}"}}}}"#)), account(""));
        }
    }

    #[test]
    fn what_is_stored_says_whose_it_is() {
        let header = r#"{"ruleset":{"type":"ownedByGroup","group":"co_zGroup"}}"#;
        let made =
            counted("INSERT INTO coValues (id, header) VALUES (?, ?) ", &[value("co_zX"), value(header)]).unwrap();
        assert_eq!(made.params[2..], [value("co_zGroup"), value("")]);
        assert_eq!(made.sql.matches('?').count(), made.params.len());
        let sql = "INSERT INTO sessions (coValue, sessionID, lastIdx, lastSignature, bytesSinceLastSignature) VALUES (?, ?, ?, ?, ?)";
        let of = |name: &str| {
            let params = [Value::Integer(7), value(name), Value::Integer(1), value("signature_z"), Value::Integer(9)];
            counted(sql, &params).unwrap()
        };
        let session = of("co_zAnn_session_zX");
        assert_eq!(session.params[5..], [value("co_zAnn"), Value::Integer(7)]);
        assert_eq!(session.sql.matches('?').count(), session.params.len());
        assert_eq!(of("sealer_z1/signer_z2_session_zX").params[5], Value::Null);
        let sql = "INSERT INTO transactions (ses, idx, tx) VALUES (?, ?, ?)";
        let transaction = counted(sql, &[Value::Integer(3), Value::Integer(0), value("{äöü}")]).unwrap();
        assert_eq!(transaction.adds, Some((3, 8)));
    }

    #[test]
    fn what_would_not_be_counted_is_not_stored() {
        assert!(counted("INSERT INTO coValues (header, id) VALUES (?, ?)", &[value("{}"), value("co_zX")]).is_err());
        assert!(counted("INSERT INTO transactions (idx, ses, tx) VALUES (?, ?)", &[Value::Integer(1)]).is_err());
        let other = "INSERT INTO signatureAfter (ses, idx, signature) VALUES (?, ?, ?)";
        assert!(counted(other, &[]).is_ok_and(|counted| counted.sql == other));
        assert!(counted("SELECT * FROM coValues WHERE id = ?", &[]).is_ok());
    }
}
