//! When a moment of a run was, by the clock: what came earliest tells, as anything can be late and nothing early.

use std::time::{Duration, SystemTime};

/// What a camera's clock may be slower, per arrival.
const DRIFT: Duration = Duration::from_micros(200);
/// Later than this for a while, and the clock was set.
const MOST_LATE: Duration = Duration::from_secs(2);
const WHILE: u32 = 15;

#[derive(Debug, Clone, Default)]
pub struct Arrivals {
    /// Of the run's first moment.
    origin: Option<SystemTime>,
    late: u32,
}

impl Arrivals {
    /// What ends so far behind the run's first moment came at this time.
    pub fn came(&mut self, at: SystemTime, end: Duration) {
        let Some(began) = at.checked_sub(end) else { return };
        let late = self.origin.and_then(|origin| began.duration_since(origin).ok());
        self.late = if late.is_some_and(|late| late > MOST_LATE) { self.late + 1 } else { 0 };
        let followed = late.zip(self.origin).and_then(|(late, origin)| origin.checked_add(late.min(DRIFT)));
        self.origin = followed.filter(|_| self.late < WHILE).or(Some(began));
    }

    /// `None`: nothing came yet.
    pub fn when(&self, end: Duration) -> Option<SystemTime> {
        self.origin?.checked_add(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_000 + ms)
    }

    /// Parts of 0.2 s, each so much later than it should be.
    fn after(late_ms: &[u64]) -> SystemTime {
        let mut arrivals = Arrivals::default();
        let mut end = Duration::ZERO;
        for late in late_ms {
            end += 200 * MS;
            arrivals.came(at(end.as_millis() as u64 + late), end);
        }
        arrivals.when(end).unwrap()
    }

    fn ms(late_ms: &[u64]) -> u64 {
        let told = after(late_ms).duration_since(at(200 * late_ms.len() as u64)).unwrap();
        told.as_millis() as u64
    }

    #[test]
    fn the_earliest_tells() {
        assert_eq!(ms(&[300, 200, 250, 60, 90, 400]), 60);
        assert_eq!(Arrivals::default().when(MS), None);
    }

    #[test]
    fn a_slow_clock_is_followed_and_a_hold_up_is_not() {
        let drifts: Vec<u64> = (0..1000).map(|part| part / 10).collect();
        assert!(ms(&drifts).abs_diff(99) < 3, "100 ms in 200 s");
        assert!(ms(&[[20; 10], [3000; 10], [20; 10]].concat()) < 30);
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        assert_eq!(ms(&[[20; 10], [60_000; 10], [60_000; 10]].concat()), 60_000);
        let mut arrivals = Arrivals::default();
        arrivals.came(at(50_000), 200 * MS);
        arrivals.came(at(400), 400 * MS);
        assert_eq!(arrivals.when(400 * MS), Some(at(400)));
    }
}
