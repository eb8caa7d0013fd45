//! What the uplink carries, and how long an upload may therefore take.
//!
//! An upload that did not end in its time goes over a slow uplink, or hangs: how much of it has arrived can't be
//! known, as a whole segment fits into the kernel's socket buffer. To drop one that is slow is a waste: what the
//! kernel holds of it goes on, and then all of it once more. To wait for one that hangs is a waste, too. So at its
//! limit a small question is asked beside it. An answer says "slow", and it gets twice the time; no answer says
//! "hung", and it is dropped. Its connection alone may be dead: then another upload, one that begins beside it for
//! that purpose if need be, overtakes it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::uploads::Ticket;

/// Times that an upload may take of what it takes at the measured rate.
const HEADROOM: f64 = 2.0;
/// The longest limit, in segments: also three at once get through an uplink of a twentieth of the bitrate.
const LONGEST_SEGMENTS: u32 = 90;
const LONGEST: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(300));
/// Of so many questions without an answer the last counts as answered: a queue in a modem may hold 10 s of bytes.
const UNANSWERED: u32 = 3;
/// Of an average, what stays with each new value.
const KEPT_CARRIES: f64 = 0.6;
const KEPT_NEEDS: f64 = 0.9;
const SIDE_BY_SIDE: u32 = 3;
/// Less than that is the noise of measuring.
const SHORT: f64 = 0.97;
/// A shortage lasts at least this long after the last segment that was given up, in segments or time.
const LOSS_COUNTS: (u32, Duration) = (60, Duration::from_secs(120));

/// The uplink carries less than the stream needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    pub needs_kbps: u32,
    pub carries_kbps: u32,
}

impl Shortage {
    /// How much of what is needed is missing.
    pub fn short_percent(self) -> u32 {
        let missing = u64::from(self.needs_kbps.saturating_sub(self.carries_kbps));
        u32::try_from(100 * missing / u64::from(self.needs_kbps.max(1))).unwrap_or(100)
    }
}

/// Bytes over seconds, the newer ones counting more.
#[derive(Debug, Clone, Copy, Default)]
struct Average {
    bytes: f64,
    seconds: f64,
}

impl Average {
    fn add(&mut self, kept: f64, newer: Self) {
        self.bytes = kept * self.bytes + newer.bytes;
        self.seconds = kept * self.seconds + newer.seconds;
    }

    fn of(bytes: u64, time: Duration) -> Self {
        Self { bytes: bytes as f64, seconds: time.as_secs_f64() }
    }

    /// Bytes per second; `None`: nothing was measured.
    fn rate(self) -> Option<f64> {
        (self.seconds > 0.0 && self.bytes > 0.0).then(|| self.bytes / self.seconds)
    }
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    since: Instant,
    bytes: u64,
    limit: Duration,
    /// When its first limit passes.
    due: Instant,
    state: State,
    /// No other one failed meanwhile: it can be measured.
    clean: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InTime,
    /// Its limit has passed, and the question's answer is awaited.
    Overdue,
    /// To be dropped.
    Doomed,
    /// Its caller was told to drop it.
    Dropped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    None,
    Wanted,
    Asked,
}

#[derive(Debug)]
pub struct Uplink {
    /// An upload's limit while all is well.
    floor: Duration,
    longest: Duration,
    segment_duration: Duration,
    needs: Average,
    carries: Average,
    /// `carries` is good for a limit, but no measurement: the next one takes its place.
    is_rough: bool,
    /// An upload ran out of its time since the last one was stored: what the kernel still holds of it goes on and
    /// shares the uplink.
    leftovers: bool,
    /// Yet to be counted in `carries`, and how many uploads it is.
    sample: Average,
    sampled: u32,
    attempts: HashMap<Ticket, Attempt>,
    /// Since when something has been under way without one stored.
    busy_since: Option<Instant>,
    unanswered: u32,
    /// The last question had no answer.
    hung: bool,
    /// An upload was dropped since the last one was stored: what was measured before says nothing.
    suspicious: bool,
    /// One went beside those that are overdue, to overtake them.
    hedged: bool,
    question: Question,
    /// When the last upload began that took no longer than a segment.
    last_quick: Option<Instant>,
    /// When the youngest upload began that was stored.
    last_began: Option<Instant>,
    last_loss: Option<Instant>,
    shortage: Option<Shortage>,
}

impl Uplink {
    pub fn new(floor: Duration, segment_duration: Duration) -> Self {
        Self {
            floor,
            longest: longest(floor, segment_duration),
            segment_duration,
            needs: Average::default(),
            carries: Average::default(),
            is_rough: false,
            leftovers: false,
            sample: Average::default(),
            sampled: 0,
            attempts: HashMap::new(),
            busy_since: None,
            unanswered: 0,
            hung: false,
            suspicious: false,
            hedged: false,
            last_began: None,
            question: Question::None,
            last_quick: None,
            last_loss: None,
            shortage: None,
        }
    }

