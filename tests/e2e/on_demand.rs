//! A camera that runs while somebody wants it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::browser::free_address;
use crate::support::agent::{Agent, Place};
use crate::support::camera::{Camera, CameraOpts};
use crate::support::nginx::Nginx;
use crate::support::script;
use crate::support::wait::until;
use crate::{BUCKET, STOP_WITHIN, UP_WITHIN, bucket, folder_of, minio, my_turn, playlist_of};

const CAMERA: &str = "cam_floor";
const LOCKED: &str = "cam_locked";
const ALWAYS: &str = "cam_always";
const IDLE: Duration = Duration::from_secs(5);
const VIEWERS: usize = 10;
/// Of an ffmpeg behind the last one who wanted it: what the back office asks for.
const GONE_WITHIN: Duration = IDLE.saturating_add(Duration::from_secs(10));
/// Holds and a sweep: some 60 s for segments of a second; the rest is for a busy machine.
const CLEARED_WITHIN: Duration = Duration::from_secs(240);
const SETTINGS: &str =
    "defaults: {settings: {segment_duration: 1, segments_to_keep: 3, start: on_demand, idle_timeout: 5}}\n";

struct Office {
    client: Client,
    base: String,
}

impl Office {
    async fn post(&self, call: &str, body: Value) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}/api/streams/{call}", self.base)).json(&body);
        let answer = request.send().await.expect("the agent answers");
        (answer.status(), answer.json().await.expect("JSON"))
    }

    /// Of all kinds, for one camera.
    async fn storage_requests(&self, camera: &str) -> u64 {
        let text = fetch(&self.client, &format!("{}/metrics", self.base)).await;
        let own = |line: &&str| line.contains("storage_requests_total{") && line.contains(camera);
        let counts = text.lines().filter(own).map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        counts.map(|count| count.expect("a count")).sum()
    }

    async fn status(&self) -> Value {
        let url = format!("{}/api/streams/status/{CAMERA}", self.base);
        self.client.get(url).send().await.expect("the agent answers").json().await.expect("JSON")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_viewers_have_one_ffmpeg_and_nobody_has_none() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts { gop: 25, ..CameraOpts::default() }).await;
    let login = Some(("viewer".to_owned(), "hunter2".to_owned()));
    let locked = Camera::start(CameraOpts { login, ..CameraOpts::default() }).await;
    let listen = free_address();
    let mut place = Place::new("on-demand");
    let wrong = locked.url().replace("rtsp://", "rtsp://viewer:wrong-secret@");
    let more = format!("http: {{listen: \"{listen}\"}}\n{SETTINGS}");
    place.configure(&minio, BUCKET, &[(CAMERA, &camera.url()), (LOCKED, &wrong)], &more);
    let mut agent = place.start(&[]);
    let office = Office { client: Client::new(), base: format!("http://{listen}") };
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    assert_eq!((office.status().await["phase"].clone(), place.ffmpegs().len()), (json!("idle"), 0));

    start_together(&office).await;
    assert_eq!(place.ffmpegs().len(), 1, "all of them share it");
    let playlist = playlist_of(&minio, CAMERA);
    let text = fetch(&office.client, &playlist).await;
    assert!(text.contains("#EXTINF") && !text.contains("#EXT-X-ENDLIST"), "{text}");
    // Twice the time that it would live by itself.
    let renew = async || {
        assert_eq!(office.post("touch", json!({"camera_id": CAMERA})).await.0, StatusCode::OK);
        let uptime_s = office.status().await["uptime_s"].as_f64();
        (uptime_s >= Some(2.0 * IDLE.as_secs_f64())).then_some(())
    };
    until(12 * IDLE, "the renewals", renew, || "").await;
    assert_eq!(place.ffmpegs().len(), 1, "it was wanted all the time");
    place.no_ffmpeg_within(GONE_WITHIN).await;
    let ended = async || fetch(&office.client, &playlist).await.contains("#EXT-X-ENDLIST").then_some(());
    until(UP_WITHIN, "the end of the playlist", ended, || "").await;

    // Wanted again while its objects are still held: it goes on.
    start_together(&office).await;
    assert!(!fetch(&office.client, &playlist).await.contains("#EXT-X-ENDLIST"));
    let (code, answer) = office.post("stop", json!({"stream_id": CAMERA})).await;
    assert_eq!((code, &answer["status"]), (StatusCode::OK, &json!("stopping")));
    place.no_ffmpeg_within(GONE_WITHIN).await;
    let (client, folder) = (minio.client(), folder_of(CAMERA));
    let cleared = async || bucket::segments(&client, &folder).await.is_empty().then_some(());
    until(CLEARED_WITHIN, "the bucket without segments", cleared, || "").await;
    let text = fetch(&office.client, &playlist).await;
    assert!(text.contains("#EXT-X-ENDLIST") && !text.contains("#EXTINF"), "it names nothing: {text}");
    let spool = place.path().join("spool").join(CAMERA);
    assert!(spool.is_dir(), "{}", spool.display());
    let emptied = async || segments_below(&spool).is_empty().then_some(());
    until(CLEARED_WITHIN, "the spool without segments", emptied, || "").await;

    a_refusal_is_told(&office).await;
    assert!(!agent.log().contains("wrong-secret"));
    agent.stop(STOP_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_agent_left_ends_unless_somebody_wants_it() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts { gop: 25, ..CameraOpts::default() }).await;
    let listen = free_address();
    let mut place = Place::new("on-demand-left");
    let more = format!("http: {{listen: \"{listen}\"}}\n{SETTINGS}");
    place.configure(&minio, BUCKET, &[(CAMERA, &camera.url())], &more);
    let office = Office { client: Client::new(), base: format!("http://{listen}") };
    let wanted = json!({"camera_id": CAMERA});
    let playlist = playlist_of(&minio, CAMERA);
    let mut numbers = Vec::new();
    for _ in 0..2 {
        // Within the grace of the agent before: it goes on.
        let mut agent = place.start(&[]);
        agent.log_line(&["edge-agent started"], UP_WITHIN).await;
        assert_eq!(office.post("start?wait=40s", wanted.clone()).await.0, StatusCode::OK);
        let text = fetch(&office.client, &playlist).await;
        assert!(text.contains("#EXTINF") && !text.contains("#EXT-X-ENDLIST"), "{text}");
        let number = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
        numbers.push(number.unwrap().parse::<u64>().unwrap());
        agent.kill9().await;
    }
    assert!(numbers.is_sorted(), "{numbers:?}");

    let mut agent = place.start(&[]);
    let (client, folder) = (minio.client(), folder_of(CAMERA));
    let cleared = async || bucket::segments(&client, &folder).await.is_empty().then_some(());
    until(CLEARED_WITHIN, "the bucket without segments", cleared, || agent.log()).await;
    let text = fetch(&office.client, &playlist).await;
    assert!(text.contains("#EXT-X-ENDLIST") && !text.contains("#EXTINF"), "it names nothing: {text}");
    // Dashboards that can't reach the box would else take it for a box that is cut off.
    let sheet = playlist.replace("stream.m3u8", "status.json");
    let sheet: Value = serde_json::from_str(&fetch(&office.client, &sheet).await).unwrap();
    assert_eq!((&sheet["phase"], &sheet["verdict"]), (&json!("ended"), &json!("idle")), "{sheet}");
    let calm = async || (office.status().await["phase"] == json!("idle")).then_some(());
    until(UP_WITHIN, "an idle stream", calm, || "").await;
    assert_eq!(place.ffmpegs().len(), 0);
    assert_eq!(
        office.post("start?wait=40s", wanted.clone()).await.0,
        StatusCode::OK,
        "and it may come again"
    );

    // An end that a new configuration cuts off is an end all the same.
    assert_eq!(office.post("stop", wanted).await.0, StatusCode::OK);
    let ended = async || fetch(&office.client, &playlist).await.contains("#EXT-X-ENDLIST").then_some(());
    until(UP_WITHIN, "the end of the playlist", ended, || agent.log()).await;
    assert!(!bucket::segments(&client, &folder).await.is_empty(), "they are held");
    let more = more.replace("segment_duration: 1,", "segment_duration: 1, target_fps: 10,");
    place.configure(&minio, BUCKET, &[(CAMERA, &camera.url())], &more);
    agent.signal(Signal::SIGHUP);
    until(CLEARED_WITHIN, "the bucket without segments", cleared, || agent.log()).await;
    assert!(fetch(&office.client, &playlist).await.contains("#EXT-X-ENDLIST"));
    agent.stop(STOP_WITHIN).await;
}

