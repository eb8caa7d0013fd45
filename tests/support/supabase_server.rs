//! Supabase Storage's REST API as documented, with its own error bodies: HTTP 400 to nearly everything, the
//! truth within. In memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A legacy key: a JWT in form (nobody signed it).
pub const JWT_KEY: &str = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl";
/// A key of the new kind.
pub const SECRET_KEY: &str = "sb_secret_0123456789abcdef";
/// More keys in one delete are refused.
const MAX_DELETES: usize = 1000;

/// Ends when dropped.
#[derive(Debug)]
pub struct SupabaseServer {
    /// The project's URL: `http://127.0.0.1:port`
    pub url: String,
    buckets: Buckets,
    allowed: Allowed,
    _server: JoinSet<()>,
}

/// Its buckets' list of MIME types; empty: all of them.
type Allowed = Arc<Mutex<Vec<&'static str>>>;

type Buckets = Arc<Mutex<BTreeMap<String, BTreeMap<String, Object>>>>;

#[derive(Debug, Clone)]
struct Object {
    body: Bytes,
    content_type: String,
    cache_control: String,
}

impl SupabaseServer {
    pub async fn start() -> Self {
        let (buckets, allowed) = (Buckets::default(), Allowed::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let url = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
        let router =
            Router::new().nest("/storage/v1", routes(buckets.clone()).layer(Extension(allowed.clone())));
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, router).await.expect("the server runs until it is dropped");
        });
        Self { url, buckets, allowed, _server: server }
    }

    /// Only these are taken from now on.
    pub fn allow(&self, types: &[&'static str]) {
        *self.allowed.lock().unwrap() = types.to_vec();
    }

    /// A public one.
    pub fn create_bucket(&self, name: &str) {
        self.buckets.lock().unwrap().insert(name.to_owned(), BTreeMap::new());
    }
}

fn routes(buckets: Buckets) -> Router {
    Router::new()
        .route("/bucket", post(create_bucket))
        .route("/object/{bucket}/{*key}", post(upload).get(download))
        .route("/object/{bucket}", delete(remove))
        .route("/object/list/{bucket}", post(list))
        .layer(middleware::from_fn(authorize))
        // Without a key.
        .route("/object/public/{bucket}/{*key}", get(download))
        .layer(DefaultBodyLimit::disable())
        .with_state(buckets)
}

/// A refusal as the storage server words it.
fn refusal(status: u16, code: &str, error: &str, message: &str) -> Response {
    let body = json!({ "statusCode": status.to_string(), "code": code, "error": error, "message": message });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// As the gateway in front of it words it.
fn gateway_refusal(message: &str) -> Response {
    (StatusCode::UNAUTHORIZED, Json(json!({ "message": message }))).into_response()
}

fn no_bucket() -> Response {
    refusal(404, "NoSuchBucket", "Bucket not found", "Bucket not found")
}

async fn authorize(request: Request, next: Next) -> Response {
    match refused(request.headers()) {
        Some(response) => response,
        None => next.run(request).await,
    }
}

fn refused(headers: &HeaderMap) -> Option<Response> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = header(AUTHORIZATION.as_str());
    let browser = header(USER_AGENT.as_str()).is_some_and(|agent| agent.contains("Mozilla"));
    Some(match header("apikey") {
        None => gateway_refusal("No API key found in request"),
        Some(JWT_KEY) if bearer == Some(&format!("Bearer {JWT_KEY}")) => return None,
        Some(JWT_KEY) if bearer.is_none() => {
            refusal(400, "InvalidRequest", "Error", "headers must have required property 'authorization'")
        }
        // A secret key is no JWT.
        Some(SECRET_KEY) if bearer.is_some() => {
            refusal(403, "AccessDenied", "Unauthorized", "Invalid Compact JWS")
        }
        Some(SECRET_KEY) if browser => gateway_refusal("Forbidden use of secret API key in browser"),
        Some(SECRET_KEY) => return None,
        Some(key) if key.starts_with("sb_") => gateway_refusal("Invalid API key"),
        Some(_) => refusal(403, "AccessDenied", "Unauthorized", "signature verification failed"),
    })
}

#[derive(Deserialize)]
struct NewBucket {
    id: String,
}

async fn create_bucket(State(buckets): State<Buckets>, Json(new): Json<NewBucket>) -> Response {
    buckets.lock().unwrap().entry(new.id.clone()).or_default();
    Json(json!({ "name": new.id })).into_response()
}

