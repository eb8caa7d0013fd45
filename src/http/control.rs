//! Streams on demand: whoever wants one says so here, or by fetching it, and says it again while that lasts.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{NOT_STORED, Trouble, body_of, error};
use super::limits::{Clients, again_after};
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

/// Comes when the stream can be played, or its camera has failed. Whoever waits for it wants the stream meanwhile.
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

    /// Somebody fetches it. What is not there is refused elsewhere.
    pub(super) fn want(&self, id: &str) {
        let _ = self.order(id, Order::Want).map(drop);
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
    clients: Arc<Clients>,
}

pub(super) fn router(control: Control, streams: Streams, clients: Arc<Clients>) -> OpenApiRouter {
    let router = OpenApiRouter::new().routes(routes!(start)).routes(routes!(touch)).routes(routes!(stop));
    router.with_state(Desk { control, streams, clients })
}

/// Either of its names; they are the same for a camera of the configuration.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Call {
    camera_id: Option<String>,
    stream_id: Option<String>,
}

/// A token may stand beside it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Patience {
    /// Answer when the stream can be played, or its camera has failed, within so long at most: `10s`, or a number of
    /// seconds.
    wait: Option<String>,
}

/// The stream is wanted from now on.
#[derive(Debug, Serialize, ToSchema)]
struct Started {
    stream_id: String,
    /// `starting` or `running`.
    status: &'static str,
    /// `null` for a folder that nothing serves.
    playlist_url: Option<String>,
    /// The same on this server, if it serves the stream.
    local_url: Option<String>,
}

/// Nobody wants the stream any more.
#[derive(Debug, Serialize, ToSchema)]
struct Stopped {
    stream_id: String,
    /// `stopping`.
    status: &'static str,
}

/// Until somebody who waits has his answer.
const AGAIN: Duration = Duration::from_secs(1);
const NO_PLACE: &str = "too many callers wait for a stream already; ask without wait, or again later";
/// Longer than any camera takes that comes at all.
const MOST_WAIT: Duration = Duration::from_secs(60);

/// Starts a stream that runs on demand, or joins it. It is wanted for its `idle_timeout` from now; say so again, or fetch it
/// from this server, before that is over.
#[utoipa::path(post, path = "/api/streams/start", tag = "streams", params(Patience), request_body = Call, responses(
    (status = 200, description = "It can be played", body = Started),
    (status = 202, description = "It starts", body = Started),
    (status = 404, description = "There is none of this id", body = Trouble),
    (status = 502, description = "The camera has failed while the caller waited, and why", body = Trouble),
    (status = 503, description = "Too many wait already, and nothing was done: again after `Retry-After` seconds, or \
        without `wait`", body = Trouble)))]
async fn start(
    State(desk): State<Desk>,
    patience: Result<Query<Patience>, QueryRejection>,
    request: Request,
) -> Response {
    let wait = match wait_of(patience) {
        Ok(wait) => wait,
        Err(refusal) => return error(StatusCode::BAD_REQUEST, refusal),
    };
    let id = match id_of(request).await {
        Ok(id) => id,
        Err(refusal) => return refusal,
    };
    // Before the order: what was refused was not done.
    let place = wait.and_then(|_| desk.clients.may_wait());
    if wait.is_some() && place.is_none() {
        return again_after(AGAIN, error(StatusCode::SERVICE_UNAVAILABLE, NO_PLACE));
    }
    let settled = match desk.control.order(&id, Order::Want) {
        Ok(settled) => settled,
        Err(refusal) => return refused(refusal),
    };
    let Some(wait) = wait else { return desk.started(&id, false) };
    let came = tokio::time::timeout(wait, settled).await.is_ok();
    desk.started(&id, came)
}

/// The stream is still wanted: as a start, without waiting.
#[utoipa::path(post, path = "/api/streams/touch", tag = "streams", request_body = Call, responses(
    (status = 200, description = "It can be played", body = Started),
    (status = 202, description = "It starts", body = Started),
    (status = 404, description = "There is none of this id", body = Trouble)))]
async fn touch(State(desk): State<Desk>, request: Request) -> Response {
    let id = match id_of(request).await {
        Ok(id) => id,
        Err(refusal) => return refusal,
    };
    match desk.control.order(&id, Order::Want) {
        Ok(_) => desk.started(&id, false),
        Err(refusal) => refused(refusal),
    }
}

/// Stops a stream that runs on demand, whoever wants it: its playlist ends, and what it left in the storage is removed
/// after its hold.
#[utoipa::path(post, path = "/api/streams/stop", tag = "streams", request_body = Call, responses(
    (status = 200, description = "It stops, or did not run", body = Stopped),
    (status = 404, description = "There is none of this id", body = Trouble),
    (status = 409, description = "It always runs", body = Trouble)))]
async fn stop(State(desk): State<Desk>, request: Request) -> Response {
    let id = match id_of(request).await {
        Ok(id) => id,
        Err(refusal) => return refusal,
    };
    match desk.control.order(&id, Order::Stop) {
        Ok(_) => ([NOT_STORED], Json(Stopped { stream_id: id, status: "stopping" })).into_response(),
        Err(refusal) => refused(refusal),
    }
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

async fn id_of(request: Request) -> Result<String, Response> {
    let call = body_of::<Call>(request).await?.unwrap_or_default();
    match (call.camera_id, call.stream_id) {
        (Some(id), None) | (None, Some(id)) => Ok(id),
        _ => Err(error(StatusCode::BAD_REQUEST, "give either camera_id or stream_id")),
    }
}

fn wait_of(patience: Result<Query<Patience>, QueryRejection>) -> Result<Option<Duration>, &'static str> {
    const BAD: &str = "wait has to be a time of 60s at most, as in ?wait=10s";
    let Query(Patience { wait }) = patience.map_err(|_| BAD)?;
    let Some(text) = wait else { return Ok(None) };
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let wait = seconds.or_else(|| humantime::parse_duration(&text).ok()).filter(|wait| *wait <= MOST_WAIT);
    wait.map(Some).ok_or(BAD)
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::NoStream => error(StatusCode::NOT_FOUND, NO_STREAM),
        Refusal::AlwaysRuns => {
            error(StatusCode::CONFLICT, "this camera always runs (start: always): it can't be stopped here")
        }
    }
}
