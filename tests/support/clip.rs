//! Clips for `file://` cameras.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// Noise: the same picture size as [`calm`], at twenty times the bitrate or more.
pub async fn noise(path: &Path) {
    make("color=gray:size=640x360:rate=15,noise=alls=100:allf=t", path).await;
}

pub async fn calm(path: &Path) {
    make("color=gray:size=640x360:rate=15", path).await;
}

async fn make(picture: &str, path: &Path) {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-hide_banner", "-loglevel", "error", "-y", "-f", "lavfi", "-i", picture, "-t", "2"]);
    ffmpeg.args(["-c:v", "mjpeg", "-q:v", "3", "-f", "matroska"]).arg(path).stdin(Stdio::null());
    let status = ffmpeg.status().await.expect("install ffmpeg: apt-get install ffmpeg");
    assert!(status.success(), "ffmpeg makes a clip");
}
