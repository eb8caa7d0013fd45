//! One camera: its engine's runs, and the publisher that outlives them.

mod equipped;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::change::{give_up_the_rest, is_late};
use super::looks::Looks;
use super::outlets::{Beside, EdgeSender, Feed, Forgotten, Origin, Outlets, Place};
use super::publisher::renewed;
use super::reporter::{LastWord, LastWordSender, finish};
use super::sheet::Posting;
use super::snapshots::Studio;
use super::status::{LastExit, StatusSender};
use super::variants::Board;
use super::voice::Voice;
use crate::clock;
use crate::domain::dice::Dice;
use crate::domain::ids::RunId;
use crate::domain::lifecycle::{Action, Cause, Input, Lifecycle, Patience, Phase};
use crate::domain::pace::Pace;
use crate::domain::publication::Plan;
use crate::domain::segment::{Part, Segment};
use crate::engine::spool::root::discard;
use crate::engine::{Engine, EngineEvent, Exit, Halt, Run};
use crate::store::ObjectStore;

/// The supervisor's sign of life when nothing happens: while there is a run, and while there is none.
const BEAT: Duration = Duration::from_secs(1);
const SLOW_BEAT: Duration = Duration::from_secs(5);
/// A beat that is so late: this process stood still.
const HELD_UP: Duration = Duration::from_secs(1);

/// Why a supervisor has nothing more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Stopped,
    /// See [`Engine::is_outgrown`]: what was made is published, or was given up after a while.
    Outgrown,
}

#[derive(Debug)]
pub struct Supervisor {
    engine: Box<dyn Engine>,
    lifecycle: Lifecycle,
    status: StatusSender,
    dice: Dice,
    voice: Voice,
    looks: Looks,
    /// The current run's.
    pace: Pace,
    /// The same of its parts, which come before their segments.
    part_pace: Pace,
    /// The current run's segments are not real any more.
    runaway: bool,
    /// Of supervisors before this one, which panicked.
    restarts_before: u64,
    studio: Option<Studio>,
    posting: Option<Posting>,
    board: Option<Board>,
    origin: Option<Origin>,
    /// And how long a part is to be.
    edge: Option<(EdgeSender, Duration)>,
    /// Cancelled before a stop: nobody wants the stream any more.
    over: CancellationToken,
    /// Counts those who ask for the stream.
    asked: Option<watch::Receiver<u64>>,
    /// The publisher knows which runs were this machine's.
    told_runs: bool,
    /// When those who follow the status were woken last.
    told_at: Instant,
}

impl Supervisor {
    pub fn new(engine: Box<dyn Engine>, patience: Patience, status: StatusSender, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (restarts_before, given_up, barred) = {
            let before = status.borrow();
            let restarts = before.restarts + u64::from(before.run.is_some());
            (restarts, before.progress.segments_given_up, before.barred)
        };
        let looks = Looks::new(patience.look_every, patience.thresholds, clock::now(), given_up);
        let lifecycle = Lifecycle::new(patience, Dice::new(dice.roll())).barred_by(barred);
        Self {
            engine,
            lifecycle,
            status,
            dice,
            voice: Voice::default(),
            looks,
            pace: Pace::new(clock::now()),
            part_pace: Pace::new(clock::now()),
            runaway: false,
            restarts_before,
            studio: None,
            posting: None,
            board: None,
            origin: None,
            edge: None,
            over: CancellationToken::new(),
            asked: None,
            told_runs: false,
            told_at: clock::now(),
        }
    }

    /// Runs the camera until `stop`, then finishes its last segment and publishes it; `abort` ends it at once.
    pub async fn run(
        mut self,
        plan: Plan,
        store: Arc<dyn ObjectStore>,
        stop: CancellationToken,
        abort: CancellationToken,
    ) -> End {
        let main = Place { plan, store, note: self.engine.note(), status: self.status.clone() };
        let beside = Beside {
            studio: self.studio.take(),
            posting: self.posting.take(),
            board: self.board.take(),
            edge: self.edge.clone(),
        };
        let _forgotten = self.edge.take().map(|(edge, _)| Forgotten(edge));
        let last_word = LastWordSender::default();
        let origin = self.origin.take();
        let also = origin.as_ref().map(|origin| origin.status.clone());
        let outlets = Outlets::new(main, origin, beside, &last_word, &mut self.dice);
        let cut = abort.child_token();
        let (feed, mut publishing, beside, told) = outlets.open(&self.over, &cut);
        tokio::pin!(told);
        self.lifecycle.handle(clock::now(), Input::Start);
        let end = tokio::select! {
            biased;
            () = abort.cancelled() => return End::Stopped,
            Some(ended) = publishing.join_next() => {
                resume_panic(ended);
                return End::Stopped;
            }
            never = beside => match never {},
            // Not before the last word.
            () = &mut told => return End::Stopped,
            end = self.supervise(feed, &stop) => end,
        };
        let word = match end {
            End::Outgrown => None,
            End::Stopped if self.over.is_cancelled() => Some(LastWord::Ended),
            End::Stopped => Some(LastWord::Stopped),
        };
        let finished = finish(publishing, told, &last_word, word);
        tokio::pin!(finished);
        tokio::select! {
            biased;
            () = abort.cancelled() => return End::Stopped,
            () = &mut finished => return end,
            () = is_late(&stop), if end == End::Outgrown => {}
        }
        cut.cancel();
        finished.await;
        [Some(self.status), also].iter().flatten().for_each(give_up_the_rest);
        end
    }

