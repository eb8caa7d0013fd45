//! One camera's place in the agent: what should run there, and the task that sees to it.
//!
//! What is wanted is a level, not a queue of orders: however often it changes while a camera is ending, the newest
//! is what starts next. A camera's runs follow each other (its spool is locked), cameras do not wait for each other.

mod room;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::DRAIN_GRACE;
use super::assignment::{Assignment, OriginStore};
use super::figures::Figures;
use crate::camera::metered::Stopwatch;
use crate::camera::sheet::{Posting, Sheet};
use crate::camera::snapshots::Studio;
use crate::camera::status::{CameraStatus, StatusSender};
use crate::camera::supervisor::{End, Supervisor};
use crate::camera::variants::Board;
use crate::clock;
use crate::config::model::{Camera, Start};
use crate::domain::backoff::Backoff;
use crate::domain::demand::Demand;
use crate::domain::encoder::{Encoder, Policy};
use crate::domain::ids::CameraId;
use crate::domain::lifecycle::Patience;
use crate::engine::ffmpeg::encoders::Finding;
use crate::engine::ffmpeg::{Acquaintance, EncoderUse, FfmpegEngine, FfmpegStills, Trials, Workshop};
use crate::engine::spool::origin::forget;
use crate::engine::spool::shares::Share;
use crate::engine::{Engine as _, StreamSpec};

/// After a panic; below [`super::HANGS_AFTER`].
const PANIC_BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };
/// Lines of one assignment about what was chosen; the status always has it.
const MOST_TOLD: u32 = 3;
/// Waiting for trials of encoders is not hanging (see `Agent::is_alive`).
const BEAT: Duration = Duration::from_secs(5);
const PANIC_FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

#[derive(Debug)]
struct Wanted {
    assignment: Option<Arc<Assignment>>,
    /// The task has ended: for another assignment there has to be a new one.
    retired: bool,
}

impl Wanted {
    /// Nobody has to want it for that.
    fn is_always(&self) -> bool {
        let start = self.assignment.as_ref().map(|assignment| assignment.camera.settings.start);
        start == Some(Start::Always)
    }
}

/// The agent's end of a camera's task.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: CameraId,
    wanted: Arc<watch::Sender<Wanted>>,
    name: Arc<watch::Sender<String>>,
    demand: Arc<watch::Sender<Demand>>,
    pub(super) status: watch::Receiver<CameraStatus>,
    pub(super) figures: Figures,
    /// Of what this box serves itself, beside the storage.
    pub(super) origin: watch::Receiver<CameraStatus>,
}

impl Slot {
    /// From now on this should run there, or nothing. `false`: the task has ended, nothing was changed.
    pub(super) fn want(&self, assignment: Option<Arc<Assignment>>) -> bool {
        // A new name alone restarts nothing.
        let name = assignment.as_ref().map(|assignment| assignment.camera.name.clone());
        if let Some(name) = name {
            self.name.send_if_modified(|now| std::mem::replace(now, name.clone()) != name);
        }
        self.wanted.send_if_modified(|wanted| {
            if !wanted.retired {
                wanted.assignment = assignment;
            }
            !wanted.retired
        })
    }

    /// For whoever wants or stops the stream, if it runs on demand.
    pub(super) fn demand(&self) -> Arc<watch::Sender<Demand>> {
        self.demand.clone()
    }

    pub(super) fn is_retired(&self) -> bool {
        self.wanted.borrow().retired
    }
}

/// What all cameras of an agent share.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    pub(super) workshop: Arc<Workshop>,
    pub(super) trials: Arc<Trials>,
    pub(super) stopwatch: Stopwatch,
    pub(super) origin: Arc<OriginStore>,
    pub(super) stop: CancellationToken,
    pub(super) abort: CancellationToken,
}

