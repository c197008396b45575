//! What relays on one database tell each other: which CoValues they have stored something of, and which they have erased.
//!
//! Sent with `NOTIFY` and heard with `LISTEN`. Nothing depends on its arrival: engines look now and then whether the database
//! has more than they know, or less.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::AsyncMessage;

use super::session::Session;
use super::{Database, in_words};

/// What happened to CoValues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    /// There is more of them in the database.
    Stored,
    /// They are not in it any more.
    Erased,
}

impl Happened {
    const ALL: [Self; 2] = [Self::Stored, Self::Erased];

    /// The name under which it is told.
    fn channel(self) -> &'static str {
        match self {
            Self::Stored => "caro_stored",
            Self::Erased => "caro_erased",
        }
    }
}

/// How many ids go into one message; the database takes 8,000 bytes.
const IDS: usize = 100;
/// What passes before a lost connection is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the connection is tried where nothing is said.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// The news of other relays, and a way to tell them ours.
pub(crate) struct News {
    tell: mpsc::UnboundedSender<(Happened, Vec<String>)>,
}

impl News {
    /// Begins to listen, on the database's runtime. `hear` is told what others did, or nothing where something may have
    /// been missed.
    pub(crate) fn listen(
        database: Arc<Database>,
        hear: impl Fn(Option<(Happened, Vec<String>)>) + Clone + Send + Sync + 'static,
    ) -> Self {
        let (tell, mut told) = mpsc::unbounded_channel();
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
                            && let Some(happened) = Happened::ALL.into_iter().find(|it| it.channel() == news.channel())
                        {
                            hear(Some((happened, ids.split(' ').map(str::to_owned).collect())));
                        }
                    }
                };
                match Session::open(&database, heard).await {
                    Ok(session) => {
                        is_away = false;
                        let listen = Happened::ALL.map(|happened| format!("LISTEN {}", happened.channel())).join("; ");
                        if let Err(error) = session.client().batch_execute(&listen).await {
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

    /// Tells other relays what happened here.
    pub(crate) fn tell(&self, happened: Happened, ids: Vec<String>) {
        // Fails only where the relay is stopping.
        let _ = self.tell.send((happened, ids));
    }
}

/// Tells others what there is to tell until the connection is lost; none where there will be nothing any more.
async fn pass_on(
    session: &Session,
    own: &str,
    told: &mut mpsc::UnboundedReceiver<(Happened, Vec<String>)>,
) -> Option<()> {
    loop {
        let (happened, ids) = match tokio::time::timeout(ASK_EVERY, told.recv()).await {
            Ok(news) => news?,
            Err(_) => (Happened::Stored, Vec::new()),
        };
        let mut sent = session.client().batch_execute("").await;
        for ids in ids.chunks(IDS) {
            let payload = format!("{own} {}", ids.join(" "));
            let channel = happened.channel();
            sent = session.client().execute("SELECT pg_notify($1, $2)", &[&channel, &payload]).await.map(drop);
        }
        if sent.is_err() {
            return Some(());
        }
    }
}
