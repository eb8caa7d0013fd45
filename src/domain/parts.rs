//! Parts on their way to the store: each at once, several under way, and given up when they are too old to be of use.
//!
//! A player at the live edge asks for the next part by its name, so a part is worth most in its first second. One that
//! fails is tried again quickly, on its own: in the meantime others go on. Where the oldest that waits is given up, those
//! behind it in its segment go with it, as nobody can decode them without it: the next segment's first part is the live
//! edge. What is lost here is in the whole segment all the same.

mod standing;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::dice::Dice;
use super::gate::{Failure, Gate};
use super::key::ObjectKey;
use super::precedence::{Precedence, Wholes};
use super::segment::Part;
use super::uploads::Ticket;

pub use standing::Standing;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartLimits {
    /// How long a part lasts, as planned.
    pub duration: Duration,
    /// Uploads under way at once.
    pub in_flight: usize,
    /// After so long it is given up.
    pub life: Duration,
    /// How long a call may take.
    pub attempt: Duration,
}

/// A store that takes so long for each still keeps up.
const KEEPS_UP: Duration = Duration::from_millis(1_200);
const AT_ONCE: RangeInclusive<usize> = 6..=24;
/// Behind that players have gone on with the whole segment.
const LIFE: Duration = Duration::from_secs(3);
/// Far more than a store needs that is well, and time for a second one.
const ATTEMPT: Duration = Duration::from_millis(1_200);
/// The same of what a part takes of late.
const ATTEMPT_OF_USUAL: u32 = 3;

impl PartLimits {
    pub fn usual(duration: Duration) -> Self {
        let in_flight = KEEPS_UP.as_millis().div_ceil(duration.as_millis().max(1)) as usize;
        let in_flight = in_flight.clamp(*AT_ONCE.start(), *AT_ONCE.end());
        Self { duration, in_flight, life: LIFE, attempt: ATTEMPT }
    }
}

/// An upload that starts.
#[derive(Debug, Clone, PartialEq)]
pub struct StartPart {
    pub ticket: Ticket,
    pub key: ObjectKey,
    pub bytes: Bytes,
    /// How long it may take.
    pub limit: Duration,
}

#[derive(Debug)]
struct Held {
    key: ObjectKey,
    number: u64,
    duration: Duration,
    independent: bool,
    born: Instant,
    tries: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Not before, if it has failed.
    Waiting(Bytes, Option<Instant>),
    InFlight(Bytes, Ticket, Instant),
    Stored,
    Lost,
}

/// The parts of one segment.
#[derive(Debug)]
struct Group {
    segment: ObjectKey,
    parts: Vec<Held>,
}

/// So many failures in a row are an outage: then one goes at a time, and not at once.
const OUTAGE: u32 = 3;
/// Between two of these.
const MOST_PAUSE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MOST_OWN_PAUSE: Duration = Duration::from_millis(400);

#[derive(Debug)]
pub struct Parts {
    limits: PartLimits,
    /// More than can be listed, or on their way.
    most_groups: usize,
    groups: VecDeque<Group>,
    next_ticket: u64,
    failures: u32,
    gate: Gate,
    precedence: Precedence,
    /// Nothing names them any more, or ever will.
    gone: Vec<ObjectKey>,
    stored: u64,
    given_up: u64,
    bytes: u64,
}

impl Parts {
    /// `segment`: how long one lasts, as planned.
    pub fn new(limits: PartLimits, segment: Duration, most_groups: usize, dice: Dice) -> Self {
        Self {
            limits,
            most_groups,
            groups: VecDeque::new(),
            next_ticket: 0,
            failures: 0,
            gate: Gate::new(MOST_PAUSE, dice),
            precedence: Precedence::new(limits.duration, segment),
            gone: Vec::new(),
            stored: 0,
            given_up: 0,
            bytes: 0,
        }
    }

    pub fn limits(&self) -> &PartLimits {
        &self.limits
    }

    /// Of whole segments.
    pub fn precedence(&self) -> &Precedence {
        &self.precedence
    }

    /// See [`Precedence::assess`].
    pub fn assess(&mut self, now: Instant, wholes: Wholes) {
        self.precedence.assess(now, wholes, self.is_behind());
        if self.precedence.is_without_parts() {
            self.give_up_waiting(|_| true);
        }
    }

