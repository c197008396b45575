//! What commands read from outside: lines, exports and answers of the generator, settings, moments, templates, pictures.

use super::{history, relay, sync, time};
use crate::fuzz::{Target, text, texts};
use crate::history::UnixNanos;

pub(crate) const FUZZED: &[Target] = &[
    Target { name: "cli-export", seeds: exports, run: history::fuzz::export },
    Target { name: "cli-generator", seeds: answers, run: history::fuzz::generator },
    Target { name: "cli-template", seeds: templates, run: history::fuzz::template },
    Target { name: "cli-relay-settings", seeds: settings, run: relay::fuzz::settings },
    Target { name: "cli-picture", seeds: sync::fuzz::pictures, run: sync::fuzz::picture },
    Target { name: "cli-moment", seeds: moments, run: moment },
];

fn exports() -> Vec<Vec<u8>> {
    texts(&[
        "{\"schema_version\":1,\"history\":[{\"command\":\"ls\",\"started_at\":\"2026-01-31T14:30:00Z\",\"exit\":0}],\"usage\":[{}]}",
        "{\n \"exported_at\": 1, \"preferences\": [null], \"history\": [\n{\"command\":\"a\\u0000b\"}]}",
        "{\"type\":\"export\"}\n{\"command\":\"git push\",\"id\":\"018d0000-0000-7000-8000-000000000000\",\"tags\":[\"x\"],\"duration_ns\":5}\n",
        "\u{feff}{\"command\":\"ls\",\"safety\":\"safe\"}\r\n{\"type\":\"device\"}\n[\n",
    ])
}

fn answers() -> Vec<Vec<u8>> {
    texts(&[
        "{\"generated_command\":\"ls\",\"exit_code\":0,\"timing_info\":{\"generation_time_ms\":3,\"execution_time_ms\":5}}",
        "{\"generated_command\":\"rm x\",\"blocked_reason\":\"no\",\"warnings\":[\"w\"],\"alternatives\":[],\"shell_used\":\"Bash\"}\n{}",
    ])
}

fn templates() -> Vec<Vec<u8>> {
    texts(&["{command}\\t{exit}{{}}\\n", "{", "}", "\\", "{started_at} {cwd}\\0"])
}

fn settings() -> Vec<Vec<u8>> {
    texts(&[
        "listen = [\"127.0.0.1:1\", \"unix:/run/r.sock\"]\nmax_connections = 2\ntrusted_proxy = [\"10.0.0.0/8\"]\n",
        "access = \"accounts\"\ndurability = \"process\"\nin_memory = true\ndrain = -1\nlisten_ = \"x\"\n",
        "database = 'postgres://a:b@c/d'\nengines = 4\n[a]\nb = 1979-05-27T07:32:00Z\n",
    ])
}

fn moments() -> Vec<Vec<u8>> {
    texts(&[
        "now",
        "yesterday",
        "2 hours ago",
        "+3d",
        "@1700000000",
        "2026-01-31 14:30",
        "2026-01-31T14:30:00Z",
        "-P1Y2M",
    ])
}

/// A moment is one that can be kept, or none.
fn moment(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let now = UnixNanos(1_800_000_000_000_000_000);
    let _ = time::parse(text, now);
    if let Some(moment) = time::parse_rfc3339(text) {
        assert_eq!(time::parse_rfc3339(&time::rfc3339(moment)), Some(moment));
    }
}