/// Starts a camera's task in `tasks`.
pub(super) fn spawn(tasks: &mut JoinSet<()>, around: &Surroundings, assignment: Arc<Assignment>) -> Slot {
    let id = assignment.camera.id.clone();
    let (status, receiver) = watch::channel(CameraStatus::at_first(&assignment.camera, clock::now()));
    let (origin_status, origin) = watch::channel(CameraStatus::at_first(&assignment.camera, clock::now()));
    let figures = Figures::new(around.stopwatch.clone());
    let name = Arc::new(watch::Sender::new(assignment.camera.name.clone()));
    let wanted = Arc::new(watch::Sender::new(Wanted { assignment: Some(assignment), retired: false }));
    let demand = Arc::new(watch::Sender::new(Demand::default()));
    let keeper = Keeper {
        wanted: wanted.clone(),
        name: name.clone(),
        demand: demand.clone(),
        around: around.clone(),
        status: Arc::new(status),
        figures: figures.clone(),
        origin_status: Arc::new(origin_status),
    };
    let span = tracing::info_span!("camera", camera = %id);
    tasks.spawn(keeper.keep().instrument(span));
    Slot { id, wanted, name, demand, status: receiver, figures, origin }
}

struct Keeper {
    wanted: Arc<watch::Sender<Wanted>>,
    name: Arc<watch::Sender<String>>,
    demand: Arc<watch::Sender<Demand>>,
    around: Surroundings,
    status: StatusSender,
    figures: Figures,
    origin_status: StatusSender,
}

impl Keeper {
    async fn keep(self) {
        let mut known: Option<(Arc<Assignment>, Acquaintance)> = None;
        loop {
            self.forget_origin().await;
            let Some(assignment) = self.next() else { return };
            for status in [&self.status, &self.origin_status] {
                status.send_replace(CameraStatus::at_first(&assignment.camera, clock::now()));
            }
            if self.is_wanted(&assignment).await
                && let Some(share) = self.share(&assignment).await
            {
                // A stream that is wanted again begins without a look.
                let before = known.take().filter(|(before, _)| before.is_stream_of(&assignment));
                let acquaintance = before.map(|(_, acquaintance)| acquaintance).unwrap_or_default();
                self.run(&assignment, &share, &acquaintance).await;
                known = Some((assignment, acquaintance));
            }
            if self.around.stop.is_cancelled() || self.around.abort.is_cancelled() {
                return;
            }
        }
    }

    /// Where this box serves the stream no more.
    async fn forget_origin(&self) {
        let has_origin = |assignment: &Arc<Assignment>| assignment.place.has_origin();
        let is_served = self.wanted.borrow().assignment.as_ref().is_some_and(has_origin);
        if !is_served {
            let (root, id) = (self.around.workshop.spool_root.clone(), self.status.borrow().id.clone());
            let _ = tokio::task::spawn_blocking(move || forget(&root, &id)).await;
        }
    }

    /// What is wanted now; with nothing wanted the task retires, in the same moment.
    fn next(&self) -> Option<Arc<Assignment>> {
        let mut next = None;
        self.wanted.send_if_modified(|wanted| {
            next.clone_from(&wanted.assignment);
            wanted.retired = next.is_none();
            false
        });
        next
    }

    /// Waits until somebody wants the stream, if it runs on demand. `false`: it is not to run any more.
    async fn is_wanted(&self, assignment: &Assignment) -> bool {
        tokio::select! {
            biased;
            () = self.around.stop.cancelled() => false,
            () = self.superseded(assignment) => false,
            () = self.becomes(true) => true,
        }
    }

    /// Comes when the stream is wanted, or when it is not any more. Both may change with the configuration alone.
    async fn becomes(&self, is_wanted: bool) {
        let (mut demand, mut wanted) = (self.demand.subscribe(), self.wanted.subscribe());
        loop {
            let is_always = wanted.borrow_and_update().is_always();
            let demanded = *demand.borrow_and_update();
            if (is_always || demanded.is_wanted(clock::now())) == is_wanted {
                return;
            }
            // The senders are `self`'s: they do not go away.
            tokio::select! {
                () = clock::sleep_until(demanded.deadline()), if !is_always && !is_wanted => {}
                _ = demand.changed() => {}
                _ = wanted.changed() => {}
            }
        }
    }