fn segments_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let found = entries.flat_map(|path| if path.is_dir() { segments_below(&path) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|extension| extension == "ts")).collect()
}

async fn fetch(client: &Client, url: &str) -> String {
    client.get(url).send().await.expect("MinIO answers").text().await.expect("text")
}

/// All at once, and each waits until it can be played.
async fn start_together(office: &Office) {
    let mut calls = JoinSet::new();
    for _ in 0..VIEWERS {
        let (client, url) = (office.client.clone(), format!("{}/api/streams/start?wait=30s", office.base));
        calls.spawn(async move {
            let answer =
                client.post(url).json(&json!({"camera_id": CAMERA})).send().await.expect("an answer");
            (answer.status(), answer.json::<Value>().await.expect("JSON"))
        });
    }
    for (code, answer) in calls.join_all().await {
        assert_eq!((code, &answer["status"]), (StatusCode::OK, &json!("running")), "{answer}");
        let url = answer["playlist_url"].as_str().expect("a URL");
        assert!(url.ends_with("/location_1/cam_floor/stream.m3u8"), "{url}");
    }
    assert_eq!(office.status().await["is_active"], json!(true));
}

async fn a_refusal_is_told(office: &Office) {
    let (code, answer) = office.post("start?wait=20s", json!({"camera_id": LOCKED})).await;
    let error = answer["error"].as_str().unwrap_or_default().to_owned();
    assert_eq!(code, StatusCode::BAD_GATEWAY, "{answer}");
    assert!(error.contains("refused user or password (401)") && !error.contains("wrong-secret"), "{error}");
    let health = || async {
        office.client.get(format!("{}/api/health", office.base)).send().await.expect("an answer")
    };
    let down = async || (health().await.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(());
    until(UP_WITHIN, "503, as a camera that somebody wants is down", down, || "").await;
    let told: Value = health().await.json().await.expect("JSON");
    let verdict =
        told["cameras"].as_array().and_then(|all| all.iter().find(|one| one["camera_id"] == LOCKED));
    assert_eq!(verdict.map(|camera| &camera["verdict"]), Some(&json!("down")), "{told}");
    office.post("stop", json!({"camera_id": LOCKED})).await;
    let well = async || (health().await.status() == StatusCode::OK).then_some(());
    until(UP_WITHIN, "200, as nobody wants it any more", well, || "").await;
    let (code, _) = office.post("start", json!({"camera_id": "cam_unknown"})).await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    let (code, answer) = office.post("start?wait=soon", json!({"camera_id": CAMERA})).await;
    assert_eq!(code, StatusCode::BAD_REQUEST, "{answer}");
    for body in [json!({}), json!({"camera_id": CAMERA, "stream_id": CAMERA})] {
        assert_eq!(office.post("start", body).await.0, StatusCode::BAD_REQUEST);
    }
    let (code, answer) = office.post("start", json!({"camera_id": CAMERA, "rtsp_url": "rtsp://x"})).await;
    assert!(code.is_client_error() && !answer["error"].as_str().unwrap().contains("rtsp://"), "{answer}");
}

/// Fetching what the box itself serves is wanting it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_fetches_a_stream_from_the_box_keeps_it_running() {
    let _turn = my_turn().await;
    let listen = free_address();
    let place = Place::new("on-demand-local");
    let store = place.path().join("store");
    let text = format!(
        "location: location_1\nspool: {}\nstorage: {{type: file, root: {}}}\nhttp: {{listen: \"{listen}\"}}\n{SETTINGS}\
         cameras:\n  - {{id: {CAMERA}, rtsp_url: \"test://\"}}\n  - {{id: {ALWAYS}, rtsp_url: \"test://\", settings: {{start: always}}}}\n",
        place.path().join("spool").display(),
        store.display()
    );
    place.write_config(&text);
    let mut agent = place.start(&[]);
    let office = Office { client: Client::new(), base: format!("http://{listen}") };
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    let url = format!("http://{listen}/streams/location_1/{CAMERA}/stream.m3u8");
    let fetched = async || {
        let answer = office.client.get(&url).send().await.expect("the agent answers");
        (answer.status() == StatusCode::OK).then_some(())
    };
    until(UP_WITHIN, "a playlist that nobody asked for otherwise", fetched, || "").await;
    assert_eq!(place.ffmpegs().len(), 2);
    // Whoever stops it means it, though players fetch on until they have read that it is over.
    assert_eq!(office.post("stop", json!({"camera_id": CAMERA})).await.0, StatusCode::OK);
    let over = async || {
        let text = fetch(&office.client, &url).await;
        let phase = office.status().await["phase"].clone();
        (text.contains("#EXT-X-ENDLIST") && phase != "live" && place.ffmpegs().len() == 1).then_some(())
    };
    until(UP_WITHIN, "the end of a stream that is fetched", over, || "").await;
    assert_eq!(office.post("start?wait=30s", json!({"camera_id": CAMERA})).await.0, StatusCode::OK);
    assert_eq!(place.ffmpegs().len(), 2);
    let (code, answer) = office.post("stop", json!({"camera_id": ALWAYS})).await;
    assert_eq!(code, StatusCode::CONFLICT, "{answer}");
    let one_left = async || (place.ffmpegs().len() == 1).then_some(());
    until(GONE_WITHIN, "the end of the one that nobody fetches", one_left, || "").await;

    // When a camera runs may change while it does: it ends as any other, and comes back.
    place.write_config(&text.replace("start: always", "start: on_demand"));
    agent.signal(Signal::SIGHUP);
    let playlist = store.join("location_1").join(ALWAYS).join("stream.m3u8");
    let is_ended = || std::fs::read_to_string(&playlist).is_ok_and(|text| text.contains("#EXT-X-ENDLIST"));
    let ended = async || (is_ended() && place.ffmpegs().is_empty()).then_some(());
    until(GONE_WITHIN, "the end of the one that does not always run any more", ended, || "").await;
    place.write_config(&text);
    agent.signal(Signal::SIGHUP);
    let back = async || (!is_ended() && place.ffmpegs().len() == 1).then_some(());
    until(UP_WITHIN, "the one that always runs again", back, || "").await;
    // And one that nobody wants, where no other is on demand any more: there is room for it.
    place.write_config(&text.replace("start: on_demand", "start: always"));
    agent.signal(Signal::SIGHUP);
    let both = async || (place.ffmpegs().len() == 2).then_some(());
    until(UP_WITHIN, "both, always", both, || "").await;
    agent.stop(STOP_WITHIN).await;
}

