//! What lies beside a playlist, for walls of cameras: of a copied stream and of an encoded one, by one agent.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::browser::free_address;
use crate::support::agent::Place;
use crate::support::camera::{Camera, CameraOpts};
use crate::support::minio::Minio;
use crate::support::viewer::Viewer;
use crate::support::wait::{until, until_every};
use crate::{BUCKET, NO_FFMPEG_WITHIN, STOP_WITHIN, UP_WITHIN, folder_of, minio, my_turn, playlist_of};

const COPIED: &str = "copied";
const ENCODED: &str = "encoded";
/// A copied camera is looked at anew, and its next run begins.
const PICTURE_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_a_copied_and_an_encoded_stream_lie_beside_their_playlists() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts { count: 2, ..Default::default() }).await;
    let listen = free_address();
    let mut place = Place::new("snapshots");
    // For the keys; the file itself has what differs between the cameras.
    place.configure(&minio, BUCKET, &[], "");
    let configuration = format!(
        "{{location: location_1, http: {{listen: {listen}}}, spool: {spool},
  storage: {{type: s3, bucket: {BUCKET}, endpoint: \"{endpoint}\"}},
  defaults: {{settings: {{snapshot_interval: 1s}}}},
  cameras: [{{id: {COPIED}, rtsp_url: \"{first}\", settings: {{quality: auto}}}},
    {{id: {ENCODED}, name: Till 1, rtsp_url: \"{second}\", settings: {{threads: 1, segment_type: fmp4}}}}]}}",
        spool = place.path().join("spool").display(),
        endpoint = minio.endpoint,
        first = camera.url_of(1),
        second = camera.url_of(2),
    );
    place.write_config(&configuration);
    let mut viewer = Viewer::watch(&playlist_of(&minio, COPIED), &place.path().join("seen"));
    let mut agent = place.start(&["-vv"]);

    let before = [picture(&minio, COPIED, (640, 360)).await, picture(&minio, ENCODED, (640, 360)).await];
    let api = format!("http://{listen}/api/streams");
    let streams: Vec<Value> = reqwest::get(api).await.unwrap().json().await.unwrap();
    for (stream, camera) in streams.iter().zip([COPIED, ENCODED]) {
        assert_eq!(stream["snapshot_url"], url(&minio, camera), "{stream}");
        assert!(stream["snapshot_age_s"].as_f64().is_some_and(|age| age < 20.0), "{stream}");
        assert_eq!(stream["snapshots_failed"], 0, "{stream}");
    }
    assert_eq!(camera.control("status").await["clients"], 2, "one session per camera");
    viewer.segments(3, UP_WITHIN).await;
    let expected = |camera, name, mode: &str| {
        json!({
            "version": 1, "camera": camera, "name": name, "profile": "balanced", "mode": mode,
            "target_duration_s": 2, "segment_duration_ms": 2000, "phase": "live", "reason": null,
            "agent_version": env!("CARGO_PKG_VERSION"), "interval_s": 60.0,
            "player": {
                "live_sync_duration_count": 2, "live_max_latency_duration_count": 8,
                "max_live_sync_playback_rate": 1.04, "low_latency": false,
            },
        })
    };
    const HD: &str = "copying: H.264 Main 1280x720, keyframe interval 2 s";
    const SMALL: &str = "re-encoding: to 854 pixels at 15 fps, as the settings say";
    for (camera, name, mode) in [(COPIED, COPIED, HD), (ENCODED, "Till 1", SMALL)] {
        let told = async || sheet(&minio, camera).await.filter(|told| *told == expected(camera, name, mode));
        until(UP_WITHIN, "what players are told", told, || agent.log()).await;
    }

    // A new name is news for players, and for nobody else.
    let ffmpegs = || {
        place
            .ffmpegs()
            .iter()
            .filter(|ffmpeg| ffmpeg.argv.contains("seg_"))
            .map(|f| f.pid)
            .collect::<Vec<_>>()
    };
    let running = ffmpegs();
    place.write_config(&configuration.replace("Till 1", "Till 2"));
    agent.signal(Signal::SIGHUP);
    let renamed =
        async || sheet(&minio, ENCODED).await.filter(|told| *told == expected(ENCODED, "Till 2", SMALL));
    until(UP_WITHIN, "the new name", renamed, || "").await;
    assert_eq!((ffmpegs(), running.len()), (running, 2));

    // The cameras see something else now, and a picture is never enlarged.
    camera.control("switch?size=480x270").await;
    let after = [picture(&minio, COPIED, (480, 270)).await, picture(&minio, ENCODED, (480, 270)).await];
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
    agent.stop(STOP_WITHIN).await;
    place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;
    picture(&minio, COPIED, (480, 270)).await;
    viewer.stop().await.assert_legal();
}

/// Of a JPEG that can be decoded to its end.
async fn size_of(picture: &[u8]) -> (u64, u64) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, picture).unwrap();
    let probe = "-v error -show_entries stream=codec_name,width,height -of json";
    let seen = run("ffprobe", probe, file.path(), "").await;
    run("ffmpeg", "-v error -xerror -i", file.path(), "-f null -").await;
    let seen: Value = serde_json::from_slice(&seen).unwrap();
    assert_eq!(seen["streams"][0]["codec_name"], "mjpeg");
    let side = |name: &str| seen["streams"][0][name].as_u64().unwrap();
    (side("width"), side("height"))
}

/// What it says to the file; panics if it complains.
async fn run(program: &str, before: &str, file: &Path, after: &str) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(before.split_whitespace()).arg(file).args(after.split_whitespace());
    let output = command.output().await.unwrap_or_else(|error| panic!("{program}: {error}: install ffmpeg"));
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn url(minio: &Minio, camera: &str) -> String {
    minio.public_url(BUCKET, &format!("{}snapshot.jpg", folder_of(camera)))
}

/// What players are told of the camera.
async fn sheet(minio: &Minio, camera: &str) -> Option<Value> {
    let url = minio.public_url(BUCKET, &format!("{}status.json", folder_of(camera)));
    let answer = reqwest::get(url).await.ok().filter(|answer| answer.status() == 200)?;
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["cache-control"], "no-cache, no-store, must-revalidate");
    let mut told: Value = answer.json().await.ok()?;
    // What is of the moment.
    let of_now = ["verdict", "last_segment_at", "written_at"].map(|key| told.as_object_mut()?.remove(key));
    of_now.iter().all(|told| told.as_ref().is_some_and(Value::is_string)).then_some(told)
}

/// The camera's picture as soon as it is this large.
async fn picture(minio: &Minio, camera: &str, size: (u64, u64)) -> Vec<u8> {
    let get = async || {
        let answer = reqwest::get(url(minio, camera)).await.ok().filter(|answer| answer.status() == 200)?;
        let header = |name: &str| answer.headers()[name].to_str().unwrap_or_default().to_owned();
        assert_eq!(header("content-type"), "image/jpeg");
        assert_eq!(header("cache-control"), "no-cache, no-store, must-revalidate");
        let picture = answer.bytes().await.ok()?;
        (size_of(&picture).await == size).then(|| picture.to_vec())
    };
    let pause = Duration::from_millis(500);
    until_every(pause, PICTURE_WITHIN, &format!("a picture of {camera}, {size:?}"), get, || "").await
}
