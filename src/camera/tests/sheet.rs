//! What players and dashboards are told: when it changes and now and then, by who publishes, or would if the camera let him.

use super::*;
use crate::domain::class::ObjectClass;
use crate::domain::ids::{Msn, RunId};
use crate::domain::playlist::render;
use crate::domain::segment::SegmentType;

fn sheet(store: &MemoryStore) -> Option<serde_json::Value> {
    let stored = store.snapshot().remove(&layout().sheet())?;
    Some(serde_json::from_slice(&stored.body).unwrap())
}

fn word(store: &MemoryStore, key: &str) -> Option<String> {
    sheet(store)?[key].as_str().map(ToOwned::to_owned)
}

/// The phase that the store has, and how often a sheet was put.
fn told(store: &MemoryStore) -> (Option<String>, usize) {
    let is_sheet = |record: &&crate::store::memory::Record| {
        record.call.op == Op::Put && record.call.keys == [layout().sheet()]
    };
    (word(store, "phase"), store.journal().iter().filter(is_sheet).count())
}

fn name(store: &MemoryStore) -> Option<String> {
    word(store, "name")
}

fn scene(store: Arc<MemoryStore>, name: &watch::Sender<String>) -> Scene {
    Scene::planned([Act::Live], store, |engine, _| engine.name = Some(name.subscribe()))
}

