//! What a relay reads from outside: requests and frames, who a proxy says asks, tokens, addresses, its own status.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::routing::get;
use futures::StreamExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_service::Service as _;

use super::access::{Access, AccessRule};
use super::gauge::Metered;
use super::http::READ_BUFFER;
use super::inlet::{Inlet, LONGEST_MESSAGE, PIECE, is_nested_too_deeply, pieces};
use super::outside::{Counts, Status};
use super::room::Budget;
use super::{DatabaseAddress, ListenAddress};
use crate::fuzz::{Target, survives_json, text, texts};
use crate::net::MAX_FRAME_BYTES;
use crate::runtime::HangUp;
use crate::server::{Client, ReadAhead, Via, behind};

pub(crate) const FUZZED: &[Target] = &[
    Target { name: "relay-stream", seeds: streams, run: stream },
    Target { name: "relay-frame", seeds: frames, run: frame },
    Target { name: "relay-request", seeds: requests, run: request },
    Target { name: "relay-proxies", seeds: proxies, run: proxy },
    Target { name: "relay-addresses", seeds: addresses, run: address },
];

const TOKEN: &str = "0123456789abcdef-XYZ";

/// What a client may send: all bytes of a connection, from the request on.
fn streams() -> Vec<Vec<u8>> {
    let head =
        b"GET / HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let masked = |code: u8, payload: &[u8]| {
        let mut frame = vec![0x80 | code, 0x80 | u8::try_from(payload.len()).unwrap_or(0), 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    };
    let load = br#"{"action":"load","id":"co_z1","header":false,"sessions":{}}"#;
    [
        [masked(1, load), masked(1, b"[[[]]]")].concat(),
        [masked(9, b"hey"), masked(1, load), masked(8, &[0x03, 0xe8])].concat(),
        // In two parts with a ping between, and one that is longer than it says of itself.
        [[vec![0x01, 0x83, 0, 0, 0, 0], b"[1,".to_vec()].concat(), masked(9, b""), masked(0, b"2]")].concat(),
        [vec![0x81, 0xff], 60_u64.to_be_bytes().to_vec(), vec![0; 4], load.to_vec()].concat(),
        masked(2, b"\x00\xff"),
    ]
    .into_iter()
    .map(|frames| [head.as_slice(), &frames].concat())
    .collect()
}

/// What reaches the engine of a connection is text of bounded pieces, and every connection ends when its client has gone.
fn stream(bytes: &[u8]) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let time = Duration::from_secs(5);
    let budget = Budget::new(0, time);
    let (server, gauge) = Metered::new(ReadAhead::new(server), budget.clone());
    // Whether what came was as promised; closed when the connection is over.
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let router = Router::new().fallback(get(move |upgrade: WebSocketUpgrade| {
        let (gauge, tell, budget) = (gauge.clone(), tell.clone(), budget.clone());
        async move {
            let upgrade = upgrade.read_buffer_size(READ_BUFFER);
            upgrade.max_message_size(MAX_FRAME_BYTES).max_frame_size(MAX_FRAME_BYTES).on_upgrade(
                move |socket| async move {
                    let hang_up = HangUp::new();
                    gauge.begin(budget.whose(None, hang_up.clone()));
                    let mut inlet = Inlet::new(socket, gauge, time, time, None, Counts::new(), hang_up.clone());
                    let mut is_well = true;
                    loop {
                        tokio::select! {
                            biased;
                            _ = hang_up.asked() => break,
                            next = inlet.next() => match next {
                                Some(Ok(Message::Text(text))) => {
                                    is_well &= text.len() <= LONGEST_MESSAGE && !is_nested_too_deeply(text.as_str());
                                }
                                Some(Ok(_)) => {}
                                Some(Err(_)) | None => break,
                            },
                        }
                    }
                    // Nobody waits for it only where the time is over.
                    let _ = tell.send(is_well).await;
                },
            )
        }
    }));
    runtime.block_on(async move {
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            router.clone().call(request.map(Body::new))
        });
        let served =
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service).with_upgrades());
        let sent = async {
            let (mut answers, mut questions) = tokio::io::split(&mut client);
            let mut ignored = Vec::new();
            // Who is not understood is cut off.
            let _ = tokio::join!(
                async {
                    let _ = questions.write_all(bytes).await;
                    questions.shutdown().await
                },
                answers.read_to_end(&mut ignored)
            );
        };
        let all = tokio::time::timeout(Duration::from_secs(20), async {
            sent.await;
            let _ = served.await;
            told.recv().await
        });
        let told = all.await;
        assert!(matches!(told, Ok(Some(true) | None)), "it ends, and what came through was as promised: {told:?}");
    });
}

fn frames() -> Vec<Vec<u8>> {
    let message = r#"{"action":"known","id":"co_z1","header":true,"sessions":{"co_z2_session_z3":4}}"#;
    let mut all = texts(&[message, "[[[[\"]]\\\"\"]]]]", "\n\n", ""]);
    all.push([message; 900].join("\n").into_bytes());
    all
}

