//! Parts go first: whether whole segments may go beside them.
//!
//! A stream that is published in parts and in whole segments is sent twice. An uplink that carries it once but not twice
//! makes the parts late, and who looks at them looks at the live edge. So while whole segments are what makes them late,
//! they are left out. Now and then one is tried: it says whether there is room again.
//!
//! Where not even the parts get through in time, as each takes very long, they help nobody: then whole segments go without
//! them for a while.

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
/// One under way, and one that has just been made.
const USUALLY_UNSENT: usize = 2;
const BURST: Duration = Duration::from_secs(15);
/// Without a part for so many segments there is room: the stream has ended, or pauses.
const QUIET_SEGMENTS: u32 = 3;
/// Where no whole segment gets its turn for so many, as parts alone are more than there is room for.
const STARVED_SEGMENTS: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Both go.
    Beside,
    /// The next segment from then on is a trial.
    Alone { until: Instant },
    /// One segment may go, or is under way. So many had been stored before.
    Trial { is_under_way: bool, stored: u64 },
    /// No part goes until then.
    Without { until: Instant },
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    of: u32,
    seconds: f64,
    last: Option<Instant>,
}

impl Mean {
    fn add(&mut self, now: Instant, took: Duration) {
        (self.of, self.last) = (self.of.saturating_add(1), Some(now));
        // The first ones count alike.
        let new = NEW.max(1.0 / f64::from(self.of));
        self.seconds += new * (took.as_secs_f64() - self.seconds);
    }

    fn known(self) -> Option<f64> {
        (self.of >= LEAST).then_some(self.seconds)
    }
}

