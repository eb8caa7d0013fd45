//! SIGHUP: what changed in the file changes, and nothing else so much as skips.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::agent::{Agent, Place};
use crate::support::minio::Minio;
use crate::support::viewer::Viewer;
use crate::support::wait::until;
use crate::{BUCKET, NO_FFMPEG_WITHIN, STOP_WITHIN, UP_WITHIN, minio, my_turn, playlist_of};

/// Other cameras start meanwhile, and another test may run beside. That no run ended is told by its ffmpeg, and by no
/// seam.
const LONGEST_GAP: Duration = Duration::from_secs(6);

/// A configuration with these lines for cameras.
fn configure(place: &Place, minio: &Minio, cameras: &str) {
    let text = format!(
        "location: location_1\nspool: {}\nhttp: {{listen: 127.0.0.1:0}}\n\
         storage: {{type: s3, bucket: {BUCKET}, endpoint: \"{}\"}}\ncameras:\n{cameras}",
        place.path().join("spool").display(),
        minio.endpoint,
    );
    place.write_config(&text);
}

fn watch(place: &Place, minio: &Minio, camera: &str) -> Viewer {
    Viewer::watch(&playlist_of(minio, camera), &place.path().join("seen").join(camera))
}

async fn more(viewer: &mut Viewer, segments: usize) {
    viewer.segments(viewer.segment_count() + segments, UP_WITHIN).await;
}

/// The process of the camera's ffmpeg.
fn ffmpeg_of(place: &Place, camera: &str) -> Option<u32> {
    let folder = format!("/{camera}/");
    place.ffmpegs().into_iter().find(|process| process.argv.contains(&folder)).map(|process| process.pid)
}

async fn shown(page: &str) -> BTreeSet<String> {
    let text = reqwest::get(format!("{page}api/cameras.json")).await.unwrap().text().await.unwrap();
    let cameras: serde_json::Value = serde_json::from_str(&text).unwrap();
    cameras.as_array().unwrap().iter().map(|camera| camera["name"].as_str().unwrap().to_owned()).collect()
}

