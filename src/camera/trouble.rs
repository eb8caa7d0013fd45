//! Which failures are worth a line in the log: the first, then a summary now and then, then the recovery. Pure.

use std::time::{Duration, Instant};

/// Between summaries: doubling, as a trouble that has lasted for a day is no news every minute.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// One kind of call that fails now and then.
#[derive(Debug, Default)]
pub struct Trouble {
    since: Option<Instant>,
    told: Option<Instant>,
    /// To the next summary.
    pause: Duration,
    last_failure: Option<Instant>,
    failures: u64,
}

/// A line to be said.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    /// Since the trouble began.
    pub failures: u64,
    pub lasting: Duration,
}

impl Trouble {
    pub fn failed(&mut self, now: Instant) -> Option<Report> {
        let since = *self.since.get_or_insert(now);
        self.failures += 1;
        self.last_failure = Some(now);
        let since_told = self.told.map(|told| now.saturating_duration_since(told));
        if since_told.is_some_and(|time| time < self.pause) {
            return None;
        }
        // Kept over successes: what fails now and then would else get two lines each time.
        if since_told.is_some_and(|time| time > LONGEST_PAUSE.max(2 * self.pause)) {
            self.pause = Duration::ZERO;
        }
        self.told = Some(now);
        self.pause = (2 * self.pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        Some(Report { failures: self.failures, lasting: now.saturating_duration_since(since) })
    }

    /// `Some` if that ends a trouble that was told of.
    pub fn succeeded(&mut self, now: Instant) -> Option<Report> {
        let since = self.since.take()?;
        let failures = std::mem::take(&mut self.failures);
        // `told` stays: a call that fails every other time must not get two lines each time.
        let quiet = self.told.is_some_and(|told| told < since);
        (!quiet).then(|| Report { failures, lasting: now.saturating_duration_since(since) })
    }
}

impl Trouble {
    /// For what has failures but no successes: `true` once, when the last failure is [`FIRST_PAUSE`] ago.
    pub fn is_over(&mut self, now: Instant) -> bool {
        let quiet = self.last_failure.is_some_and(|at| now.saturating_duration_since(at) >= FIRST_PAUSE);
        if quiet {
            self.last_failure = None;
        }
        quiet && self.succeeded(now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_time::start;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn an_outage_is_told_at_its_start_now_and_then_and_at_its_end() {
        let (mut trouble, t0) = (Trouble::default(), start());
        let told: Vec<u32> = (0..500).filter(|i| trouble.failed(t0 + S * *i).is_some()).collect();
        assert_eq!(told, [0, 60, 180, 420]);
        assert_eq!(trouble.succeeded(t0 + 500 * S), Some(Report { failures: 500, lasting: 500 * S }));
        assert_eq!(trouble.succeeded(t0 + 501 * S), None);
    }

    #[test]
    fn a_day_of_trouble_is_some_thirty_lines() {
        let (mut trouble, t0) = (Trouble::default(), start());
        let lines = (0..86_400).filter(|i| trouble.failed(t0 + S * *i).is_some()).count();
        assert!((24..=32).contains(&lines), "{lines}");
    }

    #[test]
    fn what_never_succeeds_is_over_when_it_stays_away() {
        let (mut trouble, t0) = (Trouble::default(), start());
        assert!(!trouble.is_over(t0));
        trouble.failed(t0);
        assert!(!trouble.is_over(t0 + 30 * S));
        assert!(trouble.is_over(t0 + 61 * S));
        assert!(!trouble.is_over(t0 + 62 * S));
    }

    #[test]
    fn a_call_that_fails_now_and_then_makes_no_noise() {
        for every_s in [1, 90, 600] {
            let (mut trouble, t0) = (Trouble::default(), start());
            let mut lines = 0;
            for i in 0..86_400 / every_s {
                lines += u32::from(trouble.failed(t0 + S * every_s * i).is_some());
                lines += u32::from(trouble.succeeded(t0 + S * (every_s * i + 1)).is_some());
            }
            assert!((20..=70).contains(&lines), "{lines} a day at one in {every_s} s");
        }
    }
}
