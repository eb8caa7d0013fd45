//! How long to wait before a camera's next run: quick at first, then ever more rarely, for ever.

use std::time::Duration;

use super::Cause;
use crate::domain::backoff::Backoff;
use crate::domain::dice::Dice;

/// The pauses of each kind of failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Rungs {
    pub usual: Backoff,
    /// A person may have to mend it, or the camera is not wholly up yet.
    pub slow: Backoff,
    /// A person has to mend it; slow, so that cameras do not lock the account.
    pub rare: Backoff,
}

impl Default for Rungs {
    fn default() -> Self {
        let (secs, millis) = (Duration::from_secs, Duration::from_millis);
        Self {
            usual: Backoff { first: millis(500), most: secs(60) },
            slow: Backoff { first: secs(2), most: secs(300) },
            rare: Backoff { first: secs(60), most: secs(900) },
        }
    }
}

/// So many doubling pauses; then they grow by half each time, so that a camera which reboots in 10 s is not kept
/// waiting for 16.
const QUICK: u32 = 3;
const GROWTH: f64 = 1.5;

/// The longest pause of a camera that is well: the video between its jumps is worth having.
const WELL: Duration = Duration::from_secs(5);

/// Its last quick pause, grown as befits this many failures.
fn gentler(backoff: Backoff, failures: u32) -> Backoff {
    let steps = i32::try_from(failures.saturating_sub(QUICK)).unwrap_or(i32::MAX);
    // Beyond 40 steps it is the most in any case.
    let first = backoff.first.mul_f64(GROWTH.powi(steps.min(40)));
    Backoff { first: first.min(backoff.most), ..backoff }
}

/// Failures since the last good run, counted for each kind by itself: a camera that was away for a night and then
/// refuses the password once is not left alone for a quarter of an hour.
#[derive(Debug)]
pub(super) struct Ladder {
    rungs: Rungs,
    usual: u32,
    slow: u32,
    rare: u32,
    encoder: u32,
}

impl Ladder {
    pub(super) fn new(rungs: Rungs) -> Self {
        Self { rungs, usual: 0, slow: 0, rare: 0, encoder: 0 }
    }

    pub(super) fn failures(&self) -> u32 {
        [self.slow, self.rare, self.encoder].into_iter().fold(self.usual, u32::saturating_add)
    }

    /// By a camera, so often in a row.
    pub(super) fn refusals(&self) -> u32 {
        self.rare
    }

    /// So an earlier ladder counted.
    pub(super) fn was_refused(&mut self, times: u32) {
        self.rare = times;
    }

    /// The last run was a good one.
    pub(super) fn forget(&mut self) {
        (self.usual, self.slow, self.rare, self.encoder) = (0, 0, 0, 0);
    }

    /// One more failure: how long to wait.
    pub(super) fn failed(&mut self, cause: Cause, dice: &mut Dice) -> Duration {
        let first = self.failures() == 0;
        let (backoff, count) = match cause {
            Cause::Auth => (self.rungs.rare, &mut self.rare),
            Cause::NotFound => (self.rungs.slow, &mut self.slow),
            Cause::Encoder => (self.rungs.usual, &mut self.encoder),
            _ => (self.rungs.usual, &mut self.usual),
        };
        *count = count.saturating_add(1);
        // The camera is well, only its stream became another one.
        let is_well = matches!(
            cause,
            Cause::ClockJumped | Cause::SoundJumped | Cause::PictureChanged | Cause::StreamChanged
        );
        // So it is when an encoder died, and the next run has another one (`domain::encoder`).
        let is_replaced = cause == Cause::Encoder && *count == 1;
        if first && is_well || is_replaced {
            return Duration::ZERO;
        }
        let backoff = if is_well { Backoff { most: backoff.most.min(WELL), ..backoff } } else { backoff };
        let backoff = if *count > QUICK { gentler(backoff, *count) } else { backoff };
        backoff.delay((*count).min(QUICK), dice.unit())
    }
}
