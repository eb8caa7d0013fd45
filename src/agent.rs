//! The composition root: a configuration becomes a running tree of tasks, and ends in order.
//!
//! ```text
//! agent ── stop token, abort token
//!  ├─ camera × N (one after the other as the configuration changes, restarted if it panics)
//!  │   ├─ supervisor ── run (ffmpeg, its spool)
//!  │   ├─ publisher ── store calls
//!  │   ├─ snapshots ── a short ffmpeg, a store call
//!  │   └─ sheet, variants ── a store call each
//!  ├─ credentials of the storage
//!  ├─ readiness ── a store call, until it is answered
//!  └─ http server (last to stop)
//! ```
//!
//! Stopping: `stop` is cancelled, each supervisor ends its ffmpeg and closes the segment channel, each publisher
//! drains. After [`DRAIN_GRACE`], or on a second signal, `abort` ends what is left.

mod access;
mod acquaintances;
mod adhoc;
mod assignment;
mod camera;
mod chatter;
mod control;
mod credentials;
mod directory;
mod figures;
mod leftovers;
mod passing;
mod ready;
mod reload;
mod site;
mod slot;
mod streams;
mod turns;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::camera::metered::Stopwatch;
use crate::camera::status::CameraStatus;
use crate::clock;
use crate::config::StorageSource;
use crate::config::model::{Camera, Config, Start};
use crate::domain::health;
use crate::domain::key::Layout;
use crate::domain::lifecycle::Phase;
use crate::domain::quota::{self, Division, Parts};
use crate::engine::ffmpeg::{Trials, Workshop, capabilities};
use crate::engine::spool::origin::tidy;
use crate::engine::spool::root::{default_root, file_system_bytes};
use crate::engine::spool::shares::SpoolShares;
use crate::engine::spool::watch::SpoolWatch;
use crate::http::{self, Ready, Site};
use crate::store;
use crate::sys::child::Spawner;

use access::access;
pub use access::random_key;
use acquaintances::Acquaintances;
use adhoc::Adhoc;
pub use adhoc::Event;
use assignment::OriginStore;
pub use assignment::has_origin;
use camera::Surroundings;
use credentials::SharedStore;
use directory::Directory;
pub use reload::Prepared;
pub use site::{entry, playlist_url};
use slot::Slot;
use turns::Turns;

