//! What players are told: written when there is something to play and when it changes, by who publishes.

use super::*;
use crate::domain::class::ObjectClass;
use crate::domain::ids::{Msn, RunId};
use crate::domain::playlist::render;
use crate::domain::segment::SegmentType;

/// The name in the store, and how often a sheet was put.
fn told(store: &MemoryStore) -> (Option<String>, usize) {
    let stored = store.snapshot().remove(&layout().sheet());
    let name = stored.map(|stored| {
        let sheet: serde_json::Value = serde_json::from_slice(&stored.body).unwrap();
        sheet["name"].as_str().unwrap().to_owned()
    });
    let is_sheet = |record: &&crate::store::memory::Record| {
        record.call.op == Op::Put && record.call.keys == [layout().sheet()]
    };
    (name, store.journal().iter().filter(is_sheet).count())
}

fn scene(store: Arc<MemoryStore>, name: &watch::Sender<String>) -> Scene {
    Scene::planned([Act::Live], store, |engine, _| engine.name = Some(name.subscribe()))
}

#[tokio::test(start_paused = true)]
async fn it_is_written_once_and_again_when_it_changes() {
    let name = watch::Sender::new("Floor".to_owned());
    let store = Arc::<MemoryStore>::default();
    let mut scene = scene(store.clone(), &name);
    pass(S).await;
    assert_eq!(told(&store), (None, 0), "nothing is live yet");
    pass(3 * S).await;
    assert_eq!(told(&store), (Some("Floor".into()), 1));
    pass(3600 * S).await;
    assert_eq!(told(&store).1, 1);
    name.send_replace("Till".into());
    pass(4 * S).await;
    assert_eq!(told(&store), (Some("Till".into()), 2));
    scene.stop.cancel();
    scene.ends().await;
    assert_eq!(told(&store), (Some("Till".into()), 2), "it stays");
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
    assert_eq!(told(&store), (Some("Floor".into()), tries + 1));
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
    assert_eq!(told(&store), (Some("one".into()), 1));
    first.abort.cancel();
    first.ends().await;
    pass(60 * S).await;
    assert!(!second.progress().standing_back);
    assert_eq!(told(&store), (Some("other".into()), 2));
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
    assert_eq!(told(&store).0, Some("one".into()));
}
