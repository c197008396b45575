//! The list of invitations in the database: one for all relays that use it.
//!
//! A relay asks it through a connection of its own whenever somebody comes, so that what was taken back lets nobody in any
//! more; those who are connected it reviews when it sees that the number of revocations has changed.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::session::{Session, Trouble};
use super::{Database, in_words};
use crate::relay::access::Hash;
use crate::relay::accounts::{AccountsError, Invitation, today};

/// How often something is tried that meets others, or a connection that is lost.
const ATTEMPTS: u32 = 5;
/// Columns of an [`Invitation`].
const COLUMNS: &str = "label, account, created_day, seen_day, revoked";

/// The list.
pub(in crate::relay) struct Invitations(Arc<Desk>);

/// Where it is asked for.
struct Desk {
    database: Arc<Database>,
    session: Mutex<Option<Arc<Session>>>,
}

type Param<'a> = (&'a (dyn ToSql + Sync), Type);

impl Invitations {
    pub(in crate::relay) fn of(database: Arc<Database>) -> Self {
        Self(Arc::new(Desk { database, session: Mutex::default() }))
    }

    /// Notes an invitation with this token, and the account that it is for; its label.
    pub(in crate::relay) async fn invite(
        &self,
        label: Option<&str>,
        account: Option<&str>,
        token: &Hash,
    ) -> Result<String, AccountsError> {
        let mut attempt = 1;
        loop {
            let wanted = match label {
                Some(label) => label.to_owned(),
                None => format!("guest-{}", self.next().await?),
            };
            if self.note(&wanted, account, token).await? {
                return Ok(wanted);
            }
            // Somebody else may have taken the same number.
            if label.is_some() || attempt == ATTEMPTS {
                return Err(AccountsError::LabelTaken(wanted));
            }
            attempt += 1;
        }
    }

    /// A number that no invitation has yet.
    async fn next(&self) -> Result<i64, AccountsError> {
        let rows = self.0.ask("SELECT COALESCE(MAX(id), 0) + 1 FROM caro_invitations", &[]).await?;
        number(&rows)
    }

    /// Whether the label could be had.
    async fn note(&self, label: &str, account: Option<&str>, token: &Hash) -> Result<bool, AccountsError> {
        // Where the connection was lost after all was done, it is the same one the second time.
        let sql = "INSERT INTO caro_invitations (token, label, account, created_day) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (label) DO UPDATE SET token = excluded.token
                   WHERE caro_invitations.token = excluded.token RETURNING label";
        let params: [Param<'_>; 4] =
            [(&token.as_slice(), Type::BYTEA), (&label, Type::TEXT), (&account, Type::TEXT), (&today(), Type::INT8)];
        Ok(!self.0.ask(sql, &params).await?.is_empty())
    }

    /// All invitations, the oldest first.
    pub(in crate::relay) async fn list(&self) -> Result<Vec<Invitation>, AccountsError> {
        read(&self.0.ask(&format!("SELECT {COLUMNS} FROM caro_invitations ORDER BY id"), &[]).await?)
    }

    /// Takes back the invitation of this label, or all those of this account; relays see by a number that they have to look.
    pub(in crate::relay) async fn revoke(&self, who: &str, erase: bool) -> Result<Vec<Invitation>, AccountsError> {
        let sql = format!(
            "WITH turn AS (
                 UPDATE caro_relay SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE key = 'revocations'
                 RETURNING CAST(value AS BIGINT) AS number
             )
             UPDATE caro_invitations SET
                 revoked = TRUE,
                 erase = erase OR ($2 AND account IS NOT NULL),
                 erasure = CASE WHEN $2 AND account IS NOT NULL THEN turn.number ELSE erasure END
             FROM turn WHERE label = $1 OR account = $1 RETURNING {COLUMNS}"
        );
        let meant = read(&self.0.ask(&sql, &[(&who, Type::TEXT), (&erase, Type::BOOL)]).await?)?;
        if meant.is_empty() { Err(AccountsError::Unknown(who.into())) } else { Ok(meant) }
    }

    /// The accounts that nobody has erased yet, and those that were to be erased after a version.
    pub(in crate::relay) async fn to_erase(&self, followed: Option<i64>) -> Result<Vec<String>, AccountsError> {
        let sql = "SELECT DISTINCT account FROM caro_invitations WHERE account IS NOT NULL AND (erase OR erasure > $1)";
        let rows = self.0.ask(sql, &[(&followed.unwrap_or(i64::MAX), Type::INT8)]).await?;
        rows.iter().map(|row| row.try_get(0).map_err(failed)).collect()
    }

