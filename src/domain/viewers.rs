//! How many watch a stream: whoever asked for its playlist a moment ago, in a table that nobody can make grow.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// A player that plays asks once in a target duration (RFC 8216 6.3.4), and a machine may stand still.
const TARGETS: u32 = 3;
/// Who has a stream in parts asks for its playlist each 10 s.
const AT_LEAST: Duration = Duration::from_secs(15);

/// Whoever has not asked for so long is not there any more.
pub fn stays(target_duration: Duration) -> Duration {
    (TARGETS * target_duration).max(AT_LEAST)
}

/// Of one stream.
#[derive(Debug)]
pub struct Viewers<K> {
    most: usize,
    until: HashMap<K, Instant>,
}

impl<K: Eq + Hash> Viewers<K> {
    /// No more than `most` are counted.
    pub fn new(most: usize) -> Self {
        Self { most, until: HashMap::new() }
    }

    /// This one is there, until then at least.
    pub fn saw(&mut self, viewer: K, now: Instant, stays: Duration) {
        if self.until.len() >= self.most && !self.until.contains_key(&viewer) {
            self.tidy(now);
        }
        if self.until.len() < self.most || self.until.contains_key(&viewer) {
            self.until.insert(viewer, now + stays);
        }
    }

    pub fn count(&self, now: Instant) -> usize {
        self.until.values().filter(|until| **until > now).count()
    }

    /// Forgets those who left.
    pub fn tidy(&mut self, now: Instant) {
        self.until.retain(|_, until| *until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_time::start;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn each_viewer_counts_once_and_until_he_stops_asking() {
        let (mut viewers, t0) = (Viewers::new(10), start());
        for (at, viewer) in [(0, "a"), (1, "b"), (2, "a"), (9, "a")] {
            viewers.saw(viewer, t0 + at * S, 10 * S);
        }
        assert_eq!([0, 10, 11, 18, 19].map(|at| viewers.count(t0 + at * S)), [2, 2, 1, 1, 0]);
    }

    #[test]
    fn the_table_has_a_bound_and_room_for_new_ones_when_others_left() {
        let (mut viewers, t0) = (Viewers::new(3), start());
        for viewer in 0..1_000 {
            viewers.saw(viewer, t0, 10 * S);
        }
        assert_eq!((viewers.count(t0), viewers.until.len()), (3, 3));
        viewers.saw(1, t0 + 5 * S, 10 * S);
        viewers.saw(7_000, t0 + 10 * S, 10 * S);
        assert_eq!((viewers.count(t0 + 10 * S), viewers.until.len()), (2, 2));
    }

    #[test]
    fn who_asks_once_in_a_target_duration_stays() {
        assert_eq!(stays(2 * S), 15 * S);
        assert_eq!(stays(6 * S), 18 * S);
    }
}
