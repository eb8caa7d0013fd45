//! Two hundred viewers of one stream, and a back office that never stops asking.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::task::JoinSet;

use super::{Office, in_runtime, row};
use crate::camera::{Camera, CameraOpts};
use crate::process::{cpu_time, memory};
use crate::stage::Stage;

const VIEWERS: usize = 200;
/// A thousand, and what a busy machine does not get to before the time is over.
const CALLS_PER_S: u32 = 1040;
const LASTS: Duration = Duration::from_secs(30);
/// As browsers do: the playlist once in a segment, and what is new in it.
const SEGMENT: Duration = Duration::from_secs(1);
/// What a playlist names can be fetched for its segments' own length, and that of the playlist, at least.
const HELD: Duration = Duration::from_secs(6);
/// Other cameras, which the back office starts, touches and stops.
const CAMERAS: usize = 20;
/// Of these: real ones, whose streams begin and end once a second.
const REAL: usize = 2;
/// Of the log: each camera's first ten, its run and what became of it.
const MOST_LINES: usize = 20 * CAMERAS;
/// Connections of the back office, each with one call at a time.
const CLERKS: u32 = 100;

#[derive(Default)]
struct Told {
    playlists: Vec<Duration>,
    segments: Vec<Duration>,
    bytes: usize,
    /// Segments that the viewer asked for when they were not promised any more: the machine held it up.
    late: usize,
}

pub fn report() -> anyhow::Result<()> {
    println!(
        "{VIEWERS} viewers of one stream (1 s segments) and {CALLS_PER_S} calls a second, over {LASTS:?}"
    );
    in_runtime(async {
        let camera = Camera::start(CameraOpts { gop: 25, ..CameraOpts::default() }).await;
        let stage = Stage::set()?;
        let mut cameras = vec![("watched".to_owned(), camera.url())];
        // Nothing listens where the others are: what a call costs is asked here, not what ffmpeg does.
        let nowhere = "rtsp://127.0.0.1:9/x".to_owned();
        let url = |n| if n < REAL { camera.url() } else { nowhere.clone() };
        cameras.extend((0..CAMERAS).map(|n| (format!("cam_{n}"), url(n))));
        let settings = "quality: auto, segment_duration: 1, idle_timeout: 5";
        let office = Office::open(&stage, settings, &cameras).await?;
        office.start("watched").await.with_context(|| office.agent.log())?;
        let pid = office.agent.pid();
        let url = office.url("/streams/location_1/watched/stream.m3u8");
        let client = |_| Client::builder().no_proxy().timeout(LASTS).build();
        let clients = (0..VIEWERS).map(client).collect::<Result<Vec<_>, _>>()?;
        // To make two hundred of them takes a second.
        let end = Instant::now() + LASTS;
        let (mut viewers, mut clerks) = (JoinSet::new(), JoinSet::new());
        for (number, client) in clients.into_iter().enumerate() {
            viewers.spawn(watch(client, url.clone(), SEGMENT * number as u32 / VIEWERS as u32, end));
        }
        let count = Arc::new(AtomicUsize::new(0));
        for _ in 0..CLERKS {
            clerks.spawn(call(office.client.clone(), office.url("/api/streams/"), count.clone(), end));
        }
        let (cpu, mut rss) = (cpu_time(pid)?, Vec::new());
        while Instant::now() < end {
            tokio::time::sleep(Duration::from_secs(1)).await;
            rss.push(memory(pid)?.rss);
        }
        let cpu = (cpu_time(pid)? - cpu).as_secs_f64() / LASTS.as_secs_f64();
        let (mut all, mut calls) = (Told::default(), Vec::new());
        for told in viewers.join_all().await {
            let told = told?;
            all.playlists.extend(told.playlists);
            all.segments.extend(told.segments);
            all.bytes += told.bytes;
            all.late += told.late;
        }
        for took in clerks.join_all().await {
            calls.extend(took?);
        }
        println!("| what | a second | p50 | p90 | p99 | max, in ms |");
        println!("|---|---|---|---|---|---|");
        for (what, sample) in [("playlists", &all.playlists), ("segments", &all.segments), ("calls", &calls)]
        {
            println!("| {what} | {:.0} | {} |", sample.len() as f64 / LASTS.as_secs_f64(), row(sample));
        }
        let lines = office.agent.log().lines().count();
        let at = |part: usize| rss.get(rss.len() * part / 10).copied().unwrap_or_default();
        println!(
            "No error; {} segments asked for too late. {:.0} Mbit/s. Agent: {cpu:.2} cores; RSS {:.1} MB after 3 s, {:.1} MB in the middle, {:.1} MB at the end; {} lines of log.\n",
            all.late,
            all.bytes as f64 * 8.0 / 1e6 / LASTS.as_secs_f64(),
            at(1),
            at(5),
            at(9),
            lines,
        );
        ensure!(at(9) < at(1) * 1.5, "memory is not flat: {rss:?}");
        ensure!(lines < MOST_LINES, "callers fill the log: {}", office.agent.log());
        office.agent.stop()
    })
}

/// Each has a connection of its own, and does not begin when all others do.
async fn watch(client: Client, playlist: String, offset: Duration, end: Instant) -> anyhow::Result<Told> {
    let folder = playlist.trim_end_matches("stream.m3u8").to_owned();
    let (mut told, mut seen) = (Told::default(), HashSet::new());
    tokio::time::sleep(offset).await;
    let mut polls = tokio::time::interval(SEGMENT);
    while Instant::now() < end {
        polls.tick().await;
        let asked = Instant::now();
        let answer = client.get(&playlist).send().await?.error_for_status()?;
        let text = answer.text().await?;
        told.playlists.push(asked.elapsed());
        let read = asked;
        for name in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            if seen.insert(name.to_owned()) {
                let asked = Instant::now();
                let answer = client.get(format!("{folder}{name}")).send().await?;
                if answer.status() == StatusCode::NOT_FOUND && read.elapsed() > HELD {
                    told.late += 1;
                    continue;
                }
                let answer = answer.error_for_status()?;
                told.bytes += answer.bytes().await?.len();
                told.segments.push(asked.elapsed());
            }
        }
    }
    ensure!(seen.len() >= LASTS.as_secs() as usize / 2, "only {} segments", seen.len());
    Ok(told)
}

/// Its share of all calls, at their pace: one that is late is made up for.
async fn call(
    client: Client,
    base: String,
    count: Arc<AtomicUsize>,
    end: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) * CLERKS / CALLS_PER_S);
    while Instant::now() < end {
        ticks.tick().await;
        let number = count.fetch_add(1, Ordering::Relaxed);
        let (what, id) = (["start", "touch", "stop"][number % 3], number / 3 % CAMERAS);
        let asked = Instant::now();
        let request = client.post(format!("{base}{what}")).json(&json!({"camera_id": format!("cam_{id}")}));
        let answer = request.send().await?;
        let code = answer.status();
        ensure!([StatusCode::OK, StatusCode::ACCEPTED].contains(&code), "{what}: {code}");
        answer.bytes().await?;
        took.push(asked.elapsed());
    }
    Ok(took)
}
