//! Still pictures of finished segments: a short, nice ffmpeg decodes one key frame. The camera gets no second session,
//! and the ffmpeg that streams does not notice.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::Semaphore;

use super::Workshop;
use super::process::Lines;
use super::stderr::{error, redact};
use crate::engine::{EngineError, StillError, Stills, Turn};
use crate::sys::child::{Brief, be_nice, limit_files};

/// The width of a tile in a wall of cameras; a smaller picture is not enlarged.
const MOST_WIDTH: u32 = 640;
/// A usual one has 40 kB.
const MOST_BYTES: u64 = 2 << 20;
/// From its start to its end, which takes a tenth of a second on an idle machine.
const TIME: Duration = Duration::from_secs(10);
/// The streams come first.
const NICE: u32 = 10;
/// Of all cameras together: many have their first segment at the same time.
const AT_ONCE: usize = 2;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

#[derive(Debug)]
pub struct FfmpegStills {
    workshop: Arc<Workshop>,
    nice: u32,
}

impl FfmpegStills {
    /// `nice`: of the camera's settings.
    pub fn new(workshop: Arc<Workshop>, nice: u32) -> Self {
        Self { workshop, nice: nice.max(NICE) }
    }

    async fn start(&self) -> Result<Brief, StillError> {
        let program = &self.workshop.capabilities.path;
        let mut process = Command::new(program);
        process.args(args()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // It writes no files at all, and leaves no core either.
        limit_files(&mut process, MOST_BYTES);
        be_nice(&mut process, self.nice);
        let failed = |error| EngineError::Spawn { path: program.display().to_string(), error };
        Ok(Brief::new(self.workshop.spawner.spawn(process, Vec::new()).await.map_err(failed)?))
    }
}

#[async_trait]
impl Stills for FfmpegStills {
    async fn turn(&self) -> Turn {
        match TURNS.acquire().await {
            Ok(turn) => turn,
            // Only a closed one gives none, and nobody closes it.
            Err(_) => std::future::pending().await,
        }
    }

    async fn still(&self, turn: Turn, segment: Bytes) -> Result<Bytes, StillError> {
        let mut child = self.start().await?;
        let late = Err(StillError::Late { after: TIME });
        let picture = tokio::time::timeout(TIME, develop(child.child(), segment)).await.unwrap_or(late);
        child.end().await;
        drop(turn);
        picture
    }
}

async fn develop(child: &mut Child, segment: Bytes) -> Result<Bytes, StillError> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // It ends as soon as it has its picture, and leaves the rest.
            let _ = stdin.write_all(&segment).await;
        }
    };
    let read = async {
        let mut picture = Vec::new();
        if let Some(stdout) = stdout {
            let _ = stdout.take(MOST_BYTES + 1).read_to_end(&mut picture).await;
        }
        picture
    };
    let ((), picture, said) = tokio::join!(feed, read, first_error(stderr));
    if picture.len() as u64 > MOST_BYTES {
        return Err(StillError::TooLarge { most: MOST_BYTES });
    }
    let is_whole = picture.starts_with(&[0xff, 0xd8]) && picture.ends_with(&[0xff, 0xd9]);
    match child.wait().await {
        Ok(status) if status.success() && is_whole => Ok(picture.into()),
        Ok(status) => Err(StillError::NoPicture { said: said.unwrap_or_else(|| status.to_string()) }),
        Err(error) => Err(StillError::NoPicture { said: error.to_string() }),
    }
}

/// The first is the reason; all are read, or it would wait for a reader.
async fn first_error(stderr: Option<ChildStderr>) -> Option<String> {
    let (mut lines, mut first) = (Lines::new(stderr), None);
    while let Some(line) = lines.next().await {
        if let Some((_, text)) = error(&line) {
            first.get_or_insert_with(|| redact(text));
        }
    }
    first
}

fn args() -> Vec<String> {
    // Square pixels, as a JPEG knows no others; even sides, as 4:2:0 needs; never larger than the picture is shown; and
    // the full range of values, which is what readers of a JPEG take it for.
    let filter = format!(
        "scale=w=trunc(min({MOST_WIDTH}\\,iw*max(sar\\,1))/2)*2:h=ceil(ow/dar/2-0.51)*2:out_range=full,setsar=1"
    );
    let words = [
        "-hide_banner",
        "-nostats",
        "-nostdin",
        "-loglevel",
        "repeat+level+error",
        "-threads",
        "1",
        // What a camera sent is in there: it is decoded, but not obeyed.
        "-format_whitelist",
        "mpegts,mov",
        "-protocol_whitelist",
        "pipe",
        "-i",
        "pipe:0",
        "-map",
        "0:v:0",
        "-frames:v",
        "1",
        "-vf",
        &filter,
        "-c:v",
        "mjpeg",
        "-pix_fmt",
        "yuvj420p",
        "-q:v",
        "5",
        "-f",
        "image2pipe",
        "pipe:1",
    ];
    words.map(str::to_owned).to_vec()
}
