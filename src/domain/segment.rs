//! A finished segment on its way out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

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
    /// The same in parts alone: there is no object of the whole.
    Parted,
}

impl SegmentType {
    /// A player needs its run's init object first.
    pub fn has_init(self) -> bool {
        self != Self::MpegTs
    }
}

/// The number of a rendition, counted from 1; or how many there are.
pub type Rendition = u8;

/// Of one camera.
pub const MOST_RENDITIONS: Rendition = 4;

/// What a segment's objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    pub kind: SegmentType,
    /// Encodings of the same picture, each with an object of its own.
    pub renditions: Rendition,
}

impl Form {
    /// One playlist can name both: those that are there in parts alone are gaps in it.
    pub fn goes_with(self, other: Self) -> bool {
        let is_ts = |form: Self| form.kind == SegmentType::MpegTs;
        is_ts(self) == is_ts(other) && self.renditions == other.renditions
    }
}

impl From<SegmentType> for Form {
    fn from(kind: SegmentType) -> Self {
        Self { kind, renditions: 1 }
    }
}

/// The name of another rendition's file: `index.m3u8`, `index_2.m3u8`.
pub fn sibling_name(first: &str, number: Rendition) -> String {
    match first.rsplit_once('.') {
        Some((stem, suffix)) if number > 1 => format!("{stem}_{number}.{suffix}"),
        _ => first.to_owned(),
    }
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

/// A piece of a segment as the engine hands it over, before the segment is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub run: RunId,
    /// Position within the run, counted from 0 without holes.
    pub number: u64,
    /// The segment's position within the run.
    pub segment: u64,
    pub duration: Duration,
    /// It begins with a keyframe.
    pub independent: bool,
    pub bytes: Bytes,
}

/// Where a segment's bytes are.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// A file in the spool, and one beside it for each further rendition; whoever is done with them removes them.
    File {
        path: PathBuf,
        /// Of all of them together.
        bytes: u64,
        renditions: Rendition,
    },
}

impl Payload {
    pub fn bytes(&self) -> u64 {
        match self {
            Self::File { bytes, .. } => *bytes,
        }
    }

    pub fn renditions(&self) -> Rendition {
        let Self::File { renditions, .. } = self;
        *renditions
    }

    /// The first rendition's file, and the others'.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let Self::File { path, renditions, .. } = self;
        (1..=*renditions).map(|number| sibling(path, number))
    }
}

/// Another rendition's file, beside the first one's.
pub fn sibling(first: &Path, number: Rendition) -> PathBuf {
    match first.file_name().and_then(|name| name.to_str()) {
        Some(name) if number > 1 => first.with_file_name(sibling_name(name, number)),
        _ => first.to_owned(),
    }
}
