//! A thousand cameras on demand: what those cost that nobody watches, and twenty at a time in rotation.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;

use super::{Office, UP_WITHIN, in_runtime, row};
use crate::camera::{Camera, CameraOpts};
use crate::process::{children, cpu_time, memory};
use crate::stage::Stage;

const CAMERAS: usize = 1000;
const ACTIVE: usize = 20;
/// So many groups are active one after the other.
const TURNS: usize = 4;
const IDLE: Duration = Duration::from_secs(60);
const WATCHED: Duration = Duration::from_secs(5);
/// Small, as twenty are copied at once on a small machine.
const CAMERA: &str = "--size=320x180 --fps=10 --gop=10 --audio=none";

pub fn report() -> anyhow::Result<()> {
    println!("{CAMERAS} cameras on demand, {ACTIVE} at a time");
    in_runtime(async {
        let camera = Camera::start(CameraOpts { audio: false, more: CAMERA, ..CameraOpts::default() }).await;
        let fleet: Vec<_> = (1..=CAMERAS).map(|n| (format!("cam_{n}"), camera.url())).collect();
        let alone = idle(&fleet[..1]).await?;
        println!("1 idle camera: {:.1} MB, {:.2} % of a core", alone.0, alone.1);
        let stage = Stage::set()?;
        let office = Office::open(&stage, SETTINGS, &fleet).await?;
        let many = rest(&office).await?;
        println!(
            "{CAMERAS} idle cameras: {:.1} MB, {:.2} % of a core: {:.1} kB each",
            many.0,
            many.1,
            (many.0 - alone.0) * 1000.0 / (CAMERAS - 1) as f64,
        );
        rotate(&office).await.with_context(|| office.agent.log())?;
        let after = rest(&office).await?;
        println!("Idle again: {:.1} MB, {:.2} % of a core.\n", after.0, after.1);
        office.agent.stop()
    })
}

const SETTINGS: &str = "quality: auto, segment_duration: 1, idle_timeout: 1h";

async fn idle(cameras: &[(String, String)]) -> anyhow::Result<(f64, f64)> {
    let stage = Stage::set()?;
    let office = Office::open(&stage, SETTINGS, cameras).await?;
    let rest = rest(&office).await?;
    office.agent.stop()?;
    Ok(rest)
}

/// MB of RSS, and percent of a core, while nothing is asked.
async fn rest(office: &Office<'_>) -> anyhow::Result<(f64, f64)> {
    let (pid, start) = (office.agent.pid(), Instant::now());
    let cpu = cpu_time(pid)?;
    tokio::time::sleep(IDLE).await;
    let spent = (cpu_time(pid)? - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    Ok((memory(pid)?.rss, spent * 100.0))
}

async fn rotate(office: &Office<'_>) -> anyhow::Result<()> {
    let pid = office.agent.pid();
    for turn in 0..TURNS {
        let ids: Vec<_> = (1..=ACTIVE).map(|n| format!("cam_{}", turn * ACTIVE + n)).collect();
        let mut starting = JoinSet::new();
        for id in ids.clone() {
            let request = office.client.post(office.url("/api/streams/start?wait=60s"));
            let request = request.json(&serde_json::json!({"camera_id": id}));
            let asked = Instant::now();
            starting.spawn(async move {
                // A machine that is held up sees no picture in time: the agent tries again, and so do we.
                let mut failures = 0;
                loop {
                    let again = request.try_clone().context("a body that can be sent again")?;
                    let answer = again.send().await?;
                    if answer.status().is_success() {
                        return anyhow::Ok((asked.elapsed(), failures));
                    }
                    ensure!(asked.elapsed() < 2 * UP_WITHIN, "{}", answer.text().await?);
                    failures += 1;
                }
            });
        }
        let (mut took, mut failures) = (Vec::new(), 0);
        for started in starting.join_all().await {
            let (after, failed) = started?;
            took.push(after);
            failures += failed;
        }
        let cpu = cpu_time(pid)?;
        tokio::time::sleep(WATCHED).await;
        let cpu = (cpu_time(pid)? - cpu).as_secs_f64() / WATCHED.as_secs_f64() * 100.0;
        ensure!(children(pid)?.len() == ACTIVE, "{} ffmpegs", children(pid)?.len());
        let (list, metrics) = (office.takes("/api/streams").await?, office.takes("/metrics").await?);
        let rss = memory(pid)?.rss;
        for id in &ids {
            office.post("stop", id).await?.error_for_status()?;
        }
        let mut longest = Duration::ZERO;
        for id in &ids {
            longest = longest.max(office.ended(id).await?);
        }
        println!(
            "Turn {}: {ACTIVE} starts at once {} ms (p50 | p90 | p99 | max), {failures} failed at first; {rss:.1} MB and {cpu:.1} % of a core; \
             /api/streams {:.0} ms, /metrics {:.0} ms; all ended within {:.1} s",
            turn + 1,
            row(&took),
            list.as_secs_f64() * 1e3,
            metrics.as_secs_f64() * 1e3,
            longest.as_secs_f64(),
        );
    }
    Ok(())
}