async fn upload(
    State(buckets): State<Buckets>,
    Extension(allowed): Extension<Allowed>,
    Path((bucket, key)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    // The real one takes bodies of unknown length, but then enforces no limit: be stricter here.
    if header(CONTENT_LENGTH.as_str()) != Some(body.len().to_string()) {
        return refusal(411, "MissingContentLength", "Length Required", "Content-Length is missing or wrong");
    }
    if !key.is_ascii() || key.contains(['#', '|']) {
        return refusal(400, "InvalidKey", "InvalidKey", &format!("Invalid key: {key}"));
    }
    let mut buckets = buckets.lock().unwrap();
    let Some(objects) = buckets.get_mut(&bucket) else { return no_bucket() };
    if objects.contains_key(&key) && header("x-upsert").as_deref() != Some("true") {
        return refusal(409, "KeyAlreadyExists", "Duplicate", "The resource already exists");
    }
    let content_type = header(CONTENT_TYPE.as_str()).unwrap_or_else(|| "application/octet-stream".into());
    let allowed = allowed.lock().unwrap();
    if !allowed.is_empty() && !allowed.contains(&content_type.as_str()) {
        let message = format!("mime type {content_type} is not supported");
        return refusal(415, "InvalidMimeType", "invalid_mime_type", &message);
    }
    let cache_control = header(CACHE_CONTROL.as_str()).unwrap_or_else(|| "no-cache".into());
    objects.insert(key.clone(), Object { body, content_type, cache_control });
    Json(json!({ "Key": format!("{bucket}/{key}"), "Id": "7d6d1b5e-4c9f-4b4e-9d7a-0c3a6f1f2b11" }))
        .into_response()
}

async fn download(State(buckets): State<Buckets>, Path((bucket, key)): Path<(String, String)>) -> Response {
    let buckets = buckets.lock().unwrap();
    let Some(objects) = buckets.get(&bucket) else { return no_bucket() };
    let Some(object) = objects.get(&key) else {
        return refusal(404, "NoSuchKey", "not_found", "Object not found");
    };
    let object = object.clone();
    // As the real one shows it, lest its domain serves anybody's pages.
    let content_type = object.content_type.replace("text/html", "text/plain");
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, object.cache_control)], object.body).into_response()
}

#[derive(Deserialize)]
struct Removal {
    prefixes: Vec<String>,
}

async fn remove(
    State(buckets): State<Buckets>,
    Path(bucket): Path<String>,
    Json(Removal { prefixes }): Json<Removal>,
) -> Response {
    if prefixes.is_empty() || prefixes.len() > MAX_DELETES {
        return refusal(400, "InvalidRequest", "Error", "body/prefixes must NOT have more than 1000 items");
    }
    let mut buckets = buckets.lock().unwrap();
    let Some(objects) = buckets.get_mut(&bucket) else { return no_bucket() };
    let removed = prefixes.into_iter().filter(|key| objects.remove(key).is_some());
    Json(removed.map(|key| json!({ "name": key, "bucket_id": bucket })).collect::<Vec<_>>()).into_response()
}

#[derive(Deserialize)]
struct Listing {
    prefix: String,
    #[serde(default = "default_limit")]
    limit: usize,
    #[serde(default)]
    offset: usize,
}

fn default_limit() -> usize {
    100
}

/// One folder: names relative to it, in order; folders in it have no id.
async fn list(
    State(buckets): State<Buckets>,
    Path(bucket): Path<String>,
    Json(Listing { prefix, limit, offset }): Json<Listing>,
) -> Response {
    let buckets = buckets.lock().unwrap();
    let Some(objects) = buckets.get(&bucket) else { return no_bucket() };
    let names = objects.keys().filter_map(|key| key.strip_prefix(&prefix));
    let rows: BTreeSet<(&str, bool)> =
        names.map(|name| name.split_once('/').map_or((name, true), |(folder, _)| (folder, false))).collect();
    let row = |(name, is_object): (&str, bool)| match is_object {
        true => json!({ "name": name, "id": format!("id-of-{name}"), "metadata": {} }),
        false => json!({ "name": name, "id": Value::Null, "metadata": Value::Null }),
    };
    Json(rows.into_iter().skip(offset).take(limit).map(row).collect::<Vec<_>>()).into_response()
}
