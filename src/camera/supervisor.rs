//! One camera: its engine's runs, and the publisher that outlives them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::publisher::Publisher;
use super::status::{LastExit, StatusSender};
use super::trouble::Trouble;
use crate::clock;
use crate::config::model::Settings;
use crate::domain::dice::Dice;
use crate::domain::ids::{CameraId, Location, RunId};
use crate::domain::key::Layout;
use crate::domain::lifecycle::{Action, Cause, Input, Lifecycle, Patience, Phase};
use crate::domain::publication::Plan;
use crate::domain::segment::Segment;
use crate::domain::uploads::UploadLimits;
use crate::engine::spool::root::SpoolError;
use crate::engine::{Engine, EngineError, EngineEvent, Exit, Halt, Run};
use crate::store::ObjectStore;

/// Uploads under way at once: one is usual; more let a slow one be overtaken.
const UPLOADS_AT_ONCE: usize = 3;
/// Spool memory that one camera's unsent segments may take.
const BACKLOG_BYTES: u64 = 32 << 20;
/// The supervisor's sign of life when nothing happens.
const BEAT: Duration = Duration::from_secs(5);

/// The plan that these settings ask for.
pub fn plan(location: &Location, camera: &CameraId, settings: &Settings) -> Plan {
    let pause = settings.segment_duration.clamp(Duration::from_secs(1), Duration::from_secs(5));
    Plan {
        layout: Layout::new(location, camera),
        depth: settings.segments_to_keep,
        target_duration_s: settings.segment_duration.as_secs_f64().ceil() as u64,
        uploads: UploadLimits {
            // One less than may wait: with all under way, a newer one could only push out one that is nearly there.
            in_flight: UPLOADS_AT_ONCE.min(settings.segments_to_keep - 1),
            // What is older than the window would leave the playlist the moment it entered.
            backlog: settings.segments_to_keep,
            backlog_bytes: BACKLOG_BYTES,
            segment_duration: settings.segment_duration,
            most_pause: pause,
        },
    }
}

#[derive(Debug)]
pub struct Supervisor {
    engine: Box<dyn Engine>,
    lifecycle: Lifecycle,
    status: StatusSender,
    dice: Dice,
    /// The cause that the log told last.
    last_told: Option<Cause>,
    losses: Trouble,
}

impl Supervisor {
    pub fn new(engine: Box<dyn Engine>, patience: Patience, status: StatusSender, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let lifecycle = Lifecycle::new(patience, Dice::new(dice.roll()));
        Self { engine, lifecycle, status, dice, last_told: None, losses: Trouble::default() }
    }

    /// Runs the camera until `stop`, then finishes its last segment and publishes it; `abort` ends it at once.
    pub async fn run(
        mut self,
        plan: Plan,
        store: Arc<dyn ObjectStore>,
        stop: CancellationToken,
        abort: CancellationToken,
    ) {
        let publisher = Publisher::new(plan, store, self.status.clone(), self.dice.roll());
        // The publisher never waits for the store before it takes the next segment: this does not fill up.
        let (segments, inbox) = mpsc::channel(16);
        let mut publishing = JoinSet::new();
        publishing.spawn(publisher.publish(inbox, abort.clone()).in_current_span());
        self.lifecycle.handle(clock::now(), Input::Start);
        tokio::select! {
            biased;
            () = abort.cancelled() => return,
            Some(ended) = publishing.join_next() => return resume_panic(ended),
            () = self.supervise(segments, &stop) => {}
        }
        tokio::select! {
            biased;
            () = abort.cancelled() => {}
            Some(ended) = publishing.join_next() => resume_panic(ended),
        }
    }

    /// Until the camera is stopped; then the segment channel closes behind it.
    async fn supervise(&mut self, segments: mpsc::Sender<Segment>, stop: &CancellationToken) {
        let mut current: Option<Box<dyn Run>> = None;
        let mut stopping = false;
        loop {
            while let Some(action) = self.lifecycle.poll(clock::now()) {
                self.act(action, &mut current).await;
            }
            self.tell();
            if self.lifecycle.is_over() {
                return;
            }
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.lifecycle.handle(clock::now(), Input::Stop);
                }
                event = next(&mut current) => match event {
                    EngineEvent::Segment(segment) => self.segment(segment, &segments).await,
                    EngineEvent::Lost { segments } => self.lost(segments),
                    EngineEvent::Exited(exit) => {
                        current = None;
                        self.exited(exit);
                    }
                },
                () = clock::sleep_until(self.lifecycle.deadline()) => {}
                () = tokio::time::sleep(BEAT) => {}
            }
        }
    }

    async fn act(&mut self, action: Action, current: &mut Option<Box<dyn Run>>) {
        let halt = match action {
            Action::Spawn => {
                let run = self.new_run();
                match self.engine.start(run).await {
                    Ok(started) => *current = Some(started),
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
        self.status.send_modify(|status| status.run = Some(run));
        run
    }

    async fn segment(&mut self, segment: Segment, segments: &mpsc::Sender<Segment>) {
        let now = clock::now();
        if let Phase::Starting { since } = self.lifecycle.phase() {
            let after_ms =
                u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX);
            tracing::info!(run = %segment.run, after_ms, "camera is live: first segment");
            self.last_told = None;
        }
        tracing::debug!(run = %segment.run, index = segment.index, duration = ?segment.duration,
            bytes = segment.payload.bytes(), "segment produced");
        self.lifecycle.handle(now, Input::SegmentProduced);
        self.status.send_modify(|status| status.last_segment = Some(now));
        // Closed only when the publisher has ended, and then `run` ends too.
        let _ = segments.send(segment).await;
    }

    fn lost(&mut self, segments: u64) {
        self.status.send_modify(|status| status.segments_missed += segments);
        if let Some(report) = self.losses.failed(clock::now()) {
            let times = report.failures;
            tracing::warn!(segments, times, "segments were lost in the spool: is its file system full?");
        }
    }

    fn exited(&mut self, exit: Exit) {
        let now = clock::now();
        self.lifecycle.handle(now, Input::Exited(exit.cause));
        let cause = self.lifecycle.last_cause().unwrap_or(exit.cause);
        self.log_exit(cause, &exit);
        let Exit { code, signal, ran_for, last_words, .. } = exit;
        let last_exit = LastExit { cause, code, signal, last_words, ran_for };
        self.status.send_modify(|status| status.last_exit = Some(last_exit));
    }

    /// A failure that repeats is told at its 1st, 2nd, 4th, 8th … time.
    fn log_exit(&mut self, cause: Cause, exit: &Exit) {
        if cause == Cause::Asked {
            return tracing::debug!(ran_for = ?exit.ran_for, "ffmpeg stopped");
        }
        let failures = self.lifecycle.failures();
        if self.last_told == Some(cause) && !failures.is_power_of_two() {
            return;
        }
        self.last_told = Some(cause);
        let retry = self.lifecycle.deadline().map(|at| at.saturating_duration_since(clock::now()));
        let retry_s = format!("{:.1}", retry.unwrap_or_default().as_secs_f64());
        let said = exit.last_words.last().map(String::as_str).unwrap_or_default();
        tracing::warn!(
            cause = cause.in_words(),
            failures,
            retry_s,
            code = exit.code,
            signal = exit.signal,
            said,
            "camera is down: trying again"
        );
    }

    fn tell(&self) {
        let (phase, restarts, beat) = (self.lifecycle.phase(), self.lifecycle.restarts(), clock::now());
        self.status.send_modify(|status| {
            status.phase = phase;
            status.restarts = restarts;
            status.beat = beat;
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
