//! From a start to what can be played.

use std::time::Duration;

use anyhow::Context as _;

use super::{Office, in_runtime, row};
use crate::camera::{Camera, CameraOpts};
use crate::numbers::{ms, percentile};
use crate::stage::Stage;

const STARTS: u32 = 20;
const WANTED_MS: f64 = 5000.0;
/// A usual camera: a keyframe every two seconds.
const CAMERA: &str = "--size=1280x720 --fps=25 --gop=50 --audio=aac";
/// Every four.
const RARE_KEYFRAMES: &str = "--size=1280x720 --fps=25 --gop=100 --audio=aac";
const SETTINGS: [(&str, &str, &str); 5] = [
    ("copy, 2 s", CAMERA, "quality: auto"),
    ("re-encoded, 2 s", CAMERA, "segment_duration: 2"),
    ("copy, 1 s", CAMERA, "quality: auto, segment_duration: 1"),
    ("re-encoded, 1 s", CAMERA, "segment_duration: 1"),
    ("copy, 2 s, of keyframes every 4 s", RARE_KEYFRAMES, "quality: auto"),
];
/// A viewer comes at any time: what ended before did so at a keyframe.
const OFFSET: Duration = Duration::from_millis(370);

pub fn report() -> anyhow::Result<()> {
    println!("From POST /api/streams/start?wait= to its answer, {STARTS} starts each, in ms");
    println!("| stream | first of all | p50 | p90 | p99 | max | p50 of the first segment's length |");
    println!("|---|---|---|---|---|---|---|");
    in_runtime(async {
        for (name, more, settings) in SETTINGS {
            let camera = Camera::start(CameraOpts { audio: false, more, ..CameraOpts::default() }).await;
            let stage = Stage::set()?;
            let cameras = [("cam_1".to_owned(), camera.url())];
            let office = Office::open(&stage, &format!("{settings}, idle_timeout: 1h"), &cameras).await?;
            let (mut took, mut first) = (Vec::new(), Vec::new());
            for number in 0..STARTS {
                tokio::time::sleep(OFFSET * (number % 11)).await;
                took.push(office.start("cam_1").await.with_context(|| office.agent.log())?);
                first.push(first_length(&office).await?);
                office.post("stop", "cam_1").await?.error_for_status()?;
                office.ended("cam_1").await?;
            }
            // Nothing was known of the camera then.
            let unknown = took.first().map_or(0.0, |took| ms(*took));
            println!("| {name} | {unknown:.1} | {} | {:.1} |", row(&took), ms(percentile(&first, 50)));
            office.agent.stop()?;
        }
        anyhow::Ok(())
    })?;
    println!("Expected: a picture within {WANTED_MS} ms of a start.\n");
    Ok(())
}

async fn first_length(office: &Office<'_>) -> anyhow::Result<Duration> {
    let url = office.url("/streams/location_1/cam_1/stream.m3u8");
    let text = office.client.get(url).send().await?.error_for_status()?.text().await?;
    let length = text.lines().filter_map(|line| line.strip_prefix("#EXTINF:")).next_back();
    let seconds = length.and_then(|length| length.trim_end_matches(',').parse().ok()).unwrap_or_default();
    Ok(Duration::from_secs_f64(seconds))
}
