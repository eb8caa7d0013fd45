//! The whole agent on real parts: an RTSP camera, ffmpeg, MinIO, Chromium. Slow, so one test at a time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod browser;
mod bucket;
mod cameras;
mod commands;
mod credentials;
mod faults;
mod main_job;
mod ownership;
mod reload;
mod restarts;
mod spool;
mod uplink;
mod variants;

use std::time::Duration;

use support::minio::Minio;
use tokio::sync::{Mutex, MutexGuard};

const BUCKET: &str = "streams";
/// From an agent's start to its first segments in the bucket, with room for a busy machine.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// The agent gives itself 20 s.
const STOP_WITHIN: Duration = Duration::from_secs(25);
const NO_FFMPEG_WITHIN: Duration = Duration::from_secs(5);

/// Two pipelines at once would measure each other, not the agent.
async fn my_turn() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    ONE_AT_A_TIME.lock().await
}

async fn minio() -> Minio {
    let minio = Minio::start().await;
    minio.create_public_bucket(BUCKET).await;
    minio
}

fn folder_of(camera: &str) -> String {
    format!("location_1/{camera}/")
}

fn playlist_of(minio: &Minio, camera: &str) -> String {
    minio.public_url(BUCKET, &format!("{}stream.m3u8", folder_of(camera)))
}
