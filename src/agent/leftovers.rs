//! What streams left behind that run while somebody wants them: while one runs its spool has a mark, so that the next agent
//! of this boot ends it for its viewers and empties its folder in the storage, if nobody wants it any more.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::camera::ending::{Remains, end};
use crate::camera::outlets::Origin;
use crate::camera::sheet::Posting;
use crate::camera::status::StatusSender;
use crate::clock;
use crate::domain::ids::CameraId;
use crate::domain::publication::Plan;
use crate::engine::spool::note::Note;
use crate::engine::spool::root::{CameraSpool, SpoolError, private_folder};
use crate::store::ObjectStore;

const MARK: &str = "passing";
/// More were never there at one time.
const MOST: usize = 2048;
/// Whoever wanted the stream before the agent was started again may say so first.
pub(super) const GRACE: Duration = Duration::from_secs(60);
/// Another agent has it if it is still taken then.
const CLAIM_FOR: Duration = Duration::from_secs(2);
const CLAIM_AGAIN: Duration = Duration::from_millis(50);

pub(super) fn mark(root: &Path, id: &CameraId) -> Result<(), SpoolError> {
    private_folder(root)?;
    let folder = root.join(id.as_str());
    private_folder(&folder)?;
    let path = folder.join(MARK);
    fs::write(&path, []).map_err(|error| SpoolError::Io { path, error })
}

pub(super) fn is_marked(root: &Path, id: &CameraId) -> bool {
    root.join(id.as_str()).join(MARK).exists()
}

pub(super) fn unmark(root: &Path, id: &CameraId) {
    let _ = fs::remove_file(root.join(id.as_str()).join(MARK));
}

/// Nothing of the stream is left, here neither: its ids may be many.
pub(super) fn forget(root: &Path, id: &CameraId) -> io::Result<()> {
    // Nobody else runs it: the lock goes with the folder, which is seen by whoever locked it meanwhile.
    let Ok(claimed) = CameraSpool::claim(root, id) else { return Ok(()) };
    fs::remove_dir_all(claimed.folder())
}

pub(super) fn found(root: &Path) -> Vec<CameraId> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let marked = entries.filter(|entry| entry.path().join(MARK).exists());
    marked.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).take(MOST).collect()
}

/// Ends the stream and removes what it left in the store, if it still is this machine's. `false`: not all of it.
pub(super) async fn clear(
    (plan, posting): (Plan, Posting),
    (store, origin): (Arc<dyn ObjectStore>, Option<Origin>),
    root: &Path,
    (status, seed): (StatusSender, u64),
    abort: CancellationToken,
) -> bool {
    let id = status.borrow().id.clone();
    let Some(claimed) = claim(root, &id).await else { return false };
    let note = Note::default();
    note.lies_in(claimed.folder());
    let remains = Remains { plan, store, note, runs: claimed.earlier_runs().to_vec(), posting };
    end(remains, origin, status, seed, abort.clone()).await;
    !abort.is_cancelled()
}

/// Whoever of this agent had it before, and was cut short, is just about to let it go.
async fn claim(root: &Path, id: &CameraId) -> Option<CameraSpool> {
    let patient_until = clock::now() + CLAIM_FOR;
    loop {
        let (root, id) = (root.to_owned(), id.clone());
        match tokio::task::spawn_blocking(move || CameraSpool::claim(&root, &id)).await.ok()? {
            Ok(claimed) => return Some(claimed),
            Err(SpoolError::Taken { .. }) if clock::now() < patient_until => {
                tokio::time::sleep(CLAIM_AGAIN).await
            }
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_until_the_stream_is_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("spool");
        assert!(found(&root).is_empty());
        let (id, other): (CameraId, CameraId) = ("adhoc_1".parse().unwrap(), "cam".parse().unwrap());
        mark(&root, &id).unwrap();
        drop(CameraSpool::claim(&root, &other).unwrap());
        assert_eq!(found(&root), std::slice::from_ref(&id), "and no camera of the configuration");
        let claimed = CameraSpool::claim(&root, &id).unwrap();
        forget(&root, &id).unwrap();
        assert_eq!(found(&root), std::slice::from_ref(&id), "somebody runs it");
        drop(claimed);
        forget(&root, &id).unwrap();
        assert!(found(&root).is_empty() && !root.join("adhoc_1").exists() && root.join("cam").exists());
    }
}
