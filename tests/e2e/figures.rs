//! What is told of a stream to those who can't see it: `status.json` in the bucket, the status, the metrics.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::browser::free_address;
use crate::support::agent::Place;
use crate::support::camera::{Camera, CameraOpts};
use crate::support::minio::Minio;
use crate::support::wait::until;
use crate::{BUCKET, STOP_WITHIN, UP_WITHIN, folder_of, minio, my_turn};

const CAMERA: &str = "cam_floor";
const LOCKED: &str = "cam_locked";
/// The prices of Amazon, which MinIO does not ask for.
const MORE: &str = "  request_prices: {write: 5, read: 0.4}\n";
/// A rate is that of a minute at least.
const RATE_WITHIN: Duration = Duration::from_secs(120);

async fn sheet(minio: &Minio, camera: &str) -> Option<Value> {
    let url = minio.public_url(BUCKET, &format!("{}status.json", folder_of(camera)));
    reqwest::get(url).await.ok().filter(|answer| answer.status() == 200)?.json().await.ok()
}

/// Looks at a camera's `status.json` all the time, and keeps each other one.
struct Watch {
    seen: Arc<Mutex<Vec<Value>>>,
    _task: JoinSet<()>,
}

impl Watch {
    fn start(url: String) -> Self {
        let seen = Arc::<Mutex<Vec<Value>>>::default();
        let (mut task, kept) = (JoinSet::new(), seen.clone());
        task.spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            loop {
                ticks.tick().await;
                let Ok(answer) = reqwest::get(&url).await else { continue };
                let Ok(told) = answer.json::<Value>().await else { continue };
                let mut seen = kept.lock().unwrap();
                if seen.last() != Some(&told) {
                    seen.push(told);
                }
            }
        });
        Self { seen, _task: task }
    }

    fn words(&self, key: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|told| told[key].as_str().unwrap_or_default().to_owned()).collect()
    }

    async fn says(&self, key: &str, word: &str) {
        let last = async || (self.words(key).last().map(String::as_str) == Some(word)).then_some(());
        until(UP_WITHIN, &format!("{key} {word}"), last, || format!("{:?}", self.words(key))).await;
    }
}

struct Agent {
    base: String,
}

impl Agent {
    async fn status(&self, camera: &str) -> Value {
        let url = format!("{}/api/streams/status/{camera}", self.base);
        reqwest::get(url).await.unwrap().json().await.unwrap()
    }

    async fn metrics(&self) -> String {
        reqwest::get(format!("{}/metrics", self.base)).await.unwrap().text().await.unwrap()
    }

