//! A finished segment on its way out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::fmp4::Header;
use super::ids::RunId;

/// What segments are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SegmentType {
    /// A transport stream: each segment can be played by itself.
    #[default]
    MpegTs,
    /// Fragmented MP4: needs its run's init object.
    Fmp4,
}

/// One segment as the engine hands it over: complete, and never changed again.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    pub run: RunId,
    /// Position within the run, counted from 0 without holes.
    pub index: u64,
    pub duration: Duration,
    /// Wall clock of its first frame.
    pub program_time: SystemTime,
    /// Its program time does not follow from the segment's before it: it needs a discontinuity.
    pub after_break: bool,
    /// Of an fMP4 run; the same for all of its segments.
    pub header: Option<Arc<Header>>,
    pub payload: Payload,
}

/// Where a segment's bytes are.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// A file in the spool; whoever is done with it removes it.
    File { path: PathBuf, bytes: u64 },
}

impl Payload {
    pub fn bytes(&self) -> u64 {
        match self {
            Self::File { bytes, .. } => *bytes,
        }
    }
}
