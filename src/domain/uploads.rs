//! Segments on their way to the store: several at once, handed on in order, oldest given up first.

mod inits;
mod wholes;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::fmp4::Header;
use super::gate::{Failure, Gate};
use super::key::ObjectKey;
use super::lanes::{Lanes, Mark};
use super::segment::{Payload, Segment};
use super::uplink::{Shortage, Uplink};

use inits::Inits;
pub use inits::{StartInit, Unused};
pub use wholes::{LeftOut, NextWhole};

/// One upload attempt; its answer names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Uploads under way at once while all goes well.
    pub in_flight: usize,
    /// Segments waiting or under way; the oldest is given up for a newer one.
    pub backlog: usize,
    pub backlog_bytes: u64,
    /// An upload that takes half of it or less is quick.
    pub segment_duration: Duration,
    /// The longest pause between attempts.
    pub most_pause: Duration,
    /// How long a call may take; an upload over a slow uplink gets more.
    pub attempt: Duration,
}

/// A segment with the name it gets and the break before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    pub key: ObjectKey,
    pub segment: Segment,
    pub discontinuity: bool,
}

#[derive(Debug)]
struct Pending {
    outgoing: Outgoing,
    state: State,
    /// An attempt failed, and may have stored it all the same.
    tried: bool,
}

/// A segment that will not be published.
#[derive(Debug, PartialEq)]
pub struct GivenUp {
    pub outgoing: Outgoing,
    /// An earlier attempt may have stored the object, or may still do so.
    pub may_exist: bool,
    /// Its payload is still to be discarded.
    pub in_spool: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    InFlight(Ticket, Mark),
    Stored,
}

impl State {
    fn is_in_flight(self, ticket: Ticket) -> bool {
        matches!(self, Self::InFlight(own, _) if own == ticket)
    }
}

/// While something is too slow: one under way and two behind it. More would only be older when they arrive.
const SLOW_BACKLOG: usize = 3;

/// An upload that starts: of the objects of all renditions.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    pub ticket: Ticket,
    pub key: ObjectKey,
    pub payload: Payload,
    pub duration: Duration,
    /// Of an fMP4 segment.
    pub header: Option<Arc<Header>>,
}

/// What an answer to an upload means.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// A segment in the queue is stored (see [`Uploads::pop_stored`]): its payload is not needed any more.
    Stored(Payload),
    /// An upload has to be tried again.
    Again,
    /// Of a segment in the queue that can never be stored: it left the queue.
    GivenUp(GivenUp),
    /// Of a segment that was given up: the object may exist, and nothing will ever name it.
    Condemned { key: ObjectKey, stored: bool },
}

#[derive(Debug)]
struct Abandoned {
    key: ObjectKey,
    since: Instant,
    /// It made way for parts: that it fails says nothing of the store.
    yields: bool,
}

#[derive(Debug)]
pub struct Uploads {
    queue: VecDeque<Pending>,
    inits: Inits,
    /// Given up while under way.
    abandoned: HashMap<Ticket, Abandoned>,
    /// Those of them whose callers are still to be told.
    yields: VecDeque<Ticket>,
    /// Left out, and yet to be shown.
    shows: VecDeque<Start>,
    next_ticket: u64,
    gate: Gate,
    limits: UploadLimits,
    /// The backlog's limit for now: more than planned while what waited for a take-over is on its way.
    room: usize,
    lanes: Lanes,
    uplink: Uplink,
    wholes_stored: u64,
}

impl Uploads {
    pub fn new(limits: UploadLimits, dice: Dice) -> Self {
        Self {
            queue: VecDeque::new(),
            inits: Inits::default(),
            abandoned: HashMap::new(),
            yields: VecDeque::new(),
            shows: VecDeque::new(),
            wholes_stored: 0,
            next_ticket: 0,
            gate: Gate::new(limits.most_pause, dice),
            lanes: Lanes::new(limits.in_flight, limits.segment_duration),
            uplink: Uplink::new(limits.attempt, limits.segment_duration),
            room: limits.backlog,
            limits,
        }
    }

