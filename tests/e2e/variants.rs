//! Every camera plays: what cameras send, in all its variants, through `quality: auto`, a bucket and a browser.
//!
//! Several cameras at once by one agent, all seen by one browser: the table would take long otherwise.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;
use url::Url;

use crate::browser::free_address;
use crate::support::agent::Place;
use crate::support::camera::{Camera, CameraOpts};
use crate::support::frames;
use crate::support::minio::Minio;
use crate::support::viewer::{Report, Viewer};
use crate::{BUCKET, STOP_WITHIN, alone, minio, playlist_of};

const WATCH_SECONDS: u32 = 20;
/// A look of 8 s, and segments of 4 s, on a busy machine.
const UP_WITHIN: Duration = Duration::from_secs(60);
const PLAY_WITHIN: Duration = Duration::from_secs(150);

struct Variant {
    id: &'static str,
    /// `rtsp_camera.py`'s.
    camera: &'static str,
    size: (u32, u32),
    audio: bool,
    /// The chosen mode: one of these, or what begins like one that ends in ` …`.
    modes: &'static [&'static str],
}

const fn variant(
    id: &'static str,
    camera: &'static str,
    size: (u32, u32),
    audio: bool,
    modes: &'static [&'static str],
) -> Variant {
    Variant { id, camera, size, audio, modes }
}

const SMALL: (u32, u32) = (320, 240);

/// GOPs, sound and sizes.
const USUAL: [Variant; 8] = [
    variant(
        "gop_1s_aac",
        "--size=320x240 --bitrate=300 --fps=10 --gop=10 --audio=aac",
        SMALL,
        true,
        &["copying: H.264 Main 320x240, keyframe interval 1 s"],
    ),
    variant(
        "gop_2s",
        "--size=640x360 --bitrate=600 --fps=10 --gop=20",
        (640, 360),
        false,
        &["copying: H.264 Main 640x360, keyframe interval 2 s"],
    ),
    variant(
        "gop_3s_pcma",
        // A look of 8 s sees two of their keyframes, also on a busy machine.
        "--size=640x360 --bitrate=600 --fps=10 --gop=27 --audio=pcma",
        (640, 360),
        true,
        &["copying: H.264 Main 640x360, keyframe interval 2.7 s, asked for 2 s"],
    ),
    variant(
        "gop_varies",
        "--size=320x240 --bitrate=300 --fps=10 --gop=6,18,10 --audio=aac",
        SMALL,
        true,
        &[
            "copying: H.264 Main 320x240, keyframe interval varies up to 1.8 s, segments of up to 3.6 s, asked for 2 s",
        ],
    ),
    variant(
        "b_frames_pcma",
        "--size=320x240 --bitrate=300 --fps=10 --gop=20 --b-frames=2 --audio=pcma",
        SMALL,
        true,
        &["copying: H.264 Main 320x240, keyframe interval 2 s"],
    ),
    variant(
        "hd_pcmu",
        "--size=1280x720 --fps=10 --gop=20 --audio=pcmu --bitrate=1500",
        (1280, 720),
        true,
        &["copying: H.264 Main 1280x720, keyframe interval 2 s"],
    ),
    variant(
        "full_hd",
        "--size=1920x1080 --fps=10 --gop=20 --bitrate=2000",
        (1920, 1080),
        false,
        &["copying: H.264 Main 1920x1080, keyframe interval 2 s"],
    ),
    variant(
        "fps_7",
        "--size=320x240 --bitrate=300 --fps=7 --gop=14",
        SMALL,
        false,
        &["copying: H.264 Main 320x240, keyframe interval 2 s"],
    ),
];

