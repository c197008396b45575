//! What a server does, for whoever started it.

/// Something that it does.
#[derive(Debug)]
pub enum Told {
    /// It accepts connections at these addresses, as clients name them; at the others one may ask how it does.
    Listening {
        /// For clients.
        clients: Vec<String>,
        /// For those who watch it.
        watching: Vec<String>,
    },
    /// It reads again what may have changed: its certificate, a relay its tokens.
    Reloading,
    /// It has.
    Reloaded,
    /// It lives; told every few seconds.
    Alive,
    /// It is stopping.
    Stopping,
}
