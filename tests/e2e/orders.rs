//! Streams that callers start: with settings of their own, and of cameras that the configuration does not know.

use std::process::Output;
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::browser::free_address;
use crate::support::agent::{Agent, Place};
use crate::support::camera::{Camera, CameraOpts};
use crate::support::minio::Minio;
use crate::support::wait::{until, until_every};
use crate::{BUCKET, STOP_WITHIN, UP_WITHIN, bucket, folder_of, minio, my_turn, playlist_of};

const TOKEN: &str = "a-token-of-some-length";
const STARTS: usize = 100;
const HERE: &str = "/streams/gate/stream.m3u8";
const IDLE: Duration = Duration::from_secs(5);
const GONE_WITHIN: Duration = IDLE.saturating_add(Duration::from_secs(10));
/// Holds and a sweep.
const CLEARED_WITHIN: Duration = Duration::from_secs(240);
const SETTINGS: &str =
    "defaults: {settings: {segment_duration: 1, segments_to_keep: 3, start: on_demand, idle_timeout: 5}}\n";
/// The test cameras are on this machine.
const ADHOC: &str = "allow_adhoc: true, adhoc: {networks: [127.0.0.0/8], max_streams: 3}";

struct Office {
    client: Client,
    base: String,
}

impl Office {
    async fn post(&self, call: &str, body: Value) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}/api/streams/{call}", self.base)).json(&body);
        answered(request).await
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        answered(self.client.get(format!("{}{path}", self.base))).await
    }

    /// What the box itself serves; nothing where it has nothing.
    async fn served(&self, path: &str) -> String {
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth(TOKEN);
        request.send().await.expect("the agent answers").text().await.expect("text")
    }

    async fn status(&self, id: &str) -> Value {
        self.get(&format!("/api/streams/status/{id}")).await.1
    }
}

/// Not all may wait at once: the others are told so, and come again.
async fn patient(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let ask = async || {
        let answer = answered(request.try_clone().expect("a body that can be sent again")).await;
        (answer.0 != StatusCode::SERVICE_UNAVAILABLE).then_some(answer)
    };
    // Whoever has a place waits for his answer, too.
    until_every(Duration::from_secs(1), 3 * UP_WITHIN, "an answer", ask, || "").await
}

async fn answered(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let answer = request.bearer_auth(TOKEN).send().await.expect("the agent answers");
    (answer.status(), answer.json().await.expect("JSON"))
}

fn configuration(place: &Place, minio: &Minio, listen: &str, http: &str, cameras: &str) -> String {
    let spool = place.path().join("spool");
    format!(
        "location: location_1\nspool: {}\nstorage: {{type: s3, bucket: {BUCKET}, endpoint: \"{}\"}}\n\
         http: {{listen: \"{listen}\", token: {TOKEN}, {http}}}\n{SETTINGS}cameras: {cameras}\n",
        spool.display(),
        minio.endpoint
    )
}

async fn office(place: &mut Place, minio: &Minio, http: &str, cameras: &str) -> (Office, Agent, String) {
    let listen = free_address();
    place.env("AWS_ACCESS_KEY_ID", &minio.access_key).env("AWS_SECRET_ACCESS_KEY", &minio.secret_key);
    place.write_config(&configuration(place, minio, &listen, http, cameras));
    let mut agent = place.start(&[]);
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    (Office { client: Client::new(), base: format!("http://{listen}") }, agent, listen)
}

