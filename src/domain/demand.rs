//! Who wants a stream that runs on demand. Everybody who does says so again and again (a viewer by what it fetches, a
//! back office by its calls), so one time is enough for all of them: that until which it is wanted.

use std::time::{Duration, Instant};

/// Players go on fetching for a moment after a stop: until they have read that the stream is over.
const STOP_HOLDS: Duration = Duration::from_secs(30);

/// Until when a stream is wanted; `None`: it is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    until: Option<Instant>,
    stopped: Option<Instant>,
}

impl Demand {
    /// Somebody wants it now, and is believed for so long. Never shortens what another one said.
    pub fn renew(&mut self, now: Instant, believed: Duration) {
        self.until = self.until.max(Some(now + believed));
        self.stopped = None;
    }

    /// Somebody fetches it. `false`: it was stopped just now, and that counts.
    pub fn fetched(&mut self, now: Instant, believed: Duration) -> bool {
        let is_heard = self.stopped.is_none_or(|at| now.saturating_duration_since(at) >= STOP_HOLDS);
        if is_heard {
            self.renew(now, believed);
        }
        is_heard
    }

    /// Whoever waits for it still does, unless it was stopped meanwhile.
    pub fn prolong(&mut self, now: Instant, believed: Duration) {
        if self.is_wanted(now) {
            self.renew(now, believed);
        }
    }

    /// Somebody stopped it: nobody wants it, whatever was said before.
    pub fn stop(&mut self, now: Instant) {
        (self.until, self.stopped) = (None, Some(now));
    }

    pub fn is_wanted(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// When nobody will want it any more.
    pub fn deadline(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_time::start;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn the_last_one_who_wants_it_counts() {
        let (mut demand, t0) = (Demand::default(), start());
        assert!(!demand.is_wanted(t0));
        demand.renew(t0, 30 * S);
        demand.renew(t0 + S, 5 * S);
        assert!(demand.is_wanted(t0 + 29 * S) && !demand.is_wanted(t0 + 30 * S));
        demand.renew(t0 + 29 * S, 30 * S);
        assert_eq!(demand.deadline(), Some(t0 + 59 * S));
        demand.stop(t0 + 29 * S);
        assert!(!demand.is_wanted(t0 + 29 * S));
    }

    #[test]
    fn a_stop_holds_against_who_only_fetches() {
        let (mut demand, t0) = (Demand::default(), start());
        assert!(demand.fetched(t0, 30 * S) && demand.is_wanted(t0));
        demand.stop(t0 + S);
        for after in 1..=30 {
            assert!(!demand.fetched(t0 + after * S, 30 * S) && !demand.is_wanted(t0 + after * S));
        }
        assert!(demand.fetched(t0 + 31 * S, 30 * S) && demand.is_wanted(t0 + 60 * S));
        demand.stop(t0 + 40 * S);
        demand.renew(t0 + 41 * S, 30 * S);
        assert!(demand.fetched(t0 + 70 * S, 30 * S), "it was said to be wanted after the stop");
    }
}
