//! A folder as a store: a web server's, a NAS mount, the demo's.
//!
//! * A file appears by rename within its folder, so that a reader sees the old or the new bytes.
//! * No fsync: after a power cut the few seconds of video on it are worthless anyway, an unreadable playlist
//!   counts as none, and an fsync per file would cost a NAS tens of milliseconds and a flash card its life.
//! * Files are 0644 and folders 0755 whatever the umask: another user's web server reads them.
//! * The box's own origin lies in the spool, so its files are this user's alone, and a folder has a limit.
//! * Symbolic links: the root and folders below it may be links (the owner's choice); a link in place of an
//!   object is replaced or removed itself, never followed to write, and not listed.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::open::Limits;
use super::reason::one_line;
use super::{ObjectStore, StoreError};
use crate::config::model::FileConfig;
use crate::domain::class::ObjectClass;
use crate::domain::key::{ObjectKey, TEMP_SUFFIX, is_temp};

/// Threads that this store takes of the runtime's: a file system that hangs must leave some for the spool.
const MOST_THREADS: usize = 8;

/// See the module.
#[derive(Debug)]
pub struct FileStore {
    root: PathBuf,
    kind: Kind,
    limits: Limits,
    threads: Arc<Semaphore>,
    /// Tells this store's temporary files from those of a process that died.
    instance: Arc<str>,
    written: AtomicU64,
}

/// For whom the files are.
#[derive(Debug, Clone)]
enum Kind {
    /// A web server of another user.
    Public,
    /// This process; segments may take so many bytes of each folder.
    Origin { most_bytes: Arc<AtomicU64> },
}

impl Kind {
    fn file_mode(&self) -> u32 {
        if matches!(self, Self::Public) { 0o644 } else { 0o600 }
    }

    fn folder_mode(&self) -> u32 {
        if matches!(self, Self::Public) { 0o755 } else { 0o700 }
    }
}

impl FileStore {
    /// Of what the box itself serves. `most_bytes` may change meanwhile.
    pub fn origin(root: PathBuf, most_bytes: Arc<AtomicU64>) -> Self {
        let store = Self::new(&FileConfig { root, public_base_url: None });
        Self { kind: Kind::Origin { most_bytes }, ..store }
    }

    pub fn new(config: &FileConfig) -> Self {
        // Without dice, two stores of one folder might clash: no reason not to run.
        let dice = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        Self {
            root: config.root.clone(),
            kind: Kind::Public,
            limits: Limits::default(),
            threads: Arc::new(Semaphore::new(MOST_THREADS)),
            instance: format!(".{dice:016x}-").into(),
            written: AtomicU64::new(0),
        }
    }

    /// The file behind a key or a prefix without its `/`; never outside the root.
    fn path_of(&self, key: &str) -> Result<PathBuf, StoreError> {
        let safe = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\0');
        if key.split('/').all(safe) {
            return Ok(self.root.join(key));
        }
        Err(StoreError::Rejected { reason: one_line(&format!("{key:?} can't be a file's name")) })
    }

    /// Runs on a thread that may block; a file system that hangs (NFS) costs one attempt.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AtomicBool) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let abandoned = AbandonOnDrop::default();
        let flag = abandoned.0.clone();
        let threads = self.threads.clone();
        let task = async {
            let thread = threads.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                // Until the work itself ends: it may outlast this call.
                let _thread = thread;
                work(&flag)
            })
            .await
        };
        match tokio::time::timeout(self.limits.attempt, task).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(stopped)) => Err(StoreError::Unavailable { reason: one_line(&stopped.to_string()) }),
            Err(_) => {
                let waited = self.limits.attempt;
                Err(StoreError::Unavailable { reason: format!("no answer of the file system in {waited:?}") })
            }
        }
    }
}

