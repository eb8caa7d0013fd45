//! What the playlist's segments take, where they lie on this very machine: the oldest leave before their time when there
//! is no room for them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Publication;
use crate::domain::key::ObjectKey;
use crate::domain::window::{Entry, Window};

#[derive(Debug, Default)]
pub(super) struct Room {
    most: Option<u64>,
    /// The plan's: a stream on demand has less than its store would take.
    planned: u64,
    bytes: HashMap<ObjectKey, u64>,
    /// Segments were given up since, and none came in.
    stuck_since: Option<Instant>,
}

impl Room {
    pub(super) fn of(most: Option<u64>) -> Self {
        Self { most, planned: most.unwrap_or_default(), ..Self::default() }
    }

    /// What lies there is not this agent's alone to count.
    pub(super) fn is_unlimited(&self) -> bool {
        self.most.is_none()
    }

    pub(super) fn resize(&mut self, most: u64) {
        self.most = self.most.map(|_| most.min(self.planned));
    }

    /// It is about to enter the window.
    pub(super) fn takes(&mut self, key: &ObjectKey, bytes: u64) {
        self.stuck_since = None;
        if self.most.is_some() {
            self.bytes.insert(key.clone(), bytes);
        }
    }

    /// The window is another agent's now.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn left(&mut self, gone: &[Entry]) {
        gone.iter().for_each(|entry| _ = self.bytes.remove(&entry.key));
    }

    /// Those for which there is no room. What an earlier agent left is not counted: it leaves first.
    fn shed(&self, window: &mut Window) -> Vec<Entry> {
        let Some(most) = self.most else { return Vec::new() };
        let of = |entry: &Entry| self.bytes.get(&entry.key).copied().unwrap_or_default();
        let mut listed: u64 = window.entries().map(of).sum();
        let mut gone = Vec::new();
        while listed > most
            && let Some(entry) = window.shed()
        {
            listed -= of(&entry);
            gone.push(entry);
        }
        gone
    }
}

impl Publication {
    /// Not of those that no playlist named yet: `may_upload` bounds these.
    pub(super) fn make_room(&mut self, now: Instant) {
        let Some(window) = &mut self.window else { return };
        let gone = self.room.shed(window);
        if !gone.is_empty() {
            self.generation += 1;
            self.changed_at = Some(now);
            self.retire(gone);
        }
    }

    /// A segment was given up where the folder may be full. What lies there goes only behind a playlist that does not
    /// name it, and the sweep comes only behind a playlist: so there is another one, of less, even if nothing is stored.
    pub(super) fn make_way(&mut self, now: Instant) {
        let may = self.room.most.is_some() && !self.is_ending();
        let Some(window) = self.window.as_mut().filter(|_| may) else { return };
        // What there is has to do.
        (self.replaces_unseen, self.replaces_other_form) = (false, false);
        // Of the newest one, too, where nothing else is left to go: all holds are over.
        let since = *self.room.stuck_since.get_or_insert(now);
        let windows = u32::try_from(2 * self.plan.depth).unwrap_or(u32::MAX);
        let patience = Duration::from_secs(self.plan.target_duration_s) * windows;
        let is_last = self.sweep.was_done() && now >= since + patience;
        let gone = if is_last { window.shed_any() } else { window.shed() };
        // One that is to come anyway will do.
        if gone.is_some() || self.generation == self.stored_generation {
            self.generation += 1;
            self.changed_at = Some(now);
            self.retire(gone.into_iter().collect());
        }
    }
}
