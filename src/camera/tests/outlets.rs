//! The same segments for the storage and for this box's own viewers.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::camera::outlets::{EdgeSender, Origin, origin_plan};
use crate::domain::edge::Edge;
use crate::domain::ids::CameraId;
use crate::domain::origin::forgotten;
use crate::domain::parts::PartLimits;
use crate::domain::quota;
use crate::store::open_origin;

/// A camera that publishes in two places.
struct Two {
    remote: Arc<MemoryStore>,
    here: Arc<MemoryStore>,
    status: StatusSender,
    here_status: StatusSender,
    over: CancellationToken,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    spool: tempfile::TempDir,
}

fn camera() -> CameraId {
    "cam".parse().unwrap()
}

fn status() -> StatusSender {
    Arc::new(watch::Sender::new(CameraStatus::new(camera(), clock::now())))
}

impl Two {
    fn new(act: Act, remote: Arc<MemoryStore>, here: Arc<MemoryStore>) -> Self {
        Self::of(act, remote, here, 1 << 20)
    }

    fn of(act: Act, remote: Arc<MemoryStore>, here: Arc<MemoryStore>, room: u64) -> Self {
        Self::by(|_| (), act, remote, here, room)
    }

    fn by(
        change: impl FnOnce(&mut ScriptedEngine),
        act: Act,
        remote: Arc<MemoryStore>,
        here: Arc<MemoryStore>,
        room: u64,
    ) -> Self {
        let spool = tempfile::tempdir().unwrap();
        let mut engine = ScriptedEngine::new(spool.path().to_owned(), [act]);
        change(&mut engine);
        engine.name = Some(watch::Sender::new("Cam".to_owned()).subscribe());
        let (status, here_status) = (status(), status());
        let patience = Patience::for_segments_of(Settings::default().segment_duration);
        let plan = default_plan();
        let origin = Origin {
            plan: origin_plan(&plan, &camera(), room),
            store: here.clone(),
            status: here_status.clone(),
        };
        let [over, stop] = [(); 2].map(|()| CancellationToken::new());
        let supervisor = Supervisor::new(Box::new(engine.clone()), patience, status.clone(), 7);
        let supervisor = supervisor.with_sheet(posting(&engine)).with_origin(Some(origin));
        let supervisor = supervisor.over_with(over.clone());
        let mut tasks = JoinSet::new();
        let (used, stopped) = (remote.clone(), stop.clone());
        tasks.spawn(async move {
            supervisor.run(plan, used, stopped, CancellationToken::new()).await;
        });
        Self { remote, here, status, here_status, over, stop, tasks, spool }
    }

    async fn ends(&mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(600 * S, self.tasks.join_next()).await;
        ended.expect("ends").expect("one task").expect("no panic");
        assert_eq!(std::fs::read_dir(self.spool.path()).unwrap().count(), 0, "both are done with all of it");
    }
}

fn playlist_in(store: &MemoryStore, layout: &Layout) -> MediaPlaylist {
    let stored = store.snapshot().remove(&layout.playlist()).expect("a playlist");
    parse(std::str::from_utf8(&stored.body).unwrap(), layout).unwrap()
}

fn here() -> Layout {
    Layout::of_origin(&camera())
}

