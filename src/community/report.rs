//! A report, and what takes it back: each signed by a key that is used for this one report only.
//!
//! The signature is what makes a revocation possible without anybody having to be known: whoever can sign with the key of a report
//! has sent it. The key is random, stays on the device, and says nothing about any other report.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::noise::{NoRandom, Random, tell};
use super::questions::Question;
use super::wire::{self, FORMAT, Malformed, hex};
use super::work;

/// What a signature is over begins with one of these, and a zero byte.
const REPORT: &str = "caro-community/1/report";
const REVOKE: &str = "caro-community/1/revoke";

/// The secret key of one report.
pub struct Key(SigningKey);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// Where the system gives no random data.
    pub fn generate() -> Result<Self, NoRandom> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_| NoRandom)?;
        Ok(Self::from_seed(&seed))
    }

    /// The key that a seed makes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed that makes it, to be kept until the report is revoked.
    #[must_use]
    pub fn expose_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The seed as text, as it is kept.
    #[must_use]
    pub fn expose_seed_text(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.expose_seed().as_slice()))
    }

    /// The key of such a text.
    #[must_use]
    pub fn from_seed_text(text: &str) -> Option<Self> {
        hex::decode::<32>(text).map(Zeroizing::new).map(|seed| Self::from_seed(&seed))
    }

    /// Its public half.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(self.0.verifying_key().to_bytes())
    }
}

/// The public key of a report: its only name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 32]);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl KeyId {
    fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        // Strictly: a weak key, under which anything is signed, is nobody's.
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

/// A report: one answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The question.
    pub question: &'static Question,
    /// The place of the answer in the question's list: what the die said.
    pub answer: usize,
    /// Whose it is.
    pub key: KeyId,
    signature: [u8; 64],
    work: u64,
}

/// A report as it is written; the order of the fields is part of the format.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportJson<'a> {
    format: u32,
    question: std::borrow::Cow<'a, str>,
    answer: std::borrow::Cow<'a, str>,
    #[serde(with = "hex")]
    key: [u8; 32],
    #[serde(with = "hex")]
    signature: [u8; 64],
    #[serde(with = "hex")]
    work: [u8; 8],
}

impl Report {
    /// Throws the die for a question of which `truth` is true, signs what it says, and does the work.
    ///
    /// # Errors
    /// Where the system gives no random data.
    pub fn make(
        question: &'static Question,
        truth: usize,
        key: &Key,
        random: &mut impl Random,
    ) -> Result<Self, NoRandom> {
        let answer = tell(truth, question.answers.len(), random)?;
        let mut report = Self { question, answer, key: key.id(), signature: [0; 64], work: 0 };
        report.signature = key.0.sign(&report.message()).to_bytes();
        report.work = work::find(&report.digest(), random)?;
        Ok(report)
    }

    /// The answer, as the report names it.
    #[must_use]
    pub fn told(&self) -> &'static str {
        self.question.answers.get(self.answer).copied().unwrap_or_default()
    }

    /// The bytes that are sent.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        wire::write(&ReportJson {
            format: FORMAT,
            question: self.question.name.into(),
            answer: self.told().into(),
            key: self.key.0,
            signature: self.signature,
            work: self.work.to_be_bytes(),
        })
    }

    /// The report that these bytes are, if they are one in every respect. What costs least is looked at first.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let report = Self::read_unproven(bytes)?;
        if report.is_proven() { Ok(report) } else { Err(Malformed::Work) }
    }

    /// As [`Report::read`], but for the work, which costs the most to look at: see [`Report::is_proven`].
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read_unproven(bytes: &[u8]) -> Result<Self, Malformed> {
        let read: ReportJson<'_> = wire::read(bytes)?;
        let question = Question::named(&read.question).ok_or(Malformed::Unknown)?;
        let answer = question.answer(&read.answer).ok_or(Malformed::Unknown)?;
        let (key, work) = (KeyId(read.key), u64::from_be_bytes(read.work));
        let report = Self { question, answer, key, signature: read.signature, work };
        if !report.key.has_signed(&report.message(), &report.signature) {
            return Err(Malformed::Signature);
        }
        Ok(report)
    }

    /// Whether the work for it was done.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        work::holds(&self.digest(), self.work)
    }

    fn message(&self) -> Vec<u8> {
        message(REPORT, &[self.question.name, self.told()], self.key)
    }

    /// What the work is for: all but the work.
    fn digest(&self) -> [u8; 32] {
        let mut all = self.message();
        all.extend(self.signature);
        *blake3::hash(&all).as_bytes()
    }
}

/// What takes a report back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Whose report it takes back.
    pub key: KeyId,
    signature: [u8; 64],
}

/// A revocation as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevocationJson {
    format: u32,
    #[serde(with = "hex")]
    revoke: [u8; 32],
    #[serde(with = "hex")]
    signature: [u8; 64],
}

impl Revocation {
    /// Takes back the report of a key.
    #[must_use]
    pub fn make(key: &Key) -> Self {
        Self { key: key.id(), signature: key.0.sign(&message(REVOKE, &[], key.id())).to_bytes() }
    }

    /// The bytes that are sent.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        wire::write(&RevocationJson { format: FORMAT, revoke: self.key.0, signature: self.signature })
    }

    /// The revocation that these bytes are.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let RevocationJson { revoke, signature, .. } = wire::read(bytes)?;
        let read = Self { key: KeyId(revoke), signature };
        if read.key.has_signed(&message(REVOKE, &[], read.key), &read.signature) {
            Ok(read)
        } else {
            Err(Malformed::Signature)
        }
    }
}

/// What is signed: purpose and words, each ended by a zero byte, and the key.
fn message(purpose: &str, words: &[&str], key: KeyId) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    for word in std::iter::once(purpose).chain(words.iter().copied()) {
        message.extend(word.as_bytes());
        message.push(0);
    }
    message.extend(key.0);
    message
}

#[cfg(test)]
mod tests;