/// Cut in pieces, a frame is what it was.
fn frame(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let deep = is_nested_too_deeply(text);
    assert!(!deep || text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > 64);
    let longest = text.split('\n').map(str::len).max().unwrap_or(0);
    let Some(cut) = pieces(text) else { return assert!(longest >= LONGEST_MESSAGE) };
    assert!(cut.iter().all(|piece| piece.len() <= PIECE.max(longest)));
    let joined = cut.into_iter().collect::<Vec<_>>().join("\n");
    assert_eq!(joined, text.strip_suffix('\n').unwrap_or(text));
}

fn requests() -> Vec<Vec<u8>> {
    texts(&[
        "/caro/0123456789abcdef-XYZ\nauthorization: Bearer x\norigin: https://app.example",
        "/?a=b&token=0123456789abcdef-XYZ\nx-forwarded-for: 203.0.113.9, 10.1.2.3",
        "/\nauthorization: Bearer 0123456789abcdef-XYZ\nx-forwarded-for: [2001:db8::1]:99, ::ffff:10.0.0.1\nx-forwarded-for: 10.0.0.2",
    ])
}

/// Nobody comes in without the token, and nobody is taken for a proxy's client whom no proxy named.
fn request(bytes: &[u8]) {
    static ACCESS: OnceLock<Option<Access>> = OnceLock::new();
    let access = ACCESS.get_or_init(|| {
        let file: PathBuf = std::env::temp_dir().join(format!("caro-fuzz-tokens-{}", std::process::id()));
        std::fs::write(&file, TOKEN).ok()?;
        let access = Access::load(
            AccessRule::Tokens(file.clone()),
            || Err(super::RelayError::Nowhere),
            vec!["https://app.example".into()],
        );
        std::fs::remove_file(file).ok()?;
        access.ok()
    });
    let Some(access) = access else { return };
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let Ok(uri) = Uri::try_from(lines.next().unwrap_or_default()) else { return };
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(line[colon + 1..].trim_ascii()));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let told = |headers: &HeaderMap| headers.get_all(AUTHORIZATION).iter().any(|value| says(value.as_bytes(), TOKEN));
    if futures::executor::block_on(access.admit(uri.path(), &uri, &headers)).is_ok() {
        assert!(says(uri.to_string().as_bytes(), TOKEN) || told(&headers), "{uri} {headers:?}");
    }
    if access.admits_origin(&headers) {
        assert!(headers.get(ORIGIN).is_none_or(|origin| origin == "https://app.example"));
    }
    let trusted = ["10.0.0.0/8".parse(), "::1/128".parse()].into_iter().flatten().collect::<Vec<_>>();
    let _ = behind(Via::Unix, &headers, &trusted);
    let far = std::net::Ipv4Addr::new(192, 0, 2, 7).into();
    assert_eq!(behind(Via::Network(far), &headers, &trusted), Client::at(far));
}

/// What proxies may say of whom they stand for.
fn proxies() -> Vec<Vec<u8>> {
    texts(&[
        "203.0.113.9, [2001:db8::1]:99, ::ffff:10.0.0.1",
        "for=192.0.2.60;proto=http;by=203.0.113.43, For=\"[2001:db8:cafe::17]:4711\"",
        "for=_hidden, for=unknown;host=\"a,b;\\\"\\\\\", for=\"10.1.2.3:_port\"",
    ])
}

/// Whatever was said before, by a client or another proxy, who a trusted proxy adds is who asks.
fn proxy(bytes: &[u8]) {
    let trusted = ["10.0.0.0/8".parse()].into_iter().flatten().collect::<Vec<_>>();
    let asks = std::net::Ipv4Addr::new(203, 0, 113, 9);
    let (unix, is) = (Via::Unix, Client::at(asks.into()));
    for (name, adds) in
        [("x-forwarded-for", format!(", {asks}")), ("forwarded", format!(", for=\"{asks}:80\";proto=https"))]
    {
        let name = HeaderName::from_static(name);
        let headers = |line: &[u8]| {
            let line = HeaderValue::from_bytes(line).ok()?;
            Some(HeaderMap::from_iter([(name.clone(), line)]))
        };
        if let Some(headers) = headers(bytes) {
            let _ = behind(unix, &headers, &trusted);
        }
        if let Some(headers) = headers(&[bytes, adds.as_bytes()].concat()) {
            assert_eq!(behind(unix, &headers, &trusted), is, "{headers:?}");
        }
    }
}

fn says(bytes: &[u8], what: &str) -> bool {
    bytes.windows(what.len()).any(|window| window == what.as_bytes())
}

fn addresses() -> Vec<Vec<u8>> {
    let mut all = texts(&["127.0.0.1:4200", "[::1]:0", "unix:/run/caro/relay.sock"]);
    all.extend(texts(&[
        "postgres://relay:s3cret@db.example:5433/caro?sslmode=require",
        "postgresql://a@/run/x,b/caro?target_session_attrs=read-write",
    ]));
    all
}

/// An address is written as it was read; what is no address says so.
fn address(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(address) = text.parse::<ListenAddress>() {
        let shown = address.to_string();
        assert_eq!(shown.parse::<ListenAddress>().map(|again| again.to_string()), Ok(shown));
    }
    let database = DatabaseAddress::from(text.to_owned());
    let parsed = database.config();
    // What it is shown without never comes in by what follows a question mark.
    assert!(parsed.is_err() || !database.to_string().contains('?'));
    survives_json::<Status>(text);
}
