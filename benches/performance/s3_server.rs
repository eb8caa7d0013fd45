//! An S3 server that takes no time: no disk, no signature check. What is measured against it is the agent's.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use tokio::net::TcpListener;

/// Where it tells how many objects were put.
pub const PUTS_PATH: &str = "/-/puts";
/// Larger bodies are taken and forgotten: nobody reads segments here.
const MOST_KEPT: usize = 64 << 10;

#[derive(Default)]
struct Server {
    puts: AtomicU64,
    playlists: Mutex<HashMap<String, Bytes>>,
}

/// Serves until standard input ends, so that it never outlives the benchmark; its address is its first line.
pub fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    println!("{}", listener.local_addr()?);
    let over = tokio_util::sync::CancellationToken::new();
    let stdin_ends = over.clone().drop_guard();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        drop(stdin_ends);
    });
    let service = Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::new(Server::default()));
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    runtime.block_on(async {
        tokio::select! {
            served = axum::serve(listener, service).into_future() => served,
            () = over.cancelled() => Ok(()),
        }
    })?;
    Ok(())
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let key = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    match parts.method {
        Method::PUT => server.put(key, body),
        Method::GET if key == PUTS_PATH => server.puts.load(Ordering::Relaxed).to_string().into_response(),
        Method::GET if query.contains("list-type=2") => {
            xml(StatusCode::OK, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        }
        Method::GET => server.get(&key),
        Method::POST => xml(StatusCode::OK, "<DeleteResult></DeleteResult>"),
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

impl Server {
    fn put(&self, key: String, body: Bytes) -> Response {
        if body.len() <= MOST_KEPT {
            self.playlists.lock().unwrap_or_else(PoisonError::into_inner).insert(key, body);
        }
        let put = self.puts.fetch_add(1, Ordering::Relaxed);
        ([("etag", format!("\"{put:032x}\""))], Body::empty()).into_response()
    }

    fn get(&self, key: &str) -> Response {
        match self.playlists.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            Some(body) => body.clone().into_response(),
            None => xml(StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>"),
        }
    }
}

fn xml(status: StatusCode, body: &'static str) -> Response {
    (status, [("content-type", "application/xml")], body).into_response()
}
