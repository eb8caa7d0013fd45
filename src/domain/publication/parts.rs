//! A stream in parts: they are stored at once, listed with their segment, and leave with it.

use std::time::{Duration, Instant};

use super::{LATE_LANDING, Plan, Publication};
use crate::domain::dice::Dice;
use crate::domain::gate::Failure;
use crate::domain::key::ObjectKey;
use crate::domain::parts::{Parts, Standing, StartPart};
use crate::domain::playlist::{MediaPlaylist, PartList};
use crate::domain::precedence::Wholes;
use crate::domain::segment::{Part, SegmentType};
use crate::domain::uploads::{LeftOut, NextWhole, Ticket};
use crate::domain::window::Window;

/// PART-HOLD-BACK: who knows parts from the playlist alone learns of them once a segment, and is best off with whole
/// segments, as other players are. So far behind the edge, hls.js 1.7 takes these: it asks for parts only nearer to those
/// that are listed.
const HELD_BACK_TARGETS: u32 = 3;
const HELD_BACK_PARTS: u32 = 3;
/// What its parts may cost a playlist: they were sent with the segment, or before.
const PATIENCE_PARTS: u32 = 2;
/// Beyond the window and the backlog: of segments that are being made, or were lost in the spool.
const MORE_GROUPS: usize = 4;

pub(super) fn queue(plan: &Plan, dice: impl FnOnce() -> Dice) -> Option<Parts> {
    let groups = Window::most(plan.depth) + plan.uploads.backlog + MORE_GROUPS;
    plan.parts.map(|limits| Parts::new(limits, plan.uploads.segment_duration, groups, dice()))
}

impl Publication {
    /// While another agent publishes, or may, the whole segments alone are kept.
    pub(super) fn part_produced(&mut self, now: Instant, part: Part) {
        if self.parts.is_some() {
            self.ownership.wake();
        }
        // The answer is a moment away, and a part lives for some.
        let may_come = self.window.is_some() || self.ownership.is_asking();
        let Some(parts) = self.parts.as_mut().filter(|_| may_come) else { return };
        let name = self.renamed.filter(|(run, _)| *run == part.run).map_or(part.run, |(_, name)| name);
        let layout = &self.plan.layout;
        let segment = layout.segment(name, part.segment, self.plan.form);
        let keys = (segment, layout.part(name, part.number));
        let window = self.window.as_ref();
        parts.push(now, keys, part, |segment| window.is_some_and(|window| window.contains(segment)));
    }

    pub(super) fn part_stored(&mut self, now: Instant, ticket: Ticket) {
        self.parts.iter_mut().for_each(|parts| parts.stored(now, ticket));
    }

    pub(super) fn part_failed(&mut self, now: Instant, ticket: Ticket, failure: Failure) {
        self.parts.iter_mut().for_each(|parts| parts.failed(now, ticket, failure));
    }

    /// First of all: when a playlist may be stored follows from it.
    pub(super) fn expire_parts(&mut self, now: Instant) {
        let Some(parts) = &mut self.parts else { return };
        parts.expire(now);
        for key in parts.take_gone() {
            self.retired.condemn(key, now + LATE_LANDING);
        }
    }

    /// Where no playlist is taken, parts would pile up as segments would.
    pub(super) fn start_part(&mut self, now: Instant) -> Option<StartPart> {
        let may_start = self.may_upload();
        self.parts.as_mut().filter(|_| may_start)?.start(now)
    }

    pub(super) fn part_at(&self) -> Option<Instant> {
        let parts = self.parts.as_ref()?;
        parts.deadline(self.may_upload()).into_iter().chain(parts.precedence().deadline()).min()
    }

    pub(super) fn assess_parts(&mut self, now: Instant) {
        // Where there are none, nothing has to be weighed.
        let wholes = if self.is_parted() { Wholes::default() } else { self.uploads.wholes() };
        self.parts.iter_mut().for_each(|parts| parts.assess(now, wholes));
        self.leave_out(now);
    }

    /// Segments would take from the uplink what parts need.
    pub(super) fn are_parts_behind(&self) -> bool {
        let holds = |parts: &Parts| parts.is_behind() || !parts.precedence().may_go_whole();
        !self.is_parted() && self.parts.as_ref().is_some_and(holds)
    }