    /// Until the agent stops or something else is wanted, and then to its orderly end.
    async fn run(&self, assignment: &Arc<Assignment>, share: &Share, acquaintance: &Acquaintance) {
        let (stop, abort) = (self.around.stop.child_token(), self.around.abort.child_token());
        let (acquaintance, told) = (acquaintance.clone(), AtomicU32::new(0));
        let encoder = EncoderUse::software();
        let used = encoder.clone();
        let over = CancellationToken::new();
        let ends = Ends { over: &over, stop: &stop, abort: &abort };
        let run = Run { assignment, keeper: self, acquaintance, encoder: used, share, told, ends };
        // Perhaps somebody has set the camera better meanwhile, or beyond the cap that a copy was found to keep.
        if run.bare_engine().encodes() || assignment.camera.settings.max_bitrate.is_some() {
            run.acquaintance.doubt(clock::now());
        }
        let runs = run.supervised();
        tokio::pin!(runs);
        let settings = &assignment.camera.settings;
        tokio::select! {
            biased;
            () = &mut runs => return,
            () = self.superseded(assignment) => {}
            () = self.becomes(false) => return self.wind_up(assignment, share, runs, ends).await,
            never = encoder.tend(|encoder| self.around.trials.again(encoder, settings)) => match never {},
        }
        let mut wanted = self.wanted.subscribe();
        let comes_back = wanted.borrow_and_update().assignment.is_some();
        tracing::info!(comes_back, "camera stops: its configuration has changed");
        stop.cancel();
        tokio::select! {
            () = &mut runs => {}
            () = tokio::time::sleep(DRAIN_GRACE) => {
                tracing::warn!(grace_s = DRAIN_GRACE.as_secs(), "not all could be published in time");
                abort.cancel();
                runs.await;
            }
        }
    }

    async fn superseded(&self, assignment: &Assignment) {
        let other = |wanted: &Wanted| {
            wanted.assignment.as_ref().is_none_or(|wanted| !wanted.is_stream_of(assignment))
        };
        // The sender is `self`'s: it does not go away.
        let _ = self.wanted.subscribe().wait_for(other).await;
    }
}

/// One assignment's supervisor: also past a panic, as a bug that one camera hits is that camera's alone.
struct Run<'a> {
    assignment: &'a Assignment,
    keeper: &'a Keeper,
    /// What this stream's camera was found to send.
    acquaintance: Acquaintance,
    encoder: EncoderUse,
    share: &'a Share,
    /// How often the log was told what was chosen.
    told: AtomicU32,
    ends: Ends<'a>,
}

/// What ends a camera's runs.
#[derive(Clone, Copy)]
struct Ends<'a> {
    /// Nobody wants the stream any more.
    over: &'a CancellationToken,
    stop: &'a CancellationToken,
    abort: &'a CancellationToken,
}

