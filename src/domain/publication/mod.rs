//! What a camera's publisher does next: uploads, the playlist, deletions, the sweep.
//!
//! Held at all times, whatever the store answers and in whatever order:
//!
//! 1. A playlist names only objects that the store confirmed.
//! 2. Media sequence and discontinuity sequence never go back; a listed segment is never renumbered or renamed.
//!    Not after a read that is late either (see [`floor`]).
//! 3. One playlist PUT is under way at most (concurrent ones would have a random winner); the newest wins.
//! 4. An object is deleted only after its hold (see [`super::retired`]).
//! 5. The backlog is bounded: for a newer segment the oldest unsent one is given up, and a discontinuity
//!    marks the hole. The live edge comes before completeness.
//! 6. While another agent publishes this camera, nothing is written and nothing deleted (see [`ownership`]).
//! 7. Two playlist PUTs start no closer than the plan's interval; the newest playlist always follows.

mod ending;
mod floor;
mod leaving;
mod own_runs;
mod ownership;
mod parts;
mod progress;
mod room;
#[cfg(test)]
mod scripts;
mod sight;
mod standby;
mod sweep;
mod takeover;
mod times;
mod types;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::gate::Gate;
use super::ids::RunId;
use super::key::ObjectKey;
use super::parts::Parts;
use super::playlist::MediaPlaylist;
use super::retired::Retired;
use super::segment::{Form, Payload, Segment, SegmentType};
use super::uploads::{Answer, GivenUp, Outgoing, Uploads};
use super::window::{NewEntry, Window, rounded_s};

use ending::Ending;
pub use floor::MOST_NOTED;
use ownership::Ownership;
use room::Room;
use standby::Standby;
use sweep::Sweep;
use times::Times;
use types::Sent;
pub use types::{Action, Input, Plan, Progress, Remote};

#[derive(Debug)]
pub struct Publication {
    plan: Plan,
    ownership: Ownership,
    /// `Some`: this agent publishes.
    window: Option<Window>,
    standby: Standby,
    uploads: Uploads,
    /// Of a stream that is also published in parts.
    parts: Option<Parts>,
    /// The last segment that was queued: what does not follow it is a break.
    last_queued: Option<(RunId, u64)>,
    /// By what its run is known in names.
    last_name: Option<RunId>,
    /// Runs whose names are others: see [`Self::name_of`].
    renamed: Option<(RunId, RunId)>,
    /// The last queued segment was given up: a break lies before the next one.
    hole: bool,
    /// The next segment to enter the window has a break before it.
    seam: bool,
    /// Counts the window's changes; a stored playlist is of one generation.
    generation: u64,
    stored_generation: u64,
    /// When the window changed last.
    changed_at: Option<Instant>,
    /// The one that is under way.
    playlist_put: Option<Sent>,
    /// The same, if it is still to be sent.
    sending: Option<MediaPlaylist>,
    /// When the last one began, well or not.
    put_at: Option<Instant>,
    playlist_gate: Gate,
    /// The longest playlist that may have named each listed object.
    longest_named: HashMap<ObjectKey, Duration>,
    retired: Retired,
    room: Room,
    sweep: Sweep,
    /// What viewers have until the first playlist is stored was not read.
    replaces_unseen: bool,
    /// The same, but it was: it has segments of another form.
    replaces_other_form: bool,
    ending: Ending,
    discards: VecDeque<Payload>,
    progress: Progress,
    dice: Dice,
}

/// An upload that failed may still land; what nothing names is deleted this long after.
const LATE_LANDING: Duration = Duration::from_secs(60);

