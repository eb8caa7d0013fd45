//! When an object beside the stream may be tried again.

use std::time::Duration;

use super::backoff::Backoff;
use super::dice::Dice;
use super::gate::Failure;

/// The object is overwritten: the first pause leaves a PUT without an answer time to land. What the store will never
/// take is not tried every few seconds for months.
const PAUSES: Backoff = Backoff { first: Duration::from_secs(2), most: MOST };
pub const MOST: Duration = Duration::from_secs(600);

/// Failures in a row.
#[derive(Debug)]
pub struct Pauses {
    failures: u32,
    /// What failed last was that a person has to act.
    is_refused: bool,
    dice: Dice,
}

impl Pauses {
    pub fn new(dice: Dice) -> Self {
        Self { failures: 0, is_refused: false, dice }
    }

    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// How long to wait now.
    pub fn failed(&mut self, failure: Failure) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.is_refused = failure == Failure::Rare;
        let asked = if let Failure::Retry { after } = failure { after } else { None };
        PAUSES.delay(self.failures, self.dice.unit()).max(asked.unwrap_or_default()).min(MOST)
    }

    /// The store has new credentials. `true`: that may mend it, so it is worth a try at once.
    pub fn renewed(&mut self) -> bool {
        let may_mend = self.failures > 0 && self.is_refused;
        if may_mend {
            self.failures = 0;
        }
        may_mend
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_grow_within_bounds_and_a_success_forgets() {
        let mut pauses = Pauses::new(Dice::new(1));
        let grown: Vec<_> = (0..20).map(|_| pauses.failed(Failure::Never)).collect();
        assert!(grown[0] >= S && grown[0] <= 2 * S && grown[19] >= 300 * S && grown[19] <= MOST, "{grown:?}");
        pauses.succeeded();
        assert!(pauses.failed(Failure::Never) <= 2 * S);
    }

    #[test]
    fn the_store_may_ask_for_longer_but_not_for_ever() {
        let mut pauses = Pauses::new(Dice::new(1));
        assert_eq!(pauses.failed(Failure::Retry { after: Some(60 * S) }), 60 * S);
        assert_eq!(pauses.failed(Failure::Retry { after: Some(86_400 * S) }), MOST);
    }

    #[test]
    fn new_credentials_mend_refusals_alone() {
        let mut pauses = Pauses::new(Dice::new(1));
        assert!(!pauses.renewed());
        pauses.failed(Failure::Retry { after: None });
        assert!(!pauses.renewed());
        pauses.failed(Failure::Rare);
        assert!(pauses.renewed() && pauses.failed(Failure::Rare) <= 2 * S);
    }
}
