//! What the log hears of one camera's runs: the first failure of each kind, then a summary ever more rarely, and
//! that it is back. A camera that reboots every minute for months must not fill the log.

use std::time::{Duration, Instant};

use super::trouble::Trouble;
use crate::domain::health::{Reason, Verdict};
use crate::domain::lifecycle::{Cause, Lifecycle};
use crate::engine::Exit;

/// After so long in silence a cause is news again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// A cause; of ffmpeg's own failures also how it ended, or that it never began: each has another mend.
type News = (Cause, Option<i32>, Option<i32>);

fn news_of(cause: Cause, exit: &Exit) -> News {
    let (code, signal) = if cause == Cause::Crashed { (exit.code, exit.signal) } else { (None, None) };
    (cause, code, signal)
}

#[derive(Debug, Default)]
pub(super) struct Voice {
    runs: Trouble,
    /// Told since the last silence.
    causes: Vec<News>,
    last_told: Option<Instant>,
    /// That it is live is owed to who heard that it is not.
    owes_live: Owed,
    losses: Trouble,
    storage: Trouble,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Owed {
    #[default]
    First,
    Again,
    Nothing,
}

impl Voice {
    pub(super) fn live(&mut self, now: Instant, run: crate::domain::ids::RunId, since: Instant) {
        self.runs.succeeded(now);
        if std::mem::replace(&mut self.owes_live, Owed::Nothing) == Owed::Nothing {
            return tracing::debug!(%run, "camera is live again");
        }
        let after = now.saturating_duration_since(since).as_millis();
        let after_ms = u64::try_from(after).unwrap_or(u64::MAX);
        tracing::info!(%run, after_ms, "camera is live: first segment");
    }

    pub(super) fn exited(&mut self, now: Instant, lifecycle: &Lifecycle, exit: &Exit) {
        let cause = lifecycle.last_cause().unwrap_or(exit.cause);
        if cause == Cause::Asked {
            return tracing::debug!(ran_for = ?exit.ran_for, "ffmpeg stopped");
        }
        let quiet = self.last_told.is_none_or(|at| now.saturating_duration_since(at) > FORGOTTEN_AFTER);
        if quiet {
            self.causes.clear();
        }
        let summary = self.runs.failed(now).is_some();
        let kind = news_of(cause, exit);
        let news = !self.causes.contains(&kind);
        let retry = lifecycle.deadline().map(|at| at.saturating_duration_since(now)).unwrap_or_default();
        let retry_s = format!("{:.1}", retry.as_secs_f64());
        let said = exit.last_words.last().map(String::as_str).unwrap_or_default();
        let (failures, restarts) = (lifecycle.failures(), lifecycle.restarts());
        let (code, signal, cause_in_words) = (exit.code, exit.signal, cause.in_words());
        if !summary && !news {
            return tracing::debug!(
                cause = cause_in_words,
                failures,
                retry_s,
                code,
                signal,
                said,
                "camera is down"
            );
        }
        if news {
            self.causes.push(kind);
        }
        self.last_told = Some(now);
        if self.owes_live == Owed::Nothing {
            self.owes_live = Owed::Again;
        }
        tracing::warn!(
            cause = cause_in_words,
            failures,
            restarts,
            retry_s,
            code,
            signal,
            said,
            "camera is down: trying again"
        );
    }

    pub(super) fn lost(&mut self, now: Instant, segments: u64) {
        if let Some(report) = self.losses.failed(now) {
            let times = report.failures;
            tracing::warn!(segments, times, "segments were lost in the spool: is its file system full?");
        }
    }

    /// To be told now and then.
    pub(super) fn calm(&mut self, now: Instant, segments_missed: u64) {
        if self.losses.is_over(now) {
            tracing::info!(segments_missed, "no more segments are lost in the spool");
        }
    }

    /// What a look found; the ends of runs are told already.
    pub(super) fn looked(&mut self, now: Instant, verdict: Verdict) {
        match verdict.reason() {
            None => {
                if self.storage.succeeded(now).is_some() {
                    tracing::info!("viewers get the stream again");
                }
            }
            Some(reason @ (Reason::PlaylistUnconfirmed { .. } | Reason::Stale { .. })) => {
                if self.storage.failed(now).is_some() {
                    tracing::warn!(reason = reason.in_words(), "viewers get nothing new");
                }
            }
            // The publisher tells of these, the exit of those.
            Some(Reason::GivenUp { .. } | Reason::StandingBack | Reason::Run(_)) => {}
        }
    }
}
