//! A run that goes on under the engine that its first segment asked for.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::choice::{AudioOut, Choice, VideoOut};
use crate::domain::ids::RunId;
use crate::engine::spool::root::CameraSpool;
use crate::engine::{EngineEvent, Halt, Run};

/// From one engine of a stream to its next one. Clones are the same; what nobody took ends with the last of them.
#[derive(Clone, Default)]
pub struct Handover(Arc<Mutex<Place>>);

#[derive(Default)]
struct Place {
    kept: Option<Kept>,
    is_closed: bool,
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handover").field(&self.lock().kept.as_ref().map(|kept| kept.id)).finish()
    }
}

/// For its last segment: some cameras count a session that was cut off as a viewer for a minute.
const END_TIME: Duration = Duration::from_secs(3);

pub(super) struct Kept {
    pub(super) id: RunId,
    pub(super) run: Box<dyn Run>,
    pub(super) spool: CameraSpool,
    /// What the run makes.
    pub(super) video: VideoOut,
    pub(super) audio: AudioOut,
    /// What its segments are announced with.
    pub(super) target_duration_s: u64,
}

impl Kept {
    /// Before another run of the camera begins.
    pub(super) async fn end(mut self) {
        self.run.halt(Halt::Ask);
        let over = async { while !matches!(self.run.next().await, EngineEvent::Exited(_)) {} };
        if tokio::time::timeout(END_TIME, over).await.is_err() {
            tracing::debug!(run = %self.id, "a run that nobody goes on with did not end in time");
        }
    }
}

impl Handover {
    fn lock(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep(&self, kept: Kept) {
        let mut place = self.lock();
        let unwanted = if place.is_closed { Some(kept) } else { place.kept.replace(kept) };
        // A spool takes a while to tidy up.
        drop(place);
        drop(unwanted);
    }

    /// Of what is kept, if it is what `choice` would make: where such a run is cut was right for it, too.
    pub(super) fn id_for(&self, choice: &Choice) -> Option<RunId> {
        let fits = |kept: &Kept| {
            (&kept.video, kept.audio, kept.target_duration_s)
                == (&choice.video, choice.audio, choice.target_duration_s)
        };
        self.lock().kept.as_ref().filter(|kept| fits(kept)).map(|kept| kept.id)
    }

    pub(super) fn take(&self) -> Option<Kept> {
        self.lock().kept.take()
    }

    /// Nobody goes on with it.
    pub async fn let_go(&self) {
        if let Some(kept) = self.take() {
            kept.end().await;
        }
    }

    /// The stream is to stop: no other engine follows.
    pub async fn close(&self) {
        self.lock().is_closed = true;
        self.let_go().await;
    }
}
