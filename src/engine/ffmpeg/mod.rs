//! ffmpeg as the engine: one process per run, its folder in the spool, its words on standard error.

mod acquaintance;
pub mod argv;
pub mod capabilities;
mod drive;
mod encoder_use;
pub mod encoders;
mod fitness;
mod handover;
mod pipes;
pub mod probe;
mod process;
pub mod stderr;
mod still;
mod tail;
mod trials;
mod usage;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::unix::pipe;
use tokio::process::Child;

use super::spool::note::Note;
use super::spool::root::{CameraSpool, RunFolder, SpoolError};
use super::spool::shares::{Share, SpoolShares};
use super::spool::watch::SpoolWatch;
use super::{Engine, EngineError, Exit, Run, StreamSpec};
use crate::clock;
use crate::domain::choice::{AudioOut, Choice, Mode, VideoOut, decide};
use crate::domain::cmaf::Cut;
use crate::domain::ids::RunId;
use crate::domain::lifecycle::Cause;
use crate::domain::media::Media;
use crate::domain::quota;
use crate::domain::segment::Form;
use crate::domain::source::Source;
use crate::sys::child::Spawner;

pub use acquaintance::{Acquaintance, Known};
use acquaintance::{Glance, ProbeRun};
use argv::FfmpegCommand;
use capabilities::Capabilities;
pub use encoder_use::EncoderUse;
use encoders::Way;
use fitness::Fitness;
pub use handover::Handover;
use handover::Kept;
use pipes::{Outlets, Pipes, Recipe};
use probe::Aim;
pub use still::FfmpegStills;
use tail::Tail;
pub use trials::Trials;
pub use usage::FfmpegUse;
use usage::Sampler;

/// Tries to claim a spool before it counts as another agent's.
const CLAIMS: u32 = 5;
const CLAIM_AGAIN: Duration = Duration::from_millis(100);

/// What all cameras' engines share.
#[derive(Debug)]
pub struct Workshop {
    pub capabilities: Capabilities,
    pub spawner: Spawner,
    pub watch: SpoolWatch,
    pub spool_root: PathBuf,
    /// What each camera's spool may take.
    pub spool_share: SpoolShares,
}

/// Whether an engine asks what its camera sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Blind,
    Looks,
    Knows,
}

/// One camera's engine.
#[derive(Debug)]
pub struct FfmpegEngine {
    workshop: Arc<Workshop>,
    spec: StreamSpec,
    sight: Sight,
    encoder: EncoderUse,
    share: Share,
    acquaintance: Acquaintance,
    /// What the camera sends, where that matters, and what is made of it.
    media: Option<Media>,
    choice: Choice,
    /// Its sound would end the runs.
    is_muted: bool,
    /// Claimed at the first run: a camera whose spool is taken must not keep the others from starting.
    spool: Arc<Mutex<Option<CameraSpool>>>,
    note: Note,
    usage: FfmpegUse,
    handover: Handover,
    /// Nothing of an earlier run may be published when one is handed over.
    has_run: AtomicBool,
}

impl FfmpegEngine {
    /// Of a camera that nothing is known of.
    pub fn new(workshop: Arc<Workshop>, spec: StreamSpec) -> Self {
        Self::acquainted(workshop, spec, Acquaintance::default())
    }

    /// The same with another encoder than x264.
    #[must_use]
    pub fn encoding_with(self, encoder: EncoderUse) -> Self {
        Self { encoder, ..self }
    }

    /// Adds what its runs take to that.
    #[must_use]
    pub fn counted_in(self, usage: FfmpegUse) -> Self {
        Self { usage, ..self }
    }

    /// The same as one of several that follow each other: what is kept there came from the one before it.
    #[must_use]
    pub fn following(self, handover: Handover) -> Self {
        Self { handover, ..self }
    }

    /// The same with another share of the spool than a camera that always runs.
    #[must_use]
    pub fn within(self, share: Share) -> Self {
        Self { share, ..self }
    }

    /// Where it matters what the camera sends: looks, if that is not known, and is outgrown then; else streams, and is
    /// outgrown when the camera sends something else. In any case it is outgrown when the sound has to go, or may come
    /// back.
    pub fn acquainted(workshop: Arc<Workshop>, spec: StreamSpec, acquaintance: Acquaintance) -> Self {
        let sight = match acquaintance.known() {
            _ if !depends_on_media(&spec) => Sight::Blind,
            Known::Nothing => Sight::Looks,
            Known::Media(_) | Known::Unreadable => Sight::Knows,
        };
        let media = acquaintance.media().filter(|_| sight == Sight::Knows);
        let is_muted = !acquaintance.has_sound(clock::now());
        let choice = decide(&spec.settings.wish(), media.as_ref());
        let choice = if is_muted { choice.without_sound(acquaintance.why_no_sound()) } else { choice };
        // Its sound has an output of its own, and ffmpeg makes none of nothing.
        let is_silent = spec.settings.sub_second.is_some() && media.is_none() && !has_own_sound(&spec.source);
        let audio = if is_silent { AudioOut::None } else { choice.audio };
        let choice = Choice { audio, ..choice };
        let (spool, note) = (Arc::default(), Note::default());
        let (encoder, share) = (EncoderUse::software(), workshop.spool_share.usual());
        let usage = FfmpegUse::default();
        Self {
            workshop,
            spec,
            sight,
            encoder,
            share,
            acquaintance,
            media,
            choice,
            is_muted,
            spool,
            note,
            usage,
            handover: Handover::default(),
            has_run: AtomicBool::new(false),
        }
    }

