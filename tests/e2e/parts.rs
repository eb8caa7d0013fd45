//! A stream in parts, as other players see it: ordinary HLS with parts listed, legal past kills and outages.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

use crate::support::agent::Place;
use crate::support::camera::{Camera, CameraOpts};
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::frames::{self, Expected};
use crate::support::hls_client::HlsClient;
use crate::support::viewer::Viewer;
use crate::support::wait::until;
use crate::{BUCKET, STOP_WITHIN, UP_WITHIN, alone, bucket, folder_of, minio, my_turn, playlist_of};

const CAMERA: &str = "cam_floor";
const MORE_WITHIN: Duration = Duration::from_secs(40);
/// For the browser to start and to end.
const PLAYED_WITHIN: Duration = Duration::from_secs(60);
/// A hold of 37 s, another one of twice that, and as much again for a busy machine.
const SWEPT_WITHIN: Duration = Duration::from_secs(240);
/// A segment has a second, and five of them.
const PARTS: usize = 5;
const FPS: u32 = 15;
/// Of a second: the browser is up by then, and plays.
const BREAKS_AFTER: usize = 18;
const BREAKS_WITHIN: Duration = Duration::from_secs(60);

async fn more(viewer: &mut Viewer, segments: usize) {
    let within = MORE_WITHIN + Duration::from_secs(segments as u64);
    viewer.segments(viewer.segment_count() + segments, within).await;
}

fn settings(more: &str) -> String {
    format!("defaults:\n  settings: {{profile: sub_second{more}}}\n")
}

/// As a player that knows nothing of parts.
async fn plays_as_ordinary_hls(playlist: &str) {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-read_intervals", "%+3", "-show_entries", "packet=stream_index"]);
    let output = ffprobe.args(["-of", "csv=p=0", playlist]).output().await.expect("install ffmpeg");
    let (said, text) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{said}");
    for track in ["0", "1"] {
        let packets = text.lines().filter(|line| line.trim_matches(',') == track).count();
        assert!(packets > 20, "{packets} packets of track {track}: {said}");
    }
}

