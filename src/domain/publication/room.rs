//! What the playlist's segments take, where they lie on this very machine: the oldest leave before their time when there
//! is no room for them.

use std::collections::HashMap;
use std::time::Instant;

use super::Publication;
use crate::domain::key::ObjectKey;
use crate::domain::window::{Entry, Window};

#[derive(Debug, Default)]
pub(super) struct Room {
    most: Option<u64>,
    bytes: HashMap<ObjectKey, u64>,
}

impl Room {
    pub(super) fn of(most: Option<u64>) -> Self {
        Self { most, bytes: HashMap::new() }
    }

    /// It is about to enter the window.
    pub(super) fn takes(&mut self, key: &ObjectKey, bytes: u64) {
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
}
