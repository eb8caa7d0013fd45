//! The health monitor's eyes: at fixed times, and when the phase changes, it puts together what is known of the
//! camera and has it judged (`domain::health`).

use std::time::{Duration, Instant};

use super::status::CameraStatus;
use crate::domain::health::{Observation, State, Thresholds, Verdict, judge};
use crate::domain::lifecycle::{Lifecycle, Phase};

#[derive(Debug)]
pub(super) struct Looks {
    every: Duration,
    thresholds: Thresholds,
    next: Instant,
    last_state: Option<State>,
    /// Segments given up until the last look, and the one before.
    given_up: [u64; 2],
    began: Instant,
}

impl Looks {
    pub(super) fn new(every: Duration, thresholds: Thresholds, now: Instant, given_up: u64) -> Self {
        Self { every, thresholds, next: now + every, last_state: None, given_up: [given_up; 2], began: now }
    }

    /// When it is time again, whatever happens.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// The verdict, if it was time for one.
    pub(super) fn look(
        &mut self,
        now: Instant,
        life: &Lifecycle,
        status: &mut CameraStatus,
    ) -> Option<Verdict> {
        let state = state(life);
        let due = now >= self.next;
        if !due && self.last_state == Some(state) {
            return None;
        }
        self.last_state = Some(state);
        if due {
            self.next = now + self.every;
            status.health_checks += 1;
            self.given_up = [self.given_up[1], status.progress.segments_given_up];
        }
        status.verdict = judge(&self.observe(now, state, life, status), &self.thresholds);
        Some(status.verdict)
    }

    fn observe(&self, now: Instant, state: State, life: &Lifecycle, status: &CameraStatus) -> Observation {
        let since = |at: Instant| now.saturating_duration_since(at);
        // While no segments came, no playlist was due.
        let since_playlist = match life.phase() {
            Phase::Live { since: live, .. } => {
                Some(since(status.playlist_stored.map_or(live, |stored| stored.max(live))))
            }
            _ => None,
        };
        Observation {
            state,
            since_last_segment: since(status.last_segment.unwrap_or(self.began)),
            any_segment: status.last_segment.is_some(),
            longest_recent: life.longest_recent(),
            since_playlist,
            given_up: status.progress.segments_given_up
                - self.given_up[0].min(status.progress.segments_given_up),
            standing_back: status.progress.standing_back,
            failures: life.failures(),
            last_cause: life.last_cause(),
        }
    }
}

fn state(life: &Lifecycle) -> State {
    match life.phase() {
        Phase::Idle => State::Idle,
        Phase::Starting { .. } => State::Starting,
        Phase::Live { .. } => State::Live,
        Phase::Stopping { .. } if !life.is_wanted() => State::Idle,
        Phase::Stopping { .. } | Phase::BackingOff { .. } => State::Between,
    }
}
