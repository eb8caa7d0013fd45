//! What a camera's task is told to run, and where its stream goes: into the storage, to what this box serves itself, or
//! both.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::camera::Surroundings;
use super::credentials::SharedStore;
use crate::camera::metered::{Meter, MeteredStore};
use crate::camera::outlets::{Origin, origin_plan};
use crate::camera::plan::plan;
use crate::camera::status::StatusSender;
use crate::config::model::{Camera, Config, StoreConfig};
use crate::config::same_stream;
use crate::domain::choice::Choice;
use crate::domain::ids::Location;
use crate::domain::publication::Plan;
use crate::domain::quota;
use crate::store::renewing::RenewingStore;
use crate::store::{ObjectStore, open_origin};

/// One stream and where it goes.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) location: Location,
    pub(super) camera: Camera,
    pub(super) place: Place,
    pub(super) min_playlist_interval: Duration,
    pub(super) stay: Stay,
}

/// How long a camera has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// As long as it is in the configuration.
    Configured,
    /// The configuration does not know it: it is forgotten when it has ended.
    Passing,
    /// Such a one of an earlier agent, of which nothing but the name is known: what it left is removed.
    Left,
}

#[derive(Debug, Clone)]
pub(super) enum Place {
    Storage(Arc<RenewingStore>),
    /// The storage, and this box's own server.
    Both(Arc<RenewingStore>),
    /// This box's own server alone.
    Here,
}

/// Whether the web server has streams of its own: a folder that is the storage has them already.
pub fn has_origin(config: &Config) -> bool {
    let serves = config.http.as_ref().is_some_and(|http| http.streams);
    serves && !matches!(config.store, StoreConfig::File(_))
}

impl Place {
    pub(super) fn of(config: &Config, store: &SharedStore) -> Self {
        match &config.store {
            StoreConfig::None => Self::Here,
            _ if has_origin(config) => Self::Both(store.store()),
            _ => Self::Storage(store.store()),
        }
    }

    pub(super) fn has_origin(&self) -> bool {
        matches!(self, Self::Both(_) | Self::Here)
    }

    /// What the box keeps for itself costs nobody a request.
    pub(super) fn metered(&self, store: Arc<dyn ObjectStore>, meter: Meter) -> Arc<dyn ObjectStore> {
        match self {
            Self::Here => store,
            Self::Storage(_) | Self::Both(_) => Arc::new(MeteredStore::new(store, meter)),
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Storage(a), Self::Storage(b)) | (Self::Both(a), Self::Both(b)) => Arc::ptr_eq(a, b),
            (Self::Here, Self::Here) => true,
            _ => false,
        }
    }
}

/// What this box serves itself, of all cameras.
#[derive(Debug)]
pub(super) struct OriginStore {
    store: Arc<dyn ObjectStore>,
    /// Of each camera.
    most_bytes: Arc<AtomicU64>,
}

impl OriginStore {
    pub(super) fn new(spool_root: PathBuf, most_bytes: u64) -> Self {
        let most_bytes = Arc::new(AtomicU64::from(most_bytes));
        Self { store: open_origin(spool_root, most_bytes.clone()), most_bytes }
    }

    pub(super) fn limit(&self, most_bytes: u64) {
        self.most_bytes.store(most_bytes, Ordering::Relaxed);
    }
}

impl Assignment {
    /// The same for other settings, say.
    pub(super) fn with(&self, camera: Camera) -> Self {
        let (location, place) = (self.location.clone(), self.place.clone());
        Self { location, camera, place, ..*self }
    }

    pub(super) fn is_same_camera(&self, other: &Self) -> bool {
        same_stream(&self.camera, &other.camera) && self.stay == other.stay
    }

    pub(super) fn is_stream_of(&self, other: &Self) -> bool {
        self.location == other.location
            && same_stream(&self.camera, &other.camera)
            && self.place.is(&other.place)
            && self.min_playlist_interval == other.min_playlist_interval
    }

    /// Where to publish, and where else; `share` is what the stream's runs may take.
    pub(super) fn places(
        &self,
        around: &Surroundings,
        choice: &Choice,
        share: u64,
        status: &StatusSender,
    ) -> (Plan, Arc<dyn ObjectStore>, Option<Origin>) {
        let Self { location, camera, place, min_playlist_interval, .. } = self;
        let mut plan = plan(location, &camera.id, &camera.settings, choice, share);
        plan.min_playlist_interval = *min_playlist_interval;
        let here = &around.origin.store;
        // The two halves of the spool are divided alike.
        let own = |plan: &Plan| origin_plan(plan, &camera.id, share);
        match place {
            Place::Storage(store) => (plan, store.clone(), None),
            Place::Here => (own(&plan), here.clone(), None),
            Place::Both(store) => {
                plan.uploads.backlog_bytes = quota::backlog(share, 2);
                let origin = Origin { plan: own(&plan), store: here.clone(), status: status.clone() };
                (plan, store.clone(), Some(origin))
            }
        }
    }
}
