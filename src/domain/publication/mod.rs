//! What a camera's publisher does next: uploads, the playlist, deletions, the sweep.
//!
//! Held at all times, whatever the store answers and in whatever order:
//!
//! 1. A playlist names only objects that the store confirmed.
//! 2. Media sequence and discontinuity sequence never go back; a listed segment is never renumbered or renamed.
//! 3. One playlist PUT is under way at most (concurrent ones would have a random winner); the newest wins.
//! 4. An object is deleted only after its hold (see [`super::retired`]).
//! 5. The backlog is bounded: for a newer segment the oldest unsent one is given up, and a discontinuity
//!    marks the hole. The live edge comes before completeness.

#[cfg(test)]
mod scripts;
mod sweep;
mod types;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::gate::Gate;
use super::ids::RunId;
use super::key::ObjectKey;
use super::playlist::MediaPlaylist;
use super::retired::Retired;
use super::segment::{Payload, Segment};
use super::uploads::{Answer, GivenUp, Outgoing, Uploads};
use super::window::{Entry, NewEntry, Window, rounded_s};

use sweep::Sweep;
pub use types::{Action, Input, Plan, Progress, Remote};

#[derive(Debug)]
enum Takeover {
    /// Nothing to publish yet, so nothing to take over. Reading late means that a playlist PUT which a killed
    /// agent left in the network has landed by then.
    Idle,
    Wanted,
    Reading,
    Done(Window),
}

#[derive(Debug)]
pub struct Publication {
    plan: Plan,
    takeover: Takeover,
    read_gate: Gate,
    uploads: Uploads,
    /// The last segment that was queued: what does not follow it is a break.
    last_queued: Option<(RunId, u64)>,
    /// The last queued segment was given up: a break lies before the next one.
    hole: bool,
    /// The next segment to enter the window has a break before it.
    seam: bool,
    /// Counts the window's changes; a stored playlist is of one generation.
    generation: u64,
    stored_generation: u64,
    /// The generation of the one that is under way.
    playlist_put: Option<u64>,
    playlist_gate: Gate,
    /// The longest playlist that may have named each listed object.
    longest_named: HashMap<ObjectKey, Duration>,
    retired: Retired,
    sweep: Sweep,
    discards: VecDeque<Payload>,
    progress: Progress,
}

/// An upload that failed may still land; what nothing names is deleted this long after.
const LATE_LANDING: Duration = Duration::from_secs(60);

impl Publication {
    pub fn new(plan: Plan, seed: u64) -> Self {
        let mut seeds = Dice::new(seed);
        let mut dice = || Dice::new(seeds.roll());
        let coalesce = Duration::from_millis(250) * u32::try_from(plan.target_duration_s.min(8)).unwrap_or(8);
        let gate = |dice| Gate::new(plan.uploads.most_pause, dice);
        Self {
            takeover: Takeover::Idle,
            read_gate: gate(dice()),
            uploads: Uploads::new(plan.uploads, dice()),
            last_queued: None,
            hole: false,
            seam: false,
            generation: 0,
            stored_generation: 0,
            playlist_put: None,
            playlist_gate: gate(dice()),
            longest_named: HashMap::new(),
            retired: Retired::new(coalesce, dice()),
            sweep: Sweep::new(dice()),
            discards: VecDeque::new(),
            progress: Progress::default(),
            plan,
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Produced(segment) => self.produced(now, segment),
            Input::Remote(remote) => self.take_over(now, remote),
            Input::RemoteFailed(failure) => {
                self.read_gate.failed(now, failure);
                self.takeover = Takeover::Wanted;
            }
            Input::Stored(ticket) => {
                let answer = self.uploads.stored(now, ticket);
                self.answered(now, answer);
            }
            Input::StoreFailed(ticket, failure) => {
                let answer = self.uploads.failed(now, ticket, failure);
                self.answered(now, answer);
            }
            Input::PlaylistStored => self.playlist_stored(now),
            Input::PlaylistFailed(failure) => {
                self.playlist_put = None;
                self.playlist_gate.failed(now, failure);
            }
            Input::Deleted => self.deleted(now),
            Input::DeleteFailed(failure) => self.retired.delete_failed(now, failure),
            Input::Listed(keys) => self.listed(now, &keys),
            Input::ListFailed(failure) => self.sweep.failed(now, failure),
        }
        self.commit();
    }

