//! How a relay is reached and who is let in: TLS of its own, sockets of either kind, tokens, limits, and how it stops.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use crate::common::authority::{Authority, Issued};
use crate::common::home::{DEADLINE, TestHome, wait_until};
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, serve, signal};

/// What a server answers to a plain request.
pub fn get(mut stream: impl Read + Write, path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// A WebSocket of a client that names these headers, or the status with which it was refused.
pub fn websocket(url: &str, headers: &[(&'static str, &str)]) -> Result<Client, StatusCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    match runtime.block_on(tokio_tungstenite::connect_async(request)) {
        Ok((socket, _)) => Ok(Client { socket: Some(socket), closed: false, ended: None, runtime }),
        Err(SocketError::Http(response)) => Err(response.status()),
        Err(error) => panic!("{url}: {error}"),
    }
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A client that only reads.
pub struct Client {
    socket: Option<Socket>,
    /// Whether the relay has said good-bye.
    closed: bool,
    /// The code and the reason with which it did.
    pub ended: Option<(u16, String)>,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// Sends a text; one that was ended meanwhile does not hear it.
    pub fn send(&mut self, text: &str) {
        use futures::SinkExt;
        let socket = self.socket.as_mut().expect("it is there");
        drop(self.runtime.block_on(socket.send(Message::text(text))));
    }

    /// The next text; none where the relay has closed.
    pub fn text(&mut self) -> Option<String> {
        use futures::StreamExt;
        let socket = self.socket.as_mut()?;
        let next = async {
            loop {
                match tokio::time::timeout(DEADLINE, socket.next()).await.expect("in time") {
                    // Answered by the WebSocket.
                    Some(Ok(Message::Ping(_))) => {}
                    next => return next,
                }
            }
        };
        match self.runtime.block_on(next) {
            Some(Ok(Message::Text(text))) => Some(text.as_str().to_owned()),
            Some(Ok(Message::Close(close))) => {
                self.closed = true;
                self.ended = close.map(|close| (close.code.into(), close.reason.as_str().to_owned()));
                None
            }
            _ => None,
        }
    }
}

/// The certificate that a server shows, without believing it.
fn shown(address: SocketAddr) -> Vec<u8> {
    #[derive(Debug)]
    struct Anyone;
    impl rustls::client::danger::ServerCertVerifier for Anyone {
        fn verify_server_cert(
            &self,
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &[rustls::pki_types::CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: rustls::pki_types::UnixTime,
        ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
            Ok(rustls::client::danger::ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    let mut session = rustls::ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().unwrap()).unwrap();
    let mut stream = tcp(address);
    while session.is_handshaking() {
        session.complete_io(&mut stream).unwrap();
    }
    session.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn with_a_certificate_it_speaks_tls_itself_and_takes_up_a_renewed_one() {
    let authority = Authority::new();
    let first = authority.issue("127.0.0.1");
    let (chain, key) = first.write(authority.folder(), "relay");
    let relay = Relay::with(&["--tls-certificate", chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap()]);
    let url = format!("wss://{}", relay.address());
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("over TLS");
    let root = authority.root();
    let (root, phrase) = (root.to_str().unwrap(), authority.folder().join("phrase"));
    let phrase = phrase.to_str().unwrap();
    a.ok(["sync", "init", "--new", "--yes", "--relay", &url, "--relay-certificate", root, "--phrase-out", phrase]);
    b.ok(["sync", "restore", "--yes", "--relay", &url, "--relay-certificate", root, "--phrase-file", phrase]);
    assert_eq!(assert_equal_histories(&[&a, &b]), 1);
    assert_eq!(shown(relay.address()), first.der());

    let second = authority.issue("127.0.0.1");
    second.write(authority.folder(), "relay");
    signal("HUP", relay.pid());
    wait_until("the renewed one is shown", || shown(relay.address()) == second.der());

    // A key that is another one's changes nothing.
    std::fs::copy(authority.issue("127.0.0.1").write(authority.folder(), "other").1, &key).unwrap();
    signal("HUP", relay.pid());
    wait_until("the mistake is told", || relay.log().contains("not that of the certificate"));
    assert_eq!(shown(relay.address()), second.der());
}

#[test]
fn a_certificate_that_cannot_be_used_is_an_error_at_the_start() {
    let authority = Authority::new();
    let (chain, _) = authority.issue("127.0.0.1").write(authority.folder(), "one");
    let (_, other) = authority.issue("127.0.0.1").write(authority.folder(), "two");
    let missing = authority.folder().join("missing");
    for (chain, key, said) in [
        (&chain, &other, "not that of the certificate"),
        (&missing, &other, "cannot be read"),
        (&other, &other, "no certificate"),
    ] {
        let mut command = serve(&authority.folder().join("relay"), SocketAddr::from(([127, 0, 0, 1], 0)));
        command.arg("--tls-certificate").arg(chain).arg("--tls-key").arg(key);
        let run = crate::common::sync::finish_within(command, &[], DEADLINE);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(said), "{said}: {run:?}");
    }
}

#[test]
fn a_certificate_that_devices_would_refuse_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = Issued::by_itself("127.0.0.1").write(folder.path(), "relay");
    let relay = Relay::with(&["--tls-certificate", chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap()]);
    assert!(relay.log().contains("basicConstraints=critical,CA:FALSE"), "{}", relay.log());
}

#[test]
fn too_few_descriptors_are_told_once_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (data, address) = (folder.path().join("relay"), SocketAddr::from(([127, 0, 0, 1], 0)));
    let plain = serve(&data, address);
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 300; exec \"$0\" \"$@\""])
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let relay = Relay::spawn(&data, address, command);
    assert!(relay.log().contains("some 100 connections, not the 10000"), "{}", relay.log());
    assert!(get(tcp(relay.address()), "/health").ends_with("ok\n"));
    assert!(!Relay::new().log().contains("ulimit"));
}

#[test]
fn only_who_knows_a_token_is_let_in_and_the_tokens_can_be_changed() {
    const TOKEN: &str = "s3cret-token-of-the-family";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    std::fs::write(&file, format!("# ours\n{TOKEN}\n")).unwrap();
    let relay = Relay::with(&["--token-file", file.to_str().unwrap()]);

    assert_eq!(websocket(&relay.url(), &[]).err(), Some(StatusCode::FORBIDDEN));
    assert_eq!(websocket(&format!("{}/s3cret-token-of-others", relay.url()), &[]).err(), Some(StatusCode::FORBIDDEN));
    assert!(websocket(&format!("{}/?token={TOKEN}", relay.url()), &[]).is_ok());
    assert!(websocket(&relay.url(), &[("authorization", &format!("Bearer {TOKEN}"))]).is_ok());
    assert!(get(tcp(relay.address()), "/health").starts_with("HTTP/1.1 200"), "a probe needs none");

    let device = SyncHome::new("laptop");
    device.add_one("ls");
    let url = relay.url();
    let refused = device.run(["sync", "relay", "test", &url]);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.stderr.contains("wants a token in the address"), "{refused:?}");
    device.init(&format!("{url}/{TOKEN}"));
    assert_eq!(device.now().pending, 0);
    assert!(!relay.log().contains(TOKEN), "{}", relay.log());

    std::fs::write(&file, "another-token-of-the-family\n").unwrap();
    signal("HUP", relay.pid());
    wait_until("the old token opens nothing", || websocket(&format!("{url}/{TOKEN}"), &[]).is_err());
    assert!(websocket(&format!("{url}/another-token-of-the-family"), &[]).is_ok());
    // A file that would let everybody in by mistake changes nothing.
    std::fs::write(&file, "\n").unwrap();
    signal("HUP", relay.pid());
    wait_until("the mistake is told", || relay.log().contains("there is no token"));
    assert_eq!(websocket(&url, &[]).err(), Some(StatusCode::FORBIDDEN));
}

#[test]
fn it_serves_at_a_path_for_pages_of_one_site() {
    let relay = Relay::with(&["--path", "/caro/", "--origin", "https://app.example"]);
    let at = |path: &str| format!("{}{path}", relay.url());
    assert_eq!(websocket(&at("/"), &[]).err(), Some(StatusCode::NOT_FOUND));
    assert_eq!(websocket(&at("/caros"), &[]).err(), Some(StatusCode::NOT_FOUND));
    assert!(websocket(&at("/caro"), &[]).is_ok() && websocket(&at("/caro/whatever?key=x"), &[]).is_ok());
    assert!(websocket(&at("/caro"), &[("origin", "https://app.example")]).is_ok());
    assert_eq!(websocket(&at("/caro"), &[("origin", "https://evil.example")]).err(), Some(StatusCode::FORBIDDEN));
}

#[test]
fn no_address_takes_more_than_its_share_also_behind_a_proxy_that_is_trusted() {
    let relay =
        Relay::with(&["--trusted-proxy", "127.0.0.1", "--max-connections-per-address", "2", "--max-connections", "3"]);
    let from = |address: &str| websocket(&relay.url(), &[("x-forwarded-for", address)]);
    let held = [from("198.51.100.7"), from("203.0.113.1, 198.51.100.7")];
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(from("198.51.100.7").err(), Some(StatusCode::TOO_MANY_REQUESTS));
    let standard = "for=203.0.113.1, for=\"198.51.100.7:4711\";proto=https";
    assert_eq!(websocket(&relay.url(), &[("forwarded", standard)]).err(), Some(StatusCode::TOO_MANY_REQUESTS));
    let other = from("198.51.100.8");
    assert!(other.is_ok());
    assert_eq!(from("198.51.100.9").err(), Some(StatusCode::SERVICE_UNAVAILABLE));
    drop(held);
    wait_until("there is room again", || from("198.51.100.7").is_ok());
}

#[test]
fn whoever_is_silent_hears_that_the_relay_is_there() {
    let relay = Relay::new();
    let mut client = websocket(&relay.url(), &[]).unwrap();
    // The SDK's client gives a relay up that says nothing for ten seconds.
    let begun = std::time::Instant::now();
    for _ in 0..2 {
        let text = client.text().expect("a sign of life");
        assert!(text.starts_with(r#"{"type":"ping","time":"#), "{text}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_unix_socket_serves_the_proxy_before_it_and_one_that_was_left_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let relay = Relay::with(&["--listen", &format!("unix:{}", path.display())]);
    let answer = get(UnixStream::connect(&path).unwrap(), "/health");
    assert!(answer.ends_with("ok\n"), "{answer}");
    // A second one would take it away from the first.
    let mut second = serve(&folder.path().join("other"), SocketAddr::from(([127, 0, 0, 1], 0)));
    second.arg("--listen").arg(format!("unix:{}", path.display()));
    let run = crate::common::sync::finish_within(second, &[], DEADLINE);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("cannot listen on unix:"), "{run:?}");
    drop(relay);
    let file = folder.path().join("precious");
    std::fs::write(&file, "of the user").unwrap();
    let mut third = serve(&folder.path().join("third"), SocketAddr::from(([127, 0, 0, 1], 0)));
    third.arg("--listen").arg(format!("unix:{}", file.display()));
    let run = crate::common::sync::finish_within(third, &[], DEADLINE);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "of the user", "what is no socket stays");
}

#[test]
fn sockets_that_systemd_has_bound_are_served_and_it_is_told_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let told = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    told.set_read_timeout(Some(DEADLINE)).unwrap();
    let next = || {
        let mut bytes = [0; 256];
        let read = told.recv(&mut bytes).expect("the service manager is told");
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    };
    let until = |said: &str| while !next().contains(said) {};

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let data = folder.path().join("relay");
    let mut command = Command::new("systemd-socket-activate");
    command.arg("--listen").arg(free.to_string()).arg("--setenv=NOTIFY_SOCKET").arg("--setenv=HOME");
    command.arg(env!("CARGO_BIN_EXE_caro")).args(["relay", "serve", "--data-dir"]).arg(&data);
    command.env("NOTIFY_SOCKET", folder.path().join("notify")).env("HOME", folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else {
        println!("skipped: there is no systemd-socket-activate here");
        return;
    };
    let mut answer = String::new();
    wait_until("it is started by the first client", || {
        TcpStream::connect(free).is_ok_and(|stream| {
            answer = get(stream, "/ready");
            true
        })
    });
    assert!(answer.ends_with("ok\n"), "{answer}");
    until("READY=1");
    signal("HUP", child.id());
    let reloading = loop {
        let said = next();
        if said.contains("RELOADING=1") {
            break said;
        }
    };
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    until("READY=1");
    signal("TERM", child.id());
    until("STOPPING=1");
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, format!("listening on ws://{free}\n"), "it listens nowhere else");
    assert!(child.wait().unwrap().success());
}

#[test]
fn while_it_drains_it_serves_those_who_are_there_and_says_that_it_is_not_ready() {
    let mut relay = Relay::with(&["--drain", "600"]);
    let mut client = websocket(&relay.url(), &[]).unwrap();
    assert!(client.text().is_some());
    signal("TERM", relay.pid());
    wait_until("it is not ready any more", || get(tcp(relay.address()), "/ready").starts_with("HTTP/1.1 503"));
    assert!(get(tcp(relay.address()), "/health").starts_with("HTTP/1.1 200"));
    signal("HUP", relay.pid());
    assert!(client.text().is_some(), "who is there goes on");
    assert_eq!(websocket(&relay.url(), &[]).err(), Some(StatusCode::SERVICE_UNAVAILABLE), "nobody new is taken in");
    let device = SyncHome::new("laptop");
    let told = device.run(["sync", "relay", "test", &relay.url()]);
    assert!(told.stderr.contains("the relay is being stopped, or started again"), "{told:?}");
    drop(client.socket.take());
    assert_eq!(relay.stop_quietly().code(), Some(0), "with the last one it ends: {}", relay.log());
}

#[test]
fn it_ends_by_itself_once_nobody_has_been_there_for_a_while() {
    // Long enough for a device to find it on a busy machine.
    let mut relay = Relay::with(&["--idle-exit", "5"]);
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    device.init(&relay.url());
    assert_eq!(relay.stop_quietly().code(), Some(0), "{}", relay.log());
    assert!(!relay.data().join("relay.sock").exists());
    relay.start_again();
    assert_eq!(device.now().pending, 0);
}

#[test]
fn who_never_says_what_he_wants_is_let_go() {
    let relay = Relay::new();
    let mut stream = tcp(relay.address());
    stream.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    let mut rest = String::new();
    assert!(stream.read_to_string(&mut rest).is_ok(), "the relay ends it");
    let mut long = tcp(relay.address());
    // It may end the connection before it has been sent all of this.
    let _ = long.write_all(format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(200_000)).as_bytes());
    let mut answer = Vec::new();
    let _ = long.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{:?}", String::from_utf8_lossy(&answer));
    assert!(get(tcp(relay.address()), "/health").ends_with("ok\n"));
}