async fn text_of(url: &str) -> String {
    reqwest::get(url).await.expect("MinIO answers").text().await.expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_starts_of_an_unknown_camera_are_one_stream_that_is_forgotten_when_it_ends() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let login = Some(("viewer".to_owned(), "hunter2".to_owned()));
    let camera = Camera::start(CameraOpts { gop: 25, login, ..CameraOpts::default() }).await;
    let url = camera.url_with("viewer:hunter2");
    let mut place = Place::new("adhoc");
    let (office, mut agent, _) = office(&mut place, &minio, ADHOC, "[]").await;

    let call = |_| {
        let body = json!({"rtsp_url": url, "stream_id": "gate"});
        patient(office.client.post(format!("{}/api/streams/start?wait=60s", office.base)).json(&body))
    };
    for (code, answer) in join_all((0..STARTS).map(call)).await {
        assert_eq!((code, &answer["status"]), (StatusCode::OK, &json!("running")), "{answer}");
        assert_eq!((&answer["stream_id"], &answer["local_url"]), (&json!("gate"), &json!(HERE)));
    }
    assert_eq!(place.ffmpegs().len(), 1, "one stream for all");
    let playlist = playlist_of(&minio, "gate");
    assert!(text_of(&playlist).await.contains("#EXTINF"), "it can be played");

    // It is a stream as any other.
    let here = async || office.served(HERE).await.contains("#EXTINF").then_some(());
    until(UP_WITHIN, "the same from the box", here, || "").await;
    assert_eq!(office.status("gate").await["viewers"], 1);
    let (_, list) = office.get("/api/streams").await;
    assert_eq!((list[0]["stream_id"].as_str(), list[0]["is_active"].as_bool()), (Some("gate"), Some(true)));
    let (_, health) = office.get("/api/health").await;
    assert_eq!((&health["active_streams"], &health["cameras"][0]["camera_id"]), (&json!(1), &json!("gate")));
    let metrics = office.client.get(format!("{}/metrics", office.base)).bearer_auth(TOKEN);
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    for line in
        ["edge_agent_stream_active{camera=\"gate\"} 1", "edge_agent_storage_requests_total{camera=\"gate\","]
    {
        assert!(metrics.contains(line), "{metrics}");
    }
    let (_, page) = office.get("/api/cameras.json").await;
    assert_eq!(page[0]["id"], "gate");

    // Its id is its own, and so is that of each camera in the file.
    let (code, answer) =
        office.post("start", json!({"rtsp_url": camera.url_with("viewer:other"), "stream_id": "gate"})).await;
    assert_eq!(code, StatusCode::CONFLICT, "{answer}");
    let (code, answer) = office.post("start", json!({"rtsp_url": url, "stream_id": "GATE"})).await;
    assert_eq!(code, StatusCode::CONFLICT, "{answer}");

    place.no_ffmpeg_within(GONE_WITHIN).await;
    let (client, folder) = (minio.client(), folder_of("gate"));
    let cleared = async || bucket::segments(&client, &folder).await.is_empty().then_some(());
    until(CLEARED_WITHIN, "the bucket without segments", cleared, || "").await;
    let text = text_of(&playlist).await;
    assert!(text.contains("#EXT-X-ENDLIST") && !text.contains("#EXTINF"), "{text}");
    let forgotten = async || (office.get("/api/streams").await.1 == json!([])).then_some(());
    until(UP_WITHIN, "an agent that has forgotten it", forgotten, || "").await;
    assert_eq!(office.post("touch", json!({"stream_id": "gate"})).await.0, StatusCode::NOT_FOUND);
    assert!(!place.path().join("spool/gate").exists(), "nothing of it is left on the box");
    nothing_secret(&agent, &[&health, &page, &list], "hunter2");
    agent.stop(STOP_WITHIN).await;
}

fn nothing_secret(agent: &Agent, answers: &[&Value], secret: &str) {
    assert!(!agent.log().contains(secret), "{}", agent.log());
    for answer in answers {
        assert!(!answer.to_string().contains(secret), "{answer}");
    }
}

