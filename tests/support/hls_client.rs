//! ffmpeg as a player that knows nothing but ordinary HLS.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Dropping it ends its ffmpeg.
pub struct HlsClient {
    child: Child,
    frames: Arc<AtomicUsize>,
    said: JoinHandle<String>,
}

impl HlsClient {
    /// Takes the picture from where ffmpeg begins in a live playlist, for as long as there is more.
    pub fn play(playlist: &str) -> Self {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-nostdin", "-i", playlist, "-map", "0:v:0", "-c", "copy"]);
        ffmpeg.args(["-f", "framecrc", "-"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = ffmpeg.kill_on_drop(true).spawn().expect("install ffmpeg: apt-get install ffmpeg");
        let (stdout, mut stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let frames = Arc::new(AtomicUsize::new(0));
        let counted = frames.clone();
        #[expect(clippy::disallowed_methods, reason = "it ends with its ffmpeg")]
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                counted.fetch_add(usize::from(!line.starts_with('#')), Ordering::Relaxed);
            }
        });
        #[expect(clippy::disallowed_methods, reason = "joined in stop")]
        let said = tokio::spawn(async move {
            let mut said = String::new();
            let _ = stderr.read_to_string(&mut said).await;
            said
        });
        Self { child, frames, said }
    }

    /// That have come until now.
    pub fn frames(&self) -> usize {
        self.frames.load(Ordering::Relaxed)
    }

    /// Ends it; its errors.
    pub async fn stop(mut self) -> String {
        self.child.kill().await.expect("it runs");
        self.said.await.unwrap_or_default()
    }
}
