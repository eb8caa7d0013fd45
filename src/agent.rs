//! The composition root: a configuration becomes a running tree of tasks, and ends in order.
//!
//! ```text
//! agent ── stop token, abort token
//!  ├─ camera × N (restarted if it panics)
//!  │   ├─ supervisor ── run (ffmpeg, its spool)
//!  │   └─ publisher ── store calls
//!  └─ http server (last to stop)
//! ```
//!
//! Stopping: `stop` is cancelled, each supervisor ends its ffmpeg and closes the segment channel, each publisher
//! drains. After [`DRAIN_GRACE`], or on a second signal, `abort` ends what is left.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::camera::status::{CameraStatus, StatusSender};
use crate::camera::supervisor::{Supervisor, plan};
use crate::clock;
use crate::config::model::{Camera, Config, StoreConfig};
use crate::domain::backoff::Backoff;
use crate::domain::ids::Location;
use crate::domain::key::Layout;
use crate::domain::lifecycle::Patience;
use crate::engine::StreamSpec;
use crate::engine::ffmpeg::{FfmpegEngine, Workshop, capabilities};
use crate::engine::spool::root::default_root;
use crate::engine::spool::watch::SpoolWatch;
use crate::http::{self, CameraLink, FilesAt, STREAMS_PATH, Site};
use crate::store::{self, ObjectStore};
use crate::sys::child::Spawner;

/// For the last segments to be published. Below systemd's TimeoutStopSec.
pub const DRAIN_GRACE: Duration = Duration::from_secs(20);
/// For answers of the web server that are under way.
const HTTP_GRACE: Duration = Duration::from_secs(1);
/// A supervisor that gave no sign of life for this long hangs.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// After a panic; below [`HANGS_AFTER`].
const PANIC_BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };
const PANIC_FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// A running agent. Dropping it ends everything at once.
#[derive(Debug)]
pub struct Agent {
    cameras: JoinSet<()>,
    statuses: Vec<watch::Receiver<CameraStatus>>,
    stop: CancellationToken,
    abort: CancellationToken,
    http: JoinSet<()>,
    http_stop: CancellationToken,
    http_addr: Option<SocketAddr>,
}

impl Agent {
    /// Starts `cameras`. Nothing runs if this fails.
    ///
    /// # Errors
    /// No usable ffmpeg, an address in use, a store that can't be set up.
    pub async fn start(config: &Config, cameras: &[&Camera]) -> anyhow::Result<Self> {
        let bound = match &config.http {
            Some(http) => Some(http::bind(http.listen).await?),
            None => None,
        };
        let capabilities = capabilities::detect(config.ffmpeg.as_deref()).await?;
        tracing::debug!(version = capabilities.version, "ffmpeg found");
        let store = store::open(&config.store).await.context("the storage can't be set up")?;
        let workshop = Arc::new(Workshop {
            capabilities,
            spawner: Spawner::start().context("no thread for child processes")?,
            watch: SpoolWatch::new(),
            spool_root: config.spool.clone().unwrap_or_else(default_root),
        });
        let mut agent = Self {
            cameras: JoinSet::new(),
            statuses: Vec::new(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            http: JoinSet::new(),
            http_stop: CancellationToken::new(),
            http_addr: bound.as_ref().map(http::Bound::local_addr),
        };
        if let Some(bound) = bound {
            let site = site(config, cameras, bound.local_addr());
            let stop = agent.http_stop.clone().cancelled_owned();
            agent.http.spawn(bound.serve(site, stop, HTTP_GRACE));
        }
        for camera in cameras {
            agent.start_camera(&config.location, camera, &workshop, &store);
        }
        Ok(agent)
    }

    fn start_camera(
        &mut self,
        location: &Location,
        camera: &Camera,
        workshop: &Arc<Workshop>,
        store: &Arc<dyn ObjectStore>,
    ) {
        let (status, receiver) = watch::channel(CameraStatus::new(camera.id.clone(), clock::now()));
        self.statuses.push(receiver);
        let keeper = CameraKeeper {
            location: location.clone(),
            camera: camera.clone(),
            workshop: workshop.clone(),
            store: store.clone(),
            status: Arc::new(status),
            stop: self.stop.clone(),
            abort: self.abort.clone(),
        };
        let span = tracing::info_span!("camera", camera = %camera.id);
        self.cameras.spawn(keeper.keep().instrument(span));
    }

    pub fn statuses(&self) -> &[watch::Receiver<CameraStatus>] {
        &self.statuses
    }

    /// Where the web server listens, if there is one.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http_addr
    }

