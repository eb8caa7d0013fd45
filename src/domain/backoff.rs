//! How long to wait before the next try.

use std::time::Duration;

/// Exponential growth from `first` to `most`, each delay shortened by up to half at random so that many
/// boxes do not come back in step after an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub most: Duration,
}

impl Backoff {
    /// The delay after `failures` failures in a row (1 or more); `unit_random` in `0.0..1.0`.
    pub fn delay(&self, failures: u32, unit_random: f64) -> Duration {
        let doubled =
            self.first.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.most).mul_f64(1.0 - unit_random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUICK: Backoff = Backoff { first: Duration::from_millis(500), most: Duration::from_secs(30) };

    #[test]
    fn delays_double_up_to_the_most() {
        let delays: Vec<_> = (1..=8).map(|n| QUICK.delay(n, 0.0).as_millis()).collect();
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    }

    proptest! {
        #[test]
        fn a_delay_is_bounded_and_never_zero(failures in 0u32.., unit in 0.0f64..1.0) {
            let delay = QUICK.delay(failures, unit);
            prop_assert!(delay >= QUICK.first / 2 && delay <= QUICK.most);
        }
    }
}
