//! When a camera's next still picture is due, and of which segment it is made.
//!
//! One at a time, of the newest segment there is, without a queue: what comes too early or while one is made is let go.
//! A failure costs no segment anything; the next try is later, and of a newer picture.

use std::time::{Duration, Instant};

use super::dice::Dice;
use super::gate::Failure;
use super::ids::RunId;
use super::pauses::Pauses;

#[derive(Debug)]
pub struct Snapshots {
    interval: Duration,
    due: Option<Instant>,
    is_busy: bool,
    /// The newest segment that was wanted, and the run before its own.
    newest: Option<(RunId, u64)>,
    run_before: Option<RunId>,
    pauses: Pauses,
}

impl Snapshots {
    pub fn new(interval: Duration, dice: Dice) -> Self {
        let pauses = Pauses::new(dice);
        Self { interval, due: None, is_busy: false, newest: None, run_before: None, pauses }
    }

    /// This segment of this run is stored. `true`: keep its picture, in place of an older one.
    pub fn wants(&mut self, now: Instant, run: RunId, index: u64) -> bool {
        let is_due = !self.is_busy && self.due.is_none_or(|due| now >= due);
        if !is_due || !self.is_news(run, index) {
            return false;
        }
        let earlier = self.newest.replace((run, index)).map(|(run, _)| run);
        self.run_before = earlier.filter(|earlier| *earlier != run).or(self.run_before);
        true
    }

    /// Uploads overtake each other. Run ids do not tell which is the newer one: the wall clock may be set back.
    fn is_news(&self, run: RunId, index: u64) -> bool {
        match self.newest {
            Some((newest, at)) if newest == run => index > at,
            _ => self.run_before != Some(run),
        }
    }

    /// The picture that is kept is made now: until [`Self::done`] or [`Self::failed`] no other is wanted.
    pub fn taken(&mut self, now: Instant) {
        self.is_busy = true;
        // Segments come in their own time: on a grid the next ones are an interval apart on average, not a segment more.
        let grid = self.due.map_or(now, |due| due.max(now.checked_sub(self.interval / 2).unwrap_or(now)));
        self.due = Some(grid + self.interval);
    }

    /// It is stored, or nobody wants it any more.
    pub fn done(&mut self) {
        self.is_busy = false;
        self.pauses.succeeded();
    }

    /// It could not be made, or not be stored.
    pub fn failed(&mut self, now: Instant, failure: Failure) {
        self.is_busy = false;
        self.due = Some(now + self.pauses.failed(failure));
    }

