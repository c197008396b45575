//! What is published, as a page for a browser: a table for each question, with bars that are drawn besides and say nothing more.

use std::fmt::Write;

use axum::response::Response;

use super::aggregates::{Aggregates, Answered, Asked, ENOUGH};
use crate::community::noise::WEIGHT;
use crate::server::page::{self, escaped};

const STYLE: &str = include_str!("page.css");

/// The page, with what a browser is told about it.
pub(super) fn response(published: &Aggregates) -> Response {
    page::response("How caro is used", "", STYLE, &body(published))
}

fn body(published: &Aggregates) -> String {
    let mut body = format!(
        "<h1>How caro is used</h1>\n<div class=\"intro\">\
         <p>Reports of the last twelve months: <b>{}</b>. Each has one answer to one question about four weeks on one device. Before it \
         is sent a die is thrown, and decides whether what is true is told, or another answer. So nobody can know of any report \
         whether it is true. What is true of many can still be worked out, by taking away what the die adds.</p>\
         <p>The wide bar is the estimate. The line across it is where the true share lies with a chance of 95%, die and sample \
         counted in: of twenty such lines one is expected to miss. A question is shown once it has {ENOUGH} reports.</p>\
         <p>These are numbers of what was reported, not of what was proven: reports have no sender, and who lets a computer work for \
         long enough can send false ones. Who sends reports is not a sample of all users either.</p></div>\n<div class=\"questions\">\n",
        published.reports,
    );
    for asked in &published.questions {
        body.push_str(&section(asked));
    }
    let _ = write!(
        body,
        "</div>\n<footer>Counted <time datetime=\"{0}\">{0}</time>, and not anew for a while. Each report tells at most \
         {WEIGHT} times as likely what it tells as it would for anybody else (ε = {1:.2}). The same for programs: \
         <a href=\"v1/aggregates.json\">aggregates.json</a>.</footer>",
        escaped(&published.as_of),
        published.epsilon,
    );
    body
}

fn section(asked: &Asked) -> String {
    let reports = asked.year.reports;
    let mut html = format!("<section><h2>{}</h2>", escaped(asked.words));
    match &asked.year.answers {
        None => {
            let _ = write!(html, "<p class=\"few\">Not enough reports yet: {reports} of {ENOUGH}.</p>");
        }
        Some(answers) => {
            let _ = write!(
                html,
                "<table><caption>Reports: {reports}</caption><thead><tr><th scope=\"col\">Answer</th><th scope=\"col\" \
                 colspan=\"2\">Share of devices</th></tr></thead><tbody>"
            );
            for answered in answers {
                html.push_str(&row(answered));
            }
            html.push_str("</tbody></table>");
        }
    }
    html + "</section>\n"
}

fn row(answered: &Answered) -> String {
    let percent = |share: f64| (share * 100.0).clamp(0.0, 100.0);
    let (share, low, high) = (percent(answered.estimate), percent(answered.low), percent(answered.high));
    format!(
        "<tr><th scope=\"row\">{}</th><td class=\"bar\"><svg viewBox=\"0 0 100 12\" preserveAspectRatio=\"none\" \
         aria-hidden=\"true\"><rect class=\"all\" width=\"100\" height=\"12\"/><rect class=\"share\" width=\"{share:.1}\" \
         height=\"12\"/><path d=\"M{low:.1} 3V9M{low:.1} 6H{high:.1}M{high:.1} 3V9\"/></svg></td>\
         <td>{share:.0}% <small>{low:.0}% to {high:.0}%</small></td></tr>",
        escaped(answered.answer),
    )
}
