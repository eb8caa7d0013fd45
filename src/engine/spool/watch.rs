//! A bell that rings when ffmpeg renamed its playlist into place. Only a bell: what is new, the playlist says,
//! and a lost ring costs one tick.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::LOCAL_PLAYLIST;

type Bells = Arc<Mutex<HashMap<PathBuf, Arc<Notify>>>>;

/// One file system watcher for all cameras (inotify instances are few: 128 a user by default).
#[derive(Debug, Clone)]
pub struct SpoolWatch {
    bells: Bells,
    /// `None`: the system gave no watcher; callers poll.
    watcher: Option<Arc<Mutex<RecommendedWatcher>>>,
}

impl SpoolWatch {
    pub fn new() -> Self {
        let bells = Bells::default();
        let ringer = bells.clone();
        let watcher = notify::recommended_watcher(move |event| ring(&ringer, event));
        if let Err(error) = &watcher {
            tracing::warn!(%error, "no file system watcher: spools are polled");
        }
        Self { bells, watcher: watcher.ok().map(|watcher| Arc::new(Mutex::new(watcher))) }
    }

    /// Watches one run's folder until the returned value is dropped.
    pub fn bell(&self, folder: &Path) -> Bell {
        let notify = Arc::new(Notify::new());
        lock(&self.bells).insert(folder.to_owned(), notify.clone());
        let watched = self.watcher.as_ref().is_some_and(|watcher| {
            let outcome = lock(watcher).watch(folder, RecursiveMode::NonRecursive);
            if let Err(error) = &outcome {
                tracing::warn!(%error, "a spool can't be watched (fs.inotify limits?): it is polled");
            }
            outcome.is_ok()
        });
        Bell { watch: self.clone(), folder: folder.to_owned(), notify, watched }
    }
}

impl Default for SpoolWatch {
    fn default() -> Self {
        Self::new()
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

    /// `false`: it never rings, look often.
    pub fn is_watched(&self) -> bool {
        self.watched
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        lock(&self.watch.bells).remove(&self.folder);
        if let Some(watcher) = self.watch.watcher.as_ref().filter(|_| self.watched) {
            // The folder may be gone, and its watch with it.
            let _ = lock(watcher).unwatch(&self.folder);
        }
    }
}

fn ring(bells: &Bells, event: notify::Result<Event>) {
    let Ok(event) = event else { return };
    // Our own reading must not ring, so renames only.
    if !matches!(event.kind, EventKind::Modify(ModifyKind::Name(RenameMode::To))) {
        return;
    }
    for path in event.paths.iter().filter(|path| path.file_name() == Some(OsStr::new(LOCAL_PLAYLIST))) {
        if let Some(bell) = path.parent().and_then(|folder| lock(bells).get(folder).cloned()) {
            bell.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
}
