//! Does a run give its segments as fast as time passes? One that is minutes ahead invents them: the camera's
//! timestamps jumped, and the hole was filled with frozen pictures.

use std::time::{Duration, Instant};

/// What a run may be ahead of the clock.
const MOST_AHEAD_S: f64 = 10.0;
/// What a camera may begin with: a recorder sends what it has kept, as fast as it can.
const MOST_KEPT_S: f64 = 45.0;
/// What is kept comes in less than this part of its own time.
const KEPT: f64 = 0.75;
/// What may be caught up after a hold-up, or after a wait for the first key frame.
const MOST_BEHIND_S: f64 = 30.0;
/// A camera's clock may be a little fast for ever: so much of the time that passes is taken off the lead.
const LEAK: f64 = 0.02;

/// One run's media time against the clock.
#[derive(Debug)]
pub struct Pace {
    last: Instant,
    ahead_s: f64,
    /// What came of it in a burst so far; `None`: what comes now is live.
    kept_s: Option<f64>,
}

impl Pace {
    /// The run is started at `now`.
    pub fn new(now: Instant) -> Self {
        Self { last: now, ahead_s: 0.0, kept_s: Some(0.0) }
    }

    /// A segment came at `now`. `false`: the run is so far ahead of the clock that this one is not real.
    pub fn is_real(&mut self, now: Instant, duration: Duration) -> bool {
        let passed_s = now.saturating_duration_since(self.last).as_secs_f64();
        self.last = now;
        if self.is_kept(passed_s, duration.as_secs_f64()) {
            return true;
        }
        let ahead_s = self.ahead_s + duration.as_secs_f64() - passed_s;
        let leak_s = (LEAK * passed_s).min(ahead_s.max(0.0));
        self.ahead_s = (ahead_s - leak_s).max(-MOST_BEHIND_S);
        self.ahead_s <= MOST_AHEAD_S
    }

    /// Is it of the burst that the run begins with? Before its first segment there is a wait in any case.
    fn is_kept(&mut self, passed_s: f64, duration_s: f64) -> bool {
        let Some(kept_s) = self.kept_s else { return false };
        let is_first = kept_s == 0.0;
        let kept_s = kept_s + duration_s;
        let is_kept = (is_first || passed_s < KEPT * duration_s) && kept_s <= MOST_KEPT_S;
        self.kept_s = is_kept.then_some(kept_s);
        is_kept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::test_time::start;

    const S: Duration = Duration::from_secs(1);

    /// A run that was just started.
    fn run() -> (Pace, Instant) {
        (Pace::new(start()), start())
    }

    #[test]
    fn a_burst_of_frozen_segments_is_noticed_within_a_few() {
        let (mut pace, t0) = run();
        assert!((0..100).all(|i| pace.is_real(t0 + 2 * S * i, 2 * S)));
        let taken = (0..30).take_while(|i| pace.is_real(t0 + 199 * S + S / 10 * *i, 2 * S)).count();
        assert!(taken <= 6, "{taken} frozen segments of 2 s");
    }

    #[test]
    fn a_single_absurd_segment_is_noticed() {
        let (mut pace, t0) = run();
        assert!(pace.is_real(t0, 2 * S));
        assert!(!pace.is_real(t0 + 2 * S, 61 * S));
    }

    #[test]
    fn a_wait_for_the_first_key_frame_may_be_caught_up() {
        let (mut pace, t0) = run();
        assert!((0..5).all(|_| pace.is_real(t0 + 10 * S, 2 * S)));
        assert!((1..100).all(|i| pace.is_real(t0 + 10 * S + 2 * S * i, 2 * S)));
    }

    #[test]
    fn a_server_that_starts_with_kept_frames_is_real() {
        let (mut pace, t0) = run();
        assert!([0, 0, 1].iter().all(|at| pace.is_real(t0 + S * *at, 2 * S)));
        assert!((1..1000).all(|i| pace.is_real(t0 + 2 * S * i, 2 * S)));
    }

    #[test]
    fn a_recorder_that_begins_with_half_a_minute_is_real() {
        let (mut pace, t0) = run();
        let at = |tenths: u32| t0 + 2 * S + S / 10 * tenths;
        assert!((0..15).all(|i| pace.is_real(at(4 * i), 2 * S)), "the burst");
        let live = at(60);
        assert!((1..100).all(|i| pace.is_real(live + 2 * S * i, 2 * S)));
        let frozen = live + 199 * S;
        assert!((0..30).any(|i| !pace.is_real(frozen + S / 10 * i, 2 * S)), "a jump later on");
    }

    #[test]
    fn a_run_that_begins_with_frozen_pictures_ends_all_the_same() {
        let (mut pace, t0) = run();
        let taken = (0..1800).take_while(|i| pace.is_real(t0 + S / 10 * *i, 2 * S)).count();
        assert!(taken <= 30, "{taken} segments of 2 s");
    }

    #[test]
    fn a_camera_whose_clock_is_half_a_percent_fast_is_real_for_ever() {
        let (mut pace, t0) = run();
        assert!((0..50_000).all(|i| pace.is_real(t0 + Duration::from_millis(1990) * i, 2 * S)));
    }

    proptest! {
        /// Segments that come in real time, each late by some network trouble, are real.
        #[test]
        fn jitter_is_no_jump(late_ms in prop::collection::vec(0u64..7_000, 1..300), ms in 200u64..10_000) {
            let (mut pace, t0) = run();
            let duration = Duration::from_millis(ms);
            let mut last = t0;
            for (i, late_ms) in late_ms.into_iter().enumerate() {
                // The first one is not late by much: ffmpeg has just started.
                let late = Duration::from_millis(if i == 0 { late_ms / 3 } else { late_ms });
                last = last.max(t0 + duration * i as u32 + late);
                prop_assert!(pace.is_real(last, duration), "segment {i}");
            }
        }
    }
}