async fn page_of(agent: &mut Agent) -> String {
    let line = agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    let url = line.split("http://").nth(1).unwrap().split('/').next().unwrap();
    format!("http://{url}/")
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_touches_what_changed_and_nothing_else() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let mut place = Place::new("reload");
    place.env("AWS_ACCESS_KEY_ID", &minio.access_key).env("AWS_SECRET_ACCESS_KEY", &minio.secret_key);
    // Its time limits are no camera's: a busy machine ends no run.
    let steady = "{id: steady, rtsp_url: \"test://\"";
    let before = format!(
        "  - {steady}}}\n  - {{id: changing, rtsp_url: \"test://\"}}\n  - {{id: leaving, rtsp_url: \"test://\"}}\n"
    );
    configure(&place, &minio, &before);
    let [mut calm, mut changed] = ["steady", "changing"].map(|id| watch(&place, &minio, id));
    let mut agent = place.start(&[]);
    let page = page_of(&mut agent).await;
    more(&mut calm, 3).await;
    more(&mut changed, 3).await;
    assert_eq!(shown(&page).await, names(&["steady", "changing", "leaving"]));
    let ffmpeg = ffmpeg_of(&place, "steady");
    assert!(ffmpeg.is_some() && ffmpeg_of(&place, "leaving").is_some());

    let after = format!(
        "  - {steady}, name: Calm}}\n  - {{id: changing, rtsp_url: \"test://\", settings: {{target_fps: 10}}}}\n  - {{id: arriving, rtsp_url: \"test://\"}}\n"
    );
    configure(&place, &minio, &after);
    let mut new = watch(&place, &minio, "arriving");
    agent.signal(Signal::SIGHUP);
    agent
        .log_line(&["configuration reloaded", "arriving", "leaving", "changing", "unchanged=1"], UP_WITHIN)
        .await;
    assert_eq!(shown(&page).await, names(&["Calm", "changing", "arriving"]));
    more(&mut new, 2).await;
    more(&mut changed, 4).await;
    more(&mut calm, 2).await;
    let gone = async || ffmpeg_of(&place, "leaving").is_none().then_some(());
    until(UP_WITHIN, "the end of the removed camera", gone, || "").await;

    // A bad file, and one that is not there: nothing changes, and the log says why.
    configure(&place, &minio, "  - {id: steady, rtsp_url: \"test://\", settings: {target_fps: 0}}\n");
    agent.signal(Signal::SIGHUP);
    agent.log_line(&["error", "cameras.yaml:6", "target_fps: is 0"], UP_WITHIN).await;
    agent.log_line(&["error", "reload refused: nothing changed"], UP_WITHIN).await;
    std::fs::remove_file(place.path().join("cameras.yaml")).unwrap();
    agent.signal(Signal::SIGHUP);
    agent.log_line(&["error", "cameras.yaml", "cannot be read"], UP_WITHIN).await;
    more(&mut calm, 2).await;
    more(&mut new, 1).await;
    assert_eq!(ffmpeg_of(&place, "steady"), ffmpeg, "the untouched camera has the ffmpeg that it had");

    // A storm, and an end in the middle of it.
    configure(&place, &minio, &before);
    (0..50).for_each(|_| agent.signal(Signal::SIGHUP));
    agent.log_line(&["configuration reloaded", "started=\"leaving\"|started=leaving"], UP_WITHIN).await;
    agent.signal(Signal::SIGHUP);
    agent.stop(STOP_WITHIN).await;
    place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;

    let calm = calm.stop().await;
    calm.assert_legal();
    assert!(
        calm.segments.iter().skip(1).all(|seen| !seen.segment.discontinuity),
        "the untouched camera skipped"
    );
    calm.assert_no_gap_of(LONGEST_GAP);
    let changed = changed.stop().await;
    changed.assert_legal();
    assert!(changed.segments.iter().any(|seen| seen.segment.discontinuity), "a new run, a new continuity");
    new.stop().await.assert_legal();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_sees_the_reload_and_the_selection_stays() {
    let _turn = my_turn().await;
    let mut place = Place::new("reload-systemd");
    let path = place.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(UP_WITHIN)).unwrap();
    place.env("NOTIFY_SOCKET", &path.display().to_string());
    let fresh = place.path().join("fresh.yaml");
    place.env("EDGE_AGENT_RELOAD_FROM", &fresh.display().to_string());
    let folder = place.path().display().to_string();
    let text = |cameras: &str| {
        format!("spool: {folder}/spool\nstorage: {{type: file, root: {folder}/bucket}}\ncameras:\n{cameras}")
    };
    place.write_config(&text("  - {id: one, rtsp_url: \"test://\"}\n  - {id: two, rtsp_url: \"test://\"}\n"));
    let mut agent = place.start(&["--camera", "one"]);
    let told = async |wanted: &str| {
        let mut seen = Vec::new();
        loop {
            let mut bytes = [0; 4096];
            let length = socket.recv(&mut bytes).unwrap_or_else(|e| panic!("no {wanted} ({e}); {seen:?}"));
            let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if message.contains(wanted) {
                return message;
            }
            seen.push(message);
        }
    };
    told("READY=1").await;

    // A plain signal, without the copy that the unit makes first.
    agent.signal(Signal::SIGHUP);
    agent.log_line(&["error", "fresh.yaml: is not there", "as `systemctl reload` does"], UP_WITHIN).await;
    told("READY=1").await;

    // The copy that a reload reads has a third camera; `--camera one` is still what runs.
    std::fs::write(
        &fresh,
        text("  - {id: one, rtsp_url: \"test://\"}\n  - {id: three, rtsp_url: \"test://\"}\n"),
    )
    .unwrap();
    agent.signal(Signal::SIGHUP);
    assert!(told("RELOADING=1").await.contains("MONOTONIC_USEC="));
    told("READY=1").await;
    agent.log_line(&["configuration reloaded", "unchanged=1"], UP_WITHIN).await;

    // What goes for every stream is told as what it does to them.
    let paced = text("  - {id: one, rtsp_url: \"test://\"}\n")
        .replace("bucket}", "bucket, min_playlist_interval: 3}");
    std::fs::write(&fresh, paced).unwrap();
    agent.signal(Signal::SIGHUP);
    told("READY=1").await;
    agent
        .log_line(&["configuration reloaded", "restarted=\"one\"|restarted=one", "unchanged=0"], UP_WITHIN)
        .await;

    std::fs::write(&fresh, text("  - {id: three, rtsp_url: \"test://\"}\n")).unwrap();
    agent.signal(Signal::SIGHUP);
    told("READY=1").await;
    agent
        .log_line(&["error", "no camera has the id \"one\"|no camera has the id \\\"one\\\""], UP_WITHIN)
        .await;
    agent.log_line(&["reload refused"], UP_WITHIN).await;
    agent.stop(STOP_WITHIN).await;
}

/// A reload is `run`'s; the demo is a person's, whose terminal was closed.
/// Its port is not taken before: the video would be where nobody serves it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_does_not_move_the_video_to_a_server_that_is_not_there() {
    let _turn = my_turn().await;
    let place = Place::new("reload-server");
    let here = place.path().display().to_string();
    let text = format!(
        "location: l\nspool: {here}/spool\nstorage: {{type: file, root: {here}/store}}\n\
         cameras: [{{id: cam_floor, rtsp_url: \"test://\"}}]\n"
    );
    place.write_config(&text);
    let mut agent = place.start(&[]);
    let stored = place.path().join("store/l/cam_floor/stream.m3u8");
    until(UP_WITHIN, "a playlist", async || stored.is_file().then_some(()), || agent.log()).await;
    let storage = format!("storage: {{type: file, root: {here}/store}}");
    let listen = crate::browser::free_address();
    place.write_config(
        &text.replace(&storage, &format!("storage: {{type: none}}\nhttp: {{listen: \"{listen}\"}}")),
    );
    agent.signal(Signal::SIGHUP);
    agent.log_line(&["http.listen is new, and a server begins with a restart alone"], UP_WITHIN).await;
    let before = std::fs::read(&stored).unwrap();
    let goes_on = async || (std::fs::read(&stored).unwrap() != before).then_some(());
    until(UP_WITHIN, "a newer playlist", goes_on, || agent.log()).await;
    agent.stop(STOP_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_ends_with_its_terminal() {
    let _turn = my_turn().await;
    let place = Place::new("demo-hangup");
    let mut agent = place.start(&["demo"]);
    agent.log_line(&["Playable"], UP_WITHIN).await;
    agent.signal(Signal::SIGHUP);
    let status = agent.exit(STOP_WITHIN).await;
    assert!(status.success(), "{status}: {}", agent.log());
    place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;
}
