//! Which failures are worth a line in the log: the first, then a summary now and then, then the recovery. Pure.

use std::time::{Duration, Instant};

const SUMMARY_EVERY: Duration = Duration::from_secs(60);

/// One kind of call that fails now and then.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    since: Option<Instant>,
    told: Option<Instant>,
    failures: u64,
}

/// A line to be said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// Since the trouble began.
    pub(super) failures: u64,
    pub(super) lasting: Duration,
}

impl Trouble {
    pub(super) fn failed(&mut self, now: Instant) -> Option<Report> {
        let since = *self.since.get_or_insert(now);
        self.failures += 1;
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < SUMMARY_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(Report { failures: self.failures, lasting: now.saturating_duration_since(since) })
    }

    /// `Some` if that ends a trouble that was told of.
    pub(super) fn succeeded(&mut self, now: Instant) -> Option<Report> {
        let since = self.since.take()?;
        let failures = std::mem::take(&mut self.failures);
        // `told` stays: a call that fails every other time must not get two lines each time.
        let quiet = self.told.is_some_and(|told| told < since);
        (!quiet).then(|| Report { failures, lasting: now.saturating_duration_since(since) })
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
        let told: Vec<u32> = (0..150).filter(|i| trouble.failed(t0 + S * *i).is_some()).collect();
        assert_eq!(told, [0, 60, 120]);
        assert_eq!(trouble.succeeded(t0 + 150 * S), Some(Report { failures: 150, lasting: 150 * S }));
        assert_eq!(trouble.succeeded(t0 + 151 * S), None);
    }

    #[test]
    fn a_call_that_fails_every_other_time_makes_no_noise() {
        let (mut trouble, t0) = (Trouble::default(), start());
        let mut lines = 0;
        for i in 0..600 {
            lines += u32::from(trouble.failed(t0 + S * i).is_some());
            lines += u32::from(trouble.succeeded(t0 + S * i).is_some());
        }
        assert!(lines <= 20, "{lines}");
    }
}