/// For the last segments to be published. Below systemd's TimeoutStopSec.
pub const DRAIN_GRACE: Duration = Duration::from_secs(20);
/// For answers of the web server that are under way.
const HTTP_GRACE: Duration = Duration::from_secs(1);
/// A supervisor that gave no sign of life for this long hangs.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// A running agent. Dropping it ends everything at once.
#[derive(Debug)]
pub struct Agent {
    /// What runs: `http`, `spool` and `ffmpeg` as at the start, the rest as last loaded.
    config: Config,
    cameras: Vec<Camera>,
    slots: Vec<Slot>,
    /// The slots' tasks.
    tasks: JoinSet<()>,
    around: Surroundings,
    store: SharedStore,
    credentials: JoinSet<()>,
    site: watch::Sender<Site>,
    /// What it tells of the streams.
    directory: watch::Sender<Arc<Directory>>,
    adhoc: Adhoc,
    /// Signs viewers' addresses where the configuration has no key.
    own_key: SecretString,
    ready: Ready,
    /// Waits for the storage's first answer.
    readiness: JoinSet<()>,
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
        let own_key = random_key()?;
        let bound = match &config.http {
            Some(http) => {
                let bound = http::bind(http.listen, &access(http, &own_key)).await?;
                Some(bound.with_limits(access::limits(http)))
            }
            None => None,
        };
        let capabilities = capabilities::detect(config.ffmpeg.as_deref()).await?;
        tracing::debug!(version = capabilities.version, "ffmpeg found");
        let store = store::open(&config.store).await.context("the storage can't be set up")?;
        let store = SharedStore::new(store, config.store.clone());
        let spool_root = config.spool.clone().unwrap_or_else(default_root);
        let division = division(config, &spool_root, cameras.iter().copied());
        tidy_origins(config, spool_root.clone()).await;
        let origin = Arc::new(OriginStore::new(spool_root.clone(), division.share()));
        let workshop = Arc::new(Workshop {
            capabilities,
            spawner: Spawner::start().context("no thread for child processes")?,
            watch: SpoolWatch::new(),
            spool_root,
            spool_share: SpoolShares::of(division),
        });
        let around = Surroundings {
            trials: Arc::new(Trials::new(workshop.clone())),
            workshop,
            stopwatch: Stopwatch::default(),
            origin,
            turns: Turns::of_runs(),
            clears: Turns::of_clears(),
            acquaintances: Acquaintances::default(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
        };
        let mut agent = Self {
            config: config.clone(),
            cameras: cameras.iter().map(|camera| (*camera).clone()).collect(),
            slots: Vec::new(),
            tasks: JoinSet::new(),
            around,
            credentials: credentials::spawn(&store, None),
            store,
            site: watch::Sender::new(Site::default()),
            directory: watch::Sender::default(),
            adhoc: Adhoc::new(),
            own_key,
            ready: Ready::default(),
            readiness: JoinSet::new(),
            http: JoinSet::new(),
            http_stop: CancellationToken::new(),
            http_addr: bound.as_ref().map(http::Bound::local_addr),
        };
        agent.find_left().await;
        agent.assign();
        if let Some(bound) = bound {
            agent.show();
            agent.await_storage();
            let stop = agent.http_stop.clone().cancelled_owned();
            agent.http.spawn(bound.serve(agent.site.subscribe(), stop, HTTP_GRACE));
        }
        Ok(agent)
    }

    /// From now on the storage's credentials are taken up when `source` has other ones.
    pub fn watch_credentials(&mut self, source: StorageSource) {
        self.credentials = credentials::spawn(&self.store, Some(source));
    }

    /// Of the cameras that run, and of those that are just ending after a reload.
    pub fn statuses(&self) -> Vec<watch::Receiver<CameraStatus>> {
        let there = self.slots.iter().filter(|slot| !slot.is_retired() && !slot.is_left());
        there.map(|slot| slot.status.clone()).collect()
    }

    /// The ids of the cameras that should run.
    pub fn camera_ids(&self) -> Vec<&str> {
        self.cameras.iter().map(|camera| camera.id.as_str()).collect()
    }

    /// One line on all cameras, without figures that change all the time.
    pub fn summary(&self) -> String {
        let statuses: Vec<_> = self.statuses().iter().map(|status| status.borrow().clone()).collect();
        health::summary(statuses.iter().map(|status| (status.id.as_str(), status.verdict)))
    }

    /// What the web server shows from now on.
    fn show(&self) {
        if let Some(addr) = self.http_addr {
            let directory = Arc::new(self.directory());
            self.directory.send_replace(directory.clone());
            let site = self.site_at(addr, &directory);
            let access = self.config.http.as_ref().map(|http| access(http, &self.own_key));
            let (streams, figures) = (directory::told(self.directory.subscribe()), self.figures(&directory));
            let control = control::control(self.directory.subscribe(), self.adhoc.reception.clone());
            let ready = self.ready.clone();
            let access = access.unwrap_or_default();
            self.site.send_replace(Site { streams, figures, control, ready, access, ..site });
        }
    }

    fn await_storage(&mut self) {
        let may_come = self.config.http.as_ref().is_some_and(|http| http.adhoc.is_some());
        // Its playlist need not be there.
        let any = || may_come.then(|| "adhoc".parse().expect("an id"));
        let id = self.cameras.first().map(|camera| camera.id.clone()).or_else(any);
        let playlist = id.map(|id| Layout::new(&self.config.location, &id).playlist());
        self.readiness.spawn(ready::await_storage(self.store.store(), playlist, self.ready.clone()));
    }