/// Each with its cause; what a caller can do about it is in the words.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_an_unknown_camera_learns_why_it_gives_nothing() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let login = Some(("viewer".to_owned(), "hunter2".to_owned()));
    let locked = Camera::start(CameraOpts { login, ..CameraOpts::default() }).await;
    let open = Camera::start(CameraOpts::default()).await;
    let mut place = Place::new("adhoc-failures");
    let (office, mut agent, _) = office(&mut place, &minio, ADHOC, "[]").await;
    let wrong = locked.url_with("viewer:wrong-secret");
    let start = async |id: &str, url: &str| {
        let body = json!({"stream_id": id, "rtsp_url": url});
        let (code, answer) = office.post("start?wait=40s", body).await;
        assert!(!answer.to_string().contains("wrong-secret"), "{answer}");
        (code, answer["cause"].as_str().unwrap_or_default().to_owned(), answer["error"].to_string())
    };
    let (code, cause, error) = start("locked", &wrong).await;
    assert_eq!((code, &*cause), (StatusCode::BAD_GATEWAY, "auth"), "{error}");
    assert!(error.contains("refused user or password"), "{error}");
    // Its account must not be locked: whoever asks again has the answer at once, also for a stream that was stopped.
    for _ in 0..3 {
        let at_once = tokio::time::timeout(Duration::from_secs(5), start("locked", &wrong)).await;
        let (code, cause, error) = at_once.expect("an answer at once");
        assert_eq!((code, &*cause), (StatusCode::BAD_GATEWAY, "auth"), "{error}");
        office.post("stop", json!({"stream_id": "locked"})).await;
    }
    let status = office.status("locked").await;
    assert!(status["reconnect_count"].as_u64() <= Some(1), "one try: {status}");
    // With the right password it is another matter.
    let (code, _, error) = start("locked", &locked.url_with("viewer:hunter2")).await;
    assert_eq!(code, StatusCode::OK, "{error}");

    let (code, cause, error) = start("nowhere", &open.url().replace("/cam1", "/no-such-path")).await;
    assert_eq!((code, &*cause), (StatusCode::BAD_GATEWAY, "not_found"), "{error}");
    office.post("stop", json!({"stream_id": "nowhere"})).await;
    let refused = format!("rtsp://{}/cam1", free_address());
    let (code, cause, error) = start("refused", &refused).await;
    assert_eq!((code, &*cause), (StatusCode::BAD_GATEWAY, "unreachable"), "{error}");
    // Whoever asks for what failed before has another try, not an old answer.
    let before = office.status("refused").await["reconnect_count"].as_u64();
    let (_, cause, error) = start("refused", &refused).await;
    assert_eq!(cause, "unreachable", "{error}");
    assert!(office.status("refused").await["reconnect_count"].as_u64() > before);
    let (code, cause, error) = start("unknown", "rtsp://no-such-camera.invalid/1").await;
    assert_eq!((code, &*cause), (StatusCode::BAD_GATEWAY, "unreachable"), "{error}");

    // By the back office's names.
    let link = "rtsp_link=rtsp%3A%2F%2Fviewer%3Awrong-secret%40";
    let (code, answer) = office.get(&format!("/api/stream/start?indicator_id=7&{link}127.0.0.1:1%2Fx")).await;
    assert_eq!((code, &answer["cause"]), (StatusCode::BAD_GATEWAY, &json!("unreachable")), "{answer}");
    nothing_secret(&agent, &[&answer], "wrong-secret");
    agent.stop(STOP_WITHIN).await;
}

/// A camera that is there, takes the connection, and whose sound goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_camera_that_sends_no_picture_learns_that() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts { audio: true, ..CameraOpts::default() }).await;
    camera.control("freeze?what=video").await;
    let mut place = Place::new("adhoc-no-picture");
    let (office, mut agent, _) = office(&mut place, &minio, ADHOC, "[]").await;
    let (office, url) = (&office, camera.url());
    let start = async |id: &str, quality: &str, wait: &str| {
        let body = json!({"stream_id": id, "rtsp_url": url, "quality": quality});
        office.post(&format!("start?wait={wait}"), body).await
    };
    let (looked_at, encoded, impatient) = tokio::join!(
        start("auto", "auto", "60s"),
        start("low", "low", "60s"),
        start("medium", "medium", "2s")
    );
    for (code, answer) in [&looked_at, &encoded] {
        assert_eq!(*code, StatusCode::BAD_GATEWAY, "{answer}");
        let cause = answer["cause"].as_str().unwrap_or_default();
        // ffmpeg hangs up where a busy machine holds it up.
        let is_busy = cause == "unreachable" && camera.held_up().await > 0;
        assert!(is_busy || ["stalled", "bad_stream"].contains(&cause), "{answer}");
    }
    // Nobody knows yet.
    assert_eq!((impatient.0, &impatient.1["status"]), (StatusCode::ACCEPTED, &json!("starting")));
    // It is no reason to give up.
    camera.control("thaw").await;
    let (code, answer) = start("low", "low", "60s").await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    agent.stop(STOP_WITHIN).await;
}

