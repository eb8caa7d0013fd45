//! What is known of a camera's streams, and the run that finds out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::Workshop;
use super::probe::{DEADLINE, ProbeError, probe};
use crate::clock;
use crate::domain::doubt::Doubt;
use crate::domain::lifecycle::Cause;
use crate::domain::media::Media;
use crate::domain::sound::Sound;
use crate::domain::source::Source;
use crate::engine::{EngineEvent, Exit, Halt, Run};

/// It outlives a camera's engines. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Acquaintance(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    known: Known,
    doubt: Doubt,
    sound: Sound,
}

#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one per camera")]
pub enum Known {
    #[default]
    Nothing,
    Media(Media),
    /// Its pictures come, but what they are could not be told.
    Unreadable,
}

impl Acquaintance {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn known(&self) -> Known {
        self.lock().known.clone()
    }

    pub fn media(&self) -> Option<Media> {
        match self.known() {
            Known::Media(media) => Some(media),
            Known::Nothing | Known::Unreadable => None,
        }
    }

    /// It sends something else now.
    pub fn forget(&self) {
        self.lock().known = Known::Nothing;
    }

    /// A GOP was this long at least, beyond what was known. It sends something else now, or always did.
    pub fn outgrow(&self, now: Instant, gop: Duration) {
        self.lock().doubt.surprised(now, gop);
        self.forget();
    }

    pub fn learn(&self, known: Known) {
        self.lock().known = known;
    }

    /// A run ended for its sound alone.
    pub(super) fn sound_failed(&self, now: Instant) {
        self.lock().sound.failed(now);
    }

    pub(super) fn has_sound(&self, now: Instant) -> bool {
        self.lock().sound.is_on(now)
    }

    /// A run that re-encodes has ended by itself: perhaps somebody has set the camera better.
    pub(super) fn doubt(&self, now: Instant) {
        let mut memory = self.lock();
        if memory.doubt.wants_another_look(now) {
            memory.known = Known::Nothing;
        }
    }

    /// A look has found this.
    fn looked(&self, now: Instant, found: Known) {
        let mut memory = self.lock();
        memory.doubt.looked(now);
        memory.known = match found {
            Known::Media(media) => Known::Media(memory.doubt.believe(now, media)),
            other => other,
        };
    }
}

/// A run that gives no segment: it looks at what the camera sends.
pub(super) struct ProbeRun {
    probing: JoinSet<Result<Media, ProbeError>>,
    acquaintance: Acquaintance,
    started: Instant,
}

impl ProbeRun {
    pub(super) fn start(workshop: Arc<Workshop>, source: Source, acquaintance: Acquaintance) -> Self {
        let mut probing = JoinSet::new();
        let look = async move { probe(&workshop, &source, DEADLINE).await };
        probing.spawn(look.in_current_span());
        Self { probing, acquaintance, started: clock::now() }
    }

    fn learn(&self, outcome: Result<Media, ProbeError>) -> Exit {
        let (cause, said) = match outcome {
            Ok(media) => {
                self.acquaintance.looked(clock::now(), Known::Media(media));
                (Cause::Asked, None)
            }
            Err(error @ ProbeError::Garbled(_)) => {
                tracing::warn!(%error, "what the camera sends can't be told: it is encoded anew");
                self.acquaintance.looked(clock::now(), Known::Unreadable);
                (Cause::Asked, None)
            }
            Err(error) => (error.cause(), Some(error.to_string())),
        };
        let ran_for = clock::now().saturating_duration_since(self.started);
        Exit { code: None, signal: None, ran_for, cause, last_words: said.into_iter().collect() }
    }
}

#[async_trait]
impl Run for ProbeRun {
    async fn next(&mut self) -> EngineEvent {
        let lost = |error: tokio::task::JoinError| Err(ProbeError::Garbled(error.to_string()));
        EngineEvent::Exited(match self.probing.join_next().await {
            Some(Err(error)) if error.is_cancelled() => asked(self.started),
            Some(ended) => self.learn(ended.unwrap_or_else(lost)),
            None => asked(self.started),
        })
    }

    fn halt(&mut self, _how: Halt) {
        self.probing.abort_all();
    }
}

fn asked(started: Instant) -> Exit {
    let ran_for = clock::now().saturating_duration_since(started);
    Exit { code: None, signal: None, ran_for, cause: Cause::Asked, last_words: Vec::new() }
}
