//! Who may use a relay: everybody, those who know a token, or those who were invited; and from which web pages.
//!
//! A token stands in the address (`wss://relay.example/TOKEN`, or `?token=TOKEN`) or in a header
//! (`Authorization: Bearer TOKEN`). Only hashes of tokens are kept and compared: shared ones in a time that does not depend
//! on them, those of invitations by looking them up, which tells nobody anything about 32 random bytes.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::http::{HeaderMap, Uri};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::RelayError;
use super::accounts::Accounts;
use super::refusal::Refusal;
use crate::runtime::protocol::MayWrite;

/// A shorter token could be guessed.
const SHORTEST: usize = 16;

pub(super) type Hash = [u8; 32];

/// Who may use a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessRule {
    /// Everybody who reaches it.
    Open,
    /// Who knows one of the tokens in this file.
    Tokens(PathBuf),
    /// Who was invited, each with an account of his own.
    Accounts,
}

/// What a connection was let in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pass {
    /// Nothing: everybody is, or it came through the socket of this user.
    None,
    /// A token that several may share.
    Token(Hash),
    /// The token of an invitation.
    Invitation(Hash),
}

enum Rule {
    Open,
    Tokens { file: PathBuf, tokens: RwLock<Vec<Hash>> },
    Accounts(Accounts),
}

/// The rules of admission.
pub(super) struct Access {
    rule: Rule,
    origins: Vec<String>,
}

impl Access {
    /// Reads what is needed to tell who may come in. `list` opens the list of invitations; `origins` are the web sites whose
    /// pages may connect; without any, all may.
    pub(super) fn load(
        rule: AccessRule,
        list: impl FnOnce() -> Result<Accounts, RelayError>,
        origins: Vec<String>,
    ) -> Result<Self, RelayError> {
        let rule = match rule {
            AccessRule::Open => Rule::Open,
            AccessRule::Tokens(file) => {
                let tokens = RwLock::new(read(&file).map_err(RelayError::Tokens)?);
                Rule::Tokens { file, tokens }
            }
            AccessRule::Accounts => Rule::Accounts(list()?),
        };
        Ok(Self { rule, origins })
    }