const TOKEN: &str = "a-token-of-the-shop";

/// The shipped configuration, with a box that serves itself alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_behind_nginx_have_one_ffmpeg_and_one_fetch_of_each_segment() {
    let _turn = my_turn().await;
    let listen = free_address();
    let place = Place::new("on-demand-nginx");
    place.write_config(&format!(
        "location: location_1\nspool: {}/spool\nstorage: {{type: none}}\n\
         http: {{listen: \"{listen}\", token: {TOKEN}}}\n{SETTINGS}cameras:\n  - {{id: {CAMERA}, rtsp_url: \"test://\"}}\n",
        place.path().display(),
    ));
    let mut agent = place.start(&[]);
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    let nginx = Nginx::before(listen.parse().expect("an address")).await;
    let sign = nginx.client.post(nginx.url(&format!("/api/streams/{CAMERA}/sign"))).bearer_auth(TOKEN);
    let signed: Value = sign.send().await.expect("an answer").json().await.expect("JSON");
    let playlist = signed["url"].as_str().expect("a URL").to_owned();
    let mut viewers = JoinSet::new();
    for _ in 0..VIEWERS {
        let (client, playlist) = (nginx.client.clone(), playlist.clone());
        viewers.spawn(async move { watch(&client, &playlist).await });
    }
    let seen = async { viewers.join_all().await };
    let seen = tokio::time::timeout(UP_WITHIN, seen).await.unwrap_or_else(|_| panic!("{}", agent.log()));
    assert_eq!(place.ffmpegs().len(), 1);
    // Of each segment, whoever came first had it fetched.
    let mut fetches = BTreeMap::new();
    for (segment, cache, bytes) in seen.into_iter().flatten() {
        let entry = fetches.entry(segment).or_insert((0, bytes));
        entry.0 += usize::from(cache == "MISS");
        assert_eq!(entry.1, bytes);
    }
    assert!(fetches.len() >= 3 && fetches.values().all(|&(misses, _)| misses == 1), "{fetches:?}");
    assert!(!nginx.logs().contains("signature="));
    place.no_ffmpeg_within(GONE_WITHIN).await;
    agent.stop(STOP_WITHIN).await;
}

