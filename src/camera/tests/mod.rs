//! The drivers under a paused clock: a scripted engine, a scripted store, real spool files.

mod landing;
mod outlets;
mod renditions;
mod runs;
mod sheet;
mod snapshots;
mod storage;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::plan::plan;
use super::sheet::{Posting, Sheet};
use super::snapshots::Studio;
use super::status::{CameraStatus, StatusSender};
use super::supervisor::{End, Supervisor};
use crate::clock;
use crate::config::model::Settings;
use crate::domain::choice::decide;
use crate::domain::health::{Reason, Verdict};
use crate::domain::key::{Layout, ObjectKey};
use crate::domain::lifecycle::{Cause, Patience, Phase};
use crate::domain::playlist::{MediaPlaylist, parse};
use crate::domain::publication::Plan;
use crate::domain::uplink::longest;
use crate::engine::scripted::{Act, ScriptedEngine};
use crate::engine::spool::note::Note;
use crate::engine::{Engine as _, Halt};
use crate::store::memory::{MemoryStore, Op, Outcome};
use crate::store::renewing::RenewingStore;
use crate::store::{ObjectStore, StoreError};

const S: Duration = Duration::from_secs(1);

/// One camera with its drivers.
struct Scene {
    store: Arc<MemoryStore>,
    engine: ScriptedEngine,
    sender: StatusSender,
    status: watch::Receiver<CameraStatus>,
    over: CancellationToken,
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
        Self::planned(acts, store, |engine, _| engine.stubborn = stubborn)
    }

    fn planned(
        acts: impl IntoIterator<Item = Act>,
        store: Arc<MemoryStore>,
        change: impl FnOnce(&mut ScriptedEngine, &mut Plan),
    ) -> Self {
        Self::on(acts, store.clone(), store, change)
    }

    /// `store` is what the test looks at, `used` what the camera writes to.
    fn on(
        acts: impl IntoIterator<Item = Act>,
        store: Arc<MemoryStore>,
        used: Arc<dyn ObjectStore>,
        change: impl FnOnce(&mut ScriptedEngine, &mut Plan),
    ) -> Self {
        let spool = tempfile::tempdir().unwrap();
        let mut engine = ScriptedEngine::new(spool.path().to_owned(), acts);
        let (sender, status) = watch::channel(CameraStatus::new("cam".parse().unwrap(), clock::now()));
        let [over, stop, abort] = [(); 3].map(|()| CancellationToken::new());
        let sender = Arc::new(sender);
        let mut plan = default_plan();
        change(&mut engine, &mut plan);
        let tasks = supervise(&engine, plan, used, &sender, [&over, &stop, &abort]);
        Self { store, engine, sender, status, over, stop, abort, tasks, spool }
    }

    /// Another supervisor on the same status, as after a panic.
    fn over(scene: Self) -> Self {
        let Self { store, engine, sender, status, spool, .. } = scene;
        let [over, stop, abort] = [(); 3].map(|()| CancellationToken::new());
        let tasks = supervise(&engine, default_plan(), store.clone(), &sender, [&over, &stop, &abort]);
        Self { store, engine, sender, status, over, stop, abort, tasks, spool }
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

fn default_plan() -> Plan {
    let settings = Settings::default();
    let choice = decide(&settings.wish(), None);
    plan(&"loc".parse().unwrap(), &"cam".parse().unwrap(), &settings, &choice, 1 << 20)
}

fn supervise(
    engine: &ScriptedEngine,
    plan: Plan,
    store: Arc<dyn ObjectStore>,
    status: &StatusSender,
    ends: [&CancellationToken; 3],
) -> JoinSet<()> {
    let settings = Settings::default();
    let patience = Patience::for_segments_of(settings.segment_duration);
    let supervisor = Supervisor::new(Box::new(engine.clone()), patience, status.clone(), 7);
    let supervisor = supervisor.with_snapshots(studio(engine)).with_sheet(posting(engine));
    let mut tasks = JoinSet::new();
    let [over, stop, abort] = ends.map(Clone::clone);
    let supervisor = supervisor.over_with(over);
    let end = if engine.outgrown { End::Outgrown } else { End::Stopped };
    tasks.spawn(async move { assert_eq!(supervisor.run(plan, store, stop, abort).await, end) });
    tasks
}

fn studio(engine: &ScriptedEngine) -> Option<Studio> {
    let (interval, stills) = engine.stills.clone()?;
    Some(Studio { interval, stills })
}

fn posting(engine: &ScriptedEngine) -> Option<Posting> {
    let (id, settings) = ("cam".parse().unwrap(), Settings::default());
    let sheet = Sheet::new(&id, &settings, &decide(&settings.wish(), None));
    Some(Posting { sheet, is_known: true, name: engine.name.clone()? })
}

/// What was logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
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
