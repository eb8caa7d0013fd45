//! A store that treats each call as a script says, and a viewer before it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant, SystemTime};

use super::{S, plan};
use crate::domain::gate::Failure;
use crate::domain::ids::{Msn, RunId};
use crate::domain::key::ObjectKey;
use crate::domain::playlist::{MediaPlaylist, parse, render};
use crate::domain::publication::{Action, Input, Publication, Remote};
use crate::domain::segment::{Payload, Segment};
use crate::domain::test_time::start;
use crate::domain::window::Entry;

/// How the store treats one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) delay_ms: u64,
    /// The call takes effect.
    pub(super) works: bool,
    /// The answer says so. `works && !answers`: an answer lost after the object was stored.
    pub(super) answers: bool,
    pub(super) never: bool,
}

/// A store with a viewer before it: checks the invariants at every change that a viewer can see.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) machine: Publication,
    pub(super) objects: BTreeSet<ObjectKey>,
    pub(super) visible: Option<MediaPlaylist>,
    /// Every object that was ever visible: the MSN it had, the longest playlist, and when it left.
    pub(super) seen: BTreeMap<ObjectKey, Seen>,
    pub(super) pending: Vec<(Instant, Action, Fate)>,
    pub(super) fates: Vec<Fate>,
    next_fate: usize,
    pub(super) run: RunId,
    pub(super) index: u64,
    runs: u32,
    discarded: HashSet<std::path::PathBuf>,
    produced: u64,
}

#[derive(Debug)]
pub(super) struct Seen {
    msn: u64,
    duration: Duration,
    longest: Duration,
    pub(super) left_at: Option<Instant>,
}

impl World {
    pub(super) fn new(fates: Vec<Fate>) -> Self {
        Self {
            now: start(),
            machine: Publication::new(plan(), 42),
            objects: BTreeSet::new(),
            visible: None,
            seen: BTreeMap::new(),
            pending: Vec::new(),
            fates,
            next_fate: 0,
            run: RunId::new(1, 0),
            index: 0,
            runs: 1,
            discarded: HashSet::new(),
            produced: 0,
        }
    }

    pub(super) fn fate(&mut self) -> Fate {
        self.next_fate += 1;
        let kind = Fate { delay_ms: 30, works: true, answers: true, never: false };
        if self.fates.is_empty() { kind } else { self.fates[self.next_fate % self.fates.len()] }
    }

    pub(super) fn produce(&mut self) {
        let path = format!("{}-{}", self.run, self.index).into();
        let segment = Segment {
            run: self.run,
            index: self.index,
            duration: 2 * S,
            program_time: SystemTime::UNIX_EPOCH + Duration::from_secs(2 * self.produced),
            payload: Payload::File { path, bytes: 1000 },
        };
        self.index += 1;
        self.produced += 1;
        self.machine.handle(self.now, Input::Produced(segment));
        self.drain();
    }

    pub(super) fn new_run(&mut self) {
        self.run = RunId::new(1, self.runs);
        self.runs += 1;
        self.index = 0;
    }

    /// kill -9: all that the machine knew is gone; calls on their way may still land.
    pub(super) fn crash(&mut self) {
        self.machine = Publication::new(plan(), u64::from(self.runs));
        for (at, action, fate) in std::mem::take(&mut self.pending) {
            // What left the dead agent's machine lands before the next one reads (see `Takeover::Idle`).
            if at <= self.now + S {
                self.take_effect(&action, fate);
            }
        }
        self.new_run();
    }

    pub(super) fn drain(&mut self) {
        for _ in 0..200 {
            let Some(action) = self.machine.poll(self.now) else {
                let deadline = self.machine.deadline();
                assert!(deadline.is_none_or(|at| at > self.now), "spins: {:?}", self.machine);
                return;
            };
            if let Action::Discard(Payload::File { path, .. }) = &action {
                assert!(self.discarded.insert(path.clone()), "discarded twice");
                continue;
            }
            let playlists =
                self.pending.iter().filter(|(_, a, _)| matches!(a, Action::PutPlaylist(_))).count();
            assert!(
                playlists == 0 || !matches!(action, Action::PutPlaylist(_)),
                "two playlist PUTs under way"
            );
            let fate = self.fate();
            self.pending.push((self.now + Duration::from_millis(fate.delay_ms), action, fate));
        }
        panic!("never drained");
    }

    pub(super) fn step(&mut self, until: Instant) {
        loop {
            let answer = self.pending.iter().map(|(at, ..)| *at).min();
            let next = [answer, self.machine.deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= until) else { break };
            self.now = next.max(self.now);
            if let Some(i) = self.pending.iter().position(|(at, ..)| *at <= self.now) {
                let (_, action, fate) = self.pending.remove(i);
                self.take_effect(&action, fate);
                self.answer(action, fate);
            }
            self.drain();
        }
        self.now = until;
    }