    /// See [`Gate::reopen`].
    pub fn reopen(&mut self) {
        self.gate.reopen();
    }

    /// `segment`: that it is of. Of those that are listed nothing goes, however many never will be.
    pub fn push(
        &mut self,
        now: Instant,
        (segment, key): (ObjectKey, ObjectKey),
        part: Part,
        is_listed: impl Fn(&ObjectKey) -> bool,
    ) {
        let Part { number, duration, independent, bytes, .. } = part;
        let state = State::Waiting(bytes, None);
        let held = Held { key, number, duration, independent, born: now, tries: 0, state };
        match self.groups.back_mut().filter(|group| group.segment == segment) {
            Some(group) => group.parts.push(held),
            None => self.groups.push_back(Group { segment, parts: vec![held] }),
        }
        while self.groups.len() > self.most_groups
            && let Some(oldest) = self.take_oldest_but(&is_listed)
        {
            self.gone.extend(oldest.parts.into_iter().filter_map(Held::may_exist));
        }
        let is_without = self.precedence.is_without_parts();
        self.give_up_waiting(|_| is_without);
        self.expire(now);
    }

    fn take_oldest_but(&mut self, is_listed: impl Fn(&ObjectKey) -> bool) -> Option<Group> {
        let older = self.groups.iter().take(self.groups.len().saturating_sub(1));
        let at = older.map(|group| &group.segment).position(|segment| !is_listed(segment))?;
        self.groups.remove(at)
    }

    /// The next upload, if one may start now: the oldest first.
    pub fn start(&mut self, now: Instant) -> Option<StartPart> {
        self.expire(now);
        if self.is_full() || !self.gate.is_open(now) {
            return None;
        }
        let ticket = Ticket(self.next_ticket + 1);
        let held = self.held_mut().find(|held| held.is_ready(now))?;
        let State::Waiting(bytes, _) = std::mem::replace(&mut held.state, State::Lost) else { return None };
        held.state = State::InFlight(bytes.clone(), ticket, now);
        held.tries += 1;
        let (key, born) = (held.key.clone(), held.born);
        self.next_ticket = ticket.0;
        let left = (born + self.limits.life).saturating_duration_since(now);
        // Where all take long, to cut one off and send it again would make all longer.
        let usual = self.precedence.usual().unwrap_or_default();
        let attempt = self.limits.attempt.max(ATTEMPT_OF_USUAL * usual);
        Some(StartPart { ticket, key, bytes, limit: left.min(attempt).max(FIRST_PAUSE) })
    }

    pub fn stored(&mut self, now: Instant, ticket: Ticket) {
        (self.failures, self.stored) = (0, self.stored + 1);
        self.gate.succeeded();
        let (mut bytes_stored, mut began) = (0, None);
        if let Some(held) = self.held_mut().find(|held| held.is_in_flight(ticket))
            && let State::InFlight(bytes, _, at) = std::mem::replace(&mut held.state, State::Stored)
        {
            (bytes_stored, began) = (bytes.len() as u64, Some(at));
        }
        began.into_iter().for_each(|began| self.precedence.part_stored(now, began));
        self.bytes += bytes_stored;
    }

    pub fn failed(&mut self, now: Instant, ticket: Ticket, failure: Failure) {
        self.failures = self.failures.saturating_add(1);
        let is_told = matches!(failure, Failure::Rare | Failure::Retry { after: Some(_) });
        if failure != Failure::Never && (is_told || self.failures >= OUTAGE) {
            self.gate.failed(now, failure);
        }
        let (mut lost, mut began) = (None, None);
        if let Some(held) = self.held_mut().find(|held| held.is_in_flight(ticket))
            && let State::InFlight(bytes, _, at) = std::mem::replace(&mut held.state, State::Lost)
        {
            began = Some(at);
            if failure == Failure::Never {
                lost = Some(held.key.clone());
            } else {
                let pause = FIRST_PAUSE * (1 << (held.tries.clamp(1, 8) - 1));
                held.state = State::Waiting(bytes, Some(now + pause.min(MOST_OWN_PAUSE)));
            }
        }
        let took = began.map(|began| now.saturating_duration_since(began));
        if let Some(took) = took.filter(|took| *took >= self.limits.attempt) {
            self.precedence.part_timed_out(now, took);
        }
        self.given_up += u64::from(lost.is_some());
        self.gone.extend(lost);
        self.expire(now);
    }