/// Three segments, as a player would fetch them: their names, what the cache said, and their sizes.
async fn watch(client: &Client, playlist: &str) -> Vec<(String, String, usize)> {
    let mut seen: Vec<(String, String, usize)> = Vec::new();
    while seen.len() < 3 {
        let answer = client.get(playlist).send().await.expect("nginx answers");
        if answer.status() == StatusCode::OK {
            let text = answer.text().await.expect("text");
            let newest = text.lines().rfind(|line| line.contains(".ts?"));
            if let Some(uri) = newest.filter(|uri| seen.iter().all(|(segment, ..)| segment != uri)) {
                let folder = playlist.rsplit_once('/').expect("a folder").0;
                let answer = client.get(format!("{folder}/{uri}")).send().await.expect("nginx answers");
                assert_eq!(answer.status(), StatusCode::OK, "{text}");
                let cache = answer.headers()["x-cache-status"].to_str().expect("text").to_owned();
                seen.push((uri.to_owned(), cache, answer.bytes().await.expect("all of it").len()));
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    seen
}

const LOOKS: &str = "the probe's ffmpeg says";

/// Its video is copied, if that can be.
async fn copying(place: &Place, camera: &Camera) -> (Agent, Office) {
    let listen = free_address();
    place.write_config(&format!(
        "location: location_1\nspool: {here}/spool\nstorage: {{type: file, root: {here}/store}}\n\
         http: {{listen: \"{listen}\"}}\n{SETTINGS}cameras:\n  - {{id: {CAMERA}, rtsp_url: \"{}\", settings: {{quality: auto}}}}\n",
        camera.url(),
        here = place.path().display(),
    ));
    let mut agent = place.start(&["-v"]);
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    (agent, Office { client: Client::new(), base: format!("http://{listen}") })
}

/// What no look has told, the first segment does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_camera_that_nobody_knows_need_not_wait_for_its_keyframes() {
    let _turn = my_turn().await;
    // Every three seconds, and segments are to last one.
    let camera = Camera::start(CameraOpts { gop: 75, ..CameraOpts::default() }).await;
    let place = Place::new("on-demand-glance");
    let (mut agent, office) = copying(&place, &camera).await;
    let (code, answer) = office.post("start?wait=30s", json!({"camera_id": CAMERA})).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    let fits = async || {
        office.post("touch", json!({"camera_id": CAMERA})).await;
        let status = office.status().await;
        let why = status["mode_reason"].as_str().unwrap_or_default().to_owned();
        let goes_on = status["segments_published"].as_u64() > Some(3) && status["phase"] == "live";
        (goes_on && why.contains(", asked for 1 s")).then_some(status)
    };
    let status = until(UP_WITHIN, "segments of three seconds", fits, || agent.log()).await;
    // What it began with went on.
    let restarts = status["reconnect_count"].as_u64().expect("a count") as usize;
    assert_eq!(status["mode"], "copy", "{status}");
    assert!(restarts <= camera.held_up().await, "{status}");
    assert_eq!(status["segments_missed"], 0, "{status}");
    let log = agent.log();
    let (before, after) = log.split_once("keyframe interval not measured").expect("a glance");
    assert!(before.contains(LOOKS) && !after.contains(LOOKS), "{log}");
    agent.stop(STOP_WITHIN).await;
}

/// A look at what the camera sends costs time: once is enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_wanted_again_begins_without_a_look() {
    let _turn = my_turn().await;
    let camera = Camera::start(CameraOpts { gop: 25, ..CameraOpts::default() }).await;
    let place = Place::new("on-demand-again");
    let (mut agent, office) = copying(&place, &camera).await;
    let start = async || {
        let (code, answer) = office.post("start?wait=30s", json!({"camera_id": CAMERA})).await;
        assert_eq!(code, StatusCode::OK, "{answer}");
        let status = office.status().await;
        assert_eq!(status["mode"], "copy", "{status}");
    };
    start().await;
    let before = agent.log();
    assert!(before.contains(LOOKS), "{before}");
    let (code, _) = office.post("stop", json!({"camera_id": CAMERA})).await;
    assert_eq!(code, StatusCode::OK);
    place.no_ffmpeg_within(GONE_WITHIN).await;
    start().await;
    let after = agent.log();
    assert!(!after[before.len()..].contains(LOOKS), "{}", &after[before.len()..]);
    agent.stop(STOP_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_and_stops_that_cross_are_one_stream_and_leave_nothing() {
    let _turn = my_turn().await;
    let camera = Camera::start(CameraOpts { gop: 25, ..CameraOpts::default() }).await;
    let place = Place::new("on-demand-cross");
    let (mut agent, Office { base, .. }) = copying(&place, &camera).await;
    // Connections that are kept would be descriptors, too.
    let client = Client::builder().pool_max_idle_per_host(0).build().expect("a client");
    let office = Arc::new(Office { client, base });
    let wanted = || json!({"camera_id": CAMERA});
    let descriptors = || {
        let all = fs::read_dir(format!("/proc/{}/fd", agent.id())).expect("it runs");
        all.filter_map(|one| fs::read_link(one.ok()?.path()).ok()).collect::<Vec<_>>()
    };
    // What the first start opens may stay for the next.
    office.post("start?wait=30s", wanted()).await;
    office.post("stop", wanted()).await;
    place.no_ffmpeg_within(GONE_WITHIN).await;
    let before = descriptors().len();
    for _ in 0..3 {
        let (code, answer) = office.post("start?wait=30s", wanted()).await;
        assert_eq!((code, place.ffmpegs().len()), (StatusCode::OK, 1), "{answer}");
        assert_eq!(office.post("stop", wanted()).await.0, StatusCode::OK);
        // While it stops, and then a stop while it starts.
        let mut starts = JoinSet::new();
        for _ in 0..100 {
            let (office, wanted) = (office.clone(), wanted());
            starts.spawn(async move { office.post("start", wanted).await });
        }
        assert!(starts.join_all().await.iter().all(|(code, _)| code.is_success()));
        assert_eq!(office.post("stop", wanted()).await.0, StatusCode::OK);
        assert!(place.ffmpegs().len() <= 1, "{:?}", place.ffmpegs());
    }
    let (code, answer) = office.post("start?wait=30s", wanted()).await;
    assert_eq!((code, place.ffmpegs().len()), (StatusCode::OK, 1), "{answer}");
    assert_eq!(office.post("stop", wanted()).await.0, StatusCode::OK);
    place.no_ffmpeg_within(GONE_WITHIN).await;
    let as_before = async || (descriptors().len() <= before).then_some(());
    until(UP_WITHIN, "as few descriptors as before", as_before, || format!("{before}: {:?}", descriptors()))
        .await;
    agent.stop(STOP_WITHIN).await;
}

/// Each start of ffmpeg for a stream is a line in `runs`.
const COUNTING: &str = r#"case "$*" in *-hls_time*) echo x >> FOLDER/runs ;; esac
exec ffmpeg "$@"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_starts_and_stops_all_the_time_gets_a_process_a_second() {
    let _turn = my_turn().await;
    let (listen, place) = (free_address(), Place::new("on-demand-restless"));
    let program = place.path().join("ffmpeg.sh");
    let here = place.path().display().to_string();
    script::write(&program, &COUNTING.replace("FOLDER", &here));
    place.write_config(&format!(
        "location: location_1\nspool: {here}/spool\nstorage: {{type: file, root: {here}/store}}\n\
         http: {{listen: \"{listen}\"}}\nffmpeg: {}\n{SETTINGS}cameras:\n  - {{id: {CAMERA}, rtsp_url: \"test://\"}}\n\
         \x20 - {{id: {LOCKED}, rtsp_url: \"rtsp://127.0.0.1:9/nobody\"}}\n",
        program.display(),
    ));
    let mut agent = place.start(&[]);
    let office = Office { client: Client::new(), base: format!("http://{listen}") };
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    let runs = || fs::read_to_string(place.path().join("runs")).unwrap_or_default().lines().count();
    let wanted = json!({"camera_id": CAMERA});
    let began = edge_agent::clock::now();
    while runs() < 8 {
        let before = runs();
        assert!(office.post("start", wanted.clone()).await.0.is_success());
        until(UP_WITHIN, "another run", async || (runs() > before).then_some(()), || agent.log()).await;
        assert_eq!(office.post("stop", wanted.clone()).await.0, StatusCode::OK);
        place.no_ffmpeg_within(GONE_WITHIN).await;
    }
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(8 - 3), "8 runs in {took:?}");
    // Nothing is ever published there, so each stop looks again for what may be left.
    let (nobody, before) = (json!({"camera_id": LOCKED}), agent.log().lines().count());
    let asked_before = office.storage_requests(LOCKED).await;
    for _ in 0..300 {
        assert!(office.post("start", nobody.clone()).await.0.is_success());
        assert_eq!(office.post("stop", nobody.clone()).await.0, StatusCode::OK);
    }
    let told = agent.log().lines().count() - before;
    let asked = office.storage_requests(LOCKED).await - asked_before;
    assert!(asked < 60, "{asked} requests to the storage");
    assert!(told < 30, "ten at once, and what a few runs say: {told} lines: {}", agent.log());
    let (code, answer) = office.post("start?wait=30s", wanted).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    assert_eq!(place.ffmpegs().len(), 1);
    agent.stop(STOP_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_learns_that_the_storage_takes_nothing() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let (listen, mut place) = (free_address(), Place::new("on-demand-refused"));
    let more = format!("http: {{listen: \"{listen}\"}}\n{SETTINGS}");
    place.configure(&minio, BUCKET, &[(CAMERA, "test://")], &more);
    place.env("AWS_SECRET_ACCESS_KEY", "not-the-secret");
    let mut agent = place.start(&[]);
    let office = Office { client: Client::new(), base: format!("http://{listen}") };
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    let (code, answer) = office.post("start?wait=40s", json!({"camera_id": CAMERA})).await;
    assert_eq!((code, &answer["cause"]), (StatusCode::BAD_GATEWAY, &json!("storage")), "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("403"), "{answer}");
    // The path that these are told leads to the box, which has the stream.
    let url = format!("http://{listen}/api/stream/start?indicator_id={CAMERA}&wait=40s");
    let answer: Value = office.client.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["status"], "started", "{answer}");
    let path = answer["stream_path"].as_str().unwrap();
    assert!(fetch(&office.client, &format!("http://{listen}{path}")).await.contains("#EXTINF"));
    agent.stop(STOP_WITHIN).await;
}
