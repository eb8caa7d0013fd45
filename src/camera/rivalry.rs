//! What the log says of another agent on the same camera.

use std::time::Instant;

use super::trouble::Trouble;
use crate::domain::publication::Progress;

#[derive(Debug, Default)]
pub(super) struct Rivalry {
    standing_back: Trouble,
    fight: Trouble,
    conflicts: u64,
}

const MEND: &str = "give each agent a location of its own, or stop one of them";

impl Rivalry {
    /// `before`: what publishers before this one counted, and told of.
    pub(super) fn new(before: &Progress) -> Self {
        Self { conflicts: before.conflicts, ..Self::default() }
    }

    pub(super) fn tell(&mut self, now: Instant, progress: &Progress) {
        let rival = progress.rival.map(|run| run.to_string());
        if progress.standing_back {
            if let Some(report) = self.standing_back.failed(now) {
                tracing::error!(
                    rival_run = rival,
                    since_s = report.lasting.as_secs(),
                    mend = MEND,
                    "another edge-agent publishes this camera: this one stands back"
                );
            }
        } else if progress.live_edge.is_some()
            && let Some(report) = self.standing_back.succeeded(now)
        {
            let after_s = report.lasting.as_secs();
            tracing::info!(after_s, "the other edge-agent fell silent: this one publishes the camera");
        }
        if progress.conflicts > self.conflicts
            && !progress.standing_back
            && let Some(report) = self.fight.failed(now)
        {
            let times = report.failures;
            tracing::warn!(
                rival_run = rival,
                times,
                mend = MEND,
                "another edge-agent wrote this camera's playlist"
            );
        }
        self.conflicts = progress.conflicts;
    }
}
