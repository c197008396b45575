//! A relay's status as a page for a browser: no script, nothing from elsewhere, and a policy that forbids both.

use std::fmt::Write;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::seconds;
use super::status::{State, Status};

const STYLE: &str = include_str!("page.css");

/// The page, with what a browser is told about it.
pub(super) fn response(status: &Status) -> Response {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (X_FRAME_OPTIONS, "DENY".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, page(status)).into_response()
}

fn page(status: &Status) -> String {
    let mut body = String::new();
    body.push_str(&figures(status));
    body.push_str("<div class=\"grid\">");
    body.push_str(&table("Clients", &clients(status)));
    body.push_str(&table("Engine", &engine(status)));
    body.push_str(&table("Store", &store(status)));
    body.push_str(&table("This relay", &itself(status)));
    body.push_str("</div>");
    body.push_str(&mishaps(status));
    let state = if status.state == State::Serving { "good" } else { "bad" };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"15\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>Relay: {}</title><style>{STYLE}</style></head>\n\
         <body><main><h1>Relay <small class=\"{state}\">{}</small></h1>\n{body}\
         <footer>Read anew every 15 seconds. The same for programs: <code>/metrics</code>, <code>/status</code>. \
         Nothing here says who uses it.</footer></main></body></html>\n",
        status.state.in_words(),
        status.state.in_words(),
    )
}

fn figures(status: &Status) -> String {
    let stored = status.stored.unwrap_or_default();
    let figures = [
        (status.connections.now.to_string(), "clients connected"),
        (stored.accounts.to_string(), "accounts"),
        (bytes(stored.database_bytes), "in the store"),
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
        row("frames from them", status.incoming.frames),
        row("their length", bytes(status.incoming.bytes)),
        row("frames to them", status.outgoing.frames),
        row("their length", bytes(status.outgoing.bytes)),
    ];
    rows.extend(status.refusals.iter().map(|(why, count)| row(&format!("not taken in: {why}"), count)));
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
    ];
    rows.extend(status.memory_bytes.map(|memory| row("memory of the process", bytes(memory))));
    rows
}

fn store(status: &Status) -> Rows {
    let Some(stored) = status.stored else { return vec![row("content", "in memory, or it cannot be read")] };
    vec![
        row("CoValues", stored.covalues),
        row("accounts among them", stored.accounts),
        row("erased", stored.erased),
        row("database", bytes(stored.database_bytes)),
        row("its log", bytes(stored.log_bytes)),
    ]
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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
