//! Engines that fail, stall and run away.

use std::collections::BTreeMap;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_run_that_reached_the_spool_limit_comes_back_after_a_pause() {
    let scene = Scene::new([Act::Dies(S, Cause::SpoolLimit), Act::Live]);
    pass(20 * S).await;
    let status = scene.status.borrow().clone();
    assert_eq!(status.restarts_by_cause, BTreeMap::from([(Cause::SpoolLimit, 1)]));
    assert_eq!((status.restarts, status.last_exit.unwrap().cause), (1, Cause::SpoolLimit));
    assert!(matches!(status.phase, Phase::Live { .. }) && scene.playlist().is_some());
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
async fn the_time_that_the_box_stood_still_is_no_silence_of_the_camera() {
    let scene = Scene::new([Act::Segments(3), Act::Live]);
    pass(8 * S).await;
    for _ in 0..3 {
        // All at once: nobody runs meanwhile.
        tokio::time::advance(5 * S).await;
        pass(S / 2).await;
    }
    assert_eq!(scene.engine.halts(), [], "it had 3.5 s of its own");
    pass(7 * S).await;
    assert_eq!(scene.engine.halts(), [Halt::Terminate]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_camera_is_given_up_also_on_a_box_that_is_late_each_time() {
    let scene = Scene::new([Act::Segments(3), Act::Live]);
    pass(8 * S).await;
    for _ in 0..10 {
        tokio::time::advance(11 * S / 5).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.engine.halts(), [Halt::Terminate]);
}

#[tokio::test(start_paused = true)]
async fn a_beat_alone_wakes_nobody_but_each_fifth() {
    let mut scene = Scene::new([Act::Segments(1), Act::Live]);
    pass(3 * S).await;
    scene.status.mark_unchanged();
    let (mut woken, beat) = (0, scene.status.borrow().beat);
    let watch = async {
        while scene.status.changed().await.is_ok() {
            woken += 1;
        }
    };
    assert!(tokio::time::timeout(4 * S, watch).await.is_err());
    assert!(woken <= 2 && scene.status.borrow().beat >= beat + 3 * S, "{woken}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_failed_is_told_also_where_the_camera_is_looked_at_again() {
    for (act, cause) in [
        (Act::Segments(3), Cause::Stalled),
        (Act::Unfit(3, Cause::PictureChanged), Cause::PictureChanged),
        (Act::Lives(3, Cause::Disconnected), Cause::Disconnected),
    ] {
        let mut scene = Scene::planned([act, Act::Live], Arc::default(), |engine, _| engine.outgrown = true);
        scene.ends().await;
        let last_exit = scene.status.borrow().last_exit.clone();
        assert_eq!(last_exit.map(|exit| exit.cause), Some(cause));
        scene.engine.outgrown = false;
        let after = Scene::over(scene);
        pass(10 * S).await;
        assert_eq!(after.status.borrow().restarts, 1, "{cause:?}");
    }
    // What only shows another stream is no failure.
    let act = Act::Unfit(3, Cause::StreamChanged);
    let mut scene = Scene::planned([act, Act::Live], Arc::default(), |engine, _| engine.outgrown = true);
    scene.ends().await;
    assert!(scene.status.borrow().last_exit.is_none());
    scene.engine.outgrown = false;
    let after = Scene::over(scene);
    pass(10 * S).await;
    let status = after.status.borrow().clone();
    assert_eq!((status.restarts, status.restarts_by_cause), (1, [(Cause::StreamChanged, 1)].into()));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_outgrown_before_it_gave_anything_goes_on_under_another_plan() {
    let mut scene =
        Scene::planned([Act::Outgrows, Act::Live], Arc::default(), |engine, _| engine.outgrown = true);
    scene.ends().await;
    let kept = scene.engine.takes_over().expect("it goes on");
    assert!((scene.playlist(), scene.status.borrow().run) == (None, None));
    scene.engine.outgrown = false;
    let after = Scene::over(scene);
    pass(9 * S).await;
    let status = after.status.borrow().clone();
    assert_eq!((status.run, status.restarts, after.engine.halts().len()), (Some(kept), 0, 0));
    assert_eq!(status.restarts_by_cause, BTreeMap::new());
    // The first one is there, too.
    let playlist = after.playlist().expect("a playlist");
    let first = default_plan().layout.place_of(&playlist.entries[0].key);
    assert_eq!((first, playlist.entries.len()), (Some((kept, 0)), 5));
}

#[tokio::test(start_paused = true)]
async fn what_is_outgrown_behind_a_stop_is_not_shown() {
    let mut scene = Scene::with([Act::Outgrows], Arc::default(), true);
    // Asked to end, it gives a segment first.
    pass(S).await;
    scene.stop.cancel();
    scene.ends().await;
    assert!(scene.engine.takes_over().is_none() && scene.playlist().is_none());
    assert_eq!(scene.spooled(), 0);
    assert!(scene.status.borrow().segments_missed > 0);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_is_back_in_time_gets_all_of_a_camera_that_changes() {
    let act = Act::Lives(5, Cause::Disconnected);
    let mut scene = Scene::planned([act], Arc::default(), |engine, _| engine.outgrown = true);
    pass(7 * S).await;
    scene.store.on_call(|_| Outcome::refused(unavailable()));
    pass(15 * S).await;
    scene.store.on_call(|_| Outcome::ok());
    scene.ends().await;
    let progress = scene.progress();
    assert_eq!((progress.segments_published, progress.segments_given_up), (5, 0));
}

/// The end of a stream takes longer than a change may, and is not cut short.
#[tokio::test(start_paused = true)]
async fn a_stop_has_its_own_time_also_where_the_camera_has_changed() {
    let act = Act::Lives(5, Cause::Disconnected);
    let mut scene = Scene::planned([act], Arc::default(), |engine, _| engine.outgrown = true);
    pass(9 * S).await;
    scene.store.on_call(|_| Outcome::refused(unavailable()));
    pass(10 * S).await;
    scene.stop.cancel();
    pass(60 * S).await;
    assert!(scene.tasks.try_join_next().is_none());
    scene.store.on_call(|_| Outcome::ok());
    scene.ends().await;
    assert_eq!(scene.progress().segments_published, 5);
}

/// The camera became another one, the storage is away, and then the last viewer leaves.
#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_wants_ends_also_where_its_run_is_over_already() {
    let act = Act::Lives(5, Cause::Disconnected);
    let mut scene = Scene::planned([act], Arc::default(), |engine, _| engine.outgrown = true);
    pass(9 * S).await;
    scene.store.on_call(|_| Outcome::refused(unavailable()));
    pass(10 * S).await;
    scene.over.cancel();
    scene.stop.cancel();
    scene.store.on_call(|_| Outcome::ok());
    scene.ends().await;
    let playlist = scene.playlist().unwrap();
    assert!(playlist.ended && playlist.entries.is_empty(), "{playlist:?}");
}

#[tokio::test(start_paused = true)]
async fn a_camera_whose_clock_jumped_is_back_at_once() {
    let scene = Scene::new([Act::Unfit(20, Cause::ClockJumped), Act::Live]);
    pass(40 * S + S / 2).await;
    assert_eq!(scene.engine.halts(), [Halt::Ask]);
    pass(4 * S).await;
    let status = scene.status.borrow().clone();
    assert_eq!((status.restarts, status.last_trouble), (1, Some(Cause::ClockJumped)));
    assert!(matches!(status.phase, Phase::Live { .. }), "{:?}", status.phase);
    let seams = scene.playlist().unwrap().entries.iter().filter(|entry| entry.discontinuity).count();
    assert_eq!(seams, 1);
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_frozen_pictures_is_neither_published_nor_kept() {
    let scene = Scene::new([Act::Races(20), Act::Live]);
    pass(80 * S).await;
    let status = scene.status.borrow().clone();
    assert_eq!((status.restarts, status.last_exit.unwrap().cause), (1, Cause::ClockJumped));
    assert_eq!(scene.engine.halts(), [Halt::Kill]);
    assert!(status.progress.segments_published <= 20 + 6 + 20, "{:?}", status.progress);
    assert!(status.segments_missed >= 1 && scene.spooled() <= 1, "{} files spooled", scene.spooled());
}

#[tokio::test(start_paused = true)]
async fn the_monitor_looks_and_judges() {
    let scene = Scene::new([Act::Live]);
    let verdict = || scene.status.borrow().verdict;
    pass(S).await;
    assert_eq!((verdict(), scene.status.borrow().health_checks), (Verdict::Starting, 0));
    pass(60 * S).await;
    assert_eq!((verdict(), scene.status.borrow().health_checks), (Verdict::Ok, 6));
    scene.store.on_call(|_| Outcome::refused(unavailable()));
    pass(40 * S).await;
    assert!(matches!(verdict(), Verdict::Down(Reason::PlaylistUnconfirmed { .. })), "{:?}", verdict());
    assert_eq!(scene.status.borrow().restarts, 0, "a new ffmpeg would not mend the storage");
    scene.store.on_call(|_| Outcome::ok());
    pass(40 * S).await;
    assert_eq!(verdict(), Verdict::Ok);
}

#[tokio::test(start_paused = true)]
async fn hours_of_a_camera_that_reboots_every_minute_are_few_lines() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // Another test may have met the lines before, when nobody listened.
    tracing::callsite::rebuild_interest_cache();
    let minute = [Act::Lives(20, Cause::Disconnected), Act::Dies(3 * S, Cause::Unreachable)];
    let hours: u32 = 6;
    let scene = Scene::new(minute.into_iter().cycle().take(2 * 60 * hours as usize));
    pass(3_600 * hours * S).await;
    let status = scene.status.borrow().clone();
    assert!(status.restarts > u64::from(2 * 60 * hours), "{} restarts", status.restarts);
    let text = log.text();
    let lines = text.lines().count();
    assert!((10..=60).contains(&lines), "{lines} lines:\n{text}");
}

#[tokio::test(start_paused = true)]
async fn counters_go_on_after_a_panic() {
    let mut scene = Scene::new([Act::Lives(5, Cause::Disconnected), Act::Live]);
    pass(30 * S).await;
    scene.abort.cancel();
    scene.ends().await;
    let before = scene.status.borrow().clone();
    let second = Scene::over(scene);
    pass(30 * S).await;
    let after = second.status.borrow().clone();
    assert_eq!(after.restarts, before.restarts + 1, "the panic counts");
    assert_eq!(after.restarts_by_cause, BTreeMap::from([(Cause::Disconnected, before.restarts)]));
    assert!(after.progress.segments_published > before.progress.segments_published + 10);
    assert!(after.health_checks > before.health_checks);
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
