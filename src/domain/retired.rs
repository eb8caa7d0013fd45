//! Objects that are to be deleted, each not before its time.
//!
//! RFC 8216 6.2.2: an object stays fetchable, after it left the playlist, for its own duration plus that of
//! the longest playlist that named it. It has left only when a playlist without it is *stored*.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::gate::{Failure, Gate};
use super::key::ObjectKey;

/// One deletion call takes no more objects than any store allows, those of all renditions counted.
const MOST_PER_CALL: usize = 1000;
/// After calls that failed, as for want of time: a store without batches deletes so many at once.
const LEAST_PER_CALL: usize = 8;
/// If a store refuses every deletion, this many keys are remembered; a sweep finds the others.
const MOST_KEYS: usize = 10_000;

#[derive(Debug)]
pub struct Retired {
    /// Left the window; a playlist without them is yet to be stored: (generation that drops it, key, hold).
    leaving: VecDeque<(u64, ObjectKey, Duration)>,
    /// To be deleted at this time.
    due: HashMap<ObjectKey, Instant>,
    deleting: Vec<ObjectKey>,
    /// In one call, for now.
    most: usize,
    gate: Gate,
    /// How long a due key may wait for company.
    coalesce: Duration,
    forgotten: u64,
}

impl Retired {
    pub fn new(coalesce: Duration, dice: Dice) -> Self {
        Self {
            leaving: VecDeque::new(),
            due: HashMap::new(),
            deleting: Vec::new(),
            most: MOST_PER_CALL,
            gate: Gate::new(Duration::from_secs(30), dice),
            coalesce,
            forgotten: 0,
        }
    }

    /// See [`Gate::reopen`].
    pub fn reopen(&mut self) {
        self.gate.reopen();
    }

    /// `key` is in no playlist from `generation` on.
    pub fn leaves(&mut self, generation: u64, key: ObjectKey, hold: Duration) {
        self.leaving.push_back((generation, key, hold));
    }

    /// The playlist of `generation` is what viewers see now: the holds of what it dropped begin.
    pub fn playlist_stored(&mut self, now: Instant, generation: u64) {
        while let Some((_, key, hold)) = self.leaving.pop_front_if(|(left, ..)| *left <= generation) {
            self.condemn(key, now + hold);
        }
    }

    /// To be deleted at `due`; no playlist names it. `false`: there are too many, it is left to a sweep.
    pub fn condemn(&mut self, key: ObjectKey, due: Instant) -> bool {
        if self.due.len() >= MOST_KEYS {
            self.forgotten += 1;
            return false;
        }
        // Another attempt to store it may land as late as was reckoned with before.
        let at = self.due.entry(key).or_insert(due);
        *at = due.max(*at);
        true
    }

    /// The next deletion, if one may start now.
    pub fn start(&mut self, now: Instant) -> Option<Vec<ObjectKey>> {
        if !self.deleting.is_empty() || self.call_at().is_none_or(|at| now < at) {
            return None;
        }
        let ripe = self.due.iter().filter(|(_, due)| **due <= now).map(|(key, _)| key);
        let mut objects = 0;
        let fits = |key: &&ObjectKey| {
            objects += key.renditions().count();
            objects <= self.most.max(key.renditions().count())
        };
        let mut keys: Vec<_> = ripe.take_while(fits).cloned().collect();
        keys.sort();
        self.deleting.clone_from(&keys);
        Some(keys)
    }

    fn call_at(&self) -> Option<Instant> {
        let wait = self.due.values().min()?.checked_add(self.coalesce)?;
        Some(self.gate.opens_at().map_or(wait, |opens| wait.max(opens)))
    }

    pub fn deleted(&mut self) {
        self.gate.succeeded();
        self.most = (2 * self.most).min(MOST_PER_CALL);
        for key in self.deleting.drain(..) {
            self.due.remove(&key);
        }
    }

    pub fn delete_failed(&mut self, now: Instant, failure: Failure) {
        // They stay due: deleting what is gone already is a success.
        self.deleting.clear();
        self.most = (self.most / 2).max(LEAST_PER_CALL);
        self.gate.failed(now, failure);
    }

    /// They are in the playlist again.
    pub fn spare(&mut self, is_listed: impl Fn(&ObjectKey) -> bool) {
        self.leaving.retain(|(_, key, _)| !is_listed(key));
        self.due.retain(|key, _| !is_listed(key));
    }

    /// Leaves all to a sweep.
    pub fn clear(&mut self) {
        self.leaving.clear();
        self.due.clear();
    }