/// What is under way beside the parts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wholes {
    /// When the oldest whole segment that is under way began.
    pub oldest: Option<Instant>,
    /// How many were stored until now.
    pub stored: u64,
    /// That are not stored yet.
    pub unsent: usize,
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
    /// What storing a part takes: with no segment beside it, and since one is.
    clear: Mean,
    beside: Mean,
    /// The same of late, with attempts that ran out of their time.
    usual: Mean,
    /// Since when segments have been under way without a break, and when they last were not.
    busy_since: Option<Instant>,
    quiet_since: Option<Instant>,
    /// More waited at once in that time than is made meanwhile.
    is_burst: bool,
    /// When the last part was stored, or tried in vain.
    last_part: Option<Instant>,
    /// Since when whole segments wait with none under way, or left out.
    waiting: Option<Instant>,
    /// When the first part was stored meanwhile, and how many were.
    meanwhile: Option<(Instant, u32)>,
    look_at: Option<Instant>,
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
            usual: Mean::default(),
            busy_since: None,
            quiet_since: None,
            is_burst: false,
            last_part: None,
            waiting: None,
            meanwhile: None,
            look_at: None,
        }
    }

    /// Nothing is known of the uplink.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::new(self.part, self.segment)
    }

    /// A part is stored by an attempt that began then: what it waited before says nothing of the uplink.
    pub fn part_stored(&mut self, now: Instant, began: Instant) {
        let took = now.saturating_duration_since(began);
        self.usual.add(now, took);
        self.last_part = Some(now);
        if self.waiting.is_some() {
            self.meanwhile.get_or_insert((now, 0)).1 += 1;
        }
        let spacing = self.part / 2;
        // All at once: they were held up together, as in a pause of the network, and count as one.
        let is_lump = |mean: &Mean| mean.last.is_some_and(|last| now < last + spacing);
        if self.busy_since.is_some() {
            if !is_lump(&self.beside) {
                self.beside.add(now, took);
            }
        } else if self.quiet_since.is_none_or(|since| since <= began) && !is_lump(&self.clear) {
            self.clear.add(now, took);
        }
    }

    /// An attempt was cut off.
    pub fn part_timed_out(&mut self, now: Instant, took: Duration) {
        self.last_part = Some(now);
        self.usual.add(now, took);
    }

    /// `is_behind`: more parts wait than can be under way.
    pub fn assess(&mut self, now: Instant, wholes: Wholes, is_behind: bool) {
        let Wholes { oldest, stored, unsent } = wholes;
        match (self.busy_since, oldest) {
            (None, Some(began)) => (self.busy_since, self.beside) = (Some(began), Mean::default()),
            (Some(_), None) => (self.busy_since, self.quiet_since) = (None, Some(now)),
            _ => {}
        }
        let long = self.segment.mul_f64(LONG);
        let is_long = oldest.is_some_and(|began| now >= began + long);
        let is_in_the_way = is_long && self.are_parts_late();
        // What an outage kept back comes in a burst, for a while.
        self.is_burst = self.busy_since.is_some() && (self.is_burst || unsent > USUALLY_UNSENT);
        let is_burst = self.is_burst && self.busy_since.is_some_and(|since| now < since + BURST);
        self.waiting = (unsent > 0 && oldest.is_none()).then(|| self.waiting.unwrap_or(now));
        self.meanwhile = self.meanwhile.filter(|_| self.waiting.is_some());
        match self.state {
            State::Without { until } if now < until => {}
            State::Without { .. } => (self.state, self.let_in) = (State::Beside, Some(now)),
            _ if is_behind && self.is_starved(now) => {
                self.pause = self.pause_after(now);
                (self.waiting, self.meanwhile) = (None, None);
                self.state = State::Without { until: now + self.pause };
            }
            State::Beside if is_in_the_way && !is_burst => self.stay_alone(now, self.pause_after(now)),
            State::Trial { is_under_way: true, .. } if is_in_the_way => self.stay_alone(now, self.longer()),
            // There is no room for the parts themselves.
            State::Trial { is_under_way: false, .. } if is_behind => self.stay_alone(now, self.longer()),
            State::Trial { is_under_way: true, stored: before } if oldest.is_none() => {
                if stored > before {
                    (self.state, self.let_in) = (State::Beside, Some(now));
                } else {
                    // It failed for another reason.
                    self.state = State::Trial { is_under_way: false, stored };
                }
            }
            State::Trial { is_under_way, stored } => {
                self.state = State::Trial { is_under_way: is_under_way || oldest.is_some(), stored };
            }
            // What was begun before is to be over: it would be taken for the trial.
            State::Alone { until } if now >= self.alone_until(until) && oldest.is_none() && !is_behind => {
                self.state = State::Trial { is_under_way: false, stored };
            }
            State::Beside | State::Alone { .. } => {}
        }
        // Later than that each part that is stored is a reason to look again.
        self.look_at = match self.state {
            State::Alone { until } => Some(self.alone_until(until)),
            State::Without { until } => Some(until),
            State::Beside | State::Trial { .. } => oldest.map(|began| began + long),
        };
        self.look_at = self.look_at.filter(|at| *at > now);
    }

    fn alone_until(&self, until: Instant) -> Instant {
        self.last_part.map_or(until, |last| until.min(last + QUIET_SEGMENTS * self.segment))
    }

    fn stay_alone(&mut self, now: Instant, pause: Duration) {
        self.pause = pause;
        self.state = State::Alone { until: now + pause };
    }

    /// A segment went in its parts alone: these get through.
    pub fn left_out(&mut self) {
        (self.waiting, self.meanwhile) = (None, None);
    }

    /// The next whole segment may go. See [`Self::assess`], which comes first.
    pub fn may_go_whole(&self) -> bool {
        let is_trial = matches!(self.state, State::Trial { is_under_way: false, .. });
        is_trial || matches!(self.state, State::Beside | State::Without { .. })
    }

    /// Parts are not to be stored for now.
    pub fn is_without_parts(&self) -> bool {
        matches!(self.state, State::Without { .. })
    }

    /// What is under way is in the way.
    pub fn is_alone(&self) -> bool {
        matches!(self.state, State::Alone { .. })
    }

    /// There was no room for both when it was last tried.
    pub fn is_short(&self) -> bool {
        matches!(self.state, State::Alone { .. } | State::Trial { .. })
    }

    /// How long an attempt takes of late.
    pub fn usual(&self) -> Option<Duration> {
        self.usual.known().map(Duration::from_secs_f64)
    }

    /// When to assess again, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        self.look_at
    }

    fn is_starved(&self, now: Instant) -> bool {
        let is_long = |since: Instant| now >= since + STARVED_SEGMENTS * self.segment;
        match self.state {
            // Only while parts are stored: where nothing is, all is away.
            State::Beside => self.meanwhile.is_some_and(|(since, stored)| is_long(since) && stored >= LEAST),
            // They would be given up, as their parts are.
            _ => self.waiting.is_some_and(is_long),
        }
    }

    /// Both went beside each other until now.
    fn pause_after(&self, now: Instant) -> Duration {
        let is_soon = self.let_in.is_some_and(|at| now < at + MOST_PAUSE);
        if is_soon { self.longer() } else { FIRST_PAUSE }
    }

    fn longer(&self) -> Duration {
        (2 * self.pause).min(MOST_PAUSE)
    }

    /// Only what is stored counts: where nothing is, all is away.
    fn are_parts_late(&self) -> bool {
        let unknown = f64::from(LATE_PARTS) * self.part.as_secs_f64();
        let most = self.clear.known().map_or(unknown, |clear| clear * LATE);
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
        stored: u64,
        /// The store refuses whole segments; there is no room for parts alone.
        refuses: bool,
        is_behind: bool,
        /// By an outage.
        kept_back: usize,
    }

    impl Script {
        fn new(clear_ms: u32, beside_ms: u32, whole_ms: u32) -> Self {
            let [clear, beside, whole] = [clear_ms, beside_ms, whole_ms].map(|ms| ms * MS);
            let precedence = Precedence::new(200 * MS, SEGMENT);
            let (under_way, now) = (Vec::new(), start());
            let (went, stored, refuses, is_behind) = (0, 0, false, false);
            let kept_back = 0;
            Self {
                precedence,
                now,
                clear,
                beside,
                whole,
                under_way,
                went,
                stored,
                refuses,
                is_behind,
                kept_back,
            }
        }

        /// So many parts took that long with nothing beside them.
        fn before(&mut self, parts: u32) {
            for _ in 0..parts {
                self.now += 200 * MS;
                self.precedence.part_stored(self.now, self.now - self.clear);
            }
        }

        fn assess(&mut self) {
            if self.precedence.is_alone() {
                // They are dropped.
                self.under_way.clear();
            }
            let unsent = self.under_way.len() + self.kept_back;
            let wholes = Wholes { oldest: self.under_way.first().copied(), stored: self.stored, unsent };
            self.precedence.assess(self.now, wholes, self.is_behind);
        }

        /// A segment and its parts, in steps of 100 ms.
        fn second(&mut self) {
            self.assess();
            if self.precedence.may_go_whole() && !self.is_behind {
                self.under_way.push(self.now);
                self.went += 1;
                self.assess();
            }
            for step in 0..10 {
                self.now += 100 * MS;
                let took = if self.under_way.is_empty() { self.clear } else { self.beside };
                let before = self.under_way.len();
                self.under_way.retain(|began| *began + self.whole > self.now);
                if !self.refuses {
                    self.stored += (before - self.under_way.len()) as u64;
                }
                if step % 2 == 1 && self.now >= start() + took {
                    self.precedence.part_stored(self.now, self.now - took);
                }
                self.assess();
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
        s.before(4);
        assert_eq!(s.seconds(60), 60);
        // Where there was no time for that, the first trial tells.
        let mut s = Script::new(1_200, 1_200, 1_200);
        assert!(s.seconds(60) >= 28 && !s.precedence.is_short());
    }

    #[test]
    fn a_pause_of_the_network_is_none_either() {
        let mut s = Script::new(60, 60, 1_500);
        s.before(4);
        s.precedence.assess(s.now, Wholes { oldest: Some(s.now), ..Wholes::default() }, false);
        let began = s.now;
        s.now += 1_500 * MS;
        for part in 0..6 {
            s.precedence.part_stored(s.now + part * MS, began + part * 200 * MS);
        }
        s.precedence.assess(s.now, Wholes { oldest: Some(began), ..Wholes::default() }, false);
        assert!(!s.precedence.is_short());
    }

    #[test]
    fn segments_that_make_parts_late_are_left_out_and_tried_ever_more_rarely() {
        let mut s = Script::new(150, 500, 2_000);
        s.before(4);
        assert_eq!(s.seconds(5), 1, "the first one shows it");
        assert!(s.precedence.is_alone() && s.under_way.is_empty());
        assert_eq!(s.seconds(24), 0);
        assert_eq!(s.seconds(10), 1, "a trial");
        assert_eq!(s.seconds(50), 0, "the next one later");
        assert_eq!(s.seconds(3_600), 8, "after 60 s, 2, 4, 8 and then each 10 minutes");
    }

    #[test]
    fn with_room_again_all_go_again() {
        let mut s = Script::new(150, 500, 2_000);
        s.before(4);
        s.seconds(20);
        assert!(s.precedence.is_alone());
        (s.beside, s.whole) = (160 * MS, 200 * MS);
        assert_eq!(s.seconds(10), 0, "nobody knows yet");
        assert!(s.seconds(40) >= 25 && !s.precedence.is_short());
        // It comes and goes: tried more rarely.
        (s.beside, s.whole) = (500 * MS, 2_000 * MS);
        assert_eq!(s.seconds(40), 1);
        assert_eq!(s.seconds(30), 1, "after a minute");
    }

    #[test]
    fn what_an_outage_kept_back_may_be_in_the_way_for_a_while() {
        let mut s = Script::new(150, 500, 1_500);
        s.before(4);
        s.kept_back = 5;
        assert_eq!(s.seconds(10), 10, "it comes in a burst");
        (s.beside, s.whole, s.kept_back) = (160 * MS, 300 * MS, 0);
        assert_eq!(s.seconds(30), 30);
        (s.beside, s.whole, s.kept_back) = (500 * MS, 1_500 * MS, 5);
        s.seconds(30);
        assert!(s.precedence.is_short(), "it does not end");
    }

    #[test]
    fn a_trial_that_nobody_could_judge_is_none() {
        let mut s = Script::new(150, 500, 2_000);
        s.before(4);
        s.seconds(10);
        (s.whole, s.refuses) = (50 * MS, true);
        assert!(s.seconds(60) > 5, "refused at once, and tried again");
        assert!(s.precedence.is_short());
        s.refuses = false;
        s.seconds(3);
        assert!(!s.precedence.is_short());
    }

    #[test]
    fn where_parts_alone_are_too_much_no_trial_waits_for_ever() {
        let mut s = Script::new(150, 500, 2_000);
        s.before(4);
        s.seconds(10);
        s.is_behind = true;
        assert_eq!(s.seconds(600), 0);
        let often = (0..600).filter(|_| {
            s.second();
            s.precedence.is_alone()
        });
        assert!(often.count() > 590, "what waits is left out");
        s.is_behind = false;
        (s.beside, s.whole) = (160 * MS, 200 * MS);
        s.seconds(620);
        assert!(!s.precedence.is_short());
    }

    #[test]
    fn where_no_part_comes_any_more_there_is_room() {
        let mut s = Script::new(150, 500, 2_000);
        s.before(4);
        s.seconds(10);
        assert!(s.precedence.is_alone());
        let last = s.precedence.last_part.unwrap();
        assert_eq!(s.precedence.deadline(), Some(last + 3 * SEGMENT));
        s.now = last + 3 * SEGMENT;
        s.assess();
        assert!(s.precedence.may_go_whole() && s.precedence.deadline().is_none());
    }

    #[test]
    fn where_nothing_is_stored_it_is_no_matter_of_precedence() {
        let mut s = Script::new(150, 60_000, 60_000);
        assert_eq!(s.seconds(5), 5);
        assert_eq!(s.precedence.usual(), None);
    }

    #[test]
    fn parts_that_do_not_get_through_make_way() {
        let mut s = Script::new(150, 150, 300);
        (s.is_behind, s.kept_back) = (true, 1);
        s.seconds(3);
        assert!(!s.precedence.is_without_parts(), "it may pass");
        s.seconds(2);
        assert!(s.precedence.is_without_parts() && s.precedence.may_go_whole() && !s.precedence.is_short());
        s.is_behind = false;
        assert!(s.seconds(20) >= 19 && s.precedence.is_without_parts());
        assert!(s.seconds(20) >= 19 && !s.precedence.is_without_parts(), "they are tried again");
        s.is_behind = true;
        s.seconds(6);
        assert!(s.precedence.is_without_parts());
        s.is_behind = false;
        s.seconds(50);
        assert!(s.precedence.is_without_parts(), "after twice as long");
    }

    /// Each waits for the last of its parts, and the next one is there by then.
    #[test]
    fn segments_that_go_in_parts_alone_starve_nobody() {
        let mut s = Script::new(150, 150, 300);
        (s.is_behind, s.kept_back) = (true, 1);
        for _ in 0..20 {
            s.second();
            s.precedence.left_out();
        }
        assert!(!s.precedence.is_without_parts());
    }

    /// As in an outage, and in the moment after it.
    #[test]
    fn where_no_part_is_stored_they_make_no_way() {
        let mut s = Script::new(60_000, 60_000, 300);
        (s.is_behind, s.kept_back) = (true, 5);
        s.seconds(10);
        for _ in 0..10 {
            s.precedence.part_stored(s.now, s.now - 150 * MS);
        }
        s.assess();
        assert!(!s.precedence.is_without_parts());
    }

    #[test]
    fn attempts_that_are_cut_off_get_more_time() {
        let mut s = Script::new(150, 500, 2_000);
        (0..3).for_each(|_| s.precedence.part_timed_out(s.now, 1_200 * MS));
        assert_eq!(s.precedence.usual(), Some(1_200 * MS));
    }
}
