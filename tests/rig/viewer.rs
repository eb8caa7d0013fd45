//! The viewer against a store over HTTP whose publisher breaks one rule.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::support::scratch::Scratch;
use crate::support::viewer::{Report, Viewer};

const WINDOW: u64 = 12;
const SEGMENT: Duration = Duration::from_millis(250);
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// The playlist names a segment that is not stored.
    NamesTheMissing,
    DeletesAtOnce,
    Rewrites,
    LosesThePlaylist,
    TearsThePlaylist,
    NoCacheControl,
}

#[derive(Clone)]
struct Object {
    body: Vec<u8>,
    /// With a Cache-Control header.
    cache: bool,
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<BTreeMap<String, Object>>>);

impl Store {
    fn put(&self, name: &str, body: impl Into<Vec<u8>>, cache: bool) {
        self.0.lock().unwrap().insert(name.into(), Object { body: body.into(), cache });
    }

    fn delete(&self, name: &str) {
        self.0.lock().unwrap().remove(name);
    }
}

async fn serve(State(store): State<Store>, Path(name): Path<String>) -> Response {
    let Some(Object { body, cache }) = store.0.lock().unwrap().get(&name).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (kind, rule) = match name.ends_with(".ts") {
        true => ("video/mp2t", "public, max-age=31536000, immutable"),
        false => ("application/vnd.apple.mpegurl", "no-cache, no-store, must-revalidate"),
    };
    let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
    if cache {
        response.headers_mut().insert(header::CACHE_CONTROL, rule.parse().unwrap());
    }
    response
}

fn render(first: u64, last: u64) -> String {
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n"
    );
    (first..=last).for_each(|msn| text.push_str(&format!("#EXTINF:0.25,\n{msn}.ts\n")));
    text
}

/// Publishes a segment every 250 ms, with one fault.
async fn publish(store: Store, fault: Fault) {
    let mut ticks = interval(SEGMENT);
    // No two of them closer than a segment: what was late is held as long.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for last in WINDOW.. {
        ticks.tick().await;
        let first = last + 1 - WINDOW;
        for msn in if last == WINDOW { first..=last } else { last..=last } {
            if fault != Fault::NamesTheMissing || msn != last {
                store.put(&format!("{msn}.ts"), msn.to_string(), fault != Fault::NoCacheControl);
            }
        }
        let text = render(first, last);
        let cut = if fault == Fault::TearsThePlaylist { text.len() - 4 } else { text.len() };
        store.put("stream.m3u8", &text[..cut], true);
        match fault {
            Fault::DeletesAtOnce => store.delete(&format!("{}.ts", first - 1)),
            Fault::Rewrites => store.put(&format!("{first}.ts"), "other", true),
            Fault::LosesThePlaylist if last > WINDOW + 2 => store.delete("stream.m3u8"),
            // 250 ms and 3 s of playlist: 13 segments later.
            _ if first > 14 => store.delete(&format!("{}.ts", first - 14)),
            _ => {}
        }
    }
}

async fn watch(fault: Fault, segments: usize) -> Report {
    let scratch = Scratch::new("viewer");
    let store = Store::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/stream.m3u8", listener.local_addr().unwrap());
    // Before the first playlist: a 404 that is fine.
    let mut viewer = Viewer::watch(&url, scratch.path());
    let mut tasks = JoinSet::new();
    let app = Router::new().route("/{name}", get(serve)).with_state(store.clone());
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    tasks.spawn(publish(store, fault));
    if segments > 0 {
        viewer.segments(segments, DEADLINE).await;
    } else {
        // Nothing will be listed: the fault itself is awaited.
        viewer.breach(DEADLINE).await;
    }
    viewer.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_legal_stream_has_no_breach() {
    let report = watch(Fault::None, 32).await;
    report.assert_legal();
    assert!(report.polls > 20 && report.playlists.len() >= 15, "{report:?}");
    assert!(report.first_playlist.is_some());
    report.assert_no_gap_of(Duration::from_secs(2));
    let msns: Vec<_> = report.segments.iter().map(|seen| seen.segment.msn).collect();
    assert_eq!(msns, (msns[0]..).take(msns.len()).collect::<Vec<_>>(), "each once, in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_a_store_is_seen() {
    for (fault, segments, about) in [
        (Fault::NamesTheMissing, 14, "listed but missing"),
        (Fault::DeletesAtOnce, 18, "too early"),
        (Fault::Rewrites, 18, "has other bytes"),
        (Fault::LosesThePlaylist, 0, "the playlist is missing (HTTP 404)"),
        (Fault::TearsThePlaylist, 0, "torn"),
        (Fault::NoCacheControl, 14, "cache control"),
    ] {
        let report = watch(fault, segments).await;
        assert!(
            report.breaches.iter().any(|breach| breach.contains(about)),
            "{fault:?}: {:?}",
            report.breaches
        );
    }
}
