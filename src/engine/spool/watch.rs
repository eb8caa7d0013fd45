//! A bell that rings when ffmpeg renamed its playlist into place. Only a bell: what is new, the playlist says,
//! and a lost ring costs one tick.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::LOCAL_PLAYLIST;
use crate::clock;
use crate::domain::segment::{MOST_RENDITIONS, sibling_name};

type Bells = Arc<Mutex<HashMap<PathBuf, Arc<Notify>>>>;

/// A trouble that lasts is told again after this long.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// One file system watcher for all cameras (inotify instances are few: 128 a user by default).
#[derive(Debug, Clone, Default)]
pub struct SpoolWatch {
    bells: Bells,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: not made yet, or the system gave none.
    watcher: Option<RecommendedWatcher>,
    /// The cameras' folders whose last run could not be watched.
    polled: HashSet<PathBuf>,
    /// When the log told of them: it is one trouble, not one per camera and run.
    told: Option<Instant>,
}

impl SpoolWatch {
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches one run's folder until the returned value is dropped.
    pub fn bell(&self, folder: &Path) -> Bell {
        let notify = Arc::new(Notify::new());
        lock(&self.bells).insert(folder.to_owned(), notify.clone());
        let mut bell = Bell { watch: self.clone(), folder: folder.to_owned(), notify, watched: false };
        bell.watch_again();
        bell
    }

    fn watch(&self, folder: &Path) -> bool {
        let mut state = lock(&self.state);
        let outcome = state.watch(folder, &self.bells);
        let camera = folder.parent().unwrap_or(folder).to_owned();
        match &outcome {
            Ok(()) => state.watched(&camera),
            Err(error) => state.not_watched(camera, error, clock::now()),
        }
        outcome.is_ok()
    }
}

impl State {
    fn watch(&mut self, folder: &Path, bells: &Bells) -> notify::Result<()> {
        if self.watcher.is_none() {
            let ringer = bells.clone();
            self.watcher = Some(notify::recommended_watcher(move |event| ring(&ringer, event))?);
        }
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        // It panics if the system gave it no thread. That would end every camera, one after the other.
        let outcome = catch_unwind(AssertUnwindSafe(|| watcher.watch(folder, RecursiveMode::NonRecursive)));
        outcome.unwrap_or_else(|_| {
            // Its drop would panic, too.
            if let Some(dead) = self.watcher.take() {
                std::mem::forget(dead);
            }
            Err(notify::Error::generic("the watcher has no thread"))
        })
    }

    fn watched(&mut self, camera: &Path) {
        if self.polled.remove(camera) && self.polled.is_empty() && self.told.take().is_some() {
            tracing::info!("spools are watched again");
        }
    }

    fn not_watched(&mut self, camera: PathBuf, error: &notify::Error, now: Instant) {
        self.polled.insert(camera);
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < TOLD_AGAIN_AFTER) {
            return;
        }
        self.told = Some(now);
        tracing::warn!(
            %error,
            mend = "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches",
            "spools can't be watched: they are polled"
        );
    }
}

#[derive(Debug)]
pub struct Bell {
    watch: SpoolWatch,
    folder: PathBuf,
    notify: Arc<Notify>,
    watched: bool,
}

impl Bell {
    /// Waits for the next ring; one that came before counts. Cancel-safe.
    pub async fn ring(&self) {
        self.notify.notified().await;
    }

    /// `false`: it never rings, look often, and try [`Bell::watch_again`] now and then.
    pub fn is_watched(&self) -> bool {
        self.watched
    }

    /// Tries what failed before; tells whether it rings now.
    pub fn watch_again(&mut self) -> bool {
        self.watched = self.watched || self.watch.watch(&self.folder);
        self.watched
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        lock(&self.watch.bells).remove(&self.folder);
        let mut state = lock(&self.watch.state);
        if let Some(watcher) = state.watcher.as_mut().filter(|_| self.watched) {
            // The folder may be gone, and its watch with it.
            let _ = watcher.unwatch(&self.folder);
        }
    }
}

fn ring(bells: &Bells, event: notify::Result<Event>) {
    let Ok(event) = event else { return };
    // Our own reading must not ring, so renames only.
    if !matches!(event.kind, EventKind::Modify(ModifyKind::Name(RenameMode::To))) {
        return;
    }
    for path in event.paths.iter().filter(|path| path.file_name().is_some_and(is_playlist)) {
        if let Some(bell) = path.parent().and_then(|folder| lock(bells).get(folder).cloned()) {
            bell.notify_one();
        }
    }
}

/// Of any rendition.
fn is_playlist(name: &OsStr) -> bool {
    let is = |number| name == sibling_name(LOCAL_PLAYLIST, number).as_str();
    (1..=MOST_RENDITIONS).any(is)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_rings_for_the_renamed_playlist_alone() {
        let folder = tempfile::tempdir().unwrap();
        let watch = SpoolWatch::new();
        let bell = watch.bell(folder.path());
        assert!(bell.is_watched());
        std::fs::write(folder.path().join("seg_000000.ts"), b"x").unwrap();
        std::fs::write(folder.path().join("index.m3u8.tmp"), b"x").unwrap();
        std::fs::rename(folder.path().join("index.m3u8.tmp"), folder.path().join(LOCAL_PLAYLIST)).unwrap();
        tokio::time::timeout(Duration::from_secs(10), bell.ring()).await.expect("rings");
        drop(bell);
        assert!(lock(&watch.bells).is_empty());
    }

    #[tokio::test]
    async fn a_folder_that_can_not_be_watched_is_told_once_and_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let (watch, run) = (SpoolWatch::new(), folder.path().join("cam/run"));
        // Not there yet: it fails as it does without watches.
        let mut bell = watch.bell(&run);
        assert!(!bell.is_watched() && !bell.watch_again());
        let told = lock(&watch.state).told;
        drop(bell);
        let mut bell = watch.bell(&run);
        assert!(!bell.is_watched() && told.is_some());
        assert_eq!(lock(&watch.state).told, told, "one trouble, one line");
        std::fs::create_dir_all(&run).unwrap();
        assert!(bell.watch_again());
        assert_eq!(lock(&watch.state).told, None, "and the end of it another");
        std::fs::write(run.join("index.m3u8.tmp"), b"x").unwrap();
        std::fs::rename(run.join("index.m3u8.tmp"), run.join(LOCAL_PLAYLIST)).unwrap();
        tokio::time::timeout(Duration::from_secs(10), bell.ring()).await.expect("rings");
    }
}
