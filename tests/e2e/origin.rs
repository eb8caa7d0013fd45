//! Streams that the box serves itself: without any storage, and beside a bucket that is away.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::browser::{free_address, play};
use crate::support::agent::Place;
use crate::support::camera::{Camera, CameraOpts};
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::frames::{self, Expected};
use crate::support::viewer::{Report, Viewer};
use crate::support::wait::until;
use crate::{BUCKET, NO_FFMPEG_WITHIN, STOP_WITHIN, UP_WITHIN, alone, minio, my_turn, playlist_of};

const CAMERA: &str = "cam_floor";
const MORE_WITHIN: Duration = Duration::from_secs(40);
/// Holds and a sweep, as in a bucket.
const SWEPT_WITHIN: Duration = Duration::from_secs(240);
const VIEWERS: usize = 10;
const WATCH_SECONDS: u32 = 20;

struct Web {
    client: Client,
    base: String,
}

impl Web {
    fn at(listen: &str) -> Self {
        Self { client: Client::new(), base: format!("http://{listen}") }
    }

    fn playlist(&self, name: &str) -> String {
        format!("{}/streams/{CAMERA}/{name}.m3u8", self.base)
    }

    async fn text(&self, url: &str) -> String {
        self.client.get(url).send().await.expect("an answer").text().await.expect("text")
    }

    async fn code(&self, path: &str) -> StatusCode {
        self.client.get(format!("{}{path}", self.base)).send().await.expect("the agent answers").status()
    }

    async fn status(&self) -> Value {
        let url = format!("{}/api/streams/status/{CAMERA}", self.base);
        self.client.get(url).send().await.expect("the agent answers").json().await.expect("JSON")
    }
}

/// Without a storage.
fn configure(place: &Place, listen: &str, camera: &str, settings: &str) {
    place.write_config(&format!(
        "location: {CAMERA}\nspool: {}\nstorage: {{type: none}}\nhttp: {{listen: \"{listen}\"}}\n\
         defaults: {{settings: {{{settings}}}}}\ncameras:\n  - {{id: {CAMERA}, rtsp_url: \"{camera}\"}}\n  \
         - {{id: cam_off, enabled: false, rtsp_url: \"test://\"}}\n",
        place.path().join("spool").display(),
    ));
}

fn folder(place: &Place) -> PathBuf {
    place.path().join("spool").join(CAMERA).join("origin")
}

fn segments_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("segment_")).collect()
}

/// The server was killed in the middle of an answer; that what it held is still there, the viewer asks again.
fn served_until_killed(report: &mut Report) {
    let is_cut = |breach: &String| {
        ["no answer for", "no playlist: error sending"].iter().any(|cut| breach.contains(cut))
    };
    report.breaches.retain(|breach| !is_cut(breach));
}