    /// `None`: there is no such sample.
    async fn sample(&self, name: &str) -> Option<f64> {
        let text = self.metrics().await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dashboard_that_can_not_reach_the_box_sees_the_truth() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let opts = CameraOpts { gop: 25, ..CameraOpts::default() };
    let camera = Camera::start(opts.clone()).await;
    let login = Some(("viewer".to_owned(), "hunter2".to_owned()));
    let locked = Camera::start(CameraOpts { login, ..CameraOpts::default() }).await;
    let (listen, mut place) = (free_address(), Place::new("figures"));
    let wrong = locked.url_with("viewer:wrong-secret");
    let more = format!("{MORE}http: {{listen: \"{listen}\"}}\n");
    place.configure(&minio, BUCKET, &[(CAMERA, &camera.url()), (LOCKED, &wrong)], &more);
    let watch = Watch::start(minio.public_url(BUCKET, &format!("{}status.json", folder_of(CAMERA))));
    let mut running = place.start(&[]);
    let agent = Agent { base: format!("http://{listen}") };

    watch.says("phase", "live").await;
    watch.says("verdict", "ok").await;
    a_stream_has_its_figures(&agent).await;
    a_camera_that_never_gave_a_picture_says_why(&minio).await;
    requests_have_a_price(&agent).await;
    let cpu = format!("edge_agent_ffmpeg_cpu_seconds_total{{camera=\"{CAMERA}\"}}");
    let used = agent.sample(&cpu).await.unwrap();
    assert!(used > 0.1, "{used} s of CPU");

    let port = camera.port;
    camera.stop().await;
    watch.says("phase", "waiting").await;
    let camera = Camera::start(CameraOpts { port, ..opts }).await;
    watch.says("phase", "live").await;
    assert!(agent.sample(&cpu).await.unwrap() >= used, "a new ffmpeg does not set it back");
    let puts = format!(
        "edge_agent_storage_requests_total{{camera=\"{CAMERA}\",operation=\"put_status\",outcome=\"ok\"}}"
    );
    let puts = agent.sample(&puts).await.unwrap();
    let up_s = agent.status(CAMERA).await["health_check_count"].as_f64().unwrap() * 10.0;
    assert!(puts <= 8.0 + (up_s + 10.0) / 10.0, "{puts} in {up_s} s");
    promtool_takes(&agent.metrics().await);
    running.stop(STOP_WITHIN).await;
    watch.says("phase", "stopped").await;

    let mut phases = watch.words("phase");
    phases.dedup();
    let mut in_order = phases.iter().filter(|phase| phase.as_str() != "");
    for expected in ["starting", "live", "waiting", "live", "stopped"] {
        assert!(in_order.any(|phase| phase == expected), "{expected} in {phases:?}");
    }
    let told = sheet(&minio, CAMERA).await.unwrap();
    assert_eq!((&told["version"], &told["verdict"]), (&json!(1), &json!("idle")));
    assert_eq!(told["agent_version"], env!("CARGO_PKG_VERSION"));
    assert!(told["player"]["live_sync_duration_count"].is_u64(), "{told}");
    drop(camera);
}

async fn a_stream_has_its_figures(agent: &Agent) {
    let measured = async || {
        let status = agent.status(CAMERA).await;
        status["bitrate_kbps"].is_u64().then_some(status)
    };
    let status = until(UP_WITHIN, "a measured stream", measured, || "").await;
    assert_eq!((&status["mode"], &status["encoder"]), (&json!("transcode"), &json!("software")), "{status}");
    assert_eq!((&status["resolution"], &status["quality"]), (&json!("854x480"), &Value::Null), "{status}");
    let fps = status["fps"].as_f64().unwrap();
    assert!((14.5..15.5).contains(&fps), "{status}");
    let kbps = status["bitrate_kbps"].as_f64().unwrap();
    assert!((50.0..5000.0).contains(&kbps), "{status}");
}

/// The object is public.
async fn a_camera_that_never_gave_a_picture_says_why(minio: &Minio) {
    let down = async || {
        sheet(minio, LOCKED).await.filter(|told| told["verdict"] == "down" && told["phase"] == "waiting")
    };
    let told = until(UP_WITHIN, "the refused camera's status.json", down, || "").await;
    assert_eq!(told["last_segment_at"], Value::Null, "{told}");
    assert_eq!(told["reason"], "the camera refused user or password (401)");
    let text = told.to_string();
    assert!(!text.contains("secret") && !text.contains("127.0.0.1") && !text.contains("viewer"), "{text}");
}

/// Segments of 2 s: one PUT a second, $12.96 in 30 days at Amazon's prices, and what is beside them.
async fn requests_have_a_price(agent: &Agent) {
    let cost = format!("edge_agent_storage_cost_dollars_per_month{{camera=\"{CAMERA}\"}}");
    let told = async || agent.sample(&cost).await;
    let cost = until(RATE_WITHIN, "a price", told, || "").await;
    let status = agent.status(CAMERA).await;
    assert!((10.0..16.0).contains(&cost), "{cost}: {status}");
    let rate = status["requests_per_s"].as_f64().unwrap();
    assert!((0.8..1.3).contains(&rate), "{status}");
}

fn promtool_takes(metrics: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool =
        promtool.spawn().expect("needs promtool: packaging/setup.sh test installs it (package prometheus)");
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{metrics}", String::from_utf8_lossy(&output.stderr));
}
