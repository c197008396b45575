//! A relay's status in the text that Prometheus and others read (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::counts::Counts;
use super::seconds;
use super::status::{State, Status};

/// The type of the text.
pub(super) const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Label = [(&'static str, String); 1];

/// The text; `started` is the moment of the start, in seconds since 1970.
pub(super) fn text(status: &Status, counts: &Counts, started: f64) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("caro_relay");
    let it = &mut registry;
    it.register(
        "build",
        "The program",
        Info::new([("version", status.version.clone()), ("engine", status.engine.clone())]),
    );
    it.register_with_unit("start_time", "When it started, since 1970", Unit::Seconds, ConstGauge::new(started));
    let states = [State::Serving, State::Stopping, State::Stuck, State::Away, State::Full, State::Ended];
    let state = states.map(|state| (format!("{state:?}").to_lowercase(), u64::from(state == status.state)));
    it.register("state", "What it is doing: 1 for the one that is", gauges("state", state));

    it.register("connections", "Clients that are connected", ConstGauge::new(status.connections.now));
    it.register("connections_limit", "Clients that may be", ConstGauge::new(status.connections.limit));
    it.register("connections_opened", "Clients that came", ConstCounter::new(status.connections.opened));
    let refusals = status.refusals.iter().map(|(why, count)| (why.clone(), *count));
    it.register("refusals", "Clients that were not taken in, by reason", counters("reason", refusals));
    let sent_away = status.sent_away.iter().map(|(why, count)| (why.clone(), *count));
    it.register("sent_away", "Clients that were sent away again, by reason", counters("reason", sent_away));

    let ways = |incoming, outgoing| [("in".to_owned(), incoming), ("out".to_owned(), outgoing)];
    let (incoming, outgoing) = (status.incoming, status.outgoing);
    it.register("frames", "Frames that passed", counters("way", ways(incoming.frames, outgoing.frames)));
    let bytes = counters("way", ways(incoming.bytes, outgoing.bytes));
    it.register_with_unit("frames", "Length of the frames that passed", Unit::Bytes, bytes);
    let messages = counters("way", ways(incoming.messages, outgoing.messages));
    it.register("messages", "Messages in them", messages);
    it.register("waiting_frames", "Frames that wait for the engine", ConstGauge::new(status.waiting.frames));
    it.register_with_unit("waiting", "Their length", Unit::Bytes, ConstGauge::new(status.waiting.bytes));
    it.register_with_unit("wait", "How long a frame waited for the engine", Unit::Seconds, counts.waits.clone());
    it.register_with_unit(
        "confirmation",
        "How long a change took from its frame to its confirmation; of each connection one at a time",
        Unit::Seconds,
        counts.confirmations.clone(),
    );
    it.register_with_unit(
        "answer",
        "How long the engine took to answer an empty question, asked every five seconds",
        Unit::Seconds,
        counts.answers.clone(),
    );

    let engine = status.work;
    it.register("engine_turns", "Steps of the engine", ConstCounter::new(engine.turns));
    let busy = ConstCounter::new(seconds(engine.busy_ns));
    it.register_with_unit("engine_busy", "How long it was busy with them", Unit::Seconds, busy);
    let turn = ConstGauge::new(seconds(engine.turn_ns));
    it.register_with_unit("engine_turn", "How long the step has taken that is under way", Unit::Seconds, turn);
    it.register("engine_hangs", "Steps that took too long", ConstCounter::new(engine.hangs));
    it.register_with_unit("engine_heap", "Its heap", Unit::Bytes, ConstGauge::new(engine.heap_bytes));
    let content = ConstGauge::new(engine.content_bytes);
    it.register_with_unit("engine_content", "Content that it has in memory besides", Unit::Bytes, content);
    if let Some(bytes) = status.memory_bytes {
        it.register_with_unit("memory", "Memory of the whole process", Unit::Bytes, ConstGauge::new(bytes));
    }
    if let Some(stored) = status.stored {
        it.register("stored_covalues", "CoValues in the store", ConstGauge::new(stored.covalues));
        it.register("stored_accounts", "Accounts among them", ConstGauge::new(stored.accounts));
        it.register("erased_covalues", "CoValues that were erased", ConstCounter::new(stored.erased));
        let files = [("database", stored.database_bytes), ("log", stored.log_bytes)];
        let files = files.into_iter().filter_map(|(name, bytes)| bytes.map(|bytes| (name.to_owned(), bytes)));
        it.register_with_unit(
            "store",
            "Length of the store's files, or of the database",
            Unit::Bytes,
            gauges("file", files),
        );
    }
    let forgotten = ConstCounter::new(status.forgotten_accounts);
    it.register("forgotten_accounts", "Accounts that were erased since nobody used them", forgotten);
    if let Some(above) = &status.upstream {
        let (connected, compared) = (u64::from(above.connected), u64::from(above.compared));
        it.register("upstream_connected", "Whether the relay above is connected", ConstGauge::new(connected));
        it.register("upstream_compared", "Whether all was compared with it since", ConstGauge::new(compared));
        it.register("upstream_connections", "How often it was connected", ConstCounter::new(above.connections));
        let unconfirmed = ConstGauge::new(above.unconfirmed);
        it.register("upstream_unconfirmed_covalues", "CoValues of which it has not confirmed everything", unconfirmed);
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn counters(label: &'static str, values: impl IntoIterator<Item = (String, u64)>) -> Family<Label, Counter> {
    let family = Family::<Label, Counter>::default();
    for (name, value) in values {
        family.get_or_create(&[(label, name)]).inc_by(value);
    }
    family
}

fn gauges(
    label: &'static str,
    values: impl IntoIterator<Item = (String, u64)>,
) -> Family<Label, Gauge<u64, AtomicU64>> {
    let family = Family::<Label, Gauge<u64, AtomicU64>>::default();
    for (name, value) in values {
        family.get_or_create(&[(label, name)]).set(value);
    }
    family
}
