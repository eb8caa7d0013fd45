//! The built-in web server, over real sockets.
#![recursion_limit = "256"]
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test owns its tasks and may panic")]

mod auth;
mod back_office;
mod control;
mod dashboards;
mod files;
mod files_races;
mod guard;
mod health;
mod hostile;
mod life;
mod nginx;
mod openapi;
mod page;
#[path = "../support/nginx.rs"]
mod real_nginx;
mod sign;
mod streams;
mod viewing;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use edge_agent::domain::access::Tokens;
use edge_agent::domain::edge::Edge;
use edge_agent::domain::signature::SigningKeys;
use edge_agent::http::{self, Access, CameraLink, Figures, FilesAt, Folder, Limits, Ready, Site, Streams};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Long enough for a busy machine, short enough to notice a hang.
const PATIENCE: Duration = Duration::from_secs(20);

const TOKEN: &str = "a+token/of-some=length";
const OLD_TOKEN: &str = "the-one-before-this-one";

fn access() -> Access {
    let signing = SigningKeys::new([b"new".to_vec(), b"old".to_vec()]);
    Access { tokens: Tokens::new([TOKEN, OLD_TOKEN]), signing, ..Access::default() }
}

/// Of one camera; `by_key`: the folder is a `file` store's.
fn files(root: &TempDir, by_key: bool) -> FilesAt {
    let edge = watch::channel(Edge::EMPTY).1;
    let folder = Folder { path: "location_1/cam_floor/".into(), stays: Duration::from_secs(10), edge };
    FilesAt { root: root.path().to_owned(), folders: [("cam_floor".into(), folder)].into(), by_key }
}

/// A running server with a folder of files.
struct Server {
    root: TempDir,
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    client: reqwest::Client,
    site: watch::Sender<Site>,
}

impl Server {
    async fn start() -> Self {
        Self::with(Limits::default(), Duration::from_secs(5)).await
    }

    async fn with(limits: Limits, grace: Duration) -> Self {
        Self::of(Access::default(), limits, grace).await
    }

    /// One that asks for a token.
    async fn guarded() -> Self {
        Self::of(access(), Limits::default(), Duration::from_secs(5)).await
    }

    async fn of(access: Access, limits: Limits, grace: Duration) -> Self {
        let root = TempDir::new().unwrap();
        let bound = http::bind("127.0.0.1:0".parse().unwrap(), &access).await.unwrap().with_limits(limits);
        let addr = bound.local_addr();
        let (stop, stopped) = oneshot::channel();
        let site = watch::Sender::new(Site {
            cameras: vec![CameraLink {
                id: "cam_floor".into(),
                name: "Floor \"Camera\" <1>".into(),
                playlist_url: "/streams/cam_floor/stream.m3u8".into(),
            }],
            files: Some(files(&root, true)),
            streams: Streams::new(|| vec![streams::told()]),
            figures: Figures::new(health::counted),
            control: control::of_one().0,
            access,
            ready: Ready::default(),
        });
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(bound.serve(site.subscribe(), shutdown, grace));
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { root, addr, stop, task, client, site }
    }

    fn write(&self, key: &str, body: impl AsRef<[u8]>) {
        write(self.root.path(), key, body);
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(self.url(path))
    }

    /// Sends the request as it is written, without a client that tidies up its path.
    async fn raw(&self, request_line: &str) -> String {
        self.raw_with(request_line, "").await
    }

    /// The same with more lines of its head, each with its line break.
    async fn raw_with(&self, request_line: &str, lines: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let head = format!("{request_line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn write(root: &Path, key: &str, body: impl AsRef<[u8]>) {
    let path = root.join(key);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, body).unwrap();
}

/// A header's text; empty when it is absent.
fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}
