//! The page in headless Chromium: pictures out of MinIO, and the demo's.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;
use url::Url;

use crate::player::watch;
use crate::support::agent::Place;
use crate::support::camera::{Camera, CameraOpts};
use crate::support::viewer::Viewer;
use crate::support::wait::until;
use crate::{BUCKET, NO_FFMPEG_WITHIN, STOP_WITHIN, UP_WITHIN, alone, minio, my_turn, playlist_of};

const WATCH_SECONDS: u32 = 30;
const PARTS_SECONDS: u32 = 15;
const PLAY_WITHIN: Duration = Duration::from_secs(130);
/// A busy machine needs most of it for a browser.
const DEMO_FOR: Duration = Duration::from_secs(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_plays_the_bucket() {
    let _turn = alone().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts::default()).await;
    let listen = free_address();
    let mut place = Place::new("browser");
    let token = "a-token-for-the-page";
    let http = format!("http:\n  listen: {listen}\n  token: {token}\n");
    place.configure(&minio, BUCKET, &[("cam_floor", &camera.url())], &http);
    let playlist = playlist_of(&minio, "cam_floor");
    let mut viewer = Viewer::watch(&playlist, &place.path().join("seen"));
    let mut agent = place.start(&[]);
    viewer.segments(2, UP_WITHIN).await;

    // Its scripts are loaded with the cookie that it gets for the token.
    let query = [("src", playlist.as_str()), ("token", token)];
    let page = Url::parse_with_params(&format!("http://{listen}/"), query).unwrap();
    play(page.as_str(), "minio", WATCH_SECONDS).await;
    agent.assert_running();
    agent.stop(STOP_WITHIN).await;
    viewer.stop().await.assert_legal();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_plays_and_leaves_nothing_behind() {
    let _turn = alone().await;
    let listen = free_address();
    let place = Place::new("demo");
    let run_for = format!("{}s", DEMO_FOR.as_secs());
    let mut agent = place.start(&["demo", "--for", &run_for, "--listen", &listen]);
    agent.log_line(&["playable"], UP_WITHIN).await;
    play(&format!("http://{listen}/"), "demo", WATCH_SECONDS).await;
    agent.assert_running();
    let folders = demo_folders(agent.id());
    assert!(!folders.is_empty(), "the demo's folder is not where this test looks for it");

    // --for ends it without a signal.
    let status = agent.exit(DEMO_FOR + STOP_WITHIN).await;
    assert!(status.success(), "{status}");
    place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;
    assert_eq!(demo_folders(agent.id()), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_in_parts_is_near_the_edge() {
    let _turn = alone().await;
    let listen = free_address();
    let place = Place::new("demo-parts");
    let mut agent = place.start(&["demo", "--profile", "sub_second", "--listen", &listen]);
    agent.log_line(&["playable"], UP_WITHIN).await;
    let report = play(&format!("http://{listen}/"), "demo-parts", PARTS_SECONDS).await;
    // Whole segments of it would be 2 s behind.
    let latency = report["latency"].as_f64();
    assert!(latency.is_some_and(|seconds| seconds < 1.5), "{latency:?}");
    agent.stop(STOP_WITHIN).await;
    place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;
}

/// The page itself starts the camera: it is there before there are parts, and goes over to them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_opened_before_the_first_part_is_half_a_second_behind_soon() {
    let _turn = alone().await;
    let listen = free_address();
    let place = Place::new("early-parts");
    place.write_config(&format!(
        "location: location_1\nspool: {}/spool\nstorage: {{type: none}}\nhttp: {{listen: \"{listen}\"}}\n\
         cameras:\n  - {{id: cam, rtsp_url: \"test://\", settings: {{profile: sub_second, start: on_demand}}}}\n",
        place.path().display(),
    ));
    let mut agent = place.start(&[]);
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    let page = format!("http://{listen}/");
    watch("parts.mjs", &["--page", &page, "--only", "early"], |_| ()).await;
    agent.stop(STOP_WITHIN).await;
}

#[tokio::test]
async fn the_demo_stops_on_ctrl_c() {
    let _turn = my_turn().await;
    let listen = free_address();
    let place = Place::new("demo-stop");
    let mut agent = place.start(&["demo", "--listen", &listen]);
    let answers = async || reqwest::get(format!("http://{listen}/")).await.ok();
    let page = until(UP_WITHIN, "the page", answers, || "").await.text().await.unwrap();
    assert!(page.contains("<html"), "{page}");
    agent.signal(nix::sys::signal::Signal::SIGINT);
    assert!(agent.exit(STOP_WITHIN).await.success());
    place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;
    assert_eq!(demo_folders(agent.id()), Vec::<PathBuf>::new());
}

pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// What a demo of this process id has left in memory or on disk.
fn demo_folders(pid: u32) -> Vec<PathBuf> {
    let prefix = format!("edge-agent-demo-{pid}-");
    let entries = ["/dev/shm", "/tmp"].into_iter().filter_map(|folder| std::fs::read_dir(folder).ok());
    let paths = entries.flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&prefix))).collect()
}

/// Opens the page, watches the picture move, keeps a screenshot and the figures in `artifacts/`.
pub async fn play(page: &str, name: &str, seconds: u32) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let artifacts = root.join("artifacts");
    std::fs::create_dir_all(&artifacts).unwrap();
    let mut command = Command::new("node");
    command.arg(root.join("tests/browser/play.mjs")).args(["--page", page]);
    command.args(["--seconds", &seconds.to_string(), "--max-stalls", "1"]);
    command.arg("--screenshot").arg(artifacts.join(format!("{name}.png")));
    let report = artifacts.join(format!("{name}.json"));
    command.arg("--out").arg(&report);
    let output = timeout(PLAY_WITHIN, command.kill_on_drop(true).output())
        .await
        .expect("the browser ends in time")
        .unwrap_or_else(|error| panic!("can't run node ({error}): run packaging/setup.sh test"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{page}: {}\n{said}", output.status);
    let report = std::fs::read(report).expect("the report of a browser that played");
    serde_json::from_slice(&report).expect("JSON")
}
