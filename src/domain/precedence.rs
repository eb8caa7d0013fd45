//! Parts go first: whether whole segments may go beside them.
//!
//! A stream that is published in parts and in whole segments is sent twice. An uplink that carries it once but not twice
//! makes the parts late, and who looks at them looks at the live edge. So while whole segments are what makes them late,
//! they are left out. Now and then one is tried: it says whether there is room again.

use std::time::{Duration, Instant};

/// A whole segment that takes more of its own duration than that makes the next one wait, or go beside it.
const LONG: f64 = 0.9;
/// Parts are late when they take so many times what they take with nothing beside them.
const LATE: f64 = 1.5;
/// The same of their duration, while that is not known.
const LATE_PARTS: u32 = 3;
/// Of so few no mean is made.
const LEAST: u32 = 3;
/// Of a mean, what a new value brings.
const NEW: f64 = 0.2;
/// Until a segment is tried; twice as long after each that was in vain.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const MOST_PAUSE: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Both go.
    Beside,
    /// The next segment from then on is a trial.
    Alone { until: Instant },
    /// One segment may go, or is under way.
    Trial { is_under_way: bool },
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    of: u32,
    seconds: f64,
}

impl Mean {
    fn add(&mut self, took: Duration) {
        self.of = self.of.saturating_add(1);
        // The first ones count alike.
        let new = NEW.max(1.0 / f64::from(self.of));
        self.seconds += new * (took.as_secs_f64() - self.seconds);
    }

    fn known(self) -> Option<f64> {
        (self.of >= LEAST).then_some(self.seconds)
    }
}

#[derive(Debug)]
pub struct Precedence {
    /// How long a part lasts, and a segment.
    part: Duration,
    segment: Duration,
    state: State,
    pause: Duration,
    /// When whole segments were let in again.
    let_in: Option<Instant>,
    /// What a part takes from its making to its confirmation: with no segment beside it, and since one is.
    clear: Mean,
    beside: Mean,
    /// Since when segments have been under way without a break, and when they last were not.
    busy_since: Option<Instant>,
    quiet_since: Option<Instant>,
    /// When what is under way will have taken long.
    long_at: Option<Instant>,
}

impl Precedence {
    pub fn new(part: Duration, segment: Duration) -> Self {
        Self {
            part,
            segment,
            state: State::Beside,
            pause: FIRST_PAUSE,
            let_in: None,
            clear: Mean::default(),
            beside: Mean::default(),
            busy_since: None,
            quiet_since: None,
            long_at: None,
        }
    }

    /// A part that was made then is stored.
    pub fn part_stored(&mut self, now: Instant, born: Instant) {
        let took = now.saturating_duration_since(born);
        if self.busy_since.is_some() {
            self.beside.add(took);
        } else if self.quiet_since.is_none_or(|since| since <= born) {
            self.clear.add(took);
        }
    }

    /// `oldest`: when the oldest whole segment that is under way began.
    pub fn assess(&mut self, now: Instant, oldest: Option<Instant>) {
        match (self.busy_since, oldest) {
            (None, Some(began)) => (self.busy_since, self.beside) = (Some(began), Mean::default()),
            (Some(_), None) => (self.busy_since, self.quiet_since) = (None, Some(now)),
            _ => {}
        }
        let long = self.segment.mul_f64(LONG);
        let is_long = oldest.is_some_and(|began| now >= began + long);
        // Behind it each part that is stored is a reason to look again.
        self.long_at = oldest.filter(|_| !is_long).map(|began| began + long);
        match self.state {
            State::Beside if is_long && self.are_parts_late() => {
                let is_soon = self.let_in.is_some_and(|at| now < at + MOST_PAUSE);
                self.pause = if is_soon { self.longer() } else { FIRST_PAUSE };
                self.state = State::Alone { until: now + self.pause };
            }
            State::Trial { .. } if is_long => {
                self.pause = self.longer();
                self.state = State::Alone { until: now + self.pause };
            }
            State::Trial { is_under_way: true } if oldest.is_none() => {
                (self.state, self.let_in) = (State::Beside, Some(now));
            }
            State::Trial { is_under_way } => {
                self.state = State::Trial { is_under_way: is_under_way || oldest.is_some() };
            }
            // What was begun before is to be over: it would be taken for the trial.
            State::Alone { until } if now >= until && oldest.is_none() => {
                self.state = State::Trial { is_under_way: false };
            }
            State::Beside | State::Alone { .. } => {}
        }
    }

    /// The next whole segment may go. See [`Self::assess`], which comes first.
    pub fn may_go_whole(&self) -> bool {
        matches!(self.state, State::Beside | State::Trial { is_under_way: false })
    }

    /// Parts have the uplink for themselves, but for trials.
    pub fn is_alone(&self) -> bool {
        self.state != State::Beside
    }

    /// How long a part takes of late.
    pub fn usual(&self) -> Option<Duration> {
        let mean = if self.busy_since.is_some() { self.beside.known() } else { None };
        mean.or(self.clear.known()).map(Duration::from_secs_f64)
    }

