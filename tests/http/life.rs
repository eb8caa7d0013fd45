//! Starting, stopping, and clients that do not behave.

use std::time::{Duration, Instant};

use edge_agent::http::{self, Access, FilesAt, Limits, Site};
use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::{PATIENCE, Server};

const GRACE: Duration = Duration::from_millis(300);

/// More than the sockets of both sides hold.
const HUGE: usize = 64 << 20;

#[tokio::test]
async fn an_occupied_port_is_one_clear_error() {
    let first = http::bind("127.0.0.1:0".parse().unwrap(), &Access::default()).await.unwrap();
    let error = http::bind(first.local_addr(), &Access::default()).await.unwrap_err().to_string();
    assert!(error.contains(&first.local_addr().to_string()), "{error}");
    assert!(error.contains("another program") && error.contains("http.listen"), "{error}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_one_clear_error() {
    let error = http::bind("192.0.2.1:0".parse().unwrap(), &crate::access()).await.unwrap_err().to_string();
    assert!(error.contains("192.0.2.1:0") && error.contains("no such address"), "{error}");
}

#[tokio::test]
async fn a_stop_frees_the_port_although_connections_idle() {
    let server = Server::start().await;
    // The client keeps this connection for the next request.
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
    let addr = server.addr;
    server.stop.send(()).unwrap();
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
    http::bind(addr, &Access::default()).await.unwrap();
}

#[tokio::test]
async fn an_answer_under_way_may_be_finished() {
    let server = Server::with(Limits::default(), PATIENCE).await;
    server.write("l/c/long.ts", vec![b'x'; HUGE]);
    let mut answer = server.get("/streams/l/c/long.ts").send().await.unwrap();
    let mut length = answer.chunk().await.unwrap().unwrap().len();
    server.stop.send(()).unwrap();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        length += chunk.len();
    }
    assert_eq!(length, HUGE);
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn stuck_clients_do_not_hold_the_stop_up() {
    let server = Server::with(Limits::default(), GRACE).await;
    server.write("l/c/long.ts", vec![b'x'; HUGE]);
    let silent = TcpStream::connect(server.addr).await.unwrap();
    let mut half = TcpStream::connect(server.addr).await.unwrap();
    half.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.unwrap();
    let deaf = start_download(&server).await;
    let from = Instant::now();
    server.stop.send(()).unwrap();
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
    // They have 20 s for a head and for an answer.
    assert!(from.elapsed() < GRACE + Duration::from_secs(10), "{:?}", from.elapsed());
    drop((silent, half, deaf));
}

#[tokio::test]
async fn clients_that_send_nothing_are_cut_off() {
    let limits = Limits { head: Duration::from_millis(300), ..Limits::default() };
    let server = Server::with(limits, GRACE).await;
    let mut half = TcpStream::connect(server.addr).await.unwrap();
    half.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.unwrap();
    let mut idle = TcpStream::connect(server.addr).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    for mut client in [half, idle] {
        timeout(PATIENCE, client.read_to_end(&mut Vec::new())).await.expect("closed by the server").unwrap();
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let limits = Limits { head: Duration::from_millis(300), ..Limits::default() };
    let server = Server::with(limits, GRACE).await;
    let head = "content-type: application/json\r\ncontent-length: 100\r\n";
    for call in ["/api/streams/start", "/api/streams/stop", "/api/stream/stop", "/api/streams/cam_floor/sign"]
    {
        let call = format!("POST {call}");
        let answer = timeout(PATIENCE, server.raw_with(&call, head)).await.expect("closed by the server");
        assert!(answer.starts_with("HTTP/1.1 408 "), "{call}: {answer}");
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_loses_its_place() {
    let limits = Limits { connections: 1, stall: Duration::from_millis(300), ..Limits::default() };
    let server = Server::with(limits, GRACE).await;
    server.write("l/c/long.ts", vec![b'x'; HUGE]);
    let deaf = start_download(&server).await;
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
    drop(deaf);
}

#[tokio::test]
async fn more_clients_than_allowed_wait_for_their_turn() {
    let limits = Limits { connections: 1, head: Duration::from_millis(300), ..Limits::default() };
    let server = Server::with(limits, GRACE).await;
    let silent = TcpStream::connect(server.addr).await.unwrap();
    // Answered as soon as the silent one has lost its place.
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
    drop(silent);
}

#[tokio::test]
async fn without_a_file_store_there_are_no_streams() {
    let bound = http::bind("127.0.0.1:0".parse().unwrap(), &Access::default()).await.unwrap();
    let url = format!("http://{}/streams/l/c/stream.m3u8", bound.local_addr());
    let site = Site { files: None::<FilesAt>, ..Site::default() };
    let serving = tokio::spawn(bound.serve(site, std::future::pending(), GRACE));
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    assert_eq!(client.get(url).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    serving.abort();
}

/// Reads the head of a huge answer, and then no more.
async fn start_download(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut stream = socket.connect(server.addr).await.unwrap();
    stream.write_all(b"GET /streams/l/c/long.ts HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 1024];
    let read = timeout(PATIENCE, stream.read(&mut first)).await.unwrap().unwrap();
    assert!(first[..read].starts_with(b"HTTP/1.1 200"));
    stream
}