async fn more(viewer: &mut Viewer) {
    let seen = viewer.segment_count();
    viewer.segments(seen + 3, MORE_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_without_storage_serves_its_viewers_past_kills_and_a_reload() {
    let _turn = my_turn().await;
    let camera = Camera::start(CameraOpts { gop: 25, ..CameraOpts::default() }).await;
    let (listen, place) = (free_address(), Place::new("origin"));
    let web = Web::at(&listen);
    configure(&place, &listen, &camera.url(), "segment_duration: 1");
    let mut viewer = Viewer::watch(&web.playlist("stream"), &place.path().join("seen"));
    let mut agent = place.start(&[]);
    viewer.segments(4, UP_WITHIN).await;
    let status = web.status().await;
    assert_eq!(status["local_url"], json!(format!("/streams/{CAMERA}/stream.m3u8")), "{status}");
    assert_eq!((&status["playlist_url"], &status["storage_error"]), (&json!(null), &json!(null)));
    assert_eq!((&status["verdict"], &status["viewers"]), (&json!("ok"), &json!(1)), "{status}");
    for (path, code) in [
        ("/readyz", StatusCode::OK),
        ("/streams/cam_off/stream.m3u8", StatusCode::NOT_FOUND),
        ("/streams/cam_floor/cam_floor/stream.m3u8", StatusCode::NOT_FOUND),
        ("/streams/cam_floor/note", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(web.code(path).await, code, "{path}");
    }

    agent.kill9().await;
    place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;
    agent = place.start(&[]);
    more(&mut viewer).await;
    for ffmpeg in place.ffmpegs() {
        kill(Pid::from_raw(ffmpeg.pid.cast_signed()), Signal::SIGKILL).expect("it can be killed");
    }
    more(&mut viewer).await;
    configure(&place, &listen, &camera.url(), "segment_duration: 1, target_fps: 10");
    agent.signal(Signal::SIGHUP);
    more(&mut viewer).await;

    // Players go back to no earlier number, and nothing that nobody names stays.
    let orphans = async || viewer.orphans(&segments_in(&folder(&place))).is_empty().then_some(());
    until(SWEPT_WITHIN, "the sweep of orphans", orphans, || "").await;
    agent.stop(STOP_WITHIN).await;
    let mut report = viewer.stop().await;
    served_until_killed(&mut report);
    report.assert_legal();
    let (_, playlist) = report.playlists.last().expect("a playlist");
    assert!(!playlist.contains("#EXT-X-ENDLIST"), "viewers wait for an agent that stopped:\n{playlist}");

    // Of a camera that is no more, nothing is kept.
    place.write_config(&format!(
        "spool: {}\nstorage: {{type: none}}\nhttp: {{listen: \"{listen}\"}}\n\
         cameras: [{{id: cam_other, rtsp_url: \"test://\"}}]\n",
        place.path().join("spool").display()
    ));
    let mut agent = place.start(&[]);
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    assert!(!folder(&place).exists());
    agent.stop(STOP_WITHIN).await;
}

/// The back office's scenario; each viewer has an address of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_viewers_of_the_box_are_counted_share_an_ffmpeg_and_see_the_end() {
    let _turn = my_turn().await;
    let (listen, place) = (free_address(), Place::new("origin-viewers"));
    let web = Web::at(&listen);
    let settings = "segment_duration: 1, segments_to_keep: 3, start: on_demand, idle_timeout: 5";
    configure(&place, &listen, "test://", settings);
    let mut agent = place.start(&[]);
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    let mut addresses = Vec::new();
    for number in 1..VIEWERS {
        let signed = web.client.post(format!("{}/api/streams/{CAMERA}/sign", web.base));
        let signed = signed.json(&json!({"expires_in": 600 + number})).send().await.expect("an answer");
        let signed: Value = signed.json().await.expect("JSON");
        addresses.push(signed["url"].as_str().expect("an address").to_owned());
    }
    let mut viewer = Viewer::watch(&web.playlist("stream"), &place.path().join("seen"));
    viewer.segments(3, UP_WITHIN).await;
    for address in &addresses {
        let playlist = web.text(address).await;
        let segment = playlist.lines().rfind(|line| line.starts_with("segment_")).expect("a segment");
        assert!(segment.ends_with(address.split_once('?').expect("a query").1), "{segment}");
        let path = format!("/streams/{CAMERA}/{segment}");
        assert_eq!(web.code(&path).await, StatusCode::OK, "{path}");
    }
    assert_eq!(web.status().await["viewers"], json!(VIEWERS));
    let metrics = web.text(&format!("{}/metrics", web.base)).await;
    let told = format!("edge_agent_stream_viewers{{camera=\"{CAMERA}\"}} {VIEWERS}\n");
    assert!(metrics.contains(&told), "{metrics}");
    assert_eq!(place.ffmpegs().len(), 1, "all of them share it");
    viewer.stop().await.assert_legal();
    place.no_ffmpeg_within(Duration::from_secs(15)).await;
    let text = || std::fs::read_to_string(folder(&place).join("stream.m3u8")).unwrap_or_default();
    let ended = async || text().contains("#EXT-X-ENDLIST").then_some(());
    until(UP_WITHIN, "the end of the playlist", ended, text).await;
    let emptied = async || segments_in(&folder(&place)).is_empty().then_some(());
    until(SWEPT_WITHIN, "the folder without segments", emptied, || "").await;
    assert!(!text().contains("#EXTINF"), "it names nothing: {}", text());
    assert_eq!(web.status().await["viewers"], json!(0));

    // Wanted again by the one who fetches.
    let url = web.playlist("stream");
    let goes_on = async || (!web.text(&url).await.contains("#EXT-X-ENDLIST")).then_some(());
    until(UP_WITHIN, "a playlist that goes on", goes_on, text).await;
    let mut viewer = Viewer::watch(&url, &place.path().join("again"));
    viewer.segments(3, UP_WITHIN).await;
    viewer.stop().await.assert_legal();
    agent.stop(STOP_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_bucket_is_nothing_to_viewers_of_the_box() {
    let _turn = alone().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts { gop: 25, ..CameraOpts::default() }).await;
    let proxy = FaultProxy::start(&minio.endpoint).await;
    let (listen, mut place) = (free_address(), Place::new("origin-outage"));
    let more = format!("http: {{listen: \"{listen}\"}}\ndefaults: {{settings: {{segment_duration: 1}}}}\n");
    place.configure_at(&proxy.http(), &minio, BUCKET, &[(CAMERA, &camera.url())], &more);
    let web = Web::at(&listen);
    let mut here = Viewer::watch(&web.playlist("stream"), &place.path().join("here"));
    let mut there = Viewer::watch(&playlist_of(&minio, CAMERA), &place.path().join("there"));
    let mut agent = place.start(&[]);
    here.segments(4, UP_WITHIN).await;
    there.segments(4, UP_WITHIN).await;
    proxy.set(Fault::Refuse).await;
    let (seen_here, seen_there) = (here.segment_count(), there.segment_count());
    here.segments(seen_here + 20, MORE_WITHIN).await;
    let outage = there.segment_count() - seen_there;
    assert!(outage <= 4, "{outage} segments came past a bucket that is away");
    assert!(web.status().await["storage_error"].is_string());
    proxy.set(Fault::None).await;
    let seen = there.segment_count();
    there.segments(seen + 5, MORE_WITHIN).await;
    let status = web.status().await;
    assert_eq!(status["local_segments_given_up"], json!(0), "{status}");
    assert_eq!((&status["storage_error"], status["playlist_url"].is_string()), (&json!(null), true));
    // Its server stops with the agent.
    let here = here.stop().await;
    let held_up = camera.held_up().await;
    agent.stop(STOP_WITHIN).await;
    let there = there.stop().await;
    here.assert_legal();
    there.assert_legal();
    // A run that ends, and the next one's first segment.
    here.assert_no_gap_of(Duration::from_secs(if held_up == 0 { 4 } else { 9 }));
    let seams = here.segments.iter().filter(|seen| seen.segment.discontinuity).count();
    assert!(seams <= 1 + held_up, "{seams} seams, and one that begins the stream");
}

/// Init objects, and several playlists; then a page in a browser, with the multivariant playlist.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fmp4_in_renditions_is_served_by_the_box_and_a_browser_plays_it() {
    let _turn = alone().await;
    let camera = Camera::start(CameraOpts::default()).await;
    let (listen, place) = (free_address(), Place::new("origin-page"));
    let web = Web::at(&listen);
    let renditions = "segment_type: fmp4, renditions: [{width: 640}, {width: 320}]";
    configure(&place, &listen, &camera.url(), renditions);
    let watch = |name: &str| Viewer::watch(&web.playlist(name), &place.path().join(name));
    let mut viewers = [watch("stream"), watch("stream_2")];
    let mut agent = place.start(&[]);
    for viewer in &mut viewers {
        viewer.segments(3, UP_WITHIN).await;
    }
    play(&format!("http://{listen}/"), "origin", WATCH_SECONDS).await;
    let text = web.text(&web.playlist("multivariant")).await;
    assert!(text.contains("\nstream.m3u8") && text.contains("\nstream_2.m3u8"), "{text}");
    assert_eq!(web.code(&format!("/streams/{CAMERA}/status.json")).await, StatusCode::OK);
    agent.kill9().await;
    place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;
    agent = place.start(&[]);
    for viewer in &mut viewers {
        more(viewer).await;
    }
    agent.stop(STOP_WITHIN).await;
    let [first, second] = viewers;
    let mut reports = [first.stop().await, second.stop().await];
    reports.iter_mut().for_each(served_until_killed);
    reports.iter().for_each(Report::assert_legal);
    for (report, width) in reports.iter().zip([640, 320]) {
        let expected = Expected { size: (width, width * 9 / 16), fps: 15, audio: true };
        assert_eq!(frames::faults(&report.segments[..3], expected).await, Vec::<String>::new());
    }
}
