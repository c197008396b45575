//! What a relay answers over HTTP: WebSockets at its path, and whether it is well.
//!
//! | path | answer |
//! | --- | --- |
//! | the relay's path, and whatever follows it | a WebSocket of the Jazz protocol |
//! | `/health` | 200 while the engine does its work |
//! | `/ready` | 200 while it takes new connections: not while it is stopping, its database is away or its disk full |
//!
//! What is told to those who watch it is in `outside`.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::{Extensions, HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::{SinkExt, StreamExt};
use ipnet::IpNet;
use tokio::sync::{Semaphore, watch};

use super::access::{Access, Pass};
use super::arrivals::{Arrivals, Place};
use super::below::{Behind, Below};
use super::engines::Engines;
use super::gauge::{Gauge, Metered};
use super::inlet::Inlet;
use super::members::{Member, Members};
use super::outside::{self, Outside, Pseudonyms, State as Doing};
use super::pace::{Owner, Pace, Paces};
use super::postgres::Database;
use super::refusal::Refusal;
use super::room::Budget;
use super::sqlite::Log;
use super::upstream::Upstream;
use crate::net::{BELOW_HEADER, Frame, KeepAlive, MAX_FRAME_BYTES, WireMessage, frames_for};
use crate::runtime::protocol::{Accept, MayWrite};
use crate::runtime::{Ending, HangUp};
use crate::server::{Admission, Admitted, Client, ReadAhead, Stream, Via, answer, behind, nearest};

/// How long the isolate may take to greet a connection.
const GREETING: Duration = Duration::from_secs(30);
/// How long a client may take to read a sign of life.
const READING: Duration = Duration::from_secs(10);
/// After how long a silence a client hears that we are there: the SDK gives a relay up that is silent for ten seconds.
const KEEP_ALIVE: KeepAlive = KeepAlive { after: Duration::from_secs(4), text: ping };
/// How long saying good-bye may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// How much a WebSocket keeps room for: most say little.
pub(super) const READ_BUFFER: usize = 128;

/// What all answers share.
pub(super) struct Shared {
    pub engines: Arc<Engines>,
    /// The database that it shares with others, where there is one.
    pub database: Option<Arc<Database>>,
    /// What is on disk of its store, where that is a file.
    pub log: Option<Arc<Log>>,
    /// The relays below.
    pub below: Arc<Below>,
    /// The relay above, where there is one.
    pub upstream: Option<Arc<Upstream>>,
    /// What the paths of WebSockets begin with: empty, or `/` and a name.
    pub path: String,
    pub access: Access,
    /// The WebSockets.
    pub admission: Arc<Admission>,
    /// The same, by what they were let in with.
    pub members: Arc<Members>,
    /// How many of them one account may have.
    pub connections_per_account: usize,
    /// How fast they may send.
    pub paces: Paces,
    /// What unfinished frames may take up, and in what time they have to arrive.
    pub budget: Budget,
    pub frame_time: Duration,
    /// How long a client may be silent that is asked whether it is there.
    pub client_time: Duration,
    /// What waits for the engine may take up so many KiB.
    pub waiting: Arc<Semaphore>,
    /// Those who have not become one yet.
    pub asking: Arrivals,
    /// Those who watch it, or are its user.
    pub watching: Arrivals,
    pub trusted_proxies: Vec<IpNet>,
    /// Whether new clients should go elsewhere.
    pub draining: AtomicBool,
    /// Whether those who have said nothing are to go.
    pub closing: watch::Sender<bool>,
    pub outside: Outside,
    /// What addresses are called in the log, where that is asked for.
    pub pseudonyms: Option<Pseudonyms>,
}

impl Shared {
    /// Whether the database answers, where it has one.
    pub(super) fn reaches_database(&self) -> bool {
        self.database.as_ref().is_none_or(|database| database.answers())
    }

    /// Whether its disk took the last changes, where it has one.
    pub(super) fn takes_changes(&self) -> bool {
        self.log.as_ref().is_none_or(|log| log.takes_changes())
    }

    /// Ends the connections of those who were let in with what counts no more; false where that cannot be found out now.
    pub(super) async fn review(&self) -> bool {
        let outdated = self.access.outdated(self.members.passes()).await;
        outdated.iter().for_each(|outdated| self.members.end(outdated));
        outdated.is_some()
    }

    /// Somebody is not taken in.
    fn refuse(&self, client: Client, why: Refusal) -> Refusal {
        self.outside.counts.refused(why);
        if let Some(client) = self.pseudonyms.as_ref().and_then(|names| names.of_refused(client)) {
            tracing::info!(client, reason = why.name(), "a client was not taken in");
        }
        why
    }
}

