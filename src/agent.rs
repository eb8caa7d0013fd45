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
mod adhoc;
mod camera;
mod control;
mod credentials;
mod directory;
mod leftovers;
mod passing;
mod ready;
mod reload;
mod slot;
mod streams;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::camera::status::CameraStatus;
use crate::clock;
use crate::config::StorageSource;
use crate::config::model::{Camera, Config, StoreConfig};
use crate::domain::health;
use crate::domain::key::{Layout, ObjectKey};
use crate::domain::lifecycle::Phase;
use crate::domain::quota;
use crate::engine::ffmpeg::{Trials, Workshop, capabilities};
use crate::engine::spool::root::{default_root, file_system_bytes};
use crate::engine::spool::watch::SpoolWatch;
use crate::http::{self, CameraLink, FilesAt, Ready, STREAMS_PATH, Site};
use crate::store;
use crate::sys::child::Spawner;

use access::access;
pub use access::random_key;
use adhoc::Adhoc;
pub use adhoc::Event;
use camera::Surroundings;
use credentials::SharedStore;
use directory::{Directory, Stream};
pub use reload::Prepared;
use slot::Slot;
use streams::Urls;

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
            Some(http) => Some(http::bind(http.listen, &access(http, &own_key)).await?),
            None => None,
        };
        let capabilities = capabilities::detect(config.ffmpeg.as_deref()).await?;
        tracing::debug!(version = capabilities.version, "ffmpeg found");
        let store = store::open(&config.store).await.context("the storage can't be set up")?;
        let store = SharedStore::new(store, config.store.clone());
        let spool_root = config.spool.clone().unwrap_or_else(default_root);
        let spool_share = spool_share(config, &spool_root, cameras.iter().copied());
        let workshop = Arc::new(Workshop {
            capabilities,
            spawner: Spawner::start().context("no thread for child processes")?,
            watch: SpoolWatch::new(),
            spool_root,
            spool_share: spool_share.into(),
        });
        let around = Surroundings {
            trials: Arc::new(Trials::new(workshop.clone())),
            workshop,
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
            self.directory.send_replace(Arc::new(self.directory()));
            let directory = self.directory.borrow().clone();
            let site = site(&self.config, directory.streams.iter().map(|stream| &stream.camera), addr);
            let access = self.config.http.as_ref().map(|http| access(http, &self.own_key));
            let streams = directory::told(self.directory.subscribe());
            let control = control::control(self.directory.subscribe(), self.adhoc.reception.clone());
            let ready = self.ready.clone();
            let access = access.unwrap_or_default();
            self.site.send_replace(Site { streams, control, ready, access, ..site });
        }
    }

    fn await_storage(&mut self) {
        let playlist =
            self.cameras.first().map(|camera| Layout::new(&self.config.location, &camera.id).playlist());
        self.readiness.spawn(ready::await_storage(self.store.store(), playlist, self.ready.clone()));
    }

    /// The streams that there are from now on.
    fn directory(&self) -> Directory {
        let entry = |camera: &Camera, asked| {
            let slot = self.slots.iter().find(|slot| slot.id == camera.id)?;
            Some(Stream { slot: slot.clone(), camera: camera.clone(), urls: self.urls(camera), asked })
        };
        let configured = self.cameras.iter().filter_map(|camera| entry(camera, None));
        let Config { cameras, others, defaults, .. } = &self.config;
        let ids = cameras.iter().map(|camera| &camera.id).chain(others.iter().map(|other| &other.id));
        let taken: HashSet<_> = ids.map(|id| id.as_str().to_ascii_lowercase()).collect();
        let adhoc = self.config.http.as_ref().and_then(|http| http.adhoc.clone());
        let passing = self.adhoc.streams.iter().filter_map(|stream| {
            let camera = &stream.assignment.camera;
            let may_stay = adhoc.is_some() && !taken.contains(&camera.id.as_str().to_ascii_lowercase());
            entry(camera, Some(stream.asked.clone().filter(|_| may_stay)?))
        });
        let streams = configured.chain(passing).collect();
        Directory { streams, taken, adhoc, defaults: defaults.clone() }
    }

    fn urls(&self, camera: &Camera) -> Urls {
        let layout = Layout::new(&self.config.location, &camera.id);
        let url = |key| url_of(&self.config, &key, self.http_addr);
        let snapshot = camera.settings.snapshot_interval.and_then(|_| url(layout.snapshot()));
        let is_local = matches!(self.config.store, StoreConfig::File(_));
        let local = is_local.then(|| format!("{STREAMS_PATH}/{}", entry(&layout, camera)));
        Urls { playlist: url(entry(&layout, camera)), local, snapshot }
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

/// What each camera's spool may take; warns of cameras for which that is too little.
fn spool_share<'a>(config: &Config, root: &Path, cameras: impl ExactSizeIterator<Item = &'a Camera>) -> u64 {
    let others =
        config.http.as_ref().and_then(|http| http.adhoc.as_ref()).map_or(0, |adhoc| adhoc.max_streams);
    let share = quota::share(spool_limit(config, root), cameras.len() + others);
    for Camera { id, settings, .. } in cameras {
        let least = settings.least_share();
        if share < least {
            let (share_mb, least_mb) = (in_mb(share), in_mb(least));
            tracing::warn!(camera = %id, share_mb, least_mb, "this camera's share of spool_limit is small: raise it");
        }
    }
    share
}

/// What all spools may take together.
pub fn spool_limit(config: &Config, root: &Path) -> u64 {
    config.spool_limit.unwrap_or_else(|| quota::default_limit(file_system_bytes(root)))
}

/// Decimal megabytes, for people.
pub fn in_mb(bytes: u64) -> f64 {
    (bytes as f64 / 1e5).round() / 10.0
}

fn site<'a>(config: &Config, cameras: impl Iterator<Item = &'a Camera>, addr: SocketAddr) -> Site {
    let files = match &config.store {
        StoreConfig::File(file) => Some(FilesAt { root: file.root.clone() }),
        StoreConfig::S3(_) | StoreConfig::Supabase(_) => None,
    };
    let link = |camera: &Camera| {
        Some(CameraLink {
            id: camera.id.to_string(),
            name: camera.name.clone(),
            playlist_url: match &files {
                // A path: the page may be reached under any name of this machine.
                Some(_) => {
                    let layout = Layout::new(&config.location, &camera.id);
                    format!("{STREAMS_PATH}/{}", entry(&layout, camera))
                }
                None => playlist_url(config, camera, Some(addr))?,
            },
        })
    };
    Site { cameras: cameras.filter_map(link).collect(), files, ..Site::default() }
}

/// Where viewers find a camera's playlist; `None` for a folder that nothing serves.
pub fn playlist_url(config: &Config, camera: &Camera, http: Option<SocketAddr>) -> Option<String> {
    url_of(config, &entry(&Layout::new(&config.location, &camera.id), camera), http)
}

/// Where players begin.
fn entry(layout: &Layout, camera: &Camera) -> ObjectKey {
    if camera.settings.is_multivariant() { layout.multivariant() } else { layout.playlist() }
}

fn url_of(config: &Config, key: &ObjectKey, http: Option<SocketAddr>) -> Option<String> {
    if let Some(url) = store::public_url(&config.store, key) {
        return Some(url.to_string());
    }
    let mut addr = http.or(config.http.as_ref().map(|http| http.listen))?;
    if addr.ip().is_unspecified() {
        addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    matches!(config.store, StoreConfig::File(_)).then(|| format!("http://{addr}{STREAMS_PATH}/{key}"))
}
