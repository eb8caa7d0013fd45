//! Wall clock of each segment's first frame (EXT-X-PROGRAM-DATE-TIME, RFC 8216 4.3.2.6).
//!
//! ffmpeg's own stamps were up to 0.9 s early. A segment is seen when the keyframe after it arrives, so
//! `seen - duration` is its start, but for delays. Within a run stamps follow the durations, and the anchor is
//! moved only when several segments in a row say that the clock and the durations have come apart: one alone is late,
//! or follows one that was. A little is believed when many say so.
//!
//! Forwards the stamps follow the anchor at once. Back they glide, each segment starting a little before the end of the
//! one before it, never before its start: where a run's first segment was seen late (a busy machine), or the
//! camera's clock is a little fast, a discontinuity would cost each viewer more than a second's error for a minute. Only
//! a clock that was set is followed with a break, as time must not step back within a continuity.

use std::time::{Duration, SystemTime};

/// More than jitter: the wall clock was set, or the camera's clock drifted away.
const TOLERANCE: Duration = Duration::from_secs(1);
/// Where it is known better when a segment ended.
const FINE_TOLERANCE: Duration = Duration::from_millis(50);
/// So many segments in a row that come too late, or too early, are no hold-up any more.
const IN_A_ROW: u32 = 4;
/// So many that are all a little late, or early, are right, and the first one was not: players show the delay by it.
const MANY_IN_A_ROW: u32 = 15;
/// What a machine can be late; more is a clock that was set.
const MOST_GLIDE: Duration = Duration::from_secs(10);
/// So much of a segment may the next one overlap it.
const GLIDE_SHARE: u32 = 20;

#[derive(Debug, Default)]
pub struct Timeline {
    /// Where the next segment starts if time goes on evenly, by the anchor.
    next: Option<SystemTime>,
    /// What was said of the last one.
    told: Option<Told>,
    late: Row,
    early: Row,
    /// The same of those that are a little apart.
    long_late: Row,
    long_early: Row,
    is_fine: bool,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    start: SystemTime,
    duration: Duration,
}

impl Told {
    /// The next segment's start, which is `wanted`; `None`: that is too far back.
    fn glide_to(self, wanted: SystemTime) -> Option<SystemTime> {
        let Some(end) = self.start.checked_add(self.duration) else { return Some(wanted) };
        let Ok(back) = end.duration_since(wanted) else { return Some(wanted) };
        let step = back.min(self.duration / GLIDE_SHARE);
        end.checked_sub(step).filter(|_| back <= MOST_GLIDE)
    }
}

/// Segments in a row that came apart from the anchor in the same direction.
#[derive(Debug, Default)]
struct Row {
    count: u32,
    least: Duration,
}

