//! One camera's place in the agent: what should run there, and the task that sees to it.
//!
//! What is wanted is a level, not a queue of orders: however often it changes while a camera is ending, the newest
//! is what starts next. A camera's runs follow each other (its spool is locked), cameras do not wait for each other.

mod room;
mod run;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

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
use crate::camera::status::{CameraStatus, StatusSender};
use crate::clock;
use crate::config::model::Camera;
use crate::domain::choice::Choice;
use crate::domain::demand::Demand;
use crate::domain::edge::Edge;
use crate::engine::StreamSpec;
use crate::engine::ffmpeg::{Acquaintance, EncoderUse, FfmpegEngine, Handover, Trials, Workshop};
use crate::engine::spool::origin::forget;
use crate::engine::spool::shares::Share;

use room::Ends;
pub(super) use room::{Left, WIND_UP_GRACE};
use run::Run;

/// What all cameras of an agent share.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    pub(super) workshop: Arc<Workshop>,
    pub(super) trials: Arc<Trials>,
    pub(super) stopwatch: Stopwatch,
    pub(super) origin: Arc<OriginStore>,
    pub(super) turns: Turns,
    /// Of what asks the storage when a stream has ended.
    pub(super) clears: Turns,
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
        owes_end: AtomicBool::new(false),
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
    pub(super) demand: Arc<watch::Sender<Demand>>,
    asked: Arc<watch::Sender<u64>>,
    edge: EdgeSender,
    pub(super) around: Surroundings,
    pub(super) status: StatusSender,
    pub(super) figures: Figures,
    pub(super) origin_status: StatusSender,
    /// Nothing more is to be done about what was left here.
    pub(super) cleared: AtomicBool,
    /// A caller's stream runs no more, and has not ended for its viewers.
    pub(super) owes_end: AtomicBool,
    /// What is left here is this agent's own.
    pub(super) has_run: AtomicBool,
    pub(super) chatter: Chatter,
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

    /// One that nobody wants any more is not forgotten before it has ended, and, where its camera refused, may be asked
    /// again.
    fn keeps_it(&self, now: Instant) -> bool {
        let barred = self.status.borrow().barred.is_some_and(|barred| now < barred.until);
        self.demand.borrow().is_wanted(now) || barred || self.owes_end.load(Ordering::Relaxed)
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

    /// Until the agent stops or something else is wanted, and then to its orderly end; also to that of an earlier one, if
    /// it `is_owed`.
    pub(super) async fn run(
        &self,
        assignment: &Arc<Assignment>,
        share: &Share,
        acquaintance: &Acquaintance,
        is_owed: bool,
    ) -> Left {
        let (stop, abort) = (self.around.stop.child_token(), self.around.abort.child_token());
        let (acquaintance, told) = (acquaintance.clone(), AtomicU32::new(0));
        let encoder = EncoderUse::software();
        let used = encoder.clone();
        let (over, is_unfinished) = (CancellationToken::new(), AtomicBool::new(false));
        let ends = Ends { over: &over, stop: &stop, abort: &abort, is_unfinished: &is_unfinished };
        let handover = Handover::default();
        let run = Run {
            assignment,
            keeper: self,
            acquaintance,
            handover,
            encoder: used,
            share,
            told,
            ends,
            is_owed,
        };
        self.tell_who_waits(assignment, &run.acquaintance);
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
            never = self.follow_who_waits(assignment, &run.acquaintance) => match never {},
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

    /// What is known not to exceed a cap is to be looked at as often as if nobody waited.
    fn tell_who_waits(&self, assignment: &Assignment, acquaintance: &Acquaintance) {
        let has_cap = assignment.camera.settings.max_bitrate.is_some();
        acquaintance.is_awaited(!has_cap && !self.wanted.borrow().is_always());
    }

    async fn follow_who_waits(&self, assignment: &Assignment, acquaintance: &Acquaintance) -> Infallible {
        let mut wanted = self.wanted.subscribe();
        loop {
            self.tell_who_waits(assignment, acquaintance);
            // The sender is `self`'s: it does not go away.
            let _ = wanted.changed().await;
        }
    }

    pub(super) async fn superseded(&self, assignment: &Assignment) {
        let other =
            |wanted: &Wanted| wanted.effective().is_none_or(|wanted| !wanted.is_stream_of(assignment));
        // The sender is `self`'s: it does not go away.
        let _ = self.wanted.subscribe().wait_for(other).await;
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