    pub fn contains(&self, key: &ObjectKey) -> bool {
        self.due.contains_key(key) || self.leaving.iter().any(|(_, leaving, _)| leaving == key)
    }

    pub fn is_empty(&self) -> bool {
        self.leaving.is_empty() && self.due.is_empty()
    }

    pub fn is_deleting(&self) -> bool {
        !self.deleting.is_empty()
    }

    /// Keys dropped because the store refused too many deletions.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub fn take_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }

    pub fn deadline(&self) -> Option<Instant> {
        if self.deleting.is_empty() { self.call_at() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::RunId;
    use crate::domain::key::Layout;
    use crate::domain::segment::{Form, SegmentType};
    use crate::domain::test_time::start;

    const S: Duration = Duration::from_secs(1);

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(name)
    }

    #[test]
    fn the_hold_starts_when_the_playlist_without_it_is_stored() {
        let (mut retired, t0) = (Retired::new(Duration::ZERO, Dice::new(1)), start());
        retired.leaves(7, key("a"), 12 * S);
        assert_eq!(retired.deadline(), None, "no playlist without it is stored");
        retired.playlist_stored(t0, 6);
        assert_eq!(retired.deadline(), None, "an older playlist still names it");
        retired.playlist_stored(t0 + 3 * S, 7);
        assert_eq!(retired.deadline(), Some(t0 + 15 * S));
        assert_eq!(retired.start(t0 + 14 * S), None);
        assert_eq!(retired.start(t0 + 15 * S), Some(vec![key("a")]));
        assert_eq!(retired.start(t0 + 15 * S), None, "one call at a time");
        retired.deleted();
        assert_eq!(retired.deadline(), None);
    }

    #[test]
    fn deletions_go_in_batches_and_failed_ones_come_back() {
        let (mut retired, t0) = (Retired::new(S, Dice::new(1)), start());
        retired.condemn(key("a"), t0);
        retired.condemn(key("b"), t0 + S / 2);
        retired.condemn(key("c"), t0 + 9 * S);
        assert_eq!(retired.start(t0), None, "a waits for company");
        assert_eq!(retired.start(t0 + S), Some(vec![key("a"), key("b")]));
        retired.delete_failed(t0 + S, Failure::Retry { after: None });
        let again = retired.deadline().unwrap();
        assert!(again > t0 + S);
        assert_eq!(retired.start(again), Some(vec![key("a"), key("b")]));
    }

    #[test]
    fn a_store_that_refuses_all_deletions_does_not_fill_the_memory() {
        let (mut retired, t0) = (Retired::new(S, Dice::new(1)), start());
        for i in 0..MOST_KEYS + 5 {
            retired.condemn(key(&i.to_string()), t0);
        }
        assert_eq!((retired.due.len(), retired.forgotten()), (MOST_KEYS, 5));
        assert_eq!(retired.start(t0 + S).map(|keys| keys.len()), Some(MOST_PER_CALL));
    }

    /// Some stores take one key at a time, and a call has its limit.
    #[test]
    fn a_store_that_is_too_slow_for_many_gets_fewer_at_once() {
        let (mut retired, mut now) = (Retired::new(S, Dice::new(1)), start());
        for i in 0..2_000 {
            retired.condemn(key(&i.to_string()), now);
        }
        let (mut calls, mut done) = (0, 0);
        while let Some(at) = retired.deadline() {
            now = at;
            let keys = retired.start(now).unwrap().len();
            calls += 1;
            if keys > 300 {
                retired.delete_failed(now, Failure::Retry { after: None });
            } else {
                done += keys;
                retired.deleted();
            }
        }
        assert_eq!(done, 2_000);
        assert!(calls < 30, "{calls}");
        for i in 0..2_000 {
            retired.condemn(key(&i.to_string()), now);
        }
        for _ in 0..20 {
            now = retired.deadline().unwrap();
            assert!(!retired.start(now).unwrap().is_empty(), "never none at all");
            retired.delete_failed(now, Failure::Retry { after: None });
        }
    }

    #[test]
    fn a_call_counts_the_objects_of_all_renditions() {
        let (mut retired, t0) = (Retired::new(S, Dice::new(1)), start());
        let layout = Layout::new(&"loc".parse().unwrap(), &"cam".parse().unwrap());
        let form = Form { kind: SegmentType::MpegTs, renditions: 3 };
        for index in 0..400 {
            retired.condemn(layout.segment(RunId::new(1, 1), index, form), t0);
        }
        let mut calls = || {
            let keys = retired.start(t0 + S)?;
            retired.deleted();
            Some(keys.len())
        };
        assert_eq!((calls(), calls(), calls()), (Some(333), Some(67), None));
    }
}
