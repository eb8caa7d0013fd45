//! A camera that is chosen for anew again and again, as it sends something else each time it is looked at.

use std::time::Duration;

use super::backoff::Backoff;

/// A look, a run, and both again: a camera that was set up anew may take a few.
const FREE: u32 = 4;
/// What lasted for so long was no part of it.
const STEADY: Duration = Duration::from_secs(300);
/// The most is below what counts as hanging.
const PAUSES: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };

/// Those in a row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes(u32);

impl Changes {
    /// Another one, after a look or a run that lasted so long: the pause before the next.
    pub fn next_after(&mut self, lasted: Duration) -> Duration {
        self.0 = if lasted >= STEADY { 0 } else { self.0.saturating_add(1) };
        match self.0.saturating_sub(FREE) {
            0 => Duration::ZERO,
            more => PAUSES.delay(more, 0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(5);

    #[test]
    fn a_few_cost_nothing_and_then_pauses_grow() {
        let mut changes = Changes::default();
        let pauses: Vec<_> = (0..12).map(|_| changes.next_after(SHORT).as_secs()).collect();
        assert_eq!(pauses, [0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn what_lasted_begins_anew() {
        let mut changes = Changes::default();
        assert!((0..20).map(|_| changes.next_after(SHORT)).any(|pause| !pause.is_zero()));
        assert_eq!(changes.next_after(STEADY), Duration::ZERO);
        assert_eq!(changes.next_after(SHORT), Duration::ZERO);
    }
}