/// The answers of a relay for its clients.
pub(super) fn for_clients(shared: &Arc<Shared>) -> Router {
    probes().fallback(upgrade).with_state(shared.clone())
}

/// Those for the clients of its user, and for him.
pub(super) fn for_its_user(shared: &Arc<Shared>) -> Router {
    probes().merge(outside::for_its_user()).fallback(upgrade).with_state(shared.clone())
}

/// Those for who watches it.
pub(super) fn for_watching(shared: &Arc<Shared>) -> Router {
    probes().merge(outside::for_watching()).with_state(shared.clone())
}

fn probes() -> Router<Arc<Shared>> {
    Router::new().route("/health", get(health)).route("/ready", get(ready))
}

/// A place for one more that asks for something, if there is one among these.
pub(super) fn enter(shared: &Shared, others: &Arrivals, via: Via) -> Option<Place> {
    let client = nearest(via, &shared.trusted_proxies);
    let place = others.enter(client);
    if place.is_none() {
        shared.refuse(client, Refusal::Asking);
    }
    place
}

/// Serves one connection until it has become a WebSocket, or has had its answers; it has its place until then.
pub(super) async fn serve(router: Router, budget: Budget, stream: Box<dyn Stream>, via: Via, place: Place) {
    let (stream, gauge) = Metered::new(ReadAhead::new(stream), budget);
    let mark = move |extensions: &mut Extensions| {
        extensions.insert(via);
        extensions.insert(gauge.clone());
    };
    answer(router, stream, mark).await;
    drop(place);
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    match outside::state(&shared) {
        // A database that is away comes back by itself, and a disk gets room, whatever is done to this process.
        Doing::Serving | Doing::Stopping | Doing::Away | Doing::Full => "ok\n".into_response(),
        Doing::Stuck => {
            (StatusCode::SERVICE_UNAVAILABLE, "the sync engine has been busy with one thing for too long\n")
                .into_response()
        }
        Doing::Ended => (StatusCode::SERVICE_UNAVAILABLE, "the sync engine has stopped\n").into_response(),
    }
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    if outside::state(&shared) == Doing::Stopping {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response()
    } else if !shared.reaches_database() {
        (StatusCode::SERVICE_UNAVAILABLE, "its database does not answer\n").into_response()
    } else if !shared.takes_changes() {
        (StatusCode::SERVICE_UNAVAILABLE, "its disk takes no changes\n").into_response()
    } else {
        health(State(shared)).await
    }
}

async fn upgrade(
    State(shared): State<Arc<Shared>>,
    Extension(via): Extension<Via>,
    Extension(gauge): Extension<Gauge>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    // The path is for those who come through a proxy or the network.
    let path = if via == Via::User { "" } else { &shared.path };
    let Some(below) = uri.path().strip_prefix(path).filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return (StatusCode::NOT_FOUND, "there is no relay at this path\n").into_response();
    };
    let Ok(upgrade) = upgrade else {
        return (StatusCode::UPGRADE_REQUIRED, "this is a relay: connect with a WebSocket\n").into_response();
    };
    let client = behind(via, &headers, &shared.trusted_proxies);
    // A connection may bring many questions, and a proxy those of many.
    if !shared.asking.may_ask(client) {
        return shared.refuse(client, Refusal::Address).into_response();
    }
    let guest = match admit(&shared, client, via, below, &uri, &headers).await {
        Ok(guest) => guest,
        Err(why) => return shared.refuse(client, why).into_response(),
    };
    if let Some(client) = shared.pseudonyms.as_ref().and_then(|names| names.of_welcome(client)) {
        tracing::info!(client, "a client came");
    }
    gauge.begin(shared.budget.whose(Owner::of(&guest.pass, client).as_ref(), guest.hang_up.clone()));
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(MAX_FRAME_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .on_upgrade(move |socket| connected(shared, socket, gauge, guest))
}

/// Who is at the other end of a WebSocket, counted until this is dropped.
struct Guest {
    pass: Pass,
    may_write: MayWrite,
    hang_up: HangUp,
    pace: Option<Arc<Pace>>,
    _admitted: Admitted,
    _member: Member,
    /// The relays that are behind him, where he is one.
    behind: Option<Behind>,
}