    /// No supervisor hangs: what systemd's watchdog is told.
    pub fn is_alive(&self) -> bool {
        let now = clock::now();
        self.statuses.iter().all(|status| now.saturating_duration_since(status.borrow().beat) < HANGS_AFTER)
    }

    /// Ends every camera: last segments are published within [`DRAIN_GRACE`]; `now` cuts that short.
    pub async fn stop(mut self, now: impl Future<Output = ()>) {
        self.stop.cancel();
        tokio::select! {
            () = drain(&mut self.cameras) => {}
            () = now => tracing::warn!("stopping at once"),
            () = tokio::time::sleep(DRAIN_GRACE) => {
                tracing::warn!(grace_s = DRAIN_GRACE.as_secs(), "not all could be published in time");
            }
        }
        self.abort.cancel();
        drain(&mut self.cameras).await;
        self.http_stop.cancel();
        drain(&mut self.http).await;
    }
}

async fn drain(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// Keeps one camera's supervisor running, also past a panic: a bug that one camera hits is that camera's alone.
struct CameraKeeper {
    location: Location,
    camera: Camera,
    workshop: Arc<Workshop>,
    store: Arc<dyn ObjectStore>,
    status: StatusSender,
    stop: CancellationToken,
    abort: CancellationToken,
}

impl CameraKeeper {
    async fn keep(self) {
        let mut panics = 0;
        loop {
            let started = clock::now();
            let mut task = JoinSet::new();
            task.spawn(self.supervise().in_current_span());
            let ended = task.join_next().await;
            if !matches!(&ended, Some(Err(error)) if error.is_panic()) {
                return;
            }
            // A bug that strikes once a month is no reason to wait long.
            let stable = clock::now().saturating_duration_since(started) > PANIC_FORGOTTEN_AFTER;
            panics = if stable { 1 } else { panics + 1 };
            tracing::error!(panics, "a bug ended this camera's supervisor: starting it again");
            // Waiting is not hanging (see `is_alive`).
            self.status.send_modify(|status| status.beat = clock::now());
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(PANIC_BACKOFF.delay(panics, 0.0)) => {}
            }
        }
    }

    fn supervise(&self) -> impl Future<Output = ()> + Send + use<> {
        let Camera { id, source, settings, .. } = &self.camera;
        let spec = StreamSpec { camera: id.clone(), source: source.clone(), settings: settings.clone() };
        let engine = Box::new(FfmpegEngine::new(self.workshop.clone(), spec));
        let patience = Patience::for_segments_of(settings.segment_duration);
        let supervisor = Supervisor::new(engine, patience, self.status.clone(), seed());
        let plan = plan(&self.location, id, settings);
        supervisor.run(plan, self.store.clone(), self.stop.clone(), self.abort.clone())
    }
}

/// A seed for jitter and run ids.
fn seed() -> u64 {
    // Without the system's random source the clock has to do.
    getrandom::u64().unwrap_or_else(|_| clock::wall_ms())
}

fn site(config: &Config, cameras: &[&Camera], addr: SocketAddr) -> Site {
    let files = match &config.store {
        StoreConfig::File(file) => Some(FilesAt { root: file.root.clone() }),
        StoreConfig::S3(_) | StoreConfig::Supabase(_) => None,
    };
    let link = |camera: &&Camera| {
        Some(CameraLink {
            id: camera.id.to_string(),
            name: camera.name.clone(),
            playlist_url: match &files {
                // A path: the page may be reached under any name of this machine.
                Some(_) => format!("{STREAMS_PATH}/{}", Layout::new(&config.location, &camera.id).playlist()),
                None => playlist_url(config, camera, Some(addr))?,
            },
        })
    };
    Site { cameras: cameras.iter().filter_map(link).collect(), files }
}

/// Where viewers find a camera's playlist; `None` for a folder that nothing serves.
pub fn playlist_url(config: &Config, camera: &Camera, http: Option<SocketAddr>) -> Option<String> {
    let key = Layout::new(&config.location, &camera.id).playlist();
    if let Some(url) = store::public_url(&config.store, &key) {
        return Some(url.to_string());
    }
    let mut addr = http.or(config.http.as_ref().map(|http| http.listen))?;
    if addr.ip().is_unspecified() {
        addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    matches!(config.store, StoreConfig::File(_)).then(|| format!("http://{addr}{STREAMS_PATH}/{key}"))
}
