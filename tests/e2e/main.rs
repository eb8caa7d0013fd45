//! The whole agent on real parts: an RTSP camera, ffmpeg, MinIO, Chromium. They take turns, see [`my_turn`].

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod browser;
mod bucket;
mod cameras;
mod commands;
mod credentials;
mod encoders;
mod faults;
mod figures;
mod fleet;
mod fmp4;
mod heap;
mod main_job;
mod nearby;
mod on_demand;
mod openapi;
mod orders;
mod origin;
mod ownership;
mod parts;
mod player;
mod published_page;
mod reload;
mod renditions;
mod restarts;
mod snapshots;
mod spool;
mod sub_second;
mod tokens;
mod uplink;
mod variants;

use std::time::Duration;

use support::minio::Minio;
use tokio::sync::{Semaphore, SemaphorePermit};

const BUCKET: &str = "streams";
/// From an agent's start to its first segments in the bucket, with room for a busy machine.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// The agent gives itself 20 s.
const STOP_WITHIN: Duration = Duration::from_secs(25);
const NO_FFMPEG_WITHIN: Duration = Duration::from_secs(5);

/// A pipeline needs little and waits much: two of them are what two cores bear.
const AT_ONCE: usize = 2;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

async fn my_turn() -> SemaphorePermit<'static> {
    TURNS.acquire().await.expect("it is never closed")
}

/// For a test whose result another pipeline's work could change.
async fn alone() -> SemaphorePermit<'static> {
    TURNS.acquire_many(AT_ONCE as u32).await.expect("it is never closed")
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
