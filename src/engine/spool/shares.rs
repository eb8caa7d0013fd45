//! What each running stream may take of the spool. A thousand cameras that nobody watches take nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::domain::ids::CameraId;
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
pub struct SpoolShares(Mutex<Shares>);

#[derive(Debug)]
struct Shares {
    /// `None`: everybody has `each`.
    division: Option<Division>,
    each: u64,
    taken: Vec<Taken>,
}

#[derive(Debug)]
struct Taken {
    camera: CameraId,
    is_always: bool,
    bytes: Weak<AtomicU64>,
}

impl SpoolShares {
    pub fn of(division: Division) -> Self {
        let shares = Shares { division: Some(division), each: division.share(), taken: Vec::new() };
        Self(Mutex::new(shares))
    }

    /// As much as a camera has that always runs; for what is no stream.
    pub fn usual(&self) -> Share {
        Share(Arc::new(self.lock().each.into()))
    }

    /// For a run of this camera, which needs `least` if it runs on demand. `None`: others have it all.
    pub fn take(&self, camera: &CameraId, is_always: bool, least: u64) -> Option<Share> {
        self.lock().take(camera, is_always, least)
    }

    /// Another limit, or other cameras: those that run have less from now on if it has to be. Who of them `is_always` may
    /// have changed, too; `None`: the camera is on its way out, and keeps what it has.
    pub fn divide(&self, division: Division, is_always: impl Fn(&CameraId) -> Option<bool>) {
        self.lock().divide(division, is_always);
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everybody has so much.
impl From<u64> for SpoolShares {
    fn from(each: u64) -> Self {
        Self(Mutex::new(Shares { division: None, each, taken: Vec::new() }))
    }
}

impl Shares {
    fn take(&mut self, camera: &CameraId, is_always: bool, least: u64) -> Option<Share> {
        let taken = self.on_demand().iter().map(Share::bytes).sum();
        let bytes = match self.division.filter(|_| !is_always) {
            Some(division) => division.on_demand(taken, least)?,
            None => self.each,
        };
        let share = Arc::new(AtomicU64::new(bytes));
        let camera = camera.clone();
        self.taken.push(Taken { camera, is_always, bytes: Arc::downgrade(&share) });
        Some(Share(share))
    }

    fn divide(&mut self, division: Division, is_always: impl Fn(&CameraId) -> Option<bool>) {
        (self.division, self.each) = (Some(division), division.share());
        self.taken.retain_mut(|taken| match is_always(&taken.camera) {
            Some(is_always) => {
                taken.is_always = is_always;
                true
            }
            None => false,
        });
        let shares = self.on_demand();
        let sum: u64 = shares.iter().map(Share::bytes).sum();
        for Share(share) in shares.iter().filter(|_| sum > division.pool()) {
            let part = u128::from(division.pool()) * u128::from(share.load(Ordering::Relaxed));
            share.store((part / u128::from(sum)) as u64, Ordering::Relaxed);
        }
        for share in self.with(true) {
            share.0.store(division.share(), Ordering::Relaxed);
        }
    }

    fn on_demand(&mut self) -> Vec<Share> {
        self.with(false)
    }

    /// Those that run always, or the others; forgets what was given back.
    fn with(&mut self, is_always: bool) -> Vec<Share> {
        let share = |taken: &Taken| taken.bytes.upgrade().map(Share).filter(|share| share.bytes() > 0);
        self.taken.retain(|taken| share(taken).is_some());
        self.taken.iter().filter(|taken| taken.is_always == is_always).filter_map(share).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn division(limit: u64, always: usize, on_demand: usize) -> Division {
        Division { limit, always, on_demand }
    }

    fn cam(name: &str) -> CameraId {
        name.parse().unwrap()
    }

    fn on_demand(shares: &SpoolShares) -> Option<Share> {
        shares.take(&cam("d"), false, 10)
    }

    #[test]
    fn what_is_taken_comes_back_by_word_or_by_its_end() {
        let shares = SpoolShares::of(division(100, 1, 1));
        assert_eq!(shares.usual().bytes(), 50);
        let one = on_demand(&shares).unwrap();
        assert_eq!((one.bytes(), on_demand(&shares).is_none()), (50, true));
        drop(one.clone());
        assert!(on_demand(&shares).is_none(), "a clone is not the last");
        one.give_back();
        let two = on_demand(&shares).unwrap();
        drop((one, two));
        assert!(on_demand(&shares).is_some());
    }

    #[test]
    fn a_new_division_holds_for_those_that_run() {
        let shares = SpoolShares::of(division(100, 1, 1));
        let (always, one) = (shares.take(&cam("a"), true, 10).unwrap(), on_demand(&shares).unwrap());
        let as_before = |camera: &CameraId| Some(*camera == cam("a"));
        shares.divide(division(60, 2, 1), as_before);
        assert_eq!((always.bytes(), one.bytes()), (20, 20));
        shares.divide(division(300, 2, 1), as_before);
        assert_eq!((always.bytes(), one.bytes()), (100, 20), "a later start gets more");
        shares.divide(division(300, 2, 0), |camera| (*camera == cam("a")).then_some(true));
        assert_eq!((always.bytes(), one.bytes()), (150, 20), "what ends keeps what it has");
        let (alike, two) = (SpoolShares::from(7), SpoolShares::from(7).take(&cam("d"), false, 9).unwrap());
        assert_eq!((alike.usual().bytes(), two.bytes()), (7, 7));
    }

    #[test]
    fn a_stream_on_demand_that_always_runs_from_now_on_has_what_those_have() {
        let shares = SpoolShares::of(division(100, 1, 1));
        let one = on_demand(&shares).unwrap();
        shares.divide(division(100, 2, 0), |_| Some(true));
        assert_eq!(one.bytes(), 50);
    }

    #[test]
    fn one_that_always_ran_gives_back_its_own_and_counts_until_then() {
        let shares = SpoolShares::of(division(100, 2, 0));
        let [a, b] = ["a", "b"].map(|name| shares.take(&cam(name), true, 10).unwrap());
        shares.divide(division(100, 1, 1), |camera| Some(*camera == cam("a")));
        assert!(on_demand(&shares).is_none(), "`b` still has it");
        b.give_back();
        assert_eq!((a.bytes(), on_demand(&shares).unwrap().bytes()), (50, 50));
    }
}