/// Says to work that outlives its caller that nobody waits for it any more.
#[derive(Default)]
struct AbandonOnDrop(Arc<AtomicBool>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[async_trait]
impl ObjectStore for FileStore {
    async fn put(&self, key: &ObjectKey, body: Bytes, class: ObjectClass) -> Result<(), StoreError> {
        let path = self.path_of(key.as_str())?;
        let kind = self.kind.clone();
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let temp = format!("{}{number}{TEMP_SUFFIX}", self.instance);
        self.blocking(move |abandoned| {
            if class.is_media() {
                has_room(&kind, &path, body.len() as u64)?;
            }
            put(&kind, &path, &temp, &body, abandoned)
        })
        .await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        let path = self.path_of(key.as_str())?;
        self.blocking(move |_| match fs::read(&path) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) if is_absent(&error) => Err(StoreError::NotFound),
            Err(error) => Err(error_at(&path, &error)),
        })
        .await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StoreError> {
        let paths = keys.iter().map(|key| self.path_of(key.as_str())).collect::<Result<Vec<_>, _>>()?;
        self.blocking(move |_| {
            paths.iter().try_for_each(|path| match fs::remove_file(path) {
                Err(error) if !is_absent(&error) => Err(error_at(path, &error)),
                _ => Ok(()),
            })
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectKey>, StoreError> {
        let folder = self.path_of(prefix.strip_suffix('/').unwrap_or(prefix))?;
        let (prefix, instance) = (prefix.to_owned(), self.instance.clone());
        self.blocking(move |_| {
            let names = names_in(&folder, &instance).map_err(|error| error_at(&folder, &error))?;
            Ok(names.into_iter().map(|name| ObjectKey::new(format!("{prefix}{name}"))).collect())
        })
        .await
    }

    fn room(&self) -> Option<u64> {
        match &self.kind {
            Kind::Public => None,
            Kind::Origin { most_bytes } => Some(most_bytes.load(Ordering::Relaxed)),
        }
    }
}

/// What lies there counts, whoever left it: its names and sizes are all that outlives a `kill -9`.
fn has_room(kind: &Kind, path: &Path, bytes: u64) -> Result<(), StoreError> {
    let Kind::Origin { most_bytes } = kind else { return Ok(()) };
    let entries = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    let sizes = entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
    let (used, most) = (sizes.sum::<u64>(), most_bytes.load(Ordering::Relaxed));
    if used + bytes <= most {
        return Ok(());
    }
    let mb = |bytes: u64| bytes as f64 / 1e6;
    let (used, most) = (mb(used), mb(most));
    let reason = format!(
        "{used:.1} MB of this camera's {most:.1} MB for viewers of this box are in use: raise spool_limit"
    );
    Err(StoreError::Unavailable { reason })
}

fn put(kind: &Kind, path: &Path, temp: &str, body: &[u8], abandoned: &AtomicBool) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(path);
    make_folders(folder, kind.folder_mode()).map_err(|error| error_at(folder, &error))?;
    let temp = folder.join(temp);
    let written = write(&temp, body, kind.file_mode()).and_then(|()| {
        // A newer playlist may be in place by now: late is worse than never.
        if abandoned.load(Ordering::Acquire) {
            return Err(io::Error::from(ErrorKind::TimedOut));
        }
        fs::rename(&temp, path)
    });
    written.map_err(|error| {
        fs::remove_file(&temp).ok();
        error_at(path, &error)
    })
}

fn write(path: &Path, body: &[u8], mode: u32) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(body)
}

fn make_folders(folder: &Path, mode: u32) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    folder.parent().map_or(Ok(()), |parent| make_folders(parent, mode))?;
    match DirBuilder::new().mode(mode).create(folder) {
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(mode)),
        // Another camera's upload was faster.
        Err(_) if folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Regular files, hidden ones left out; temporary files of a dead process are removed in passing.
fn names_in(folder: &Path, instance: &str) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if is_temp(&name) && !name.starts_with(instance) {
            fs::remove_file(entry.path()).ok();
        } else if !name.starts_with('.') && entry.file_type()?.is_file() {
            names.push(name);
        }
    }
    Ok(names)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn error_at(path: &Path, error: &io::Error) -> StoreError {
    let reason = one_line(&format!("{}: {error}", path.display()));
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::Denied { reason },
        // A file where a folder should be and the like: a person must tidy up.
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
            StoreError::Denied { reason }
        }
        ErrorKind::InvalidFilename | ErrorKind::FileTooLarge => StoreError::Rejected { reason },
        // A full disk, a broken one, a NAS that is away: all may pass.
        _ => StoreError::Unavailable { reason },
    }
}

#[cfg(test)]
mod tests;
