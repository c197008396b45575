//! What a collector publishes: figures and a page, as a browser shows it, and when they change.

use std::net::SocketAddr;
use std::path::Path;

use rusqlite::Connection;

use crate::common::home::{TestHome, wait_until};
use crate::common::sync::{Relay, server};
use crate::community_collect::collector::{Collector, QUESTION, frozen, of, status};
use crate::relay_outside::{body, browser, has_nothing_foreign, is_styled};

const DAY: i64 = 86_400;

/// A store with the example of the documentation: what 1,200 reports on git tell, and some on another question.
fn crowd(data: &Path) {
    let mut collector = Collector::start(data, &[]);
    assert!(collector.process.stop().success());
    let database = Connection::open(data.join("collector.db")).unwrap();
    let month = jiff::Timestamp::now().strftime("%Y-%m").to_string();
    for (question, answer, count) in [
        (QUESTION, "under 5", 240),
        (QUESTION, "5 to 49", 260),
        (QUESTION, "50 to 199", 310),
        (QUESTION, "200 or more", 390),
        ("weekend", "too few", 42),
    ] {
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?4) \
                   INSERT INTO reports SELECT randomblob(32), ?1, ?2, ?3 FROM n";
        database.execute(sql, rusqlite::params![question, answer, month, count]).unwrap();
    }
}

#[test]
fn the_page_shows_the_estimates_in_a_browser_by_day_by_night_and_on_a_phone() {
    let folder = tempfile::tempdir().unwrap();
    crowd(folder.path());
    let collector = Collector::start(folder.path(), &[]);
    let git = of(&collector.published(), QUESTION)["year"].clone();
    let estimates: Vec<f64> =
        git["answers"].as_array().unwrap().iter().map(|answered| answered["estimate"].as_f64().unwrap()).collect();
    assert_eq!((&git["reports"], estimates), (&1200.into(), vec![0.1, 0.15, 0.275, 0.475]));
    assert_eq!(git["answers"][3]["told"], 390);

    let answer = collector.gets("/");
    has_nothing_foreign(&answer);
    let home = TestHome::new();
    let url = format!("http://{}/", collector.process.address());
    let dom = String::from_utf8(browser(&home, &["--dump-dom", &url])).unwrap();
    let tags = |text: &str, tag: &str| text.matches(tag).count();
    for tag in
        ["<section", "<table>", "<caption>", "<tbody>", "<tr>", "<th scope=\"col\"", "<th scope=\"row\"", "<td", "<svg"]
    {
        assert_eq!(tags(&dom, tag), tags(body(&answer), tag), "{tag}");
    }
    assert_eq!((tags(&dom, "<section"), tags(&dom, "<table>"), tags(&dom, "<th scope=\"row\"")), (21, 1, 4));
    for text in ["Reports: 1200", ">200 or more</th>", "48% <small>40% to 5", "Not enough reports yet: 42 of 100."] {
        assert!(dom.contains(text), "{text} in {dom}");
    }
    is_styled(&home, &url);

    // On a screen 360 pixels wide nothing is wider. The policy lets nobody look from within, so that is asked of a copy.
    let framed = body(&answer).replace('&', "&amp;").replace('"', "&quot;");
    let measured = "document.title = this.contentDocument.documentElement.scrollWidth + ' wide'";
    let page = format!(
        "<iframe width=\"360\" height=\"9000\" style=\"border: 0\" srcdoc=\"{framed}\" onload=\"{measured}\"></iframe>"
    );
    let copy = home.file("copy.html", page);
    let dom = String::from_utf8(browser(&home, &["--dump-dom", &format!("file://{}", copy.display())])).unwrap();
    assert!(dom.contains("<title>360 wide</title>"), "{}", &dom[..dom.len().min(300)]);
}

#[test]
fn what_is_published_stays_the_same_for_a_day() {
    let home = TestHome::new();
    let clock = home.file("clock", "0");
    let (data, address) = (home.path().join("collector"), SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut command = server(["community", "collect"], &data, address);
    command.env("CARO_TEST_CLOCK", &clock);
    let collector = Collector { process: Relay::spawn(&data, address, command), args: Vec::new(), _folder: None };
    wait_until("it has counted", || status(&collector.gets("/v1/aggregates.json")) == 200);
    let before = collector.published();
    assert_eq!((collector.reports(&frozen("report")), collector.published()), (204, before));
    // In one piece: the collector may be reading it.
    let later = |seconds: i64| std::fs::rename(home.file("clock.new", seconds.to_string()), &clock).unwrap();
    later(DAY + 1);
    wait_until("it counts anew", || collector.holds() == 1);
    // After a year it counts in all alone.
    later(400 * DAY);
    wait_until("it counts anew once more", || collector.holds() == 0);
    let published = collector.published();
    let asked = of(&published, QUESTION);
    assert_eq!((&published["reports"], &asked["all"]["reports"]), (&0.into(), &1.into()));
}
