//! Wall clock of each segment's first frame (EXT-X-PROGRAM-DATE-TIME, RFC 8216 4.3.2.6).
//!
//! ffmpeg's own stamps were up to 0.9 s early. A segment is seen when the keyframe after it arrives, so
//! `seen - duration` is its start, but for delays. Within a run stamps follow the durations, and the anchor is
//! moved only when several segments in a row say that the clock and the durations have come apart: one alone is late,
//! or follows one that was. Where time would step back there is a break, as it must not within a continuity.

use std::time::{Duration, SystemTime};

/// More than jitter: the wall clock was set, or the camera's clock drifted away.
const TOLERANCE: Duration = Duration::from_secs(1);
/// So many segments in a row that come too late, or too early, are no hold-up any more.
const IN_A_ROW: u32 = 4;

#[derive(Debug, Default)]
pub struct Timeline {
    /// Where the next segment starts if time goes on evenly.
    next: Option<SystemTime>,
    late: Row,
    early: Row,
}

/// Segments in a row that came apart from the anchor in the same direction.
#[derive(Debug, Default)]
struct Row {
    count: u32,
    least: Duration,
}

impl Row {
    /// `Some` when the anchor has to move: by how much.
    fn one_more(&mut self, apart: Duration) -> Option<Duration> {
        if apart <= TOLERANCE {
            *self = Self::default();
            return None;
        }
        self.least = if self.count == 0 { apart } else { self.least.min(apart) };
        self.count += 1;
        (self.count >= IN_A_ROW).then(|| std::mem::take(self).least)
    }
}

/// When a segment starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub start: SystemTime,
    /// Time steps back here.
    pub is_break: bool,
}

impl Timeline {
    /// Nothing was stamped yet.
    pub fn is_new(&self) -> bool {
        self.next.is_none()
    }

    /// The start of a segment of `duration` that was seen complete at `seen`.
    pub fn stamp(&mut self, seen: SystemTime, duration: Duration) -> Stamp {
        let measured = seen.checked_sub(duration).unwrap_or(seen);
        let next = self.next.unwrap_or(measured);
        let late = measured.duration_since(next).unwrap_or_default();
        let early = next.duration_since(measured).unwrap_or_default();
        let (forwards, back) = (self.late.one_more(late), self.early.one_more(early));
        let start = match (forwards, back) {
            (Some(by), _) => next.checked_add(by),
            (_, Some(by)) => next.checked_sub(by),
            _ => Some(next),
        };
        let start = start.unwrap_or(measured);
        self.next = start.checked_add(duration);
        Stamp { start, is_break: start < next }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEGMENT: Duration = Duration::from_secs(2);

    fn at(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_000 + ms)
    }

    /// The stamps of segments of 2 s, in ms; breaks are marked.
    fn stamps(seen_ms: &[u64]) -> Vec<(u64, bool)> {
        let mut line = Timeline::default();
        let stamp = |ms: &u64| {
            let stamp = line.stamp(at(*ms), SEGMENT);
            let since = stamp.start.duration_since(at(0)).map_or(u64::MAX, |d| d.as_millis() as u64);
            (since, stamp.is_break)
        };
        seen_ms.iter().map(stamp).collect()
    }

    #[test]
    fn stamps_follow_the_durations_through_jitter_and_delays() {
        let seen = [2_000, 4_300, 5_900, 12_000, 12_100, 12_200, 14_000];
        let even = [0, 2_000, 4_000, 6_000, 8_000, 10_000, 12_000].map(|ms| (ms, false));
        assert_eq!(stamps(&seen), even);
    }

    #[test]
    fn a_clock_that_was_set_forwards_is_followed_after_some_segments() {
        let hour = 3_600_000;
        let seen = [2_000, hour + 4_000, hour + 6_100, hour + 8_000, hour + 10_000, hour + 12_000];
        let wanted = [0, 2_000, 4_000, 6_000, hour + 8_000, hour + 10_000].map(|ms| (ms, false));
        assert_eq!(stamps(&seen), wanted);
    }

    #[test]
    fn a_clock_that_was_set_back_is_followed_with_a_break() {
        let hour = 3_600_000;
        let seen = [hour + 2_000, hour + 4_000, 6_000, 8_100, 10_000, 12_000, 14_000];
        let on = |ms| (hour + ms, false);
        let wanted = [on(0), on(2_000), on(4_000), on(6_000), on(8_000), (10_100, true), (12_100, false)];
        assert_eq!(stamps(&seen), wanted);
    }

    proptest! {
        /// Whatever the clock does: without a break a segment starts where the one before ended, or later.
        #[test]
        fn time_never_steps_back_within_a_continuity(
            seen_ms in prop::collection::vec(0u64..100_000, 1..60),
            ms in 200u64..5_000,
        ) {
            let (mut line, duration) = (Timeline::default(), Duration::from_millis(ms));
            let mut end = None;
            for seen in seen_ms {
                let stamp = line.stamp(at(seen), duration);
                prop_assert!(stamp.is_break || end.is_none_or(|end| stamp.start >= end));
                end = Some(stamp.start + duration);
            }
        }
    }
}
