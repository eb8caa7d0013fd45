//! What a camera sends, found out from real cameras and from some that misbehave.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use edge_agent::domain::lifecycle::Cause;
use edge_agent::domain::media::{AudioCodec, AudioIn, Media, VideoCodec};
use edge_agent::engine::ffmpeg::Workshop;
use edge_agent::engine::ffmpeg::capabilities::{Capabilities, RtspOptions, detect};
use edge_agent::engine::ffmpeg::probe::{Aim, DEADLINE, ProbeError, probe};
use edge_agent::engine::spool::watch::SpoolWatch;
use edge_agent::sys::child::Spawner;

#[path = "support/camera.rs"]
#[allow(dead_code, reason = "another test binary uses the rest")]
mod camera;
#[path = "support/script.rs"]
mod program;
#[path = "support/wait.rs"]
#[allow(dead_code, reason = "another test binary uses the rest")]
mod wait;

use camera::{Camera, CameraOpts};
use wait::until;

const PATIENCE: Duration = Duration::from_secs(30);
/// What a busy machine adds.
const SLACK: Duration = Duration::from_secs(10);
/// For what would be seen within [`DEADLINE`] if the machine were not busy.
const LONG: Duration = Duration::from_secs(20);

fn workshop(capabilities: Capabilities) -> Workshop {
    Workshop {
        capabilities,
        spawner: Spawner::start().expect("a thread"),
        watch: SpoolWatch::new(),
        spool_root: PathBuf::from("/nowhere"),
        spool_share: u64::MAX.into(),
    }
}

async fn ffmpeg() -> Workshop {
    workshop(detect(None).await.expect("install ffmpeg: apt-get install ffmpeg"))
}

/// A shell script in ffmpeg's place.
fn script(folder: &Path, body: &str) -> Workshop {
    let path: PathBuf = folder.join("ffmpeg");
    program::write(&path, body);
    let rtsp_options = RtspOptions::InScript;
    workshop(Capabilities {
        path,
        version: "script".into(),
        rtsp_options,
        draws_text: false,
        filters_units: false,
        has_fps_mode: true,
        h264_encoders: vec![],
    })
}

/// Of a small camera at 25 frames per second, and whether it took less than [`DEADLINE`].
async fn probed(more: &'static str) -> (Media, bool) {
    let (media, took) = looked(more, Aim::Frames, LONG).await;
    (media, took < DEADLINE)
}

/// How long it took, where the machine did not stand still.
async fn looked(more: &'static str, aim: Aim, deadline: Duration) -> (Media, Duration) {
    let opts = CameraOpts { size: (320, 240), audio: false, more, ..Default::default() };
    let camera = Camera::start(opts).await;
    let (workshop, source) = (ffmpeg().await, camera.url().parse().expect("a source"));
    let began = now();
    let media = probe(&workshop, &source, aim, deadline).await.expect("it is there");
    let took = now() - began;
    until(PATIENCE, "the session is closed", async || no_clients(&camera).await, || "").await;
    assert!(took < deadline + SLACK, "{took:?}");
    assert_eq!((media.video.width, media.video.height), (320, 240));
    if let Some(fps) = media.video.fps {
        assert!((fps - 25.0).abs() < 0.3, "{fps}");
    }
    if camera.held_up().await > 0 { (media, Duration::ZERO) } else { (media, took) }
}

async fn no_clients(camera: &Camera) -> Option<()> {
    (camera.control("status").await["clients"] == 0).then_some(())
}

async fn failed(workshop: &Workshop, url: &str) -> ProbeError {
    let source = url.parse().expect("a source");
    let began = now();
    let error = probe(workshop, &source, Aim::Frames, DEADLINE).await.expect_err("there is nothing to see");
    assert!(now() - began < DEADLINE + SLACK, "{:?}", now() - began);
    assert!(!format!("{error} {error:?}").contains("hunter"), "{error:?}");
    error
}

