//! The sweep: what lies in the folder and nothing names. An earlier agent left it, or an upload that was given up
//! landed very late.

use std::time::{Duration, Instant};

use crate::domain::dice::Dice;
use crate::domain::gate::{Failure, Gate};

/// One listing a day costs nothing.
const EVERY: Duration = Duration::from_secs(24 * 3600);

/// Lists when every hold that an earlier agent may have begun is over, and then once a day.
#[derive(Debug)]
pub(super) struct Sweep {
    state: State,
    /// Since the last beginning.
    was_done: bool,
    gate: Gate,
}

#[derive(Debug)]
enum State {
    NotYet,
    /// This long after the first playlist is stored.
    AfterPlaylist(Duration),
    At(Instant),
    Listing,
}

impl Sweep {
    pub(super) fn new(dice: Dice) -> Self {
        Self { state: State::NotYet, was_done: false, gate: Gate::new(Duration::from_secs(60), dice) }
    }

    /// See [`Gate::reopen`].
    pub(super) fn reopen(&mut self) {
        self.gate.reopen();
    }

    pub(super) fn begin(&mut self, at: Instant) {
        self.state = State::At(at);
    }

    pub(super) fn begin_after_playlist(&mut self, hold: Duration) {
        self.state = State::AfterPlaylist(hold);
        self.was_done = false;
    }

    /// What an earlier agent left is found.
    pub(super) fn was_done(&self) -> bool {
        self.was_done
    }

    pub(super) fn awaits_playlist(&self) -> bool {
        matches!(self.state, State::AfterPlaylist(_))
    }

    pub(super) fn playlist_stored(&mut self, now: Instant) {
        if let State::AfterPlaylist(hold) = self.state {
            self.begin(now + hold);
        }
    }

    /// At `at`, if it is not to come anyway.
    pub(super) fn begin_again(&mut self, at: Instant) {
        if !self.awaits_playlist() {
            self.begin(at);
        }
    }

    /// What is being listed is not wanted any more.
    pub(super) fn stop(&mut self) {
        self.state = State::NotYet;
    }

    pub(super) fn is_listing(&self) -> bool {
        matches!(self.state, State::Listing)
    }

    pub(super) fn start(&mut self, now: Instant) -> bool {
        let due = self.deadline().is_some_and(|at| now >= at);
        if due {
            self.state = State::Listing;
        }
        due
    }

    pub(super) fn failed(&mut self, now: Instant, failure: Failure) {
        self.gate.failed(now, failure);
        self.state = State::At(now);
    }

    pub(super) fn done(&mut self, now: Instant) {
        self.gate.succeeded();
        self.was_done = true;
        self.state = State::At(now + EVERY);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::At(at) => Some(self.gate.opens_at().map_or(at, |opens| at.max(opens))),
            State::NotYet | State::AfterPlaylist(_) | State::Listing => None,
        }
    }
}
