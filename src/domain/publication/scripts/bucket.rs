//! What lies in the store, and what viewers saw of it: checks the invariants at every change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::parts::{PARTS, part_of};
use super::{DEPTH, plan};
use crate::domain::gate::Failure;
use crate::domain::ids::Msn;
use crate::domain::key::ObjectKey;
use crate::domain::playlist::{MediaPlaylist, parse, render};
use crate::domain::publication::{Action, Input, Remote};
use crate::domain::segment::SegmentType;
use crate::domain::window::{Entry, Window};

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

#[derive(Default)]
pub(super) struct Bucket {
    pub(super) objects: BTreeSet<ObjectKey>,
    /// What each init object was stored with.
    pub(super) inits: BTreeMap<ObjectKey, Bytes>,
    pub(super) visible: Option<MediaPlaylist>,
    /// Every object that was ever visible: the MSN it had, the longest playlist, and when it left.
    pub(super) seen: BTreeMap<ObjectKey, Seen>,
    /// The same of parts.
    pub(super) seen_parts: BTreeMap<ObjectKey, Seen>,
    pub(super) breaches: Vec<String>,
    /// Numbers up to this one may be skipped.
    pub(super) floor: u64,
    /// The first breach.
    pub(super) breached: Option<Instant>,
    pub(super) refusal: Option<Failure>,
    pub(super) most: usize,
    /// There may be no room for what viewers should have the time to see.
    pub(super) is_small: bool,
}

#[derive(Debug)]
pub(super) struct Seen {
    msn: u64,
    duration: Duration,
    longest: Duration,
    first_at: Instant,
    pub(super) left_at: Option<Instant>,
}

impl Bucket {
    pub(super) fn take_effect(&mut self, now: Instant, action: &Action, fate: Fate) {
        if !fate.works || self.refusal.is_some() {
            return;
        }
        let before = self.breaches.len();
        match action {
            Action::Put(start) => self.objects.extend(start.key.renditions()),
            Action::PutInit(start) => {
                self.objects.extend(start.key.renditions());
                let first = self.inits.entry(start.key.clone()).or_insert(start.header.bytes().clone());
                let same = first == start.header.bytes();
                self.check(same, || format!("{} has other bytes than before", start.key));
            }
            Action::PutPart(start) => _ = self.objects.insert(start.key.clone()),
            Action::PutPlaylist(playlist) => {
                self.becomes_visible(now, playlist);
                self.show_parts(now, playlist);
            }
            Action::Delete(keys) => keys.iter().for_each(|key| self.delete(now, key)),
            _ => {}
        }
        if self.breaches.len() > before {
            self.breached = self.breached.or(Some(now));
        }
    }

    /// What the caller is told.
    pub(super) fn answer(&self, action: Action, fate: Fate) -> Option<Input> {
        let ok = fate.works && fate.answers;
        let ok = ok && self.refusal.is_none();
        let failure =
            if fate.never { Failure::Never } else { self.refusal.unwrap_or(Failure::Retry { after: None }) };
        Some(match action {
            Action::ReadRemote if ok => Input::Remote(read(self.visible.as_ref())),
            Action::ReadRemote => Input::RemoteFailed(failure),
            Action::Put(start) if ok => Input::Stored(start.ticket),
            Action::Put(start) => Input::StoreFailed(start.ticket, failure),
            Action::PutInit(start) if ok => Input::Stored(start.ticket),
            Action::PutInit(start) => Input::StoreFailed(start.ticket, failure),
            Action::PutPart(start) if ok => Input::PartStored(start.ticket),
            Action::PutPart(start) => Input::PartFailed(start.ticket, failure),
            Action::Ask => Input::Answered(ok),
            Action::PutPlaylist(_) if ok => Input::PlaylistStored,
            Action::PutPlaylist(_) => Input::PlaylistFailed(failure),
            Action::Delete(_) if ok => Input::Deleted,
            Action::Delete(_) => Input::DeleteFailed(failure),
            Action::List if ok => Input::Listed(self.objects.iter().cloned().collect()),
            Action::List => Input::ListFailed(failure),
            Action::Show(_)
            | Action::Discard(_)
            | Action::Drop(_)
            | Action::Yield(_)
            | Action::Remember(_) => return None,
        })
    }