    /// Notes that an account was erased.
    pub(in crate::relay) async fn erased(&self, account: &str) -> Result<(), AccountsError> {
        let sql = "UPDATE caro_invitations SET erase = FALSE WHERE account = $1";
        self.0.ask(sql, &[(&account, Type::TEXT)]).await.map(drop)
    }

    /// The invitation of a token, while it counts.
    pub(in crate::relay) async fn find(&self, token: &Hash) -> Result<Option<Invitation>, AccountsError> {
        let sql = format!("SELECT {COLUMNS} FROM caro_invitations WHERE token = $1 AND NOT revoked");
        Ok(read(&self.0.ask(&sql, &[(&token.as_slice(), Type::BYTEA)]).await?)?.pop())
    }

    /// Has it noted that somebody came with a token today. Nobody waits for that, and nothing depends on it.
    pub(in crate::relay) fn seen(&self, token: &Hash) {
        let (desk, token) = (self.0.clone(), *token);
        self.0.database.runtime.spawn(async move {
            let sql = "UPDATE caro_invitations SET seen_day = $2 WHERE token = $1";
            let noted = desk.ask(sql, &[(&token.as_slice(), Type::BYTEA), (&today(), Type::INT8)]).await;
            noted.inspect_err(|error| tracing::debug!(%error, "it is not noted who came today"))
        });
    }

    /// Which of these tokens are of invitations that count.
    pub(in crate::relay) async fn counting(&self, tokens: &HashSet<Hash>) -> Result<HashSet<Hash>, AccountsError> {
        let all: Vec<&[u8]> = tokens.iter().map(Hash::as_slice).collect();
        let sql = "SELECT token FROM caro_invitations WHERE token = ANY($1) AND NOT revoked";
        let rows = self.0.ask(sql, &[(&all, Type::BYTEA_ARRAY)]).await?;
        let token = |row: &Row| row.try_get::<_, &[u8]>(0).map(|token| Hash::try_from(token).ok()).map_err(failed);
        rows.iter().filter_map(|row| token(row).transpose()).collect()
    }

    /// Whether an account may write with a token. Two relays that ask at the same moment have one after the other the row
    /// to themselves, and so one account gets it.
    pub(in crate::relay) fn claim(&self, token: &Hash, account: &str) -> Result<bool, AccountsError> {
        let (desk, token, account) = (self.0.clone(), *token, account.to_owned());
        let claimed = self.0.database.wait(async move {
            let sql = "UPDATE caro_invitations SET account = $2
                       WHERE token = $1 AND NOT revoked AND (account IS NULL OR account = $2) RETURNING id";
            desk.ask(sql, &[(&token.as_slice(), Type::BYTEA), (&account, Type::TEXT)]).await
        });
        Ok(!claimed.map_err(|reason| AccountsError::Database(reason.into()))??.is_empty())
    }

    /// How often something was taken back.
    pub(in crate::relay) async fn version(&self) -> Result<i64, AccountsError> {
        number(&self.0.ask("SELECT CAST(value AS BIGINT) FROM caro_relay WHERE key = 'revocations'", &[]).await?)
    }
}

impl Desk {
    /// Asks for something that may be asked for twice.
    async fn ask(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, AccountsError> {
        let mut attempt = 1;
        loop {
            let session = self.session().await.map_err(AccountsError::Database)?;
            let error = match session.client().query_typed(sql, params).await {
                Ok(rows) => return Ok(rows),
                Err(error) => error,
            };
            if attempt == ATTEMPTS || matches!(Trouble::of(&error), Trouble::Other) {
                return Err(failed(error));
            }
            attempt += 1;
        }
    }

    /// The connection, or a new one where it was lost.
    async fn session(&self) -> Result<Arc<Session>, String> {
        let mut kept = self.session.lock().await;
        if let Some(session) = kept.as_ref().filter(|session| !session.is_closed()) {
            return Ok(session.clone());
        }
        let session = Arc::new(Session::aside(&self.database).await?);
        *kept = Some(session.clone());
        Ok(session)
    }
}

fn failed(error: tokio_postgres::Error) -> AccountsError {
    AccountsError::Database(in_words(&error))
}

fn number(rows: &[Row]) -> Result<i64, AccountsError> {
    match rows.first() {
        Some(row) => row.try_get(0).map_err(failed),
        None => Err(AccountsError::Database("its tables are not those of a relay".into())),
    }
}

fn read(rows: &[Row]) -> Result<Vec<Invitation>, AccountsError> {
    let invitation = |row: &Row| {
        Ok(Invitation {
            label: row.try_get(0)?,
            account: row.try_get(1)?,
            created_day: row.try_get(2)?,
            seen_day: row.try_get(3)?,
            revoked: row.try_get(4)?,
        })
    };
    rows.iter().map(invitation).collect::<Result<_, _>>().map_err(failed)
}
