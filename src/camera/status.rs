//! What a camera's drivers tell the rest of the agent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::domain::health::Verdict;
use crate::domain::ids::{CameraId, RunId};
use crate::domain::lifecycle::{Barred, Cause, Phase};
use crate::domain::publication::Progress;

#[derive(Debug, Clone)]
pub struct CameraStatus {
    pub id: CameraId,
    pub phase: Phase,
    pub run: Option<RunId>,
    /// What is done with the camera's streams, in words; `None`: it is not known what they are.
    pub mode: Option<String>,
    pub progress: Progress,
    /// Segments that the engine made and nobody could fetch from the spool in time, or that were not real.
    pub segments_missed: u64,
    /// Runs that ended without being asked to, and panics.
    pub restarts: u64,
    /// Those that were no panic.
    pub restarts_by_cause: BTreeMap<Cause, u64>,
    /// The health monitor's looks.
    pub health_checks: u64,
    pub verdict: Verdict,
    /// Why the last run ended that nobody asked to.
    pub last_trouble: Option<Cause>,
    /// The camera refused the password: until when nobody tries again.
    pub barred: Option<Barred>,
    /// When the last run ended that nobody asked to.
    pub failed_at: Option<Instant>,
    /// Since when it has been live without a break.
    pub live_since: Option<Instant>,
    pub last_exit: Option<LastExit>,
    pub last_segment: Option<Instant>,
    /// When the store last confirmed a playlist.
    pub playlist_stored: Option<Instant>,
    /// What the store said last to a segment or playlist that it did not take; `None` since it took a playlist.
    pub storage_error: Option<String>,
    /// When the store last took a still picture.
    pub snapshot_stored: Option<Instant>,
    /// Still pictures that could not be made, or that the store did not take.
    pub snapshots_failed: u64,
    /// The supervisor's last sign of life.
    pub beat: Instant,
}

/// How the last run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastExit {
    pub cause: Cause,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// The last lines that the engine said, without secrets.
    pub last_words: Vec<String>,
    pub ran_for: Duration,
}

impl CameraStatus {
    pub fn new(id: CameraId, now: Instant) -> Self {
        Self {
            id,
            phase: Phase::Idle,
            run: None,
            mode: None,
            progress: Progress::default(),
            segments_missed: 0,
            restarts: 0,
            restarts_by_cause: BTreeMap::new(),
            health_checks: 0,
            verdict: Verdict::Idle,
            last_trouble: None,
            barred: None,
            failed_at: None,
            live_since: None,
            last_exit: None,
            last_segment: None,
            playlist_stored: None,
            storage_error: None,
            snapshot_stored: None,
            snapshots_failed: 0,
            beat: now,
        }
    }
}

impl CameraStatus {
    /// Of a stream that starts anew, at a camera that refused before.
    #[must_use]
    pub fn barred_by(self, barred: Option<Barred>) -> Self {
        Self { barred, last_trouble: barred.map(|_| Cause::Auth).or(self.last_trouble), ..self }
    }
}

/// Where a camera's two drivers write its status.
pub type StatusSender = std::sync::Arc<watch::Sender<CameraStatus>>;
