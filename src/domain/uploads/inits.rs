//! The init objects of fMP4 runs: stored before any playlist names them, and there as long as a segment needs them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Ticket, Uploads};
use crate::domain::fmp4::Header;
use crate::domain::key::ObjectKey;

#[derive(Debug, Default)]
pub(super) struct Inits {
    objects: HashMap<ObjectKey, Init>,
}

#[derive(Debug)]
struct Init {
    /// `None`: an earlier agent stored it.
    header: Option<Arc<Header>>,
    state: State,
    /// An attempt failed, and may have stored it all the same.
    tried: bool,
    /// What the segments that left the window need; `None`: no playlist named one.
    hold: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    InFlight(Ticket),
    /// The same, and nothing needs it any more.
    Abandoned(Ticket),
    Stored,
}

/// The upload of an init object that starts: of all renditions.
#[derive(Debug, Clone, PartialEq)]
pub struct StartInit {
    pub ticket: Ticket,
    pub key: ObjectKey,
    pub header: Arc<Header>,
}

/// An init object that no segment needs any more.
#[derive(Debug, PartialEq)]
pub struct Unused {
    pub key: ObjectKey,
    /// How long it is to stay; `None`: nothing ever named it.
    pub hold: Option<Duration>,
}

impl Inits {
    /// A segment that waits needs it.
    pub(super) fn need(&mut self, key: ObjectKey, header: Arc<Header>) {
        let new = Init { header: None, state: State::Waiting, tried: false, hold: None };
        self.objects.entry(key).or_insert(new).header = Some(header);
    }

    /// A playlist that was read names a segment that needs it.
    pub(super) fn found(&mut self, key: ObjectKey) {
        let new = Init { header: None, state: State::Stored, tried: true, hold: None };
        let init = self.objects.entry(key).or_insert(new);
        if let State::Abandoned(_) = init.state {
            init.state = State::Stored;
        }
    }

    /// A segment that needs it leaves the window, and is held for so long.
    pub(super) fn hold(&mut self, key: &ObjectKey, hold: Duration) {
        if let Some(init) = self.objects.get_mut(key) {
            init.hold = init.hold.max(Some(hold));
        }
    }

    /// The header to store, if it is to be stored and nobody does.
    pub(super) fn waiting(&self, key: &ObjectKey) -> Option<&Arc<Header>> {
        let init = self.objects.get(key).filter(|init| init.state == State::Waiting)?;
        init.header.as_ref()
    }

    pub(super) fn started(&mut self, key: &ObjectKey, ticket: Ticket) {
        if let Some(init) = self.objects.get_mut(key) {
            init.state = State::InFlight(ticket);
        }
    }

    /// `false`: the ticket is not of an init object.
    pub(super) fn answered(&mut self, ticket: Ticket, stored: bool) -> bool {
        let is_it = |state| matches!(state, State::InFlight(own) | State::Abandoned(own) if own == ticket);
        let Some((key, init)) = self.objects.iter_mut().find(|(_, init)| is_it(init.state)) else {
            return false;
        };
        if let State::Abandoned(_) = init.state {
            let key = key.clone();
            self.objects.remove(&key);
            return true;
        }
        init.state = if stored { State::Stored } else { State::Waiting };
        init.tried = true;
        true
    }

    pub(super) fn is_stored(&self, key: &ObjectKey) -> bool {
        self.objects.get(key).is_some_and(|init| init.state == State::Stored)
    }

    pub(super) fn in_flight(&self) -> usize {
        let under_way = |init: &&Init| matches!(init.state, State::InFlight(_) | State::Abandoned(_));
        self.objects.values().filter(under_way).count()
    }

    pub(super) fn contains(&self, key: &ObjectKey) -> bool {
        self.objects.contains_key(key)
    }

    /// Another agent publishes: it may sweep all of them, and none is needed again (see `Publication::name_of`).
    pub(super) fn clear(&mut self) {
        self.objects.retain(|_, init| {
            let (State::InFlight(ticket) | State::Abandoned(ticket)) = init.state else { return false };
            init.state = State::Abandoned(ticket);
            true
        });
    }