impl Row {
    /// `Some` when the anchor has to move: by how much.
    fn one_more(&mut self, apart: Duration, tolerance: Duration, enough: u32) -> Option<Duration> {
        if apart <= tolerance {
            *self = Self::default();
            return None;
        }
        self.least = if self.count == 0 { apart } else { self.least.min(apart) };
        self.count += 1;
        (self.count >= enough).then(|| std::mem::take(self).least)
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
    /// Of segments whose ends are known to a few milliseconds.
    pub fn fine() -> Self {
        Self { is_fine: true, ..Self::default() }
    }

    /// Nothing that was stamped counts any more.
    pub fn begin_anew(&mut self) {
        *self = Self { is_fine: self.is_fine, ..Self::default() };
    }

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
        let tolerance = if self.is_fine { FINE_TOLERANCE } else { TOLERANCE };
        let forwards = self.late.one_more(late, tolerance, IN_A_ROW);
        let back = self.early.one_more(early, tolerance, IN_A_ROW);
        let slowly_forwards = self.long_late.one_more(late, FINE_TOLERANCE, MANY_IN_A_ROW);
        let slowly_back = self.long_early.one_more(early, FINE_TOLERANCE, MANY_IN_A_ROW);
        let (forwards, back) = (forwards.or(slowly_forwards), back.or(slowly_back));
        let start = match (forwards, back) {
            (Some(by), _) => next.checked_add(by),
            (_, Some(by)) => next.checked_sub(by),
            _ => Some(next),
        };
        let wanted = start.unwrap_or(measured);
        self.next = wanted.checked_add(duration);
        let glided = self.told.map_or(Some(wanted), |told| told.glide_to(wanted));
        let start = glided.unwrap_or(wanted);
        self.told = Some(Told { start, duration });
        Stamp { start, is_break: glided.is_none() }
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

    /// The first segment is seen 1.9 s too late: what follows it comes early, but is shown without a break.
    #[test]
    fn a_late_first_segment_costs_no_break() {
        let seen: Vec<u64> = [3_900].into_iter().chain((2..=40).map(|i| 2_000 * i)).collect();
        let stamps = stamps(&seen);
        assert!(stamps.iter().all(|(_, is_break)| !is_break), "{stamps:?}");
        let starts: Vec<u64> = stamps.iter().map(|(start, _)| *start).collect();
        assert_eq!(starts[..6], [1_900, 3_900, 5_900, 7_900, 9_800, 11_700], "100 ms of 2 s");
        assert_eq!(starts[21..25], [42_100, 44_000, 46_000, 48_000], "then it is right");
    }

    /// Within the tolerance it would stay so for as long as the camera runs.
    #[test]
    fn a_first_segment_that_was_a_little_late_or_early_is_put_right() {
        for apart in [-300, 200, 900] {
            let seen = (1..=60u64).map(|i| 60_000 + 2_000 * i);
            let seen: Vec<u64> = seen
                .enumerate()
                .map(|(i, ms)| if i == 0 { ms.saturating_add_signed(apart) } else { ms })
                .collect();
            let stamps = stamps(&seen);
            assert!(stamps.iter().all(|(_, is_break)| !is_break), "{stamps:?}");
            assert_eq!(stamps[0].0, 60_000u64.saturating_add_signed(apart), "as it was seen");
            assert_eq!(stamps[40], (140_000, false), "{stamps:?}");
        }
    }

    #[test]
    fn what_comes_late_now_and_then_moves_nothing() {
        let late = |i: u64| if i.is_multiple_of(10) { 0 } else { 400 };
        let seen: Vec<u64> = (1..=200).map(|i| 2_000 * i + if i == 1 { 0 } else { late(i) }).collect();
        let even: Vec<_> = (0..200).map(|i| (2_000 * i, false)).collect();
        assert_eq!(stamps(&seen), even);
    }

    #[test]
    fn a_clock_that_was_set_back_a_little_is_followed_gently_and_ten_seconds_are_the_most() {
        let set_back = |by: u64| {
            let before = (1..=5).map(|i| 60_000 + 2_000 * i);
            let after = (6..=300).map(move |i| 60_000 + 2_000 * i - by);
            before.chain(after).collect::<Vec<u64>>()
        };
        let gentle = stamps(&set_back(10_000));
        assert!(gentle.iter().all(|(_, is_break)| !is_break));
        assert_eq!(gentle.last(), Some(&(60_000 + 2_000 * 299 - 10_000, false)));
        let hard = stamps(&set_back(10_001));
        assert_eq!(hard[8], (60_000 + 2_000 * 8 - 10_001, true));
        assert_eq!(hard.iter().filter(|(_, is_break)| *is_break).count(), 1);
    }

    /// A segment is seen each 1990 ms that says it lasts 2 s.
    #[test]
    fn a_camera_whose_clock_is_fast_never_breaks_the_time() {
        let seen: Vec<u64> = (0..3_600).map(|i| 2_000 + 1_990 * i).collect();
        let stamps = stamps(&seen);
        assert!(stamps.iter().all(|(_, is_break)| !is_break));
        let (start, seen) = (stamps[3_599].0, seen[3_599] - 2_000);
        assert!(start.abs_diff(seen) < 1_500, "{start} for {seen}");
    }

    proptest! {
        /// Whatever the clock does: without a break a segment starts where the one before ended, later, or a little
        /// before that.
        #[test]
        fn time_never_steps_back_within_a_continuity(
            seen_ms in prop::collection::vec(0u64..100_000, 1..60),
            lasts_ms in prop::collection::vec(200u64..5_000, 60),
        ) {
            let (mut line, mut before) = (Timeline::default(), None::<(SystemTime, Duration)>);
            for (seen, ms) in seen_ms.into_iter().zip(lasts_ms) {
                let duration = Duration::from_millis(ms);
                let stamp = line.stamp(at(seen), duration);
                if let Some((start, lasted)) = before.filter(|_| !stamp.is_break) {
                    prop_assert!(stamp.start >= start + lasted - lasted / GLIDE_SHARE && stamp.start > start);
                }
                before = Some((stamp.start, duration));
            }
        }

        /// However late segments are seen, by up to ten seconds: nobody meets a break.
        #[test]
        fn delays_are_no_breaks(late_ms in prop::collection::vec(0u64..10_000, 1..60)) {
            let seen: Vec<u64> = (1u64..).zip(late_ms).map(|(i, late)| 2_000 * i + late).collect();
            prop_assert!(stamps(&seen).iter().all(|(_, is_break)| !is_break));
        }
    }
}
