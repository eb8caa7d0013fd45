//! The drivers under a paused clock: a scripted engine, a scripted store, real spool files.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::status::CameraStatus;
use super::supervisor::{Supervisor, plan};
use crate::clock;
use crate::config::model::Settings;
use crate::domain::key::{Layout, ObjectKey};
use crate::domain::lifecycle::{Cause, Patience, Phase};
use crate::domain::playlist::{MediaPlaylist, parse};
use crate::engine::Halt;
use crate::engine::scripted::{Act, ScriptedEngine};
use crate::store::StoreError;
use crate::store::memory::{MemoryStore, Op, Outcome};

const S: Duration = Duration::from_secs(1);

/// One camera with its drivers.
struct Scene {
    store: Arc<MemoryStore>,
    engine: ScriptedEngine,
    status: watch::Receiver<CameraStatus>,
    stop: CancellationToken,
    abort: CancellationToken,
    tasks: JoinSet<()>,
    spool: tempfile::TempDir,
}

impl Scene {
    fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self::with(acts, Arc::default(), false)
    }

    fn with(acts: impl IntoIterator<Item = Act>, store: Arc<MemoryStore>, stubborn: bool) -> Self {
        let spool = tempfile::tempdir().unwrap();
        let mut engine = ScriptedEngine::new(spool.path().to_owned(), acts);
        engine.stubborn = stubborn;
        let settings = Settings::default();
        let id: crate::domain::ids::CameraId = "cam".parse().unwrap();
        let (sender, status) = watch::channel(CameraStatus::new(id.clone(), clock::now()));
        let patience = Patience::for_segments_of(settings.segment_duration);
        let supervisor = Supervisor::new(Box::new(engine.clone()), patience, Arc::new(sender), 7);
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let plan = plan(&"loc".parse().unwrap(), &id, &settings);
        let mut tasks = JoinSet::new();
        tasks.spawn(supervisor.run(plan, store.clone(), stop.clone(), abort.clone()));
        Self { store, engine, status, stop, abort, tasks, spool }
    }

    fn playlist(&self) -> Option<MediaPlaylist> {
        let layout = layout();
        let stored = self.store.snapshot().remove(&layout.playlist())?;
        Some(parse(std::str::from_utf8(&stored.body).unwrap(), &layout).unwrap())
    }

    fn progress(&self) -> crate::domain::publication::Progress {
        self.status.borrow().progress
    }

    async fn ends(&mut self) {
        let ended = tokio::time::timeout(120 * S, self.tasks.join_next()).await;
        ended.expect("ends").expect("one task").expect("no panic");
    }

    fn spooled(&self) -> usize {
        std::fs::read_dir(self.spool.path()).unwrap().count()
    }
}

