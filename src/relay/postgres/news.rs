//! What relays on one database tell each other: which CoValues they have stored something of.
//!
//! Sent with `NOTIFY` and heard with `LISTEN`. Nothing depends on its arrival: engines look now and then whether the database
//! has more than they know.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::AsyncMessage;

use super::session::Session;
use super::{Database, in_words};

/// The name under which news are told.
const CHANNEL: &str = "caro_stored";
/// How many ids go into one message; the database takes 8,000 bytes.
const IDS: usize = 100;
/// What passes before a lost connection is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the connection is tried where nothing is said.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// The news of other relays, and a way to tell them ours.
pub(crate) struct News {
    tell: mpsc::UnboundedSender<Vec<String>>,
}

impl News {
    /// Begins to listen, on the database's runtime. `hear` is told what others stored, or nothing where something may have
    /// been missed.
    pub(crate) fn listen(
        database: Arc<Database>,
        hear: impl Fn(Option<Vec<String>>) + Clone + Send + Sync + 'static,
    ) -> Self {
        let (tell, mut told) = mpsc::unbounded_channel::<Vec<String>>();
        let own = uuid::Uuid::new_v4().simple().to_string();
        database.runtime.clone().spawn(async move {
            let mut is_away = false;
            loop {
                let heard = {
                    let (own, hear) = (own.clone(), hear.clone());
                    move |message| {
                        if let AsyncMessage::Notification(news) = message
                            && let Some((from, ids)) = news.payload().split_once(' ')
                            && from != own
                        {
                            hear(Some(ids.split(' ').map(str::to_owned).collect()));
                        }
                    }
                };
                match Session::open(&database, heard).await {
                    Ok(session) => {
                        is_away = false;
                        if let Err(error) = session.client().batch_execute(&format!("LISTEN {CHANNEL}")).await {
                            tracing::warn!("the database passes on no news: {}", in_words(&error));
                        }
                        hear(None);
                        if pass_on(&session, &own, &mut told).await.is_none() {
                            return;
                        }
                    }
                    Err(reason) => {
                        if !std::mem::replace(&mut is_away, true) {
                            tracing::warn!("the database cannot be reached: {reason}");
                        }
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { tell }
    }

    /// Tells other relays what was stored here.
    pub(crate) fn tell(&self, ids: Vec<String>) {
        // Fails only where the relay is stopping.
        let _ = self.tell.send(ids);
    }
}

/// Tells others what there is to tell until the connection is lost; none where there will be nothing any more.
async fn pass_on(session: &Session, own: &str, told: &mut mpsc::UnboundedReceiver<Vec<String>>) -> Option<()> {
    loop {
        let ids = match tokio::time::timeout(ASK_EVERY, told.recv()).await {
            Ok(ids) => ids?,
            Err(_) => Vec::new(),
        };
        let mut sent = session.client().batch_execute("").await;
        for ids in ids.chunks(IDS) {
            let payload = format!("{own} {}", ids.join(" "));
            sent = session.client().execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &payload]).await.map(drop);
        }
        if sent.is_err() {
            return Some(());
        }
    }
}
