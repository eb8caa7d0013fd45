//! What the driver does with a run in parts.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::super::pipes::{Piped, Pipes};
use super::{Driver, Excess};
use crate::clock;
use crate::domain::lifecycle::Cause;
use crate::engine::EngineEvent;

/// For what a child that has ended left in its pipes.
const REST_TIME: Duration = Duration::from_secs(1);

/// Of an output: ffmpeg ends with it.
const NO_STREAM: &str = "does not contain any stream";

/// Never, for a run without.
pub(super) async fn next(pipes: &mut Option<Pipes>) -> Piped {
    match pipes.as_mut().filter(|pipes| !pipes.is_over()) {
        Some(pipes) => pipes.next().await,
        None => std::future::pending().await,
    }
}

impl Driver {
    /// Parts first: segments are in no hurry.
    pub(super) async fn piped(&mut self, piped: Piped) {
        let is_sound_homeless = piped.is_sound_homeless;
        if self.hand_over(piped).await {
            self.look().await;
        }
        if is_sound_homeless {
            self.judge_sound().await;
        }
    }

    /// `true`: there is something new in the spool.
    async fn hand_over(&mut self, piped: Piped) -> bool {
        let Piped { parts, segments, damaged, is_over_limit, .. } = piped;
        for part in parts {
            self.pipes.iter_mut().for_each(|pipes| pipes.came(&part, clock::wall()));
            self.tell(EngineEvent::Part(part)).await;
        }
        if let Some(damaged) = damaged {
            self.hear(&damaged.to_string());
            self.unfit(Cause::BadStream).await;
        }
        if is_over_limit && self.excess.is_none() {
            let share = self.share.bytes();
            self.excess = Some(Excess::Segment { share, renditions: self.tail.renditions() });
            crate::sys::child::signal_group(&self.child, Signal::SIGKILL);
        }
        let is_news = !segments.is_empty();
        if let Some(pipes) = self.pipes.as_mut().filter(|_| is_news) {
            self.tail.ended_at = pipes.ended_at(&segments);
            if let Err(error) = pipes.keep(segments).await {
                self.unread = Some(error.to_string());
            }
        }
        is_news
    }

    /// The camera was known to have sound, and has none any more: it has to be looked at again.
    pub(super) fn hear_of_silence(&self, line: &str) {
        if self.pipes.is_some() && line.contains(NO_STREAM) {
            self.acquaintance.forget();
        }
    }

    /// What is left in the pipes of a child that has ended, and what was still being made.
    pub(super) async fn drain_pipes(&mut self) {
        let end = clock::now() + REST_TIME;
        while self.pipes.as_ref().is_some_and(|pipes| !pipes.is_over()) {
            let piped = tokio::select! {
                piped = next(&mut self.pipes) => piped,
                () = clock::sleep_until(Some(end)) => break,
            };
            self.hand_over(piped).await;
        }
        if let Some(piped) = self.pipes.as_mut().map(Pipes::finish) {
            self.hand_over(piped).await;
        }
    }
}
