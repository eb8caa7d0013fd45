//! The runs that this machine made of a camera, also past the agent's death: a remote playlist of theirs is known to
//! have no other owner while the camera's lock is held.
//!
//! Believed only within the boot that wrote it: a spool on a disk may have been cloned with the box.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use crate::domain::ids::RunId;

const NAME: &str = "runs";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Also those that came to nothing count: a camera that is away makes one a minute, for a night.
const MOST_RUNS: usize = 1024;
const MOST_BYTES: usize = 32 * 1024;

/// Its first line is the boot, each other one a run.
pub(super) fn recall(folder: &Path) -> Vec<RunId> {
    let text = read(&folder.join(NAME), MOST_BYTES);
    let mut lines = text.lines();
    if boot().is_none_or(|boot| lines.next() != Some(boot.trim())) {
        return Vec::new();
    }
    lines.filter_map(|line| line.parse().ok()).take(MOST_RUNS).collect()
}

/// Adds a run; the oldest are forgotten.
pub(super) fn remember(folder: &Path, run: RunId) -> io::Result<()> {
    let Some(boot) = boot() else { return Ok(()) };
    let mut runs = recall(folder);
    runs.push(run);
    let runs: Vec<_> = runs[runs.len().saturating_sub(MOST_RUNS)..].iter().map(RunId::to_string).collect();
    let new = folder.join(format!("{NAME}.new"));
    fs::write(&new, format!("{}\n{}\n", boot.trim(), runs.join("\n")))?;
    fs::rename(new, folder.join(NAME))
}

/// The file's beginning; empty if there is none, or if it is no text.
pub(super) fn read(path: &Path, most: usize) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most as u64).read_to_end(&mut bytes));
    read.ok().and_then(|_| String::from_utf8(bytes).ok()).unwrap_or_default()
}

pub(super) fn boot() -> Option<String> {
    fs::read_to_string(BOOT_ID).ok().filter(|boot| !boot.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_runs_of_this_boot_are_known() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(recall(folder.path()), []);
        let most = MOST_RUNS as u64;
        for i in 0..most + 12 {
            remember(folder.path(), RunId::new(i, 1)).unwrap();
        }
        let expected: Vec<_> = (12..most + 12).map(|i| RunId::new(i, 1)).collect();
        assert_eq!(recall(folder.path()), expected);
    }

    #[test]
    fn a_clone_of_the_disk_or_a_reboot_proves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        remember(folder.path(), RunId::new(1, 1)).unwrap();
        let path = folder.path().join(NAME);
        let text = fs::read_to_string(&path).unwrap();
        let (_, runs) = text.split_once('\n').unwrap();
        fs::write(&path, format!("another-boot\n{runs}")).unwrap();
        assert_eq!(recall(folder.path()), []);
        fs::write(&path, b"\xff\0garbage").unwrap();
        assert_eq!(recall(folder.path()), []);
        fs::write(&path, text.repeat(10_000)).unwrap();
        assert!(recall(folder.path()).len() <= MOST_RUNS);
    }
}
