//! Requests that nobody sends by mistake: too many, too long, out of the folder, into the log.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge_agent::domain::rate::Rate;
use edge_agent::http::{Access, Limits};
use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{PATIENCE, Server, TOKEN, access, header};

const GRACE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let requests = Rate { interval: Duration::from_secs(90), burst: 3 };
    let limits = Limits { requests, own_requests: true, ..Limits::default() };
    let server = Server::of(access(), limits, GRACE).await;
    for _ in 0..3 {
        assert_eq!(server.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
    }
    for path in ["/healthz", "/api/streams", "/none", "/streams/cam_floor/stream.m3u8"] {
        let answer = server.get(path).bearer_auth(TOKEN).send().await.unwrap();
        // A player on another site sees why.
        let of_streams = path.starts_with("/streams/");
        assert_eq!(
            header(&answer, "access-control-allow-origin"),
            if of_streams { "*" } else { "" },
            "{path}"
        );
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
        let seconds: u64 = header(&answer, "retry-after").parse().unwrap();
        assert!((1..=90).contains(&seconds), "{seconds}");
        assert_eq!(header(&answer, "cache-control"), "no-store");
    }
    // A reload forgets nobody.
    server.site.send_modify(|site| site.access = access());
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn this_machines_own_programs_are_not_counted() {
    let requests = Rate { interval: Duration::from_secs(90), burst: 1 };
    let server = Server::with(Limits { requests, ..Limits::default() }, GRACE).await;
    for _ in 0..5 {
        assert_eq!(server.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
    }
}

/// Silent ones, too.
#[tokio::test]
async fn one_address_does_not_get_all_connections() {
    let limits = Limits { connections_of_one: 3, own_requests: true, ..Limits::default() };
    let server = Server::with(limits, GRACE).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(server.addr).await.unwrap());
    }
    let ask = async || {
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        let _ =
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    assert_eq!(timeout(PATIENCE, ask()).await.unwrap(), "", "it is hung up on");
    silent.pop();
    let heard = async { while !ask().await.starts_with("HTTP/1.1 200") {} };
    timeout(PATIENCE, heard).await.unwrap();
}

#[tokio::test]
async fn requests_have_a_greatest_size() {
    let server = Server::start().await;
    let status = |answer: &str| answer.split(' ').nth(1).unwrap_or_default().to_owned();
    let long = "x".repeat(5000);
    assert_eq!(status(&server.raw(&format!("GET /{long}")).await), "414");
    assert_eq!(status(&server.raw(&format!("GET /?t={long}")).await), "414");
    let huge = "x".repeat(40_000);
    assert_eq!(status(&server.raw(&format!("GET /{huge}")).await), "431");
    assert_eq!(status(&server.raw_with("GET /healthz", &format!("x: {huge}\r\n")).await), "431");
    let many: String = (0..200).map(|i| format!("x{i}: y\r\n")).collect();
    assert_eq!(status(&server.raw_with("GET /healthz", &many).await), "431");
    let announced = "content-length: 99999999999\r\n";
    assert_eq!(status(&server.raw_with("POST /api/streams", announced).await), "413");
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_read() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let head = "POST /api/streams HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let pour = async { while write.write_all(chunk.as_bytes()).await.is_ok() {} };
    let mut answer = Vec::new();
    let hear = read.read_to_end(&mut answer);
    // Whichever side sees the end first.
    let over = async { tokio::join!(pour, hear) };
    timeout(PATIENCE, over).await.expect("the connection is closed").1.ok();
}

#[tokio::test]
async fn no_path_leads_out_of_the_folder() {
    let server = Server::of(access(), Limits::default(), GRACE).await;
    server.write("l/c/stream.m3u8", "#EXTM3U\n");
    // All of them would lead to a file that is there.
    let root = server.root.path().display().to_string();
    let name = server.root.path().file_name().unwrap().to_str().unwrap().to_owned();
    let outside =
        [format!("/streams/{root}"), format!("/streams/../{name}"), format!("/streams/%2e%2e/{name}")];
    let outside = outside.map(|folder| format!("{folder}/l/c/stream.m3u8"));
    for path in outside.iter().map(String::as_str).chain([
        "/streams/l/../l/c/stream.m3u8",
        "/streams/l/%2e%2e/l/c/stream.m3u8",
        "/streams/l/%252e%252e/l/c/stream.m3u8",
        "/streams/l/..%2fl/c/stream.m3u8",
        "/streams/l//c/stream.m3u8",
        "/streams/./l/c/stream.m3u8",
        "/streams/l%2fc%2fstream.m3u8",
        "/streams/l\\c\\stream.m3u8",
        "/streams/l/c/stream.m3u8%00",
        "/streams/l/c/stream.m3u8/",
        "/streams/l/c/stream%2em3u8",
        "/assets/../index.html",
        "/assets/..%2findex.html",
        "/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/api/streams/status/..%2f..%2fetc%2fpasswd",
        "/api/streams/status/%0d%0aset-cookie:%20a=b",
        "/api/../streams/l/c/stream.m3u8",
    ]) {
        let answer = server.raw(&format!("GET {path}?token={TOKEN}")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 404") || head.starts_with("HTTP/1.1 400"), "{path}: {answer}");
        assert!(!body.contains("EXTM3U") && !head.contains("set-cookie"), "{answer}");
        // Detours do not get past the guard, either.
        let answer = server.raw(&format!("GET {path}")).await;
        assert!(answer.starts_with("HTTP/1.1 401") || answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
    for path in ["/healthz/../api/streams", "/healthz/", "/healthz;/api/streams", "/HEALTHZ", "/api/health/x"]
    {
        assert!(server.raw(&format!("GET {path}")).await.starts_with("HTTP/1.1 401"), "{path}");
    }
    let other_form = format!("GET http://{}/api/streams", server.addr);
    assert!(server.raw(&other_form).await.starts_with("HTTP/1.1 401"));
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_of_a_request_gets_into_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone());
    // Also those of tasks: they run on this thread.
    let _listening = tracing::subscriber::set_default(lines.finish());
    let server = Server::of(access(), Limits::default(), GRACE).await;
    let mark = "hunter2";
    for line in [
        format!("GET /{mark}%0d%0a2026-01-01T00:00:00Z%20ERROR%20{mark}"),
        format!("GET /api/streams/status/{mark}%0aERROR?token={TOKEN}"),
        format!("GET /api/streams?token={mark}%0aERROR"),
        format!("GET /streams/{mark}/stream.m3u8?token={TOKEN}"),
        format!("{mark} / "),
        format!("GET /{mark}\u{1b}[2J"),
    ] {
        server.raw(&line).await;
        server.raw_with(&line, &format!("authorization: Bearer {mark}\r\nuser-agent: {mark}\r\n")).await;
    }
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(said.contains("showed a token that is not valid") && said.contains("127.0.0.1"), "{said}");
    assert_eq!(said.matches("is not valid").count(), 1, "once in a while:\n{said}");
    assert!(!said.contains(mark) && !said.contains(TOKEN), "{said}");
}

#[tokio::test]
async fn an_open_server_takes_any_token() {
    // A script that always shows one works on a box without.
    let server = Server::of(Access::default(), Limits::default(), GRACE).await;
    assert_eq!(server.get("/api/streams").bearer_auth("any").send().await.unwrap().status(), StatusCode::OK);
}
