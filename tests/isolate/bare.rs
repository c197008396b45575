//! An engine booted from the shipped snapshot, in which a test's own script runs.

use std::time::Duration;

use caro::runtime::{BootOptions, Dialer, boot, open_database};
use deno_core::{JsRuntime, PollEventLoopOptions, v8};
use rusqlite::Connection;
use serde_json::Value;

/// Long enough for anything here on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A booted engine and the runtime it turns in.
pub struct Bare {
    // Dropped first: the engine's tasks belong to the runtime below.
    engine: JsRuntime,
    tokio: tokio::runtime::Runtime,
}

impl Bare {
    /// Boots with a database in memory and no relay.
    pub fn boot() -> Self {
        Self::boot_with(open_database(None).expect("a database in memory"), None, 256 << 20)
    }

    /// Boots with these.
    pub fn boot_with(database: Connection, dialer: Option<Dialer>, memory_limit: usize) -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event queue");
        let entered = tokio.enter();
        let engine = boot(BootOptions { store: Box::new(database), dialer, memory_limit, extensions: vec![] })
            .expect("it boots");
        drop(entered);
        Self { engine, tokio }
    }

    /// Runs the body of an async function; what it returns, or the text of what it throws.
    pub fn run(&mut self, body: &str) -> Result<Value, String> {
        let script = format!("(async () => JSON.stringify(await (async () => {{ {body} }})()) ?? 'null')()");
        let engine = &mut self.engine;
        let ended = self.tokio.block_on(async {
            let promise = engine.execute_script("test", script).map_err(|e| e.to_string())?;
            let settled = Box::pin(engine.resolve(promise));
            let turning = engine.with_event_loop_promise(settled, PollEventLoopOptions::default());
            let value = tokio::time::timeout(DEADLINE, turning).await.expect("the script ends");
            value.map_err(|e| e.to_string())
        });
        let value = ended?;
        deno_core::scope!(scope, &mut self.engine);
        let text = v8::Local::new(scope, value).to_rust_string_lossy(scope);
        Ok(serde_json::from_str(&text).expect("JSON"))
    }

    /// Runs a script that must not throw.
    pub fn value(&mut self, body: &str) -> Value {
        self.run(body).unwrap_or_else(|error| panic!("{body}\nthrew {error}"))
    }
}

/// A new identity, as the SDK writes it.
pub fn agent_secret() -> String {
    let secret = Bare::boot().value("return caro.newCrypto().newRandomAgentSecret()");
    secret.as_str().expect("text").to_owned()
}