    fn produced(&mut self, now: Instant, segment: Segment) {
        if matches!(self.takeover, Takeover::Idle) {
            self.takeover = Takeover::Wanted;
        }
        let follows = |(run, index)| (segment.run, segment.index) == (run, index + 1);
        let discontinuity =
            std::mem::take(&mut self.hole) || self.last_queued.is_some_and(|last| !follows(last));
        self.last_queued = Some((segment.run, segment.index));
        let key = self.plan.layout.segment(segment.run, segment.index);
        for lost in self.uploads.push(now, Outgoing { key, segment, discontinuity }) {
            self.give_up(now, lost);
        }
    }

    fn give_up(&mut self, now: Instant, lost: GivenUp) {
        let GivenUp { outgoing: lost, may_exist } = lost;
        if may_exist {
            self.retired.condemn(lost.key.clone(), now + LATE_LANDING);
        }
        self.progress.segments_given_up += 1;
        // With nothing queued behind it, `Uploads` found no segment to mark.
        self.hole |= self.last_queued == Some((lost.segment.run, lost.segment.index));
        self.discards.push_back(lost.segment.payload);
    }

    fn take_over(&mut self, now: Instant, remote: Remote) {
        self.read_gate.succeeded();
        let (depth, target) = (self.plan.depth, self.plan.target_duration_s);
        let (window, duration) = match remote {
            Remote::Absent { first } => (Window::new(depth, target, first, 0), Duration::ZERO),
            Remote::Damaged { next, discontinuity_sequence } => {
                self.seam = true;
                (Window::new(depth, target, next, discontinuity_sequence), Duration::ZERO)
            }
            Remote::Found(playlist) => {
                let duration = playlist.duration();
                let named = playlist.entries.iter().map(|entry| (entry.key.clone(), duration));
                self.longest_named.extend(named);
                self.seam = true;
                let (window, gone) = Window::resume(depth, target, playlist);
                self.retire(gone);
                (window, duration)
            }
        };
        self.takeover = Takeover::Done(window);
        self.sweep.begin(now + self.hold_of_unknown(duration));
    }

    /// What an earlier agent left unlisted may have left its playlist just now.
    fn hold_of_unknown(&self, remote_duration: Duration) -> Duration {
        let segment = Duration::from_secs(self.plan.target_duration_s);
        segment + remote_duration.max(segment * u32::try_from(self.plan.depth).unwrap_or(u32::MAX))
    }

    fn answered(&mut self, now: Instant, answer: Answer) {
        match answer {
            Answer::Ours => {}
            Answer::GivenUp(lost) => self.give_up(now, lost),
            Answer::Condemned { key, stored } => {
                let due = if stored { now } else { now + LATE_LANDING };
                self.retired.condemn(key, due);
            }
        }
    }

    /// Stored segments enter the window, in order.
    fn commit(&mut self) {
        while let Takeover::Done(window) = &mut self.takeover {
            let Some(outgoing) = self.uploads.pop_stored() else { return };
            let target = self.plan.target_duration_s;
            let segment = outgoing.segment;
            // A timestamp jump makes one absurd duration; EXTINF must not exceed the target duration.
            let overlong = rounded_s(segment.duration) > target;
            let duration = if overlong { Duration::from_secs(target) } else { segment.duration };
            let discontinuity = std::mem::take(&mut self.seam) || outgoing.discontinuity || overlong;
            self.seam = overlong;
            let program_time = Some(segment.program_time);
            let gone = window.push(NewEntry { key: outgoing.key, duration, program_time, discontinuity });
            self.progress.segments_published += 1;
            self.progress.bytes_published += segment.payload.bytes();
            self.discards.push_back(segment.payload);
            self.generation += 1;
            self.retire(gone);
        }
    }

    fn retire(&mut self, gone: Vec<Entry>) {
        let generation = self.generation.max(self.stored_generation + 1);
        for entry in gone {
            let longest = self.longest_named.remove(&entry.key).unwrap_or_default();
            self.retired.leaves(generation, entry.key, entry.duration + longest);
        }
    }

