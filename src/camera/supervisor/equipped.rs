//! What a supervisor may have besides its engine.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Supervisor;
use crate::camera::outlets::{EdgeSender, Origin};
use crate::camera::sheet::Posting;
use crate::camera::snapshots::Studio;
use crate::camera::variants::Board;

impl Supervisor {
    /// Also makes still pictures.
    #[must_use]
    pub fn with_snapshots(self, studio: Option<Studio>) -> Self {
        Self { studio, ..self }
    }

    /// Also tells players of the stream.
    #[must_use]
    pub fn with_sheet(self, posting: Option<Posting>) -> Self {
        Self { posting, ..self }
    }

    /// Also keeps a multivariant playlist.
    #[must_use]
    pub fn with_variants(self, board: Option<Board>) -> Self {
        Self { board, ..self }
    }

    /// Also publishes on this box itself.
    #[must_use]
    pub fn with_origin(self, origin: Option<Origin>) -> Self {
        Self { origin, ..self }
    }

    /// Also keeps the newest parts for who serves the stream from this box. The duration: as a part is to be long.
    #[must_use]
    pub fn with_edge(self, edge: Option<(EdgeSender, Duration)>) -> Self {
        Self { edge, ..self }
    }

    /// A stop behind `over` ends the stream for its viewers, and removes what it left in the store.
    #[must_use]
    pub fn over_with(self, over: CancellationToken) -> Self {
        Self { over, ..self }
    }

    /// Each count is somebody who asks for the stream now.
    #[must_use]
    pub fn asked_by(self, asked: watch::Receiver<u64>) -> Self {
        Self { asked: Some(asked), ..self }
    }
}