#[test]
fn a_client_that_has_said_nothing_is_told_when_it_stops_and_keeps_it_from_nothing() {
    let mut relay = Relay::new();
    let mut client = websocket(&relay.url(), &[]).unwrap();
    assert!(client.text().is_some());
    signal("TERM", relay.pid());
    while client.text().is_some() {}
    assert!(client.closed, "it is told in good order");
    assert_eq!(relay.stop_quietly().code(), Some(0), "{}", relay.log());
}

#[test]
fn a_folder_that_is_named_counts_before_a_file_that_wants_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.toml");
    std::fs::write(&file, "in_memory = true\n").unwrap();
    let relay = Relay::with(&["--config", file.to_str().unwrap()]);
    assert!(relay.data().join("relay.db").exists());
}

#[test]
fn a_folder_that_others_can_write_to_keeps_only_the_socket_of_its_user_away() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o775)).unwrap();
    let relay = Relay::start(&data);
    assert!(get(tcp(relay.address()), "/health").ends_with("ok\n"));
    wait_until("it is told", || relay.log().contains("the folder belongs to others too"));
    assert!(!data.join("relay.sock").exists());
}

/// The process that a relay's folder names as its own.
pub fn holder(data: &Path) -> Option<u32> {
    std::fs::read_to_string(data.join("relay.lock")).ok()?.trim().parse().ok()
}