    /// `None`: it has to look first.
    pub fn chosen(&self) -> Option<&Choice> {
        Some(&self.choice).filter(|_| self.sight != Sight::Looks)
    }

    /// A copy needs no encoder, and a look neither.
    pub fn encodes(&self) -> bool {
        self.chosen().is_some_and(|choice| matches!(choice.video, VideoOut::Encode(_)))
    }

    /// What it would do now, before a look as if nothing could be told.
    pub fn choice(&self) -> &Choice {
        &self.choice
    }

    /// Of a run in parts also where its sound comes from, if it has any.
    async fn spawn(
        &self,
        command: &FfmpegCommand,
    ) -> Result<(Child, Option<Option<pipe::Receiver>>), EngineError> {
        if self.spec.settings.sub_second.is_none() {
            return Ok((
                process::start(&self.workshop, &self.share, command, Stdio::null(), None).await?,
                None,
            ));
        }
        let failed = |error| EngineError::Spawn { path: command.program.display().to_string(), error };
        let has_sound = self.choice.audio != AudioOut::None;
        let (write, read) = if has_sound { Some(sound_pipe().map_err(failed)?) } else { None }.unzip();
        let child = process::start(&self.workshop, &self.share, command, Stdio::piped(), write).await?;
        Ok((child, Some(read)))
    }

    /// Its spool is this engine's from now on.
    async fn go_on_with(&self, kept: Kept) -> Result<Box<dyn Run>, EngineError> {
        let Kept { run, spool: claimed, .. } = kept;
        let (spool, note) = (self.spool.clone(), self.note.clone());
        let settle = move || {
            note.lies_in(claimed.folder());
            *spool.lock().unwrap_or_else(PoisonError::into_inner) = Some(claimed);
        };
        let settled = tokio::task::spawn_blocking(settle).await;
        settled.map_err(|error| self.gone(error))?;
        Ok(run)
    }

    fn gone(&self, error: tokio::task::JoinError) -> SpoolError {
        SpoolError::Io { path: self.workshop.spool_root.clone(), error: io::Error::other(error) }
    }

    fn recipe(&self, run: RunId, folder: &Path, is_copy: bool) -> Recipe {
        let asked =
            self.spec.settings.sub_second.map_or(Duration::MAX, |sub_second| sub_second.part_duration);
        let part = self.choice.part(asked);
        let share = self.share.bytes();
        let cut = Cut { part, segment: self.choice.cut_after };
        Recipe { run, folder: folder.to_owned(), cut, most_bytes: quota::largest_file(share, 1), is_copy }
    }

    /// Another agent keeps the spool; whoever of this one had it before (a run that was cut short, or a child between
    /// fork and exec, which has its lock for a moment) is just about to let it go.
    async fn run_folder(&self, run: RunId) -> Result<RunFolder, SpoolError> {
        for _ in 0..CLAIMS {
            match self.try_run_folder(run).await {
                Err(SpoolError::Taken { .. }) => tokio::time::sleep(CLAIM_AGAIN).await,
                done => return done,
            }
        }
        self.try_run_folder(run).await
    }

    /// Off the runtime's workers: a card may be slow, and other cameras must not wait for it.
    async fn try_run_folder(&self, run: RunId) -> Result<RunFolder, SpoolError> {
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
        tokio::task::spawn_blocking(make).await.unwrap_or_else(|error| Err(self.gone(error)))
    }
}

