//! Streams on demand: whoever wants one says so here, or by fetching it, and says it again while that lasts.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::answer::{NOT_STORED, error};
use super::streams::{NO_STREAM, StreamStatus, Streams};

/// What is asked of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It is wanted, for as long as its `idle_timeout` from now.
    Want,
    /// It is not, whoever else wanted it.
    Stop,
}

/// Why an order is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    NoStream,
    /// It runs always (`start: always`): there is nothing to stop.
    AlwaysRuns,
}

/// Comes when the stream can be played, or its camera has failed.
pub type Settled = Pin<Box<dyn Future<Output = ()> + Send>>;

type Do = dyn Fn(&str, Order) -> Result<Settled, Refusal> + Send + Sync;

/// Carries out orders.
#[derive(Clone)]
pub struct Control(Arc<Do>);

impl Control {
    /// `order` returns at once; what it returns may be waited for.
    pub fn new(order: impl Fn(&str, Order) -> Result<Settled, Refusal> + Send + Sync + 'static) -> Self {
        Self(Arc::new(order))
    }

    fn order(&self, id: &str, order: Order) -> Result<Settled, Refusal> {
        (self.0)(id, order)
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new(|_, _| Err(Refusal::NoStream))
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Control").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
struct Desk {
    control: Control,
    streams: Streams,
}

pub(super) fn router(control: Control, streams: Streams) -> Router {
    Router::new()
        .route("/api/streams/start", post(start))
        .route("/api/streams/touch", post(touch))
        .route("/api/streams/stop", post(stop))
        .with_state(Desk { control, streams })
}

/// Who fetches a stream's objects wants it.
pub(super) fn wanted_by_fetching(files: Router, control: Control) -> Router {
    let want = move |request: Request, next: Next| {
        // `/{location}/{camera}/{object}`: the guard has let it pass, and what is no camera's is refused below.
        let mut parts = request.uri().path().rsplit('/').skip(1);
        let _ = parts.next().map(|camera| control.order(camera, Order::Want).map(drop));
        next.run(request)
    };
    files.layer(middleware::from_fn(want))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    camera_id: Option<String>,
    stream_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patience {
    /// `10s`, or a number of seconds.
    wait: Option<String>,
}

/// The answer to a start.
#[derive(Debug, Serialize)]
struct Started {
    stream_id: String,
    /// `starting` or `running`.
    status: &'static str,
    playlist_url: Option<String>,
    /// On this server.
    local_url: Option<String>,
}

/// The answer to the other calls.
#[derive(Debug, Serialize)]
struct Done {
    stream_id: String,
    status: &'static str,
}

/// Longer than any camera takes that comes at all.
const MOST_WAIT: Duration = Duration::from_secs(60);

async fn start(
    State(desk): State<Desk>,
    patience: Result<Query<Patience>, QueryRejection>,
    call: Result<Json<Call>, JsonRejection>,
) -> Response {
    let (id, wait) = match (id_of(call), wait_of(patience)) {
        (Ok(id), Ok(wait)) => (id, wait),
        (Err(refused), _) | (_, Err(refused)) => return *refused,
    };
    let settled = match desk.control.order(&id, Order::Want) {
        Ok(settled) => settled,
        Err(refusal) => return refused(refusal),
    };
    let Some(wait) = wait else { return desk.started(&id, false) };
    let came = tokio::time::timeout(wait, settled).await.is_ok();
    desk.started(&id, came)
}

impl Desk {
    /// `settled`: whoever waited knows that it can be played, or why it can't.
    fn started(&self, id: &str, settled: bool) -> Response {
        let Some(stream) = self.streams.one(id) else { return error(StatusCode::NOT_FOUND, NO_STREAM) };
        let is_running = stream.is_active && stream.last_upload_age_s.is_some();
        if settled && !is_running {
            return failed(stream);
        }
        let StreamStatus { stream_id, playlist_url, local_url, .. } = stream;
        let (code, status) =
            if is_running { (StatusCode::OK, "running") } else { (StatusCode::ACCEPTED, "starting") };
        (code, [NOT_STORED], Json(Started { stream_id, status, playlist_url, local_url })).into_response()
    }
}

/// The camera's fault, not the caller's: as a gateway says it.
fn failed(stream: StreamStatus) -> Response {
    let why = stream.last_error.or(stream.storage_error).or(stream.reason);
    error(StatusCode::BAD_GATEWAY, why.unwrap_or_else(|| "the camera gives no stream".into()))
}

async fn touch(State(desk): State<Desk>, call: Result<Json<Call>, JsonRejection>) -> Response {
    let id = match id_of(call) {
        Ok(id) => id,
        Err(refused) => return *refused,
    };
    match desk.control.order(&id, Order::Want) {
        Ok(_) => desk.started(&id, false),
        Err(refusal) => refused(refusal),
    }
}

async fn stop(State(desk): State<Desk>, call: Result<Json<Call>, JsonRejection>) -> Response {
    let id = match id_of(call) {
        Ok(id) => id,
        Err(refused) => return *refused,
    };
    match desk.control.order(&id, Order::Stop) {
        Ok(_) => ([NOT_STORED], Json(Done { stream_id: id, status: "stopping" })).into_response(),
        Err(refusal) => refused(refusal),
    }
}

fn id_of(call: Result<Json<Call>, JsonRejection>) -> Result<String, Box<Response>> {
    match call {
        Ok(Json(
            Call { camera_id: Some(id), stream_id: None } | Call { camera_id: None, stream_id: Some(id) },
        )) => Ok(id),
        Ok(_) => Err(Box::new(error(StatusCode::UNPROCESSABLE_ENTITY, "give either camera_id or stream_id"))),
        // Its words may hold the caller's.
        Err(rejection) => {
            Err(Box::new(error(rejection.status(), "the body has to be JSON: {\"camera_id\": \"…\"}")))
        }
    }
}

fn wait_of(patience: Result<Query<Patience>, QueryRejection>) -> Result<Option<Duration>, Box<Response>> {
    let bad = || Box::new(error(StatusCode::BAD_REQUEST, "wait has to be a time up to 60s, as in ?wait=10s"));
    let Ok(Query(Patience { wait })) = patience else { return Err(bad()) };
    let Some(text) = wait else { return Ok(None) };
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let wait = seconds.or_else(|| humantime::parse_duration(&text).ok()).filter(|wait| *wait <= MOST_WAIT);
    wait.map(Some).ok_or_else(bad)
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::NoStream => error(StatusCode::NOT_FOUND, NO_STREAM),
        Refusal::AlwaysRuns => {
            error(StatusCode::CONFLICT, "this camera always runs (start: always): it can't be stopped here")
        }
    }
}