#[expect(clippy::disallowed_methods, reason = "a test measures")]
fn now() -> Instant {
    Instant::now()
}

fn secs(media: &Media) -> f64 {
    media.video.keyframes.longest.expect("two keyframes").as_secs_f64()
}

#[tokio::test]
async fn a_camera_with_gops_of_a_second_and_no_audio() {
    let (media, is_early) = probed("--gop=25").await;
    assert!((secs(&media) - 1.0).abs() < 0.1, "{media:?}");
    assert!(is_early, "known early: {media:?}");
    assert_eq!((&media.video.codec, &media.audio), (&VideoCodec::H264, &None));
    let (profile, format) = (media.video.profile.as_deref(), media.video.pixel_format.as_deref());
    assert_eq!((profile, format), (Some("Main"), Some("yuv420p")));
    assert!(!media.video.b_frames && !media.video.interlaced, "{media:?}");
    assert!(media.video.keyframes.watched >= Duration::from_secs(3), "{media:?}");
}

#[tokio::test]
async fn a_camera_with_gops_of_two_seconds_and_aac() {
    let (media, _) = probed("--gop=50 --audio=aac --bitrate=800").await;
    assert!((secs(&media) - 2.0).abs() < 0.1, "{media:?}");
    let profile = Some("LC".to_owned());
    let aac = AudioIn { codec: AudioCodec::Aac, profile, sample_rate_hz: 16_000, channels: 1 };
    assert_eq!(media.audio, Some(aac));
    let kbps = media.video.bitrate_kbps.expect("long enough");
    assert!((400..1_600).contains(&kbps), "{kbps}");
}

#[tokio::test]
async fn gops_of_ten_seconds_are_left_at_the_deadline() {
    // Ten seconds, and the deadline is never so late.
    let (media, took) = looked("--gop=250", Aim::Frames, DEADLINE).await;
    let keyframes = media.video.keyframes;
    assert_eq!(keyframes.longest, None);
    // Wherever in its GOP it began: half of what was watched at least, of which a busy machine takes a part.
    assert!(keyframes.watched >= Duration::from_secs(1) && keyframes.watched < DEADLINE, "{keyframes:?}");
    assert!(took >= DEADLINE || took.is_zero(), "{took:?}");
}

/// Whether there is sound, of a camera that would be watched until the deadline for its keyframes.
#[tokio::test]
async fn what_streams_there_are_is_told_before_a_gop_is_seen() {
    for (more, codec) in [
        ("--gop=250", None),
        ("--gop=250 --audio=aac", Some(AudioCodec::Aac)),
        ("--gop=250 --audio=pcmu", Some(AudioCodec::Pcmu)),
    ] {
        let (media, took) = looked(more, Aim::Streams, LONG).await;
        assert_eq!(media.audio.map(|audio| audio.codec), codec, "{more}");
        assert!(took < DEADLINE, "{more}: {took:?}");
        assert!(media.video.keyframes.watched < Duration::from_secs(3), "{more}: {:?}", media.video);
    }
}

#[tokio::test]
async fn of_gops_that_vary_the_longest_counts() {
    let (media, _) = probed("--gop=25,75,13").await;
    // Perhaps a part of one of 3 s was cut off at the beginning, and one at the end.
    assert!((2.0..3.1).contains(&secs(&media)), "{media:?}");
}

#[tokio::test]
async fn b_frames_are_noticed() {
    let (media, _) = probed("--gop=26 --b-frames=2").await;
    assert!(media.video.b_frames, "{media:?}");
    assert!((secs(&media) - 1.04).abs() < 0.1, "{media:?}");
}

#[tokio::test]
async fn h265_with_g711_a_law() {
    let (media, _) = probed("--codec=h265 --gop=25 --audio=pcma").await;
    assert_eq!((&media.video.codec, media.video.profile.as_deref()), (&VideoCodec::H265, Some("Main")));
    assert!((secs(&media) - 1.0).abs() < 0.1, "{media:?}");
    let pcma = AudioIn { codec: AudioCodec::Pcma, profile: None, sample_rate_hz: 8_000, channels: 1 };
    assert_eq!(media.audio, Some(pcma));
}