    /// Gives up what waits for too long, and what nobody could decode without it.
    pub fn expire(&mut self, now: Instant) {
        let life = self.limits.life;
        self.give_up_waiting(|held| held.born + life <= now);
    }

    /// Where one goes, those behind it in its segment go, too.
    fn give_up_waiting(&mut self, is_over: impl Fn(&Held) -> bool) {
        for group in &mut self.groups {
            let mut is_broken = false;
            for held in &mut group.parts {
                let State::Waiting(..) = held.state else { continue };
                is_broken |= is_over(held);
                if is_broken {
                    held.state = State::Lost;
                    self.given_up += 1;
                    // It may have landed without an answer, or may still.
                    self.gone.extend((held.tries > 0).then(|| held.key.clone()));
                }
            }
        }
    }

    /// Objects that may exist and that nothing will name: to be deleted, but not at once.
    pub fn take_gone(&mut self) -> Vec<ObjectKey> {
        std::mem::take(&mut self.gone)
    }

    /// None of the segment's parts waits for an answer, or for its turn.
    pub fn are_settled(&self, segment: &ObjectKey) -> bool {
        self.group(segment).is_none_or(|group| !group.parts.iter().any(Held::is_pending))
    }

    /// The segment goes without its whole, and has another name from now on.
    pub fn left_out(&mut self, from: &ObjectKey, to: &ObjectKey) {
        self.precedence.left_out();
        let group = self.groups.iter_mut().find(|group| group.segment == *from);
        group.into_iter().for_each(|group| group.segment = to.clone());
    }

    /// The segment is not listed any more, or never will be: the objects that may exist of it.
    pub fn forget(&mut self, segment: &ObjectKey) -> Vec<ObjectKey> {
        let at = self.groups.iter().position(|group| group.segment == *segment);
        let group = at.and_then(|at| self.groups.remove(at));
        group.into_iter().flat_map(|group| group.parts).filter_map(Held::may_exist).collect()
    }

    /// As [`Self::forget`], of all segments but these.
    pub fn forget_all_but(&mut self, is_kept: impl Fn(&ObjectKey) -> bool) -> Vec<ObjectKey> {
        let (kept, others) =
            std::mem::take(&mut self.groups).into_iter().partition(|group| is_kept(&group.segment));
        self.groups = kept;
        let others: VecDeque<Group> = others;
        others.into_iter().flat_map(|group| group.parts).filter_map(Held::may_exist).collect()
    }

    /// Leaves all to a sweep.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.gone.clear();
        self.precedence = self.precedence.anew();
    }

    pub fn contains(&self, key: &ObjectKey) -> bool {
        self.held().any(|held| held.key == *key)
    }

    /// A part waits because too many are under way: they share the uplink with the segments.
    pub fn is_behind(&self) -> bool {
        self.is_full() && self.held().any(|held| matches!(held.state, State::Waiting(..)))
    }

    pub fn is_idle(&self) -> bool {
        !self.held().any(Held::is_pending)
    }

    /// When to call [`Self::start`] again; `may_start`: it may give something.
    pub fn deadline(&self, may_start: bool) -> Option<Instant> {
        let may_start = may_start && !self.is_full();
        let waiting = self.held().filter_map(|held| match held.state {
            State::Waiting(_, not_before) => {
                let turn = not_before.max(self.gate.opens_at()).filter(|_| may_start);
                let end = held.born + self.limits.life;
                Some(turn.map_or(end, |turn| turn.min(end)))
            }
            _ => None,
        });
        waiting.min()
    }

    pub fn stored_count(&self) -> u64 {
        self.stored
    }

    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    pub fn bytes_stored(&self) -> u64 {
        self.bytes
    }

    fn is_full(&self) -> bool {
        let most = if self.gate.is_failing() { 1 } else { self.limits.in_flight };
        self.held().filter(|held| matches!(held.state, State::InFlight(..))).count() >= most
    }

    fn held(&self) -> impl Iterator<Item = &Held> {
        self.groups.iter().flat_map(|group| &group.parts)
    }

    fn held_mut(&mut self) -> impl Iterator<Item = &mut Held> {
        self.groups.iter_mut().flat_map(|group| &mut group.parts)
    }
}

