//! The media playlist (RFC 8216 4.3) as data, its text, and reading it back; and the text of the multivariant one.

mod multivariant;
mod parse;
mod query;
mod render;

use std::time::Duration;

use super::ids::Msn;
use super::key::ObjectKey;
use super::segment::Rendition;
use super::window::Entry;

pub use multivariant::{Variant, render_multivariant};
pub use parse::{MOST_COUNTED, PlaylistError, parse, scrape_sequences};
pub use query::with_query;
pub use render::render;

/// What one playlist says: a snapshot of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaPlaylist {
    /// EXT-X-TARGETDURATION.
    pub target_duration_s: u64,
    /// EXT-X-MEDIA-SEQUENCE: the number of the first entry, or of the next one if there is none.
    pub media_sequence: u64,
    /// EXT-X-DISCONTINUITY-SEQUENCE.
    pub discontinuity_sequence: u64,
    pub entries: Vec<Entry>,
    /// EXT-X-ENDLIST: the stream was stopped on purpose.
    pub ended: bool,
    /// Of a stream that is also published in parts.
    pub parts: Option<PartList>,
}

/// Parts of a playlist's segments (RFC 8216bis, EXT-X-PART).
#[derive(Debug, Clone, PartialEq)]
pub struct PartList {
    /// EXT-X-PART-INF: none lasts longer.
    pub target: Duration,
    /// PART-HOLD-BACK.
    pub hold_back: Duration,
    pub of: Vec<(Msn, Vec<ListedPart>)>,
    /// Those of a segment that is still open. A stored playlist has none: it is stored once for a segment, and at that moment the
    /// next one has hardly begun. So a segment number never means anything there but a whole segment, also for who takes over.
    pub open: Vec<ListedPart>,
    /// EXT-X-PRELOAD-HINT: the name of the next segment's first part. hls.js 1.7 comes to a halt ("media sequence mismatch")
    /// where parts are listed and nothing follows the last whole segment: it takes that for the one that is being made.
    pub hint: Option<ObjectKey>,
    /// CAN-BLOCK-RELOAD: who serves it can keep a viewer waiting for the next part. A bucket can't.
    pub blocks: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPart {
    pub key: ObjectKey,
    pub duration: Duration,
    pub independent: bool,
}

impl MediaPlaylist {
    /// The sum of its segments' durations.
    pub fn duration(&self) -> Duration {
        self.entries.iter().map(|entry| entry.duration).sum()
    }

    /// Those that are listed with a segment.
    fn parts_of(&self, entry: &Entry) -> &[ListedPart] {
        let of = self.parts.iter().flat_map(|parts| &parts.of).find(|(msn, _)| *msn == entry.msn);
        of.map_or(&[], |(_, parts)| parts)
    }

    /// The same of another rendition: it differs in its objects' names alone.
    #[must_use]
    pub fn rendition(&self, number: Rendition) -> Self {
        let named = |entry: &Entry| Entry { key: entry.key.rendition(number), ..entry.clone() };
        Self { entries: self.entries.iter().map(named).collect(), parts: self.parts.clone(), ..*self }
    }
}
