//! One camera's place in the agent: what should run there, and the task that sees to it.
//!
//! What is wanted is a level, not a queue of orders: however often it changes while a camera is ending, the newest
//! is what starts next. A camera's runs follow each other (its spool is locked), cameras do not wait for each other.

mod room;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::DRAIN_GRACE;
use super::assignment::{Assignment, OriginStore, Stay};
use super::chatter::Chatter;
use super::figures::Figures;
use super::slot::{Slot, Wanted};
use super::turns::Turns;
use crate::camera::metered::Stopwatch;
use crate::camera::outlets::EdgeSender;
use crate::camera::sheet::{Posting, Sheet};
use crate::camera::snapshots::Studio;
use crate::camera::status::{CameraStatus, StatusSender};
use crate::camera::supervisor::{End, Supervisor};
use crate::camera::variants::Board;
use crate::clock;
use crate::config::model::Camera;
use crate::domain::backoff::Backoff;
use crate::domain::choice::Choice;
use crate::domain::demand::Demand;
use crate::domain::edge::Edge;
use crate::domain::encoder::{Encoder, Policy};
use crate::domain::lifecycle::Patience;
use crate::engine::ffmpeg::encoders::Finding;
use crate::engine::ffmpeg::{Acquaintance, EncoderUse, FfmpegEngine, FfmpegStills, Trials, Workshop};
use crate::engine::spool::origin::forget;
use crate::engine::spool::shares::Share;
use crate::engine::{Engine as _, StreamSpec};

use room::Ends;
pub(super) use room::{Left, WIND_UP_GRACE};

/// After a panic; below [`super::HANGS_AFTER`].
const PANIC_BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };
/// Lines of one assignment about what was chosen; the status always has it.
const MOST_TOLD: u32 = 3;
/// Waiting for trials of encoders is not hanging (see `Agent::is_alive`).
const BEAT: Duration = Duration::from_secs(5);
const PANIC_FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// What all cameras of an agent share.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    pub(super) workshop: Arc<Workshop>,
    pub(super) trials: Arc<Trials>,
    pub(super) stopwatch: Stopwatch,
    pub(super) origin: Arc<OriginStore>,
    pub(super) turns: Turns,
    pub(super) acquaintances: super::acquaintances::Acquaintances,
    pub(super) stop: CancellationToken,
    pub(super) abort: CancellationToken,
}

/// Starts a camera's task in `tasks`.
pub(super) fn spawn(
    tasks: &mut JoinSet<()>,
    around: &Surroundings,
    assignment: Arc<Assignment>,
    demand: Demand,
) -> Slot {
    let id = assignment.camera.id.clone();
    let (status, receiver) = watch::channel(CameraStatus::at_first(&assignment.camera, clock::now()));
    let (origin_status, origin) = watch::channel(CameraStatus::at_first(&assignment.camera, clock::now()));
    let figures = Figures::new(around.stopwatch.clone());
    let name = Arc::new(watch::Sender::new(assignment.camera.name.clone()));
    let wanted = Arc::new(watch::Sender::new(Wanted::of(assignment)));
    let demand = Arc::new(watch::Sender::new(demand));
    let asked = Arc::new(watch::Sender::new(0));
    let (edge, newest) = watch::channel(Edge::EMPTY);
    let keeper = Keeper {
        wanted: wanted.clone(),
        name: name.clone(),
        demand: demand.clone(),
        asked: asked.clone(),
        edge: Arc::new(edge),
        around: around.clone(),
        status: Arc::new(status),
        figures: figures.clone(),
        origin_status: Arc::new(origin_status),
        cleared: AtomicBool::new(false),
        has_run: AtomicBool::new(false),
        chatter: Chatter::default(),
        has_turn: AtomicBool::new(false),
    };
    let span = tracing::info_span!("camera", camera = %id);
    tasks.spawn(keeper.keep().instrument(span));
    Slot { id, wanted, name, demand, asked, status: receiver, figures, origin, edge: newest }
}

pub(super) struct Keeper {
    pub(super) wanted: Arc<watch::Sender<Wanted>>,
    pub(super) name: Arc<watch::Sender<String>>,
    demand: Arc<watch::Sender<Demand>>,
    asked: Arc<watch::Sender<u64>>,
    edge: EdgeSender,
    pub(super) around: Surroundings,
    pub(super) status: StatusSender,
    pub(super) figures: Figures,
    pub(super) origin_status: StatusSender,
    /// Nothing more is to be done about what was left here.
    pub(super) cleared: AtomicBool,
    /// What is left here is this agent's own.
    pub(super) has_run: AtomicBool,
    chatter: Chatter,
    /// The next run may begin at once.
    has_turn: AtomicBool,
}