    /// Where there is no room for whole segments beside the parts, each goes without, which is told in its name, once its
    /// parts are stored. One that is not whole in these either is given up.
    fn leave_out(&mut self, now: Instant) {
        while let Some(parts) = self.parts.as_mut().filter(|parts| parts.precedence().is_alone())
            && self.window.is_some()
            && self.plan.form.kind == SegmentType::Fmp4
            && let Some(NextWhole { key, duration, is_newest }) = self.uploads.next_whole()
        {
            match parts.standing(&key, duration) {
                Standing::Pending => return,
                // Only for a newer one is any given up.
                Standing::Lost if is_newest => return,
                Standing::Lost => {
                    let lost = self.uploads.give_up_whole(&key);
                    lost.into_iter().for_each(|lost| self.give_up(now, lost));
                }
                Standing::Stored => {
                    let Some(LeftOut { to, may_exist }) = self.uploads.leave_out(&key) else {
                        return;
                    };
                    parts.left_out(&key, &to);
                    if may_exist {
                        self.retired.condemn(key, now + LATE_LANDING);
                    }
                    self.progress.segments_left_out += 1;
                }
            }
            self.commit(now);
            self.make_room(now);
            self.retire_inits(now);
        }
    }

    /// There are parts alone.
    pub(super) fn is_parted(&self) -> bool {
        self.plan.form.kind == SegmentType::Parted
    }

    /// The newest segment is stored, and its last parts are on their way: the playlist waits for them, a little.
    pub(super) fn parts_awaited(&self) -> Option<Instant> {
        let parts = self.parts.as_ref()?;
        let newest = self.window.as_ref()?.entries().last()?;
        let patience = PATIENCE_PARTS * parts.limits().duration;
        // Without its parts it is of no use to anybody.
        let is_parted = newest.key.form().kind == SegmentType::Parted;
        let patience = if is_parted { patience.max(self.plan.uploads.segment_duration) } else { patience };
        (!parts.are_settled(&newest.key)).then_some(self.changed_at? + patience)
    }

    /// Those of the newest segment alone, and only if all of them are stored: what a player makes of a hole in the parts is
    /// not sure, and it can always take the whole. The hint says where the next ones begin in any case.
    pub(super) fn with_parts(&self, playlist: MediaPlaylist) -> MediaPlaylist {
        let Some(parts) = self.parts.as_ref().filter(|_| !playlist.ended) else { return playlist };
        let newest = playlist.entries.last();
        let next = newest.and_then(|newest| {
            let run = self.plan.layout.run_of(&newest.key)?;
            Some(self.plan.layout.part(run, parts.next_number(&newest.key)?))
        });
        let listed =
            newest.and_then(|newest| Some((newest.msn, parts.listed(&newest.key, newest.duration)?)));
        // Without a hint it is no list that players bear.
        let of: Vec<_> = listed.filter(|_| next.is_some()).into_iter().collect();
        // And for now there will be none.
        if of.is_empty() && parts.precedence().is_without_parts() {
            return playlist;
        }
        let planned = parts.limits().duration;
        let longest = of.iter().flat_map(|(_, parts)| parts).map(|part| part.duration).max();
        let target = longest.unwrap_or_default().max(planned);
        let hold_back =
            HELD_BACK_TARGETS * Duration::from_secs(playlist.target_duration_s) + HELD_BACK_PARTS * target;
        MediaPlaylist {
            parts: Some(PartList { target, hold_back, of, open: Vec::new(), hint: next, blocks: false }),
            ..playlist
        }
    }

    /// Their segment will never be listed.
    pub(super) fn forget_parts(&mut self, now: Instant, segment: &ObjectKey) {
        for key in self.parts.iter_mut().flat_map(|parts| parts.forget(segment)) {
            self.retired.condemn(key, now + LATE_LANDING);
        }
    }

    /// Nothing more comes.
    pub(super) fn forget_all_parts(&mut self, now: Instant) {
        for key in self.parts.iter_mut().flat_map(|parts| parts.forget_all_but(|_| false)) {
            self.retired.condemn(key, now + LATE_LANDING);
        }
    }
}
