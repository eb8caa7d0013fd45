//! The media playlist (RFC 8216 4.3) as data, its text, and reading it back; and the text of the multivariant one.

mod multivariant;
mod parse;
mod query;
mod render;

use std::time::Duration;

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
}

impl MediaPlaylist {
    /// The sum of its segments' durations.
    pub fn duration(&self) -> Duration {
        self.entries.iter().map(|entry| entry.duration).sum()
    }

    /// The same of another rendition: it differs in its objects' names alone.
    #[must_use]
    pub fn rendition(&self, number: Rendition) -> Self {
        let named = |entry: &Entry| Entry { key: entry.key.rendition(number), ..entry.clone() };
        Self { entries: self.entries.iter().map(named).collect(), ..*self }
    }
}