/// Odd rates, parameter sets that only the session's description has, and what is re-encoded.
const ODD: [Variant; 9] = [
    variant(
        "fps_12_5_aac",
        "--size=320x240 --bitrate=300 --fps=12.5 --gop=25 --audio=aac",
        SMALL,
        true,
        &["copying: H.264 Main 320x240, keyframe interval 2 s"],
    ),
    variant(
        "fps_29_97",
        "--size=320x240 --bitrate=300 --fps=30000/1001 --gop=60",
        SMALL,
        false,
        &["copying: H.264 Main 320x240, keyframe interval 2 s"],
    ),
    variant(
        "sps_in_sdp",
        "--size=320x240 --bitrate=300 --fps=10 --gop=20 --leave-out=7,8,9",
        SMALL,
        false,
        &["copying: H.264 Main 320x240, keyframe interval 2 s"],
    ),
    variant(
        "sps_in_sdp_aud",
        "--size=320x240 --bitrate=300 --fps=10 --gop=20 --leave-out=7,8 --audio=aac",
        SMALL,
        true,
        &["copying: H.264 Main 320x240, keyframe interval 2 s"],
    ),
    variant(
        "gop_10s_aac",
        "--size=320x240 --bitrate=300 --fps=10 --gop=100 --audio=aac",
        SMALL,
        true,
        &["re-encoding: no two keyframes came within …", "re-encoding: keyframe interval …"],
    ),
    variant(
        "gop_varies_much",
        "--size=320x240 --bitrate=300 --fps=10 --gop=38,1",
        SMALL,
        false,
        &["re-encoding: keyframe interval varies up to …"],
    ),
    variant(
        "h265_pcmu",
        "--codec=h265 --size=320x240 --bitrate=300 --fps=10 --gop=20 --audio=pcmu",
        SMALL,
        true,
        &["re-encoding: H.265 can't be played by every browser"],
    ),
    variant(
        "mjpeg",
        "--codec=mjpeg --size=320x240 --bitrate=300 --fps=10",
        SMALL,
        false,
        &["re-encoding: MJPEG can't be played by every browser"],
    ),
    // Sound that nobody knows.
    variant(
        "alien_sound",
        "--size=320x240 --bitrate=300 --fps=10 --gop=20 --audio=siren",
        SMALL,
        false,
        &["copying: H.264 Main 320x240, keyframe interval 2 s"],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_usual_cameras_are_copied_and_play() {
    play_all(&USUAL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_odd_ones_are_copied_or_re_encoded_and_play() {
    play_all(&ODD).await;
}

async fn play_all(variants: &'static [Variant]) {
    let _turn = alone().await;
    let minio = minio().await;
    let cameras = join_all(variants.iter().map(|variant| {
        let more = variant.camera;
        Camera::start(CameraOpts { audio: false, more, ..CameraOpts::default() })
    }))
    .await;
    let mut place = Place::new("variants");
    let listen = free_address();
    let urls: Vec<_> = cameras.iter().map(Camera::url).collect();
    let named: Vec<_> = variants.iter().map(|v| v.id).zip(urls.iter().map(String::as_str)).collect();
    let more = format!("http:\n  listen: {listen}\ndefaults:\n  settings: {{quality: auto}}\n");
    place.configure(&minio, BUCKET, &named, &more);
    let mut viewers: Vec<_> = variants.iter().map(|variant| viewer(variant, &minio, &place)).collect();
    let mut agent = place.start(&[]);
    join_all(viewers.iter_mut().map(|viewer| viewer.segments(2, UP_WITHIN))).await;

    let mut wrong = watch(variants, &minio, &listen).await;
    let streams = streams(&listen).await;
    let held_up = join_all(cameras.iter().map(Camera::held_up)).await;
    agent.assert_running();
    agent.stop(STOP_WITHIN).await;
    for (((variant, viewer), status), held_up) in variants.iter().zip(viewers).zip(&streams).zip(held_up) {
        let report = viewer.stop().await;
        for fault in judge(variant, status, held_up, &report).await {
            writeln!(wrong, "{}: {fault}", variant.id).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}\n{streams:#?}\n{}", agent.log());
}

fn viewer(variant: &Variant, minio: &Minio, place: &Place) -> Viewer {
    Viewer::watch(&playlist_of(minio, variant.id), &place.path().join("seen").join(variant.id))
}

async fn streams(listen: &str) -> Vec<Value> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(format!("http://{listen}/api/streams")).send().await.unwrap().json().await.unwrap()
}

/// All of them in one browser; what was wrong there.
async fn watch(variants: &[Variant], minio: &Minio, listen: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let artifacts = root.join("artifacts");
    std::fs::create_dir_all(&artifacts).unwrap();
    let mut command = Command::new("node");
    command.arg(root.join("tests/browser/wall.mjs")).args(["--seconds", &WATCH_SECONDS.to_string()]);
    command.arg("--screenshot").arg(artifacts.join(format!("variants-{}.png", variants[0].id)));
    for variant in variants {
        let playlist = playlist_of(minio, variant.id);
        let page = Url::parse_with_params(&format!("http://{listen}/"), [("src", &playlist)]).unwrap();
        command.args(["--page", page.as_str()]);
    }
    let output = timeout(PLAY_WITHIN, command.kill_on_drop(true).output())
        .await
        .expect("the browser ends in time")
        .unwrap_or_else(|error| panic!("can't run node ({error}): run packaging/setup.sh test"));
    let seen: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    for (variant, seen) in variants.iter().zip(&seen) {
        eprintln!("{}: {seen}", variant.id);
    }
    if output.status.success() {
        return String::new();
    }
    format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr))
}

async fn judge(variant: &Variant, status: &Value, held_up: usize, report: &Report) -> Vec<String> {
    let mut wrong = report.breaches.clone();
    let mode = status["mode_reason"].as_str().unwrap_or_default();
    eprintln!("{}: {mode}", variant.id);
    let is = |expected: &&str| match expected.strip_suffix('…') {
        Some(start) => mode.starts_with(start.trim_end()),
        None => mode == *expected,
    };
    if !variant.modes.iter().any(is) {
        wrong.push(format!("the mode is {mode:?}"));
    }
    let restarts = status["reconnect_count"].as_u64().expect("a count") as usize;
    if status["stream_id"] != variant.id || restarts > held_up {
        wrong.push(format!("{held_up} times held up: {status}"));
    }
    // The newest may have been cut short by the stop.
    let whole = &report.segments[report.segments.len().saturating_sub(2)];
    wrong.extend(frames::unlike(&whole.file, variant.size, variant.audio).await);
    wrong
}
