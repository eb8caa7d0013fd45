//! Eight cameras for a long time before a store with random short faults: nothing may grow.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use edge_agent::domain::dice::Dice;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::bucket;
use crate::report::artifact;
use crate::sample::{CSV_HEAD, Sample, verdict};
use crate::stage::{BUCKET, SLACK, STOP_WITHIN, config, last, small_camera};
use crate::storage;
use crate::support::agent::{Agent, Place};
use crate::support::camera::{Camera, CameraOpts};
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::minio::Minio;
use crate::support::viewer::Viewer;

const CAMERAS: u32 = 8;
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// Memory is compared with its value then, or at half time if that is sooner.
const BASE: Duration = Duration::from_secs(600);
/// A viewer remembers all that it saw: another one takes over now and then.
const SHIFT: Duration = Duration::from_secs(600);
const CALM_S: (f64, f64) = (10.0, 40.0);
const FAULT_S: (f64, f64) = (1.0, 8.0);
const LOCATION: &str = "location_1/";

/// In the order in which it is dropped.
struct Soak {
    agent: Agent,
    _camera: Camera,
    proxy: FaultProxy,
    minio: Minio,
    place: Place,
}

/// Whether all stayed flat.
#[expect(clippy::print_stdout, reason = "its report")]
pub async fn run(time: Duration, seed: u64) -> bool {
    println!("soak: {CAMERAS} cameras for {time:?}, seed {seed}");
    let mut soak = start().await;
    let mut problems = Vec::new();
    let over = CancellationToken::new();
    let watching = async {
        let samples = watch(&soak, time).await;
        over.cancel();
        samples
    };
    let troubling = over.run_until_cancelled(trouble(&soak.proxy, seed));
    let (samples, breaches, _) = tokio::join!(watching, view(&soak.minio, &over), troubling);
    problems.extend(breaches);
    soak.proxy.set(Fault::None).await;
    soak.agent.assert_running();
    soak.agent.stop(STOP_WITHIN).await;
    soak.place.no_ffmpeg_within(SLACK).await;
    let base = BASE.min(time / 2);
    let (summary, grown) = verdict(&samples, base, CAMERAS.into());
    problems.extend(grown);
    let requests = soak.proxy.counts();
    println!("{summary}requests: {requests:?}\n{}", if problems.is_empty() { "held" } else { "BROKEN" });
    problems.iter().for_each(|problem| println!("    {problem}"));
    problems.is_empty()
}

async fn start() -> Soak {
    let minio = Minio::start().await;
    minio.create_public_bucket(BUCKET).await;
    let proxy = FaultProxy::start(&minio.endpoint).await;
    let camera = Camera::start(CameraOpts { count: CAMERAS, ..small_camera() }).await;
    let mut place = Place::new("soak");
    place.env("AWS_ACCESS_KEY_ID", &minio.access_key).env("AWS_SECRET_ACCESS_KEY", &minio.secret_key);
    let mut cameras = String::new();
    for number in 1..=CAMERAS {
        writeln!(cameras, "  - {{id: cam_{number}, rtsp_url: \"{}\"}}", camera.url_of(number))
            .expect("a String takes it");
    }
    place.write_config(&config(&place, &proxy.http(), &minio.endpoint, &cameras));
    let agent = place.start(&[]);
    Soak { minio, proxy, place, agent, _camera: camera }
}

/// A sample every ten seconds, also into artifacts/soak.csv.
async fn watch(soak: &Soak, time: Duration) -> Vec<Sample> {
    let client = soak.minio.client();
    let mut csv = File::create(artifact("soak.csv")).expect("the samples can be written");
    csv.write_all(CSV_HEAD.as_bytes()).expect("the samples can be written");
    let start = now();
    let mut ticks = interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut samples = Vec::new();
    while start.elapsed() < time {
        ticks.tick().await;
        let objects = bucket::media(&client, LOCATION).await.len() as u64;
        let (spool, log) = (soak.place.path().join("spool"), soak.place.path().join("agent.log"));
        let sample = Sample::of(soak.agent.id(), start.elapsed(), objects, &spool, &log);
        csv.write_all(sample.csv().as_bytes()).expect("the samples can be written");
        samples.push(sample);
    }
    samples
}

/// One random fault after the other, for ever.
async fn trouble(proxy: &FaultProxy, seed: u64) -> Infallible {
    let mut dice = Dice::new(seed);
    let between = |(least, most): (f64, f64), dice: &mut Dice| {
        Duration::from_secs_f64(least + (most - least) * dice.unit())
    };
    let faults = storage::proxy_faults();
    loop {
        last(between(CALM_S, &mut dice)).await;
        let at = dice.roll() as usize % faults.len();
        proxy.set(faults[at].clone()).await;
        last(between(FAULT_S, &mut dice)).await;
        proxy.set(Fault::None).await;
    }
}

/// Watches one of the cameras; returns what was wrong.
async fn view(minio: &Minio, over: &CancellationToken) -> Vec<String> {
    let playlist = minio.public_url(BUCKET, &format!("{LOCATION}cam_1/stream.m3u8"));
    let mut breaches = Vec::new();
    while !over.is_cancelled() {
        let seen = tempfile::TempDir::new().expect("a folder for segments");
        let viewer = Viewer::watch(&playlist, seen.path());
        over.run_until_cancelled(last(SHIFT)).await;
        let report = viewer.stop().await;
        if !report.breaches.is_empty() {
            keep(&report.playlists);
        }
        breaches.extend(report.breaches);
        if report.segments.is_empty() {
            breaches.push("the viewer saw no segment".into());
        }
    }
    breaches
}

/// For whoever wants to know why.
fn keep(playlists: &[(Duration, String)]) {
    let told: String =
        playlists.iter().map(|(at, text)| format!("--- at {:.3} s\n{text}", at.as_secs_f64())).collect();
    std::fs::write(artifact("soak-playlists.txt"), told).expect("the playlists can be written");
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the soak lasts in real time")]
    Instant::now()
}