    fn check(&mut self, holds: bool, breach: impl FnOnce() -> String) {
        if !holds {
            self.breaches.push(breach());
        }
    }

    fn becomes_visible(&mut self, now: Instant, new: &MediaPlaylist) {
        self.check(new.entries.len() <= self.most.max(24), || "too many entries".into());
        let goes_with = |old: &MediaPlaylist, entry: &Entry| {
            old.entries.last().is_none_or(|last| last.key.form().goes_with(entry.key.form()))
        };
        let old_target = self.visible.as_ref().map(|old| old.target_duration_s);
        let is_same_form = self
            .visible
            .as_ref()
            .is_none_or(|old| new.entries.last().is_none_or(|last| goes_with(old, last)));
        self.check(new.entries.iter().all(|e| goes_with(new, e)), || {
            "two forms of segments in one playlist".into()
        });
        if let Some(old) = self.visible.take() {
            let next_of =
                |p: &MediaPlaylist| p.entries.last().map_or(p.media_sequence, |last| last.msn.0 + 1);
            self.check(new.media_sequence >= old.media_sequence, || "media sequence went back".into());
            let breaks = (old.discontinuity_sequence, new.discontinuity_sequence);
            self.check(breaks.1 >= breaks.0, || format!("discontinuity sequence went back: {breaks:?}"));
            let next = next_of(&old);
            self.check(next_of(new) >= next, || "live edge went back".into());
            self.check(new.media_sequence <= next.max(self.floor), || {
                "segments left before any viewer could see them".into()
            });
        }
        for (i, entry) in new.entries.iter().enumerate() {
            self.check(entry.msn.0 == new.media_sequence + i as u64, || "numbers have a hole".into());
            // What is there in parts alone is there in all of them, when it is named first.
            let in_parts = self.parts_of(&entry.key) == PARTS || self.seen.contains_key(&entry.key);
            let stored = entry.key.renditions().all(|key| self.objects.contains(&key))
                || (entry.key.form().kind == SegmentType::Parted && in_parts);
            self.check(stored, || format!("names {} which is not stored", entry.key));
            let has = |init: ObjectKey| init.renditions().all(|key| self.objects.contains(&key));
            let has_init = entry.key.init().is_none_or(has);
            self.check(has_init, || format!("names {} whose init object is not stored", entry.key));
            let seen = self.seen.entry(entry.key.clone()).or_insert(Seen {
                msn: entry.msn.0,
                duration: entry.duration,
                longest: Duration::ZERO,
                first_at: now,
                left_at: None,
            });
            let (renumbered, came_back) = (seen.msn != entry.msn.0, seen.left_at.take().is_some());
            seen.longest = seen.longest.max(new.duration());
            self.check(!renumbered, || format!("{} was renumbered", entry.key));
            self.check(!came_back, || format!("{} came back", entry.key));
        }
        self.check_numbers(new);
        let is_same_plan = old_target.is_none_or(|old| old == new.target_duration_s);
        let has_room = new.entries.len() < Window::most(DEPTH);
        let has_room = has_room && !self.is_small;
        let time_to_see = if has_room && is_same_plan && is_same_form { new.target_duration_s } else { 0 };
        let mut early = Vec::new();
        for (key, seen) in &mut self.seen {
            if seen.left_at.is_none() && !new.entries.iter().any(|e| e.key == *key) {
                seen.left_at = Some(now);
                let seen_for = now - seen.first_at;
                early
                    .extend((seen_for < Duration::from_secs(time_to_see)).then_some((key.clone(), seen_for)));
            }
        }
        self.check(early.is_empty(), || format!("viewers had no time to see {early:?}"));
        self.visible = Some(new.clone());
    }

