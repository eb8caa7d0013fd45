//! What the server shows, and under which address.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Serialize;
use tokio::sync::watch;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::ToSchema;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::answer::NOT_STORED;
use super::control::{self, Control};
use super::figures::Figures;
use super::guard::{Access, guarded};
use super::health::{self, Ready};
use super::limits::{Clients, limited};
use super::openapi::Document;
use super::sign::{self, Desk};
use super::streams::{self, Streams};
use super::viewing::{Audience, Places};
use super::{auth, files, metrics, page};
use crate::domain::edge::Edge;

/// Where [`Site::files`] appear: stream `cam` begins at `/streams/cam/stream.m3u8`.
pub const STREAMS_PATH: &str = "/streams";

/// Everything that the server shows.
#[derive(Debug, Clone, Default)]
pub struct Site {
    pub cameras: Vec<CameraLink>,
    /// The streams that this server has; `None` when they lie elsewhere.
    pub files: Option<FilesAt>,
    pub streams: Streams,
    pub figures: Figures,
    pub control: Control,
    pub access: Access,
    pub ready: Ready,
}

/// A site that may change while it is shown.
#[derive(Debug, Clone)]
pub struct LiveSite(pub(super) watch::Receiver<Site>);

impl From<Site> for LiveSite {
    fn from(site: Site) -> Self {
        Self(watch::Sender::new(site).subscribe())
    }
}

impl From<watch::Receiver<Site>> for LiveSite {
    fn from(site: watch::Receiver<Site>) -> Self {
        Self(site)
    }
}

/// One entry of `/api/cameras.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CameraLink {
    pub id: String,
    pub name: String,
    /// Absolute, or a path on this server.
    pub playlist_url: String,
}

#[derive(Debug, Clone)]
pub struct FilesAt {
    /// Need not exist yet.
    pub root: PathBuf,
    /// By stream.
    pub folders: HashMap<String, Folder>,
    /// What lies there can be asked for by its key, too: `/streams/location_1/cam/stream.m3u8`.
    pub by_key: bool,
}

/// Where a stream's objects lie.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Below the root; ends in `/`.
    pub path: String,
    /// Who has not asked for the playlist for so long does not watch any more.
    pub stays: Duration,
    /// The newest parts of a stream that has some.
    pub edge: watch::Receiver<Edge>,
}

/// What the server knows beside its site: it outlives a reload.
#[derive(Debug, Clone)]
pub(super) struct Around {
    /// No other machine reaches the server.
    pub(super) is_local: bool,
    pub(super) clients: Arc<Clients>,
    pub(super) audience: Audience,
}

pub(super) fn router(site: Site, around: &Around) -> Router {
    let cameras: Arc<[CameraLink]> = site.cameras.into();
    let desk = Desk { access: site.access.clone(), cameras: cameras.clone(), around: around.clone() };
    let document = Document::default();
    let streams = site.streams.watched_by(around.audience.clone());
    let mut routes = OpenApiRouter::new()
        .merge(health::router(streams.clone(), site.ready))
        .merge(metrics::router(streams.clone(), site.figures))
        .merge(control::router(site.control.clone(), streams.clone(), around.clients.clone()))
        .merge(streams::router(streams))
        .merge(sign::router(desk))
        .merge(auth::router())
        .routes(routes!(listed).with_state(cameras))
        .merge(document.router())
        .merge(page::router());
    if let Some(files) = site.files {
        let places = Places::new(&files, site.control, around.audience.clone());
        routes = routes.merge(files::router(files.root, places));
    }
    let (router, api) = routes.split_for_parts();
    document.is(api);
    let router = limited(guarded(router, site.access, around.clone()), around.clients.clone());
    router.layer(SetResponseHeaderLayer::overriding(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ))
}

/// The cameras that the page plays.
#[utoipa::path(get, path = "/api/cameras.json", tag = "page",
    responses((status = 200, description = "In the order of the configuration", body = [CameraLink])))]
async fn listed(State(cameras): State<Arc<[CameraLink]>>) -> Response {
    ([NOT_STORED], Json(&*cameras)).into_response()
}