    /// The rule's name, as the settings have it.
    pub(super) fn name(&self) -> &'static str {
        match self.rule {
            Rule::Open => "open",
            Rule::Tokens { .. } => "token",
            Rule::Accounts(_) => "accounts",
        }
    }

    /// The list of invitations, where that is what counts.
    pub(super) fn accounts(&self) -> Option<&Accounts> {
        match &self.rule {
            Rule::Accounts(accounts) => Some(accounts),
            _ => None,
        }
    }

    /// Reads the tokens again. Where the file cannot be used, those that were read before stay.
    pub(super) fn renew(&self) {
        let Rule::Tokens { file, tokens } = &self.rule else { return };
        match read(file) {
            Ok(renewed) => *tokens.write().unwrap_or_else(PoisonError::into_inner) = renewed,
            Err(reason) => tracing::error!("{reason}; the tokens that were read before go on"),
        }
    }

    /// What a request is let in with, and who may write then. `path` is what follows the relay's own path.
    pub(super) async fn admit(&self, path: &str, uri: &Uri, headers: &HeaderMap) -> Result<(Pass, MayWrite), Refusal> {
        let in_path = path.trim_matches('/');
        // One, or an address with thousands of them would be a thousand questions.
        let in_query = uri.query().unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("token="));
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        let given = in_query.into_iter().chain([in_path]).chain(bearer).filter(|given| !given.is_empty());
        let given = given.map(str::trim);
        match &self.rule {
            Rule::Open => Ok((Pass::None, MayWrite::Anyone)),
            Rule::Tokens { tokens, .. } => {
                let tokens = tokens.read().unwrap_or_else(PoisonError::into_inner);
                let mut found = None;
                for given in given.map(hash) {
                    if is_one_of(&tokens, &given) {
                        found = Some((Pass::Token(given), MayWrite::Anyone));
                    }
                }
                found.ok_or(Refusal::Token)
            }
            Rule::Accounts(accounts) => {
                // Each is a question, to a database perhaps.
                let given: Vec<Hash> = given.filter(|given| Accounts::is_token(given)).map(hash).collect();
                for given in given {
                    match accounts.come(&given).await {
                        Ok(None) => {}
                        Ok(Some(found)) => return Ok((Pass::Invitation(given), MayWrite::Account(found.account))),
                        Err(error) => {
                            tracing::error!("{error}");
                            return Err(Refusal::Unknown);
                        }
                    }
                }
                Err(Refusal::Token)
            }
        }
    }

    /// Which of those count no more that connections were let in with; none where that cannot be found out now.
    pub(super) async fn outdated(&self, passes: HashSet<Pass>) -> Option<HashSet<Pass>> {
        match &self.rule {
            Rule::Open => Some(HashSet::new()),
            Rule::Tokens { tokens, .. } => {
                let tokens = tokens.read().unwrap_or_else(PoisonError::into_inner);
                let counts = |pass: &Pass| !matches!(pass, Pass::Token(token) if !is_one_of(&tokens, token));
                Some(passes.into_iter().filter(|pass| !counts(pass)).collect())
            }
            Rule::Accounts(accounts) => {
                let token = |pass: &Pass| match pass {
                    Pass::Invitation(token) => Some(*token),
                    Pass::None | Pass::Token(_) => None,
                };
                let tokens: HashSet<Hash> = passes.iter().filter_map(token).collect();
                if tokens.is_empty() {
                    return Some(HashSet::new());
                }
                match accounts.counting(&tokens).await {
                    Ok(counting) => Some(tokens.difference(&counting).copied().map(Pass::Invitation).collect()),
                    Err(error) => {
                        tracing::error!("{error}");
                        None
                    }
                }
            }
        }
    }

    /// Whether an account may write with what a connection was let in with; the invitation is for it from now on. Not for the
    /// thread of the network: it may wait for a database.
    pub(super) fn claim(&self, pass: &Pass, account: &str) -> bool {
        match (&self.rule, pass) {
            (Rule::Accounts(accounts), Pass::Invitation(token)) => match accounts.claim(token, account) {
                Ok(may) => may,
                Err(error) => {
                    tracing::error!("{error}");
                    false
                }
            },
            _ => true,
        }
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

fn is_one_of(tokens: &[Hash], given: &Hash) -> bool {
    tokens.iter().fold(Choice::from(0), |known, token| known | token.ct_eq(given)).into()
}

pub(super) fn hash(text: &str) -> Hash {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    const TOKEN: &str = "0123456789abcdef-XYZ";

    fn access(text: &str) -> Result<Access, RelayError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Access::load(AccessRule::Tokens(file.path().to_owned()), || Err(RelayError::Nowhere), Vec::new())
    }

    fn open(origins: Vec<String>) -> Access {
        Access::load(AccessRule::Open, || Err(RelayError::Nowhere), origins).unwrap()
    }

    fn bearer(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
    }

    #[test]
    fn a_token_counts_in_the_path_the_query_and_the_header() {
        let access = access(&format!("# for me\nanother-token-of-mine\n{TOKEN}\n")).unwrap();
        let admits = |path: &str, uri: &str, headers: &HeaderMap| {
            block_on(access.admit(path, &uri.parse().unwrap(), headers)).is_ok()
        };
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
    fn an_invitation_counts_until_it_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let list = || Ok(Accounts::in_folder(folder.path())?);
        let access = Access::load(AccessRule::Accounts, list, Vec::new()).unwrap();
        let accounts = access.accounts().unwrap();
        let (_, token) = block_on(accounts.invite(Some("ann"), None)).unwrap();
        let admit = || block_on(access.admit(&format!("/{token}"), &"/".parse().unwrap(), &HeaderMap::new()));
        let (pass, may_write) = admit().unwrap();
        let outdated = || block_on(access.outdated(HashSet::from([pass, Pass::None]))).unwrap();
        assert_eq!(may_write, MayWrite::Account(None));
        assert!(access.claim(&pass, "co_zAnn") && !access.claim(&pass, "co_zBob"));
        assert_eq!(admit().unwrap().1, MayWrite::Account(Some("co_zAnn".into())));
        assert!(outdated().is_empty());
        block_on(accounts.revoke("ann", false)).unwrap();
        assert!(outdated() == HashSet::from([pass]) && !access.claim(&pass, "co_zAnn"));
        assert_eq!(admit(), Err(Refusal::Token));
    }

    #[test]
    fn pages_of_other_sites_are_kept_out_where_sites_are_named() {
        let from = |origin: &str| HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap())]);
        let (all, one) = (open(Vec::new()), open(vec!["https://app.example".into()]));
        assert!(all.admits_origin(&from("https://evil.example")) && one.admits_origin(&HeaderMap::new()));
        assert!(one.admits_origin(&from("https://app.example")) && !one.admits_origin(&from("https://evil.example")));
    }
}
