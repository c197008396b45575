//! What each account has in the database, and what is in it altogether.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error};

use super::session::Session;
use super::{Database, in_words};
use crate::relay::holdings::Held;
use crate::relay::outside::Stored;

/// What each account has.
pub(in crate::relay) async fn holdings(database: &Database) -> Result<BTreeMap<String, Held>, String> {
    let session = Session::aside(database).await?;
    held(session.client()).await.map_err(|error| in_words(&error))
}

async fn held(client: &Client) -> Result<BTreeMap<String, Held>, Error> {
    let mut found: BTreeMap<String, Held> = BTreeMap::new();
    // Many rows: a statement may take longer than those of an engine.
    client.batch_execute("SET statement_timeout = 0").await?;
    let owned = r#"SELECT owner, COUNT(*) FROM "coValues" WHERE owner <> '' GROUP BY owner"#;
    for row in client.query(owned, &[]).await? {
        found.entry(row.try_get(0)?).or_default().values = row.try_get::<_, i64>(1)?.unsigned_abs();
    }
    let written = "SELECT author, CAST(SUM(bytes) AS BIGINT) FROM sessions WHERE author <> '' GROUP BY author";
    for row in client.query(written, &[]).await? {
        found.entry(row.try_get(0)?).or_default().bytes = row.try_get::<_, i64>(1)?.unsigned_abs();
    }
    for row in client.query("SELECT account, day FROM caro_used WHERE account <> ''", &[]).await? {
        if let Some(held) = found.get_mut(row.try_get::<_, &str>(0)?) {
            held.used_day = row.try_get(1)?;
        }
    }
    Ok(found)
}

/// What is in it. Through a connection of its own, since counting takes a while where there is much.
pub(in crate::relay) async fn stored(database: &Database) -> Result<Stored, String> {
    let session = Session::aside(database).await?;
    let client = session.client();
    let counted = async {
        let row = client
            .query_one(
                r#"SELECT (SELECT COUNT(*) FROM "coValues"), (SELECT COUNT(*) FROM "coValues" WHERE owner = id),
                          (SELECT COUNT(*) FROM "deletedCoValues" WHERE status = 1)"#,
                &[],
            )
            .await?;
        let number = |at| row.try_get::<_, i64>(at).map(i64::unsigned_abs);
        Ok::<_, Error>((number(0)?, number(1)?, number(2)?))
    };
    let (covalues, accounts, erased) = counted.await.map_err(|error| in_words(&error))?;
    // Not every database that speaks the protocol says how large it is.
    let size = client.query_one("SELECT pg_database_size(current_database())", &[]).await;
    let size = size.and_then(|row| row.try_get::<_, i64>(0)).ok().map(i64::unsigned_abs);
    Ok(Stored { covalues, accounts, erased, database_bytes: size, log_bytes: None })
}
