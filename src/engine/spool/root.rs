//! Where spools lie, and who owns a camera's part of it.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::statvfs::statvfs;
use nix::unistd::geteuid;

use super::memory;
use crate::domain::ids::{CameraId, RunId};
use crate::domain::segment::{MOST_RENDITIONS, sibling_name};

/// Locked while an agent runs the camera.
const LOCK: &str = "lock";

/// One camera's spool, locked for this process. Dropping it unlocks.
#[derive(Debug)]
pub struct CameraSpool {
    folder: PathBuf,
    earlier_runs: Vec<RunId>,
    lock: File,
}

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("the spool folder {} can't be used: {error}{}", path.display(), mend(error))]
    Io { path: PathBuf, error: io::Error },
    #[error("the spool folder {} belongs to another user; set `spool:` to a folder of this user's", path.display())]
    NotOurs { path: PathBuf },
    #[error("camera {camera} is already run by another edge-agent on this machine (spool {})", path.display())]
    Taken { camera: CameraId, path: PathBuf },
}

fn mend(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => "; mount it writable, or set `spool:` to another folder",
        io::ErrorKind::PermissionDenied => "; let this user write there, or set `spool:` to another folder",
        io::ErrorKind::StorageFull => "; make room there, or set `spool:` to another folder",
        _ => "",
    }
}

/// The spool root if none is configured: systemd's runtime folder, else a tmpfs, else the temporary folder.
pub fn default_root() -> PathBuf {
    let runtime = std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
    if let Some(folder) = runtime.filter(|folder| folder.is_absolute()) {
        return folder.join("spool");
    }
    let shm = Path::new("/dev/shm");
    let base = if is_tmpfs(shm) { shm.to_owned() } else { std::env::temp_dir() };
    base.join(format!("edge-agent-{}", geteuid()))
}

/// Whether files in `folder` live in memory.
pub fn is_tmpfs(folder: &Path) -> bool {
    statfs(folder).is_ok_and(|fs| fs.filesystem_type() == TMPFS_MAGIC)
}

/// The size of the file system that holds `folder`, or will hold it.
#[allow(clippy::unnecessary_cast, reason = "these are u32 on 32-bit ARM")]
pub fn file_system_bytes(folder: &Path) -> Option<u64> {
    let fs = folder.ancestors().find_map(|folder| statvfs(folder).ok())?;
    (fs.blocks() as u64).checked_mul(fs.fragment_size() as u64).filter(|bytes| *bytes > 0)
}

/// What all runs in a camera's folder take on disk.
pub fn used_by_runs(camera: &Path) -> u64 {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let runs = entries(camera).map(|entry| entry.path()).filter(|path| is_run(path));
    let files = runs.flat_map(|run| entries(&run).collect::<Vec<_>>());
    // The blocks too: a tmpfs rounds up, and a disk may not have written what it took.
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len().max(512 * meta.blocks())).sum()
}

/// Whether an agent ever had a camera's spool in this folder.
pub fn was_claimed(camera: &Path) -> bool {
    fs::symlink_metadata(camera.join(LOCK)).is_ok_and(|lock| lock.is_file())
}

impl CameraSpool {
    /// Takes the camera's folder and empties it: what is there is left of a run that died.
    ///
    /// # Errors
    /// See [`SpoolError`].
    pub fn claim(root: &Path, camera: &CameraId) -> Result<Self, SpoolError> {
        let folder = root.join(camera.as_str());
        private_folder(root)?;
        private_folder(&folder)?;
        let io = |error| SpoolError::Io { path: folder.clone(), error };
        let lock = File::create(folder.join(LOCK)).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SpoolError::Taken { camera: camera.clone(), path: folder });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let earlier_runs = memory::recall(&folder);
        remove_runs(&folder).map_err(io)?;
        Ok(Self { folder, earlier_runs, lock })
    }

    /// The lock file that is locked here is the one that another agent would find. Not so after somebody emptied
    /// the spool: two agents would each lock a file of their own.
    pub fn is_claimed(&self) -> bool {
        let (ours, theirs) = (self.lock.metadata(), fs::symlink_metadata(self.folder.join(LOCK)));
        let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
        ours.is_ok_and(|ours| theirs.is_ok_and(|theirs| identity(ours) == identity(theirs)))
    }

    /// Runs of this machine that nobody goes on with: whoever made them held the lock.
    pub fn earlier_runs(&self) -> &[RunId] {
        &self.earlier_runs
    }

    /// Where the camera's runs lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A fresh folder for one run.
    ///
    /// # Errors
    /// It could not be made.
    pub fn run_folder(&self, run: RunId) -> Result<RunFolder, SpoolError> {
        let path = self.folder.join(run.to_string());
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| SpoolError::Io { path: path.clone(), error })?;
        if let Err(error) = memory::remember(&self.folder, run) {
            tracing::debug!(%run, %error, "the run can't be remembered: the next agent will watch its playlist first");
        }
        Ok(RunFolder { path })
    }
}

impl Drop for CameraSpool {
    fn drop(&mut self) {
        // Blocking, also in a task: it has to be over before the lock goes, and a camera ends rarely.
        // The lock file stays: removing it would let two agents each lock a file of that name.
        if self.is_claimed() {
            let _ = remove_runs(&self.folder);
        }
    }
}

/// One run's folder; dropping it removes it.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When the run is over: removes all but what `is_kept`, which the publisher removes. A killed ffmpeg may leave
    /// half a segment, and runs may be many.
    pub fn remove_all_but(&self, is_kept: impl Fn(&str) -> bool) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if !entry.file_name().to_str().is_some_and(&is_kept) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        // Segments may still wait for their upload; the last of those removes the folder (see `discard`).
        let remove = move || {
            for own in [super::LOCAL_PLAYLIST, super::LOCAL_INIT] {
                for number in 1..=MOST_RENDITIONS {
                    let _ = fs::remove_file(path.join(sibling_name(own, number)));
                }
            }
            let _ = fs::remove_dir(path);
        };
        // A run is dropped by a task, and a slow card must not hold up the others. What is not done when the agent
        // ends, `CameraSpool` or the next start does.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

