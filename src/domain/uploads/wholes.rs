//! Whole segments that have to give way to parts.

use std::time::Duration;

use super::{GivenUp, Pending, Start, State, Ticket, Uploads};
use crate::domain::key::ObjectKey;
use crate::domain::precedence::Wholes;
use crate::domain::segment::Segment;

/// Of what is not uploaded: no answer comes.
const NO_TICKET: Ticket = Ticket(0);

/// A segment that could be left out.
#[derive(Debug)]
pub struct NextWhole {
    pub key: ObjectKey,
    pub duration: Duration,
    /// None waits behind it.
    pub is_newest: bool,
}

/// A segment without an object of the whole.
#[derive(Debug)]
pub struct LeftOut {
    /// Its name from now on.
    pub to: ObjectKey,
    /// An earlier attempt may have stored the whole.
    pub may_exist: bool,
}

impl Uploads {
    /// The oldest whole segment that is not stored.
    pub fn next_whole(&self) -> Option<NextWhole> {
        let is_unsent = |p: &&Pending| p.state != State::Stored && p.outgoing.key.in_parts().is_some();
        let next = self.queue.iter().find(is_unsent)?;
        Some(NextWhole {
            key: next.outgoing.key.clone(),
            duration: next.outgoing.segment.duration,
            is_newest: self.queue.back().is_some_and(|last| last.outgoing.key == next.outgoing.key),
        })
    }

    /// There will be no object of this whole segment: an upload of it is dropped, and it counts as stored.
    pub fn leave_out(&mut self, key: &ObjectKey) -> Option<LeftOut> {
        let next = self.queue.iter_mut().find(|p| p.outgoing.key == *key)?;
        let to = key.in_parts()?;
        next.outgoing.key = to.clone();
        let may_exist = std::mem::take(&mut next.tried);
        let Segment { payload, duration, header, .. } = next.outgoing.segment.clone();
        self.shows.push_back(Start { ticket: NO_TICKET, key: to.clone(), payload, duration, header });
        let state = std::mem::replace(&mut next.state, State::Stored);
        self.make_way(state, key);
        Some(LeftOut { to, may_exist })
    }

    fn make_way(&mut self, state: State, key: &ObjectKey) {
        if let State::InFlight(ticket, mark) = state {
            self.abandon(ticket, mark, key.clone(), true);
            self.yields.push_back(ticket);
            self.lanes.yielded();
        }
    }

    /// The next one that was left out: it is to be shown where stored ones are, and its payload is not needed any more.
    pub fn show_next(&mut self) -> Option<Start> {
        self.shows.pop_front()
    }

    /// The next upload that makes way: it is to be dropped, and its answer is a failure.
    pub fn yield_next(&mut self) -> Option<Ticket> {
        self.yields.pop_front()
    }

    /// What is lost of this segment is in no part either.
    pub fn give_up_whole(&mut self, key: &ObjectKey) -> Option<GivenUp> {
        let at = self.queue.iter().position(|p| p.outgoing.key == *key)?;
        let state = self.queue.get(at)?.state;
        let gone = self.give_up(at)?;
        self.make_way(state, key);
        // Of one that was under way its answer tells.
        let may_exist = gone.may_exist && state == State::Waiting;
        Some(GivenUp { may_exist, ..gone })
    }

    pub fn wholes(&self) -> Wholes {
        let began = self.queue.iter().filter_map(|p| match p.state {
            State::InFlight(_, mark) => Some(mark.since()),
            State::Waiting | State::Stored => None,
        });
        let abandoned = self.abandoned.values().filter(|gone| !gone.yields).map(|gone| gone.since);
        let unsent = self.queue.iter().filter(|p| p.state != State::Stored).count();
        Wholes { oldest: began.chain(abandoned).min(), stored: self.wholes_stored, unsent }
    }
}
