//! Becoming the one who publishes, and ceasing to be.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::sight::{Verdict, breaks, next_msn};
use super::types::Remote;
use super::{LATE_LANDING, Publication};
use crate::domain::ids::{Msn, RunId};
use crate::domain::key::ObjectKey;
use crate::domain::parts::Parts;
use crate::domain::playlist::MediaPlaylist;
use crate::domain::segment::Segment;
use crate::domain::uploads::{GivenUp, Outgoing};
use crate::domain::window::{NewEntry, Window};

impl Publication {
    pub(super) fn remote(&mut self, now: Instant, remote: Remote) {
        let newest = self.last_name;
        let sweep_is_due = self.cleans_at().is_some_and(|at| at <= now);
        match self.ownership.read(now, remote, newest, sweep_is_due) {
            Verdict::Nothing => {}
            Verdict::TakeOver { remote, named } => self.take_over(now, remote, named),
            Verdict::Reclaim(playlist) => self.reclaim(now, playlist),
            Verdict::StandBack => self.stand_back(),
        }
    }

    fn take_over(&mut self, now: Instant, remote: Remote, named: Duration) {
        let (depth, target) = (self.plan.depth, self.plan.target_duration_s);
        // Else viewers have another one, newer or damaged, until the first own one is stored.
        self.replaces_unseen = matches!(remote, Remote::Damaged { .. });
        self.replaces_other_form = false;
        // Numbers that begin behind a break may follow others.
        self.seam |= !matches!(remote, Remote::Absent { discontinuity_sequence: 0, .. });
        let window = match remote {
            Remote::Absent { first: next, discontinuity_sequence }
            | Remote::Damaged { next, discontinuity_sequence } => {
                Window::new(depth, target, next, discontinuity_sequence)
            }
            // Viewers keep the old one until the new one has enough of the other form.
            Remote::Found(playlist) => {
                self.replaces_other_form = self.is_other_form(&playlist);
                let shown = self.ownership.floor.known();
                self.go_on(now, playlist, shown)
            }
        };
        self.window = Some(window);
        // Until then viewers may have what this window does not name any more, and another agent, killed by now, may go
        // on with what it sent and nobody stored.
        self.sweep.begin_after_playlist(self.hold_of_unknown(named));
        self.uploads.push_waiting(self.standby.take());
    }

    /// What an earlier agent left unlisted may have left its playlist just now.
    pub(super) fn hold_of_unknown(&self, remote_duration: Duration) -> Duration {
        Duration::from_secs(self.plan.target_duration_s) + remote_duration.max(self.longest_unknown())
    }

    /// The longest playlist that an earlier agent may have stored, of this plan or of another: it may have published
    /// what had waited.
    fn longest_unknown(&self) -> Duration {
        self.ownership.floor.longest_playlist()
    }

    /// The first playlist would take all that viewers have from them, for less than RFC 8216 6.2.2 wants, while more
    /// is on its way; after a change of the type, also while more may come.
    pub(super) fn is_thin(&self) -> bool {
        let least = 3 * Duration::from_secs(self.plan.target_duration_s);
        let listed =
            self.window.iter().flat_map(Window::entries).map(|entry| entry.duration).sum::<Duration>();
        let comes = self.uploads.backlog() > 0 || self.replaces_other_form;
        let more = self.uploads.begun() > 0 || (comes && self.may_upload());
        (self.replaces_unseen || self.replaces_other_form)
            // Else what there is has to do.
            && !self.is_ending()
            && self.sweep.awaits_playlist()
            && listed < least
            && more
    }

    fn is_other_form(&self, playlist: &MediaPlaylist) -> bool {
        playlist.entries.last().is_some_and(|last| !last.key.form().goes_with(self.plan.form))
    }

    /// One playlist has one form of segments: see `Window::push`.
    fn go_on(&mut self, now: Instant, playlist: MediaPlaylist, shown: Msn) -> Window {
        if !self.is_other_form(&playlist) {
            return self.resume(now, playlist, shown);
        }
        let (depth, target) = (self.plan.depth, self.plan.target_duration_s);
        Window::new(depth, target, next_msn(&playlist), breaks(&playlist))
    }

    fn resume(&mut self, now: Instant, playlist: MediaPlaylist, shown: Msn) -> Window {
        self.have_named(&playlist, playlist.duration().max(self.longest_unknown()));
        playlist.entries.iter().for_each(|entry| self.uploads.init_found(&entry.key));
        let (window, gone) =
            Window::resume(now, self.plan.depth, self.plan.target_duration_s, playlist, shown);
        self.retired.spare(|key| window.needs(key));
        self.retire(gone);
        window
    }

