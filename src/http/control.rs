//! Streams on demand: whoever wants one says so here, or by fetching it, and says it again while that lasts.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{NOT_STORED, Trouble, body_of, error};
use super::limits::{Clients, again_after};
use super::streams::{NO_STREAM, StreamStatus, Streams};
use super::words::Wanted;
use super::{back_office, start};

/// What is asked of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It is wanted, for as long as its `idle_timeout` from now.
    Want,
    /// Somebody fetches it: the same, unless it was stopped just now.
    Fetched,
    /// It is not, whoever else wanted it.
    Stop,
}

/// What is wanted otherwise than the configuration says, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    pub quality: Option<String>,
    pub max_bitrate: Option<String>,
    pub profile: Option<String>,
}

/// Which stream is to start, and how. No `Debug`: the URL may have a password.
#[allow(missing_debug_implementations, reason = "so that nobody prints it")]
#[derive(Clone, Default)]
pub struct Start {
    /// One of them at least.
    pub id: Option<String>,
    /// Of a camera that the configuration does not know.
    pub rtsp_url: Option<String>,
    pub overrides: Overrides,
}

/// A stream that is wanted from now on, and what is in effect.
#[allow(missing_debug_implementations, reason = "of a future")]
pub struct Accepted {
    pub stream_id: String,
    pub settled: Settled,
    pub quality: Option<&'static str>,
    pub max_bitrate: Option<u32>,
    pub profile: &'static str,
}

/// Why an order is not carried out. Texts are without the caller's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    NoStream,
    /// It runs always (`start: always`): there is nothing to stop.
    AlwaysRuns,
    /// What was asked for makes no sense.
    Invalid(String),
    /// It does, and is not allowed.
    Forbidden(String),
    /// Something else is there.
    Conflict(String),
    /// Not now.
    Busy(String),
    /// The camera's name leads nowhere.
    Unreachable(String),
}

/// What those learn who wait for a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It can be played, or has failed: its status says which.
    Known,
    /// Somebody stopped it meanwhile.
    Stopped,
}

/// Comes when the stream can be played, or has failed. Whoever waits for it wants the stream meanwhile.
pub type Settled = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Comes when it is known whether the stream may start: names may have to be looked up.
pub type Starting = Pin<Box<dyn Future<Output = Result<Accepted, Refusal>> + Send>>;

type Do = dyn Fn(&str, Order) -> Result<Settled, Refusal> + Send + Sync;
type Begin = dyn Fn(Start) -> Starting + Send + Sync;

/// Carries out orders.
#[derive(Clone)]
pub struct Control {
    order: Arc<Do>,
    start: Arc<Begin>,
}

impl Control {
    /// `order` returns at once; what it returns may be waited for.
    pub fn new(order: impl Fn(&str, Order) -> Result<Settled, Refusal> + Send + Sync + 'static) -> Self {
        let start = |_| -> Starting { Box::pin(std::future::ready(Err(Refusal::NoStream))) };
        Self { order: Arc::new(order), start: Arc::new(start) }
    }

    /// What a start does.
    #[must_use]
    pub fn starting(self, start: impl Fn(Start) -> Starting + Send + Sync + 'static) -> Self {
        Self { start: Arc::new(start), ..self }
    }

    /// Somebody fetches it. What is not there is refused elsewhere.
    pub(super) fn want(&self, id: &str) {
        let _ = self.order(id, Order::Fetched).map(drop);
    }

    pub(super) fn order(&self, id: &str, order: Order) -> Result<Settled, Refusal> {
        (self.order)(id, order)
    }

    pub(super) fn start(&self, start: Start) -> Starting {
        (self.start)(start)
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new(|_, _| Err(Refusal::NoStream))
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) control: Control,
    pub(super) streams: Streams,
    pub(super) clients: Arc<Clients>,
}

