//! What a camera's drivers tell the rest of the agent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::config::model::{Camera, Settings};
use crate::domain::choice::{Mode, Quality};
use crate::domain::health::{Reason, Verdict};
use crate::domain::ids::{CameraId, RunId};
use crate::domain::lifecycle::{Barred, Cause, Phase};
use crate::domain::measured::Measured;
use crate::domain::publication::Progress;

#[derive(Debug, Clone)]
pub struct CameraStatus {
    pub id: CameraId,
    pub phase: Phase,
    pub run: Option<RunId>,
    pub asked: Asked,
    /// What is done with the camera's streams; `None`: it is not known what they are.
    pub mode: Option<Mode>,
    /// Of the last segments that the store took.
    pub measured: Option<Measured>,
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

/// What the settings want of the picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    pub quality: Option<Quality>,
    pub max_kbps: Option<u32>,
}

impl Asked {
    /// A preset's limit is for an encoded picture.
    pub fn limit_kbps(&self, is_copied: bool) -> Option<u32> {
        let preset = self.quality.filter(|_| !is_copied).map(|quality| quality.rung().kbps);
        [preset, self.max_kbps].into_iter().flatten().min()
    }
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
    /// Before anything is known of it.
    pub fn at_first(camera: &Camera, now: Instant) -> Self {
        let Settings { quality, max_bitrate: max_kbps, .. } = camera.settings;
        Self { asked: Asked { quality, max_kbps }, ..Self::new(camera.id.clone(), now) }
    }

    pub fn new(id: CameraId, now: Instant) -> Self {
        Self {
            id,
            phase: Phase::Idle,
            run: None,
            asked: Asked::default(),
            mode: None,
            measured: None,
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

    /// When nothing runs any more: what its runs came to, and why the last one ended, is known until the next start.
    #[must_use]
    pub fn at_rest(&self, camera: &Camera, now: Instant) -> Self {
        Self {
            progress: self.progress.at_rest(),
            segments_missed: self.segments_missed,
            restarts: self.restarts,
            restarts_by_cause: self.restarts_by_cause.clone(),
            health_checks: self.health_checks,
            last_trouble: self.last_trouble,
            last_exit: self.last_exit.clone(),
            barred: self.barred,
            snapshots_failed: self.snapshots_failed,
            ..Self::at_first(camera, now)
        }
    }

    /// The stream is wanted, and other ones have all of the spool.
    pub fn waits_for_room(&mut self, now: Instant, again: Duration) {
        self.phase = Phase::BackingOff { until: now + again };
        self.verdict = Verdict::Down(Reason::Run(Cause::SpoolLimit));
        self.last_trouble = Some(Cause::SpoolLimit);
        self.failed_at = Some(now);
        self.beat = now;
    }
}

/// Where a camera's two drivers write its status.
pub type StatusSender = std::sync::Arc<watch::Sender<CameraStatus>>;