    /// See [`Gate::reopen`].
    pub fn reopen(&mut self) {
        self.gate.reopen();
    }

    /// Queues a segment; returns those given up for it.
    pub fn push(&mut self, now: Instant, outgoing: Outgoing) -> Vec<GivenUp> {
        self.uplink.produced(now, outgoing.segment.payload.bytes(), outgoing.segment.duration);
        self.queue(outgoing);
        self.trim(now)
    }

    fn queue(&mut self, outgoing: Outgoing) {
        if let Some((init, header)) = outgoing.key.init().zip(outgoing.segment.header.clone()) {
            self.inits.need(init, header);
        }
        self.queue.push_back(Pending { outgoing, state: State::Waiting, tried: false });
    }

    fn trim(&mut self, now: Instant) -> Vec<GivenUp> {
        let mut given_up = Vec::new();
        while self.is_over_limit()
            && let Some(lost) = self.give_up_oldest()
        {
            // In an outage nothing is too slow: all is well, or away.
            if !self.gate.is_failing() {
                self.lanes.given_up(now, self.uplink.longest());
            }
            self.uplink.given_up(now);
            self.room = self.limits.backlog.max(self.room - 1);
            given_up.push(lost);
        }
        given_up
    }

    /// Queues what could not be sent before: that it comes at once is no reason to give it up.
    pub fn push_waiting(&mut self, waiting: impl IntoIterator<Item = Outgoing>) {
        waiting.into_iter().for_each(|outgoing| self.queue(outgoing));
        self.room = self.queue.len() + self.limits.backlog;
    }

    /// Gives up everything.
    pub fn clear(&mut self) -> Vec<GivenUp> {
        self.room = self.limits.backlog;
        self.inits.clear();
        let mut given_up = Vec::new();
        for Pending { outgoing, state, tried } in std::mem::take(&mut self.queue) {
            if let State::InFlight(ticket, mark) = state {
                self.abandon(ticket, mark, outgoing.key.clone(), false);
            }
            let (may_exist, in_spool) = (tried || state == State::Stored, state != State::Stored);
            given_up.push(GivenUp { outgoing, may_exist, in_spool });
        }
        given_up
    }

    fn is_over_limit(&self) -> bool {
        let kept = self.queue.iter().filter(|p| p.state != State::Stored);
        let bytes: u64 = kept.map(|p| p.outgoing.segment.payload.bytes()).sum();
        let under_way = self.queue.iter().filter(|p| matches!(p.state, State::InFlight(..))).count();
        let backlog = match self.lanes.is_narrow() {
            // What was begun before it became narrow has cost the uplink already.
            true => self.limits.backlog.min(SLOW_BACKLOG.max(under_way + 1)),
            false => self.room,
        };
        self.queue.len() > backlog || bytes > self.limits.backlog_bytes
    }

    /// The oldest that waits. What is under way has cost the uplink already, and is nearly there: one of several is
    /// given up if nothing older than the newest waits, the only one never.
    fn give_up_oldest(&mut self) -> Option<GivenUp> {
        let older = self.queue.len().checked_sub(1)?;
        let waiting = self.queue.iter().take(older).position(|p| p.state == State::Waiting);
        let is_last_under_way =
            self.in_flight() == 1 && matches!(self.queue.front()?.state, State::InFlight(..));
        let at = waiting.or((older > 0 && !is_last_under_way).then_some(0))?;
        let state = self.queue.get(at)?.state;
        let gone = self.give_up(at)?;
        if let State::InFlight(ticket, mark) = state {
            self.abandon(ticket, mark, gone.outgoing.key.clone(), false);
            return Some(GivenUp { may_exist: false, ..gone });
        }
        Some(gone)
    }

    fn abandon(&mut self, ticket: Ticket, mark: Mark, key: ObjectKey, yields: bool) {
        self.abandoned.insert(ticket, Abandoned { key, since: mark.since(), yields });
    }

