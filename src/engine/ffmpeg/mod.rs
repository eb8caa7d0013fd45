//! ffmpeg as the engine: one process per run, its folder in the spool, its words on standard error.

pub mod argv;
pub mod capabilities;
mod drive;
mod process;
pub mod reach;
pub mod stderr;
mod tail;

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::spool::note::Note;
use super::spool::root::{CameraSpool, RunFolder, SpoolError};
use super::spool::watch::SpoolWatch;
use super::{Engine, EngineError, Run, StreamSpec};
use crate::domain::choice::decide;
use crate::domain::ids::RunId;
use crate::domain::media::Media;
use crate::sys::child::Spawner;

use capabilities::Capabilities;

/// What all cameras' engines share.
#[derive(Debug)]
pub struct Workshop {
    pub capabilities: Capabilities,
    pub spawner: Spawner,
    pub watch: SpoolWatch,
    pub spool_root: PathBuf,
    /// Bytes that each camera's spool may take. May change while they run.
    pub spool_share: AtomicU64,
}

/// One camera's engine.
#[derive(Debug)]
pub struct FfmpegEngine {
    workshop: Arc<Workshop>,
    spec: StreamSpec,
    /// What the camera was found to send.
    media: Option<Media>,
    /// Claimed at the first run: a camera whose spool is taken must not keep the others from starting.
    spool: Arc<Mutex<Option<CameraSpool>>>,
    note: Note,
}

impl FfmpegEngine {
    pub fn new(workshop: Arc<Workshop>, spec: StreamSpec) -> Self {
        Self { workshop, spec, media: None, spool: Arc::default(), note: Note::default() }
    }

    /// The same for a camera that is known to send this.
    pub fn of_media(mut self, media: Media) -> Self {
        self.media = Some(media);
        self
    }

    /// Off the runtime's workers: a card may be slow, and other cameras must not wait for it.
    async fn run_folder(&self, run: RunId) -> Result<RunFolder, SpoolError> {
        let (spool, root) = (self.spool.clone(), self.workshop.spool_root.clone());
        let note = self.note.clone();
        let camera = self.spec.camera.clone();
        let make = move || {
            let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
            match &*spool {
                Some(claimed) if claimed.is_claimed() => claimed.run_folder(run),
                // The first run, or somebody emptied the whole spool meanwhile.
                _ => {
                    let claimed = spool.insert(CameraSpool::claim(&root, &camera)?);
                    note.lies_in(claimed.folder());
                    claimed.run_folder(run)
                }
            }
        };
        let gone = |error: tokio::task::JoinError| SpoolError::Io {
            path: self.workshop.spool_root.clone(),
            error: std::io::Error::other(error),
        };
        tokio::task::spawn_blocking(make).await.unwrap_or_else(|error| Err(gone(error)))
    }
}

#[async_trait]
impl Engine for FfmpegEngine {
    async fn start(&self, run: RunId) -> Result<Box<dyn Run>, EngineError> {
        let folder = self.run_folder(run).await?;
        let choice = decide(&self.spec.settings.wish(), self.media.as_ref());
        tracing::debug!(%run, why = choice.why, "the streams' treatment is chosen");
        let command = argv::command(&self.spec, &choice, &self.workshop.capabilities, folder.path());
        let process = process::start(&self.workshop, &command).await?;
        let bell = self.workshop.watch.bell(folder.path());
        let (workshop, width) = (self.workshop.clone(), self.spec.settings.target_width);
        Ok(Box::new(drive::FfmpegRun::start(run, process, folder, bell, workshop, width)))
    }

    fn earlier_runs(&self) -> Vec<RunId> {
        let spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        spool.as_ref().map(|spool| spool.earlier_runs().to_vec()).unwrap_or_default()
    }

    fn note(&self) -> Note {
        self.note.clone()
    }
}
