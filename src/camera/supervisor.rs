//! One camera: its engine's runs, and the publisher that outlives them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::looks::Looks;
use super::poster::keep_posted;
use super::publisher::Publisher;
use super::sheet::Posting;
use super::snapshots::{Studio, take_snapshots};
use super::status::{LastExit, StatusSender};
use super::variants::Board;
use super::voice::Voice;
use crate::clock;
use crate::config::model::Settings;
use crate::domain::choice::Choice;
use crate::domain::dice::Dice;
use crate::domain::ids::{CameraId, Location, RunId};
use crate::domain::key::Layout;
use crate::domain::lifecycle::{Action, Cause, Input, Lifecycle, Patience, Phase};
use crate::domain::pace::Pace;
use crate::domain::parts::PartLimits;
use crate::domain::publication::{self, Plan};
use crate::domain::quota;
use crate::domain::segment::{Form, Part, Segment};
use crate::domain::uploads::UploadLimits;
use crate::engine::spool::root::{SpoolError, discard};
use crate::engine::{Engine, EngineError, EngineEvent, Exit, Halt, Run};
use crate::store::ObjectStore;

/// Uploads under way at once: one is usual; more let a slow one be overtaken.
const UPLOADS_AT_ONCE: usize = 3;
/// For a store call: short enough to try again while the segment is worth it.
const ATTEMPT: Duration = Duration::from_secs(10);
const ATTEMPT_SEGMENTS: u32 = 4;
/// The supervisor's sign of life when nothing happens.
const BEAT: Duration = Duration::from_secs(5);
/// Without a beat for so long, it is this process that stood still.
const HELD_UP: Duration = Duration::from_secs(8);

/// The plan that these settings ask for, and what was chosen; `spool_share` is what the camera's spool may take.
pub fn plan(
    location: &Location,
    camera: &CameraId,
    settings: &Settings,
    choice: &Choice,
    spool_share: u64,
) -> Plan {
    let segment_duration = choice.segment_duration;
    let pause = segment_duration.clamp(Duration::from_secs(1), Duration::from_secs(5));
    Plan {
        layout: Layout::new(location, camera),
        depth: settings.segments_to_keep,
        target_duration_s: choice.target_duration_s,
        form: Form { kind: settings.segment_type, renditions: choice.renditions() },
        multivariant: settings.is_multivariant(),
        uploads: UploadLimits {
            // One less than may wait: with all under way, a newer one could only push out one that is nearly there.
            in_flight: UPLOADS_AT_ONCE.min(settings.segments_to_keep - 1),
            // What is older than the window would leave the playlist the moment it entered.
            backlog: settings.segments_to_keep,
            backlog_bytes: quota::backlog(spool_share),
            segment_duration,
            most_pause: pause,
            attempt: (ATTEMPT_SEGMENTS * segment_duration).max(ATTEMPT),
        },
        min_playlist_interval: Duration::ZERO,
        parts: settings.sub_second.map(|sub_second| PartLimits::usual(sub_second.part_duration)),
    }
}

/// Why a supervisor has nothing more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Stopped,
    /// See [`Engine::is_outgrown`]: all that was made is published.
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
    /// Cancelled before a stop: nobody wants the stream any more.
    over: CancellationToken,
    /// The publisher knows which runs were this machine's.
    told_runs: bool,
}

