//! Who may use a relay: everybody, or those who know a token; and from which web pages.
//!
//! A token stands in the address (`wss://relay.example/TOKEN`, or `?token=TOKEN`) or in a header
//! (`Authorization: Bearer TOKEN`). Only hashes of tokens are kept and compared, in a time that does not depend on them.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::http::{HeaderMap, Uri};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::RelayError;

/// A shorter token could be guessed.
const SHORTEST: usize = 16;

type Hash = [u8; 32];

/// The rules of admission.
pub(super) struct Access {
    file: Option<PathBuf>,
    tokens: RwLock<Vec<Hash>>,
    origins: Vec<String>,
}

impl Access {
    /// Reads the tokens from a file, one in a line; without one, everybody is admitted. `origins` are the web sites whose
    /// pages may connect; without any, all may.
    pub(super) fn load(file: Option<PathBuf>, origins: Vec<String>) -> Result<Self, RelayError> {
        let tokens = file.as_deref().map(read).transpose().map_err(RelayError::Tokens)?.unwrap_or_default();
        Ok(Self { file, tokens: RwLock::new(tokens), origins })
    }

    /// Reads the tokens again. Where the file cannot be used, those that were read before stay.
    pub(super) fn renew(&self) {
        let Some(file) = &self.file else { return };
        match read(file) {
            Ok(tokens) => *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens,
            Err(reason) => tracing::error!("{reason}; the tokens that were read before go on"),
        }
    }

    /// Whether a request carries a token, where one is needed. `path` is what follows the relay's own path.
    pub(super) fn admits(&self, path: &str, uri: &Uri, headers: &HeaderMap) -> bool {
        if self.file.is_none() {
            return true;
        }
        let in_path = path.trim_matches('/');
        let in_query = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("token="));
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let mut known = Choice::from(0);
        for given in in_query.chain([in_path]).chain(bearer) {
            let given = hash(given.trim());
            for token in tokens.iter() {
                known |= token.ct_eq(&given);
            }
        }
        known.into()
    }

    /// Whether a request is from a web page that may connect, or from no web page.
    pub(super) fn admits_origin(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        self.origins.is_empty() || self.origins.iter().any(|allowed| origin.as_bytes() == allowed.as_bytes())
    }
}

/// The tokens of a file, or what is wrong with it.
fn read(file: &Path) -> Result<Vec<Hash>, String> {
    let text = zeroize::Zeroizing::new(
        std::fs::read_to_string(file).map_err(|_| format!("{} cannot be read", file.display()))?,
    );
    let mut tokens = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // Others would have to be escaped in an address.
        let plain = line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        if !plain || line.len() < SHORTEST {
            return Err(format!(
                "line {} of {} is no token: it needs at least {SHORTEST} letters, digits, or any of - . _ ~",
                number + 1,
                file.display()
            ));
        }
        tokens.push(hash(line));
    }
    if tokens.is_empty() { Err(format!("there is no token in {}", file.display())) } else { Ok(tokens) }
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef-XYZ";

    fn access(text: &str) -> Result<Access, RelayError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Access::load(Some(file.path().to_owned()), Vec::new())
    }

    fn bearer(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
    }

    #[test]
    fn a_token_counts_in_the_path_the_query_and_the_header() {
        let access = access(&format!("# for me\nanother-token-of-mine\n{TOKEN}\n")).unwrap();
        let admits = |path: &str, uri: &str, headers: &HeaderMap| access.admits(path, &uri.parse().unwrap(), headers);
        let none = HeaderMap::new();
        assert!(admits(&format!("/{TOKEN}"), "/", &none) && admits(&format!("/{TOKEN}/"), "/", &none));
        assert!(admits("/", &format!("/?a=b&token={TOKEN}"), &none));
        assert!(admits("/", "/", &bearer(TOKEN)));
        assert!(!admits("/", "/", &none) && !admits("/0123456789abcdef", "/?token=", &bearer("another")));
    }

    #[test]
    fn a_file_that_would_admit_by_chance_is_refused() {
        for text in ["", "# nothing\n", "short\n", "has a space in the middle\n", "percent%20encoded%20one\n"] {
            assert!(access(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_kept_out_where_sites_are_named() {
        let from = |origin: &str| HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap())]);
        let all = Access::load(None, Vec::new()).unwrap();
        let one = Access::load(None, vec!["https://app.example".into()]).unwrap();
        assert!(all.admits_origin(&from("https://evil.example")) && one.admits_origin(&HeaderMap::new()));
        assert!(one.admits_origin(&from("https://app.example")) && !one.admits_origin(&from("https://evil.example")));
    }
}
