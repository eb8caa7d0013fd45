//! Who publishes: this agent, or another one that was given the same camera (an installer's mistake, a cloned box).
//!
//! Stores offer no lock that all of them keep, so the playlist that viewers see is the only witness. What it names
//! last tells by its run id who wrote it, and an agent that is alive moves it on.
//!
//! * A newcomer that finds somebody else's playlist watches it for a [`Times::silence`]: one that stays as it is was
//!   left by the dead, one that moves has an owner, and the newcomer stands back until it stops moving.
//! * An owner looks now and then, right before it stores a playlist: what is there was written since its own last one.
//!   If that is not its own, the one with the younger run stands back, and the other goes on from what it read.
//! * An owner whose last playlist is older than [`Times::lease`] looks before it stores the next one: after that
//!   silence another may have taken over, by right. So it is the one to stand back if it meets one soon after: a
//!   playlist PUT of its own that landed late may have hidden the other from that look.

use std::time::{Duration, Instant};

use super::floor::Floor;
use super::own_runs::OwnRuns;
use super::sight::{Mark, Verdict, at_least, duration, last_msn, mark, next_msn, without_ended};
use super::times::Times;
use super::types::Remote;
use crate::domain::dice::Dice;
use crate::domain::gate::{Failure, Gate};
use crate::domain::ids::{Msn, RunId};
use crate::domain::key::Layout;
use crate::domain::playlist::MediaPlaylist;

/// Of an owner that nothing disturbs.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Two that took over at once should meet soon: so many of the first playlists are each preceded by a look.
const EARLY_LOOKS: u32 = 6;
/// A look that is not answered holds a playlist up for this long at most.
const PATIENCE: Duration = Duration::from_secs(1);
/// Whoever does not stand back when it should is no agent of this kind: then this one does.
const MOST_CONFLICTS: u32 = 3;

#[derive(Debug)]
enum State {
    /// Nothing to publish yet, not even a part, so nothing to own. Reading late means that a playlist PUT which a killed agent left in
    /// the network has landed by then.
    Idle,
    /// The first read is to come.
    Asking,
    Watching(Watch),
    Owning(Title),
}

#[derive(Debug)]
struct Watch {
    seen: Mark,
    /// The furthest playlist that was read: a late read must not set the numbers back.
    furthest: MediaPlaylist,
    look_at: Instant,
    /// It moved, so it has an owner.
    standing_back: bool,
}

#[derive(Debug)]
struct Title {
    /// Begin of the lease.
    since: Instant,
    lapsed: bool,
    look_at: Instant,
    /// Looks that still come early.
    early: u32,
    /// They do because it was silent for longer than its lease.
    was_silent: bool,
    conflicts: u32,
    /// The last look came when the sweep was due, and found nobody.
    may_sweep: bool,
    /// The last number that was taken over: who names nothing newer is history, read late.
    taken_over: Option<Msn>,
}

#[derive(Debug)]
struct Reading {
    since: Instant,
    /// Nothing is published before the answer.
    blocks: bool,
    /// The lease was over when it began.
    lapsed: bool,
}

#[derive(Debug)]
pub(super) struct Ownership {
    layout: Layout,
    times: Times,
    state: State,
    reading: Option<Reading>,
    /// For reads that the publication waits for, and for the others.
    gate: Gate,
    look_gate: Gate,
    own_runs: OwnRuns,
    pub(super) floor: Floor,
    /// The stream ends here: whoever else publishes it may.
    is_leaving: bool,
    rival: Option<RunId>,
    conflicts: u64,
    dice: Dice,
}

impl Ownership {
    pub(super) fn new(layout: Layout, times: Times, gate: Gate, mut dice: Dice) -> Self {
        let look_gate = Gate::new(LOOK_EVERY, Dice::new(dice.roll()));
        let (own_runs, state) = (OwnRuns::default(), State::Idle);
        Self {
            layout,
            times,
            state,
            reading: None,
            gate,
            look_gate,
            own_runs,
            floor: Floor::default(),
            is_leaving: false,
            rival: None,
            conflicts: 0,
            dice,
        }
    }

    /// What failed for want of credentials may be tried now.
    pub(super) fn reopen(&mut self) {
        self.gate.reopen();
        self.look_gate.reopen();
    }

    /// There is something to publish.
    pub(super) fn wake(&mut self) {
        if matches!(self.state, State::Idle) {
            self.state = State::Asking;
        }
    }

    pub(super) fn is_ours(&mut self, run: RunId) {
        self.own_runs.add(run);
    }

    /// Another agent publishes, or did a moment ago.
    pub(super) fn is_standing_back(&self) -> bool {
        matches!(&self.state, State::Watching(watch) if watch.standing_back)
    }