impl Supervisor {
    pub fn new(engine: Box<dyn Engine>, patience: Patience, status: StatusSender, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (restarts_before, given_up) = {
            let before = status.borrow();
            (before.restarts + u64::from(before.run.is_some()), before.progress.segments_given_up)
        };
        let looks = Looks::new(patience.look_every, patience.thresholds, clock::now(), given_up);
        let lifecycle = Lifecycle::new(patience, Dice::new(dice.roll()));
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
            over: CancellationToken::new(),
            told_runs: false,
        }
    }

    /// Also makes still pictures.
    #[must_use]
    pub fn with_snapshots(self, studio: Option<Studio>) -> Self {
        Self { studio, ..self }
    }

    /// Also tells players of the stream.
    #[must_use]
    pub fn with_sheet(self, posting: Option<Posting>) -> Self {
        Self { posting, ..self }
    }

    /// Also keeps a multivariant playlist.
    #[must_use]
    pub fn with_variants(self, board: Option<Board>) -> Self {
        Self { board, ..self }
    }

    /// A stop behind `over` ends the stream for its viewers, and removes what it left in the store.
    #[must_use]
    pub fn over_with(self, over: CancellationToken) -> Self {
        Self { over, ..self }
    }

    /// Runs the camera until `stop`, then finishes its last segment and publishes it; `abort` ends it at once.
    pub async fn run(
        mut self,
        plan: Plan,
        store: Arc<dyn ObjectStore>,
        stop: CancellationToken,
        abort: CancellationToken,
    ) -> End {
        let mut publisher =
            Publisher::new(plan, store, self.engine.note(), self.status.clone(), self.dice.roll());
        let studio = self.studio.take();
        let snapshots = take_snapshots(studio, &mut publisher, self.status.clone(), self.dice.roll());
        let sheet = keep_posted(self.posting.take(), &publisher, &self.status, self.dice.roll());
        self.board.iter().for_each(|board| publisher.posts(board.clone()));
        let variants = keep_posted(self.board.take(), &publisher, &self.status, self.dice.roll());
        // The publisher never waits for the store before it takes the next segment: this does not fill up.
        let (segments, inbox) = mpsc::channel(16);
        let mut publishing = JoinSet::new();
        let over = self.over.clone();
        publishing.spawn(publisher.publish(inbox, over, abort.clone()).in_current_span());
        self.lifecycle.handle(clock::now(), Input::Start);
        let end = tokio::select! {
            biased;
            () = abort.cancelled() => return End::Stopped,
            Some(ended) = publishing.join_next() => {
                resume_panic(ended);
                return End::Stopped;
            }
            never = snapshots => match never {},
            never = sheet => match never {},
            never = variants => match never {},
            end = self.supervise(segments, &stop) => end,
        };
        tokio::select! {
            biased;
            () = abort.cancelled() => return End::Stopped,
            Some(ended) = publishing.join_next() => resume_panic(ended),
        }
        end
    }

    /// Until the camera is stopped; then the segment channel closes behind it.
    async fn supervise(
        &mut self,
        segments: mpsc::Sender<publication::Input>,
        stop: &CancellationToken,
    ) -> End {
        let mut current: Option<Box<dyn Run>> = None;
        let (mut stopping, mut looked) = (false, clock::now());
        loop {
            let before = std::mem::replace(&mut looked, clock::now());
            if looked.saturating_duration_since(before) >= HELD_UP {
                self.lifecycle.handle(looked, Input::HeldUp);
            }
            while let Some(action) = self.lifecycle.poll(clock::now()) {
                self.act(action, &mut current).await;
            }
            self.tell();
            if self.lifecycle.is_over() {
                return End::Stopped;
            }
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.lifecycle.handle(clock::now(), Input::Stop);
                }
                event = next(&mut current) => match event {
                    EngineEvent::Segment(segment) => self.segment(segment, &segments).await,
                    EngineEvent::Part(part) => self.part(part, &segments).await,
                    EngineEvent::Lost { segments } => self.lost(segments),
                    EngineEvent::Withheld { segments } => self.missed(segments),
                    EngineEvent::Unfit(cause) => self.lifecycle.handle(clock::now(), Input::Unfit(cause)),
                    EngineEvent::Exited(exit) => {
                        current = None;
                        let is_outgrown = self.engine.is_outgrown() && !stopping;
                        if is_outgrown && exit.cause == Cause::Asked && !self.lifecycle.is_giving_up() {
                            // It only looked, or was asked to end: nothing has failed.
                            self.engine.ended(&exit, exit.cause);
                            self.status.send_modify(|status| status.run = None);
                            return End::Outgrown;
                        }
                        self.exited(exit);
                        if is_outgrown {
                            return End::Outgrown;
                        }
                    }
                },
                () = self.engine.renewal() => self.lifecycle.handle(clock::now(), Input::Renew),
                () = clock::sleep_until(self.lifecycle.deadline()) => {}
                () = clock::sleep_until(Some(self.looks.next())) => {}
                () = tokio::time::sleep(BEAT) => {}
            }
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
                    Err(error) => self.exited(never_started(&error)),
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

    /// Unique also when the wall clock is set back: the dice see to it.
    fn new_run(&mut self) -> RunId {
        let dice = (self.dice.roll() >> 32) as u32;
        let run = RunId::new(clock::wall_ms(), dice);
        (self.pace, self.part_pace, self.runaway) = (Pace::new(clock::now()), Pace::new(clock::now()), false);
        self.status.send_modify(|status| status.run = Some(run));
        run
    }

    /// Frozen pictures are noticed here first; that the run is over is told by its segments.
    async fn part(&mut self, part: Part, segments: &mpsc::Sender<publication::Input>) {
        if !self.runaway && self.part_pace.is_real(clock::now(), part.duration) {
            let _ = segments.send(publication::Input::PartProduced(part)).await;
        }
    }

    async fn segment(&mut self, segment: Segment, segments: &mpsc::Sender<publication::Input>) {
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
        // Closed only when the publisher has ended, and then `run` ends too.
        if !std::mem::replace(&mut self.told_runs, true) {
            let note = self.engine.note().text().map(publication::Input::Recalled);
            let runs = publication::Input::OwnRuns(self.engine.earlier_runs());
            for known in note.into_iter().chain([runs]) {
                let _ = segments.send(known).await;
            }
        }
        let _ = segments.send(publication::Input::Produced(segment)).await;
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

    fn exited(&mut self, exit: Exit) {
        let now = clock::now();
        let restarts = self.lifecycle.restarts();
        self.lifecycle.handle(now, Input::Exited(exit.cause));
        let cause = self.lifecycle.last_cause().unwrap_or(exit.cause);
        if self.lifecycle.restarts() > restarts {
            self.status.send_modify(|status| *status.restarts_by_cause.entry(cause).or_default() += 1);
        }
        if !self.engine.ended(&exit, cause) {
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
        let Self { lifecycle, looks, voice, restarts_before, .. } = self;
        self.status.send_modify(|status| {
            status.phase = lifecycle.phase();
            status.restarts = *restarts_before + lifecycle.restarts();
            status.beat = now;
            if let Some(verdict) = looks.look(now, lifecycle, status) {
                voice.looked(now, verdict);
            }
            voice.calm(now, status.segments_missed);
        });
    }
}

async fn next(current: &mut Option<Box<dyn Run>>) -> EngineEvent {
    match current {
        Some(run) => run.next().await,
        None => std::future::pending().await,
    }
}

fn never_started(error: &EngineError) -> Exit {
    let cause = match error {
        EngineError::Spawn { .. } => Cause::Crashed,
        EngineError::Spool(SpoolError::Taken { .. }) => Cause::Taken,
        EngineError::Spool(_) => Cause::Spool,
    };
    Exit { code: None, signal: None, ran_for: Duration::ZERO, cause, last_words: vec![error.to_string()] }
}

fn resume_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
