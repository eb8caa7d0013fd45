//! What is not named any more: held, deleted, and what was forgotten swept.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::ending::Ending;
use super::{LATE_LANDING, Plan, Publication};
use crate::domain::key::ObjectKey;
use crate::domain::playlist::MediaPlaylist;
use crate::domain::uploads::Unused;
use crate::domain::window::Entry;

impl Publication {
    /// Of the next playlist: one that is under way may name still what left the window.
    fn next_generation(&self) -> u64 {
        let under_way = self.playlist_put.as_ref().map_or(0, |sent| sent.generation + 1);
        self.generation.max(self.stored_generation + 1).max(under_way)
    }

    /// Viewers may have seen it.
    pub(super) fn have_named(&mut self, playlist: &MediaPlaylist, duration: Duration) {
        for entry in &playlist.entries {
            let longest = self.longest_named.entry(entry.key.clone()).or_default();
            *longest = duration.max(*longest);
        }
    }

    pub(super) fn retire(&mut self, gone: Vec<Entry>) {
        let generation = self.next_generation();
        self.room.left(&gone);
        for entry in gone {
            let longest = self.longest_named.remove(&entry.key).unwrap_or_default();
            let hold = entry.duration + longest;
            self.uploads.init_held(&entry.key, hold);
            for part in self.parts.iter_mut().flat_map(|parts| parts.forget(&entry.key)) {
                self.retired.leaves(generation, part, hold);
            }
            self.retired.leaves(generation, entry.key, hold);
        }
    }

    /// Init objects that nothing needs any more stay as long as any segment that needed them.
    pub(super) fn retire_inits(&mut self, now: Instant) {
        let Some(window) = self.window.as_ref().filter(|_| self.uploads.has_inits()) else { return };
        // Another segment of that run may come.
        let newest = self.newest_init();
        let is_used = |key: &ObjectKey| window.needs(key) || newest.as_ref() == Some(key);
        let unused = self.uploads.take_unused_inits(is_used);
        let generation = self.next_generation();
        for Unused { key, hold } in unused {
            match hold {
                Some(hold) => self.retired.leaves(generation, key, hold),
                None => _ = self.retired.condemn(key, now + LATE_LANDING),
            }
        }
    }

    fn newest_init(&self) -> Option<ObjectKey> {
        let may_come = self.ending != Ending::Emptied;
        self.last_name.filter(|_| may_come).map(|run| self.plan.layout.init(run, self.plan.form.renditions))
    }

    /// When something is to be removed that may be another agent's, so that a look has to come before. One that ended its
    /// stream has no other reason to look.
    pub(super) fn cleans_at(&self) -> Option<Instant> {
        let delete = self.retired.deadline().filter(|_| self.ending == Ending::Emptied);
        [self.sweep.deadline(), delete].into_iter().flatten().min()
    }

    pub(super) fn delete_at(&self) -> Option<Instant> {
        let may = self.window.is_some() && (self.ending != Ending::Emptied || self.ownership.may_sweep());
        self.retired.deadline().filter(|_| may)
    }

    pub(super) fn start_deletion(&mut self, now: Instant) -> Option<Vec<ObjectKey>> {
        self.delete_at().filter(|at| *at <= now)?;
        if self.ending == Ending::Emptied {
            self.ownership.take_sweep();
        }
        self.retired.start(now)
    }

    pub(super) fn deleted(&mut self, now: Instant) {
        self.retired.deleted();
        if self.retired.take_forgotten() > 0 && self.window.is_some() {
            // The store deletes again: what was forgotten meanwhile is in the listing.
            self.sweep.begin_again(now + self.hold_of_unknown(Duration::ZERO));
        }
    }

    pub(super) fn listed(&mut self, now: Instant, keys: &[ObjectKey]) {
        let Some(window) = self.window.as_ref().filter(|_| self.sweep.is_listing()) else { return };
        let newest = self.newest_init();
        let known = |key: &ObjectKey| {
            window.needs(key)
                || self.uploads.contains(key)
                || self.parts.as_ref().is_some_and(|parts| parts.contains(key))
                || self.retired.contains(key)
                || newest.as_ref() == Some(key)
        };
        let Plan { layout, form, multivariant, .. } = &self.plan;
        let is_stray = |key: &&ObjectKey| layout.is_stray_playlist(key, form.renditions, *multivariant);
        let strays: Vec<_> = keys.iter().filter(is_stray).cloned().collect();
        // What is deleted goes with the objects of all its renditions.
        let ours = keys.iter().filter(|key| layout.run_of(key).is_some()).map(|key| key.rendition(1));
        let orphans: BTreeSet<_> = ours.filter(|key| !known(key)).collect();
        // The listing is the truth: it holds what was forgotten.
        self.retired.take_forgotten();
        // Another agent may have taken over while the listing was under way, and viewers may see what it stored: the
        // next look clears or spares that (see `ownership`). In this very machine's folder is no other, and room is short.
        let hold = self.hold_of_unknown(Duration::ZERO);
        let due = now + if self.room.is_unlimited() { LATE_LANDING.max(2 * hold) } else { hold };
        // Before what they name.
        for key in strays {
            self.retired.condemn(key, now);
        }
        for key in orphans {
            self.progress.orphans_swept += u64::from(self.retired.condemn(key, due));
        }
        self.sweep.done(now);
    }
}