/// Lets somebody in, if he may; `below` is what follows the relay's own path.
async fn admit(
    shared: &Shared,
    client: Client,
    via: Via,
    below: &str,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Guest, Refusal> {
    // The list of invitations may be there too.
    if !shared.reaches_database() {
        return Err(Refusal::Database);
    }
    // Whoever can open the socket of this user needs no token.
    let (pass, may_write) = match via {
        Via::User => (Pass::None, MayWrite::Anyone),
        _ => shared.access.admit(below, uri, headers).await?,
    };
    if !shared.access.admits_origin(headers) {
        return Err(Refusal::Origin);
    }
    let names = headers.get(BELOW_HEADER).and_then(|names| names.to_str().ok());
    let behind = names.map(|names| shared.below.enter(names).ok_or(Refusal::Circle)).transpose()?;
    if shared.draining.load(Ordering::Relaxed) {
        return Err(Refusal::Stopping);
    }
    let admitted = shared.admission.admit(client)?;
    let hang_up = HangUp::new();
    let member = shared.members.enter(pass, hang_up.clone(), shared.connections_per_account);
    let member = member.ok_or(Refusal::Account)?;
    // It may have been taken back since it was looked at.
    match shared.access.outdated(HashSet::from([pass])).await {
        Some(outdated) if outdated.is_empty() => {}
        Some(_) => return Err(Refusal::Token),
        None => return Err(Refusal::Unknown),
    }
    let pace = shared.paces.of(&pass, client);
    Ok(Guest { pass, may_write, hang_up, pace, _admitted: admitted, _member: member, behind })
}

/// Waits for the first word of a client, then hands it over to the isolate: one that says nothing costs it nothing.
async fn connected(shared: Arc<Shared>, socket: WebSocket, gauge: Gauge, guest: Guest) {
    let counts = shared.outside.counts.clone();
    let connected = counts.connected();
    let (pace, hang_up) = (guest.pace.clone(), guest.hang_up.clone());
    let mut socket = Inlet::new(socket, gauge, shared.frame_time, shared.client_time, pace, counts.clone(), hang_up);
    let mut signs_of_life = tokio::time::interval(KEEP_ALIVE.after);
    let mut closing = shared.closing.subscribe();
    let isolate = loop {
        tokio::select! {
            // In this order: a connection that is to end with a reason may have ended without one by itself too.
            biased;
            ending = guest.hang_up.asked() => {
                counts.sent_away(ending);
                return end(socket, ending).await;
            }
            // The first one at once: whoever only wants to know whether this is a relay need not wait.
            _ = signs_of_life.tick() => {
                let sent = tokio::time::timeout(READING, socket.send(Message::Text(ping().into()))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let isolate = shared.engines.of(text.as_str()).clone();
                    socket.put_back(text.as_str().to_owned());
                    break isolate;
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return farewell(socket).await,
                Some(Ok(_)) => {}
            },
            () = async { drop(closing.wait_for(|closing| *closing).await) } => return farewell(socket).await,
        }
    };
    let runtime = tokio::runtime::Handle::current();
    let (pass, may_write, hang_up) = (guest.pass, guest.may_write.clone(), guest.hang_up.clone());
    let is_relay = guest.behind.is_some();
    let (until_end, counting) = ((guest, connected), counts.clone());
    let mut frames = frames_for(
        socket,
        &runtime,
        Some(KEEP_ALIVE),
        Some(counts),
        Some(shared.waiting.clone()),
        hang_up,
        move |ending| {
            if let Some(ending) = ending {
                counting.sent_away(ending);
            }
            drop(until_end);
        },
    );
    if may_write != MayWrite::Anyone {
        let shared = shared.clone();
        frames.claim = Some(Box::new(move |account| shared.access.claim(&pass, account)));
    }
    let greeted = async {
        let socket = isolate.add_connection(frames).await?;
        isolate.call_async(&Accept { socket, may_write, is_relay }, GREETING).await
    };
    match greeted.await {
        Ok(_) => tracing::debug!("a client came"),
        Err(error) => tracing::warn!(%error, "a client could not be served"),
    }
}

/// Ends a connection in good order, if the other side takes part in that.
async fn farewell(mut socket: Inlet) {
    // Who has gone already hears nothing.
    let _ = tokio::time::timeout(FAREWELL, socket.close()).await;
}

/// Ends one with the reason why.
async fn end(mut socket: Inlet, ending: Ending) {
    let said = async {
        // Who has gone already hears nothing.
        let _ = socket.send(Message::close(ending.code(), ending.reason())).await;
        while let Some(Ok(_)) = socket.next().await {}
    };
    let _ = tokio::time::timeout(FAREWELL, said).await;
}

/// What the SDK's client takes for a sign of life.
fn ping() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!(r#"{{"type":"ping","time":{now},"dc":"caro"}}"#)
}

impl WireMessage for Message {
    fn text(text: String) -> Self {
        Self::Text(text.into())
    }

    fn close(code: u16, reason: &'static str) -> Self {
        Self::Close(Some(CloseFrame { code, reason: reason.into() }))
    }

    fn into_frame(self) -> Frame {
        match self {
            Self::Text(text) => Frame::Text(text.as_str().to_owned()),
            Self::Close(close) => Frame::Close(close.map(|close| close.code)),
            _ => Frame::Other,
        }
    }
}