    /// Of the cameras, for metrics.
    fn figures(&self, directory: &Directory) -> http::Figures {
        // Not of those that are ending: nobody would take them out of the metrics again.
        let slots = directory.streams.iter().map(|stream| &stream.slot);
        let told: Vec<_> = slots.map(|slot| (slot.id.clone(), slot.figures.clone())).collect();
        let stopwatch = self.around.stopwatch.clone();
        http::Figures::new(move || http::Counted {
            cameras: told.iter().map(|(id, figures)| figures.told(id.as_str())).collect(),
            latencies: figures::latencies(&stopwatch),
            process: figures::process(),
        })
    }

    /// Where the web server listens, if there is one.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http_addr
    }

    /// No supervisor hangs: what systemd's watchdog is told.
    pub fn is_alive(&self) -> bool {
        let now = clock::now();
        // Where nothing runs, nothing hangs.
        let is_alive = |status: &watch::Receiver<CameraStatus>| {
            let status = status.borrow();
            status.phase == Phase::Idle || now.saturating_duration_since(status.beat) < HANGS_AFTER
        };
        self.statuses().iter().all(is_alive)
    }

    /// Ends every camera: last segments are published within [`DRAIN_GRACE`]; `now` cuts that short.
    pub async fn stop(mut self, now: impl Future<Output = ()>) {
        self.around.stop.cancel();
        tokio::select! {
            () = drain(&mut self.tasks) => {}
            () = now => tracing::warn!("stopping at once"),
            () = tokio::time::sleep(DRAIN_GRACE) => {
                tracing::warn!(grace_s = DRAIN_GRACE.as_secs(), "not all could be published in time");
            }
        }
        self.around.abort.cancel();
        drain(&mut self.tasks).await;
        self.http_stop.cancel();
        drain(&mut self.http).await;
    }
}

async fn drain(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// What this box served of cameras that the configuration has no more.
async fn tidy_origins(config: &Config, spool_root: PathBuf) {
    let ids: HashSet<_> = config.cameras.iter().map(|camera| camera.id.clone()).collect();
    let tidy = move || tidy(&spool_root, |camera| ids.contains(camera));
    let _ = tokio::task::spawn_blocking(tidy).await;
}

/// How the spool is divided; warns once of cameras that get too little of it.
fn division<'a>(config: &Config, root: &Path, cameras: impl Iterator<Item = &'a Camera>) -> Division {
    let cameras: Vec<_> = cameras.collect();
    let division = division_of(config, spool_limit(config, root), &cameras);
    let share = division.share();
    let small: Vec<_> = cameras.iter().filter(|camera| share < camera.settings.least_share()).collect();
    if let Some(camera) = small.iter().max_by_key(|camera| camera.settings.least_share()) {
        let (share_mb, least_mb) = (in_mb(share), in_mb(camera.settings.least_share()));
        let (camera, cameras) = (&camera.id, small.len());
        tracing::warn!(%camera, cameras, share_mb, least_mb, "a camera's share of spool_limit is small: raise it");
    }
    division
}

/// Of a limit: half of it is for what this box serves itself, if it does.
pub fn division_of(config: &Config, limit: u64, cameras: &[&Camera]) -> Division {
    let always = cameras.iter().filter(|camera| camera.settings.start == Start::Always).count();
    let adhoc = config.http.as_ref().and_then(|http| http.adhoc.as_ref());
    let others = adhoc.map_or(0, |adhoc| adhoc.max_streams);
    let Parts { runs, .. } = Parts::of(limit, has_origin(config));
    Division { limit: runs, always, on_demand: cameras.len() - always + others }
}

/// What all spools may take together.
pub fn spool_limit(config: &Config, root: &Path) -> u64 {
    config.spool_limit.unwrap_or_else(|| quota::default_limit(file_system_bytes(root)))
}

/// Decimal megabytes, for people.
pub fn in_mb(bytes: u64) -> f64 {
    (bytes as f64 / 1e5).round() / 10.0
}
