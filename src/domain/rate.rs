//! How often one client may ask: a token bucket per client, in a table that nobody can make grow.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Between two requests, on the long run.
    pub interval: Duration,
    /// As many may come at once.
    pub burst: u32,
}

/// Buckets by client. One that has refilled is forgotten.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    most: usize,
    /// When each bucket is full again.
    full_at: HashMap<K, Instant>,
    /// The bucket of all for whom there is no room.
    others: Option<Instant>,
    tidied: Option<Instant>,
}

const TIDY_EVERY: Duration = Duration::from_secs(1);

impl<K: Eq + Hash> Buckets<K> {
    /// `most` clients have a bucket of their own.
    pub fn new(rate: Rate, most: usize) -> Self {
        Self { rate, most, full_at: HashMap::new(), others: None, tidied: None }
    }

    /// Takes one, or says when there is one again.
    pub fn take(&mut self, client: K, now: Instant) -> Result<(), Duration> {
        if self.full_at.len() >= self.most && !self.full_at.contains_key(&client) {
            self.tidy(now);
        }
        let has_room = self.full_at.len() < self.most || self.full_at.contains_key(&client);
        let full_at =
            if has_room { self.full_at.entry(client).or_insert(now) } else { self.others.get_or_insert(now) };
        // A bucket that lacks `burst` is empty.
        let after = (*full_at).max(now) + self.rate.interval;
        let lacks = after - now;
        let most = self.rate.interval * self.rate.burst;
        if lacks > most {
            return Err(lacks - most);
        }
        *full_at = after;
        Ok(())
    }

    /// Until one may be taken.
    pub fn pause(&self, client: &K, now: Instant) -> Duration {
        let others = self.others.as_ref().filter(|_| self.full_at.len() >= self.most);
        let full_at = self.full_at.get(client).or(others);
        let after = full_at.map_or(now, |at| (*at).max(now)) + self.rate.interval;
        (after - now).saturating_sub(self.rate.interval * self.rate.burst)
    }

    /// All are looked at, so not at each request.
    fn tidy(&mut self, now: Instant) {
        if self.tidied.is_none_or(|at| now.saturating_duration_since(at) >= TIDY_EVERY) {
            self.tidied = Some(now);
            self.full_at.retain(|_, full_at| *full_at > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::test_time::start;

    const MS: Duration = Duration::from_millis(1);
    const TEN_A_SECOND: Rate = Rate { interval: Duration::from_millis(100), burst: 3 };

    #[test]
    fn a_burst_is_free_and_then_it_is_one_by_one() {
        let (mut buckets, t0) = (Buckets::new(TEN_A_SECOND, 10), start());
        for _ in 0..3 {
            assert_eq!(buckets.take("a", t0), Ok(()));
        }
        assert_eq!(buckets.pause(&"a", t0), 100 * MS);
        assert_eq!(buckets.take("a", t0), Err(100 * MS));
        assert_eq!(buckets.pause(&"b", t0), Duration::ZERO);
        assert_eq!(buckets.take("b", t0), Ok(()), "each client has its own");
        assert_eq!(buckets.take("a", t0 + 99 * MS), Err(MS), "what was refused costs nothing");
        assert_eq!(buckets.take("a", t0 + 100 * MS), Ok(()));
        assert_eq!(buckets.take("a", t0 + 100 * MS), Err(100 * MS));
        for _ in 0..3 {
            assert_eq!(buckets.take("a", t0 + 1000 * MS), Ok(()), "it does not fill above its brim");
        }
        assert!(buckets.take("a", t0 + 1000 * MS).is_err());
    }

    #[test]
    fn many_clients_share_what_room_there_is() {
        let (mut buckets, t0) = (Buckets::new(TEN_A_SECOND, 2), start());
        for client in 0..5 {
            assert_eq!(buckets.take(client, t0), Ok(()));
        }
        assert!(buckets.take(5, t0).is_err(), "3 others had the burst of all others");
        assert_eq!(buckets.take(0, t0), Ok(()), "who has a bucket keeps it");
        assert_eq!(buckets.full_at.len(), 2);
        assert_eq!(buckets.take(6, t0 + 1100 * MS), Ok(()));
        assert_eq!(buckets.full_at.len(), 1, "full ones were forgotten");
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_the_rate(steps in prop::collection::vec((0u8..4, 0u64..200), 1..300)) {
            let (mut buckets, t0) = (Buckets::new(TEN_A_SECOND, 3), start());
            let (mut now, mut taken) = (t0, [0u32; 4]);
            for (client, ms) in steps {
                now += Duration::from_millis(ms);
                match buckets.take(client, now) {
                    Ok(()) => taken[usize::from(client)] += 1,
                    Err(wait) => prop_assert!(!wait.is_zero() && wait <= TEN_A_SECOND.interval),
                }
                prop_assert!(buckets.full_at.len() <= 3);
            }
            let fair = 3 + u32::try_from((now - t0).as_millis() / 100).unwrap();
            // A client may change between its own bucket and that of the others.
            prop_assert!(taken.iter().all(|taken| *taken <= 2 * fair), "{taken:?} of {fair}");
        }
    }
}