fn names(playlist: &MediaPlaylist) -> Vec<String> {
    playlist.entries.iter().map(|entry| entry.key.file_name().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn both_have_the_stream_with_numbers_of_their_own() {
    let mut two = Two::new(Act::Live, Arc::default(), Arc::default());
    pass(61 * S).await;
    let (there, own) = (playlist_in(&two.remote, &layout()), playlist_in(&two.here, &here()));
    assert_eq!((names(&there), there.entries.len()), (names(&own), 5));
    let by_clock = forgotten(2, clock::wall()).media_sequence;
    assert!(own.media_sequence.abs_diff(by_clock) < 3_000, "{own:?} {there:?}");
    assert!(
        two.here.snapshot().contains_key(&here().sheet())
            && two.remote.snapshot().contains_key(&layout().sheet())
    );
    assert!(std::fs::read_dir(two.spool.path()).unwrap().count() <= 1);
    two.ends().await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_storage_is_nothing_to_the_viewers_here_nor_the_other_way_round() {
    for away_is_here in [false, true] {
        let mut two = Two::new(Act::Live, Arc::default(), Arc::default());
        pass(21 * S).await;
        let away = if away_is_here { two.here.clone() } else { two.remote.clone() };
        away.on_call(|_| Outcome::refused(unavailable()));
        pass(60 * S).await;
        let (own, there) = (playlist_in(&two.here, &here()), playlist_in(&two.remote, &layout()));
        let (well, ill) = if away_is_here { (there, own) } else { (own, there) };
        assert!(!well.entries.iter().any(|entry| entry.discontinuity), "{well:?}");
        assert_ne!(names(&well), names(&ill));
        let lost = |status: &StatusSender| status.borrow().progress.segments_given_up;
        let (lost_here, lost_there) = (lost(&two.here_status), lost(&two.status));
        assert!(if away_is_here {
            lost_there == 0 && lost_here > 20
        } else {
            lost_here == 0 && lost_there > 20
        });
        // What waits for the one that is away, and is bounded as without the other.
        assert!((1..=6).contains(&std::fs::read_dir(two.spool.path()).unwrap().count()));
        assert_eq!(two.status.borrow().storage_error.is_some(), !away_is_here);
        away.on_call(|_| Outcome::ok());
        pass(20 * S).await;
        assert_eq!(names(&playlist_in(&two.here, &here())), names(&playlist_in(&two.remote, &layout())));
        two.ends().await;
    }
}

#[tokio::test(start_paused = true)]
async fn numbers_go_on_in_what_is_left_and_behind_what_is_forgotten() {
    let (here_store, mut last) = (Arc::<MemoryStore>::default(), (0, 0));
    for is_forgotten in [false, false, true] {
        let store = if is_forgotten { Arc::default() } else { here_store.clone() };
        let mut two = Two::new(Act::Live, Arc::default(), store);
        pass(31 * S).await;
        let playlist = playlist_in(&two.here, &here());
        let breaks = playlist.entries.iter().filter(|entry| entry.discontinuity).count() as u64;
        assert!(
            playlist.media_sequence >= last.0 && playlist.discontinuity_sequence >= last.1,
            "{playlist:?}"
        );
        // In a test the wall clock stands still: what was given since may be ahead of it by as much.
        let given = if is_forgotten { (0, 0) } else { (playlist.entries.len() as u64, breaks) };
        last = (
            playlist.media_sequence.saturating_sub(100) + given.0,
            playlist.discontinuity_sequence.saturating_sub(10),
        );
        two.ends().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_to_both_and_leaves_an_empty_playlist() {
    let mut two = Two::new(Act::Live, Arc::default(), Arc::default());
    pass(31 * S).await;
    two.over.cancel();
    two.stop.cancel();
    pass(5 * S).await;
    for ended in [playlist_in(&two.here, &here()), playlist_in(&two.remote, &layout())] {
        assert!(ended.ended && !ended.entries.is_empty(), "{ended:?}");
    }
    two.ends().await;
    for (store, layout) in [(&two.here, here()), (&two.remote, layout())] {
        let left: Vec<_> = store.snapshot().into_keys().collect();
        assert_eq!(left, [layout.sheet(), layout.playlist()]);
        assert!(playlist_in(store, &layout).entries.is_empty());
    }
}

/// Of 1000 bytes each.
#[tokio::test(start_paused = true)]
async fn a_small_room_holds_fewer_segments_and_the_stream_goes_on() {
    for (room, listed) in [(1_000_000, 5), (13_000, 3), (8_000, 2), (500, 1)] {
        let mut two = Two::of(Act::Live, Arc::default(), Arc::default(), room);
        pass(61 * S).await;
        let playlist = playlist_in(&two.here, &here());
        assert_eq!(playlist.entries.len(), listed, "of {room}: {}", quota::listed(room));
        assert!(!playlist.entries.iter().any(|entry| entry.discontinuity));
        assert_eq!(playlist_in(&two.remote, &layout()).entries.len(), 5);
        two.ends().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_sheet_here_lives_on_while_the_storage_is_away() {
    let two = Two::new(Act::Live, Arc::default(), Arc::default());
    pass(21 * S).await;
    two.remote.on_call(|_| Outcome::refused(unavailable()));
    pass(60 * S).await;
    let sheet = || two.here.snapshot().remove(&here().sheet()).map(|stored| stored.body);
    let before = sheet();
    pass(300 * S).await;
    assert!(two.status.borrow().storage_error.is_some());
    assert_ne!(before, sheet(), "a sign of life every 60 s");
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_changes_is_not_held_up_by_a_storage_that_is_away() {
    let remote = Arc::<MemoryStore>::default();
    let act = Act::Lives(20, Cause::Disconnected);
    let mut two = Two::by(|engine| engine.outgrown = true, act, remote.clone(), Arc::default(), 1 << 20);
    pass(21 * S).await;
    remote.on_call(|_| Outcome::refused(unavailable()));
    // Its run ends after 40 s.
    pass(38 * S).await;
    assert!(two.tasks.try_join_next().is_none(), "the storage has a while to come back");
    pass(2 * S).await;
    two.tasks.try_join_next().expect("it is over").expect("no panic");
    let (here_progress, progress) = (two.here_status.borrow().progress, two.status.borrow().progress);
    assert_eq!((here_progress.segments_published, here_progress.segments_given_up), (20, 0));
    assert_eq!((progress.segments_published + progress.segments_given_up, progress.backlog), (20, 0));
    assert_eq!(playlist_in(&two.here, &here()).entries.len(), 5);
}

/// `storage.type: none`.
#[tokio::test(start_paused = true)]
async fn what_is_served_by_this_box_alone_has_its_error_in_the_status() {
    let plan = |_: &mut ScriptedEngine, plan: &mut Plan| *plan = origin_plan(plan, &camera(), 1 << 20);
    let scene = Scene::planned([Act::Live], Arc::default(), plan);
    pass(11 * S).await;
    assert_eq!(scene.status.borrow().storage_error, None);
    scene.store.on_call(|_| Outcome::refused(unavailable()));
    pass(10 * S).await;
    assert!(scene.status.borrow().storage_error.as_ref().is_some_and(|error| error.contains("scripted")));
    scene.store.on_call(|_| Outcome::ok());
    pass(20 * S).await;
    assert_eq!(scene.status.borrow().storage_error, None);
}

/// `storage.type: none`.
#[tokio::test(start_paused = true)]
async fn parts_that_this_box_alone_serves_are_waited_for_as_long_as_planned() {
    let limits = PartLimits::usual(S / 5);
    let plan = origin_plan(&Plan { parts: Some(limits), ..default_plan() }, &camera(), 1 << 20);
    let edge: EdgeSender = Arc::new(watch::Sender::new(Edge::EMPTY));
    let spool = tempfile::tempdir().unwrap();
    let engine = ScriptedEngine::new(spool.path().to_owned(), [Act::Live]);
    let patience = Patience::for_segments_of(Settings::default().segment_duration);
    let supervisor = Supervisor::new(Box::new(engine), patience, status(), 7)
        .with_edge(Some((edge.clone(), limits.duration)));
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    tasks.spawn(async move {
        supervisor.run(plan, Arc::<MemoryStore>::default(), stop, CancellationToken::new()).await;
    });
    pass(S).await;
    assert_eq!((edge.borrow().layout(), edge.borrow().patience()), (Some(here()), 3 * limits.duration));
}

/// Longest time until what a killed agent left has made way where there is little room. Where exactly it ends depends on
/// which of its last files were whole, so on threads.
const SETTLED: Duration = Duration::from_secs(240);

/// A stream in a folder of `rooms.0` bytes and then of `rooms.1`, with segments of 1000 each: what was published, given
/// up and counted as a break in ten minutes, from [`SETTLED`] after the change.
async fn goes_on(rooms: (u64, u64), is_killed: bool) -> (u64, u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let most = Arc::new(AtomicU64::new(rooms.0));
    let store = open_origin(folder.path().to_owned(), most.clone());
    let spool = tempfile::tempdir().unwrap();
    let start = |room, seed| {
        let engine = ScriptedEngine::new(spool.path().to_owned(), [Act::Live]);
        let (plan, own) = (default_plan(), status());
        let origin =
            Origin { plan: origin_plan(&plan, &camera(), room), store: store.clone(), status: own.clone() };
        let patience = Patience::for_segments_of(Settings::default().segment_duration);
        let supervisor =
            Supervisor::new(Box::new(engine), patience, status(), seed).with_origin(Some(origin));
        let (abort, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let aborted = abort.clone();
        tasks.spawn(async move {
            supervisor.run(plan, Arc::<MemoryStore>::default(), CancellationToken::new(), aborted).await;
        });
        (own, abort, tasks)
    };
    let mut running = start(rooms.0, 7);
    pass(120 * S).await;
    most.store(rooms.1, Ordering::Relaxed);
    if is_killed {
        running.1.cancel();
        running.2.join_next().await;
        running = start(rooms.1, 8);
    }
    pass(SETTLED).await;
    let (progress, playlist) = (running.0.borrow().progress, playlist_of(folder.path()));
    pass(600 * S).await;
    let (later, last) = (running.0.borrow().progress, playlist_of(folder.path()));
    assert!(last.media_sequence >= playlist.media_sequence, "{last:?}");
    // Where not even two segments have room, there is none between one and the next.
    assert!(rooms.1 < 3_000 || !last.entries.is_empty(), "{last:?}");
    for entry in &last.entries {
        assert!(folder.path().join(entry.key.as_str()).exists(), "{entry:?}");
    }
    (
        later.segments_published - progress.segments_published,
        later.segments_given_up - progress.segments_given_up,
        last.discontinuity_sequence - playlist.discontinuity_sequence,
    )
}

/// A stream on demand that is one of many.
#[tokio::test(start_paused = true)]
async fn a_stream_takes_no_more_than_its_share_where_the_folder_has_room_for_more() {
    let (folder, spool) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open_origin(folder.path().to_owned(), Arc::new(AtomicU64::new(1_000_000)));
    let engine = ScriptedEngine::new(spool.path().to_owned(), [Act::Live]);
    let plan = default_plan();
    let origin = Origin { plan: origin_plan(&plan, &camera(), 13_000), store, status: status() };
    let patience = Patience::for_segments_of(Settings::default().segment_duration);
    let supervisor = Supervisor::new(Box::new(engine), patience, status(), 7).with_origin(Some(origin));
    let (abort, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let aborted = abort.clone();
    tasks.spawn(async move {
        supervisor.run(plan, Arc::<MemoryStore>::default(), CancellationToken::new(), aborted).await;
    });
    pass(61 * S).await;
    assert_eq!(playlist_of(folder.path()).entries.len(), 3);
    abort.cancel();
    tasks.join_next().await;
}

fn playlist_of(folder: &std::path::Path) -> MediaPlaylist {
    parse(&std::fs::read_to_string(folder.join(here().playlist().as_str())).unwrap(), &here()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_tight_room_is_enough_for_what_is_named_and_held() {
    for room in [1_000_000, 20_000, 14_000, 10_000, 9_000, 7_000] {
        for is_killed in [false, true] {
            let (published, lost, breaks) = goes_on((room, room), is_killed).await;
            assert!(
                published >= 299 && lost == 0 && breaks <= 1,
                "{room} {is_killed}: {published} {lost} {breaks}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_that_became_smaller_does_not_stop_the_stream() {
    for is_killed in [false, true] {
        for (room, least) in [(10_000, 299), (4_500, 290), (3_000, 100), (2_100, 12)] {
            let (published, lost, breaks) = goes_on((1_000_000, room), is_killed).await;
            // The restart's own may come late, behind all holds.
            let most = lost + u64::from(is_killed);
            assert!(published >= least && breaks <= most, "{room} {is_killed}: {published} {lost} {breaks}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_playlist_that_is_removed_here_is_no_other_agent_and_comes_back() {
    let store = Arc::<MemoryStore>::default();
    // As after an hour: the clock is ahead of the numbers.
    let text = crate::domain::playlist::render(&forgotten(2, clock::wall() - 3600 * S));
    store.plant(here().playlist(), text, crate::domain::class::ObjectClass::Playlist);
    let two = Two::new(Act::Live, Arc::default(), store);
    pass(61 * S).await;
    let before = playlist_in(&two.here, &here());
    for _ in 0..120 {
        two.here.delete(&[here().playlist()]).await.unwrap();
        pass(S / 2).await;
    }
    pass(10 * S).await;
    let (progress, after) = (two.here_status.borrow().progress, playlist_in(&two.here, &here()));
    assert_eq!((progress.conflicts, progress.standing_back), (0, false), "{progress:?}");
    assert!(after.media_sequence > before.media_sequence + 25, "{after:?}");
    assert_eq!(after.discontinuity_sequence, before.discontinuity_sequence, "the numbers go on");
}