pub(super) fn router(control: Control, streams: Streams, clients: Arc<Clients>) -> OpenApiRouter {
    let desk = Desk { control, streams, clients };
    let router = OpenApiRouter::new().routes(routes!(touch)).routes(routes!(stop)).with_state(desk.clone());
    router.merge(start::router(desk.clone())).merge(back_office::router(desk))
}

/// Either of its names; they are the same.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Call {
    camera_id: Option<String>,
    stream_id: Option<String>,
}

/// The stream is wanted from now on.
#[derive(Debug, Serialize, ToSchema)]
struct Touched {
    stream_id: String,
    /// `starting` or `running`.
    #[schema(value_type = Wanted)]
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

/// The stream is still wanted: as a start, without waiting.
#[utoipa::path(post, path = "/api/streams/touch", tag = "streams", request_body(content = Call, example = json!({"camera_id": "cam_floor"})),
    responses(
    (status = 200, description = "It can be played", body = Touched),
    (status = 202, description = "It starts", body = Touched),
    (status = 404, description = "There is none of this id", body = Trouble)))]
async fn touch(State(desk): State<Desk>, request: Request) -> Response {
    let id = match id_of(request).await {
        Ok(id) => id,
        Err(refusal) => return refusal,
    };
    match desk.control.order(&id, Order::Want) {
        Ok(_) => desk.touched(&id),
        Err(refusal) => refused(refusal),
    }
}

/// Stops a stream that runs on demand, whoever wants it: its playlist ends, and what it left in the storage is removed
/// after its hold.
#[utoipa::path(post, path = "/api/streams/stop", tag = "streams", request_body(content = Call, example = json!({"camera_id": "cam_floor"})),
    responses(
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
    fn touched(&self, id: &str) -> Response {
        let Some(stream) = self.streams.one(id) else { return error(StatusCode::NOT_FOUND, NO_STREAM) };
        let (code, status) = state(&stream);
        let StreamStatus { stream_id, playlist_url, local_url, .. } = stream;
        (code, [NOT_STORED], Json(Touched { stream_id, status, playlist_url, local_url })).into_response()
    }
}

pub(super) fn is_running(stream: &StreamStatus) -> bool {
    stream.is_active && stream.last_upload_age_s.is_some()
}

pub(super) fn state(stream: &StreamStatus) -> (StatusCode, &'static str) {
    if is_running(stream) { (StatusCode::OK, "running") } else { (StatusCode::ACCEPTED, "starting") }
}

async fn id_of(request: Request) -> Result<String, Response> {
    let call = body_of::<Call>(request).await?.unwrap_or_default();
    match (call.camera_id, call.stream_id) {
        (Some(id), None) | (None, Some(id)) => Ok(id),
        _ => Err(error(StatusCode::BAD_REQUEST, "give either camera_id or stream_id")),
    }
}

pub(super) fn refused(refusal: Refusal) -> Response {
    let (status, why) = why(refusal);
    let answer = error(status, why);
    if status == StatusCode::TOO_MANY_REQUESTS { again_after(BUSY, answer) } else { answer }
}

/// Streams end by themselves in about that time.
pub(super) const BUSY: Duration = Duration::from_secs(10);

pub(super) fn why(refusal: Refusal) -> (StatusCode, String) {
    match refusal {
        Refusal::NoStream => (StatusCode::NOT_FOUND, NO_STREAM.into()),
        Refusal::AlwaysRuns => {
            (StatusCode::CONFLICT, "this camera always runs (start: always): it can't be stopped here".into())
        }
        Refusal::Invalid(why) => (StatusCode::BAD_REQUEST, why),
        Refusal::Forbidden(why) => (StatusCode::FORBIDDEN, why),
        Refusal::Conflict(why) => (StatusCode::CONFLICT, why),
        Refusal::Busy(why) => (StatusCode::TOO_MANY_REQUESTS, why),
        Refusal::Unreachable(why) => (StatusCode::BAD_GATEWAY, why),
    }
}
