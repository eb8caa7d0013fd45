//! What cameras do to a stream that runs: judged by the viewer, who must see a legal playlist throughout.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::browser::free_address;
use crate::support::agent::{Agent, Place};
use crate::support::camera::{Camera, CameraOpts};
use crate::support::frames::{self, Expected};
use crate::support::minio::Minio;
use crate::support::viewer::{Report, Viewer};
use crate::support::wait::until;
use crate::{BUCKET, STOP_WITHIN, UP_WITHIN, minio, my_turn, playlist_of};

const CAMERA: &str = "cam_floor";
/// A restart of the run and its first segments, with room for a busy machine.
const BACK_WITHIN: Duration = Duration::from_secs(30);
/// Between the first segment and the last one: PDT against the clock of who looks on.
const PDT_SLACK: Duration = Duration::from_secs(6);

/// A camera, its agent, and who looks on.
struct Scene {
    camera: Camera,
    agent: Agent,
    viewer: Viewer,
    api: String,
    place: Place,
    /// Of cameras before this one.
    held_up_before: usize,
    _minio: Minio,
}

impl Scene {
    async fn live(name: &str, opts: CameraOpts) -> Self {
        Self::with(name, opts, "").await
    }

    /// With these `defaults.settings`.
    async fn with(name: &str, opts: CameraOpts, settings: &str) -> Self {
        let minio = minio().await;
        let camera = Camera::start(opts).await;
        let mut place = Place::new(name);
        let listen = free_address();
        let defaults =
            if settings.is_empty() { String::new() } else { format!("defaults:\n  settings: {settings}\n") };
        let http = format!("http:\n  listen: {listen}\n{defaults}");
        place.configure(&minio, BUCKET, &[(CAMERA, &camera.url())], &http);
        let api = format!("http://{listen}/api/streams/status/{CAMERA}");
        let mut viewer = Viewer::watch(&playlist_of(&minio, CAMERA), &place.path().join("seen"));
        let agent = place.start(&[]);
        viewer.segments(3, UP_WITHIN).await;
        Self { camera, agent, viewer, api, place, held_up_before: 0, _minio: minio }
    }

    async fn status(&self) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(&self.api).send().await.expect("the agent answers").json().await.expect("JSON")
    }

    /// One more run has ended; why.
    async fn down(&self, restarts: u64) -> String {
        let down = async || {
            let status = self.status().await;
            (status["reconnect_count"].as_u64()? >= restarts).then_some(status)
        };
        let status = until(BACK_WITHIN, &format!("restart {restarts}"), down, || "").await;
        let error = status["last_error"].as_str().unwrap_or_default().to_owned();
        eprintln!("restart {restarts}: {error}");
        error
    }

    /// So many runs have ended for this cause, and the log says so.
    async fn down_for(&self, cause: &str, times: u64) {
        let down = async || (self.restarts(cause).await >= times).then_some(());
        until(BACK_WITHIN, &format!("restart {times} of {cause}"), down, || self.agent.log()).await;
        assert!(self.agent.log().contains(&cause.replace('_', " ")), "{}", self.agent.log());
    }

    async fn restarts(&self, cause: &str) -> u64 {
        self.status().await["restarts_by_cause"][cause].as_u64().unwrap_or_default()
    }

    /// Runs that a busy machine has ended, as it held the camera up.
    async fn held_up(&self) -> usize {
        let ended = self.status().await["reconnect_count"].as_u64().expect("a count");
        (self.held_up_before + self.camera.held_up().await).min(ended as usize)
    }

    /// Between two sessions a fault is none. How many runs have ended before.
    async fn lasts(&self, so_long: Duration) -> u64 {
        let lasts = async || {
            let status = self.status().await;
            let is_up = status["uptime_s"].as_f64().is_some_and(|up| up >= so_long.as_secs_f64());
            status["reconnect_count"].as_u64().filter(|_| status["phase"] == "live" && is_up)
        };
        until(BACK_WITHIN, "a run that lasts", lasts, || self.agent.log()).await
    }

    /// How many runs have ended before it.
    async fn fault(&self, fault: &str) -> u64 {
        let restarts = self.lasts(Duration::from_secs(1)).await;
        self.camera.control(fault).await;
        restarts
    }

    /// The stream goes on: `count` more segments.
    async fn more(&mut self, count: usize) {
        let seen = self.viewer.segment_count();
        self.viewer.segments(seen + count, BACK_WITHIN + Duration::from_secs(2) * count as u32).await;
        self.agent.assert_running();
    }

    /// The segments are in the place: it is given back with the report.
    async fn end(mut self) -> (Report, Place) {
        self.agent.stop(STOP_WITHIN).await;
        let report = self.viewer.stop().await;
        report.assert_legal();
        eprintln!("the longest time without a new segment: {:?}", report.longest_gap);
        (report, self.place)
    }
}

