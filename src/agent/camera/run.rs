//! What follows each other while a camera runs: looks, streams, and what a bug cut short.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinSet};
use tracing::Instrument as _;

use super::room::Ends;
use super::{Assignment, Keeper, seed, stream_spec};
use crate::camera::sheet::{Posting, Sheet};
use crate::camera::snapshots::Studio;
use crate::camera::status::StatusSender;
use crate::camera::supervisor::{End, Supervisor};
use crate::camera::variants::Board;
use crate::clock;
use crate::config::model::Camera;
use crate::domain::backoff::Backoff;
use crate::domain::changes::Changes;
use crate::domain::encoder::{Encoder, Policy};
use crate::domain::lifecycle::{Patience, Phase};
use crate::engine::Engine as _;
use crate::engine::ffmpeg::encoders::Finding;
use crate::engine::ffmpeg::{Acquaintance, EncoderUse, FfmpegEngine, FfmpegStills, Handover};
use crate::engine::spool::shares::Share;

/// After a panic; below `HANGS_AFTER` of the agent.
const PANIC_BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };
/// Lines of one assignment about what was chosen; the status always has it.
const MOST_TOLD: u32 = 3;
/// Waiting for trials of encoders is not hanging (see `Agent::is_alive`).
const BEAT: Duration = Duration::from_secs(5);
const PANIC_FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// One assignment's supervisor: also past a panic, as a bug that one camera hits is that camera's alone.
pub(super) struct Run<'a> {
    pub(super) assignment: &'a Assignment,
    pub(super) keeper: &'a Keeper,
    /// What this stream's camera was found to send.
    pub(super) acquaintance: Acquaintance,
    /// What one of its engines leaves to the next.
    pub(super) handover: Handover,
    pub(super) encoder: EncoderUse,
    pub(super) share: &'a Share,
    /// How often the log was told what was chosen.
    pub(super) told: AtomicU32,
    pub(super) ends: Ends<'a>,
    /// An earlier one was not ended.
    pub(super) is_owed: bool,
}

/// Whether there are playlists, in the storage and on this box, that only whoever publishes the stream can end.
struct Published<'a> {
    places: [&'a StatusSender; 2],
    /// When what runs now began.
    since: Instant,
    are_owed: [bool; 2],
}

impl<'a> Published<'a> {
    fn new(keeper: &'a Keeper, is_owed: bool) -> Self {
        Self {
            places: [&keeper.status, &keeper.origin_status],
            since: clock::now(),
            are_owed: [is_owed, false],
        }
    }

    fn are_new(&self) -> [bool; 2] {
        let is_new = |at| at >= self.since;
        self.places.map(|status| status.borrow().playlist_stored.is_some_and(is_new))
    }

    /// Something else runs from now on.
    fn goes_on(&mut self) {
        let are_new = self.are_new();
        self.are_owed.iter_mut().zip(are_new).for_each(|(is_owed, is_new)| *is_owed |= is_new);
        self.since = clock::now();
    }

    fn are_unfinished(&self) -> bool {
        self.are_owed.iter().zip(self.are_new()).any(|(is_owed, is_new)| *is_owed && !is_new)
    }
}

impl Run<'_> {
    pub(super) async fn supervised(&self) {
        let mut published = Published::new(self.keeper, self.is_owed);
        self.one_after_the_other(&mut published).await;
        self.handover.close().await;
        self.ends.is_unfinished.store(published.are_unfinished(), Ordering::Relaxed);
    }

    async fn one_after_the_other(&self, published: &mut Published<'_>) {
        let (mut panics, mut changes, mut is_equipped) = (0, Changes::default(), false);
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
            match self.ended(&mut task).await {
                // What the camera sends is known now, or is another thing: choose again.
                Some(Ok(End::Outgrown)) if !self.ends.stop.is_cancelled() => {
                    let lasted = clock::now().saturating_duration_since(started);
                    published.goes_on();
                    let pause = changes.next_after(lasted);
                    if !pause.is_zero() {
                        self.handover.let_go().await;
                    }
                    if self.pause(pause).await { continue } else { return }
                }
                Some(Err(error)) if error.is_panic() => {}
                _ => return,
            }
            // A bug that strikes once a month is no reason to wait long.
            let stable = clock::now().saturating_duration_since(started) > PANIC_FORGOTTEN_AFTER;
            panics = if stable { 1 } else { panics + 1 };
            published.goes_on();
            tracing::error!(panics, "a bug ended this camera's supervisor: starting it again");
            if !self.pause(PANIC_BACKOFF.delay(panics, 0.0)).await {
                return;
            }
        }
    }

    /// What was handed over waits for no stop.
    async fn ended(&self, task: &mut JoinSet<End>) -> Option<Result<End, JoinError>> {
        tokio::select! {
            biased;
            ended = task.join_next() => return ended,
            () = self.ends.stop.cancelled() => self.handover.close().await,
        }
        task.join_next().await
    }

    /// `false`: it is to stop.
    async fn pause(&self, pause: Duration) -> bool {
        let now = clock::now();
        if !pause.is_zero() {
            // Waiting is not hanging (see `Agent::is_alive`).
            self.keeper.status.send_modify(|status| {
                (status.phase, status.beat) = (Phase::BackingOff { until: now + pause }, now);
                status.live_since = None;
            });
        }
        tokio::select! {
            biased;
            () = self.ends.stop.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
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
        let Ends { over, stop, abort, .. } = self.ends;
        let edge = settings.sub_second.map(|it| (self.keeper.edge.clone(), choice.part(it.part_duration)));
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

    pub(super) fn bare_engine(&self) -> FfmpegEngine {
        let spec = stream_spec(&self.assignment.camera);
        let workshop = self.keeper.around.workshop.clone();
        FfmpegEngine::acquainted(workshop, spec, self.acquaintance.clone()).within(self.share.clone())
    }

    fn engine(&self) -> FfmpegEngine {
        let engine = self.bare_engine().encoding_with(self.encoder.clone());
        let engine = engine.counted_in(self.keeper.figures.ffmpeg.clone()).following(self.handover.clone());
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