impl Publication {
    pub fn new(plan: Plan, seed: u64) -> Self {
        let mut seeds = Dice::new(seed);
        let mut dice = || Dice::new(seeds.roll());
        let coalesce = Duration::from_millis(250) * u32::try_from(plan.target_duration_s.min(8)).unwrap_or(8);
        let gate = |dice| Gate::new(plan.uploads.most_pause, dice);
        let plan = Plan { depth: plan.depth.max(plan.per_interval() + 1), ..plan };
        let times = Times::new(plan.target_duration_s, plan.min_playlist_interval);
        let mut ownership = Ownership::new(plan.layout.clone(), times, gate(dice()), dice());
        ownership.floor.may_be_named(floor::longest(plan.depth, plan.target_duration_s));
        Self {
            ownership,
            window: None,
            standby: Standby::new(&plan.uploads, times),
            uploads: Uploads::new(plan.uploads, dice()),
            parts: parts::queue(&plan, &mut dice),
            last_queued: None,
            last_name: None,
            renamed: None,
            hole: false,
            seam: false,
            generation: 0,
            stored_generation: 0,
            changed_at: None,
            playlist_put: None,
            sending: None,
            put_at: None,
            playlist_gate: gate(dice()),
            longest_named: HashMap::new(),
            retired: Retired::new(coalesce, dice()),
            room: Room::of(plan.listed_bytes),
            sweep: Sweep::new(dice()),
            replaces_unseen: false,
            replaces_other_form: false,
            ending: Ending::No,
            discards: VecDeque::new(),
            progress: Progress::default(),
            dice: dice(),
            plan,
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::OwnRuns(runs) => runs.into_iter().for_each(|run| self.ownership.is_ours(run)),
            Input::Recalled(note) => {
                let other_name = self.ownership.floor.recall(&self.plan.layout, &note);
                other_name.into_iter().for_each(|run| self.ownership.is_ours(run));
            }
            Input::Produced(segment) => self.produced(now, segment),
            Input::Remote(remote) => self.remote(now, remote),
            Input::RemoteFailed(failure) => self.ownership.failed(now, failure),
            Input::Stored(ticket) => {
                let answer = self.uploads.stored(now, ticket);
                // Whoever was refused may be let in again: no need to wait out the pause.
                self.playlist_gate.reopen();
                self.answered(now, answer);
            }
            Input::StoreFailed(ticket, failure) => {
                let answer = self.uploads.failed(now, ticket, failure);
                self.answered(now, answer);
            }
            Input::Answered(answered) => {
                for lost in self.uploads.answered(now, answered) {
                    self.give_up(now, lost);
                }
            }
            Input::PartProduced(part) => self.part_produced(now, part),
            Input::PartStored(ticket) => self.part_stored(now, ticket),
            Input::PartFailed(ticket, failure) => self.part_failed(now, ticket, failure),
            Input::PlaylistStored => self.playlist_stored(now),
            Input::PlaylistFailed(failure) => {
                self.playlist_put = None;
                self.playlist_gate.failed(now, failure);
            }
            Input::Deleted => self.deleted(now),
            Input::DeleteFailed(failure) => self.retired.delete_failed(now, failure),
            Input::Listed(keys) => self.listed(now, &keys),
            Input::ListFailed(failure) if self.sweep.is_listing() => self.sweep.failed(now, failure),
            Input::ListFailed(_) => {}
            Input::Resume => self.end_what_is_there(),
            Input::End => self.end(now),
            Input::StoreRenewed => self.reopen(),
            Input::Room(most) => self.room.resize(most),
        }
        self.commit(now);
        self.make_room(now);
        self.retire_inits(now);
        self.wind_up(now);
    }

    fn reopen(&mut self) {
        self.ownership.reopen();
        self.playlist_gate.reopen();
        self.uploads.reopen();
        self.parts.iter_mut().for_each(Parts::reopen);
        self.retired.reopen();
        self.sweep.reopen();
    }