impl Held {
    fn is_ready(&self, now: Instant) -> bool {
        matches!(self.state, State::Waiting(_, at) if at.is_none_or(|at| at <= now))
    }

    fn is_in_flight(&self, ticket: Ticket) -> bool {
        matches!(self.state, State::InFlight(_, own, _) if own == ticket)
    }

    fn is_pending(&self) -> bool {
        matches!(self.state, State::Waiting(..) | State::InFlight(..))
    }

    /// What was lost was told when it was.
    fn may_exist(self) -> Option<ObjectKey> {
        let exists = match self.state {
            State::InFlight(..) | State::Stored => true,
            State::Waiting(..) => self.tries > 0,
            State::Lost => false,
        };
        exists.then_some(self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::RunId;
    use crate::domain::key::Layout;
    use crate::domain::segment::SegmentType;
    use crate::domain::test_time::start;

    const MS: Duration = Duration::from_millis(1);
    const AGAIN: Failure = Failure::Retry { after: None };

    struct Script {
        parts: Parts,
        now: Instant,
        next: u64,
    }

    fn layout() -> Layout {
        Layout::new(&"loc".parse().unwrap(), &"cam".parse().unwrap())
    }

    fn segment(index: u64) -> ObjectKey {
        layout().segment(RunId::new(1, 1), index, SegmentType::Fmp4)
    }

    fn script() -> Script {
        let limits = PartLimits { duration: 200 * MS, in_flight: 3, life: 3_000 * MS, attempt: 1_200 * MS };
        Script { parts: Parts::new(limits, 1_000 * MS, 4, Dice::new(1)), now: start(), next: 0 }
    }

    impl Script {
        /// Five parts are a segment.
        fn produce(&mut self) {
            self.produce_beside(|_| false);
        }

        fn produce_beside(&mut self, is_listed: impl Fn(&ObjectKey) -> bool) {
            let (number, run) = (self.next, RunId::new(1, 1));
            self.next += 1;
            let part = Part {
                run,
                number,
                segment: number / 5,
                duration: 200 * MS,
                independent: number.is_multiple_of(5),
                bytes: Bytes::from(vec![0; 100]),
            };
            let keys = (segment(number / 5), layout().part(run, number));
            self.parts.push(self.now, keys, part, is_listed);
        }

        fn start(&mut self) -> Option<StartPart> {
            self.parts.start(self.now)
        }

        fn wait(&mut self, ms: u32) {
            self.now += ms * MS;
        }
    }

    #[test]
    fn parts_go_at_once_and_are_listed_when_all_of_a_segment_are_stored() {
        let mut s = script();
        for number in 0..5 {
            s.produce();
            let started = s.start().unwrap();
            assert_eq!(started.key, layout().part(RunId::new(1, 1), number));
            assert!(!s.parts.are_settled(&segment(0)) && !s.parts.is_idle());
            s.wait(60);
            s.parts.stored(s.now, started.ticket);
            s.wait(140);
            let listed = s.parts.listed(&segment(0), 1_000 * MS);
            assert_eq!(listed.map(|parts| parts.len()), (number == 4).then_some(5));
        }
        assert!(s.parts.are_settled(&segment(0)) && s.parts.is_idle());
        assert_eq!(s.parts.listed(&segment(0), 1_200 * MS), None, "its first part is missing");
        assert_eq!((s.parts.stored_count(), s.parts.bytes_stored()), (5, 500));
        assert_eq!(s.parts.forget(&segment(0)).len(), 5);
        assert!(s.parts.listed(&segment(0), 1_000 * MS).is_none() && !s.parts.contains(&segment(0)));
    }

    #[test]
    fn one_that_fails_is_tried_again_soon_and_others_go_on() {
        let mut s = script();
        s.produce();
        let first = s.start().unwrap();
        s.parts.failed(s.now, first.ticket, AGAIN);
        assert!(s.start().is_none());
        assert_eq!(s.parts.deadline(true), Some(s.now + 50 * MS));
        s.produce();
        assert_ne!(s.start().unwrap().key, first.key);
        s.wait(50);
        let again = s.start().unwrap();
        assert_eq!((&again.key, &again.bytes), (&first.key, &first.bytes));
        assert_ne!(again.ticket, first.ticket);
    }

    #[test]
    fn what_is_too_old_is_given_up_with_what_needs_it() {
        let mut s = script();
        (0..7).for_each(|_| s.produce());
        let first = s.start().unwrap();
        (0..2).for_each(|_| drop(s.start().unwrap()));
        assert!(s.start().is_none() && s.parts.is_behind(), "three are under way");
        assert_eq!(s.parts.deadline(true), Some(s.now + 3_000 * MS));
        s.wait(2_900);
        s.parts.failed(s.now, first.ticket, AGAIN);
        let again = s.start().unwrap();
        assert!(again.limit <= 100 * MS, "{:?}", again.limit);
        s.wait(100);
        s.parts.failed(s.now, again.ticket, AGAIN);
        // All that wait are as old: what was tried may exist.
        assert_eq!((s.parts.given_up(), s.parts.take_gone()), (5, vec![first.key, again.key]));
        s.produce();
        assert!(s.start().is_some());
    }

    #[test]
    fn an_outage_costs_few_requests_and_the_memory_is_bounded() {
        let (mut s, mut asked) = (script(), 0);
        for _ in 0..300 {
            s.produce();
            while let Some(started) = s.start() {
                asked += 1;
                s.parts.failed(s.now, started.ticket, AGAIN);
            }
            s.wait(200);
        }
        assert!(asked < 120, "{asked} in a minute");
        assert!(s.parts.held().filter(|held| held.is_pending()).count() <= 16);
        assert!(s.parts.groups.len() <= 4);
        assert!(s.parts.given_up() > 280);
        // It is over: a probe, then all at once.
        s.wait(1_000);
        s.produce();
        let probe = s.start().unwrap();
        assert!(s.start().is_none());
        s.parts.stored(s.now, probe.ticket);
        assert!(s.start().is_some());
    }

    #[test]
    fn what_a_store_never_takes_is_lost_at_once() {
        let mut s = script();
        s.produce();
        let started = s.start().unwrap();
        s.parts.failed(s.now, started.ticket, Failure::Never);
        assert_eq!((s.parts.given_up(), s.parts.take_gone()), (1, vec![started.key]));
        assert!(s.parts.is_idle() && s.parts.listed(&segment(0), 200 * MS).is_none());
    }

    #[test]
    fn what_is_listed_outlasts_segments_that_never_came() {
        let is_listed = |key: &ObjectKey| [segment(0), segment(2)].contains(key);
        let (mut s, mut gone) = (script(), Vec::new());
        for _ in 0..400 {
            s.produce_beside(is_listed);
            let ticket = s.start().unwrap().ticket;
            s.parts.stored(s.now, ticket);
            gone.extend(s.parts.take_gone());
            s.wait(200);
        }
        let kept: Vec<_> = s.parts.groups.iter().map(|group| group.segment.clone()).collect();
        assert_eq!((kept, gone.len()), ([0, 2, 78, 79].map(segment).to_vec(), 5 * 76));
        // Nothing else is left to go.
        (0..5).for_each(|_| s.produce_beside(|_| true));
        assert!(s.parts.contains(&layout().part(RunId::new(1, 1), 404)) && s.parts.take_gone().is_empty());
    }

    #[test]
    fn segments_that_never_came_are_forgotten_in_time() {
        let mut s = script();
        for _ in 0..40 {
            s.produce();
            let ticket = s.start().unwrap().ticket;
            s.parts.stored(s.now, ticket);
            s.wait(200);
        }
        assert_eq!(s.parts.take_gone().len(), 20, "those of four segments of eight");
        assert_eq!(s.parts.forget_all_but(|key| *key == segment(7)).len(), 15);
        assert!(s.parts.contains(&layout().part(RunId::new(1, 1), 39)));
        s.parts.clear();
        assert!(s.parts.is_idle() && s.parts.deadline(true).is_none());
    }
}
