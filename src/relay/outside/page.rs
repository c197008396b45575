//! A relay's status as a page for a browser.

use std::fmt::Write;

use axum::response::Response;

use super::seconds;
use super::status::{State, Status};
use crate::server::page::{self, escaped};

const STYLE: &str = include_str!("page.css");

/// The page, with what a browser is told about it.
pub(super) fn response(status: &Status) -> Response {
    let title = format!("Relay: {}", status.state.in_words());
    page::response(&title, "<meta http-equiv=\"refresh\" content=\"15\">", STYLE, &body(status))
}

fn body(status: &Status) -> String {
    let state = if status.state == State::Serving { "good" } else { "bad" };
    let mut body = format!("<h1>Relay <small class=\"{state}\">{}</small></h1>\n", status.state.in_words());
    body.push_str(&figures(status));
    body.push_str("<div class=\"grid\">");
    body.push_str(&table("Clients", &clients(status)));
    body.push_str(&table("Engine", &engine(status)));
    body.push_str(&table("Store", &store(status)));
    body.push_str(&table("This relay", &itself(status)));
    body.push_str("</div>");
    body.push_str(&mishaps(status));
    body.push_str(
        "<footer>Read anew every 15 seconds. The same for programs: <code>/metrics</code>, <code>/status</code>. \
         Nothing here says who uses it.</footer>",
    );
    body
}

fn figures(status: &Status) -> String {
    let stored = status.stored.unwrap_or_default();
    let figures = [
        (status.connections.now.to_string(), "clients connected"),
        (stored.accounts.to_string(), "accounts"),
        (bytes(stored.database_bytes.unwrap_or_default()), "in the store"),
        (time(status.running_ns), "since it started"),
    ];
    let mut html = String::from("<section class=\"figures\">");
    for (figure, what) in figures {
        let _ = write!(html, "<div><b>{figure}</b><span>{what}</span></div>");
    }
    html + "</section>\n"
}

type Rows = Vec<(String, String)>;

fn row(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

fn clients(status: &Status) -> Rows {
    let mut rows = vec![
        row("connected", status.connections.now),
        row("at most", status.connections.limit),
        row("since the start", status.connections.opened),
        row("messages from them", status.incoming.messages),
        row("frames from them", status.incoming.frames),
        row("their length", bytes(status.incoming.bytes)),
        row("messages to them", status.outgoing.messages),
        row("frames to them", status.outgoing.frames),
        row("their length", bytes(status.outgoing.bytes)),
    ];
    rows.extend(status.refusals.iter().map(|(why, count)| row(&format!("not taken in: {why}"), count)));
    rows.extend(status.sent_away.iter().map(|(why, count)| row(&format!("sent away: {why}"), count)));
    rows
}

fn engine(status: &Status) -> Rows {
    let work = &status.work;
    let busy = 100.0 * seconds(work.busy_ns) / seconds(status.running_ns).max(f64::EPSILON);
    let mut rows = vec![
        row("busy since the start", format!("{busy:.1} %")),
        row("frames waiting", status.waiting.frames),
        row("their length", bytes(status.waiting.bytes)),
        row("step under way for", time(work.turn_ns)),
        row("steps that took too long", work.hangs),
        row("heap", bytes(work.heap_bytes)),
        row("content in memory", bytes(work.content_bytes)),
    ];
    rows.extend(status.memory_bytes.map(|memory| row("memory of the process", bytes(memory))));
    rows
}

fn store(status: &Status) -> Rows {
    let Some(stored) = status.stored else { return vec![row("content", "in memory, or it cannot be read")] };
    let mut rows = vec![
        row("CoValues", stored.covalues),
        row("accounts among them", stored.accounts),
        row("erased", stored.erased),
    ];
    rows.extend(stored.database_bytes.map(|length| row("database", bytes(length))));
    rows.extend(stored.log_bytes.map(|length| row("its log", bytes(length))));
    rows
}

fn itself(status: &Status) -> Rows {
    let mut rows: Rows = status.listening.iter().map(|address| row("listening on", address)).collect();
    rows.extend(status.upstream.iter().map(|above| row(&format!("upstream {}", above.address), above.in_words())));
    rows.push(row("started", &status.started_at));
    rows.push(row("version", &status.version));
    rows.push(row("engine", &status.engine));
    rows
}

fn table(title: &str, rows: &Rows) -> String {
    let mut html = format!("<section><h2>{title}</h2><table>");
    for (name, value) in rows {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escaped(name), escaped(value));
    }
    html + "</table></section>\n"
}

fn mishaps(status: &Status) -> String {
    let mut html = String::from("<section><h2>What went wrong last</h2>");
    if status.mishaps.is_empty() {
        html.push_str("<p>Nothing.</p>");
    } else {
        html.push_str("<ol class=\"mishaps\">");
        for mishap in status.mishaps.iter().rev() {
            let _ = write!(html, "<li><time>{}</time> {}</li>", escaped(&mishap.at), escaped(&mishap.what));
        }
        html.push_str("</ol>");
    }
    html + "</section>\n"
}

fn bytes(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

fn time(nanos: u64) -> String {
    if nanos == 0 {
        "–".to_owned()
    } else {
        indicatif::HumanDuration(std::time::Duration::from_nanos(nanos)).to_string()
    }
}
