//! What one camera's ffmpegs take of the machine: sampled while they run, added up over all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::sys::usage::{Usage, of_family};

/// Of CPU time what a run takes after its last sample is missing.
const EVERY: Duration = Duration::from_secs(5);

/// It outlives a camera's engines. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct FfmpegUse(Arc<Mutex<Usage>>);

impl FfmpegUse {
    /// CPU time of all runs so far, memory of those that run now.
    pub fn read(&self) -> Usage {
        *self.total()
    }

    fn total(&self) -> MutexGuard<'_, Usage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of one run.
#[derive(Debug)]
pub(super) struct Sampler {
    of: FfmpegUse,
    pid: Option<u32>,
    next: Instant,
    /// What of it is in the total.
    counted: Usage,
}

impl Sampler {
    pub(super) fn new(of: FfmpegUse, pid: Option<u32>, now: Instant) -> Self {
        Self { of, pid, next: now, counted: Usage::default() }
    }

    /// Looks, if it is time.
    pub(super) fn look(&mut self, now: Instant) {
        if now >= self.next {
            self.next = now + EVERY;
            if let Some(seen) = self.pid.and_then(of_family) {
                self.count(seen);
            }
        }
    }

    /// As it may end now.
    pub(super) fn look_again(&mut self, now: Instant) {
        self.next = now;
        self.look(now);
    }

    /// The time of a child that nobody waited for is lost with it: the sum never goes back.
    fn count(&mut self, seen: Usage) {
        let mut total = self.of.total();
        total.cpu += seen.cpu.saturating_sub(self.counted.cpu);
        total.resident_bytes =
            (total.resident_bytes + seen.resident_bytes).saturating_sub(self.counted.resident_bytes);
        self.counted = Usage { cpu: seen.cpu.max(self.counted.cpu), ..seen };
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.count(Usage { cpu: self.counted.cpu, resident_bytes: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn time_adds_up_over_runs_and_memory_is_that_of_now() {
        const S: Duration = Duration::from_secs(1);
        let total = FfmpegUse::default();
        let sampler = || Sampler::new(total.clone(), None, clock::now());
        let usage = |cpu, resident_bytes| Usage { cpu, resident_bytes };
        let mut first = sampler();
        first.count(usage(3 * S, 100));
        first.count(usage(5 * S, 80));
        first.count(usage(4 * S, 90));
        assert_eq!(total.read(), usage(5 * S, 90), "it does not go back");
        let mut second = sampler();
        second.count(usage(S, 10));
        drop(first);
        assert_eq!(total.read(), usage(6 * S, 10));
        drop(second);
        assert_eq!(total.read(), usage(6 * S, 0));
    }
}