    pub fn longest(&self) -> Duration {
        self.longest
    }

    pub fn produced(&mut self, now: Instant, bytes: u64, duration: Duration) {
        self.needs.add(KEPT_NEEDS, Average::of(bytes, duration));
        self.assess(now);
    }

    /// An upload starts, where `at_once` may go at once. See [`Self::deadline`].
    pub fn started(&mut self, now: Instant, ticket: Ticket, bytes: u64, at_once: usize) {
        let limit = self.in_time(bytes * at_once as u64).unwrap_or(self.floor);
        self.busy_since.get_or_insert(now);
        self.hedged |= self.may_hedge(now);
        let (state, due) = (State::InTime, now + limit);
        self.attempts.insert(ticket, Attempt { since: now, bytes, limit, due, state, clean: true });
    }

    /// How long so much may take by what was measured; `None`: nothing was that still holds.
    fn in_time(&self, bytes: u64) -> Option<Duration> {
        let rate = self.carries.rate().filter(|_| !self.suspicious)?;
        let wanted = Duration::try_from_secs_f64(HEADROOM * bytes as f64 / rate).unwrap_or(self.longest);
        Some(wanted.clamp(self.floor, self.longest))
    }

    /// One more upload may begin beside those that are overdue: where uploads used to be quicker.
    pub fn may_hedge(&self, now: Instant) -> bool {
        let is_known = !self.is_rough && self.carries.rate().is_some();
        is_known && !self.hedged && self.attempts.values().any(|attempt| now > attempt.due)
    }

    pub fn stored(&mut self, now: Instant, ticket: Ticket) {
        let Some(attempt) = self.attempts.remove(&ticket) else { return };
        if attempt.clean
            && let Some(since) = self.busy_since
        {
            self.sample.add(1.0, Average::of(attempt.bytes, now.saturating_duration_since(since)));
            self.sampled += 1;
        }
        // Those that went side by side count as one: the last of them took no time of its own.
        if self.sampled > 0 && (self.attempts.is_empty() || self.sampled >= SIDE_BY_SIDE) {
            let kept = if std::mem::replace(&mut self.is_rough, self.leftovers) { 0.0 } else { KEPT_CARRIES };
            self.carries.add(kept, self.sample);
            (self.sample, self.sampled) = (Average::default(), 0);
            self.leftovers = false;
        }
        self.measure_from(now);
        (self.suspicious, self.hedged, self.unanswered) = (false, false, 0);
        self.last_began = self.last_began.max(Some(attempt.since));
        if now.saturating_duration_since(attempt.since) <= self.segment_duration {
            self.last_quick = self.last_quick.max(Some(attempt.since));
        }
        self.assess(now);
    }

    fn measure_from(&mut self, now: Instant) {
        self.busy_since = (!self.attempts.is_empty()).then_some(now);
    }

    pub fn failed(&mut self, now: Instant, ticket: Ticket) {
        if self.attempts.remove(&ticket).is_none() {
            return;
        }
        // How much of it arrived is unknown, and what went beside it had the uplink for itself only in part.
        self.attempts.values_mut().for_each(|other| other.clean = false);
        (self.sample, self.sampled) = (Average::default(), 0);
        self.measure_from(now);
    }

    /// The next upload that should be dropped: it fails then.
    pub fn drop_next(&mut self, now: Instant) -> Option<Ticket> {
        self.judge(now);
        let (ticket, doomed) =
            self.attempts.iter_mut().find(|(_, attempt)| attempt.state == State::Doomed)?;
        doomed.state = State::Dropped;
        Some(*ticket)
    }

    /// Looks at those whose limit has passed.
    fn judge(&mut self, now: Instant) {
        let under_way: u64 = self.attempts.values().map(|attempt| attempt.bytes).sum();
        let most = self.in_time(under_way).filter(|_| !self.is_rough).map(|in_time| 2 * in_time);
        let most = most.unwrap_or(self.longest).min(self.longest);
        let mut too_slow = false;
        for attempt in self.attempts.values_mut().filter(|attempt| attempt.state == State::InTime) {
            let late = now >= attempt.since + attempt.limit;
            let is_dead = self.last_began.is_some_and(|at| at >= attempt.due)
                || late && self.last_quick.is_some_and(|at| at >= attempt.since);
            if is_dead {
                attempt.state = State::Doomed;
            } else if late && attempt.limit >= most {
                attempt.state = State::Doomed;
                too_slow = true;
            } else if late {
                attempt.state = State::Overdue;
                if self.question == Question::None {
                    self.question = Question::Wanted;
                }
            }
        }
        if too_slow {
            (self.leftovers, self.suspicious) = (true, true);
            self.at_most(under_way as f64 / most.as_secs_f64());
        }
    }