/// What must not be reached is not, and nothing that a caller says gets into the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_camera_is_started_only_where_it_may_be() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts::default()).await;
    let mut place = Place::new("adhoc-limits");
    let known = format!(
        "[{{id: known, rtsp_url: \"{}\"}}, {{id: Off, enabled: false, rtsp_url: \"test://\"}}]",
        camera.url().replace("cam1", "cam2")
    );
    let usual = "allow_adhoc: true, adhoc: {max_streams: 2}";
    let (office, mut agent, listen) = office(&mut place, &minio, usual, &known).await;
    let port = camera.port;
    for (url, expected) in [
        (format!("rtsp://127.0.0.1:{port}/cam1"), StatusCode::FORBIDDEN),
        (format!("rtsp://localhost:{port}/cam1"), StatusCode::FORBIDDEN),
        (format!("rtsp://[::1]:{port}/cam1"), StatusCode::FORBIDDEN),
        (format!("rtsp://[::ffff:127.0.0.1]:{port}/cam1"), StatusCode::FORBIDDEN),
        (format!("rtsp://[64:ff9b::7f00:1]:{port}/cam1"), StatusCode::FORBIDDEN),
        (format!("rtsp://0.0.0.0:{port}/cam1"), StatusCode::FORBIDDEN),
        ("rtsp://169.254.169.254/latest/meta-data".into(), StatusCode::FORBIDDEN),
        ("rtsp://224.0.0.1/x".into(), StatusCode::FORBIDDEN),
        (format!("rtsp://0x7f.1:{port}/cam1"), StatusCode::BAD_REQUEST),
        (format!("rtsp://2130706433:{port}/cam1"), StatusCode::BAD_REQUEST),
        (format!("rtsp://017700000001:{port}/cam1"), StatusCode::BAD_REQUEST),
        (format!("rtsp://127.1:{port}/cam1"), StatusCode::BAD_REQUEST),
        (format!("rtsp://%31%32%37.0.0.1:{port}/cam1"), StatusCode::BAD_REQUEST),
        ("file:///etc/passwd".into(), StatusCode::BAD_REQUEST),
        ("http://10.0.0.9/".into(), StatusCode::BAD_REQUEST),
        ("test://".into(), StatusCode::BAD_REQUEST),
        ("-i".into(), StatusCode::BAD_REQUEST),
        ("rtsp://10.0.0.9/x\nINJECTED".into(), StatusCode::BAD_REQUEST),
        ("rtsp://10.0.0.9/x\u{1b}[31mINJECTED".into(), StatusCode::BAD_REQUEST),
        ("rtsp://10.0.0.9/'\noption INJECTED".into(), StatusCode::BAD_REQUEST),
    ] {
        let (code, answer) = office.post("start?wait=5s", json!({"rtsp_url": url})).await;
        assert_eq!(code, expected, "{url}: {answer}");
    }
    for id in ["x\nINJECTED", "../up", "", ".x", "-i", "a b", "x/y", "\u{1b}[31m", &"x".repeat(65)] {
        let body = json!({"rtsp_url": "rtsp://10.0.0.9/x", "stream_id": id});
        let (code, answer) = office.post("start", body).await;
        assert_eq!(code, StatusCode::BAD_REQUEST, "{id:?}: {answer}");
    }
    // Also of a camera that does not run, and in other letters.
    for id in ["known", "KNOWN", "off"] {
        let body = json!({"rtsp_url": "rtsp://10.0.0.9/x", "stream_id": id});
        let (code, answer) = office.post("start", body).await;
        assert_eq!(code, StatusCode::CONFLICT, "{id}: {answer}");
    }
    assert!(place.ffmpegs().is_empty() && !agent.log().contains("INJECTED"), "{}", agent.log());
    assert_eq!(office.get("/api/streams").await.1.as_array().map(Vec::len), Some(1), "the one of the file");

    // The configuration opens this machine's own cameras, and soon closes them again.
    let text = |http: &str| configuration(&place, &minio, &listen, http, &known);
    let reload = async |agent: &mut Agent, http: &str, count: usize| {
        place.write_config(&text(http));
        agent.signal(Signal::SIGHUP);
        let reloaded =
            async || (agent.log().matches("configuration reloaded").count() == count).then_some(());
        until(UP_WITHIN, "a reload", reloaded, || "").await;
    };
    reload(&mut agent, "allow_adhoc: true, adhoc: {networks: [127.0.0.0/8], max_streams: 2}", 1).await;
    let start = async |id: &str, wait: &str| {
        let body = json!({"rtsp_url": camera.url(), "stream_id": id});
        office.post(&format!("start{wait}"), body).await
    };
    assert_eq!(start("one", "?wait=40s").await.0, StatusCode::OK);
    assert_eq!(start("two", "").await.0, StatusCode::ACCEPTED);
    let (code, answer) = start("three", "").await;
    assert_eq!(code, StatusCode::TOO_MANY_REQUESTS, "{answer}");
    assert!(answer["error"].to_string().contains("max_streams"), "{answer}");
    assert_eq!(start("one", "").await.0, StatusCode::OK, "who joins takes no place");
    office.post("stop", json!({"stream_id": "two"})).await;
    let free = async || (start("three", "").await.0 == StatusCode::ACCEPTED).then_some(());
    until(UP_WITHIN, "the place of one that was stopped", free, || "").await;

    let pid = |id: &str| {
        let folder = format!("/{id}/");
        place.ffmpegs().into_iter().find(|ffmpeg| ffmpeg.argv.contains(&folder)).map(|ffmpeg| ffmpeg.pid)
    };
    let one = pid("one");
    reload(&mut agent, "allow_adhoc: true, adhoc: {networks: [127.0.0.0/8], max_streams: 3}", 2).await;
    assert_eq!(start("one", "?wait=5s").await.0, StatusCode::OK);
    assert!(one.is_some() && pid("one") == one, "a reload touches no stream of a caller");
    reload(&mut agent, "sign_max: 60", 3).await;
    assert_eq!(start("four", "").await.0, StatusCode::FORBIDDEN);
    assert_eq!(office.post("touch", json!({"stream_id": "one"})).await.0, StatusCode::NOT_FOUND);
    place.no_ffmpeg_within(GONE_WITHIN).await;
    let ended = async || text_of(&playlist_of(&minio, "one")).await.contains("#EXT-X-ENDLIST").then_some(());
    until(UP_WITHIN, "the end of what is not allowed any more", ended, || "").await;
    agent.stop(STOP_WITHIN).await;
}