    /// Viewers may have seen both playlists: go on behind the one that is further, and with the breaks of both.
    fn reclaim(&mut self, now: Instant, playlist: MediaPlaylist) {
        let Some(mut old) = self.window.take() else { return };
        self.ownership.floor.saw(&playlist);
        let duration = playlist.duration();
        self.seam = true;
        let breaks = breaks(&playlist);
        let last = playlist.entries.last().map(|entry| entry.msn);
        let named = |key: &ObjectKey| self.longest_named.contains_key(key);
        let shown = old.entries().filter(|entry| named(&entry.key)).map(|entry| entry.msn).max();
        let window = if last < shown {
            old.raise_discontinuities(breaks);
            self.have_named(&playlist, duration.max(self.longest_unknown()));
            playlist.entries.iter().for_each(|entry| self.uploads.init_found(&entry.key));
            let foreign = playlist.entries.into_iter().filter(|entry| !old.contains(&entry.key)).collect();
            self.retire(foreign);
            old
        } else {
            let at_least = old.snapshot().discontinuity_sequence;
            let shown = next_msn(&playlist);
            let mut window = self.go_on(now, playlist, shown);
            window.raise_discontinuities(at_least);
            self.carry_over(now, &old, &mut window);
            self.disown_playlist();
            window
        };
        self.window = Some(window);
        let late = LATE_LANDING.max(self.hold_of_unknown(duration));
        // Not before viewers have the joined playlist.
        self.sweep.begin_after_playlist(late);
    }

    /// What the old window named is gone, if the new one does not name it; what no playlist named yet is still news.
    fn carry_over(&mut self, now: Instant, old: &Window, window: &mut Window) {
        let listed: HashSet<_> = window.entries().map(|entry| entry.key.clone()).collect();
        for entry in old.entries().filter(|entry| !listed.contains(&entry.key)) {
            if self.longest_named.contains_key(&entry.key) {
                self.retire(vec![entry.clone()]);
                continue;
            }
            let discontinuity = std::mem::take(&mut self.seam) || entry.discontinuity;
            let (key, duration, program_time) = (entry.key.clone(), entry.duration, entry.program_time);
            let gone = window.push(now, NewEntry { key, duration, program_time, discontinuity });
            self.generation += 1;
            self.retire(gone);
        }
    }

    /// Nothing of this agent is written or deleted any more. What it leaves behind is found by the sweep after the
    /// next take-over, the other agent's or its own.
    fn stand_back(&mut self) {
        self.window = None;
        self.disown_playlist();
        for GivenUp { outgoing, in_spool, .. } in self.uploads.clear() {
            self.progress.segments_stood_back += 1;
            self.discards.extend(in_spool.then_some(outgoing.segment.payload));
        }
        self.hole = true;
        let dice = self.dice.roll() as u32;
        self.renamed = self.last_queued.map(|(run, _)| (run, run.with_dice(dice)));
        let has_inits = self.plan.form.kind.has_init();
        self.ownership.floor.stand_back(self.renamed.filter(|_| has_inits).map(|(_, name)| name));
        self.stored_generation = self.generation;
        self.longest_named.clear();
        self.parts.iter_mut().for_each(Parts::clear);
        self.room.clear();
        self.retired.clear();
        self.sweep.stop();
    }

    /// The window that a playlist under way was made of is no more: its answer says nothing of the next one.
    fn disown_playlist(&mut self) {
        self.playlist_put.iter_mut().for_each(|sent| sent.counts = false);
    }

    /// Whoever published meanwhile may delete a run's init object, even late: one that goes on after that has another.
    pub(super) fn name_of(&self, segment: &Segment) -> RunId {
        let other = self.renamed.filter(|(run, _)| segment.header.is_some() && *run == segment.run);
        other.map_or(segment.run, |(_, name)| name)
    }

    fn stood_back(&mut self, outgoing: Outgoing) {
        self.progress.segments_stood_back += 1;
        let Segment { payload, .. } = outgoing.segment;
        self.discards.push_back(payload);
    }

    /// It is not known who publishes, or another does.
    pub(super) fn wait(&mut self, now: Instant, outgoing: Outgoing) {
        for dropped in self.standby.push(outgoing) {
            if self.ownership.is_standing_back() {
                self.stood_back(dropped);
            } else {
                // The store is away, or another agent was given the time to show itself and it was too long.
                self.give_up(now, GivenUp { outgoing: dropped, may_exist: false, in_spool: true });
            }
        }
    }
}
