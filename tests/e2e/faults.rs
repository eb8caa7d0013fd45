//! Cameras as they are: without audio, with a wrong password, not there yet.

use std::net::TcpListener;
use std::time::Duration;

use crate::support::agent::Place;
use crate::support::camera::{self, Camera, CameraOpts};
use crate::support::frames::{self, Expected};
use crate::support::viewer::Viewer;
use crate::{BUCKET, NO_FFMPEG_WITHIN, STOP_WITHIN, UP_WITHIN, minio, my_turn, playlist_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_without_audio_plays_without_audio() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts { audio: false, ..Default::default() }).await;
    let mut place = Place::new("no-audio");
    place.configure(&minio, BUCKET, &[("mute", &camera.url())], "");
    let mut viewer = Viewer::watch(&playlist_of(&minio, "mute"), &place.path().join("seen"));
    let mut agent = place.start(&[]);
    viewer.segments(4, UP_WITHIN).await;
    agent.stop(STOP_WITHIN).await;
    let report = viewer.stop().await;
    report.assert_legal();
    let expected = Expected { size: (854, 480), fps: 15, audio: false };
    assert_eq!(frames::faults(&report.segments, expected).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_told_kept_secret_and_stops_nobody_else() {
    const RIGHT: &str = "R1ght#pass";
    const WRONG: &str = "Wr0ngpass";
    let _turn = my_turn().await;
    let minio = minio().await;
    let login = Some(("admin".into(), RIGHT.into()));
    let camera = Camera::start(CameraOpts { login, ..Default::default() }).await;
    let mut place = Place::new("wrong-password");
    let good = camera.url_with("admin:R1ght%23pass");
    let bad = camera.url_with(&format!("admin:{WRONG}"));
    place.configure(&minio, BUCKET, &[("good", &good), ("bad", &bad)], "");
    let mut viewer = Viewer::watch(&playlist_of(&minio, "good"), &place.path().join("seen"));

    let mut agent = place.start(&["-vv"]);
    agent.log_line(&["warn|error", "camera=bad", "401|password"], UP_WITHIN).await;
    viewer.segments(1, UP_WITHIN).await;
    let ffmpegs = place.ffmpegs();
    assert!(!ffmpegs.is_empty());
    viewer.segments(5, UP_WITHIN).await;
    agent.stop(STOP_WITHIN).await;
    place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;

    let argvs: String = ffmpegs.into_iter().map(|process| process.argv).collect();
    for secret in [RIGHT, "R1ght%23pass", WRONG, minio.secret_key.as_str()] {
        assert!(!argvs.contains(secret), "a secret is visible in ps: {argvs}");
        assert!(!agent.log().contains(secret), "a secret is in the log");
    }
    viewer.stop().await.assert_legal();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_starts_before_its_camera_comes_up_with_it() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut place = Place::new("early");
    place.configure(&minio, BUCKET, &[("early", &camera::url(port))], "");
    let mut viewer = Viewer::watch(&playlist_of(&minio, "early"), &place.path().join("seen"));
    let mut agent = place.start(&[]);
    agent.log_line(&["warn|error", "camera=early", "refused|reach"], UP_WITHIN).await;
    assert_eq!(viewer.segment_count(), 0);

    let _camera = Camera::start(CameraOpts { port, ..Default::default() }).await;
    // The longest pause between two tries, and the start.
    viewer.segments(2, Duration::from_secs(60)).await;
    agent.stop(STOP_WITHIN).await;
    viewer.stop().await.assert_legal();
}