/// Ends with a report; it panics if a player stood still.
async fn plays_in_stock_players(playlist: &str, seconds: u64, more: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let newest = root.join("player/node_modules/hls.js/dist/hls.js").display().to_string();
    let old = root.join("tests/browser/node_modules/hls-0/dist/hls.js").display().to_string();
    let mut node = Command::new("node");
    node.arg(root.join("tests/browser/stock.mjs")).args(["--playlist", playlist]);
    node.args(more);
    node.arg("--seconds").arg(seconds.to_string()).arg(format!("newest={newest}"));
    node.arg(format!("without-low-latency={newest},{{\"lowLatencyMode\": false}}")).arg(format!("old={old}"));
    let output = node.kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(3 * seconds) + PLAYED_WITHIN, output).await;
    let output = output.expect("the browser ends in time").expect("node: run packaging/setup.sh test");
    let (said, text) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    eprintln!("{text}");
    assert!(output.status.success(), "{text}{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_players_play_the_same_address_as_ordinary_hls() {
    let _turn = alone().await;
    let minio = minio().await;
    // Copied, and small: three players decode it on the machine that makes it.
    let opts = CameraOpts { size: (640, 360), gop: 25, ..CameraOpts::default() };
    let camera = Camera::start(opts).await;
    let mut place = Place::new("parts-stock");
    place.configure(&minio, BUCKET, &[(CAMERA, &camera.url())], &settings(", quality: auto"));
    let playlist = playlist_of(&minio, CAMERA);
    let mut viewer = Viewer::watch(&playlist, &place.path().join("seen"));
    let mut agent = place.start(&[]);
    viewer.segments(4, UP_WITHIN).await;
    plays_in_stock_players(&playlist, 60, &[]).await;
    // A restart of ffmpeg in the midst: hls.js 1.6.0 to 1.6.16 give up at what a bucket may list then.
    let before = viewer.segment_count();
    let breaks = async {
        viewer.segments(before + BREAKS_AFTER, BREAKS_WITHIN).await;
        camera.control("kick").await;
    };
    tokio::join!(plays_in_stock_players(&playlist, 50, &["--over-a-break"]), breaks);
    plays_as_ordinary_hls(&playlist).await;
    agent.assert_running();
    agent.stop(STOP_WITHIN).await;
    viewer.stop().await.assert_legal();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_in_parts_is_legal_past_a_kill_and_a_camera_that_hangs_up() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts::default()).await;
    let mut place = Place::new("parts");
    place.configure(&minio, BUCKET, &[(CAMERA, &camera.url())], &settings(""));
    let playlist = playlist_of(&minio, CAMERA);
    let mut viewer = Viewer::watch(&playlist, &place.path().join("seen"));
    let mut agent = place.start(&[]);
    viewer.segments(4, UP_WITHIN).await;
    plays_as_ordinary_hls(&playlist).await;
    let client = HlsClient::play(&playlist);
    let plays = async || (client.frames() > 0).then_some(());
    until(UP_WITHIN, "ffmpeg's first frame", plays, || client.frames()).await;
    let joined = viewer.segment_count();
    more(&mut viewer, 3).await;
    agent.kill9().await;
    agent = place.start(&[]);
    more(&mut viewer, 4).await;
    camera.control("kick").await;
    more(&mut viewer, 6).await;
    // It begins three segments before the end, and is one or two behind it at any time.
    let all = async || {
        // The last one of a run is short.
        let shown: f64 =
            viewer.journal().arrivals[joined..].iter().map(|a| a.segment.duration.as_secs_f64()).sum();
        let wanted = (f64::from(FPS) * shown) as usize;
        (client.frames() >= wanted).then_some(())
    };
    until(MORE_WITHIN, "all segments in ffmpeg, past both breaks", all, || client.frames()).await;
    let said = client.stop().await;
    assert!(said.lines().count() < 20, "{said}");
    agent.stop(STOP_WITHIN).await;
    let report = viewer.stop().await;
    report.assert_legal();
    let listed = |text: &str| text.matches("#EXT-X-PART:").count();
    let full = report.playlists.iter().filter(|(_, text)| listed(text) == PARTS).count();
    assert!(full >= 6, "{full} playlists list all parts of their last segment");
    let expected = Expected { size: (854, 480), fps: FPS, audio: true };
    let last = report.segments.len() - 3;
    assert_eq!(frames::faults(&report.segments[last..], expected).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_come_back_after_an_outage_and_leave_with_their_segments() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let opts = CameraOpts { size: (640, 360), gop: 25, ..CameraOpts::default() };
    let camera = Camera::start(opts).await;
    let proxy = FaultProxy::start(&minio.endpoint).await;
    let mut place = Place::new("parts-outage");
    place.configure_at(
        &proxy.http(),
        &minio,
        BUCKET,
        &[(CAMERA, &camera.url())],
        &settings(", quality: auto"),
    );
    let mut viewer = Viewer::watch(&playlist_of(&minio, CAMERA), &place.path().join("seen"));
    let mut agent = place.start(&[]);
    viewer.segments(4, UP_WITHIN).await;
    proxy.set(Fault::Refuse).await;
    // Longer than the backlog is.
    agent.log_line(&["warn", "given up"], MORE_WITHIN).await;
    proxy.set(Fault::None).await;
    more(&mut viewer, 8).await;
    // Held: a window of 6 s, and their own second.
    more(&mut viewer, 10).await;
    let names = bucket::objects(&minio.client(), &folder_of(CAMERA)).await;
    let parts = names.iter().filter(|name| name.starts_with("part_")).count();
    assert!((PARTS * 6..PARTS * 22).contains(&parts), "{parts} parts: {names:?}");
    agent.signal(Signal::SIGTERM);
    agent.stop(STOP_WITHIN).await;
    let report = viewer.stop().await;
    report.assert_legal();
}