impl Run<'_> {
    async fn supervised(&self) {
        let (mut panics, mut is_equipped) = (0, false);
        loop {
            // Not before a look: a driver that hangs is nothing to a camera that is copied.
            if !is_equipped && self.bare_engine().encodes() {
                tokio::select! {
                    () = self.equip() => is_equipped = true,
                    () = self.ends.stop.cancelled() => return,
                }
            }
            let started = clock::now();
            let mut task = JoinSet::new();
            task.spawn(self.supervise().in_current_span());
            match task.join_next().await {
                // What the camera sends is known now, or is another thing: choose again.
                Some(Ok(End::Outgrown)) if !self.ends.stop.is_cancelled() => continue,
                Some(Err(error)) if error.is_panic() => {}
                _ => return,
            }
            // A bug that strikes once a month is no reason to wait long.
            let stable = clock::now().saturating_duration_since(started) > PANIC_FORGOTTEN_AFTER;
            panics = if stable { 1 } else { panics + 1 };
            tracing::error!(panics, "a bug ended this camera's supervisor: starting it again");
            // Waiting is not hanging (see `Agent::is_alive`).
            self.keeper.status.send_modify(|status| status.beat = clock::now());
            tokio::select! {
                () = self.ends.stop.cancelled() => return,
                () = tokio::time::sleep(PANIC_BACKOFF.delay(panics, 0.0)) => {}
            }
        }
    }

    fn supervise(&self) -> impl Future<Output = End> + Send + use<> {
        let Camera { id, settings, .. } = &self.assignment.camera;
        let engine = self.engine();
        let (choice, is_known) = (engine.choice().clone(), engine.chosen().is_some());
        let look_every = settings.health_check_interval;
        let patience = Patience { look_every, ..Patience::for_segments_of(choice.segment_duration) };
        let studio = settings.snapshot_interval.map(|interval| Studio {
            interval,
            stills: Arc::new(FfmpegStills::new(self.keeper.around.workshop.clone(), settings.nice)),
        });
        let supervisor = Supervisor::new(Box::new(engine), patience, self.keeper.status.clone(), seed());
        let (sheet, name) = (Sheet::new(id, settings, &choice), self.keeper.name.subscribe());
        let posting = Posting { sheet, is_known, name };
        let board = settings
            .is_multivariant()
            .then(|| Board::new(choice.renditions(), choice.frames_per_s().map(f64::from)));
        let supervisor = supervisor.with_snapshots(studio).with_sheet(Some(posting)).with_variants(board);
        let Keeper { around, origin_status, .. } = self.keeper;
        let (plan, store, origin) =
            self.assignment.places(around, &choice, self.share.bytes(), origin_status);
        let store = self.assignment.place.metered(store, self.keeper.figures.meter.clone());
        let Ends { over, stop, abort } = self.ends;
        let supervisor = supervisor.with_origin(origin).over_with(over.clone());
        supervisor.run(plan, store, stop.clone(), abort.clone())
    }

    /// With the encoder that its settings ask for, if that works here.
    async fn equip(&self) {
        let (settings, Keeper { around, status, .. }) = (&self.assignment.camera.settings, self.keeper);
        let find = around.trials.find(settings.encoder, settings);
        tokio::pin!(find);
        let findings = loop {
            tokio::select! {
                findings = &mut find => break findings,
                () = tokio::time::sleep(BEAT) => status.send_modify(|status| status.beat = clock::now()),
            }
        };
        let works = findings.iter().filter(|finding| finding.works()).map(Finding::encoder);
        let policy = Policy::new(clock::now(), settings.encoder, &works.collect::<Vec<Encoder>>());
        self.encoder.equip(policy, findings);
    }

    fn bare_engine(&self) -> FfmpegEngine {
        let Camera { id, source, settings, .. } = &self.assignment.camera;
        let spec = StreamSpec { camera: id.clone(), source: source.clone(), settings: settings.clone() };
        let workshop = self.keeper.around.workshop.clone();
        FfmpegEngine::acquainted(workshop, spec, self.acquaintance.clone()).within(self.share.clone())
    }

    fn engine(&self) -> FfmpegEngine {
        let engine = self.bare_engine().encoding_with(self.encoder.clone());
        let engine = engine.counted_in(self.keeper.figures.ffmpeg.clone());
        let mode = engine.mode();
        // A camera that changes all the time must not fill the log.
        if let Some(mode) = &mode
            && self.told.fetch_add(1, Ordering::Relaxed) < MOST_TOLD
        {
            tracing::info!(mode = mode.in_words, "mode chosen");
        }
        self.keeper.status.send_modify(|status| status.mode = mode);
        engine
    }
}

/// A seed for jitter and run ids.
fn seed() -> u64 {
    // Without the system's random source the clock has to do.
    getrandom::u64().unwrap_or_else(|_| clock::wall_ms())
}