    fn parts_of(&self, segment: &ObjectKey) -> u64 {
        let is_its = |key: &&ObjectKey| part_of(key, SegmentType::Parted).as_ref() == Some(segment);
        self.objects.iter().filter(is_its).count() as u64
    }

    /// All of a segment's or none, in order, and each stored.
    fn show_parts(&mut self, now: Instant, new: &MediaPlaylist) {
        let mut named = BTreeSet::new();
        let of = new.parts.iter().flat_map(|list| list.of.iter().map(move |(msn, parts)| (list, msn, parts)));
        for (list, msn, parts) in of {
            let Some(entry) = new.entries.iter().find(|entry| entry.msn == *msn) else {
                self.breaches.push(format!("parts of {msn}, which is not listed"));
                continue;
            };
            let all: Duration = parts.iter().map(|part| part.duration).sum();
            self.check(all == entry.duration && parts[0].independent, || {
                format!("not all parts of {entry:?}")
            });
            self.check(parts.is_sorted_by(|a, b| a.key < b.key), || format!("parts out of order: {parts:?}"));
            for part in parts {
                let is_same_run = plan().layout.run_of(&part.key) == plan().layout.run_of(&entry.key);
                self.check(is_same_run && part.duration <= list.target, || format!("{part:?} of {entry:?}"));
                let stored = self.objects.contains(&part.key);
                self.check(stored, || format!("names {} which is not stored", part.key));
                named.insert(part.key.clone());
                let fresh = Seen {
                    msn: msn.0,
                    duration: part.duration,
                    longest: Duration::ZERO,
                    first_at: now,
                    left_at: None,
                };
                let seen = self.seen_parts.entry(part.key.clone()).or_insert(fresh);
                seen.longest = seen.longest.max(new.duration());
                let is_other = seen.msn != msn.0 || seen.left_at.is_some();
                self.check(!is_other, || format!("{} came back, or of another segment", part.key));
            }
        }
        for (key, seen) in &mut self.seen_parts {
            if seen.left_at.is_none() && !named.contains(key) {
                seen.left_at = Some(now);
            }
        }
    }

    fn check_numbers(&mut self, new: &MediaPlaylist) {
        for pair in new.entries.windows(2) {
            let run = |e: &Entry| plan().layout.run_of(&e.key);
            let index = |e: &Entry| plan().layout.place_of(&e.key).unwrap().1;
            let continuous = run(&pair[0]) == run(&pair[1]) && index(&pair[0]) + 1 == index(&pair[1]);
            self.check(continuous || pair[1].discontinuity, || format!("a break without a mark: {pair:?}"));
            let unique = !self.seen.iter().any(|(k, s)| s.msn == pair[0].msn.0 && *k != pair[0].key);
            self.check(unique, || format!("number {} names two objects", pair[0].msn));
        }
    }

    fn delete(&mut self, now: Instant, key: &ObjectKey) {
        let needs = |segment: &ObjectKey| segment.init().as_ref() == Some(key);
        let is_over = |s: &Seen| s.left_at.is_some_and(|left| now >= left + s.duration + s.longest);
        let early = if self.inits.contains_key(key) {
            self.seen
                .iter()
                .find(|(segment, seen)| !is_over(seen) && needs(segment))
                .map(|(key, _)| key.clone())
        } else {
            let seen = self.seen.get(key).or_else(|| self.seen_parts.get(key));
            seen.filter(|seen| !is_over(seen)).map(|_| key.clone())
        };
        self.check(early.is_none(), || format!("{key} was deleted too early for {early:?}"));
        key.renditions().for_each(|key| _ = self.objects.remove(&key));
    }
}

/// What a reader of this playlist takes in.
pub(super) fn read(playlist: Option<&MediaPlaylist>) -> Remote {
    match playlist {
        None => Remote::Absent { first: Msn(500), discontinuity_sequence: 0 },
        Some(playlist) => Remote::Found(parse(&render(playlist), &plan().layout).unwrap()),
    }
}