/// A camera that sends whoever comes to another address.
async fn misleading(target: String) -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/cam1", listener.local_addr().unwrap());
    let serve = async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            let (mut method, mut number) = (String::new(), String::new());
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(found) = line.strip_prefix("CSeq: ") {
                    number = found.to_owned();
                }
                if method.is_empty() {
                    method = line.split(' ').next().unwrap_or_default().to_owned();
                }
                if line.is_empty() {
                    let answer = match std::mem::take(&mut method).as_str() {
                        "DESCRIBE" => {
                            format!("RTSP/1.0 302 Found\r\nCSeq: {number}\r\nLocation: {target}\r\n\r\n")
                        }
                        _ => format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\nPublic: DESCRIBE\r\n\r\n"),
                    };
                    let _ = write.write_all(answer.as_bytes()).await;
                }
            }
        }
    };
    #[expect(clippy::disallowed_methods, reason = "the test ends it")]
    let task = tokio::spawn(serve);
    (url, task)
}

/// Whoever may be reached could otherwise lead anywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_a_caller_named_leads_nowhere_else() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts { gop: 25, ..CameraOpts::default() }).await;
    let (url, misleads) = misleading(camera.url()).await;
    let mut place = Place::new("adhoc-redirect");
    let cameras = format!("[{{id: known, rtsp_url: \"{url}\"}}]");
    let (office, mut agent, _) = office(&mut place, &minio, ADHOC, &cameras).await;
    for quality in ["low", "auto"] {
        let body = json!({"rtsp_url": url, "stream_id": quality, "quality": quality});
        let (code, answer) = office.post("start?wait=30s", body).await;
        assert_eq!((code, &answer["cause"]), (StatusCode::BAD_GATEWAY, &json!("redirected")), "{answer}");
        let client = minio.client();
        let mut objects = bucket::objects(&client, &folder_of(quality)).await;
        objects.retain(|name| name != "status.json");
        assert_eq!(objects, [""; 0], "nothing of it is published but how it is");
    }
    // Whoever writes the configuration knows his cameras.
    let (code, answer) = office.post("start?wait=40s", json!({"camera_id": "known"})).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    misleads.abort();
    agent.stop(STOP_WITHIN).await;
}

