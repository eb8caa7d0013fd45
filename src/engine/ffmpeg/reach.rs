//! Is the camera there? For `edge-agent check`.

use std::time::Duration;

use super::argv::reach_command;
use super::process::{self, StderrLines};
use super::stderr::LastWords;
use super::{Workshop, capabilities::Capabilities};
use crate::domain::lifecycle::Cause;
use crate::domain::source::Source;
use crate::engine::EngineError;

/// What a camera sends, as ffmpeg describes it, e.g. `Video: h264 (Main), yuv420p, 1280x720, 25 fps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    pub streams: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{}{}{said}", cause.in_words(), if said.is_empty() { "" } else { ": " })]
    Failed { cause: Cause, said: String },
    #[error("no picture within {} s", PATIENCE.as_secs())]
    Late,
}

/// Connecting, probing and waiting for a keyframe of a 10 s GOP.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads one frame from the camera.
///
/// # Errors
/// Why it could not.
pub async fn reach(workshop: &Workshop, source: &Source) -> Result<Reached, ReachError> {
    let attempt = read_one_frame(workshop, &workshop.capabilities, source);
    // Late: the child is killed when its handle drops.
    tokio::time::timeout(PATIENCE, attempt).await.unwrap_or(Err(ReachError::Late))
}

async fn read_one_frame(
    workshop: &Workshop,
    ffmpeg: &Capabilities,
    source: &Source,
) -> Result<Reached, ReachError> {
    let mut child = process::start(workshop, &reach_command(source, ffmpeg)).await?;
    let mut stderr = StderrLines::new(child.stderr.take());
    let (mut words, mut streams) = (LastWords::default(), Vec::new());
    let mut in_output = false;
    while let Some(line) = stderr.next().await {
        let line = words.hear(&line);
        in_output |= line.contains("Output #");
        if let Some(stream) = described(&line).filter(|_| !in_output) {
            streams.push(stream);
        }
    }
    let status = child.wait().await.ok();
    if status.is_some_and(|status| status.success()) && !streams.is_empty() {
        return Ok(Reached { streams });
    }
    let cause = words.cause(status.and_then(|status| status.code()));
    Err(ReachError::Failed { cause, said: words.into_lines().pop().unwrap_or_default() })
}

/// `[info]   Stream #0:0: Video: h264 (Main), yuv420p, 1280x720` -> from `Video:` on.
fn described(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("Stream #")?;
    let at = rest.find("Video: ").or_else(|| rest.find("Audio: "))?;
    Some(rest[at..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_in_ffmpegs_words() {
        let line = "[info]   Stream #0:0: Video: h264 (Main), yuv420p(progressive), 1280x720 [SAR 1:1 DAR 16:9], 25 fps";
        assert!(described(line).unwrap().starts_with("Video: h264 (Main), yuv420p"));
        assert_eq!(described("[info] Input #0, concat, from 'pipe:9':"), None);
    }
}
