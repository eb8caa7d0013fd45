//! A camera's spool that was larger than its share.

use crate::domain::quota;
use crate::domain::segment::Rendition;

/// What was too large, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Excess {
    Spool { used: u64, share: u64 },
    Segment { share: u64, renditions: Rendition },
}

impl Excess {
    /// Decimal megabytes, and what mends it.
    pub(super) fn in_words(self) -> String {
        const MEND: &str = "raise spool_limit, or lower target_width, target_fps or segment_duration";
        let mb = |bytes: u64| bytes as f64 / 1e6;
        match self {
            Self::Spool { used, share } => {
                let (used, share) = (mb(used), mb(share));
                format!("the spool held {used:.1} MB of this camera's {share:.1} MB of spool_limit: {MEND}")
            }
            Self::Segment { share, renditions } => {
                let (most, share) = (mb(quota::largest_file(share, renditions)), mb(share));
                let part = if renditions > 1 { "one rendition's part of a third" } else { "a third" };
                format!(
                    "a segment grew beyond {most:.1} MB, {part} of this camera's {share:.1} MB of spool_limit: {MEND}"
                )
            }
        }
    }
}