#[test]
fn who_asks_too_often_is_kept_out_for_a_while_and_nobody_else() {
    let home = TestHome::new();
    let tokens = home.file("tokens", "a-token-of-this-test-1");
    let relay = Relay::with(&["--token-file", tokens.to_str().unwrap(), "--trusted-proxy", "127.0.0.1"]);
    // A proxy brings the questions of many on one connection.
    let ask = |client: &str, times: usize| {
        let question = format!(
            "GET /guessed HTTP/1.1\r\nHost: relay\r\nX-Forwarded-For: {client}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let mut stream = tcp(relay.address());
        let mut asking = stream.try_clone().unwrap();
        let asked = std::thread::spawn(move || asking.write_all(question.repeat(times).as_bytes()).is_ok());
        let mut answers = String::new();
        while answers.matches("HTTP/1.1 ").count() < times {
            let mut some = [0; 4096];
            let read = stream.read(&mut some).unwrap();
            assert!(read > 0, "it is answered: {answers}");
            answers.push_str(std::str::from_utf8(&some[..read]).unwrap());
        }
        assert!(asked.join().unwrap());
        answers.matches("HTTP/1.1 403").count()
    };
    let guessed = ask("198.51.100.7", 2_000);
    assert!((500..2_000).contains(&guessed), "{guessed} guesses were looked at");
    assert_eq!(ask("198.51.100.8", 1), 1);
}

#[test]
fn one_connection_is_served_through_standard_input_and_output_by_a_relay_that_all_share() {
    let device = SyncHome::new("laptop");
    let data = device.data("relay");
    let ask = || {
        let mut command = device.command(["relay", "serve", "--stdio"]);
        command.stdin(Stdio::piped());
        device.finish(command, b"GET /health HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")
    };
    let runs: Vec<_> = std::thread::scope(|scope| {
        (0..4).map(|_| scope.spawn(ask)).collect::<Vec<_>>().into_iter().map(|t| t.join().unwrap()).collect()
    });
    for run in runs {
        assert!(run.code == Some(0) && run.stdout.ends_with("ok\n"), "{run:?}");
    }
    let first = holder(&data).expect("a relay runs");
    assert!(ask().stdout.ends_with("ok\n"));
    assert_eq!(holder(&data), Some(first), "it is the same one");
    signal("TERM", first);
    wait_until("it has ended", || !data.join("relay.sock").exists());
    // One that is served otherwise is used as well.
    wait_until("its store is free", || std::fs::File::open(data.join("relay.lock")).unwrap().try_lock().is_ok());
    let _relay = Relay::start(&data);
    let served = holder(&data);
    assert!(ask().stdout.ends_with("ok\n"));
    assert_eq!(holder(&data), served);
}

#[test]
fn relays_behind_standard_input_do_not_meet_where_one_is_watched() {
    let device = SyncHome::new("laptop");
    let watched = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = format!("metrics_listen = [\"{}\"]\n", watched.local_addr().unwrap());
    let config = device.home.file("relay.toml", &settings);
    let mut command = device.command(["relay", "serve", "--stdio", "--config", config.to_str().unwrap()]);
    command.stdin(Stdio::piped());
    let run = device.finish(command, b"GET /health HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
    assert!(run.code == Some(0) && run.stdout.ends_with("ok\n"), "{run:?}");
    signal("TERM", holder(&device.data("relay")).expect("a relay runs"));
}

#[test]
fn a_relay_that_cannot_start_behind_standard_input_says_why() {
    let device = SyncHome::new("laptop");
    let data = device.data("relay");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("relay.db"), "this is no database, but long enough to be taken for one".repeat(100))
        .unwrap();
    let run = device.run(["relay", "serve", "--stdio"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("does not start: the relay's store in") && run.stderr.contains("damaged"), "{run:?}");
}