    /// What was to be measured did not end: there is a bound only.
    fn at_most(&mut self, rate: f64) {
        if self.carries.rate().is_none_or(|measured| measured > rate) {
            self.carries = Average { bytes: rate, seconds: 1.0 };
            self.is_rough = true;
        }
    }

    /// A small question should be asked now; the answer is [`Self::answered`].
    pub fn ask(&mut self) -> bool {
        let wanted = self.question == Question::Wanted;
        if wanted {
            self.question = Question::Asked;
        }
        wanted
    }

    /// `true`: the store answered. Returns the uploads that are slow rather than hung.
    pub fn answered(&mut self, answered: bool) -> Vec<Ticket> {
        self.question = Question::None;
        self.unanswered = if answered { 0 } else { self.unanswered + 1 };
        // The hang is over: what went beside others in it may be dead as they are.
        self.hedged &= !(answered && self.hung);
        self.hung = !answered;
        let is_slow = answered || self.unanswered >= UNANSWERED;
        if is_slow {
            self.unanswered = 0;
        }
        let mut slow = Vec::new();
        for (ticket, attempt) in &mut self.attempts {
            match attempt.state {
                State::Overdue if is_slow => {
                    attempt.state = State::InTime;
                    attempt.limit = (2 * attempt.limit).min(self.longest);
                    slow.push(*ticket);
                }
                State::Overdue => {
                    attempt.state = State::Doomed;
                    (self.leftovers, self.suspicious) = (true, true);
                }
                State::InTime | State::Doomed | State::Dropped => {}
            }
        }
        slow
    }

    /// A segment was given up for a newer one.
    pub fn given_up(&mut self, now: Instant) {
        self.last_loss = Some(now);
        self.assess(now);
    }

    pub fn shortage(&self) -> Option<Shortage> {
        self.shortage
    }

    /// Looks whether a shortage is over.
    pub fn assess(&mut self, now: Instant) {
        let lossy = self.loss_counts_until().is_some_and(|until| now < until);
        let carries = self.carries.rate().filter(|_| !self.is_rough);
        let rates = self.needs.rate().zip(carries);
        self.shortage = rates
            .filter(|(needs, carries)| lossy && *carries < SHORT * needs)
            .map(|(needs, carries)| Shortage { needs_kbps: kbps(needs), carries_kbps: kbps(carries) });
    }

    fn loss_counts_until(&self) -> Option<Instant> {
        let (segments, time) = LOSS_COUNTS;
        Some(self.last_loss? + time.max(segments * self.segment_duration))
    }

    /// When something changes by itself: a limit passes, a shortage is over.
    pub fn deadline(&self) -> Option<Instant> {
        let in_time = self.attempts.values().filter(|attempt| attempt.state == State::InTime);
        let limit = in_time.map(|attempt| attempt.since + attempt.limit).min();
        let over = self.shortage.and_then(|_| self.loss_counts_until());
        limit.into_iter().chain(over).min()
    }
}

/// No upload gets more time than this. A store's own limit must be no shorter.
pub fn longest(floor: Duration, segment_duration: Duration) -> Duration {
    (LONGEST_SEGMENTS * segment_duration).clamp(LONGEST.0, LONGEST.1).max(floor)
}