async fn ffprobe(args: &[&str], url: &str) -> Output {
    let output = Command::new("ffprobe").args(["-v", "error"]).args(args).arg(url).output().await;
    output.expect("install ffmpeg: apt-get install ffmpeg")
}

async fn width_of(minio: &Minio, camera: &str) -> String {
    let playlist = playlist_of(minio, camera);
    let name = text_of(&playlist).await.lines().rev().find(|line| line.ends_with(".ts")).map(str::to_owned);
    let segment = playlist.replace("stream.m3u8", &name.unwrap_or_default());
    let seen =
        ffprobe(&["-select_streams", "v", "-show_entries", "stream=width", "-of", "csv=p=0"], &segment).await;
    // A program's streams are told twice.
    String::from_utf8_lossy(&seen.stdout).lines().next().unwrap_or_default().trim_matches(',').to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_start_wants_otherwise_holds_until_the_stream_ends() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts::default()).await;
    let mut place = Place::new("overrides");
    let url = camera.url();
    let cameras = format!(
        "[{{id: cam, rtsp_url: \"{url}\"}}, {{id: always, rtsp_url: \"test://\", settings: {{start: always, target_width: 320}}}}]"
    );
    let (office, mut agent, _) = office(&mut place, &minio, ADHOC, &cameras).await;
    for (body, words) in [
        (json!({"quality": "hgih"}), "quality: is not known; did you mean `high`?"),
        (json!({"quality": "hunter2"}), "quality: is not known; use one of low, medium, high, auto"),
        (
            json!({"profile": "fast"}),
            "profile: is not known; use one of realtime, low, balanced, stable, sub_second",
        ),
        (json!({"max_bitrate": 50}), "max_bitrate: is 50; use 100 to 100000"),
        (json!({"max_bitrate": -1}), "max_bitrate: is -1; use 100 to 100000"),
    ] {
        for of in [json!({"camera_id": "cam"}), json!({"rtsp_url": url, "stream_id": "gate"})] {
            let mut body = body.clone();
            of.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
            let (code, answer) = office.post("start", body.clone()).await;
            assert_eq!((code, answer["error"].as_str()), (StatusCode::BAD_REQUEST, Some(words)), "{body}");
        }
    }
    let effect =
        |answer: &Value| [&answer["quality"], &answer["max_bitrate"], &answer["profile"]].map(Value::clone);
    let low = json!({"camera_id": "cam", "quality": "low", "max_bitrate": 300, "profile": "realtime"});
    let (code, answer) = office.post("start?wait=40s", low).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    assert_eq!(effect(&answer), [json!("low"), json!(300), json!("realtime")]);
    assert_eq!(width_of(&minio, "cam").await, "640");
    assert!(text_of(&playlist_of(&minio, "cam")).await.contains("#EXTINF:0.5"), "its segments are as short");
    let pids = || place.ffmpegs().into_iter().map(|ffmpeg| ffmpeg.pid).collect::<Vec<_>>();
    let before = pids();
    let other = json!({"camera_id": "cam", "quality": "high"});
    let (_, answer) = office.post("start?wait=10s", other.clone()).await;
    assert_eq!(effect(&answer), [json!("low"), json!(300), json!("realtime")], "it joins what runs");
    assert_eq!(pids(), before);
    office.post("stop", json!({"camera_id": "cam"})).await;
    let one_left = async || (place.ffmpegs().len() == 1).then_some(());
    until(GONE_WITHIN, "the end of that stream", one_left, || "").await;
    let (code, answer) = office.post("start?wait=40s", json!({"camera_id": "cam"})).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    assert_eq!(effect(&answer), [Value::Null, Value::Null, json!("low")], "as the configuration says again");
    let usual = async || (width_of(&minio, "cam").await == "854").then_some(());
    until(UP_WITHIN, "the usual picture", usual, || "").await;

    // Whatever its login is: one session with a camera is enough.
    let (_, answer) =
        office.post("start?wait=40s", json!({"rtsp_url": camera.url_with("somebody:else")})).await;
    assert_eq!((answer["stream_id"].as_str(), answer["status"].as_str()), (Some("cam"), Some("running")));
    office.post("stop", json!({"camera_id": "cam"})).await;
    until(GONE_WITHIN, "its end", one_left, || "").await;
    let (_, answer) = office.post("start", json!({"camera_id": "cam", "profile": "sub_second"})).await;
    assert_eq!(answer["profile"], "sub_second", "{answer}");

    let gate = json!({"rtsp_url": url, "stream_id": "gate", "quality": "medium"});
    let (code, answer) = office.post("start?wait=40s", gate).await;
    assert_eq!((code, &answer["quality"]), (StatusCode::OK, &json!("medium")), "{answer}");

    let (code, answer) = office.post("start", json!({"camera_id": "always", "quality": "low"})).await;
    assert_eq!(code, StatusCode::CONFLICT, "{answer}");
    assert_eq!(office.post("start?wait=40s", json!({"camera_id": "always"})).await.0, StatusCode::OK);
    agent.stop(STOP_WITHIN).await;
}