    fn deleted(&mut self, now: Instant) {
        self.retired.deleted();
        if self.retired.take_forgotten() > 0 {
            // The store deletes again: what was forgotten meanwhile is in the listing.
            self.sweep.begin(now + self.hold_of_unknown(Duration::ZERO));
        }
    }

    fn playlist_stored(&mut self, now: Instant) {
        self.playlist_gate.succeeded();
        if let Some(generation) = self.playlist_put.take() {
            self.stored_generation = generation;
            self.retired.playlist_stored(now, generation);
        }
    }

    fn listed(&mut self, now: Instant, keys: &[ObjectKey]) {
        let Takeover::Done(window) = &self.takeover else { return };
        let known = |key: &ObjectKey| {
            window.contains(key) || self.uploads.contains(key) || self.retired.contains(key)
        };
        let orphans: Vec<_> = keys
            .iter()
            .filter(|key| self.plan.layout.run_of(key).is_some() && !known(key))
            .cloned()
            .collect();
        // The listing is the truth: it holds what was forgotten.
        self.retired.take_forgotten();
        for key in orphans {
            self.progress.orphans_swept += u64::from(self.retired.condemn(key, now));
        }
        self.sweep.done(now);
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self, now: Instant) -> Option<Action> {
        if let Some(payload) = self.discards.pop_front() {
            return Some(Action::Discard(payload));
        }
        if matches!(self.takeover, Takeover::Wanted) && self.read_gate.is_open(now) {
            self.takeover = Takeover::Reading;
            return Some(Action::ReadRemote);
        }
        // The playlist first: what is stored should be seen before more is stored.
        if let Some(playlist) = self.start_playlist(now) {
            return Some(Action::PutPlaylist(playlist));
        }
        if self.may_upload()
            && let Some((ticket, key, payload)) = self.uploads.start(now)
        {
            return Some(Action::Put { ticket, key, payload });
        }
        if let Some(keys) = self.retired.start(now) {
            return Some(Action::Delete(keys));
        }
        self.sweep.start(now).then_some(Action::List)
    }

    /// Not while a whole window is stored that no playlist shows, or the playlist can't be read: where segments are
    /// taken and playlists are refused, objects would pile up for ever.
    fn may_upload(&self) -> bool {
        if matches!(self.takeover, Takeover::Wanted | Takeover::Reading) && self.read_gate.is_failing() {
            return false;
        }
        self.generation - self.stored_generation < self.plan.depth as u64
    }

    fn is_playlist_due(&self) -> bool {
        self.playlist_put.is_none() && self.generation > self.stored_generation
    }

    fn start_playlist(&mut self, now: Instant) -> Option<MediaPlaylist> {
        let Takeover::Done(window) = &self.takeover else { return None };
        if !self.is_playlist_due() || !self.playlist_gate.is_open(now) {
            return None;
        }
        let playlist = window.snapshot();
        let duration = playlist.duration();
        // Counted when sent, not when confirmed: a PUT whose answer is lost may be what viewers see.
        for entry in &playlist.entries {
            let longest = self.longest_named.entry(entry.key.clone()).or_default();
            *longest = duration.max(*longest);
        }
        self.playlist_put = Some(self.generation);
        Some(playlist)
    }

    /// When to poll again if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        let read = match self.takeover {
            Takeover::Wanted => self.read_gate.opens_at(),
            _ => None,
        };
        let playlist = if self.is_playlist_due() { self.playlist_gate.opens_at() } else { None };
        let upload = if self.may_upload() { self.uploads.deadline() } else { None };
        [read, playlist, upload, self.retired.deadline(), self.sweep.deadline()].into_iter().flatten().min()
    }

    /// All that was produced is stored and listed: an agent that stops may go. Holds that still run are the
    /// next start's sweep.
    pub fn is_drained(&self) -> bool {
        self.uploads.is_idle()
            && self.generation == self.stored_generation
            && self.playlist_put.is_none()
            && !self.retired.is_deleting()
            && self.discards.is_empty()
    }

    pub fn progress(&self) -> Progress {
        let live_edge = match &self.takeover {
            Takeover::Done(window) => window.live_edge(),
            _ => None,
        };
        Progress {
            backlog: self.uploads.backlog(),
            objects_left: self.retired.forgotten(),
            live_edge,
            ..self.progress
        }
    }
}