#[tokio::test]
async fn mjpeg_with_g711_mu_law() {
    let (media, _) = probed("--codec=mjpeg --audio=pcmu").await;
    assert_eq!(media.video.codec, VideoCodec::Mjpeg);
    assert!(secs(&media) < 0.1, "each picture is one: {media:?}");
    assert_eq!(media.audio.map(|audio| audio.codec), Some(AudioCodec::Pcmu));
}

#[tokio::test]
async fn a_refused_password_and_an_unknown_path_are_named() {
    let login = Some(("admin".into(), "hunter2".into()));
    let camera =
        Camera::start(CameraOpts { size: (320, 240), audio: false, login, ..Default::default() }).await;
    let workshop = ffmpeg().await;
    assert_eq!(failed(&workshop, &camera.url_with("admin:hunter3")).await.cause(), Cause::Auth);
    let elsewhere = camera.url_with("admin:hunter2").replace("/cam1", "/cam9");
    assert_eq!(failed(&workshop, &elsewhere).await.cause(), Cause::NotFound);
    let right = camera.url_with("admin:hunter2").parse().expect("a source");
    let media = probe(&workshop, &right, Aim::Frames, DEADLINE).await.expect("the right one");
    assert!(!format!("{media:?}").contains("hunter"));
}

#[tokio::test]
async fn a_host_that_refuses_or_keeps_silent_is_given_up_in_time() {
    let workshop = ffmpeg().await;
    let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let url = format!("rtsp://admin:hunter2@{}/x", listener.local_addr().expect("its address"));
    // Its kernel takes the connection, and nobody answers.
    let silent = failed(&workshop, &url).await;
    assert!(matches!(silent.cause(), Cause::Unreachable | Cause::BadStream), "{silent:?}");
    drop(listener);
    assert_eq!(failed(&workshop, &url).await.cause(), Cause::Unreachable);
}

#[tokio::test]
async fn a_camera_that_hangs_up_is_disconnected() {
    let camera =
        Camera::start(CameraOpts { size: (320, 240), more: "--gop=1000", ..Default::default() }).await;
    let (workshop, source) = (ffmpeg().await, camera.url().parse().expect("a source"));
    let kick = async {
        until(PATIENCE, "pictures", async || has_sent(&camera, 50).await, || "").await;
        camera.control("kick").await;
    };
    let (answer, ()) = tokio::join!(probe(&workshop, &source, Aim::Frames, PATIENCE), kick);
    let error = answer.expect_err("too little to tell");
    assert_eq!(error.cause(), Cause::Disconnected, "{error:?}");
}

async fn has_sent(camera: &Camera, frames: u64) -> Option<()> {
    (camera.control("status").await["sent"]["video"].as_u64() >= Some(frames)).then_some(())
}

/// Where the script notes its process.
fn pid_file(folder: &Path) -> (PathBuf, String) {
    let pid = folder.join("pid");
    (pid.clone(), format!("echo $$ > {0}.new; mv {0}.new {0}", pid.display()))
}

async fn gone(pid: &Path) {
    let process = PathBuf::from(format!("/proc/{}", fs::read_to_string(pid).expect("a pid").trim()));
    until(PATIENCE, "the child is gone", async || (!process.exists()).then_some(()), || "").await;
}

#[tokio::test]
async fn a_child_that_ignores_everything_is_killed_at_the_deadline() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pid, note) = pid_file(folder.path());
    let workshop = script(folder.path(), &format!("trap '' TERM PIPE; {note}; while :; do sleep 0.05; done"));
    let patience = Duration::from_secs(2);
    let error = probe(&workshop, &"test://".parse().expect("a source"), Aim::Frames, patience)
        .await
        .expect_err("nothing came");
    assert_eq!((error.cause(), error.to_string().as_str()), (Cause::Stalled, "no picture within 2 s"));
    let process = fs::read_to_string(&pid).expect("a pid");
    assert!(!Path::new("/proc").join(process.trim()).exists(), "it is gone before the answer");
}