    /// When to assess again, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        self.long_at
    }

    fn longer(&self) -> Duration {
        (2 * self.pause).min(MOST_PAUSE)
    }

    /// Only what is stored counts: where nothing is, all is away.
    fn are_parts_late(&self) -> bool {
        let most =
            self.clear.known().map_or(f64::from(LATE_PARTS) * self.part.as_secs_f64(), |clear| clear * LATE);
        self.beside.known().is_some_and(|beside| beside > most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_time::start;

    const MS: Duration = Duration::from_millis(1);
    const SEGMENT: Duration = Duration::from_secs(1);

    struct Script {
        precedence: Precedence,
        now: Instant,
        /// How long a part takes alone, and beside a segment; and a segment.
        clear: Duration,
        beside: Duration,
        whole: Duration,
        under_way: Vec<Instant>,
        went: u32,
    }

    impl Script {
        fn new(clear_ms: u32, beside_ms: u32, whole_ms: u32) -> Self {
            let [clear, beside, whole] = [clear_ms, beside_ms, whole_ms].map(|ms| ms * MS);
            let precedence = Precedence::new(200 * MS, SEGMENT);
            Self { precedence, now: start(), clear, beside, whole, under_way: Vec::new(), went: 0 }
        }

        /// A segment and its parts, in steps of 100 ms.
        fn second(&mut self) {
            self.precedence.assess(self.now, self.under_way.first().copied());
            if self.precedence.may_go_whole() {
                self.under_way.push(self.now);
                self.went += 1;
            }
            for step in 0..10 {
                self.now += 100 * MS;
                let took = if self.under_way.is_empty() { self.clear } else { self.beside };
                self.under_way.retain(|began| *began + self.whole > self.now);
                if step % 2 == 1 && self.now >= start() + took {
                    self.precedence.part_stored(self.now, self.now - took);
                }
                self.precedence.assess(self.now, self.under_way.first().copied());
            }
        }

        /// How many segments went.
        fn seconds(&mut self, seconds: u32) -> u32 {
            let before = self.went;
            (0..seconds).for_each(|_| self.second());
            self.went - before
        }
    }

    #[test]
    fn with_room_for_both_each_segment_goes() {
        for (clear, beside, whole) in [(60, 60, 70), (150, 250, 700), (400, 400, 450)] {
            let mut s = Script::new(clear, beside, whole);
            assert_eq!((s.seconds(60), s.precedence.is_alone()), (60, false), "{clear} {beside} {whole}");
        }
    }

    #[test]
    fn a_store_that_is_late_with_all_alike_is_no_short_uplink() {
        let mut s = Script::new(1_200, 1_200, 1_200);
        // Before the first segment.
        (0..4).for_each(|_| s.precedence.part_stored(s.now + 1_200 * MS, s.now));
        assert_eq!(s.seconds(60), 60);
    }

    #[test]
    fn segments_that_make_parts_late_are_left_out_and_tried_ever_more_rarely() {
        let mut s = Script::new(150, 500, 2_000);
        s.precedence.part_stored(s.now + 150 * MS, s.now);
        (0..3).for_each(|_| s.precedence.part_stored(s.now + 150 * MS, s.now));
        assert_eq!(s.seconds(5), 1, "the first one shows it");
        assert!(s.precedence.is_alone());
        assert_eq!(s.seconds(24), 0);
        assert_eq!(s.seconds(10), 1, "a trial");
        assert_eq!(s.seconds(50), 0, "the next one later");
        assert_eq!(s.seconds(3_600), 8, "after 60 s, 2, 4, 8 and then each 10 minutes");
    }

    #[test]
    fn with_room_again_all_go_again() {
        let mut s = Script::new(150, 500, 2_000);
        (0..4).for_each(|_| s.precedence.part_stored(s.now + 150 * MS, s.now));
        s.seconds(20);
        assert!(s.precedence.is_alone());
        (s.beside, s.whole) = (160 * MS, 200 * MS);
        assert_eq!(s.seconds(10), 0, "nobody knows yet");
        assert!(s.seconds(30) >= 25 && !s.precedence.is_alone());
        // It comes and goes: tried more rarely.
        (s.beside, s.whole) = (500 * MS, 2_000 * MS);
        assert_eq!(s.seconds(40), 1);
        assert_eq!(s.seconds(30), 1, "after a minute");
    }

    #[test]
    fn where_nothing_is_stored_it_is_no_matter_of_precedence() {
        let mut s = Script::new(150, 60_000, 60_000);
        assert_eq!(s.seconds(5), 5);
        assert_eq!(s.precedence.usual(), None);
    }

    #[test]
    fn parts_that_were_late_from_the_first_one_on_count_by_their_duration() {
        let mut s = Script::new(700, 700, 2_000);
        assert_eq!(s.seconds(1), 1);
        assert!(!s.precedence.is_alone(), "two parts are no mean");
        assert!(s.seconds(10) <= 1 && s.precedence.is_alone());
        assert_eq!(s.precedence.usual(), Some(700 * MS));
        assert!(s.precedence.deadline().is_none());
    }
}