    fn give_up(&mut self, at: usize) -> Option<GivenUp> {
        let gone = self.queue.remove(at)?;
        if let Some(next) = self.queue.get_mut(at) {
            next.outgoing.discontinuity = true;
        }
        let (may_exist, in_spool) = (gone.tried || gone.state != State::Waiting, gone.state != State::Stored);
        Some(GivenUp { outgoing: gone.outgoing, may_exist, in_spool })
    }

    /// The next upload to start, if one may start now.
    pub fn start(&mut self, now: Instant) -> Option<Start> {
        // After a failure one probe goes alone: an outage costs few requests.
        let most = if self.gate.is_failing() { 1 } else { self.lanes.open() };
        let is_probed = self.gate.is_failing() && self.inits.in_flight() > 0;
        let is_full = self.in_flight() >= most && !self.uplink.may_hedge(now);
        if !self.gate.is_open(now) || is_probed || is_full {
            return None;
        }
        let ticket = Ticket(self.next_ticket + 1);
        let mark = self.lanes.mark(now, self.in_flight());
        let next = self.queue.iter_mut().find(|p| p.state == State::Waiting)?;
        next.state = State::InFlight(ticket, mark);
        let Outgoing { key, segment: Segment { payload, duration, header, .. }, .. } = next.outgoing.clone();
        self.next_ticket = ticket.0;
        self.uplink.started(now, ticket, payload.bytes(), most);
        Some(Start { ticket, key, payload, duration, header })
    }

    /// The next upload that is to be dropped; its answer is a failure.
    pub fn drop_next(&mut self, now: Instant) -> Option<Ticket> {
        self.uplink.drop_next(now)
    }

    /// A small question should be asked: see [`Uplink`].
    pub fn ask(&mut self) -> bool {
        self.uplink.ask()
    }

    /// Returns what is given up: over a slow uplink the live edge comes first.
    pub fn answered(&mut self, now: Instant, answered: bool) -> Vec<GivenUp> {
        for ticket in self.uplink.answered(answered) {
            let mine = self.queue.iter().find(|p| p.state.is_in_flight(ticket));
            if let Some(State::InFlight(_, mark)) = mine.map(|p| p.state) {
                self.lanes.failed(now, mark);
            }
        }
        self.trim(now)
    }

    pub fn shortage(&self) -> Option<Shortage> {
        self.uplink.shortage()
    }

    /// When to look at what is under way: see [`Self::drop_next`].
    pub fn look_at(&self) -> Option<Instant> {
        self.uplink.deadline()
    }

    pub fn assess(&mut self, now: Instant) {
        self.uplink.assess(now);
    }

    fn in_flight(&self) -> usize {
        let ours = self.queue.iter().filter(|p| matches!(p.state, State::InFlight(..))).count();
        ours + self.abandoned.len()
    }

    /// Segments that are under way, or stored behind one that is not.
    pub fn begun(&self) -> usize {
        self.queue.iter().filter(|p| p.state != State::Waiting).count()
    }

    pub fn stored(&mut self, now: Instant, ticket: Ticket) -> Answer {
        self.gate.succeeded();
        if self.inits.answered(ticket, true) {
            return Answer::Again;
        }
        self.uplink.stored(now, ticket);
        if let Some(Abandoned { key, .. }) = self.abandoned.remove(&ticket) {
            return Answer::Condemned { key, stored: true };
        }
        let Some(pending) = self.queue.iter_mut().find(|p| p.state.is_in_flight(ticket)) else {
            return Answer::Again;
        };
        if let State::InFlight(_, mark) = pending.state {
            self.lanes.stored(now, mark);
        }
        pending.state = State::Stored;
        self.wholes_stored += 1;
        Answer::Stored(pending.outgoing.segment.payload.clone())
    }