    /// The store has new credentials: what it refused may be tried at once.
    pub fn renewed(&mut self, now: Instant) {
        if self.pauses.renewed() {
            self.due = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::pauses;
    use crate::domain::test_time::start;

    const S: Duration = Duration::from_secs(1);
    const AGAIN: Failure = Failure::Retry { after: None };

    fn run(number: u64) -> RunId {
        RunId::new(number, 0)
    }

    fn every(seconds: u32) -> Snapshots {
        Snapshots::new(seconds * S, Dice::new(1))
    }

    /// A segment every `segment`, each snapshot made at once: the seconds at which one was taken.
    fn taken(snapshots: &mut Snapshots, segment: Duration, segments: u32) -> Vec<f64> {
        let t0 = start();
        let mut at = Vec::new();
        for i in 0..segments {
            let now = t0 + segment * i;
            if snapshots.wants(now, run(1), u64::from(i)) {
                snapshots.taken(now);
                snapshots.done();
                at.push((now - t0).as_secs_f64());
            }
        }
        at
    }

    #[test]
    fn the_first_is_due_at_once_and_then_one_each_interval() {
        assert_eq!(taken(&mut every(10), 2 * S, 16), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(taken(&mut every(1), 2 * S, 4), [0.0, 2.0, 4.0, 6.0], "one segment, one picture");
    }

    #[test]
    fn segments_that_do_not_fit_the_interval_do_not_stretch_it() {
        let at = taken(&mut every(10), 3 * S, 41);
        assert_eq!(at[..5], [0.0, 12.0, 21.0, 30.0, 42.0]);
        assert_eq!(at.len(), 13, "{at:?}");
    }

    #[test]
    fn while_one_is_made_segments_are_let_go_and_the_newest_wins() {
        let (mut snapshots, t0) = (every(1), start());
        assert!(snapshots.wants(t0, run(1), 1));
        assert!(snapshots.wants(t0 + S, run(1), 3), "it waits for its turn: the newer one takes its place");
        assert!(!snapshots.wants(t0 + S, run(1), 2), "an older one, stored late");
        snapshots.taken(t0 + S);
        assert!(!snapshots.wants(t0 + 60 * S, run(1), 4), "one at a time");
        snapshots.done();
        assert!(snapshots.wants(t0 + 60 * S, run(1), 5));
        assert!(!snapshots.wants(t0 + 90 * S, run(1), 4), "never back");
    }

    #[test]
    fn a_late_segment_of_the_run_before_is_no_news_but_a_set_back_clock_is() {
        let (mut snapshots, t0) = (every(1), start());
        assert!(snapshots.wants(t0, run(5), 9));
        assert!(snapshots.wants(t0, run(2), 0), "the clock was set back between these runs");
        assert!(!snapshots.wants(t0, run(5), 10));
        assert!(snapshots.wants(t0, run(2), 1) && !snapshots.wants(t0, run(5), 11));
        assert!(snapshots.wants(t0, run(3), 0) && !snapshots.wants(t0, run(2), 2));
    }

    #[test]
    fn after_silence_there_are_not_two_at_once() {
        let (mut snapshots, t0) = (every(10), start());
        let mut at = Vec::new();
        for second in [0, 300, 302, 304, 306, 308, 310] {
            let now = t0 + second * S;
            if snapshots.wants(now, run(1), u64::from(second)) {
                snapshots.taken(now);
                snapshots.done();
                at.push(second);
            }
        }
        assert_eq!(at, [0, 300, 306]);
    }

    #[test]
    fn a_store_that_refuses_is_asked_ever_more_rarely() {
        let (mut snapshots, t0) = (every(1), start());
        let mut tries = 0;
        for second in 0..3600 {
            let now = t0 + second * S;
            if snapshots.wants(now, run(1), u64::from(second)) {
                snapshots.taken(now);
                snapshots.failed(now, Failure::Never);
                tries += 1;
            }
        }
        assert!((10..=22).contains(&tries), "{tries} tries in an hour");
        snapshots.renewed(t0 + 3600 * S);
        assert!(!snapshots.wants(t0 + 3600 * S, run(1), 9999), "that mends no refusal of another kind");
    }

    #[test]
    fn new_credentials_are_tried_at_once_and_what_the_store_asks_for_is_kept() {
        let (mut snapshots, t0) = (every(1), start());
        snapshots.taken(t0);
        snapshots.failed(t0, Failure::Rare);
        assert!(!snapshots.wants(t0, run(1), 1));
        snapshots.renewed(t0);
        assert!(snapshots.wants(t0, run(1), 1));
        snapshots.taken(t0);
        snapshots.failed(t0, Failure::Retry { after: Some(60 * S) });
        assert!(!snapshots.wants(t0 + 59 * S, run(1), 2) && snapshots.wants(t0 + 60 * S, run(1), 2));
        snapshots.taken(t0 + 60 * S);
        snapshots.failed(t0 + 60 * S, Failure::Retry { after: Some(86_400 * S) });
        assert!(snapshots.wants(t0 + 660 * S, run(1), 3), "but not for ever");
    }

    #[test]
    fn a_long_interval_does_not_make_a_failure_long() {
        let (mut snapshots, t0) = (every(86_400), start());
        snapshots.taken(t0);
        snapshots.failed(t0, AGAIN);
        assert!(snapshots.wants(t0 + 2 * S, run(1), 1));
    }

    proptest! {
        /// Whatever fails: two PUTs are never nearer than half an interval or a second, and one follows within bounds.
        #[test]
        fn pictures_keep_their_distance(
            interval in 1_u32..60,
            steps in prop::collection::vec((50_u64..4000, 0_u8..4), 1..200),
        ) {
            let (mut snapshots, mut now) = (every(interval), start());
            let mut last: Option<Instant> = None;
            for (i, (millis, answer)) in steps.into_iter().enumerate() {
                now += Duration::from_millis(millis);
                if !snapshots.wants(now, run(1), i as u64) {
                    continue;
                }
                let distance = (interval * S / 2).min(S);
                prop_assert!(last.is_none_or(|last| now - last >= distance));
                snapshots.taken(now);
                last = Some(now);
                match answer {
                    0 => snapshots.failed(now, AGAIN),
                    1 => snapshots.failed(now, Failure::Never),
                    _ => snapshots.done(),
                }
            }
            prop_assert!(last.is_some() && snapshots.wants(now + pauses::MOST, run(1), u64::MAX));
        }
    }
}