/// The playlist as it is now, if its newest segment is listed without parts.
async fn hole(playlist: &str) -> Option<String> {
    let text = reqwest::get(playlist).await.ok()?.text().await.ok()?;
    (!text.contains("#EXT-X-PART:") && text.contains("#EXTINF")).then_some(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_shows_in_the_next_playlist_and_nothing_stays_behind() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts::default()).await;
    let proxy = FaultProxy::start(&minio.endpoint).await;
    let mut place = Place::new("parts-lost");
    place.configure_at(&proxy.http(), &minio, BUCKET, &[(CAMERA, &camera.url())], &settings(""));
    let playlist = playlist_of(&minio, CAMERA);
    let mut viewer = Viewer::watch(&playlist, &place.path().join("seen"));
    let mut agent = place.start(&[]);
    viewer.segments(3, UP_WITHIN).await;
    // One part in ten, for ever: all others go on, and so do the whole segments.
    proxy.set(Fault::LosePut { containing: "/part_", ending: "3.m4s" }).await;
    let told = until(MORE_WITHIN, "a playlist without parts", || hole(&playlist), || agent.log()).await;
    let hint = told.lines().last().and_then(|line| line.split_once("URI=\"part_")).map(|(tag, _)| tag);
    assert_eq!(hint, Some("#EXT-X-PRELOAD-HINT:TYPE=PART,"), "it says where parts go on:\n{told}");
    more(&mut viewer, 3).await;
    proxy.set(Fault::None).await;
    let ffmpegs = place.ffmpegs();
    assert_eq!(ffmpegs.len(), 1, "{ffmpegs:?}");
    ffmpegs.iter().for_each(|ffmpeg| kill(Pid::from_raw(ffmpeg.pid.cast_signed()), Signal::SIGKILL).unwrap());
    more(&mut viewer, 3).await;
    // Dead in an outage, which the next one begins in, and which is longer than the backlog.
    proxy.set(Fault::Refuse).await;
    agent.kill9().await;
    agent = place.start(&[]);
    agent.log_line(&["warn", "given up"], MORE_WITHIN).await;
    proxy.set(Fault::None).await;
    more(&mut viewer, 8).await;
    let client = minio.client();
    let runs = |names: &[String]| -> BTreeSet<String> {
        names
            .iter()
            .filter_map(|name| Some(name.split_once('_')?.1.split(['_', '.']).next()?.to_owned()))
            .collect()
    };
    // Behind the sweep.
    let alone = async || {
        let names = bucket::objects(&client, &folder_of(CAMERA)).await;
        (runs(&names).len() == 1).then_some(names)
    };
    let names = until(SWEPT_WITHIN, "the end of what dead runs left", alone, || agent.log()).await;
    let parts = names.iter().filter(|name| name.starts_with("part_")).count();
    assert!((PARTS * 6..PARTS * 22).contains(&parts), "{parts} parts: {names:?}");
    agent.stop(STOP_WITHIN).await;
    let report = viewer.stop().await;
    report.assert_legal();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_parts_alone_nothing_else_is_stored() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts::default()).await;
    let mut place = Place::new("parts-alone");
    let alone = settings(", compat_segments: false");
    place.configure(&minio, BUCKET, &[(CAMERA, &camera.url())], &alone);
    let mut viewer = Viewer::watch(&playlist_of(&minio, CAMERA), &place.path().join("seen"));
    let mut agent = place.start(&[]);
    viewer.segments(4, UP_WITHIN).await;
    agent.kill9().await;
    agent = place.start(&[]);
    more(&mut viewer, 6).await;
    let names = bucket::objects(&minio.client(), &folder_of(CAMERA)).await;
    assert!(!names.iter().any(|name| name.starts_with("segment_")), "{names:?}");
    assert!(names.iter().filter(|name| name.starts_with("part_")).count() >= 6 * PARTS, "{names:?}");
    agent.stop(STOP_WITHIN).await;
    let report = viewer.stop().await;
    report.assert_legal();
    let newest = &report.playlists.last().expect("a playlist").1;
    assert_eq!(newest.matches("#EXT-X-GAP").count(), newest.matches("#EXTINF").count(), "{newest}");
}

/// Bytes per second of what lies there.
async fn rate(client: &aws_sdk_s3::Client) -> u64 {
    let listed =
        client.list_objects_v2().bucket(BUCKET).prefix(folder_of(CAMERA)).send().await.expect("MinIO lists");
    let parts =
        listed.contents().iter().filter(|object| object.key().is_some_and(|key| key.contains("/part_")));
    let sizes: Vec<_> = parts.filter_map(aws_sdk_s3::types::Object::size).map(i64::cast_unsigned).collect();
    PARTS as u64 * sizes.iter().sum::<u64>() / sizes.len() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_alone_go_through_an_uplink_of_one_and_a_half_times_their_bitrate() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let more_of = "--bitrate=800 --picture=moving";
    let camera =
        Camera::start(CameraOpts { size: (640, 360), gop: 25, more: more_of, ..CameraOpts::default() }).await;
    let proxy = FaultProxy::start(&minio.endpoint).await;
    let mut place = Place::new("parts-uplink");
    let alone = settings(", quality: auto, compat_segments: false");
    place.configure_at(&proxy.http(), &minio, BUCKET, &[(CAMERA, &camera.url())], &alone);
    let mut viewer = Viewer::watch(&playlist_of(&minio, CAMERA), &place.path().join("seen"));
    let mut agent = place.start(&[]);
    // The camera's encoder has settled.
    viewer.segments(14, UP_WITHIN).await;
    let bytes_per_s = rate(&minio.client()).await * 3 / 2;
    proxy.set(Fault::Slow { bytes_per_s }).await;
    let before = viewer.segment_count();
    more(&mut viewer, 30).await;
    agent.stop(STOP_WITHIN).await;
    let report = viewer.stop().await;
    report.assert_legal();
    let parts_of = |text: &str| text.matches("#EXT-X-PART:").count();
    let slow = &report.playlists[before.min(report.playlists.len())..];
    let whole = slow.iter().filter(|(_, text)| parts_of(text) > 0).count();
    assert!(slow.len() >= 10, "{} playlists", slow.len());
    assert!(
        whole * 10 >= slow.len() * 8,
        "{whole} of {} playlists list parts at {bytes_per_s} bytes/s",
        slow.len()
    );
}