    pub fn failed(&mut self, now: Instant, ticket: Ticket, failure: Failure) -> Answer {
        if self.inits.answered(ticket, false) {
            // None of its segments can be seen without it, so it is tried again, whatever the reason.
            self.gate.failed(now, failure);
            return Answer::Again;
        }
        let yields = self.abandoned.get(&ticket).is_some_and(|gone| gone.yields);
        if failure != Failure::Never && !yields {
            self.gate.failed(now, failure);
        }
        self.uplink.failed(now, ticket);
        if let Some(Abandoned { key, .. }) = self.abandoned.remove(&ticket) {
            return Answer::Condemned { key, stored: false };
        }
        let at = self.queue.iter().position(|p| p.state.is_in_flight(ticket));
        if let Some(State::InFlight(_, mark)) = at.and_then(|at| self.queue.get(at)).map(|p| p.state) {
            self.lanes.failed(now, mark);
        }
        if failure == Failure::Never {
            return at.and_then(|at| self.give_up(at)).map_or(Answer::Again, Answer::GivenUp);
        }
        if let Some(pending) = at.and_then(|at| self.queue.get_mut(at)) {
            pending.state = State::Waiting;
            pending.tried = true;
        }
        Answer::Again
    }

    /// The oldest segment, once it is stored and what it needs is: what is behind it waits, so that the window stays
    /// in order.
    pub fn pop_stored(&mut self) -> Option<Outgoing> {
        let inits = &self.inits;
        let is_whole = |key: &ObjectKey| key.init().is_none_or(|init| inits.is_stored(&init));
        let stored =
            self.queue.pop_front_if(|front| front.state == State::Stored && is_whole(&front.outgoing.key))?;
        self.room = self.room.min(self.queue.len() + self.limits.backlog);
        Some(stored.outgoing)
    }

    pub fn contains(&self, key: &ObjectKey) -> bool {
        self.queue.iter().any(|p| p.outgoing.key == *key)
            || self.abandoned.values().any(|gone| gone.key == *key)
            || self.inits.contains(key)
    }

