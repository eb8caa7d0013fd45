//! A gate before a real S3 server: it lets pass what is signed by an access key that is valid now. Real servers let
//! credentials expire after a quarter of an hour at least.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;

use super::scripted_http::{ScriptedHttp, Seen, response};

const EXPIRED: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"#;

/// Ends when dropped.
#[derive(Debug)]
pub struct Gate {
    /// `http://127.0.0.1:port`
    pub url: String,
    state: Arc<Mutex<State>>,
    _server: ScriptedHttp,
}

#[derive(Debug, Default)]
struct State {
    revoked: BTreeSet<String>,
    refused: usize,
}

impl Gate {
    /// Before the server at `endpoint`.
    pub async fn start(endpoint: &str) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        // Idle connections end before the server closes them.
        let client = reqwest::Client::builder().no_proxy().pool_idle_timeout(Duration::from_secs(5));
        let client = client.build().expect("an HTTP client");
        let (shared, endpoint) = (state.clone(), endpoint.to_owned());
        let server = ScriptedHttp::start(move |seen| {
            let (client, endpoint, shared) = (client.clone(), endpoint.clone(), shared.clone());
            async move {
                if is_refused(&shared, &seen) {
                    return response(400, &[("content-type", "application/xml")], EXPIRED);
                }
                forward(&client, &endpoint, seen).await
            }
        })
        .await;
        Self { url: server.url.clone(), state, _server: server }
    }

    /// What this key signs is refused from now on.
    pub fn revoke(&self, access_key: &str) {
        self.state.lock().unwrap().revoked.insert(access_key.to_owned());
    }

    /// Requests that were refused so far.
    pub fn refused(&self) -> usize {
        self.state.lock().unwrap().refused
    }
}

fn is_refused(state: &Mutex<State>, seen: &Seen) -> bool {
    let signature = seen.header("authorization").unwrap_or_default();
    let mut state = state.lock().unwrap();
    let refused = state.revoked.iter().any(|key| signature.contains(&format!("Credential={key}/")));
    state.refused += usize::from(refused);
    refused
}

/// With the `Host` of the request: it is signed.
async fn forward(client: &reqwest::Client, endpoint: &str, seen: Seen) -> Response {
    let url = format!("{endpoint}{}", seen.target);
    let sent = client.request(seen.method, url).headers(seen.headers).body(seen.body).send().await;
    let answer = sent.expect("the real server answers");
    let mut builder = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if name != "transfer-encoding" && name != "connection" {
            builder = builder.header(name, value);
        }
    }
    builder
        .body(Body::from(answer.bytes().await.expect("a whole answer")))
        .expect("a response of valid parts")
}