/// Its sound may come all the while.
#[tokio::test]
async fn a_camera_that_describes_a_picture_and_sends_none_is_late_and_what_it_said_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/ffmpeg/probe/testdata/h264.stderr");
    let workshop = script(folder.path(), &format!("cat '{said}' >&2; exec sleep 600"));
    let source = "test://".parse().expect("a source");
    let error =
        probe(&workshop, &source, Aim::Frames, Duration::from_secs(2)).await.expect_err("no picture came");
    assert_eq!(error.to_string(), "no picture within 2 s", "as `check` says it");
    let ProbeError::Late { described: Some(media), .. } = error else { panic!("{error:?}") };
    assert_eq!(
        (media.video.codec, media.video.width, media.video.keyframes.longest),
        (VideoCodec::H264, 1280, None)
    );
}

#[tokio::test]
async fn a_dropped_probe_leaves_no_child() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pid, note) = pid_file(folder.path());
    let workshop = script(folder.path(), &format!("{note}; exec sleep 600"));
    let source = "test://".parse().expect("a source");
    tokio::select! {
        answer = probe(&workshop, &source, Aim::Frames, PATIENCE) => panic!("{answer:?}"),
        () = until(PATIENCE, "it runs", async || pid.exists().then_some(()), || "") => {}
    }
    gone(&pid).await;
}

#[tokio::test]
async fn garbage_in_the_list_of_frames_is_an_error_without_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pid, note) = pid_file(folder.path());
    let workshop = script(folder.path(), &format!("{note}; echo 'what rtsp://u:hunter2@h/'; exec sleep 600"));
    let error = failed(&workshop, "test://").await;
    assert!(matches!(&error, ProbeError::Garbled(line) if line == "what rtsp://***@h/"), "{error:?}");
    gone(&pid).await;
}

#[tokio::test]
async fn an_endless_flood_ends_at_the_deadline() {
    let folder = tempfile::tempdir().expect("a folder");
    let body = "echo '#tb 0: 1/1000'; exec yes '0, 0, 0, 0, 10, 0x00, F=0x0'";
    let workshop = script(folder.path(), body);
    let began = now();
    let answer =
        probe(&workshop, &"test://".parse().expect("a source"), Aim::Frames, Duration::from_secs(2)).await;
    assert!(now() - began < Duration::from_secs(2) + SLACK, "{answer:?}");
    assert!(answer.is_err(), "no codec was named: {answer:?}");
}

#[tokio::test]
async fn interlaced_and_ten_bit_pictures_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let workshop = ffmpeg().await;
    for (name, options, interlaced, profile, format) in [
        ("fields", ["-flags", "+ildct+ilme", "-vf", "setfield=tff,format=yuv420p"], true, "High", "yuv420p"),
        ("deep", ["-bf", "0", "-pix_fmt", "yuv420p10le"], false, "High 10", "yuv420p10le"),
    ] {
        let clip = folder.path().join(name).with_extension("mkv");
        let mut make = Command::new("ffmpeg");
        make.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25", "-t", "4", "-g", "25"]);
        make.args(["-c:v", "libx264"]).args(options).arg(&clip);
        assert!(make.status().expect("ffmpeg runs").success());
        let source = format!("file://{}", clip.display()).parse().expect("a source");
        let media = probe(&workshop, &source, Aim::Frames, DEADLINE).await.expect("it plays");
        assert_eq!(media.video.interlaced, interlaced, "{media:?}");
        let (found, pixels) = (media.video.profile.as_deref(), media.video.pixel_format.as_deref());
        assert_eq!((found, pixels), (Some(profile), Some(format)), "{media:?}");
    }
}
