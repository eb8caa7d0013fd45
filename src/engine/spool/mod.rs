//! The local folder that a run writes to: `{root}/{camera}/{run}/`.
//!
//! One folder per run: a restarted ffmpeg in the same folder would overwrite files that are still to be uploaded.

pub mod diff;
mod memory;
pub mod note;
pub mod root;
pub mod watch;

/// ffmpeg's own playlist in a run's folder: the journal of what it finished, and with which durations.
pub const LOCAL_PLAYLIST: &str = "index.m3u8";
