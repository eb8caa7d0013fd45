//! What turns a camera into segments. ffmpeg now; a native one may follow.
//!
//! An engine never knows that there is a store. May use: `domain`, `config::model`, `clock`, `sys`.

pub mod ffmpeg;
#[cfg(test)]
pub(crate) mod scripted;
pub mod spool;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::SemaphorePermit;

use spool::note::Note;
use spool::root::SpoolError;

use crate::config::model::Settings;
use crate::domain::choice::Mode;
use crate::domain::ids::{CameraId, RunId};
use crate::domain::lifecycle::Cause;
use crate::domain::segment::{Part, Segment};
use crate::domain::source::Source;

/// One camera as an engine sees it.
#[derive(Debug, Clone)]
pub struct StreamSpec {
    pub camera: CameraId,
    pub source: Source,
    pub settings: Settings,
}

/// Starts one camera's runs, one at a time.
#[async_trait]
pub trait Engine: Send + Sync + Debug {
    /// # Errors
    /// The run could not even be started (no ffmpeg, no room for its spool).
    async fn start(&self, run: RunId) -> Result<Box<dyn Run>, EngineError>;

    /// Runs that this machine made before this engine, and that certainly nobody goes on with; known when a run has
    /// been started.
    fn earlier_runs(&self) -> Vec<RunId> {
        Vec::new()
    }

    /// The camera sends something else than this engine was made for: its runs are over, it takes another one.
    fn is_outgrown(&self) -> bool {
        false
    }

    /// What gave [`EngineEvent::Outgrown`] goes on under the next engine of this stream.
    fn hand_over(&self, _id: RunId, _run: Box<dyn Run>) {}

    /// What the engine before this one handed over: the run that is started next.
    fn takes_over(&self) -> Option<RunId> {
        None
    }

    /// A run has ended, or could not begin, for this cause. `true`: it was told why, and the next run is another one.
    fn ended(&self, _exit: &Exit, _cause: Cause) -> bool {
        false
    }

    /// Comes when the current run should end because a better one can be had. Cancel-safe.
    async fn renewal(&self) {
        std::future::pending().await
    }

    /// What is done with the camera's streams; `None`: it is not known what they are.
    fn mode(&self) -> Option<Mode> {
        None
    }

    /// Kept for the next engine of this camera on this machine; known as soon as a run has been started.
    fn note(&self) -> Note;
}

/// One engine lifetime. Dropping it kills what runs.
#[async_trait]
pub trait Run: Send {
    /// The next thing that happened; after `Exited` nothing more comes. Cancel-safe.
    async fn next(&mut self) -> EngineEvent;

    /// Asks it to end; the answer is `Exited`.
    fn halt(&mut self, how: Halt);
}

/// Makes still pictures of finished segments, beside the runs.
#[async_trait]
pub trait Stills: Send + Sync + Debug {
    /// Waits until this machine has time for one more.
    async fn turn(&self) -> Turn;

    /// The segment's first picture, as a JPEG; of a segment so much is enough: [`STILL_NEEDS`].
    ///
    /// # Errors
    /// There is no picture in it, or it took too long.
    async fn still(&self, turn: Turn, segment: Bytes) -> Result<Bytes, StillError>;
}

/// Held while a picture is made.
pub type Turn = SemaphorePermit<'static>;

/// A segment begins with a key frame: far more than the largest has.
pub const STILL_NEEDS: usize = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub enum StillError {
    #[error(transparent)]
    NotStarted(#[from] EngineError),
    #[error("ffmpeg made no picture in {} s", after.as_secs())]
    Late { after: Duration },
    #[error("the picture has more than {most} bytes")]
    TooLarge { most: u64 },
    #[error("ffmpeg made no picture of the segment: {said}")]
    NoPicture { said: String },
}

#[derive(Debug, Clone, PartialEq)]
pub enum EngineEvent {
    Segment(Segment),
    /// Of the segment that is being made: it is worth most at once.
    Part(Part),
    /// Segments were made and lost before they could be handed over.
    Lost {
        segments: u64,
    },
    /// Segments were made, and are not for viewers: [`Self::Unfit`] says why.
    Withheld {
        segments: u64,
    },
    /// All that the run gives is longer than its engine said, also what it gives first: another engine can go on with it
    /// (see [`Engine::hand_over`]).
    Outgrown,
    /// From now on the run gives something that its viewers should not get, though it goes on: end it.
    Unfit(Cause),
    Exited(Exit),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// Finish the last segment, then end.
    Ask,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub ran_for: Duration,
    pub cause: Cause,
    /// The last lines that it said, without secrets.
    pub last_words: Vec<String>,
}

impl Exit {
    /// Of a run that did not even begin.
    pub fn never_started(error: &EngineError) -> Self {
        let cause = match error {
            EngineError::Spawn { .. } => Cause::Crashed,
            EngineError::Spool(SpoolError::Taken { .. }) => Cause::Taken,
            EngineError::Spool(_) => Cause::Spool,
        };
        Self { code: None, signal: None, ran_for: Duration::ZERO, cause, last_words: vec![error.to_string()] }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("ffmpeg could not be started ({path}): {error}{}", mend(error))]
    Spawn { path: String, error: std::io::Error },
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// What a person can do about a child that could not be started.
fn mend(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;

    match error.kind() {
        ErrorKind::NotFound => {
            "; install it (Debian, Ubuntu: apt-get install ffmpeg), or set `ffmpeg:` to its path"
        }
        ErrorKind::PermissionDenied => "; let this user execute it, or set `ffmpeg:` to another one",
        // Of processes or threads: the kernel says no more than "try again".
        ErrorKind::WouldBlock => "; out of processes: raise TasksMax= of the unit, or `ulimit -u`",
        ErrorKind::OutOfMemory => "; out of memory",
        _ if error.raw_os_error() == Some(nix::libc::EMFILE) => {
            "; out of file descriptors: raise LimitNOFILE= of the unit, or `ulimit -n`"
        }
        _ => "",
    }
}
