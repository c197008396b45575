//! How long a client waits until a change is confirmed: from the frame that brings it to the one that says so.
//!
//! One change at a time is followed on each connection, the first of a frame, so it costs nothing where nothing is written and
//! little where much is.

use std::time::{Duration, Instant};

/// How a message begins that brings a change, and one that says what is there.
const CHANGE: &str = r#"{"action":"content""#;
const CONFIRMATION: &str = r#"{"action":"known""#;
/// How an id follows.
const ID: &str = r#""id":""#;
/// Within so many bytes.
const NEAR: usize = 64;
/// What has not been confirmed by then, never is: it was not taken.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// The change of one connection that is followed.
#[derive(Default)]
pub(super) struct Confirmation(Option<Box<Awaited>>);

struct Awaited {
    id: String,
    since: Instant,
}

impl Confirmation {
    /// Messages have come.
    pub(super) fn came(&mut self, text: &str) {
        if self.0.as_ref().is_some_and(|awaited| awaited.since.elapsed() < GIVEN_UP) {
            return;
        }
        let id = id(text, CHANGE).map(str::to_owned);
        self.0 = id.map(|id| Box::new(Awaited { id, since: Instant::now() }));
    }

    /// Messages go out; how long the change took that they confirm.
    pub(super) fn went(&mut self, text: &str) -> Option<Duration> {
        let awaited = self.0.as_ref()?;
        let confirms = text.split('\n').any(|message| id(message, CONFIRMATION) == Some(&awaited.id));
        if confirms { self.0.take().map(|awaited| awaited.since.elapsed()) } else { None }
    }
}

/// The id in a message that begins like this.
fn id<'a>(message: &'a str, begins: &str) -> Option<&'a str> {
    let rest = message.strip_prefix(begins)?;
    let at = rest.find(ID).filter(|at| *at < NEAR)?;
    rest.get(at + ID.len()..)?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_followed_until_its_own_confirmation_goes_out() {
        let mut confirmation = Confirmation::default();
        confirmation.came(r#"{"action":"load","id":"co_z1","header":false,"sessions":{}}"#);
        let known =
            |id: &str| format!(r#"{{"action":"known","isCorrection":true,"id":"{id}","header":true,"sessions":{{}}}}"#);
        assert_eq!(confirmation.went(&known("co_z1")), None);
        confirmation.came(r#"{"action":"content","id":"co_z1","priority":3,"new":{}}"#);
        confirmation.came(r#"{"action":"content","id":"co_z2","priority":3,"new":{}}"#);
        assert_eq!(confirmation.went(&known("co_z2")), None);
        assert_eq!(confirmation.went(r#"{"action":"load","id":"co_z1"}"#), None);
        assert!(confirmation.went(&format!("{}\n{}", known("co_z2"), known("co_z1"))).is_some());
        assert_eq!(confirmation.went(&known("co_z1")), None, "once");
    }
}
