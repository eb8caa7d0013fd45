//! Segments of fMP4, with the init object of their run.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::process::Command;
use tokio::time::timeout;
use url::Url;

use crate::browser::{free_address, play};
use crate::player::watch;
use crate::support::agent::Place;
use crate::support::camera::{Camera, CameraOpts};
use crate::support::frames::{self, Expected};
use crate::support::viewer::Viewer;
use crate::{
    BUCKET, NO_FFMPEG_WITHIN, STOP_WITHIN, UP_WITHIN, bucket, folder_of, minio, my_turn, playlist_of,
};

const CAMERA: &str = "cam_floor";
const WATCH_SECONDS: u32 = 10;
const MORE_WITHIN: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_fmp4_stream_plays_and_is_legal_past_a_kill_and_another_type() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts::default()).await;
    let listen = free_address();
    let mut place = Place::new("fmp4");
    let configure = |place: &mut Place, kind: &str| {
        let more = format!("http:\n  listen: {listen}\ndefaults:\n  settings: {{segment_type: {kind}}}\n");
        place.configure(&minio, BUCKET, &[(CAMERA, &camera.url())], &more);
    };
    configure(&mut place, "fmp4");
    let playlist = playlist_of(&minio, CAMERA);
    let mut viewer = Viewer::watch(&playlist, &place.path().join("seen"));
    let mut agent = place.start(&[]);
    viewer.segments(2, UP_WITHIN).await;
    let page = Url::parse_with_params(&format!("http://{listen}/"), [("src", &playlist)]).unwrap();
    play(page.as_str(), "fmp4", WATCH_SECONDS).await;

    agent.kill9().await;
    place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;
    agent = place.start(&[]);
    more(&mut viewer).await;
    let names = bucket::objects(&minio.client(), &folder_of(CAMERA)).await;
    let inits = names.iter().filter(|name| name.starts_with("init_")).count();
    let most = 2 + camera.held_up().await;
    assert!((2..=most).contains(&inits), "one for each run: {names:?}");
    assert!(!names.iter().any(|name| name.ends_with(".ts")), "{names:?}");

    configure(&mut place, "mpegts");
    agent.signal(Signal::SIGHUP);
    more(&mut viewer).await;
    agent.stop(STOP_WITHIN).await;
    let report = viewer.stop().await;
    report.assert_legal();
    let shown = |what: &str| report.playlists.iter().any(|(_, text)| text.contains(what));
    assert!(shown("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init_") && shown(".ts\n"));
    let expected = Expected { size: (854, 480), fps: 15, audio: true };
    let last = report.segments.len() - 6;
    let faults = frames::faults(&report.segments[last..], expected).await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

async fn more(viewer: &mut Viewer) {
    let known = viewer.segment_count();
    viewer.segments(known + 3, MORE_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_h265_camera_is_passed_through() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let opts = CameraOpts { size: (640, 360), more: "--codec=h265", ..CameraOpts::default() };
    let camera = Camera::start(opts).await;
    let mut place = Place::new("passthrough");
    let listen = free_address();
    let settings = format!("http: {{listen: \"{listen}\"}}\ndefaults:\n  settings: {{video: passthrough}}\n");
    place.configure(&minio, BUCKET, &[(CAMERA, &camera.url())], &settings);
    let playlist = playlist_of(&minio, CAMERA);
    let mut viewer = Viewer::watch(&playlist, &place.path().join("seen"));
    let mut agent = place.start(&[]);
    agent.log_line(&["mode chosen", "copying: H.265 Main 640x360"], UP_WITHIN).await;
    viewer.segments(2, UP_WITHIN).await;
    let entries = "stream=codec_name,codec_tag_string,width,height";
    let args = ["-select_streams", "v", "-show_entries", entries, "-of", "csv=p=0", &playlist];
    let video = said("ffprobe", &args).await;
    assert!(video.contains("hevc,hvc1,640,360"), "{video}");
    // As a player does, from the playlist on; its words are decoding errors.
    let decoded = said("ffmpeg", &["-i", &playlist, "-t", "3", "-f", "null", "-"]).await;
    assert_eq!(decoded, "");
    // Debian's Chromium has no decoder for it.
    let page = format!("http://{listen}/?src={playlist}");
    watch("states.mjs", &["--page", &page, "--only", "unplayable"], |_| ()).await;
    agent.assert_running();
    agent.stop(STOP_WITHIN).await;
    viewer.stop().await.assert_legal();
}

/// All that it prints.
async fn said(program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(["-v", "error"]).args(args).kill_on_drop(true);
    let output =
        timeout(MORE_WITHIN, command.output()).await.expect("it ends in time").expect("install ffmpeg");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{program}: {text}");
    text
}
