//! What does the camera send? One session that is watched until enough is known, or a deadline.

pub mod measure;
pub mod report;

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use super::Workshop;
use super::argv::probe_command;
use super::process::{self, Lines};
use super::stderr::{LastWords, redact, redirects};
use crate::domain::lifecycle::Cause;
use crate::domain::media::Media;
use crate::domain::source::Source;
use crate::engine::EngineError;
use crate::sys::child::signal_group;
use report::Report;

/// Enough to connect and to see a GOP of 6 s whole.
pub const DEADLINE: Duration = Duration::from_secs(8);
/// To close the session with the camera: some count those that were not closed as viewers for a minute.
const GOODBYE: Duration = Duration::from_millis(500);

/// What is to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// What streams there are: their description tells, and the first frame that the camera means it.
    Streams,
    /// The same, with as much time for the description as a run takes.
    Glance,
    /// Also how the picture comes: its keyframes, rate and bit rate.
    Frames,
}

#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{}{}{said}", cause.in_words(), if said.is_empty() { "" } else { ": " })]
    Failed { cause: Cause, said: String },
    /// `described`: what the camera said of its streams all the same.
    #[error("no picture within {} s", deadline.as_secs())]
    Late { deadline: Duration, described: Option<Box<Media>> },
    #[error("ffmpeg's list of frames can't be read: {0}")]
    Garbled(String),
}

impl ProbeError {
    /// As that of a run that ended for the same reason.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Failed { cause, .. } => *cause,
            Self::Late { .. } => Cause::Stalled,
            Self::Engine(_) | Self::Garbled(_) => Cause::Crashed,
        }
    }
}

/// Watches the camera until enough is known, for `deadline` at most. The session is closed when it returns, which may
/// take another half second; dropping it kills ffmpeg.
///
/// # Errors
/// Nothing came, or the camera hung up too early to tell.
pub async fn probe(
    workshop: &Workshop,
    source: &Source,
    aim: Aim,
    deadline: Duration,
) -> Result<Media, ProbeError> {
    let mut session = Session::start(workshop, source, aim).await?;
    let mut report = Report::default();
    let watched = tokio::time::timeout(deadline, session.watch(aim, &mut report)).await;
    session.close().await;
    // At the deadline what came until then counts.
    watched.unwrap_or(Ok(()))?;
    let is_seen = report.has_frames();
    match report.told() {
        Some(media) if is_seen => Ok(media),
        described => Err(ProbeError::Late { deadline, described: described.map(Box::new) }),
    }
}

struct Session {
    child: Child,
    /// Not left in `child`: waiting for it would close this.
    stdin: Option<ChildStdin>,
    stdout: Lines<ChildStdout>,
    stderr: Lines<ChildStderr>,
    words: LastWords,
    stays: bool,
}

impl Session {
    async fn start(workshop: &Workshop, source: &Source, aim: Aim) -> Result<Self, EngineError> {
        let command = probe_command(source, aim == Aim::Streams, &workshop.capabilities);
        let share = workshop.spool_share.usual();
        let mut child = process::start(workshop, &share, &command, Stdio::piped(), None).await?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = (Lines::new(stdout), Lines::new(stderr));
        Ok(Self { child, stdin, stdout, stderr, words: LastWords::default(), stays: source.stays() })
    }

    /// Until it is enough; that ffmpeg ends before is a failure.
    async fn watch(&mut self, aim: Aim, report: &mut Report) -> Result<(), ProbeError> {
        while !(self.stdout.is_over() && self.stderr.is_over()) {
            tokio::select! {
                Some(line) = self.stdout.next(), if !self.stdout.is_over() => {
                    report.read(&line).map_err(|_| ProbeError::Garbled(redact(&line)))?;
                    if report.is_enough(aim) {
                        return Ok(());
                    }
                    if report.has_frames() {
                        self.words.all_is_well();
                    }
                }
                Some(line) = self.stderr.next(), if !self.stderr.is_over() => {
                    let said = self.words.hear(&line);
                    tracing::debug!(line = said, "the probe's ffmpeg says");
                    report.hear(&line);
                    if report.is_enough(aim) {
                        return Ok(());
                    }
                    if self.stays && redirects(&line) {
                        signal_group(&self.child, Signal::SIGKILL);
                        return Err(ProbeError::Failed { cause: Cause::Redirected, said: String::new() });
                    }
                }
                else => break,
            }
        }
        let status = self.child.wait().await.ok();
        Err(self.failure(status))
    }

    fn failure(&mut self, status: Option<ExitStatus>) -> ProbeError {
        let words = std::mem::take(&mut self.words);
        let cause = words.cause(status.and_then(|status| status.code()));
        ProbeError::Failed { cause, said: words.into_lines().pop().unwrap_or_default() }
    }

    /// Asked first, so that it can say goodbye to the camera; killed if that takes too long.
    async fn close(mut self) {
        let goodbye = async {
            if let Some(stdin) = &mut self.stdin {
                // One byte into an empty pipe; a broken one means that it is ending already.
                let _ = stdin.write_all(b"q").await;
            }
            // It must be able to write what it still has.
            let silence = async {
                while self.stdout.next().await.is_some() {}
                while self.stderr.next().await.is_some() {}
            };
            let _ = tokio::join!(silence, self.child.wait());
        };
        if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
            signal_group(&self.child, Signal::SIGKILL);
            let _ = self.child.wait().await;
        }
    }
}
