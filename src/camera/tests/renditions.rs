//! Several renditions of one picture: their objects come and go together.

use std::collections::BTreeSet;

use super::*;
use crate::camera::calls::Calls;
use crate::camera::poster::Bill as _;
use crate::camera::variants::Board;
use crate::domain::class::ObjectClass;
use crate::domain::ids::RunId;
use crate::domain::publication::Action;
use crate::domain::segment::{Form, Payload, Rendition, SegmentType};
use crate::domain::uploads::{Start, Ticket};

fn scene(store: Arc<MemoryStore>, renditions: Rendition) -> Scene {
    Scene::planned([Act::Live], store, |engine, plan| {
        engine.renditions = renditions;
        plan.form = Form { kind: SegmentType::MpegTs, renditions };
        plan.multivariant = renditions > 1;
    })
}

fn names(store: &MemoryStore) -> BTreeSet<String> {
    store.snapshot().keys().map(|key| key.file_name().to_owned()).collect()
}

fn text(store: &MemoryStore, key: &ObjectKey) -> String {
    String::from_utf8(store.snapshot()[key].body.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_one_has_its_objects_and_its_playlist() {
    let mut scene = scene(Arc::default(), 2);
    pass(60 * S).await;
    let first = text(&scene.store, &layout().playlist());
    assert!(first.contains("_1of2.ts\n") && !first.contains("_2of2"), "{first}");
    assert_eq!(text(&scene.store, &layout().playlist_of(2)), first.replace("_1of2", "_2of2"));
    let of = |number| -> BTreeSet<String> {
        let suffix = format!("_{number}of2.ts");
        names(&scene.store).iter().filter_map(|name| Some(name.strip_suffix(&suffix)?.to_owned())).collect()
    };
    // The window of five, and what is held: six more, and one that is due.
    assert!(of(1) == of(2) && (5..=13).contains(&of(1).len()), "{:?} {:?}", of(1), of(2));
    let put: Vec<_> = scene.store.journal().into_iter().filter(|record| record.call.op == Op::Put).collect();
    let playlists: Vec<_> = put.iter().map(|record| record.call.keys[0].clone()).collect();
    let playlists: Vec<_> = playlists.iter().filter(|key| key.as_str().ends_with("m3u8")).collect();
    assert!(playlists.len() > 40);
    for pair in playlists.chunks(2) {
        assert_eq!(pair, [&layout().playlist(), &layout().playlist_of(2)], "what is read back comes first");
    }
    scene.stop.cancel();
    scene.ends().await;
    assert_eq!(scene.spooled(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_rendition_that_is_refused_holds_the_others_back() {
    let store = Arc::<MemoryStore>::default();
    let refused = |call: &crate::store::memory::Call| {
        let is_second = call.keys.iter().any(|key| key.as_str().ends_with("_2of2.ts"));
        if call.op == Op::Put && is_second { Outcome::refused(unavailable()) } else { Outcome::ok() }
    };
    store.on_call(refused);
    let scene = scene(store, 2);
    pass(60 * S).await;
    assert_eq!(scene.playlist(), None, "players would come to a halt when they change");
    scene.store.on_call(|_| Outcome::ok());
    pass(20 * S).await;
    assert_eq!(scene.playlist().map(|playlist| playlist.entries.len() >= 5), Some(true));
    assert_eq!(scene.progress().backlog, 0);
}

#[tokio::test(start_paused = true)]
async fn one_instead_of_several_counts_on_and_leaves_nothing() {
    let store = Arc::<MemoryStore>::default();
    let mut before = scene(store.clone(), 3);
    pass(60 * S).await;
    before.stop.cancel();
    before.ends().await;
    let last = before.playlist().unwrap().entries.last().unwrap().msn;
    store.put(&layout().multivariant(), "#EXTM3U\n".into(), ObjectClass::Playlist).await.unwrap();
    assert!(names(&store).contains("stream_3.m3u8"));

    let after = scene(store.clone(), 1);
    pass(20 * S).await;
    let playlist = after.playlist().unwrap();
    assert!(playlist.media_sequence > last.0 && playlist.entries.len() == 5, "{playlist:?}");
    assert!(names(&store).iter().any(|name| name.ends_with("_3of3.ts")), "viewers may still fetch them");
    pass(600 * S).await;
    let left = names(&store);
    assert!(!left.iter().any(|name| name.contains("of3")), "{left:?}");
    let playlists: Vec<_> = left.iter().filter(|name| name.ends_with(".m3u8")).collect();
    assert_eq!(playlists, ["stream.m3u8"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_again_for_another_renditions_sake_is_measured_once() {
    let (store, folder) = (Arc::<MemoryStore>::default(), tempfile::tempdir().unwrap());
    let mut board = Board::new(2, None);
    let (status, _) = watch::channel(CameraStatus::new("cam".parse().unwrap(), clock::now()));
    let calls = Calls {
        measure: Arc::default(),
        status: Arc::new(status),
        store: store.clone(),
        layout: layout(),
        target_duration_s: 2,
        attempt_time: 10 * S,
        note: Note::default(),
        renditions: 2,
        desk: None,
        board: Some(board.clone()),
        is_origin: false,
        halves: None,
    };
    let is_second = |call: &crate::store::memory::Call| call.keys[0].as_str().ends_with("_2of2.ts");
    // Averages are announced anew after half a minute.
    let segments = [(1000, 20)].into_iter().chain([(1, 0); 30]);
    for (index, (packets, refusals)) in segments.enumerate() {
        let payload =
            Payload::File { path: folder.path().join(format!("{index}.ts")), bytes: 0, renditions: 2 };
        let picture = include_bytes!("../../../fuzz/corpus-seeds/codecs/h264.ts");
        let body = [&picture[..], &vec![0xff; 188 * packets]].concat();
        payload.paths().for_each(|path| std::fs::write(path, &body).unwrap());
        let form = Form { kind: SegmentType::MpegTs, renditions: 2 };
        let key = layout().segment(RunId::new(1, 1), index as u64, form);
        for attempt in 0..=refusals {
            let refuses = attempt < refusals;
            store.on_call(move |call| match refuses && is_second(call) {
                true => Outcome::refused(unavailable()).delayed(S),
                false => Outcome::ok(),
            });
            let (key, payload) = (key.clone(), payload.clone());
            let start = Start { ticket: Ticket(attempt), key, payload, duration: 2 * S, header: None };
            calls.clone().carry_out(Action::Put(start), CancellationToken::new()).await;
        }
    }
    let text = String::from_utf8(board.text().expect("both are known").to_vec()).unwrap();
    let told: BTreeSet<_> = text.lines().filter(|line| line.starts_with("#EXT-X-STREAM-INF")).collect();
    assert_eq!(told.len(), 1, "they are the same: {text}");
}