impl Keeper {
    async fn keep(self) {
        let mut last: Option<(Arc<Assignment>, Acquaintance)> = None;
        loop {
            self.forget_origin().await;
            let Some(assignment) = self.next() else { return };
            let known = last.as_ref().filter(|(last, _)| last.camera.source == assignment.camera.source);
            self.rest(&assignment, known.is_some());
            // A stream that is wanted again begins without a look.
            let same = known.filter(|(last, _)| last.is_stream_of(&assignment));
            let acquaintance = same.map(|(_, acquaintance)| acquaintance.clone());
            let acquaintance = acquaintance.unwrap_or_else(|| self.acquainted(&assignment));
            match assignment.stay {
                Stay::Left => self.clear_left(&assignment).await,
                Stay::Passing => self.run_passing(&assignment, &acquaintance).await,
                Stay::Configured => self.run_configured(&assignment, &acquaintance).await,
            }
            last = Some((assignment, acquaintance));
            if self.around.stop.is_cancelled() || self.around.abort.is_cancelled() {
                return;
            }
        }
    }

    /// Where this box serves the stream no more.
    async fn forget_origin(&self) {
        let is_served = |assignment: Arc<Assignment>| {
            let stays = match assignment.stay {
                Stay::Configured => true,
                Stay::Passing => self.keeps_it(clock::now()),
                Stay::Left => false,
            };
            stays && assignment.place.has_origin()
        };
        let assignment = self.wanted.borrow().assignment.clone();
        if !assignment.is_some_and(is_served) {
            let (root, id) = (self.around.workshop.spool_root.clone(), self.status.borrow().id.clone());
            let _ = tokio::task::spawn_blocking(move || forget(&root, &id)).await;
        }
    }

    /// What is wanted now; with nothing wanted the task retires, in the same moment.
    fn next(&self) -> Option<Arc<Assignment>> {
        let mut next = None;
        self.wanted.send_if_modified(|wanted| {
            let now = clock::now();
            if !self.demand.borrow().is_wanted(now) {
                wanted.overrides = None;
            }
            next = wanted.effective().filter(|next| match next.stay {
                Stay::Configured => true,
                Stay::Passing => self.keeps_it(now),
                Stay::Left => !self.cleared.load(Ordering::Relaxed),
            });
            wanted.retired = next.is_none();
            false
        });
        next
    }

    /// One that nobody wants any more, but whose camera refused, is not forgotten before it may be asked again.
    fn keeps_it(&self, now: Instant) -> bool {
        let barred = self.status.borrow().barred;
        self.demand.borrow().is_wanted(now) || barred.is_some_and(|barred| now < barred.until)
    }

    /// Waits until somebody wants the stream, if it runs on demand. `false`: it is not to run any more.
    pub(super) async fn is_wanted(&self, assignment: &Assignment) -> bool {
        tokio::select! {
            biased;
            () = self.around.stop.cancelled() => false,
            () = self.superseded(assignment) => false,
            () = self.becomes(true) => true,
        }
    }

    /// Comes when the stream is wanted, or when it is not any more. Both may change with the configuration alone.
    pub(super) async fn becomes(&self, is_wanted: bool) {
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
    pub(super) async fn run(
        &self,
        assignment: &Arc<Assignment>,
        share: &Share,
        acquaintance: &Acquaintance,
    ) -> Left {
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
            () = &mut runs => return Left::Something,
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
        Left::Something
    }

    pub(super) async fn superseded(&self, assignment: &Assignment) {
        let other =
            |wanted: &Wanted| wanted.effective().is_none_or(|wanted| !wanted.is_stream_of(assignment));
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
        let edge = settings.sub_second.map(|_| self.keeper.edge.clone());
        let supervisor = supervisor.with_origin(origin).with_edge(edge).over_with(over.clone());
        let supervisor = supervisor.asked_by(self.keeper.asked.subscribe());
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
        let spec = stream_spec(&self.assignment.camera);
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
            && let Some(left_out) = self.keeper.chatter.may_tell(clock::now())
        {
            let left_out = Some(left_out).filter(|lines| *lines > 0);
            tracing::info!(mode = mode.in_words, left_out, "mode chosen");
        }
        self.keeper.status.send_modify(|status| status.mode = mode);
        engine
    }
}

/// What would be done before a look.
pub(super) fn choice_of(workshop: &Arc<Workshop>, camera: &Camera) -> Choice {
    FfmpegEngine::new(workshop.clone(), stream_spec(camera)).choice().clone()
}

fn stream_spec(camera: &Camera) -> StreamSpec {
    let Camera { id, source, settings, .. } = camera;
    StreamSpec { camera: id.clone(), source: source.clone(), settings: settings.clone() }
}

/// A seed for jitter and run ids.
pub(super) fn seed() -> u64 {
    // Without the system's random source the clock has to do.
    getrandom::u64().unwrap_or_else(|_| clock::wall_ms())
}
