//! A temporary folder with what a run needs: the stand-in by ffmpeg's name, a recorded segment, a spool.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use edge_agent::engine::spool::root::is_tmpfs;
use tempfile::TempDir;

use crate::stand_in;

/// 2 Mbit/s for two seconds.
const SEGMENT_BYTES: usize = 500_000;
const TS_PACKET: usize = 188;

/// Removed when dropped.
pub struct Stage {
    folder: TempDir,
}

impl Stage {
    pub fn set() -> anyhow::Result<Self> {
        // In memory where the agent's own spool would be.
        let shm = Path::new("/dev/shm");
        let folder = if is_tmpfs(shm) { TempDir::new_in(shm)? } else { TempDir::new()? };
        let stage = Self { folder };
        symlink(std::env::current_exe()?, stage.ffmpeg())?;
        std::fs::write(stage.clip(), recorded_segment())?;
        std::fs::create_dir(stage.spool())?;
        Ok(stage)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn ffmpeg(&self) -> PathBuf {
        self.path().join(stand_in::NAME)
    }

    pub fn clip(&self) -> PathBuf {
        self.path().join("segment.ts")
    }

    pub fn spool(&self) -> PathBuf {
        self.path().join("spool")
    }

    /// When each segment was renamed, by its index.
    pub fn renames(&self) -> anyhow::Result<Vec<SystemTime>> {
        let text = std::fs::read_to_string(self.path().join(stand_in::JOURNAL))?;
        let time = |line: &str| {
            let nanos = line.split(' ').nth(1)?.parse().ok()?;
            Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(nanos))
        };
        Ok(text.lines().map_while(time).collect())
    }
}

/// MPEG-TS packets. What is in them is nothing to the agent.
fn recorded_segment() -> Vec<u8> {
    let mut packet = [0xff; TS_PACKET];
    packet[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
    packet.repeat(SEGMENT_BYTES / TS_PACKET)
}
