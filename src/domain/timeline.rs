//! Wall clock of each segment's first frame (EXT-X-PROGRAM-DATE-TIME, RFC 8216 4.3.2.6).
//!
//! ffmpeg's own stamps were up to 0.9 s early. A segment is seen when the keyframe after it arrives, so
//! `seen - duration` is its start, but for jitter. Within a run stamps follow the durations, and the anchor is
//! moved only when the clock and the durations have come apart.

use std::time::{Duration, SystemTime};

/// More than jitter: the wall clock was set, or the camera's clock drifted away.
const TOLERANCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Timeline {
    /// Where the next segment starts if time goes on evenly.
    next: Option<SystemTime>,
}

impl Timeline {
    /// The start of a segment of `duration` that was seen complete at `seen`.
    pub fn stamp(&mut self, seen: SystemTime, duration: Duration) -> SystemTime {
        let measured = seen.checked_sub(duration).unwrap_or(seen);
        let start = match self.next {
            Some(next) if apart(next, measured) <= TOLERANCE => next,
            _ => measured,
        };
        self.next = start.checked_add(duration);
        start
    }
}

fn apart(a: SystemTime, b: SystemTime) -> Duration {
    a.duration_since(b).unwrap_or_else(|error| error.duration())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: Duration = Duration::from_secs(2);

    fn at(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_000 + ms)
    }

    #[test]
    fn stamps_follow_the_durations_through_jitter() {
        let mut line = Timeline::default();
        assert_eq!(line.stamp(at(2_000), SEGMENT), at(0));
        assert_eq!(line.stamp(at(4_300), SEGMENT), at(2_000));
        assert_eq!(line.stamp(at(5_900), SEGMENT), at(4_000));
    }

    #[test]
    fn a_set_clock_moves_the_anchor() {
        let mut line = Timeline::default();
        line.stamp(at(2_000), SEGMENT);
        assert_eq!(line.stamp(at(3_604_000), SEGMENT), at(3_602_000));
        assert_eq!(line.stamp(at(3_606_000), SEGMENT), at(3_604_000));
    }
}
