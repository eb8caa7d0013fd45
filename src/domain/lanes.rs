//! How many uploads go at once.
//!
//! Several at once help where the store answers late: they overlap. Where the uplink itself is too slow they share
//! it, and all of them are late. A given-up segment says that something is too slow; how long an upload takes
//! alone, and beside another, says which of the two it is.

use std::time::{Duration, Instant};

/// Beside another one, an upload over a shared uplink takes twice as long; over a merely late one, as long.
const SHARED: f64 = 1.5;
/// The same for both of two, with room for sizes that vary.
const TWO_TAKE: f64 = 2.5;
/// How long the finding "they share the uplink" holds.
const FINDING_HOLDS: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub struct Lanes {
    most: usize,
    open: usize,
    /// Two are open to find out whether they help each other.
    trial: bool,
    /// Counts the changes of `open`: an upload that saw one measures neither.
    epoch: u64,
    segment_duration: Duration,
    /// How long an upload took when it went alone.
    alone: Option<Duration>,
    shared_until: Option<Instant>,
}

/// Under which conditions an upload started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    epoch: u64,
    alone: bool,
    since: Instant,
}

impl Mark {
    pub fn since(self) -> Instant {
        self.since
    }
}

impl Lanes {
    pub fn new(most: usize, segment_duration: Duration) -> Self {
        Self { most, open: most, trial: false, epoch: 0, segment_duration, alone: None, shared_until: None }
    }

    pub fn open(&self) -> usize {
        self.open
    }

    /// Something is too slow for the stream.
    pub fn is_narrow(&self) -> bool {
        self.trial || self.open < self.most
    }

    /// An upload starts beside `others`.
    pub fn mark(&self, now: Instant, others: usize) -> Mark {
        Mark { epoch: self.epoch, alone: others == 0, since: now }
    }

    /// A segment was given up: whatever was tried last did not suffice. No upload gets more time than `longest`.
    pub fn given_up(&mut self, now: Instant, longest: Duration) {
        let may_try = self.shared_until.is_none_or(|until| now >= until);
        // Two that share the uplink must not both run out of their time.
        let worth_it = |alone: Duration| alone.mul_f64(TWO_TAKE) <= longest;
        match self.open {
            1 if self.alone.is_some_and(worth_it) && may_try && self.most > 1 => {
                self.set(2);
                self.trial = true;
            }
            1 => {}
            // It goes on until it is measured.
            _ if self.trial => {}
            _ => self.set(1),
        }
    }

    /// An upload failed, or takes long. One that was refused says so at once; one that took long ran out of its time, perhaps
    /// because it shared the uplink.
    pub fn failed(&mut self, now: Instant, mark: Mark) {
        let late = now.saturating_duration_since(mark.since) > self.segment_duration;
        if late && self.open > 1 {
            if self.trial {
                self.shared_until = Some(now + FINDING_HOLDS);
            }
            self.set(1);
        }
    }

    /// Uploads made way for something else: a trial among them has found nothing.
    pub fn yielded(&mut self) {
        if self.trial {
            self.set(self.most);
        }
    }

    /// An upload was stored.
    pub fn stored(&mut self, now: Instant, mark: Mark) {
        if mark.epoch != self.epoch {
            return;
        }
        let took = now.saturating_duration_since(mark.since);
        match self.alone {
            _ if self.open == 1 && mark.alone => {
                self.alone = Some(took);
                if took <= self.segment_duration / 2 {
                    self.set(self.most);
                }
            }
            Some(alone) if self.trial && !mark.alone => {
                if took.as_secs_f64() > SHARED * alone.as_secs_f64() {
                    self.set(1);
                    self.shared_until = Some(now + FINDING_HOLDS);
                } else {
                    self.set(self.most);
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, open: usize) {
        self.open = open;
        self.trial = false;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_time::start;

    const S: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(60);

    fn lanes() -> Lanes {
        Lanes::new(3, 2 * S)
    }

    /// An upload from start to end.
    fn upload(lanes: &mut Lanes, others: usize, took: Duration) {
        let mark = lanes.mark(start(), others);
        lanes.stored(mark.since + took, mark);
    }

    #[test]
    fn while_nothing_is_given_up_all_are_open() {
        let mut lanes = lanes();
        (0..100).for_each(|i| upload(&mut lanes, i % 3, 5 * S));
        assert_eq!(lanes.open(), 3);
    }

    #[test]
    fn a_shared_uplink_is_found_out_and_gets_one_at_a_time() {
        let (mut lanes, t0) = (lanes(), start());
        lanes.given_up(t0, LONGEST);
        upload(&mut lanes, 0, 4 * S);
        lanes.given_up(t0, LONGEST);
        assert_eq!(lanes.open(), 2, "a trial");
        upload(&mut lanes, 1, 8 * S);
        assert_eq!(lanes.open(), 1);
        lanes.given_up(t0 + 200 * S, LONGEST);
        assert_eq!(lanes.open(), 1, "known for a while");
        lanes.given_up(t0 + 400 * S, LONGEST);
        assert_eq!(lanes.open(), 2, "it may have changed");
    }

    #[test]
    fn a_trial_of_two_is_one_also_where_two_are_the_most() {
        let (mut lanes, t0) = (Lanes::new(2, 2 * S), start());
        lanes.given_up(t0, LONGEST);
        upload(&mut lanes, 0, 6 * S);
        lanes.given_up(t0, LONGEST);
        let mark = lanes.mark(t0, 1);
        lanes.given_up(t0, LONGEST);
        assert_eq!(lanes.open(), 2, "the trial goes on");
        lanes.failed(t0 + 10 * S, mark);
        lanes.given_up(t0 + 100 * S, LONGEST);
        assert_eq!(lanes.open(), 1, "known for a while");
    }

    #[test]
    fn two_that_could_not_both_end_in_time_are_not_tried() {
        let (mut lanes, t0) = (lanes(), start());
        lanes.given_up(t0, LONGEST);
        upload(&mut lanes, 0, 30 * S);
        lanes.given_up(t0, LONGEST);
        assert_eq!(lanes.open(), 1);
    }

    #[test]
    fn a_late_store_gets_all_again() {
        let (mut lanes, t0) = (lanes(), start());
        lanes.given_up(t0, LONGEST);
        upload(&mut lanes, 0, 4 * S);
        lanes.given_up(t0, LONGEST);
        upload(&mut lanes, 1, 4 * S);
        assert_eq!(lanes.open(), 3);
    }

    #[test]
    fn an_upload_that_saw_a_change_measures_nothing() {
        let (mut lanes, t0) = (lanes(), start());
        let before = lanes.mark(t0, 0);
        lanes.given_up(t0, LONGEST);
        lanes.stored(t0 + 12 * S, before);
        lanes.given_up(t0, LONGEST);
        assert_eq!(lanes.open(), 1, "it is not known yet how long one takes alone");
    }

    #[test]
    fn an_upload_that_ran_out_of_its_time_narrows_and_a_refused_one_does_not() {
        let mut lanes = lanes();
        let mark = lanes.mark(start(), 2);
        lanes.failed(mark.since + S / 10, mark);
        assert_eq!(lanes.open(), 3);
        lanes.failed(mark.since + 10 * S, mark);
        assert_eq!(lanes.open(), 1);
    }

    #[test]
    fn a_quick_store_gets_all_at_once() {
        let (mut lanes, t0) = (lanes(), start());
        (0..50).for_each(|_| lanes.given_up(t0, LONGEST));
        upload(&mut lanes, 0, S / 5);
        assert_eq!(lanes.open(), 3);
    }
}