    fn produced(&mut self, now: Instant, segment: Segment) {
        self.ownership.wake();
        let name = self.name_of(&segment);
        self.ownership.is_ours(name);
        self.last_name = Some(name);
        let follows = |(run, index)| (segment.run, segment.index) == (run, index + 1);
        let discontinuity = std::mem::take(&mut self.hole)
            || segment.after_break
            || self.last_queued.is_some_and(|last| !follows(last));
        self.last_queued = Some((segment.run, segment.index));
        let kind = match self.plan.form.kind {
            SegmentType::Parted => SegmentType::Parted,
            _ if segment.header.is_some() => SegmentType::Fmp4,
            _ => SegmentType::MpegTs,
        };
        let form = Form { kind, renditions: segment.payload.renditions() };
        let key = self.plan.layout.segment(name, segment.index, form);
        let outgoing = Outgoing { key, segment, discontinuity };
        if self.window.is_none() {
            return self.wait(now, outgoing);
        }
        for lost in self.uploads.push(now, outgoing) {
            self.give_up(now, lost);
        }
    }

    fn give_up(&mut self, now: Instant, lost: GivenUp) {
        let GivenUp { outgoing: lost, may_exist, in_spool } = lost;
        if may_exist {
            self.retired.condemn(lost.key.clone(), now + LATE_LANDING);
        }
        self.progress.segments_given_up += 1;
        self.forget_parts(now, &lost.key);
        // With nothing queued behind it, `Uploads` found no segment to mark.
        self.hole |= self.last_queued == Some((lost.segment.run, lost.segment.index));
        self.discards.extend(in_spool.then_some(lost.segment.payload));
        self.make_way(now);
    }

    fn answered(&mut self, now: Instant, answer: Answer) {
        match answer {
            Answer::Stored(payload) => self.discards.push_back(payload),
            Answer::Again => {}
            Answer::GivenUp(lost) => self.give_up(now, lost),
            Answer::Condemned { key, stored } => {
                let due = if stored { now } else { now + LATE_LANDING };
                self.retired.condemn(key, due);
            }
        }
    }

    /// Stored segments enter the window, in order.
    fn commit(&mut self, now: Instant) {
        while let Some(window) = &mut self.window {
            let Some(outgoing) = self.uploads.pop_stored() else { return };
            let target = self.plan.target_duration_s;
            let segment = outgoing.segment;
            // A timestamp jump makes one absurd duration; EXTINF must not exceed the target duration.
            let overlong = rounded_s(segment.duration) > target;
            let duration = if overlong { Duration::from_secs(target) } else { segment.duration };
            let discontinuity = std::mem::take(&mut self.seam) || outgoing.discontinuity || overlong;
            self.seam = overlong;
            let program_time = Some(segment.program_time);
            let entry = NewEntry { key: outgoing.key, duration, program_time, discontinuity };
            let is_whole = entry.key.form().kind != SegmentType::Parted;
            self.room.takes(&entry.key, segment.payload.bytes());
            let gone = window.push(now, entry);
            self.progress.segments_published += 1;
            self.progress.bytes_published += if is_whole { segment.payload.bytes() } else { 0 };
            self.generation += 1;
            self.changed_at = Some(now);
            self.retire(gone);
        }
    }