    /// Forgets those that are not used, and returns what may lie in the store. One whose upload is under way waits for
    /// the answer.
    pub(super) fn take_unused(&mut self, is_used: impl Fn(&ObjectKey) -> bool) -> Vec<Unused> {
        let mut unused = Vec::new();
        self.objects.retain(|key, init| {
            let is_under_way = matches!(init.state, State::InFlight(_) | State::Abandoned(_));
            if is_under_way || is_used(key) {
                return true;
            }
            let may_exist = init.tried || init.state == State::Stored;
            unused.extend(may_exist.then(|| Unused { key: key.clone(), hold: init.hold }));
            false
        });
        unused
    }
}

impl Uploads {
    /// The next init object to store, if one may start now: before the segments that need it, or beside them.
    pub fn start_init(&mut self, now: Instant) -> Option<StartInit> {
        let is_probed = self.gate.is_failing() && self.in_flight() + self.inits.in_flight() > 0;
        if !self.gate.is_open(now) || is_probed {
            return None;
        }
        let (key, header) = self.missing_init()?;
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.inits.started(&key, ticket);
        Some(StartInit { ticket, key, header })
    }

    /// When to look at [`Self::start_init`].
    pub fn init_deadline(&self) -> Option<Instant> {
        let is_probed = self.gate.is_failing() && self.in_flight() + self.inits.in_flight() > 0;
        let is_due = !is_probed && self.missing_init().is_some();
        if is_due { self.gate.opens_at() } else { None }
    }

    fn missing_init(&self) -> Option<(ObjectKey, Arc<Header>)> {
        if !self.has_inits() {
            return None;
        }
        let mut needed = self.queue.iter().filter_map(|p| p.outgoing.key.init());
        needed.find_map(|key| self.inits.waiting(&key).cloned().map(|header| (key, header)))
    }

    /// A playlist that was read names this segment: what it needs is stored.
    pub fn init_found(&mut self, segment: &ObjectKey) {
        segment.init().into_iter().for_each(|init| self.inits.found(init));
    }

    /// This segment leaves the window, and is held for so long: what it needs stays as long at least.
    pub fn init_held(&mut self, segment: &ObjectKey, hold: Duration) {
        segment.init().iter().for_each(|init| self.inits.hold(init, hold));
    }

    pub fn has_inits(&self) -> bool {
        !self.inits.objects.is_empty()
    }

    /// The init objects that no segment needs any more, neither here nor where `is_used` knows.
    pub fn take_unused_inits(&mut self, is_used: impl Fn(&ObjectKey) -> bool) -> Vec<Unused> {
        let queued: HashSet<_> = self.queue.iter().filter_map(|p| p.outgoing.key.init()).collect();
        self.inits.take_unused(|key| queued.contains(key) || is_used(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(name)
    }

    #[test]
    fn what_was_under_way_when_another_took_over_is_forgotten() {
        let mut inits = Inits::default();
        inits.need(key("a"), Arc::new(Header::of_tests("x")));
        inits.started(&key("a"), Ticket(1));
        inits.clear();
        assert_eq!(inits.in_flight(), 1, "a stop waits for it");
        assert!(inits.answered(Ticket(1), true) && !inits.contains(&key("a")));
        assert!(!inits.answered(Ticket(1), true), "it is answered once");
    }

    #[test]
    fn what_another_agents_playlist_names_is_stored() {
        let mut inits = Inits::default();
        inits.need(key("a"), Arc::new(Header::of_tests("x")));
        inits.started(&key("a"), Ticket(1));
        inits.clear();
        inits.found(key("a"));
        assert!(!inits.answered(Ticket(1), false) && inits.is_stored(&key("a")));
    }

    #[test]
    fn what_is_not_used_leaves_with_the_longest_hold() {
        let (mut inits, header) = (Inits::default(), Arc::new(Header::of_tests("x")));
        inits.found(key("a"));
        for hold in [3, 9, 4] {
            inits.hold(&key("a"), Duration::from_secs(hold));
        }
        inits.need(key("b"), header.clone());
        inits.need(key("c"), header);
        inits.started(&key("c"), Ticket(1));
        assert_eq!(inits.take_unused(|_| true), []);
        let hold = Some(Duration::from_secs(9));
        assert_eq!(inits.take_unused(|_| false), [Unused { key: key("a"), hold }]);
        assert!(!inits.contains(&key("b")), "nobody stored it");
        assert_eq!(inits.in_flight(), 1);
        inits.answered(Ticket(1), false);
        assert_eq!(inits.take_unused(|_| false), [Unused { key: key("c"), hold: None }]);
    }
}
