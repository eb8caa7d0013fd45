//! When a kind of store call may be tried again.

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::dice::Dice;

/// What a failed store call means for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Try again with backoff, no sooner than `after`.
    Retry { after: Option<Duration> },
    /// A person must act first: try again rarely.
    Rare,
    /// This very request can never succeed.
    Never,
}

/// A server that says "retry after a day" must not silence a camera for a day.
const LONGEST: Duration = Duration::from_secs(300);

/// Open while calls succeed; after a failure closed until a backoff has passed.
#[derive(Debug)]
pub struct Gate {
    quick: Backoff,
    rare: Backoff,
    failures: u32,
    retry_at: Option<Instant>,
    /// What closed it was [`Failure::Rare`].
    rare_at_last: bool,
    dice: Dice,
}

impl Gate {
    /// `most`: the longest pause for [`Failure::Retry`]; a stream is back that soon after an outage.
    pub fn new(most: Duration, dice: Dice) -> Self {
        Self {
            quick: Backoff { first: Duration::from_millis(250).min(most), most },
            rare: Backoff { first: Duration::from_secs(5), most: Duration::from_secs(30) },
            failures: 0,
            retry_at: None,
            rare_at_last: false,
            dice,
        }
    }

    pub fn is_open(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| now >= at)
    }

    /// The last call failed: the next one is a probe, and should go alone.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// When a closed gate opens.
    pub fn opens_at(&self) -> Option<Instant> {
        self.retry_at
    }

    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.retry_at = None;
    }

    /// A person acted: what was refused may go again at once, one probe first.
    pub fn reopen(&mut self) {
        if self.failures > 0 && self.rare_at_last {
            self.failures = 1;
            self.retry_at = None;
        }
    }

    /// Calls that were under way together and fail together count once.
    pub fn failed(&mut self, now: Instant, failure: Failure) {
        if let Some(at) = self.retry_at.filter(|at| now < *at) {
            if let Failure::Retry { after: Some(after) } = failure {
                self.retry_at = Some(at.max(now + after.min(LONGEST)));
            }
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.rare_at_last = failure == Failure::Rare;
        let unit = self.dice.unit();
        let delay = match failure {
            Failure::Retry { after } => self.quick.delay(self.failures, unit).max(after.unwrap_or_default()),
            Failure::Rare | Failure::Never => self.rare.delay(self.failures, unit),
        };
        self.retry_at = Some(now + delay.min(LONGEST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_time::start;

    fn gate() -> Gate {
        Gate::new(Duration::from_secs(2), Dice::new(1))
    }

    #[test]
    fn a_failure_closes_it_for_a_bounded_while_and_a_success_forgets() {
        let (mut gate, mut now) = (gate(), start());
        assert!(gate.is_open(now));
        for _ in 0..20 {
            gate.failed(now, Failure::Retry { after: None });
            assert!(!gate.is_open(now));
            let at = gate.opens_at().unwrap();
            assert!(at - now <= Duration::from_secs(2));
            now = at;
            assert!(gate.is_open(now));
        }
        gate.succeeded();
        assert!(gate.is_open(now) && !gate.is_failing());
    }

    #[test]
    fn failures_of_one_burst_count_once() {
        let (mut gate, now) = (gate(), start());
        gate.failed(now, Failure::Retry { after: None });
        let at = gate.opens_at();
        gate.failed(now, Failure::Retry { after: None });
        assert_eq!(gate.opens_at(), at);
        gate.failed(now, Failure::Retry { after: Some(Duration::from_secs(9)) });
        assert_eq!(gate.opens_at(), Some(now + Duration::from_secs(9)), "what the server asks for counts");
    }

    #[test]
    fn what_a_person_mended_is_probed_at_once_and_nothing_else() {
        let (mut gate, now) = (gate(), start());
        for _ in 0..5 {
            let at = gate.opens_at().unwrap_or(now);
            gate.failed(at, Failure::Rare);
        }
        assert!(!gate.is_open(now));
        gate.reopen();
        assert!(gate.is_open(now) && gate.is_failing(), "the next call is a probe");
        gate.failed(now, Failure::Rare);
        assert!(gate.opens_at().unwrap() <= now + Duration::from_secs(10), "the pauses start anew");
        gate.succeeded();
        gate.failed(now, Failure::Retry { after: Some(Duration::from_secs(20)) });
        gate.reopen();
        assert_eq!(gate.opens_at(), Some(now + Duration::from_secs(20)), "what the server asks for stays");
    }

    #[test]
    fn the_server_may_ask_for_longer_but_not_for_ever() {
        let (mut gate, now) = (gate(), start());
        gate.failed(now, Failure::Retry { after: Some(Duration::from_secs(20)) });
        assert_eq!(gate.opens_at(), Some(now + Duration::from_secs(20)));
        let mut gate = self::gate();
        gate.failed(now, Failure::Retry { after: Some(Duration::from_secs(86_400)) });
        assert_eq!(gate.opens_at(), Some(now + Duration::from_secs(300)));
    }
}