    pub(super) fn take_effect(&mut self, action: &Action, fate: Fate) {
        if !fate.works {
            return;
        }
        match action {
            Action::Put { key, .. } => drop(self.objects.insert(key.clone())),
            Action::PutPlaylist(playlist) => self.becomes_visible(playlist),
            Action::Delete(keys) => keys.iter().for_each(|key| self.delete(key)),
            _ => {}
        }
    }

    pub(super) fn answer(&mut self, action: Action, fate: Fate) {
        let ok = fate.works && fate.answers;
        let failure = if fate.never { Failure::Never } else { Failure::Retry { after: None } };
        let input = match action {
            Action::ReadRemote if ok => Input::Remote(match &self.visible {
                None => Remote::Absent { first: Msn(500) },
                Some(playlist) => Remote::Found(parse(&render(playlist), &plan().layout).unwrap()),
            }),
            Action::ReadRemote => Input::RemoteFailed(failure),
            Action::Put { ticket, .. } if ok => Input::Stored(ticket),
            Action::Put { ticket, .. } => Input::StoreFailed(ticket, failure),
            Action::PutPlaylist(_) if ok => Input::PlaylistStored,
            Action::PutPlaylist(_) => Input::PlaylistFailed(failure),
            Action::Delete(_) if ok => Input::Deleted,
            Action::Delete(_) => Input::DeleteFailed(failure),
            Action::List if ok => Input::Listed(self.objects.iter().cloned().collect()),
            Action::List => Input::ListFailed(failure),
            Action::Discard(_) => return,
        };
        self.machine.handle(self.now, input);
    }

    pub(super) fn becomes_visible(&mut self, new: &MediaPlaylist) {
        assert!(new.entries.len() <= 20);
        if let Some(old) = &self.visible {
            assert!(new.media_sequence >= old.media_sequence, "media sequence went back");
            assert!(new.discontinuity_sequence >= old.discontinuity_sequence);
            let last = |p: &MediaPlaylist| p.entries.last().map(|e| e.msn);
            assert!(last(new) >= last(old), "live edge went back");
        }
        for (i, entry) in new.entries.iter().enumerate() {
            assert_eq!(entry.msn.0, new.media_sequence + i as u64);
            assert!(self.objects.contains(&entry.key), "names {} which is not stored", entry.key);
            let first =
                Seen { msn: entry.msn.0, duration: entry.duration, longest: Duration::ZERO, left_at: None };
            let seen = self.seen.entry(entry.key.clone()).or_insert(first);
            assert_eq!(seen.msn, entry.msn.0, "{} was renumbered", entry.key);
            assert!(seen.left_at.is_none(), "{} came back", entry.key);
            seen.longest = seen.longest.max(new.duration());
        }
        self.check_numbers(new);
        for (key, seen) in &mut self.seen {
            if seen.left_at.is_none() && !new.entries.iter().any(|e| e.key == *key) {
                seen.left_at = Some(self.now);
            }
        }
        self.visible = Some(new.clone());
    }

    pub(super) fn check_numbers(&self, new: &MediaPlaylist) {
        for pair in new.entries.windows(2) {
            let path = |e: &Entry| plan().layout.run_of(&e.key).map(|run| (run, e.key.clone()));
            let (Some((run_a, _)), Some((run_b, _))) = (path(&pair[0]), path(&pair[1])) else { continue };
            let index = |e: &Entry| e.key.as_str()[e.key.as_str().len() - 9..][..6].parse::<u64>().unwrap();
            let continuous = run_a == run_b && index(&pair[0]) + 1 == index(&pair[1]);
            assert!(continuous || pair[1].discontinuity, "a break without a mark: {pair:?}");
            let elsewhere = self.seen.iter().find(|(k, s)| s.msn == pair[0].msn.0 && **k != pair[0].key);
            assert!(elsewhere.is_none(), "number {} names two objects", pair[0].msn);
        }
    }

    pub(super) fn delete(&mut self, key: &ObjectKey) {
        if let Some(seen) = self.seen.get(key) {
            let left = seen.left_at.expect("a visible object was deleted");
            let hold = seen.duration + seen.longest;
            assert!(self.now >= left + hold, "{key} was deleted {:?} too early", left + hold - self.now);
        }
        self.objects.remove(key);
    }

    /// The store becomes well: soon all is published, and nothing is left over.
    pub(super) fn settle(&mut self) {
        self.fates.clear();
        self.produce();
        self.step(self.now + 400 * S);
        assert!(self.machine.is_drained(), "{:?}", self.machine);
        assert!(self.pending.is_empty());
        let listed: BTreeSet<_> =
            self.visible.iter().flat_map(|p| &p.entries).map(|e| e.key.clone()).collect();
        assert_eq!(self.objects, listed, "orphans, or listed but missing");
        assert_eq!(self.machine.progress().backlog, 0);
    }
}
