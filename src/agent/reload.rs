//! A new configuration for a running agent: prepared aside, then taken over in one step, or not at all.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;

use super::adhoc::Passing;
use super::assignment::{Assignment, Place, Stay, has_origin};
use super::credentials::SharedStore;
use super::{Agent, access, camera, division};
use crate::config::model::{Camera, Config, Start, StoreConfig};
use crate::config::{CameraChanges, Loaded, camera_changes, same_access, same_place};
use crate::domain::demand::Demand;
use crate::store::{self, ObjectStore};

/// A configuration that is known to be good, with all that could fail done.
#[derive(Debug)]
pub struct Prepared {
    loaded: Loaded,
    cameras: Vec<Camera>,
    /// `None`: the open one serves.
    store: Option<Arc<dyn ObjectStore>>,
}

impl Agent {
    /// Loads on a thread that may block; touches nothing that runs.
    ///
    /// # Errors
    /// `load`'s own, or a storage that can't be set up.
    pub fn prepare<E, L>(&self, load: L) -> impl Future<Output = Result<Prepared, E>> + Send + use<E, L>
    where
        E: From<anyhow::Error> + Send + 'static,
        L: FnOnce() -> Result<(Loaded, Vec<Camera>), E> + Send + 'static,
    {
        let (open, is_served) = (self.store.config(), self.config.http.is_some());
        async move {
            let loaded = tokio::task::spawn_blocking(load).await.context("a bug ended the reload")?;
            let (loaded, cameras) = loaded?;
            if !is_served && needs_server(&loaded.config, &cameras) {
                return Err(anyhow::anyhow!(NEW_SERVER).into());
            }
            let wanted = &loaded.config.store;
            let store = if same_access(&open, wanted) {
                None
            } else {
                Some(store::open(wanted).await.context("the storage can't be set up")?)
            };
            Ok(Prepared { loaded, cameras, store })
        }
    }

    /// Takes the configuration over: cameras start, stop and restart, the others do not notice.
    pub fn apply(&mut self, prepared: Prepared) -> CameraChanges {
        let Prepared { loaded, cameras, store } = prepared;
        let Loaded { config, storage, .. } = loaded;
        for setting in needs_restart(&self.config, &config) {
            tracing::warn!(setting, "this setting needs a restart; everything else is taken over");
        }
        let Config { http, spool, ffmpeg, .. } = self.config.clone();
        let http = access::renewed(http, config.http.clone());
        let config = Config { http, spool, ffmpeg, ..config };
        let moved = !same_place(&self.store.config(), &config.store);
        if let Some(store) = store {
            if moved {
                self.store = SharedStore::new(store, config.store.clone());
            } else {
                self.store.renew(store, config.store.clone(), None);
            }
        }
        let moved = moved
            || self.config.location != config.location
            || has_origin(&self.config) != has_origin(&config)
            || self.config.min_playlist_interval != config.min_playlist_interval;
        let wanted: Vec<_> = cameras.iter().collect();
        let changes = camera_changes(&self.cameras, &wanted, moved);
        self.config = config;
        self.cameras = cameras;
        let workshop = &self.around.workshop;
        let division = division(&self.config, &workshop.spool_root, self.cameras.iter());
        let passing = self.adhoc.streams.iter().map(|stream| (&stream.assignment.camera.id, false));
        let always = self.cameras.iter().map(|camera| (&camera.id, camera.settings.start == Start::Always));
        // The configuration's word is the later one.
        let always: HashMap<_, _> = passing.chain(always).collect();
        workshop.spool_share.divide(division, |id| always.get(id).copied());
        self.around.origin.limit(division.share());
        self.around.trials.forget_failures();
        self.assign();
        self.show();
        self.watch_credentials(storage);
        changes
    }

    /// Tells every camera's task what is wanted of it, and starts those that are missing.
    pub(super) fn assign(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.keep_passing();
        for slot in &self.slots {
            let is_passing = |stream: &Passing| stream.assignment.camera.id == slot.id;
            let is_there = self.cameras.iter().any(|camera| camera.id == slot.id);
            if !is_there && !self.adhoc.streams.iter().any(is_passing) {
                slot.want(None);
            }
        }
        for camera in &self.cameras {
            let assignment = Arc::new(self.assignment(camera.clone(), Stay::Configured));
            let slot = self.slots.iter().find(|slot| slot.id == camera.id);
            if slot.is_none_or(|slot| !slot.want(Some(assignment.clone()))) {
                self.slots.retain(|slot| slot.id != camera.id);
                self.slots.push(camera::spawn(&mut self.tasks, &self.around, assignment, Demand::default()));
            }
        }
        self.drop_ended();
    }
}

impl Agent {
    pub(super) fn assignment(&self, camera: Camera, stay: Stay) -> Assignment {
        Assignment {
            location: self.config.location.clone(),
            camera,
            place: Place::of(&self.config, &self.store),
            min_playlist_interval: self.config.min_playlist_interval,
            stay,
        }
    }
}

/// What the running agent can't change.
const NEW_SERVER: &str =
    "http.listen is new, and a server begins with a restart alone: restart the agent for this configuration";

/// Without one nobody could watch, or there would be nothing to run.
fn needs_server(config: &Config, cameras: &[Camera]) -> bool {
    matches!(config.store, StoreConfig::None) || cameras.is_empty()
}

fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let listen = |config: &Config| config.http.as_ref().map(|http| http.listen);
    let requests = |config: &Config| config.http.as_ref().map(|http| http.requests_per_second);
    let changed = [
        ("http.listen", listen(old) != listen(new)),
        ("http.requests_per_second", requests(old) != requests(new)),
        ("spool", old.spool != new.spool),
        ("ffmpeg", old.ffmpeg != new.ffmpeg),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}
