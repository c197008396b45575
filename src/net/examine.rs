//! Tries a relay step by step, so that a failure can be told from its neighbours: is the name known, does the
//! host answer, does it speak TLS and is it who it says, is it a relay at all, does its clock agree.

use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio_tungstenite::tungstenite::Message;

use super::dial::{RelayAddress, dial};
use super::refusal::Failure;

/// How long one step may take.
const STEP: Duration = Duration::from_secs(5);

/// One step of an examination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `name`, `host`, `relay` or `greeting`.
    pub name: &'static str,
    /// How long it took, or what went wrong.
    pub result: Result<Duration, Failure>,
}

/// What was found out about a relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examination {
    /// The steps up to the first that failed.
    pub steps: Vec<Step>,
    /// How far its clock is ahead of this machine's, milliseconds, where it tells its time.
    pub clock_ahead_ms: Option<i64>,
}

impl Examination {
    /// Whether every step went well.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.steps.iter().all(|step| step.result.is_ok())
    }

    fn step<T>(&mut self, name: &'static str, begun: Instant, result: Result<T, impl Into<Failure>>) -> Option<T> {
        let (result, value) = match result {
            Ok(value) => (Ok(begun.elapsed()), Some(value)),
            Err(reason) => (Err(reason.into()), None),
        };
        self.steps.push(Step { name, result });
        value
    }
}

/// Examines a relay. Through a proxy, which looks names up itself, the first two steps are left out.
/// `now_ms` tells the time of this machine.
pub async fn examine(relay: &RelayAddress, now_ms: fn() -> i64) -> Examination {
    let mut found = Examination::default();
    if relay.is_dialled_directly() {
        let (host, port) = relay.target();
        let begun = Instant::now();
        let looked_up =
            within(tokio::net::lookup_host((host.as_str(), port)), "its name could not be looked up in time")
                .await
                .and_then(|addresses| addresses.map_err(|_| "its name is not known".to_owned()))
                .map(Iterator::collect::<Vec<_>>);
        let Some(addresses) = found.step("name", begun, looked_up) else { return found };
        let begun = Instant::now();
        let connected = within(tokio::net::TcpStream::connect(&addresses[..]), "it did not answer in time")
            .await
            .and_then(|stream| stream.map_err(|error| super::dial::plain(&error)));
        if found.step("host", begun, connected).is_none() {
            return found;
        }
    }
    let begun = Instant::now();
    let dialled =
        within(dial(relay), "it did not answer in time").await.map_err(Failure::from).and_then(|dialled| dialled);
    let Some(mut socket) = found.step("relay", begun, dialled) else { return found };
    let begun = Instant::now();
    let greeting = within(
        async {
            while let Some(message) = socket.next().await {
                if let Ok(Message::Text(text)) = message {
                    return Ok(text.as_str().to_owned());
                }
            }
            Err("it closed the connection".to_owned())
        },
        "it says nothing, as no relay would",
    )
    .await
    .and_then(|greeting| greeting);
    let known = greeting.and_then(|text| {
        let first = text.lines().next().and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        first.filter(serde_json::Value::is_object).ok_or_else(|| "it answers, but not as a relay".to_owned())
    });
    if let Some(greeting) = found.step("greeting", begun, known) {
        found.clock_ahead_ms = greeting["time"].as_i64().map(|time| time - now_ms());
    }
    found
}

async fn within<T>(step: impl Future<Output = T>, too_late: &str) -> Result<T, String> {
    tokio::time::timeout(STEP, step).await.map_err(|_| too_late.to_owned())
}