fn layout() -> Layout {
    Layout::new(&"loc".parse().unwrap(), &"cam".parse().unwrap())
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

fn unavailable() -> StoreError {
    StoreError::Unavailable { reason: "scripted".into() }
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_stream_stays_small_and_ends_well() {
    let mut scene = Scene::new([Act::Live]);
    pass(3600 * S).await;
    let objects = scene.store.snapshot().len();
    assert!(objects <= 5 + 6 + 1 + 1, "{objects} objects: window, hold, one upload, the playlist");
    assert!(scene.spooled() <= 1, "published segments leave the spool");
    let progress = scene.progress();
    assert!((1798..=1800).contains(&progress.segments_published), "{progress:?}");
    assert_eq!(progress.segments_given_up, 0);
    scene.stop.cancel();
    scene.ends().await;
    assert_eq!(scene.engine.halts(), [Halt::Ask]);
    let playlist = scene.playlist().unwrap();
    assert_eq!((playlist.entries.len(), playlist.ended), (5, false));
    assert!(playlist.entries.iter().all(|entry| !entry.discontinuity));
    assert!(scene.store.overlapping_puts().is_empty());
    let puts = scene.store.journal().iter().filter(|record| record.call.op == Op::Put).count() as u64;
    assert_eq!(puts, 2 * progress.segments_published, "one PUT for the segment, one for the playlist");
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_few_requests_and_the_stream_is_back_at_once() {
    let scene = Scene::new([Act::Live]);
    pass(20 * S).await;
    let before = scene.store.journal().len();
    scene.store.on_call(|_| Outcome::refused(unavailable()));
    pass(600 * S).await;
    let requests = scene.store.journal().len() - before;
    assert!(requests < 10 * 60, "{requests} requests in ten minutes without storage");
    assert!(scene.spooled() <= 6, "{} files spooled", scene.spooled());
    scene.store.on_call(|_| Outcome::ok());
    pass(4 * S).await;
    let stored = scene.status.borrow().playlist_stored.unwrap();
    assert!(clock::now() - stored < 4 * S, "not back within two segments");
    assert!(scene.progress().segments_given_up > 280);
    let playlist = scene.playlist().unwrap();
    let listed = playlist.entries.iter().filter(|entry| entry.discontinuity).count() as u64;
    assert_eq!(listed + playlist.discontinuity_sequence, 1, "one hole, one mark");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_given_up_and_tried_again() {
    let scene = Scene::new([Act::Live]);
    scene.store.queue(Op::Put, [Outcome::hang()]);
    pass(60 * S).await;
    assert!(scene.progress().segments_published > 20);
    assert_eq!(scene.playlist().unwrap().entries.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_silent_engine_is_replaced_and_the_seam_is_marked() {
    let scene = Scene::new([Act::Segments(3), Act::Live]);
    pass(40 * S).await;
    let status = scene.status.borrow().clone();
    assert_eq!((status.restarts, status.last_exit.unwrap().cause), (1, Cause::Stalled));
    assert_eq!(scene.engine.halts(), [Halt::Terminate]);
    let playlist = scene.playlist().unwrap();
    assert_eq!(playlist.discontinuity_sequence, 1, "the seam was listed and has left the window");
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_refuses_the_password_is_asked_rarely() {
    let scene = Scene::new([Act::Dies(S, Cause::Auth)]);
    pass(3600 * S).await;
    let restarts = scene.status.borrow().restarts;
    assert!((4..=10).contains(&restarts), "{restarts} tries in an hour");
    assert!(matches!(scene.status.borrow().phase, Phase::BackingOff { .. } | Phase::Starting { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_stubborn_engine_is_killed() {
    let mut scene = Scene::with([Act::Live], Arc::default(), true);
    pass(10 * S).await;
    scene.stop.cancel();
    let asked = clock::now();
    scene.ends().await;
    assert_eq!(scene.engine.halts(), [Halt::Ask, Halt::Terminate, Halt::Kill]);
    assert!(clock::now() - asked < 6 * S);
}

#[tokio::test(start_paused = true)]
async fn the_next_agent_goes_on_and_sweeps() {
    let store = Arc::<MemoryStore>::default();
    let mut first = Scene::with([Act::Live], store.clone(), false);
    pass(30 * S).await;
    first.abort.cancel();
    first.ends().await;
    let old = first.playlist().unwrap();
    let foreign = ObjectKey::new("loc/cam/holiday.mp4");
    let class = crate::domain::class::ObjectClass::Segment;
    store.plant(foreign.clone(), "mine", class);
    store.plant(layout().segment(crate::domain::ids::RunId::new(1, 1), 0), "an orphan", class);

    let second = Scene::with([Act::Live], store.clone(), false);
    pass(5 * S).await;
    let new = second.playlist().unwrap();
    let seam = new.entries.iter().find(|entry| entry.discontinuity).unwrap();
    assert_eq!(seam.msn, old.entries.last().unwrap().msn.next());
    pass(60 * S).await;
    let listed = second.playlist().unwrap();
    let keys = store.snapshot();
    assert!(keys.contains_key(&foreign), "what the agent did not name stays");
    assert!(keys.len() <= listed.entries.len() + 6 + 1 + 2, "orphans are left: {:?}", keys.keys());
    assert!(second.progress().orphans_swept >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_at_the_end_does_not_hold_the_agent_for_ever() {
    let mut scene = Scene::new([Act::Live]);
    pass(10 * S).await;
    scene.store.on_call(|_| Outcome::refused(unavailable()));
    pass(4 * S).await;
    scene.stop.cancel();
    pass(10 * S).await;
    assert!(!scene.tasks.is_empty(), "it still tries to publish the rest");
    scene.abort.cancel();
    scene.ends().await;
}