    pub fn backlog(&self) -> usize {
        self.queue.len()
    }

    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.abandoned.is_empty() && self.inits.in_flight() == 0
    }

    pub fn deadline(&self) -> Option<Instant> {
        let waiting = self.queue.iter().any(|p| p.state == State::Waiting);
        let blocked = self.gate.is_failing() && self.in_flight() + self.inits.in_flight() > 0;
        if waiting && !blocked { self.gate.opens_at() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::RunId;
    use crate::domain::test_time::start;

    const RETRY: Failure = Failure::Retry { after: None };

    fn uploads(backlog: usize) -> Uploads {
        let most_pause = Duration::from_secs(2);
        Uploads::new(
            UploadLimits {
                in_flight: 2,
                backlog,
                backlog_bytes: 1_000,
                segment_duration: most_pause,
                most_pause,
                attempt: Duration::from_secs(10),
            },
            Dice::new(5),
        )
    }

    fn outgoing(index: u64, bytes: u64) -> Outgoing {
        let segment = Segment {
            run: RunId::new(1, 1),
            index,
            duration: Duration::from_secs(2),
            after_break: false,
            header: None,
            program_time: std::time::SystemTime::UNIX_EPOCH,
            payload: Payload::File { path: index.to_string().into(), bytes, renditions: 1 },
        };
        Outgoing { key: ObjectKey::new(index.to_string()), segment, discontinuity: false }
    }

    fn index(outgoing: Option<Outgoing>) -> Option<u64> {
        outgoing.map(|o| o.segment.index)
    }

    #[test]
    fn several_go_at_once_and_leave_in_order() {
        let (mut up, now) = (uploads(5), start());
        for i in 0..3 {
            assert!(up.push(start(), outgoing(i, 1)).is_empty());
        }
        let first = up.start(now).unwrap().ticket;
        let second = up.start(now).unwrap().ticket;
        assert!(up.start(now).is_none(), "two at once");
        assert!(matches!(up.stored(now, second), Answer::Stored(payload) if payload.bytes() == 1));
        assert_eq!(index(up.pop_stored()), None, "the first is not stored yet");
        up.stored(now, first);
        assert_eq!((index(up.pop_stored()), index(up.pop_stored())), (Some(0), Some(1)));
        assert!(up.start(now).is_some());
    }

    #[test]
    fn what_waited_keeps_its_room_until_it_is_on_its_way() {
        let (mut up, now) = (uploads(4), start());
        up.push_waiting((0..7).map(|i| outgoing(i, 1)));
        for _ in 0..3 {
            let ticket = up.start(now).unwrap().ticket;
            up.stored(now, ticket);
            up.pop_stored();
        }
        assert!(up.push(now, outgoing(7, 1)).is_empty(), "four of them wait for the playlist");
    }

    #[test]
    fn after_a_failure_one_probe_goes_alone() {
        let (mut up, now) = (uploads(5), start());
        (0..3).for_each(|i| drop(up.push(start(), outgoing(i, 1))));
        let tickets = [up.start(now).unwrap().ticket, up.start(now).unwrap().ticket];
        for ticket in tickets {
            assert_eq!(up.failed(now, ticket, RETRY), Answer::Again);
        }
        assert!(up.start(now).is_none());
        let later = up.deadline().unwrap();
        let Start { ticket: probe, key, .. } = up.start(later).unwrap();
        assert_eq!((key.as_str(), up.start(later), up.deadline()), ("0", None, None));
        up.stored(now, probe);
        assert!(up.start(later).is_some() && up.start(later).is_some(), "all is well again");
    }

    fn given_up(lost: &[GivenUp]) -> Vec<(u64, bool)> {
        lost.iter().map(|l| (l.outgoing.segment.index, l.may_exist)).collect()
    }

    #[test]
    fn the_oldest_that_waits_is_given_up_for_a_newer_one_and_leaves_a_mark() {
        let (mut up, now) = (uploads(3), start());
        up.push(start(), outgoing(0, 1));
        let under_way = up.start(now).unwrap().ticket;
        (1..3).for_each(|i| drop(up.push(start(), outgoing(i, 1))));
        assert_eq!(
            given_up(&up.push(start(), outgoing(3, 1))),
            [(1, false)],
            "0 is under way, and nearly there"
        );
        assert!(matches!(up.stored(now, under_way), Answer::Stored(_)));
        assert!(!up.pop_stored().unwrap().discontinuity);
        let next = up.start(now).unwrap().ticket;
        up.stored(now, next);
        let next = up.pop_stored().unwrap();
        assert!(next.segment.index == 2 && next.discontinuity);
    }

    #[test]
    fn with_nothing_waiting_the_oldest_under_way_is_given_up_and_its_object_condemned() {
        let (mut up, now) = (uploads(2), start());
        (0..2).for_each(|i| drop(up.push(start(), outgoing(i, 1))));
        let late = up.start(now).unwrap().ticket;
        up.start(now).unwrap();
        assert_eq!(given_up(&up.push(start(), outgoing(2, 1))), [(0, false)]);
        assert_eq!(up.stored(now, late), Answer::Condemned { key: ObjectKey::new("0"), stored: true });
    }

    #[test]
    fn the_backlog_is_bounded_in_bytes_too_but_one_big_segment_may_try() {
        let (mut up, now) = (uploads(5), start());
        assert!(up.push(now, outgoing(0, 600)).is_empty());
        assert_eq!(up.push(now, outgoing(1, 600)).len(), 1);
        assert_eq!(up.push(now, outgoing(2, 5_000)).len(), 1);
        assert_eq!(up.backlog(), 1);
        let only = up.start(now).unwrap().ticket;
        assert!(up.push(now, outgoing(3, 600)).is_empty(), "the only one under way is let through");
        assert_eq!(given_up(&up.push(now, outgoing(4, 600))), [(3, false)]);
        assert!(matches!(up.stored(now, only), Answer::Stored(_)));
    }

    #[test]
    fn what_can_never_be_stored_is_given_up_without_closing_the_gate() {
        let (mut up, now) = (uploads(5), start());
        (0..2).for_each(|i| drop(up.push(start(), outgoing(i, 1))));
        let bad = up.start(now).unwrap().ticket;
        assert!(
            matches!(up.failed(now, bad, Failure::Never), Answer::GivenUp(lost) if lost.may_exist && lost.outgoing.segment.index == 0)
        );
        let good = up.start(now).unwrap().ticket;
        up.stored(now, good);
        assert!(up.pop_stored().unwrap().discontinuity);
    }
}
