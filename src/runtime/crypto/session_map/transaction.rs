//! Transactions, in the two kinds of the protocol, and their canonical JSON, which is what gets hashed
//! and signed.
//!
//! Whatever the spelling that arrives, a transaction is written again with its fields in a fixed order,
//! without spaces and without unknown fields. `privacy` decides which kind it is, and a transaction with
//! a field of the other kind is refused: otherwise two readers could understand one signed text in two
//! ways. Texts are borrowed from the input wherever it holds them unescaped.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::CryptoError;
use super::super::encoding::push_json_string;

/// One transaction.
pub(super) enum Transaction<'a> {
    /// Encrypted with the read key named by `key_used`.
    Private { encrypted_changes: Text<'a>, key_used: Text<'a>, made_at: u64, meta: Option<Text<'a>> },
    /// Readable by all.
    Trusting { changes: Text<'a>, made_at: u64, meta: Option<Text<'a>> },
}

/// A text of a transaction.
pub(super) enum Text<'a> {
    /// It stood in JSON without escapes, so it can be written again as it is. This is what makes large
    /// batches fast.
    Verbatim(&'a str),
    /// It may need escapes.
    Plain(Cow<'a, str>),
}

/// Transactions in canonical JSON, one after the other without separators.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The JSON of all of them.
    pub(super) text: String,
    /// Where each one ends in `text`.
    pub(super) ends: Vec<usize>,
    /// Bytes of content, by which kept signatures are spaced.
    pub(super) size: usize,
}

impl Batch {
    /// Reads a JSON array of transactions.
    pub(super) fn parse(json: &str) -> Result<Self, CryptoError> {
        parse(json, "the list of transactions")
    }

    /// One transaction.
    pub(super) fn of(transaction: &Transaction<'_>) -> Self {
        let mut batch = Self::default();
        batch.push(transaction);
        batch
    }

    fn push(&mut self, transaction: &Transaction<'_>) {
        transaction.write(&mut self.text);
        self.ends.push(self.text.len());
        self.size = self.size.saturating_add(transaction.size());
    }
}

impl<'a> Transaction<'a> {
    /// Reads one transaction.
    pub(super) fn parse(json: &'a str) -> Result<Self, CryptoError> {
        parse(json, "the transaction")
    }

    /// Bytes of content.
    fn size(&self) -> usize {
        match self {
            Self::Private { encrypted_changes, .. } => encrypted_changes.len(),
            Self::Trusting { changes, .. } => changes.len(),
        }
    }

    /// Appends the canonical JSON.
    fn write(&self, out: &mut String) {
        let (made_at, meta, privacy) = match self {
            Self::Private { encrypted_changes, key_used, made_at, meta } => {
                out.push_str("{\"encryptedChanges\":");
                encrypted_changes.write(out);
                out.push_str(",\"keyUsed\":");
                key_used.write(out);
                (made_at, meta, "private")
            }
            Self::Trusting { changes, made_at, meta } => {
                out.push_str("{\"changes\":");
                changes.write(out);
                (made_at, meta, "trusting")
            }
        };
        out.push_str(",\"madeAt\":");
        out.push_str(&made_at.to_string());
        if let Some(meta) = meta {
            out.push_str(",\"meta\":");
            meta.write(out);
        }
        out.push_str(",\"privacy\":\"");
        out.push_str(privacy);
        out.push_str("\"}");
    }
}

fn parse<'de, T: Deserialize<'de>>(json: &'de str, what: &'static str) -> Result<T, CryptoError> {
    serde_json::from_str(json).map_err(|error| {
        // The parser's own words may quote the input, so only the place is passed on.
        let (line, column) = (error.line(), error.column());
        if error.is_data() {
            CryptoError::InvalidTransaction { line, column }
        } else {
            CryptoError::InvalidJson { what, line, column }
        }
    })
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Batch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of transactions")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Batch, A::Error> {
                let mut batch = Batch::default();
                while let Some(transaction) = list.next_element::<Transaction<'de>>()? {
                    batch.push(&transaction);
                }
                Ok(batch)
            }
        }

        deserializer.deserialize_seq(List)
    }
}

impl<'de> Deserialize<'de> for Transaction<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Transaction<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a transaction")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Transaction<'de>, A::Error> {
                let mut fields = Fields::default();
                while let Some(name) = object.next_key::<Text<'de>>()? {
                    match &*name {
                        "encryptedChanges" => fill(&mut fields.encrypted_changes, object.next_value()?)?,
                        "keyUsed" => fill(&mut fields.key_used, object.next_value()?)?,
                        "changes" => fill(&mut fields.changes, object.next_value()?)?,
                        "madeAt" => fill(&mut fields.made_at, object.next_value()?)?,
                        "meta" => fill(&mut fields.meta, object.next_value()?)?,
                        "privacy" => fill(&mut fields.privacy, object.next_value()?)?,
                        _ => {
                            object.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                fields.transaction().ok_or_else(|| A::Error::custom("not a transaction"))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The known fields of an object that may be a transaction.
#[derive(Default)]
struct Fields<'a> {
    encrypted_changes: Option<Text<'a>>,
    key_used: Option<Text<'a>>,
    changes: Option<Text<'a>>,
    made_at: Option<u64>,
    meta: Option<Option<Text<'a>>>,
    privacy: Option<Text<'a>>,
}

impl<'a> Fields<'a> {
    fn transaction(self) -> Option<Transaction<'a>> {
        let made_at = self.made_at?;
        let meta = self.meta.flatten();
        match (&*self.privacy?, self.encrypted_changes, self.key_used, self.changes) {
            ("private", Some(encrypted_changes), Some(key_used), None) => {
                Some(Transaction::Private { encrypted_changes, key_used, made_at, meta })
            }
            ("trusting", None, None, Some(changes)) => Some(Transaction::Trusting { changes, made_at, meta }),
            _ => None,
        }
    }
}

/// Takes a field's value, once.
fn fill<T, E: serde::de::Error>(slot: &mut Option<T>, value: T) -> Result<(), E> {
    if slot.replace(value).is_some() {
        return Err(E::custom("a field twice"));
    }
    Ok(())
}

impl Text<'_> {
    /// Appends the text as a JSON string.
    fn write(&self, out: &mut String) {
        match self {
            Self::Verbatim(text) => {
                out.push('"');
                out.push_str(text);
                out.push('"');
            }
            Self::Plain(text) => push_json_string(out, text),
        }
    }

    pub(super) fn into_string(self) -> String {
        match self {
            Self::Verbatim(text) => text.to_owned(),
            Self::Plain(text) => text.into_owned(),
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Verbatim(text) => text,
            Self::Plain(text) => text,
        }
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::Plain(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Plain(Cow::Owned(text))
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text::Verbatim(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text::from(text.to_owned()))
            }
        }

        deserializer.deserialize_str(Words)
    }
}
