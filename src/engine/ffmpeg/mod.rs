//! ffmpeg as the engine: one process per run, its folder in the spool, its words on standard error.

mod acquaintance;
pub mod argv;
pub mod capabilities;
mod drive;
mod encoder_use;
pub mod encoders;
pub mod probe;
mod process;
pub mod stderr;
mod still;
mod tail;
mod trials;

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::spool::note::Note;
use super::spool::root::{CameraSpool, RunFolder, SpoolError};
use super::spool::watch::SpoolWatch;
use super::{Engine, EngineError, Exit, Run, StreamSpec};
use crate::domain::choice::{Choice, VideoOut, decide};
use crate::domain::ids::RunId;
use crate::domain::lifecycle::Cause;
use crate::domain::media::Media;
use crate::sys::child::Spawner;

use acquaintance::ProbeRun;
pub use acquaintance::{Acquaintance, Known};
use capabilities::Capabilities;
pub use encoder_use::EncoderUse;
use encoders::Way;
use stderr::Fitness;
pub use still::FfmpegStills;
pub use trials::Trials;

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

/// Whether an engine asks what its camera sends.
#[derive(Debug)]
enum Sight {
    Blind,
    Looks(Acquaintance),
    Knows(Acquaintance),
}

/// One camera's engine.
#[derive(Debug)]
pub struct FfmpegEngine {
    workshop: Arc<Workshop>,
    spec: StreamSpec,
    sight: Sight,
    encoder: EncoderUse,
    /// Claimed at the first run: a camera whose spool is taken must not keep the others from starting.
    spool: Arc<Mutex<Option<CameraSpool>>>,
    note: Note,
}

impl FfmpegEngine {
    /// Of a camera whose media need not be known.
    pub fn new(workshop: Arc<Workshop>, spec: StreamSpec) -> Self {
        let (sight, encoder) = (Sight::Blind, EncoderUse::software());
        Self { workshop, spec, sight, encoder, spool: Arc::default(), note: Note::default() }
    }

    /// The same with another encoder than x264.
    #[must_use]
    pub fn encoding_with(self, encoder: EncoderUse) -> Self {
        Self { encoder, ..self }
    }

    /// Looks what the camera sends, if that is not known, and is outgrown then; else streams, and is outgrown when the
    /// camera sends something else.
    pub fn acquainted(workshop: Arc<Workshop>, spec: StreamSpec, acquaintance: Acquaintance) -> Self {
        let sight = match acquaintance.known() {
            Known::Nothing => Sight::Looks(acquaintance),
            Known::Media(_) | Known::Unreadable => Sight::Knows(acquaintance),
        };
        Self { sight, ..Self::new(workshop, spec) }
    }

    /// What is known of the camera's streams, and what is done with them.
    fn choice(&self) -> (Choice, Option<Media>) {
        let media = match &self.sight {
            Sight::Knows(acquaintance) => acquaintance.media(),
            Sight::Looks(_) | Sight::Blind => None,
        };
        (decide(&self.spec.settings.wish(), media.as_ref()), media)
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
        if let Sight::Looks(acquaintance) = &self.sight {
            let (workshop, source) = (self.workshop.clone(), self.spec.source.clone());
            return Ok(Box::new(ProbeRun::start(workshop, source, acquaintance.clone())));
        }
        let folder = self.run_folder(run).await?;
        let (choice, media) = self.choice();
        let way = match choice.video {
            VideoOut::Copy => Way::software(),
            VideoOut::Encode(_) => self.encoder.start(),
        };
        let command = argv::command(&self.spec, &choice, &way, &self.workshop.capabilities, folder.path());
        let process = process::start(&self.workshop, &command, Stdio::null()).await?;
        let bell = self.workshop.watch.bell(folder.path());
        let fitness = Fitness::new(&choice, media.as_ref());
        let acquaintance = if let Sight::Knows(known) = &self.sight { Some(known.clone()) } else { None };
        let workshop = self.workshop.clone();
        Ok(Box::new(drive::FfmpegRun::start(run, process, folder, bell, workshop, fitness, acquaintance)))
    }

    fn earlier_runs(&self) -> Vec<RunId> {
        let spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        spool.as_ref().map(|spool| spool.earlier_runs().to_vec()).unwrap_or_default()
    }

    fn is_outgrown(&self) -> bool {
        match &self.sight {
            Sight::Looks(acquaintance) => acquaintance.known() != Known::Nothing,
            Sight::Knows(acquaintance) => acquaintance.known() == Known::Nothing,
            Sight::Blind => false,
        }
    }

    fn ended(&self, exit: &Exit, cause: Cause) -> bool {
        self.encoder.ended(exit, cause)
    }

    async fn renewal(&self) {
        self.encoder.renewal().await;
    }

    fn mode(&self) -> Option<String> {
        let looks = matches!(self.sight, Sight::Looks(_));
        (!looks).then(|| self.choice().0.mode(&self.encoder.in_words()))
    }

    fn note(&self) -> Note {
        self.note.clone()
    }
}