/// A box that lost its agent has nobody else who knows of its callers' streams.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_agent_left_of_a_callers_stream_is_ended_and_removed() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts { gop: 25, ..CameraOpts::default() }).await;
    let mut place = Place::new("adhoc-left");
    let (office, mut agent, _) = office(&mut place, &minio, ADHOC, "[]").await;
    let body = json!({"rtsp_url": camera.url(), "stream_id": "gate"});
    assert_eq!(office.post("start?wait=40s", body.clone()).await.0, StatusCode::OK);
    agent.kill9().await;
    let (client, folder) = (minio.client(), folder_of("gate"));
    assert!(!bucket::segments(&client, &folder).await.is_empty());
    let mut agent = place.start(&[]);
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    assert_eq!(office.get("/api/streams").await.1, json!([]), "it is not known what it was");
    assert!(!place.path().join("spool/gate/origin").exists(), "the box serves it no more");
    let cleared = async || bucket::segments(&client, &folder).await.is_empty().then_some(());
    until(CLEARED_WITHIN, "the bucket without segments", cleared, || agent.log()).await;
    let text = text_of(&playlist_of(&minio, "gate")).await;
    assert!(text.contains("#EXT-X-ENDLIST") && !text.contains("#EXTINF"), "{text}");
    let forgotten = async || (!place.path().join("spool/gate").exists()).then_some(());
    until(UP_WITHIN, "a spool without it", forgotten, || "").await;
    assert_eq!(office.post("start?wait=40s", body).await.0, StatusCode::OK, "and it may come again");
    agent.stop(STOP_WITHIN).await;
}

