//! An engine with behaviour but without ffmpeg, for the drivers' tests.

use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use super::spool::note::Note;
use super::{Engine, EngineError, EngineEvent, Exit, Halt, Run, StillError, Stills, Turn};
use crate::clock;
use crate::domain::ids::RunId;
use crate::domain::lifecycle::Cause;
use crate::domain::segment::{Part, Payload, Rendition, Segment};

/// What one run does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// A segment every 2 s, this many; then silence.
    Segments(u64),
    /// Segments for ever.
    Live,
    /// This many segments, then the end.
    Lives(u64, Cause),
    /// This many segments in real time, then all at once.
    Races(u64),
    /// Segments; after this many it says that it is not fit any more, and goes on.
    Unfit(u64, Cause),
    /// Says first that its segments are longer than its engine said, and then gives them.
    Outgrows,
    /// Ends by itself after this time without a segment.
    Dies(Duration, Cause),
}

type Kept = Arc<Mutex<Option<(RunId, Box<dyn Run>)>>>;

/// Plays its acts one after the other, the last one again and again.
#[derive(Clone)]
pub(crate) struct ScriptedEngine {
    folder: PathBuf,
    acts: Arc<Mutex<VecDeque<Act>>>,
    halts: Arc<Mutex<Vec<Halt>>>,
    /// Does not end when it is asked to, nor when it is terminated.
    pub(crate) stubborn: bool,
    /// By its first run.
    pub(crate) outgrown: bool,
    pub(crate) earlier_runs: Vec<RunId>,
    pub(crate) note: Note,
    /// Of its still pictures, and between them.
    pub(crate) stills: Option<(Duration, Arc<ScriptedStills>)>,
    /// The camera's, if players are to be told of it.
    pub(crate) name: Option<watch::Receiver<String>>,
    pub(crate) renditions: Rendition,
    /// Of each segment, half a second before it.
    pub(crate) has_parts: bool,
    /// Handed over.
    pub(crate) kept: Kept,
}

impl Debug for ScriptedEngine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedEngine").field("acts", &self.acts).finish_non_exhaustive()
    }
}

impl ScriptedEngine {
    pub(crate) fn new(folder: PathBuf, acts: impl IntoIterator<Item = Act>) -> Self {
        let acts = Arc::new(Mutex::new(acts.into_iter().collect()));
        Self {
            folder,
            acts,
            halts: Arc::default(),
            stubborn: false,
            outgrown: false,
            earlier_runs: Vec::new(),
            note: Note::default(),
            stills: None,
            name: None,
            renditions: 1,
            has_parts: false,
            kept: Arc::default(),
        }
    }

    pub(crate) fn halts(&self) -> Vec<Halt> {
        self.halts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Engine for ScriptedEngine {
    async fn start(&self, run: RunId) -> Result<Box<dyn Run>, EngineError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((_, kept)) = kept.filter(|(id, _)| *id == run) {
            return Ok(kept);
        }
        let mut acts = self.acts.lock().unwrap_or_else(PoisonError::into_inner);
        let act = if acts.len() > 1 { acts.pop_front() } else { acts.front().copied() };
        let act = act.expect("a script has an act");
        Ok(Box::new(ScriptedRun {
            engine: self.clone(),
            run,
            act,
            index: 0,
            next_at: None,
            ended: false,
            told: false,
            part_told: false,
        }))
    }

    fn earlier_runs(&self) -> Vec<RunId> {
        self.earlier_runs.clone()
    }

    fn is_outgrown(&self) -> bool {
        self.outgrown
    }

    fn hand_over(&self, id: RunId, run: Box<dyn Run>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, run));
    }

    fn takes_over(&self) -> Option<RunId> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(id, _)| *id)
    }

    fn note(&self) -> Note {
        self.note.clone()
    }
}

struct ScriptedRun {
    engine: ScriptedEngine,
    run: RunId,
    act: Act,
    index: u64,
    /// When the next event comes: kept, so that `next` can be cancelled.
    next_at: Option<std::time::Instant>,
    ended: bool,
    told: bool,
    part_told: bool,
}