#[tokio::test(start_paused = true)]
async fn it_is_written_at_changes_and_as_a_sign_of_life() {
    let name_now = watch::Sender::new("Floor".to_owned());
    let store = Arc::<MemoryStore>::default();
    let mut scene = scene(store.clone(), &name_now);
    pass(S).await;
    assert_eq!(told(&store), (Some("starting".into()), 1));
    assert_eq!(sheet(&store).unwrap()["last_segment_at"], serde_json::Value::Null);
    pass(4 * S).await;
    let live = sheet(&store).unwrap();
    assert_eq!(
        (&live["phase"], &live["verdict"], &live["reason"]),
        (&"live".into(), &"ok".into(), &serde_json::Value::Null)
    );
    assert!(live["last_segment_at"].is_string());
    let before = told(&store).1;
    pass(3600 * S).await;
    let in_an_hour = told(&store).1 - before;
    assert!((59..=60).contains(&in_an_hour), "{in_an_hour}");
    let before = told(&store).1;
    name_now.send_replace("Till".into());
    pass(4 * S).await;
    assert_eq!((name(&store), told(&store).1 - before), (Some("Till".into()), 1));
    scene.stop.cancel();
    scene.ends().await;
    let last = sheet(&store).unwrap();
    assert_eq!((&last["phase"], &last["verdict"]), (&"stopped".into(), &"idle".into()), "it stays");
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_never_gave_a_picture_says_why() {
    let name = watch::Sender::new("Floor".to_owned());
    let store = Arc::<MemoryStore>::default();
    let refused = [Act::Dies(S, Cause::Auth)];
    let mut scene = Scene::planned(refused, store.clone(), |engine, _| engine.name = Some(name.subscribe()));
    pass(30 * S).await;
    let down = sheet(&store).unwrap();
    assert_eq!((&down["phase"], &down["verdict"]), (&"waiting".into(), &"down".into()));
    assert_eq!(down["reason"], "the camera refused user or password (401)");
    pass(3600 * S).await;
    let puts = told(&store).1;
    assert!((60..110).contains(&puts), "{puts} in an hour");
    scene.stop.cancel();
    scene.ends().await;
    assert_eq!(told(&store).0, Some("stopped".into()));
}

#[tokio::test(start_paused = true)]
async fn who_has_not_published_writes_over_no_other_agents() {
    let name = watch::Sender::new("two".to_owned());
    let store = Arc::<MemoryStore>::default();
    let rival = RunId::new(1 << 43, 7);
    let publish = |msn: u64| {
        let key = layout().segment(rival, msn, SegmentType::MpegTs);
        let entry = crate::domain::window::Entry {
            msn: Msn(msn),
            key,
            duration: 2 * S,
            program_time: None,
            discontinuity: false,
        };
        let playlist = MediaPlaylist {
            target_duration_s: 2,
            media_sequence: msn,
            discontinuity_sequence: 0,
            entries: vec![entry],
            ended: false,
            parts: None,
        };
        store.plant(layout().playlist(), render(&playlist), ObjectClass::Playlist);
    };
    publish(0);
    store.plant(layout().sheet(), r#"{"name": "one", "phase": "live"}"#, ObjectClass::Sheet);
    let refused = [Act::Dies(S, Cause::Auth)];
    let mut scene = Scene::planned(refused, store.clone(), |engine, _| engine.name = Some(name.subscribe()));
    for msn in 1..300 {
        publish(msn);
        pass(2 * S).await;
    }
    assert_eq!(told(&store), (Some("live".into()), 0), "the other one lives");
    pass(90 * S).await;
    assert_eq!((told(&store).0, self::name(&store)), (Some("waiting".into()), Some("two".into())));
    scene.abort.cancel();
    scene.ends().await;
    assert_eq!(told(&store).0, Some("waiting".into()), "who is cut off says nothing more");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_wants_has_ended_at_once_and_says_so_once() {
    let name = watch::Sender::new("Floor".to_owned());
    let store = Arc::<MemoryStore>::default();
    let mut scene = scene(store.clone(), &name);
    pass(20 * S).await;
    scene.over.cancel();
    scene.stop.cancel();
    pass(5 * S).await;
    let (phase, puts) = told(&store);
    assert_eq!(phase, Some("ended".into()));
    scene.ends().await;
    assert_eq!(told(&store), (phase, puts));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_hold_up_a_stop() {
    let name = watch::Sender::new("Floor".to_owned());
    let store = Arc::<MemoryStore>::default();
    let mut scene = scene(store.clone(), &name);
    pass(20 * S).await;
    store.on_call(move |call| match call.keys == [layout().sheet()] {
        true => Outcome::ok().delayed(3600 * S),
        false => Outcome::ok(),
    });
    let began = clock::now();
    scene.stop.cancel();
    scene.ends().await;
    assert!(clock::now() - began < 8 * S, "{:?}", clock::now() - began);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_it_has_its_segments() {
    let name = watch::Sender::new("Floor".to_owned());
    let store = Arc::<MemoryStore>::default();
    let no_json = || StoreError::Rejected { reason: "mime type application/json is not supported".into() };
    store.on_call(move |call| match call.keys == [layout().sheet()] {
        true => Outcome::refused(no_json()),
        false => Outcome::ok(),
    });
    let scene = scene(store.clone(), &name);
    pass(3600 * S).await;
    let tries = told(&store).1;
    assert!((8..=24).contains(&tries), "{tries} tries in an hour");
    let progress = scene.progress();
    assert!(progress.segments_published >= 1798 && progress.segments_given_up == 0, "{progress:?}");
    assert_eq!(scene.status.borrow().storage_error, None);
    scene.store.on_call(|_| Outcome::ok());
    pass(600 * S).await;
    assert_eq!(self::name(&store), Some("Floor".into()));
}

#[tokio::test(start_paused = true)]
async fn who_takes_over_says_so_and_who_stands_back_is_silent() {
    let store = Arc::<MemoryStore>::default();
    let (one, other) = (watch::Sender::new("one".to_owned()), watch::Sender::new("other".to_owned()));
    let mut first = scene(store.clone(), &one);
    pass(30 * S).await;
    let second = scene(store.clone(), &other);
    pass(60 * S).await;
    assert!(second.progress().standing_back);
    assert_eq!(name(&store), Some("one".into()));
    first.abort.cancel();
    first.ends().await;
    pass(60 * S).await;
    assert!(!second.progress().standing_back);
    assert_eq!((name(&store), told(&store).0), (Some("other".into()), Some("live".into())));
}

#[tokio::test(start_paused = true)]
async fn what_another_agent_wrote_before_it_stood_back_is_written_over() {
    let store = Arc::<MemoryStore>::default();
    let name = watch::Sender::new("one".to_owned());
    let scene = scene(store.clone(), &name);
    pass(120 * S).await;
    let rival = RunId::new(1 << 43, 7);
    let mut playlist = scene.playlist().unwrap();
    for entry in &mut playlist.entries {
        entry.msn = Msn(entry.msn.0 + 5);
        entry.key = layout().segment(rival, entry.msn.0, SegmentType::MpegTs);
    }
    playlist.media_sequence += 5;
    store.plant(layout().sheet(), r#"{"name": "other"}"#, ObjectClass::Sheet);
    // Until it is seen: the own playlists write over it.
    while scene.progress().conflicts == 0 {
        store.plant(layout().playlist(), render(&playlist), ObjectClass::Playlist);
        pass(S).await;
    }
    pass(10 * S).await;
    assert!(!scene.progress().standing_back, "its run is the older one");
    assert_eq!(self::name(&store), Some("one".into()));
}

#[tokio::test(start_paused = true)]
async fn a_last_word_that_is_refused_is_not_tried_all_the_time() {
    for is_end in [true, false] {
        let name = watch::Sender::new("Floor".to_owned());
        let store = Arc::<MemoryStore>::default();
        let mut scene = scene(store.clone(), &name);
        pass(20 * S).await;
        store.on_call(move |call| match call.keys == [layout().sheet()] {
            true => Outcome::refused(StoreError::Denied { reason: "HTTP 403".into() })
                .delayed(Duration::from_millis(20)),
            false => Outcome::ok(),
        });
        let before = told(&store).1;
        let began = clock::now();
        if is_end {
            scene.over.cancel();
        }
        scene.stop.cancel();
        scene.ends().await;
        let puts = told(&store).1 - before;
        assert!(puts <= 3, "is_end {is_end}: {puts} in {:?}", clock::now() - began);
    }
}
