//! What each running stream may take of the spool. A thousand cameras that nobody watches take nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::domain::quota::Division;

/// Bytes of one stream's spool; they may change while it runs.
#[derive(Debug, Clone)]
pub struct Share(Arc<AtomicU64>);

impl Share {
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Its stream needs no spool any more. Dropping all clones does the same.
    pub fn give_back(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// The whole spool, and who has what of it.
#[derive(Debug)]
pub struct SpoolShares {
    always: Share,
    /// `None`: everybody has what those have that always run.
    on_demand: Option<Mutex<OnDemand>>,
}

#[derive(Debug)]
struct OnDemand {
    division: Division,
    taken: Vec<Weak<AtomicU64>>,
}

impl SpoolShares {
    pub fn of(division: Division) -> Self {
        let on_demand = OnDemand { division, taken: Vec::new() };
        Self { on_demand: Some(Mutex::new(on_demand)), ..Self::from(division.share()) }
    }

    /// Of a camera that always runs.
    pub fn always(&self) -> Share {
        self.always.clone()
    }

    /// Of one that runs on demand, which needs `least`. `None`: others have it all.
    pub fn on_demand(&self, least: u64) -> Option<Share> {
        let Some(on_demand) = &self.on_demand else { return Some(self.always()) };
        on_demand.lock().unwrap_or_else(PoisonError::into_inner).take(least)
    }

    /// Another limit, or other cameras: those that run have less from now on if it has to be.
    pub fn divide(&self, division: Division) {
        self.always.0.store(division.share(), Ordering::Relaxed);
        if let Some(on_demand) = &self.on_demand {
            on_demand.lock().unwrap_or_else(PoisonError::into_inner).divide(division);
        }
    }
}

/// Everybody has so much.
impl From<u64> for SpoolShares {
    fn from(bytes: u64) -> Self {
        Self { always: Share(Arc::new(bytes.into())), on_demand: None }
    }
}

impl OnDemand {
    fn take(&mut self, least: u64) -> Option<Share> {
        let taken = self.taken().iter().map(Share::bytes).sum();
        let share = Arc::new(AtomicU64::new(self.division.on_demand(taken, least)?));
        self.taken.push(Arc::downgrade(&share));
        Some(Share(share))
    }

    fn divide(&mut self, division: Division) {
        self.division = division;
        let shares = self.taken();
        let taken: u64 = shares.iter().map(Share::bytes).sum();
        if taken > division.pool() {
            for Share(share) in shares {
                let part = u128::from(division.pool()) * u128::from(share.load(Ordering::Relaxed));
                share.store((part / u128::from(taken)) as u64, Ordering::Relaxed);
            }
        }
    }

    /// Forgets what was given back.
    fn taken(&mut self) -> Vec<Share> {
        let shares: Vec<_> = self.taken.iter().filter_map(Weak::upgrade).map(Share).collect();
        let shares: Vec<_> = shares.into_iter().filter(|share| share.bytes() > 0).collect();
        self.taken = shares.iter().map(|Share(share)| Arc::downgrade(share)).collect();
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn division(limit: u64, always: usize, on_demand: usize) -> Division {
        Division { limit, always, on_demand }
    }

    #[test]
    fn what_is_taken_comes_back_by_word_or_by_its_end() {
        let shares = SpoolShares::of(division(100, 1, 1));
        assert_eq!(shares.always().bytes(), 50);
        let one = shares.on_demand(10).unwrap();
        assert_eq!((one.bytes(), shares.on_demand(10).is_none()), (50, true));
        drop(one.clone());
        assert!(shares.on_demand(10).is_none(), "a clone is not the last");
        one.give_back();
        let two = shares.on_demand(10).unwrap();
        drop((one, two));
        assert!(shares.on_demand(10).is_some());
    }

    #[test]
    fn a_new_division_holds_for_those_that_run() {
        let shares = SpoolShares::of(division(100, 1, 1));
        let (always, one) = (shares.always(), shares.on_demand(10).unwrap());
        shares.divide(division(60, 2, 1));
        assert_eq!((always.bytes(), one.bytes()), (20, 20));
        shares.divide(division(300, 2, 1));
        assert_eq!((always.bytes(), one.bytes()), (100, 20), "a later start gets more");
        let (alike, two) = (SpoolShares::from(7), SpoolShares::from(7).on_demand(9).unwrap());
        assert_eq!((alike.always().bytes(), two.bytes()), (7, 7));
    }
}