const SEGMENT: Duration = Duration::from_secs(2);
const PART_EARLIER: Duration = Duration::from_millis(500);

#[async_trait]
impl Run for ScriptedRun {
    async fn next(&mut self) -> EngineEvent {
        if self.ended {
            return exited(Cause::Asked);
        }
        let wait = match self.act {
            Act::Segments(count) if self.index >= count => std::future::pending().await,
            Act::Lives(count, _) if self.index >= count => Duration::ZERO,
            Act::Races(count) if self.index >= count => Duration::from_millis(10),
            _ if self.told => SEGMENT,
            Act::Unfit(count, _) if self.index >= count => Duration::ZERO,
            Act::Segments(_)
            | Act::Live
            | Act::Lives(..)
            | Act::Races(_)
            | Act::Unfit(..)
            | Act::Outgrows => SEGMENT,
            Act::Dies(after, _) => after,
        };
        let at = *self.next_at.get_or_insert(clock::now() + wait);
        if self.engine.has_parts && !self.part_told && wait == SEGMENT {
            tokio::time::sleep_until((at - PART_EARLIER).into()).await;
            self.part_told = true;
            return EngineEvent::Part(self.part());
        }
        tokio::time::sleep_until(at.into()).await;
        self.next_at = None;
        match self.act {
            Act::Dies(_, cause) => return exited(cause),
            Act::Lives(count, cause) if self.index >= count => return exited(cause),
            Act::Unfit(count, cause) if self.index >= count && !self.told => {
                self.told = true;
                return EngineEvent::Unfit(cause);
            }
            Act::Outgrows if !self.told => {
                (self.told, self.next_at) = (true, Some(at));
                return EngineEvent::Outgrown;
            }
            _ => {}
        }
        (self.index, self.part_told) = (self.index + 1, false);
        EngineEvent::Segment(self.segment(self.index - 1))
    }

    fn halt(&mut self, how: Halt) {
        self.engine.halts.lock().unwrap_or_else(PoisonError::into_inner).push(how);
        self.ended = !self.engine.stubborn || how == Halt::Kill;
    }
}

impl ScriptedRun {
    /// All of its segment.
    fn part(&self) -> Part {
        let (run, bytes) = (self.run, Bytes::from_static(b"part"));
        Part { run, number: self.index, segment: self.index, duration: SEGMENT, independent: true, bytes }
    }

    fn segment(&self, index: u64) -> Segment {
        let path = self.engine.folder.join(format!("{}-{index}.ts", self.run));
        let renditions = self.engine.renditions;
        let payload = Payload::File { path, bytes: 1000 * u64::from(renditions), renditions };
        for path in payload.paths() {
            std::fs::write(&path, vec![index as u8; 1000]).expect("a temporary file");
        }
        Segment {
            run: self.run,
            index,
            duration: SEGMENT,
            program_time: clock::wall(),
            after_break: false,
            header: None,
            payload,
        }
    }
}

/// Its pictures are the segments themselves; each takes a while, and some fail.
#[derive(Debug)]
pub(crate) struct ScriptedStills {
    pub(crate) takes: Duration,
    /// Of so many pictures only the last one works.
    pub(crate) one_in: usize,
    made: AtomicUsize,
}

impl ScriptedStills {
    pub(crate) fn new(takes: Duration, one_in: usize) -> Self {
        Self { takes, one_in, made: AtomicUsize::new(0) }
    }

    pub(crate) fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Stills for ScriptedStills {
    async fn turn(&self) -> Turn {
        static TURNS: Semaphore = Semaphore::const_new(1000);
        TURNS.acquire().await.expect("nobody closes it")
    }

    async fn still(&self, _turn: Turn, segment: Bytes) -> Result<Bytes, StillError> {
        let made = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        tokio::time::sleep(self.takes).await;
        let said = "scripted".to_owned();
        if made.is_multiple_of(self.one_in) { Ok(segment) } else { Err(StillError::NoPicture { said }) }
    }
}

fn exited(cause: Cause) -> EngineEvent {
    let last_words = vec!["scripted".to_owned()];
    EngineEvent::Exited(Exit { code: None, signal: None, ran_for: Duration::ZERO, cause, last_words })
}
