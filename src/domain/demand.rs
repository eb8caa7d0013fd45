//! Who wants a stream that runs on demand. Everybody who does says so again and again (a viewer by what it fetches, a
//! back office by its calls), so one time is enough for all of them: that until which it is wanted.

use std::time::{Duration, Instant};

/// Until when a stream is wanted; `None`: it is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    until: Option<Instant>,
}

impl Demand {
    /// Somebody wants it now, and is believed for so long. Never shortens what another one said.
    pub fn renew(&mut self, now: Instant, believed: Duration) {
        self.until = self.until.max(Some(now + believed));
    }

    /// Whoever waits for it still does, unless it was stopped meanwhile.
    pub fn prolong(&mut self, now: Instant, believed: Duration) {
        if self.is_wanted(now) {
            self.renew(now, believed);
        }
    }

    /// Nobody wants it, whatever was said before.
    pub fn drop_all(&mut self) {
        self.until = None;
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
        demand.drop_all();
        assert!(!demand.is_wanted(t0 + 29 * S));
    }
}
