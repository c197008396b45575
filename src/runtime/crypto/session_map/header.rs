//! The header of a CoValue: which ones the protocol allows, their canonical JSON, and the id that
//! follows from it.
//!
//! Canonical means: the known fields only, keys sorted at every level, no spaces. An absent `createdAt`
//! and one that is null are different headers with different ids.

use serde_json::{Map, Value};

use super::super::CryptoError;
use super::super::encoding::{CO_ID, push_json_string};
use super::super::hash::short_hash_as;

/// Reads a header and writes it canonically. `strict` also refuses what only a trusted source may have.
pub(super) fn canonical(header_json: &str, strict: bool) -> Result<String, CryptoError> {
    let header: Value = serde_json::from_str(header_json).map_err(|error| CryptoError::InvalidJson {
        what: "the header",
        line: error.line(),
        column: error.column(),
    })?;
    let Value::Object(header) = header else {
        return Err(invalid("it must be an object"));
    };
    let mut known = Map::new();
    match header.get("createdAt") {
        None => {}
        Some(created_at @ (Value::Null | Value::String(_))) => {
            known.insert("createdAt".into(), created_at.clone());
        }
        Some(_) => return Err(invalid("createdAt must be a string or null")),
    }
    known.insert("meta".into(), header.get("meta").cloned().unwrap_or(Value::Null));
    known.insert("ruleset".into(), Value::Object(ruleset(header.get("ruleset"))?));
    match header.get("type") {
        Some(kind @ Value::String(_)) => known.insert("type".into(), kind.clone()),
        _ => return Err(invalid("type must be a string")),
    };
    known.insert("uniqueness".into(), uniqueness(header.get("uniqueness"), strict)?);
    let mut out = String::with_capacity(header_json.len());
    push_sorted(&mut out, &Value::Object(known));
    Ok(out)
}

/// The id of the CoValue with this canonical header.
pub(super) fn id(canonical_header: &str) -> String {
    short_hash_as(&CO_ID, canonical_header)
}

/// The known fields of a ruleset.
fn ruleset(ruleset: Option<&Value>) -> Result<Map<String, Value>, CryptoError> {
    let text = |name: &str| ruleset.and_then(|ruleset| ruleset.get(name)).and_then(Value::as_str);
    let mut known = Map::new();
    match text("type") {
        Some("group") => {
            let admin = text("initialAdmin").ok_or(invalid("a group's ruleset names its initialAdmin"))?;
            known.insert("initialAdmin".into(), admin.into());
            known.insert("type".into(), "group".into());
        }
        Some("ownedByGroup") => {
            let group = text("group").ok_or(invalid("an owned CoValue's ruleset names its group"))?;
            known.insert("group".into(), group.into());
            match ruleset.and_then(|ruleset| ruleset.get("restrictDeletion")) {
                None | Some(Value::Null) => {}
                Some(restricted @ Value::Bool(_)) => {
                    known.insert("restrictDeletion".into(), restricted.clone());
                }
                Some(_) => return Err(invalid("restrictDeletion must be true or false")),
            }
            known.insert("type".into(), "ownedByGroup".into());
        }
        Some("unsafeAllowAll") => {
            known.insert("type".into(), "unsafeAllowAll".into());
        }
        _ => return Err(invalid("its ruleset is of no known type")),
    }
    Ok(known)
}

/// The uniqueness: a string, a boolean, an integer, null, or an object of strings.
fn uniqueness(uniqueness: Option<&Value>, strict: bool) -> Result<Value, CryptoError> {
    let uniqueness = uniqueness.ok_or(invalid("it must have a uniqueness"))?;
    let allowed = match uniqueness {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => number.is_i64(),
        Value::Object(fields) => fields.iter().all(|(name, value)| value.is_string() && !(strict && name.is_empty())),
        Value::Array(_) => false,
    };
    if !allowed {
        return Err(invalid("its uniqueness must be text, a truth value, an integer, null, or an object of texts"));
    }
    Ok(uniqueness.clone())
}

fn invalid(reason: &'static str) -> CryptoError {
    CryptoError::InvalidHeader { reason }
}

/// Appends a value with the keys of its objects sorted. The depth is bounded by the parser's limit.
fn push_sorted(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => push_json_string(out, text),
        Value::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_sorted(out, value);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (at, (name, value)) in fields.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_json_string(out, name);
                out.push(':');
                push_sorted(out, value);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}
