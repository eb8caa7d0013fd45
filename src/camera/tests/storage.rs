//! Stores that are away, slow, shared, or refuse.

use super::*;
use crate::domain::choice::decide;
use crate::domain::ids::RunId;
use crate::domain::parts::PartLimits;

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
    let said = scene.status.borrow().storage_error.clone();
    assert_eq!(said.as_deref(), Some("storage is unavailable: scripted"));
    scene.store.on_call(|_| Outcome::ok());
    pass(4 * S).await;
    assert_eq!(scene.status.borrow().storage_error, None);
    let stored = scene.status.borrow().playlist_stored.unwrap();
    assert!(clock::now() - stored < 4 * S, "not back within two segments");
    assert!(scene.progress().segments_given_up > 280);
    let playlist = scene.playlist().unwrap();
    let listed = playlist.entries.iter().filter(|entry| entry.discontinuity).count() as u64;
    assert_eq!(listed + playlist.discontinuity_sequence, 1, "one hole, one mark");
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_unsent_segments_take_no_more_than_their_part_of_the_share() {
    let store = Arc::<MemoryStore>::default();
    store.on_call(|_| Outcome::refused(unavailable()));
    let share = crate::domain::quota::backlog(4_500, 1);
    let scene = Scene::planned([Act::Live], store, |_, plan| plan.uploads.backlog_bytes = share);
    pass(60 * S).await;
    assert!(scene.spooled() <= 3, "{} files of 1000 bytes, two thirds of 4500 may wait", scene.spooled());
    scene.store.on_call(|_| Outcome::ok());
    pass(4 * S).await;
    assert!(scene.playlist().is_some_and(|playlist| playlist.entries.len() >= 2));
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
async fn uploads_that_take_30_s_get_through_and_the_status_says_what_is_missing() {
    let scene = Scene::new([Act::Live]);
    // One after the other, as over an uplink: the next begins when the last one has ended.
    let mut free_at = clock::now();
    scene.store.on_call(move |call| {
        let now = clock::now();
        if call.op != Op::Put || call.keys[0] == layout().playlist() {
            return Outcome::ok();
        }
        free_at = free_at.max(now) + 30 * S;
        Outcome::ok().delayed(free_at - now)
    });
    pass(600 * S).await;
    let progress = scene.progress();
    assert!(progress.segments_published >= 12, "{progress:?}");
    let shortage = progress.uplink.unwrap();
    assert_eq!(shortage.needs_kbps, 4, "1000 bytes in 2 s");
    assert_eq!((shortage.carries_kbps, shortage.short_percent()), (0, 100), "1000 bytes in 30 s");
    scene.store.on_call(|_| Outcome::ok());
    pass(60 * S).await;
    assert_eq!(scene.progress().uplink, None);
}

#[test]
fn no_store_cuts_an_upload_short() {
    for seconds in [1, 2, 6, 10, 60] {
        let settings = Settings { segment_duration: seconds * S, ..Settings::default() };
        let plan = plan(
            &"loc".parse().unwrap(),
            &"cam".parse().unwrap(),
            &settings,
            &decide(&settings.wish(), None),
            1 << 20,
        );
        let longest = longest(plan.uploads.attempt, settings.segment_duration);
        assert!(longest < crate::store::Limits::default().attempt, "{longest:?}");
    }
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
    store.plant(
        layout().segment(
            crate::domain::ids::RunId::new(1, 1),
            0,
            crate::domain::segment::SegmentType::MpegTs,
        ),
        "an orphan",
        class,
    );

    let run = layout().run_of(&old.entries.last().unwrap().key).unwrap();
    let second = Scene::planned([Act::Live], store.clone(), |engine, _| engine.earlier_runs = vec![run]);
    pass(5 * S).await;
    let new = second.playlist().unwrap();
    let seam = new.entries.iter().find(|entry| entry.discontinuity).unwrap();
    assert_eq!(seam.msn, old.entries.last().unwrap().msn.next());
    pass(200 * S).await;
    let listed = second.playlist().unwrap();
    let keys = store.snapshot();
    assert!(keys.contains_key(&foreign), "what the agent did not name stays");
    assert!(keys.len() <= listed.entries.len() + 6 + 1 + 2, "orphans are left: {:?}", keys.keys());
    assert!(second.progress().orphans_swept >= 1);
}

/// Its first part comes before its first segment, and is no stranger's.
#[tokio::test(start_paused = true)]
async fn an_agent_that_was_killed_goes_on_at_once_with_its_first_part() {
    let store = Arc::<MemoryStore>::default();
    let scene = |earlier_runs: Vec<RunId>| {
        Scene::planned([Act::Live], store.clone(), |engine, plan| {
            (engine.has_parts, engine.earlier_runs) = (true, earlier_runs);
            plan.parts = Some(PartLimits::usual(2 * S));
        })
    };
    let mut first = scene(Vec::new());
    pass(20 * S).await;
    let old = first.playlist().unwrap();
    let run = layout().run_of(&old.entries[0].key).unwrap();
    first.abort.cancel();
    first.ends().await;
    let second = scene(vec![run]);
    pass(2 * S).await;
    assert_eq!((second.progress().parts_published, second.progress().segments_published), (1, 0));
    pass(S).await;
    assert!(second.progress().live_edge > old.entries.last().map(|entry| entry.msn), "nobody was waited for");
}

/// A store that answers with what lay there a moment ago: the machine knows better.
#[tokio::test(start_paused = true)]
async fn an_old_playlist_at_the_start_sets_no_number_back() {
    let store = Arc::<MemoryStore>::default();
    let memory = tempfile::tempdir().unwrap();
    let note = || {
        let note = Note::default();
        note.lies_in(memory.path());
        note
    };
    let mut first = Scene::planned([Act::Live], store.clone(), |engine, _| engine.note = note());
    pass(30 * S).await;
    let old = store.snapshot().remove(&layout().playlist()).unwrap();
    let run = layout().run_of(&first.playlist().unwrap().entries[0].key).unwrap();
    pass(10 * S).await;
    assert!(note().text().is_some_and(|kept| Some(kept) == first.engine.note.text()), "it is in the file");
    first.abort.cancel();
    first.ends().await;
    let last = first.playlist().unwrap();

    store.plant(layout().playlist(), old.body, crate::domain::class::ObjectClass::Playlist);
    let second = Scene::planned([Act::Live], store.clone(), |engine, _| {
        engine.earlier_runs = vec![run];
        engine.note = note();
    });
    pass(9 * S).await;
    assert_eq!(second.progress().live_edge, None, "it reads again, and publishes nothing");
    pass(10 * S).await;
    let new = second.playlist().unwrap();
    assert!(new.media_sequence >= last.entries.last().unwrap().msn.next().0, "{new:?}");
    assert_eq!(second.progress().segments_stood_back, 0);
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

#[tokio::test(start_paused = true)]
async fn the_second_agent_stands_back_and_takes_over() {
    let store = Arc::<MemoryStore>::default();
    let mut first = Scene::with([Act::Live], store.clone(), false);
    pass(30 * S).await;
    let mut second = Scene::with([Act::Live], store.clone(), false);
    pass(60 * S).await;
    let progress = second.progress();
    assert!(progress.standing_back && progress.segments_stood_back > 0, "{progress:?}");
    assert_eq!((progress.segments_published, progress.segments_given_up), (0, 0));
    assert!(second.spooled() <= 8, "{} files spooled", second.spooled());
    assert_eq!(first.progress().conflicts, 0);
    let before = first.playlist().unwrap();

    first.abort.cancel();
    first.ends().await;
    pass(25 * S).await;
    let after = second.playlist().unwrap();
    assert!(!second.progress().standing_back && after.media_sequence > before.media_sequence);
    assert!(store.overlapping_puts().is_empty());

    // One that stands back has nothing to finish.
    let mut third = Scene::with([Act::Live], store.clone(), false);
    pass(20 * S).await;
    assert!(third.progress().standing_back);
    for scene in [&mut third, &mut second] {
        scene.stop.cancel();
        scene.ends().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_few_playlists_gets_few() {
    let interval = Duration::from_millis(5_300);
    let store = Arc::<MemoryStore>::default();
    let mut scene =
        Scene::planned([Act::Live], store.clone(), |_, plan| plan.min_playlist_interval = interval);
    let starts = Arc::<std::sync::Mutex<Vec<_>>>::default();
    let seen = starts.clone();
    store.on_call(move |call| {
        if call.op == Op::Put && call.keys[0] == layout().playlist() {
            seen.lock().unwrap().push(clock::now());
        }
        Outcome::ok()
    });
    pass(120 * S).await;
    scene.stop.cancel();
    scene.ends().await;
    let starts = starts.lock().unwrap().clone();
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= interval), "{starts:?}");
    assert!((20..=24).contains(&starts.len()), "{} playlists", starts.len());
    let progress = scene.progress();
    assert_eq!((progress.segments_given_up, progress.backlog), (0, 0));
    assert_eq!(scene.playlist().unwrap().entries.last().unwrap().msn, progress.live_edge.unwrap());
}

#[tokio::test(start_paused = true)]
async fn new_credentials_are_tried_at_once() {
    let denied = || Outcome::refused(StoreError::Denied { reason: "HTTP 403".into() });
    let (old, new) = (Arc::<MemoryStore>::default(), Arc::<MemoryStore>::default());
    let renewing = Arc::new(RenewingStore::new(old.clone()));
    let scene = Scene::on([Act::Live], new.clone(), renewing.clone(), |_, _| {});
    pass(20 * S).await;
    old.on_call(move |_| denied());
    pass(120 * S).await;
    let tries = old.journal().len();
    pass(120 * S).await;
    assert!(old.journal().len() - tries < 30, "a person has to act: asked rarely");
    renewing.renew(new.clone());
    pass(S / 2).await;
    let stored = scene.status.borrow().playlist_stored.unwrap();
    assert!(clock::now() - stored < S, "back at once");
    pass(20 * S).await;
    assert_eq!(scene.playlist().unwrap().entries.len(), 5);
}
