//! An HTTP server that answers as a test says and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// One request, whole.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Tells connections apart.
    pub peer: SocketAddr,
    pub method: Method,
    /// Path and query, as sent.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header of text"))
    }
}

/// Ends when dropped.
#[derive(Debug)]
pub struct ScriptedHttp {
    /// `http://127.0.0.1:port`
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _server: JoinSet<()>,
}

impl ScriptedHttp {
    pub async fn start<F>(answer: impl Fn(Seen) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let url = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let journal = seen.clone();
        let router = Router::new().fallback(async move |ConnectInfo(peer), request: Request| {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.expect("a whole request");
            let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            let request = Seen { peer, method: parts.method, target, headers: parts.headers, body };
            journal.lock().unwrap().push(request.clone());
            answer(request).await
        });
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, service).await.expect("the server runs until it is dropped");
        });
        Self { url, seen, _server: server }
    }

    /// The same answer to everything.
    pub async fn always(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let (headers, body) = (owned(headers), body.to_owned());
        Self::start(move |_| std::future::ready(build(status, &headers, body.clone()))).await
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    build(status, &owned(headers), body.into())
}

fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn build(status: u16, headers: &[(String, String)], body: impl Into<Body>) -> Response {
    let status = StatusCode::from_u16(status).expect("an HTTP status");
    let builder = Response::builder().status(status);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value));
    builder.body(body.into()).expect("a response of valid parts")
}