/// Removes a segment that is not needed any more, and its run's folder if that was the last one of a run that
/// is over.
pub fn discard(segment: &Path) {
    if let Err(error) = fs::remove_file(segment)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(path = %segment.display(), %error, "a spooled segment could not be removed");
    }
    // Fails while anything is in it: the local playlist of a run that goes on, or another segment.
    let _ = segment.parent().filter(|folder| is_run(folder)).map(fs::remove_dir);
}

fn is_run(folder: &Path) -> bool {
    folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.parse::<RunId>().is_ok())
}

fn remove_runs(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Nothing but runs: a configured spool root may hold other things.
        if is_run(&entry.path()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Makes the folder for this user alone; refuses one that another user put there (`/dev/shm` is everybody's).
pub fn private_folder(path: &Path) -> Result<(), SpoolError> {
    let io = |error| SpoolError::Io { path: path.to_owned(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
    let owner = fs::symlink_metadata(path).map_err(io)?;
    if !owner.is_dir() || owner.uid() != geteuid().as_raw() {
        return Err(SpoolError::NotOurs { path: path.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claiming_empties_what_a_dead_run_left_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let camera: CameraId = "cam".parse().unwrap();
        let dead = root.path().join("cam").join(RunId::new(1, 1).to_string());
        fs::create_dir_all(&dead).unwrap();
        fs::write(dead.join("seg_000000.ts"), b"x").unwrap();
        fs::write(root.path().join("cam/notes.txt"), b"mine").unwrap();
        let spool = CameraSpool::claim(root.path(), &camera).unwrap();
        assert!(!dead.exists() && root.path().join("cam/notes.txt").exists());
        let run = spool.run_folder(RunId::new(2, 2)).unwrap();
        assert!(run.path().is_dir());
    }

    #[test]
    fn one_camera_has_one_agent() {
        let root = tempfile::tempdir().unwrap();
        let camera: CameraId = "cam".parse().unwrap();
        let first = CameraSpool::claim(root.path(), &camera).unwrap();
        assert!(matches!(CameraSpool::claim(root.path(), &camera), Err(SpoolError::Taken { .. })));
        assert!(CameraSpool::claim(root.path(), &"other".parse().unwrap()).is_ok());
        drop(first);
        assert!(CameraSpool::claim(root.path(), &camera).is_ok());
    }

    #[test]
    fn a_claim_that_somebody_deleted_is_known_and_taken_again() {
        let root = tempfile::tempdir().unwrap();
        let camera: CameraId = "cam".parse().unwrap();
        let first = CameraSpool::claim(root.path(), &camera).unwrap();
        assert!(first.is_claimed());
        fs::remove_dir_all(root.path().join("cam")).unwrap();
        assert!(!first.is_claimed());
        let other = CameraSpool::claim(root.path(), &camera).unwrap();
        let run = other.run_folder(RunId::new(1, 1)).unwrap();
        drop(first);
        assert!(run.path().exists() && other.is_claimed(), "the new owner's runs are left alone");
    }

    #[test]
    fn the_next_agent_knows_the_runs_of_the_one_before() {
        let root = tempfile::tempdir().unwrap();
        let camera: CameraId = "cam".parse().unwrap();
        let first = CameraSpool::claim(root.path(), &camera).unwrap();
        assert_eq!(first.earlier_runs(), []);
        drop(first.run_folder(RunId::new(2, 2)).unwrap());
        drop(first);
        let second = CameraSpool::claim(root.path(), &camera).unwrap();
        assert_eq!(second.earlier_runs(), [RunId::new(2, 2)]);
    }

    #[test]
    fn the_last_segment_of_a_finished_run_takes_the_folder_with_it() {
        let root = tempfile::tempdir().unwrap();
        let spool = CameraSpool::claim(root.path(), &"cam".parse().unwrap()).unwrap();
        let run = spool.run_folder(RunId::new(2, 2)).unwrap();
        let folder = run.path().to_owned();
        for name in ["seg_000000.ts", "seg_000001.ts", super::super::LOCAL_PLAYLIST, super::super::LOCAL_INIT]
        {
            fs::write(folder.join(name), b"x").unwrap();
        }
        discard(&folder.join("seg_000000.ts"));
        drop(run);
        assert!(folder.exists(), "a segment still waits for its upload");
        discard(&folder.join("seg_000001.ts"));
        assert!(!folder.exists());
    }

    #[test]
    fn all_runs_of_a_camera_count_together_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        for run in [RunId::new(1, 1), RunId::new(2, 2)] {
            let folder = root.path().join(run.to_string());
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("seg_000000.ts"), vec![0; 100_000]).unwrap();
            fs::write(folder.join("seg_000001.ts.tmp"), vec![0; 100_000]).unwrap();
        }
        fs::write(root.path().join("notes.txt"), vec![0; 1_000_000]).unwrap();
        assert!((400_000..420_000).contains(&used_by_runs(root.path())), "{}", used_by_runs(root.path()));
        assert_eq!(used_by_runs(&root.path().join("absent")), 0);
        assert!(file_system_bytes(&root.path().join("not/yet/there")) > Some(1 << 20));
    }

    #[test]
    fn a_link_in_the_way_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join("cam")).unwrap();
        let claimed = CameraSpool::claim(root.path(), &"cam".parse().unwrap());
        assert!(matches!(claimed, Err(SpoolError::NotOurs { .. })), "{claimed:?}");
    }
}
