//! Still pictures beside the stream: what they cost it (nothing), and who stores them.

use super::*;
use crate::domain::class::ObjectClass;
use crate::engine::scripted::ScriptedStills;
use crate::store::memory::Record;

fn pictures(interval: Duration, takes: Duration, one_in: usize) -> (Duration, Arc<ScriptedStills>) {
    (interval, Arc::new(ScriptedStills::new(takes, one_in)))
}

fn scene(store: Arc<MemoryStore>, stills: (Duration, Arc<ScriptedStills>)) -> Scene {
    Scene::planned([Act::Live], store, |engine, _| engine.stills = Some(stills))
}

fn is_snapshot(record: &Record) -> bool {
    record.call.op == Op::Put && record.call.keys == [layout().snapshot()]
}

/// The whole stream, as if there were no pictures.
fn assert_undisturbed(scene: &Scene, seconds: u64) {
    let progress = scene.progress();
    assert!(progress.segments_published + 1 >= seconds / 2, "{progress:?}");
    assert_eq!(progress.segments_given_up, 0);
    let playlist = scene.playlist().unwrap();
    assert_eq!(playlist.entries.len(), 5);
    assert!(playlist.entries.iter().all(|entry| !entry.discontinuity));
    assert!(scene.store.overlapping_puts().is_empty());
    assert!(scene.spooled() <= 1, "{} files spooled", scene.spooled());
    assert_eq!(scene.status.borrow().storage_error, None);
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_stored_each_interval() {
    let mut scene = scene(Arc::default(), pictures(10 * S, S / 4, 1));
    pass(601 * S).await;
    let puts = scene.store.journal().iter().filter(|record| is_snapshot(record)).count();
    assert!((59..=61).contains(&puts), "{puts} in ten minutes");
    assert_undisturbed(&scene, 600);
    let stored = scene.store.snapshot().remove(&layout().snapshot()).unwrap();
    assert_eq!(stored.class, ObjectClass::Snapshot);
    // A segment's bytes are its number, and its pictures are the segments.
    let newest = scene.progress().segments_published - 1;
    let age = newest.wrapping_sub(u64::from(stored.body[0])) as u8;
    assert!(age <= 5, "the picture is {age} segments old");
    let status = scene.status.borrow().clone();
    assert!(clock::now() - status.snapshot_stored.unwrap() <= 12 * S);
    assert_eq!(status.snapshots_failed, 0);
    scene.stop.cancel();
    scene.ends().await;
    assert!(scene.store.snapshot().contains_key(&layout().snapshot()), "the last picture stays");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_pictures_has_its_segments_and_few_questions() {
    let store = Arc::<MemoryStore>::default();
    store.on_call(|call| {
        let denied = || StoreError::Denied { reason: "no pictures here".into() };
        if call.keys == [layout().snapshot()] { Outcome::refused(denied()) } else { Outcome::ok() }
    });
    // As the agent has it: what is refused to one is told of for all.
    let shared = Arc::new(RenewingStore::new(store.clone()));
    let stills = pictures(S, S / 4, 1);
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let change = |engine: &mut ScriptedEngine, _: &mut Plan| engine.stills = Some(stills.clone());
    let scene = Scene::on([Act::Live], store, shared.clone(), change);
    pass(10 * S).await;
    // Another test's thread may have been the first at the line, and nobody listens there.
    tracing::callsite::rebuild_interest_cache();
    pass(3590 * S).await;
    assert_undisturbed(&scene, 3600);
    let tries = scene.store.journal().iter().filter(|record| is_snapshot(record)).count();
    assert!((8..=24).contains(&tries), "{tries} tries in an hour");
    assert_eq!(stills.1.made(), tries, "no picture is made in vain");
    assert_eq!(scene.status.borrow().snapshots_failed, tries as u64);
    assert!(shared.access().borrow().refused.is_none(), "the storage has not locked the agent out");
    let lines = log.text().lines().filter(|line| line.contains("no snapshot")).count();
    assert!((1..=8).contains(&lines), "{}", log.text());
    assert!(log.text().contains("mend=") && log.text().contains("no pictures here"), "{}", log.text());

    // A person mends it.
    scene.store.on_call(|_| Outcome::ok());
    shared.renew(scene.store.clone());
    pass(5 * S).await;
    assert!(scene.status.borrow().snapshot_stored.is_some(), "not tried at once");
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_hangs_in_the_network_or_fails_holds_nothing_up() {
    let store = Arc::<MemoryStore>::default();
    store.on_call(|call| match call.keys == [layout().snapshot()] {
        true => Outcome::hang(),
        false => Outcome::ok(),
    });
    let stills = pictures(S, 3 * S, 2);
    let scene = scene(store, stills.clone());
    pass(120 * S).await;
    assert_undisturbed(&scene, 120);
    assert!(scene.status.borrow().snapshots_failed >= 3);
    scene.store.on_call(|_| Outcome::ok());
    pass(300 * S).await;
    assert_undisturbed(&scene, 420);
    assert!(scene.status.borrow().snapshot_stored.is_some(), "{} made", stills.1.made());
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_no_picture_is_made() {
    let stills = pictures(S, S / 4, 1);
    let scene = scene(Arc::default(), stills.clone());
    pass(20 * S).await;
    scene.store.on_call(|_| Outcome::refused(unavailable()));
    pass(10 * S).await;
    let before = stills.1.made();
    pass(600 * S).await;
    assert_eq!(stills.1.made(), before);
    scene.store.on_call(|_| Outcome::ok());
    pass(20 * S).await;
    assert!(stills.1.made() > before);
}

#[tokio::test(start_paused = true)]
async fn an_uplink_that_is_too_slow_for_the_stream_carries_no_pictures() {
    let stills = pictures(S, S / 4, 1);
    let scene = scene(Arc::default(), stills.clone());
    // One after the other: the next begins when the last one has ended.
    let mut free_at = clock::now();
    scene.store.on_call(move |call| {
        let now = clock::now();
        if call.op != Op::Put || layout().run_of(&call.keys[0]).is_none() {
            return Outcome::ok();
        }
        free_at = free_at.max(now) + 30 * S;
        Outcome::ok().delayed(free_at - now)
    });
    pass(300 * S).await;
    assert!(scene.progress().uplink.is_some());
    let before = stills.1.made();
    pass(600 * S).await;
    assert!(scene.progress().uplink.is_some() && stills.1.made() == before);
    scene.store.on_call(|_| Outcome::ok());
    pass(60 * S).await;
    assert!(scene.progress().uplink.is_none() && stills.1.made() > before);
}

#[tokio::test(start_paused = true)]
async fn only_the_agent_that_publishes_stores_pictures() {
    let store = Arc::<MemoryStore>::default();
    let first = pictures(S, S / 4, 1);
    let mut publishing = scene(store.clone(), first.clone());
    pass(30 * S).await;
    let second = pictures(S, S / 4, 1);
    let waiting = scene(store.clone(), second.clone());
    pass(60 * S).await;
    assert!(waiting.progress().standing_back);
    assert_eq!(second.1.made(), 0);
    assert!(waiting.status.borrow().snapshot_stored.is_none());
    publishing.abort.cancel();
    publishing.ends().await;
    pass(40 * S).await;
    assert!(!waiting.progress().standing_back && second.1.made() > 0);
    assert!(store.overlapping_puts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_sweep_leaves_the_picture_alone() {
    let store = Arc::<MemoryStore>::default();
    store.plant(layout().snapshot(), "of an earlier agent", ObjectClass::Snapshot);
    let orphan = layout().segment(
        crate::domain::ids::RunId::new(1, 1),
        0,
        crate::domain::segment::SegmentType::MpegTs,
    );
    store.plant(orphan.clone(), "an orphan", ObjectClass::Segment);
    let scene = Scene::with([Act::Live], store, false);
    pass(300 * S).await;
    let objects = scene.store.snapshot();
    assert!(!objects.contains_key(&orphan), "the sweep took place");
    assert!(objects.contains_key(&layout().snapshot()));
}