    fn playlist_stored(&mut self, now: Instant) {
        self.playlist_gate.succeeded();
        self.uploads.reopen();
        if let Some(Sent { generation, next, .. }) = self.playlist_put.take().filter(|sent| sent.counts) {
            self.window.iter_mut().for_each(|window| window.stored(now, next));
            self.stored_generation = self.stored_generation.max(generation);
            self.retired.playlist_stored(now, generation);
            self.sweep.playlist_stored(now);
            self.ownership.floor.confirmed();
            self.put_at.into_iter().for_each(|at| self.ownership.stored(at));
        }
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self, now: Instant) -> Option<Action> {
        self.uploads.assess(now);
        self.assess_parts(now);
        self.expire_parts(now);
        self.wind_up(now);
        if let Some(payload) = self.discards.pop_front() {
            return Some(Action::Discard(payload));
        }
        if self.ownership.start(now, self.playlist_at(), self.cleans_at()) {
            return Some(Action::ReadRemote);
        }
        // They are worth most when they are young.
        if let Some(start) = self.start_part(now) {
            return Some(Action::PutPart(start));
        }
        // The playlist first: what is stored should be seen before more is stored.
        if let Some(playlist) = self.sending.take() {
            return Some(Action::PutPlaylist(playlist));
        }
        if let Some(note) = self.start_playlist(now) {
            return Some(Action::Remember(note));
        }
        if let Some(ticket) = self.uploads.yield_next() {
            return Some(Action::Yield(ticket));
        }
        if let Some(start) = self.uploads.show_next() {
            return Some(Action::Show(start));
        }
        if let Some(ticket) = self.uploads.drop_next(now) {
            return Some(Action::Drop(ticket));
        }
        if self.uploads.ask() {
            return Some(Action::Ask);
        }
        // However many segments wait to be seen: they wait for it.
        if self.window.is_some()
            && let Some(start) = self.uploads.start_init(now)
        {
            return Some(Action::PutInit(start));
        }
        if self.may_upload()
            && !self.are_parts_behind()
            && let Some(start) = self.uploads.start(now)
        {
            return Some(Action::Put(start));
        }
        if let Some(keys) = self.start_deletion(now) {
            return Some(Action::Delete(keys));
        }
        (self.ownership.may_sweep() && self.sweep.start(now) && self.ownership.take_sweep())
            .then_some(Action::List)
    }

    /// Not while a whole window is stored, or on its way, that no playlist shows: a segment would leave the window
    /// unseen, and a discontinuity with it; and where segments are taken and playlists are refused, objects would pile
    /// up for ever.
    fn may_upload(&self) -> bool {
        let unseen = self.generation - self.stored_generation + self.uploads.begun() as u64;
        self.window.is_some() && unseen < self.plan.depth as u64
    }

    /// When the next playlist could be stored, if there is news.
    fn playlist_at(&self) -> Option<Instant> {
        let is_news = self.playlist_put.is_none() && self.generation != self.stored_generation;
        if self.window.is_none() || !is_news || self.is_thin() {
            return None;
        }
        let interval = self.put_at.map(|at| at + self.plan.min_playlist_interval);
        [self.changed_at, self.playlist_gate.opens_at(), interval, self.parts_awaited()]
            .into_iter()
            .flatten()
            .max()
    }

    /// It is what follows the note.
    fn start_playlist(&mut self, now: Instant) -> Option<String> {
        if self.ownership.put_at(self.playlist_at()?)? > now {
            return None;
        }
        let playlist = self.with_parts(self.window.as_ref()?.snapshot());
        // Counted when sent, not when confirmed: a PUT whose answer is lost may be what viewers see.
        self.have_named(&playlist, playlist.duration());
        let next = sight::next_msn(&playlist);
        self.playlist_put = Some(Sent { generation: self.generation, next, counts: true });
        self.put_at = Some(now);
        self.ownership.floor.sent(&playlist);
        self.sending = Some(playlist);
        self.ownership.floor.note(&self.plan.layout)
    }

    /// When to poll again if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        let (playlist, sweep) = (self.playlist_at(), self.sweep.deadline());
        let read = self.ownership.read_at(playlist, self.cleans_at());
        let playlist = playlist.and_then(|at| self.ownership.put_at(at));
        let upload =
            if self.may_upload() && !self.are_parts_behind() { self.uploads.deadline() } else { None };
        let init = self.window.as_ref().and_then(|_| self.uploads.init_deadline());
        let late = self.uploads.look_at();
        let sweep = sweep.filter(|_| self.ownership.may_sweep());
        [read, playlist, upload, init, late, self.delete_at(), sweep, self.wind_up_at(), self.part_at()]
            .into_iter()
            .flatten()
            .min()
    }
}
