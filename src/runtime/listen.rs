//! Lets a test hear what isolates are told, word for word.
//!
//! What an isolate does with its ops can only come from what it is told, what relays send it and what lies
//! in its store. The latter two are files and traffic, which a test can search by itself; this is the
//! third. The program never listens.

use std::sync::OnceLock;

/// Is handed every request as it goes to an isolate.
pub type Listener = Box<dyn Fn(&str) + Send + Sync>;

static LISTENER: OnceLock<Listener> = OnceLock::new();

/// Hands every request of this process to `listener` from now on. Only the first one listens.
pub fn listen(listener: Listener) {
    drop(LISTENER.set(listener));
}

pub(super) fn told(request: &str) {
    if let Some(listener) = LISTENER.get() {
        listener(request);
    }
}
