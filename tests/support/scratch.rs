//! A folder per test, kept when the test fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

/// What a container's `/dev/shm` does not have.
const ROOM_BYTES: u64 = 2 << 30;

/// Where the folder of a failed test is copied to.
const KEPT: &str = env!("CARGO_TARGET_TMPDIR");

/// As a box has it: a disk that others keep busy holds up what writes to it for seconds.
pub fn in_memory(prefix: &str) -> Option<TempDir> {
    let room = statvfs("/dev/shm").ok()?;
    let bytes = room.blocks_available() * room.fragment_size();
    if bytes < ROOM_BYTES {
        return None;
    }
    TempDir::with_prefix_in(prefix, "/dev/shm").ok()
}

#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    pub fn new(name: &str) -> Self {
        let prefix = format!("edge-agent-test-{name}-");
        let folder = in_memory(&prefix).or_else(|| TempDir::with_prefix_in(&prefix, KEPT).ok());
        Self { folder: folder.expect("a folder below target/tmp") }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Scratch {
    #[expect(clippy::print_stderr, reason = "the test harness shows it with the failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let copied = Command::new("cp").arg("-a").arg(self.path()).arg(KEPT).status();
            eprintln!("kept for a look in {KEPT}: {} ({copied:?})", self.path().display());
        }
    }
}