    /// Until the camera is stopped; then the segment channels close behind it.
    async fn supervise(&mut self, feed: Feed, stop: &CancellationToken) -> End {
        let mut current: Option<Box<dyn Run>> = None;
        let (mut stopping, mut due) = (false, clock::now());
        loop {
            self.held_up(due, current.is_some());
            while let Some(action) = self.lifecycle.poll(clock::now()) {
                let began = clock::now();
                self.act(action, &mut current).await;
                self.held_up(began, current.is_some());
            }
            let looked = clock::now();
            self.tell();
            if self.lifecycle.is_over() {
                return End::Stopped;
            }
            let beat = if current.is_some() { BEAT } else { SLOW_BEAT };
            due = looked + beat;
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.lifecycle.handle(clock::now(), Input::Stop);
                }
                event = next(&mut current) => match event {
                    EngineEvent::Segment(segment) => self.segment(segment, &feed).await,
                    EngineEvent::Part(part) => self.part(part, &feed).await,
                    EngineEvent::Lost { segments } => self.lost(segments),
                    EngineEvent::Withheld { segments } => self.missed(segments),
                    EngineEvent::Outgrown => if self.hands_over(&mut current, stopping) {
                        return End::Outgrown;
                    }
                    EngineEvent::Unfit(cause) => self.lifecycle.handle(clock::now(), Input::Unfit(cause)),
                    EngineEvent::Exited(exit) => {
                        current = None;
                        feed.run_ended();
                        let is_outgrown = self.engine.is_outgrown() && !stopping;
                        if is_outgrown && exit.cause == Cause::Asked && !self.lifecycle.is_giving_up() {
                            // It only looked, or was asked to end: nothing has failed.
                            self.engine.ended(&exit, exit.cause);
                            self.status.send_modify(|status| status.run = None);
                            self.lifecycle.ends_for().iter().for_each(|cause| self.changed(*cause));
                            return End::Outgrown;
                        }
                        self.exited(exit);
                        if is_outgrown {
                            return End::Outgrown;
                        }
                    }
                },
                () = renewed(&mut self.asked) => self.lifecycle.handle(clock::now(), Input::Asked),
                () = self.engine.renewal() => self.lifecycle.handle(clock::now(), Input::Renew),
                () = clock::sleep_until(self.lifecycle.deadline()) => {}
                () = clock::sleep_until(Some(self.looks.next())) => {}
                () = tokio::time::sleep(beat) => {}
            }
        }
    }

    /// What a run might have done since `due`, it had no time for.
    fn held_up(&mut self, due: Instant, has_run: bool) {
        let now = clock::now();
        let lost = now.saturating_duration_since(due);
        if has_run && lost >= HELD_UP {
            self.lifecycle.handle(now, Input::HeldUp(lost));
        }
    }

    async fn act(&mut self, action: Action, current: &mut Option<Box<dyn Run>>) {
        let halt = match action {
            Action::Spawn => {
                let run = self.new_run();
                match self.engine.start(run).await {
                    Ok(started) => {
                        *current = Some(started);
                        self.status.send_modify(|status| status.mode = self.engine.mode());
                    }
                    Err(error) => self.exited(Exit::never_started(&error)),
                }
                return;
            }
            Action::Ask => Halt::Ask,
            Action::Terminate => Halt::Terminate,
            Action::Kill => Halt::Kill,
        };
        if let Some(run) = current {
            run.halt(halt);
        }
    }

    /// Nothing of it was published: whoever does is to announce longer segments.
    fn hands_over(&mut self, current: &mut Option<Box<dyn Run>>, stopping: bool) -> bool {
        if stopping || !matches!(self.lifecycle.phase(), Phase::Starting { .. }) {
            self.runaway = true;
            return false;
        }
        let id = self.status.borrow().run;
        if let Some((run, id)) = current.take().zip(id) {
            self.engine.hand_over(id, run);
        }
        // It goes on: no restart.
        self.status.send_modify(|status| status.run = None);
        true
    }

    /// Unique also when the wall clock is set back: the dice see to it.
    fn new_run(&mut self) -> RunId {
        let dice = (self.dice.roll() >> 32) as u32;
        let run = self.engine.takes_over().unwrap_or_else(|| RunId::new(clock::wall_ms(), dice));
        (self.pace, self.part_pace, self.runaway) = (Pace::new(clock::now()), Pace::new(clock::now()), false);
        self.status.send_modify(|status| status.run = Some(run));
        run
    }

    /// Frozen pictures are noticed here first; that the run is over is told by its segments.
    async fn part(&mut self, part: Part, feed: &Feed) {
        if !self.runaway && self.part_pace.is_real(clock::now(), part.duration) {
            self.recall(feed).await;
            feed.part_produced(part).await;
        }
    }

    /// Before all else: the publisher would take an earlier run's playlist for another agent's.
    async fn recall(&mut self, feed: &Feed) {
        if !std::mem::replace(&mut self.told_runs, true) {
            feed.recall(self.engine.note().text(), &self.engine.earlier_runs()).await;
        }
    }

    async fn segment(&mut self, segment: Segment, feed: &Feed) {
        let now = clock::now();
        if self.runaway || !self.pace.is_real(now, segment.duration) {
            return self.unreal(segment).await;
        }
        if let Phase::Starting { since } = self.lifecycle.phase() {
            self.voice.live(now, segment.run, since);
            self.status.send_modify(|status| status.live_since = Some(now));
        }
        tracing::debug!(run = %segment.run, index = segment.index, duration = ?segment.duration,
            bytes = segment.payload.bytes(), "segment produced");
        self.lifecycle.handle(now, Input::SegmentProduced(segment.duration));
        self.status.send_modify(|status| status.last_segment = Some(now));
        self.recall(feed).await;
        feed.produced(segment).await;
    }

    /// Frozen pictures that fill a hole in the camera's time: nobody should see them.
    async fn unreal(&mut self, segment: Segment) {
        self.runaway = true;
        self.lifecycle.handle(clock::now(), Input::Runaway);
        self.missed(1);
        let remove = move || segment.payload.paths().for_each(|path| discard(&path));
        let _ = tokio::task::spawn_blocking(remove).await;
    }

    fn lost(&mut self, segments: u64) {
        self.missed(segments);
        self.voice.lost(clock::now(), segments);
    }

    fn missed(&self, segments: u64) {
        self.status.send_modify(|status| status.segments_missed += segments);
    }

    /// A stream, not a look, ended for another one to begin.
    fn changed(&self, cause: Cause) {
        self.status.send_modify(|status| {
            status.restarts += 1;
            *status.restarts_by_cause.entry(cause).or_default() += 1;
        });
    }

    fn exited(&mut self, exit: Exit) {
        let now = clock::now();
        let restarts = self.lifecycle.restarts();
        self.lifecycle.handle(now, Input::Exited(exit.cause));
        let cause = self.lifecycle.last_cause().unwrap_or(exit.cause);
        if self.lifecycle.restarts() > restarts {
            self.status.send_modify(|status| {
                *status.restarts_by_cause.entry(cause).or_default() += 1;
                status.failed_at = Some(now);
            });
        }
        let is_news = self.lifecycle.is_wanted() || cause == Cause::Asked;
        if !self.engine.ended(&exit, cause) && is_news {
            self.voice.exited(now, &self.lifecycle, &exit);
        }
        let Exit { code, signal, ran_for, last_words, .. } = exit;
        let last_exit = LastExit { cause, code, signal, last_words, ran_for };
        self.status.send_modify(|status| {
            status.live_since = None;
            status.last_trouble = Some(cause).filter(|cause| *cause != Cause::Asked).or(status.last_trouble);
            status.last_exit = Some(last_exit);
        });
    }

    fn tell(&mut self) {
        let now = clock::now();
        let Self { lifecycle, looks, voice, restarts_before, told_at, .. } = self;
        self.status.send_if_modified(|status| {
            let before = (status.phase, status.restarts, status.barred);
            status.phase = lifecycle.phase();
            status.restarts = *restarts_before + lifecycle.restarts();
            status.barred = lifecycle.barred();
            status.beat = now;
            let verdict = looks.look(now, lifecycle, status);
            if let Some(verdict) = verdict {
                voice.looked(now, verdict);
            }
            voice.calm(now, status.segments_missed);
            // A beat alone wakes nobody each time.
            let is_due = now.saturating_duration_since(*told_at) >= SLOW_BEAT;
            let is_news =
                is_due || verdict.is_some() || before != (status.phase, status.restarts, status.barred);
            *told_at = if is_news { now } else { *told_at };
            is_news
        });
    }
}

async fn next(current: &mut Option<Box<dyn Run>>) -> EngineEvent {
    match current {
        Some(run) => run.next().await,
        None => std::future::pending().await,
    }
}

pub(super) fn resume_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