fn kbps(bytes_per_s: f64) -> u32 {
    (bytes_per_s * 8.0 / 1000.0).round() as u32
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_time::start;

    const S: Duration = Duration::from_secs(1);
    const BYTES: u64 = 100_000;

    struct Scene {
        uplink: Uplink,
        now: Instant,
        tickets: u64,
    }

    impl Scene {
        fn new() -> Self {
            Self { uplink: Uplink::new(10 * S, 2 * S), now: start(), tickets: 0 }
        }

        fn start(&mut self) -> Ticket {
            self.tickets += 1;
            self.uplink.started(self.now, Ticket(self.tickets), BYTES, 1);
            Ticket(self.tickets)
        }

        fn upload(&mut self, took: Duration) {
            let ticket = self.start();
            self.now += took;
            self.uplink.stored(self.now, ticket);
        }

        /// When each question comes and when it is dropped, in seconds, while nothing is stored.
        fn hang(&mut self, answered: bool) -> Vec<u64> {
            let (ticket, since) = (self.start(), self.now);
            let mut times = Vec::new();
            while let Some(at) = self.uplink.deadline() {
                self.now = at;
                times.push((at - since).as_secs());
                if self.uplink.drop_next(at).is_none() {
                    assert!(self.uplink.ask() && !self.uplink.ask());
                    self.uplink.answered(answered);
                }
                if self.uplink.drop_next(at).is_some() || self.uplink.deadline().is_none() {
                    break;
                }
            }
            self.uplink.failed(self.now, ticket);
            times
        }
    }

    #[test]
    fn a_slow_upload_goes_on_while_the_store_answers() {
        assert_eq!(Scene::new().hang(true), [10, 20, 40, 80, 160, 180], "nothing is known of the uplink");
        let mut scene = Scene::new();
        (0..3).for_each(|_| scene.upload(20 * S));
        assert_eq!(scene.hang(true), [40, 80], "twice what it took, and twice that");
        (0..10).for_each(|_| scene.upload(S));
        assert_eq!(scene.hang(true)[0], 10, "it is fast again");
    }

    #[test]
    fn a_hung_one_is_dropped_at_its_limit_unless_no_question_is_ever_answered() {
        let mut scene = Scene::new();
        (0..3).for_each(|_| scene.upload(20 * S));
        assert_eq!(scene.hang(false), [40]);
        assert_eq!(scene.hang(false), [10], "what was measured does not count now");
        assert_eq!(scene.hang(false)[..2], [10, 20], "perhaps the questions are late");
        scene.upload(20 * S);
        scene.upload(20 * S);
        assert_eq!(scene.hang(true)[0], 40);
    }

    #[test]
    fn while_others_are_quick_one_connection_was_dead() {
        let mut scene = Scene::new();
        let dead = scene.start();
        for _ in 0..10 {
            scene.upload(S);
        }
        assert_eq!(scene.uplink.drop_next(scene.now), Some(dead));
        assert!(!scene.uplink.ask() && scene.uplink.drop_next(scene.now).is_none());
    }

    #[test]
    fn one_goes_beside_a_late_one_and_overtakes_it_if_it_is_dead() {
        let mut scene = Scene::new();
        assert!(!scene.uplink.may_hedge(scene.now));
        (0..3).for_each(|_| scene.upload(S));
        let dead = scene.start();
        scene.now += 10 * S;
        assert!(scene.uplink.drop_next(scene.now).is_none() && scene.uplink.ask());
        assert_eq!(scene.uplink.answered(true), [dead]);
        scene.now += S;
        assert!(scene.uplink.may_hedge(scene.now));
        let beside = scene.start();
        assert!(!scene.uplink.may_hedge(scene.now), "one");
        scene.now += S;
        scene.uplink.stored(scene.now, beside);
        assert_eq!(scene.uplink.drop_next(scene.now), Some(dead));
    }

    #[test]
    fn a_shortage_is_told_with_true_numbers_until_it_is_over() {
        let mut scene = Scene::new();
        for _ in 0..10 {
            scene.uplink.produced(scene.now, BYTES, 2 * S);
            scene.upload(8 * S);
        }
        assert_eq!(scene.uplink.shortage(), None, "nothing was lost yet");
        scene.uplink.given_up(scene.now);
        let shortage = Shortage { needs_kbps: 400, carries_kbps: 100 };
        assert_eq!((scene.uplink.shortage(), shortage.short_percent()), (Some(shortage), 75));
        scene.uplink.assess(scene.uplink.deadline().unwrap());
        assert_eq!((scene.uplink.shortage(), scene.uplink.deadline()), (None, None));
        scene.uplink.given_up(scene.now);
        assert!(scene.uplink.shortage().is_some());
        (0..8).for_each(|_| scene.upload(S));
        assert_eq!(scene.uplink.shortage(), None, "the uplink is fast again");
    }

    #[test]
    fn an_outage_is_no_shortage() {
        let mut scene = Scene::new();
        scene.uplink.produced(scene.now, BYTES, 2 * S);
        scene.upload(S / 2);
        scene.hang(false);
        scene.uplink.given_up(scene.now);
        assert_eq!(scene.uplink.shortage(), None);
    }

    #[test]
    fn uploads_side_by_side_are_measured_together() {
        let mut scene = Scene::new();
        scene.uplink.produced(scene.now, BYTES, S);
        for _ in 0..20 {
            let [a, b] = [scene.start(), scene.start()];
            scene.now += 4 * S;
            scene.uplink.stored(scene.now, a);
            scene.uplink.stored(scene.now, b);
        }
        scene.uplink.given_up(scene.now);
        assert_eq!(scene.uplink.shortage().unwrap().carries_kbps, 400);
    }
}