    /// The first read is to come, or to be answered.
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.state, State::Asking)
    }

    /// The run of the other agent that was seen last.
    pub(super) fn rival(&self) -> Option<RunId> {
        self.rival
    }

    /// How often another one was found to publish beside this one.
    pub(super) fn conflicts(&self) -> u64 {
        self.conflicts
    }

    /// The next playlist comes behind a look, and another one that is met goes on.
    pub(super) fn leaves(&mut self) {
        self.is_leaving = true;
        if let State::Owning(title) = &mut self.state {
            title.lapsed = true;
        }
    }

    /// Viewers see a playlist whose PUT began `at`.
    pub(super) fn stored(&mut self, at: Instant) {
        if let State::Owning(title) = &mut self.state {
            title.since = title.since.max(at);
            title.lapsed = false;
        }
    }

    /// When the next read begins. `put_at`: when a playlist could be stored; `sweep_at`: when the sweep is due.
    pub(super) fn read_at(&self, put_at: Option<Instant>, sweep_at: Option<Instant>) -> Option<Instant> {
        if self.reading.is_some() {
            return None;
        }
        let open = |gate: &Gate, at: Instant| gate.opens_at().map_or(at, |opens| at.max(opens));
        match &self.state {
            State::Idle => None,
            State::Asking => self.gate.opens_at().max(self.floor.again_at()),
            State::Watching(watch) => Some(open(&self.gate, watch.look_at)),
            State::Owning(title) if title.lapsed => put_at.map(|at| open(&self.gate, at)),
            State::Owning(title) => {
                let lapses = title.since + self.times.lease;
                let look = put_at.map(|at| at.max(title.look_at));
                // With nothing to store, only silence tells that the other may have come.
                let before_sweep = sweep_at
                    .filter(|_| !title.may_sweep)
                    .map(|at| at.max(put_at.unwrap_or(lapses).min(lapses)));
                [look, before_sweep].into_iter().flatten().min().map(|at| open(&self.look_gate, at))
            }
        }
    }

    /// Whether a read is to begin now; its answer comes to [`Self::read`] or [`Self::failed`].
    pub(super) fn start(&mut self, now: Instant, put_at: Option<Instant>, sweep_at: Option<Instant>) -> bool {
        if let State::Owning(title) = &mut self.state {
            title.lapsed |= put_at.is_some_and(|at| at <= now) && now >= title.since + self.times.lease;
        }
        let read_at = self.read_at(put_at, sweep_at);
        let at_once = matches!(self.state, State::Asking) && self.reading.is_none() && read_at.is_none();
        if !at_once && read_at.is_none_or(|at| at > now) {
            return false;
        }
        let (blocks, lapsed) = match &self.state {
            State::Owning(title) => (title.lapsed, now >= title.since + self.times.lease),
            _ => (true, false),
        };
        self.reading = Some(Reading { since: now, blocks, lapsed });
        true
    }

    /// When a playlist may be stored that could be at `at`; `None`: an answer has to come first.
    pub(super) fn put_at(&self, at: Instant) -> Option<Instant> {
        let State::Owning(title) = &self.state else { return None };
        match &self.reading {
            _ if title.lapsed => None,
            Some(reading) => Some(at.max(reading.since + PATIENCE)),
            None => Some(at),
        }
    }

    /// Allows one listing.
    pub(super) fn take_sweep(&mut self) -> bool {
        let State::Owning(title) = &mut self.state else { return false };
        std::mem::take(&mut title.may_sweep)
    }

    pub(super) fn may_sweep(&self) -> bool {
        matches!(&self.state, State::Owning(title) if title.may_sweep)
    }

    /// No answer is no conflict.
    pub(super) fn failed(&mut self, now: Instant, failure: Failure) {
        let Some(reading) = self.reading.take() else { return };
        if reading.blocks {
            self.gate.failed(now, failure);
        } else {
            self.look_gate.failed(now, failure);
        }
    }

    /// `newest`: the run that this agent publishes now. `sweep_is_due`: a sweep waits for this look.
    pub(super) fn read(
        &mut self,
        now: Instant,
        remote: Remote,
        newest: Option<RunId>,
        sweep_is_due: bool,
    ) -> Verdict {
        let lapsed = self.reading.take().is_some_and(|reading| reading.lapsed);
        self.gate.succeeded();
        self.look_gate.succeeded();
        match &self.state {
            State::Idle | State::Asking if self.floor.doubts(now, &remote) => Verdict::Nothing,
            State::Idle | State::Asking => match remote {
                // Whoever said that nothing follows is no rival.
                Remote::Found(playlist) if !playlist.ended && !self.made_by_us(&playlist) => {
                    self.watch(now, playlist, false)
                }
                remote => self.take_over(now, remote),
            },
            State::Watching(_) => self.watched(now, remote),
            State::Owning(title) => match remote {
                Remote::Found(playlist) if self.is_rivals(title, &playlist) => {
                    self.conflict(now, playlist, newest, lapsed)
                }
                _ => self.undisturbed(now, sweep_is_due, lapsed),
            },
        }
    }

    fn newest_run(&self, playlist: &MediaPlaylist) -> Option<RunId> {
        playlist.entries.last().and_then(|entry| self.layout.run_of(&entry.key))
    }

    fn made_by_us(&self, playlist: &MediaPlaylist) -> bool {
        self.newest_run(playlist).is_some_and(|run| self.own_runs.has(run))
    }

    fn is_rivals(&self, title: &Title, playlist: &MediaPlaylist) -> bool {
        let is_history = title.taken_over.is_some_and(|last| next_msn(playlist) <= last.next());
        // What names nothing does not tell who wrote it.
        let is_known = next_msn(playlist) <= self.floor.known() || self.floor.sent_it_empty(playlist);
        let is_own_empty = playlist.entries.is_empty() && is_known;
        !self.made_by_us(playlist) && !is_history && !is_own_empty
    }

    fn take_over(&mut self, now: Instant, remote: Remote) -> Verdict {
        let named = duration(&remote);
        let seen = if let Remote::Found(playlist) = &remote { Some(playlist.clone()) } else { None };
        let mut remote = self.floor.lift(remote);
        if let Some(playlist) = &seen {
            let is_ours = self.made_by_us(playlist);
            self.floor.read(playlist, is_ours);
            // Its maker may be about to name nothing any more.
            remote = if is_ours { remote } else { without_ended(remote, playlist) };
        }
        let taken_over = match &remote {
            Remote::Found(playlist) => last_msn(playlist),
            Remote::Absent { .. } | Remote::Damaged { .. } => self.floor.last(),
        };
        self.rival = None;
        let look_at = now + self.times.early;
        self.state = State::Owning(Title {
            since: now,
            lapsed: false,
            look_at,
            early: EARLY_LOOKS,
            was_silent: false,
            conflicts: 0,
            may_sweep: false,
            taken_over,
        });
        Verdict::TakeOver { remote, named }
    }

    fn watch(&mut self, now: Instant, playlist: MediaPlaylist, standing_back: bool) -> Verdict {
        self.rival = self.newest_run(&playlist);
        // Two that wait for the same silence must not end it in the same moment.
        let jitter = 1.0 + 0.25 * self.dice.unit();
        let look_at = now + self.times.silence_of(&playlist).mul_f64(jitter);
        let (seen, furthest) = (Mark::of(&playlist), playlist);
        self.state = State::Watching(Watch { seen, furthest, look_at, standing_back });
        Verdict::Nothing
    }

    fn watched(&mut self, now: Instant, remote: Remote) -> Verdict {
        let State::Watching(watch) = &mut self.state else { return Verdict::Nothing };
        let seen = mark(&remote);
        if seen == watch.seen {
            let remote = at_least(remote, watch.furthest.clone());
            return self.take_over(now, remote);
        }
        watch.seen = seen;
        watch.standing_back = true;
        if let Remote::Found(playlist) = remote
            && next_msn(&playlist) >= next_msn(&watch.furthest)
        {
            watch.furthest = playlist;
        }
        let furthest = watch.furthest.clone();
        let (pause, jitter) = (self.times.silence_of(&furthest), 1.0 + 0.5 * self.dice.unit());
        self.rival = self.newest_run(&furthest);
        if let State::Watching(watch) = &mut self.state {
            watch.look_at = now + pause.mul_f64(jitter);
        }
        Verdict::Nothing
    }

    fn conflict(
        &mut self,
        now: Instant,
        playlist: MediaPlaylist,
        newest: Option<RunId>,
        lapsed: bool,
    ) -> Verdict {
        self.conflicts += 1;
        self.rival = self.newest_run(&playlist);
        let (rival, again_at) = (self.rival, now + self.times.early);
        let State::Owning(title) = &mut self.state else { return Verdict::Nothing };
        title.conflicts += 1;
        if lapsed
            || self.is_leaving
            || title.was_silent
            || newest >= rival
            || title.conflicts >= MOST_CONFLICTS
        {
            // After a lapse it may be dead again; else it was alive a moment ago.
            self.watch(now, playlist, !lapsed);
            return Verdict::StandBack;
        }
        title.look_at = again_at;
        title.early = EARLY_LOOKS;
        title.may_sweep = false;
        title.taken_over = title.taken_over.max(last_msn(&playlist));
        Verdict::Reclaim(playlist)
    }

    fn undisturbed(&mut self, now: Instant, sweep_is_due: bool, lapsed: bool) -> Verdict {
        let later = LOOK_EVERY.mul_f64(0.75 + 0.5 * self.dice.unit());
        let early = self.times.early;
        let State::Owning(title) = &mut self.state else { return Verdict::Nothing };
        title.since = title.since.max(now);
        title.lapsed = false;
        title.may_sweep |= sweep_is_due;
        // Another one may have ended its watch just now.
        title.early = if lapsed { EARLY_LOOKS } else { title.early.saturating_sub(1) };
        title.was_silent |= lapsed;
        if title.early == 0 {
            title.conflicts = 0;
            title.was_silent = false;
        }
        title.look_at = now + if title.early > 0 { early } else { later };
        Verdict::Nothing
    }
}