/// A box that has neither a storage nor cameras of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callers_stream_needs_no_storage() {
    let _turn = my_turn().await;
    let camera = Camera::start(CameraOpts { gop: 25, ..CameraOpts::default() }).await;
    let (place, listen) = (Place::new("adhoc-here"), free_address());
    let configure = |http: &str| {
        place.write_config(&format!(
            "location: location_1\nspool: {}\nstorage: {{type: none}}\n\
             http: {{listen: \"{listen}\", token: {TOKEN}, {http}}}\n{SETTINGS}cameras: []\n",
            place.path().join("spool").display()
        ));
    };
    configure(ADHOC);
    let mut agent = place.start(&[]);
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    let office = Office { client: Client::new(), base: format!("http://{listen}") };
    let body = json!({"rtsp_url": camera.url(), "stream_id": "gate"});
    let (code, answer) = office.post("start?wait=40s", body).await;
    assert_eq!((code, &answer["local_url"]), (StatusCode::OK, &json!(HERE)), "{answer}");
    assert_eq!(answer["playlist_url"], Value::Null);
    assert!(office.served(HERE).await.contains("#EXTINF"));
    configure("allow_adhoc: true, adhoc: {networks: [127.0.0.0/8], max_streams: 4}");
    agent.signal(Signal::SIGHUP);
    agent.log_line(&["configuration reloaded"], UP_WITHIN).await;
    assert!(office.served(HERE).await.contains("#EXTINF"), "a reload leaves it alone");
    place.no_ffmpeg_within(GONE_WITHIN).await;
    let forgotten = async || {
        let is_listed = office.get("/api/streams").await.1 != json!([]);
        (!is_listed && !place.path().join("spool/gate").exists()).then_some(())
    };
    until(CLEARED_WITHIN, "an agent and a spool without it", forgotten, || "").await;
    agent.stop(STOP_WITHIN).await;
}

/// The streamer's whole configuration is its environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_of_other_services_is_understood() {
    let _turn = my_turn().await;
    let mut place = Place::new("usual-env");
    let (store, spool) = (place.path().join("store"), place.path().join("segments"));
    let listen = free_address();
    let port = listen.to_string().rsplit(':').next().unwrap().to_owned();
    place.write_config("- {id: \"123\", rtsp_url: \"test://\", settings: {start: on_demand}}\n");
    place.env("EDGE_AGENT_STORAGE", &format!("file://{}", store.display()));
    place.env("PORT", &port).env("STREAM_DIR", &spool.display().to_string());
    place.env("CLEANUP_DELAY_SECONDS", "6").env("HLS_SEGMENT_TIME", "1").env("HLS_LIST_SIZE", "4");
    let mut agent = place.start(&[]);
    agent.log_line(&["edge-agent started", &port], UP_WITHIN).await;
    let office = Office { client: Client::new(), base: format!("http://127.0.0.1:{port}") };
    let (code, answer) = office.get("/api/stream/start?indicator_id=123&wait=40s").await;
    assert_eq!((code, &answer["status"]), (StatusCode::OK, &json!("started")), "{answer}");
    let path = answer["stream_path"].as_str().unwrap().to_owned();
    let listed = async || {
        let text = text_of(&format!("http://127.0.0.1:{port}{path}")).await;
        (text.matches("#EXTINF:1.0").count() == 4).then_some(())
    };
    until(UP_WITHIN, "a list of four segments of a second", listed, || "").await;
    assert!(spool.join("123").is_dir());
    assert_eq!(office.get("/api/stream/status?indicator_id=123").await.1["status"], "running");
    place.no_ffmpeg_within(Duration::from_secs(6 + 10)).await;
    let (code, answer) =
        office.get("/api/stream/start?indicator_id=9&rtsp_link=rtsp%3A%2F%2F10.0.0.9%2Fx").await;
    assert_eq!((code, &answer["status"]), (StatusCode::FORBIDDEN, &json!("error")), "{answer}");
    agent.stop(STOP_WITHIN).await;
}