fn small() -> CameraOpts {
    CameraOpts { size: (640, 360), ..CameraOpts::default() }
}

fn seams(report: &Report) -> usize {
    report.segments.iter().filter(|seen| seen.segment.discontinuity).count()
}

/// A run that is held up before its first segment leaves none.
fn assert_seams(report: &Report, faults: usize, held_up: usize) {
    let (seams, most) = (seams(report), faults + held_up);
    assert!((faults..=most).contains(&seams), "{seams} seams of {faults} faults, {held_up} times held up");
}

/// What was shown lasted about as long as it took.
fn assert_real_time(report: &Report) {
    assert_real_time_after(report, Duration::ZERO);
}

/// `wait`: for the first key frame; what was shown of it comes at once.
fn assert_real_time_after(report: &Report, wait: Duration) {
    let shown: Duration = report.segments.iter().map(|seen| seen.segment.duration).sum();
    let (first, last) = (&report.playlists[0].0, &report.playlists[report.playlists.len() - 1].0);
    let took = *last - *first + wait;
    assert!(shown < took + Duration::from_secs(10), "{shown:?} of stream in {took:?}");
    let times: Vec<_> = report.segments.iter().filter_map(|seen| seen.segment.program_time).collect();
    let said = times[times.len() - 1].duration_since(times[0]).expect("program time goes on");
    assert!(said < took + PDT_SLACK, "program time went on by {said:?} in {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_costs_a_seam_and_no_frozen_pictures() {
    let _turn = my_turn().await;
    let mut scene = Scene::live("jump", small()).await;
    let jumps = [60, -60, 3600, -3600];
    for (restarts, seconds) in (1..).zip(jumps) {
        // The test camera can't jump back behind its stream's start: that has to be a while ago.
        scene.lasts(Duration::from_secs(8)).await;
        scene.camera.control(&format!("jump?seconds={seconds}")).await;
        scene.down_for("clock_jumped", restarts).await;
        scene.more(5).await;
    }
    let held_up = scene.held_up().await;
    assert_eq!(scene.restarts("clock_jumped").await, jumps.len() as u64);
    let (report, _place) = scene.end().await;
    assert_seams(&report, jumps.len(), held_up);
    let expected = Expected { size: (640, 360), fps: 15, audio: true };
    assert_eq!(frames::faults(&report.segments, expected).await, Vec::<String>::new());
    assert_real_time(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_changes_is_not_squeezed() {
    let _turn = my_turn().await;
    let mut scene = Scene::live("switch", small()).await;
    // The same picture in the end: no seam.
    scene.camera.control("switch?size=1280x720&fps=10&gop=30").await;
    scene.camera.control("switch?size=640x360&fps=25&gop=50").await;
    scene.more(2).await;
    scene.fault("switch?size=640x480&fps=15&gop=30").await;
    scene.down_for("picture_changed", 1).await;
    scene.more(4).await;
    let (report, _place) = scene.end().await;
    let last = frames::size(&report.segments[report.segments.len() - 1].file).await;
    assert_eq!(last, (640, 480));
    assert_real_time(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_freezes_hangs_or_hangs_up_comes_back() {
    let _turn = my_turn().await;
    let mut scene = Scene::live("freeze", small()).await;
    for (fault, cure) in [("freeze?what=video", "thaw"), ("freeze?what=all", "thaw"), ("kick", "status")] {
        let restarts = scene.fault(fault).await;
        scene.down(restarts + 1).await;
        scene.camera.control(cure).await;
        scene.more(3).await;
    }
    // The host is silent: TCP is up, nobody answers, neither the running connection nor a new one.
    let restarts = scene.lasts(Duration::from_secs(1)).await;
    scene.camera.signal(Signal::SIGSTOP);
    scene.down(restarts + 2).await;
    scene.camera.signal(Signal::SIGCONT);
    scene.more(4).await;
    // The fault itself is one of them.
    let held_up = scene.held_up().await.saturating_sub(1);
    let (report, _place) = scene.end().await;
    assert_seams(&report, 4, held_up);
    assert_real_time(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_that_comes_and_goes_stops_no_picture() {
    let _turn = my_turn().await;
    let mut scene = Scene::live("audio", small()).await;
    scene.fault("freeze?what=audio").await;
    scene.more(3).await;
    scene.camera.control("thaw").await;
    scene.more(4).await;
    let held_up = scene.held_up().await;
    let (report, _place) = scene.end().await;
    // At most the return of the sound is a seam.
    assert_seams(&report, 0, 1 + held_up);
    assert_real_time(&report);
}

/// As of many a camera's own codec. Nothing looks at the camera before it is encoded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_that_nobody_can_decode_stops_no_picture() {
    let _turn = my_turn().await;
    let more = "--size=320x240 --bitrate=300 --fps=10 --gop=20 --audio=siren";
    let camera = Camera::start(CameraOpts { audio: false, more, ..CameraOpts::default() }).await;
    let place = Place::new("siren");
    let here = place.path().display().to_string();
    place.write_config(&format!(
        "location: l\nspool: {here}/spool\nstorage: {{type: file, root: {here}/store}}\n\
         defaults: {{settings: {{target_width: 320}}}}\ncameras: [{{id: cam_floor, rtsp_url: \"{}\"}}]\n",
        camera.url()
    ));
    let mut agent = place.start(&[]);
    let stored = place.path().join("store/l/cam_floor/stream.m3u8");
    // Ten seconds: the camera's clocks are laid beside each other at its first sender report.
    let goes_on = async || {
        let text = std::fs::read_to_string(&stored).ok()?;
        (text.matches("#EXTINF").count() >= 5).then_some(())
    };
    until(UP_WITHIN, "a playlist that goes on", goes_on, || agent.log()).await;
    let log = agent.log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
    let of_runs = warnings.iter().filter(|line| line.contains("camera is down")).count();
    assert!(of_runs <= camera.held_up().await && of_runs == warnings.len(), "no run ended for it: {log}");
    assert!(log.contains("camera is live"), "{log}");
    agent.stop(STOP_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_that_jumps_again_and_again_is_left_out_and_stops_no_picture() {
    let _turn = my_turn().await;
    let mut scene = Scene::with("sound", small(), "{quality: auto}").await;
    for restarts in 1..=2 {
        scene.fault("jump?seconds=60&what=audio").await;
        scene.down_for("sound_jumped", restarts).await;
        scene.more(2).await;
    }
    scene.fault("jump?seconds=60&what=audio").await;
    let silent = async || {
        let mode = scene.status().await["mode_reason"].as_str().unwrap_or_default().to_owned();
        mode.ends_with("without sound: it came late, or its timestamps jumped").then_some(mode)
    };
    let mode = until(BACK_WITHIN, "a run without sound", silent, || scene.agent.log()).await;
    eprintln!("{mode}");
    scene.more(2).await;
    // From now on it may jump as it likes.
    for fault in ["jump?seconds=600&what=audio", "freeze?what=audio", "jump?seconds=-300&what=audio", "thaw"]
    {
        scene.camera.control(fault).await;
        scene.more(1).await;
    }
    scene.more(2).await;
    let (status, held_up) = (scene.status().await, scene.held_up().await);
    assert_eq!(status["restarts_by_cause"]["sound_jumped"], 3, "and none behind the choice: {status}");
    let restarts = status["reconnect_count"].as_u64().expect("a count") as usize;
    assert!((3..=3 + held_up).contains(&restarts), "{held_up} times held up: {status}");
    let (report, _place) = scene.end().await;
    // One for each jump that was heard.
    assert_seams(&report, 3, held_up);
    let last = &report.segments[report.segments.len() - 2];
    assert_eq!(frames::unlike(&last.file, (640, 360), false).await, Vec::<String>::new());
    assert_real_time(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_frames_10_s_apart_and_lost_packets_end_no_run() {
    let _turn = my_turn().await;
    let mut scene = Scene::live("gop", CameraOpts { gop: 250, ..small() }).await;
    scene.more(4).await;
    scene.fault("lose?frames=20").await;
    scene.more(8).await;
    let held_up = scene.held_up().await;
    let (report, _place) = scene.end().await;
    assert_seams(&report, 0, held_up);
    assert_real_time_after(&report, Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_reboots_is_picked_up_each_time() {
    let _turn = my_turn().await;
    let mut scene = Scene::live("reboot", small()).await;
    let port = scene.camera.port;
    for _reboot in 1..=2 {
        let restarts = scene.lasts(Duration::from_secs(1)).await;
        scene.held_up_before += scene.camera.held_up().await;
        scene.camera.signal(Signal::SIGKILL);
        scene.down(restarts + 1).await;
        scene.camera = Camera::start(CameraOpts { port, ..small() }).await;
        scene.more(4).await;
    }
    let held_up = scene.held_up().await;
    let (report, _place) = scene.end().await;
    assert_seams(&report, 2, held_up);
    assert_real_time(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_path_is_told_and_stops_nobody_else() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(small()).await;
    let mut place = Place::new("wrong-path");
    let (listen, wrong) = (free_address(), camera.url().replace("/cam1", "/cam404"));
    let http = format!("http:\n  listen: {listen}\n");
    place.configure(&minio, BUCKET, &[(CAMERA, &camera.url()), ("lost", &wrong)], &http);
    let mut viewer = Viewer::watch(&playlist_of(&minio, CAMERA), &place.path().join("seen"));
    let mut agent = place.start(&[]);
    agent.log_line(&["warn", "camera=lost", "404"], UP_WITHIN).await;
    viewer.segments(3, UP_WITHIN).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{listen}/api/streams");
    let streams: Vec<Value> = client.get(url).send().await.unwrap().json().await.unwrap();
    let told: Vec<_> = streams.iter().map(|s| (s["stream_id"].as_str(), s["is_active"].as_bool())).collect();
    assert_eq!(told, [(Some(CAMERA), Some(true)), (Some("lost"), Some(false))]);
    assert_eq!(streams[1]["verdict"], "down");
    assert_eq!(streams[1]["reason"], "the camera does not know this path (404)");
    agent.stop(STOP_WITHIN).await;
    viewer.stop().await.assert_legal();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_copies_what_browsers_play_and_chooses_again_when_the_camera_changes() {
    let _turn = my_turn().await;
    let opts = CameraOpts { size: (640, 360), ..CameraOpts::default() };
    let mut scene = Scene::with("auto", opts, "{quality: auto}").await;
    let status = scene.status().await;
    assert_eq!(status["mode_reason"], "copying: H.264 Main 640x360, keyframe interval 2 s", "{status}");
    let (restarts, held_up) = (status["reconnect_count"].as_u64().expect("a count"), scene.held_up().await);
    assert!(restarts <= held_up as u64, "a look is no reconnect: {status}");
    // The same camera with another picture and longer GOPs, in the same session. A look of 8 s sees two of their keyframes,
    // whenever it begins.
    scene.fault("switch?size=320x240&fps=25&gop=65").await;
    let chosen = async || {
        let mode = scene.status().await["mode_reason"].as_str().unwrap_or_default().to_owned();
        mode.contains("H.264 Main 320x240, keyframe interval 2.6 s").then_some(mode)
    };
    let mode = until(2 * BACK_WITHIN, "another choice", chosen, || scene.agent.log()).await;
    eprintln!("{mode}");
    scene.more(3).await;
    let held_up = scene.held_up().await;
    scene.agent.stop(STOP_WITHIN).await;
    let mut report = scene.viewer.stop().await;
    // No segment of the new stream would fit into the old target duration.
    report.breaches.retain(|breach| !breach.ends_with("the target duration changes from 2 to 3"));
    report.assert_legal();
    assert_seams(&report, 1, held_up);
    let mut sizes = Vec::new();
    for seen in &report.segments {
        let size = frames::size(&seen.file).await;
        if sizes.last() != Some(&size) {
            assert!(sizes.is_empty() || seen.segment.discontinuity, "{}", seen.segment.uri);
            sizes.push(size);
        }
    }
    assert_eq!(sizes, [(640, 360), (320, 240)]);
}