#[async_trait]
impl Engine for FfmpegEngine {
    async fn start(&self, run: RunId) -> Result<Box<dyn Run>, EngineError> {
        match self.handover.take() {
            Some(kept) if kept.id == run => return self.go_on_with(kept).await,
            Some(other) => other.end().await,
            None => {}
        }
        let (workshop, acquaintance) = (self.workshop.clone(), self.acquaintance.clone());
        if self.sight == Sight::Looks {
            let (source, aim) = (self.spec.source.clone(), aim(&self.spec));
            let glance = glance(&self.spec).filter(|_| acquaintance.may_glance());
            return Ok(Box::new(ProbeRun::start(workshop, source, aim, glance, acquaintance)));
        }
        let folder = self.run_folder(run).await?;
        let way = match self.choice.video {
            VideoOut::Copy | VideoOut::CopyH265 => Way::software(),
            VideoOut::Encode(_) => self.encoder.start(),
        };
        let command = argv::command(&self.spec, &self.choice, &way, &workshop.capabilities, folder.path());
        let (mut process, outlets) = self.spawn(&command).await?;
        let share = self.share.clone();
        let bell = workshop.watch.bell(folder.path());
        // A short look may have missed what a camera's frames alone tell.
        let expected = self.media.as_ref().filter(|_| aim(&self.spec) == Aim::Frames);
        let fitness = Fitness::new(&self.choice, expected).staying(self.spec.source.stays());
        // Parts are told of before their segment shows how long it is.
        let is_first = !self.has_run.swap(true, Ordering::Relaxed);
        let wish = (is_first && outlets.is_none()).then(|| self.spec.settings.wish());
        let fitness = fitness.growing(wish);
        let form = Form { kind: self.spec.settings.segment_type, renditions: self.choice.renditions() };
        let tail = Tail::new(run, folder.path(), form, fitness.is_of_copy());
        let tail = if outlets.is_some() { tail.in_parts() } else { tail };
        let pipes = outlets.map(|sound| {
            let recipe = self.recipe(run, folder.path(), fitness.is_of_copy());
            Pipes::new(Outlets { picture: process.stdout.take(), sound }, recipe)
        });
        let usage = Sampler::new(self.usage.clone(), process.id(), clock::now());
        let (tail, process) = ((tail, pipes), (process, usage));
        Ok(Box::new(drive::FfmpegRun::start(tail, process, folder, bell, share, fitness, acquaintance)))
    }

    fn earlier_runs(&self) -> Vec<RunId> {
        let spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        spool.as_ref().map(|spool| spool.earlier_runs().to_vec()).unwrap_or_default()
    }

    fn is_outgrown(&self) -> bool {
        let is_known = self.acquaintance.known() != Known::Nothing;
        let sees_otherwise = match self.sight {
            Sight::Looks => is_known,
            Sight::Knows => !is_known || self.acquaintance.media() != self.media,
            Sight::Blind => false,
        };
        sees_otherwise || self.is_muted == self.acquaintance.has_sound(clock::now())
    }

    fn hand_over(&self, id: RunId, run: Box<dyn Run>) {
        let spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner).take();
        let media = self.acquaintance.media();
        let Choice { target_duration_s, .. } = decide(&self.spec.settings.wish(), media.as_ref());
        let Choice { video, audio, .. } = self.choice.clone();
        if let Some(spool) = spool {
            self.handover.keep(Kept { id, run, spool, video, audio, target_duration_s });
        }
    }

    fn takes_over(&self) -> Option<RunId> {
        self.handover.id_for(&self.choice).filter(|_| self.sight == Sight::Knows)
    }

    fn ended(&self, exit: &Exit, cause: Cause) -> bool {
        self.encoder.ended(exit, cause)
    }

    async fn renewal(&self) {
        self.encoder.renewal().await;
    }

    fn mode(&self) -> Option<Mode> {
        let in_words = self.chosen()?.mode(&self.encoder.in_words());
        Some(Mode { encoder: self.encodes().then(|| self.encoder.current()), in_words })
    }

    fn note(&self) -> Note {
        self.note.clone()
    }
}

/// The pattern's beep is always there.
fn has_own_sound(source: &Source) -> bool {
    matches!(source, Source::TestPattern)
}

/// Of a stream in parts it has to be known whether there is sound.
fn depends_on_media(spec: &StreamSpec) -> bool {
    let settings = &spec.settings;
    let listens = settings.sub_second.is_some() && settings.audio && !has_own_sound(&spec.source);
    settings.wish().depends_on_media() || listens
}

/// Each look is a time without a picture.
fn aim(spec: &StreamSpec) -> Aim {
    if spec.settings.wish().depends_on_media() { Aim::Frames } else { Aim::Streams }
}

/// What a look in a hurry takes for granted. A cap needs to be measured.
fn glance(spec: &StreamSpec) -> Option<Glance> {
    let wish = spec.settings.wish();
    let is_enough = wish.depends_on_media() && wish.max_kbps.is_none();
    is_enough.then_some(Glance { interval: wish.segment_duration, longest_gop: wish.longest_segment() })
}

/// The child's end first; only this process reads without waiting.
fn sound_pipe() -> io::Result<(OwnedFd, pipe::Receiver)> {
    let (reader, writer) = io::pipe()?;
    Ok((writer.into(), pipe::Receiver::from_owned_fd(reader.into())?))
}
