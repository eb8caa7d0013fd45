//! The local folder that a run writes to: `{root}/{camera}/{run}/`.
//!
//! One folder per run: a restarted ffmpeg in the same folder would overwrite files that are still to be uploaded.

pub mod diff;
pub mod fragments;
pub mod likeness;
mod memory;
pub mod note;
pub mod origin;
pub mod root;
pub mod shares;
pub mod watch;

use crate::domain::segment::SegmentType;

/// ffmpeg's own playlist in a run's folder: the journal of what it finished, and with which durations.
pub const LOCAL_PLAYLIST: &str = "index.m3u8";
/// What ffmpeg writes before an fMP4 run's first segment; in its place and whole when the playlist names that.
pub const LOCAL_INIT: &str = "init.mp4";

/// ffmpeg's own names of segments end in this.
pub fn suffix(kind: SegmentType) -> &'static str {
    match kind {
        SegmentType::MpegTs => "ts",
        SegmentType::Fmp4 | SegmentType::Parted => "m4s",
    }
}
