//! A stream on demand before it begins and when it ends: its room in the spool, and what it leaves behind.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Assignment, Keeper};
use crate::camera::status::CameraStatus;
use crate::clock;
use crate::domain::lifecycle::Phase;
use crate::engine::spool::shares::Share;

/// Until a stream without room asks again.
const AGAIN: Duration = Duration::from_millis(500);
/// One that is just ending gives its room back within so long: nothing is wrong.
const USUAL: Duration = Duration::from_secs(5);
/// A hold and a sweep take a minute or two.
pub(in crate::agent) const WIND_UP_GRACE: Duration = Duration::from_secs(600);

/// Of a stream, in the storage, when its run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) enum Left {
    Nothing,
    Something,
}

/// What ends a camera's runs.
#[derive(Clone, Copy)]
pub(super) struct Ends<'a> {
    /// Nobody wants the stream any more.
    pub(super) over: &'a CancellationToken,
    pub(super) stop: &'a CancellationToken,
    pub(super) abort: &'a CancellationToken,
    /// What ended had published nothing yet, but what was before it had.
    pub(super) is_unfinished: &'a AtomicBool,
}

impl Ends<'_> {
    fn left(&self) -> Left {
        let is_cut_off = self.abort.is_cancelled() || self.is_unfinished.load(Ordering::Relaxed);
        if is_cut_off { Left::Something } else { Left::Nothing }
    }
}

impl Keeper {
    /// What it may take of the spool, when it is its turn and there is room. `None`: it is not to run any more.
    pub(in crate::agent) async fn share(&self, assignment: &Assignment) -> Option<Share> {
        let (shares, settings) = (&self.around.workshop.spool_share, &assignment.camera.settings);
        if !self.has_turn.swap(false, Ordering::Relaxed) && !self.awaits_turn(assignment).await {
            return None;
        }
        let (since, mut told) = (clock::now(), false);
        loop {
            // As it is now: when it runs may have changed since this stream was assigned.
            let is_always = self.wanted.borrow().is_always();
            if let Some(share) = shares.take(&assignment.camera.id, is_always, settings.least_share()) {
                return Some(share);
            }
            let now = clock::now();
            if now.saturating_duration_since(since) >= USUAL {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(
                        "other streams have all of spool_limit: this one waits for room; raise spool_limit"
                    );
                }
                self.status.send_modify(|status| status.waits_for_room(now, AGAIN));
            }
            if !self.is_wanted_after(assignment, AGAIN).await {
                return None;
            }
        }
    }

    /// `false`: it is not to run any more.
    async fn awaits_turn(&self, assignment: &Assignment) -> bool {
        while let Err(pause) = self.around.turns.take(&assignment.camera.id, clock::now()) {
            let now = clock::now();
            self.status
                .send_modify(|status| (status.phase, status.beat) = (Phase::Starting { since: now }, now));
            if !self.is_wanted_after(assignment, pause).await {
                self.status.send_modify(|status| status.phase = Phase::Idle);
                return false;
            }
        }
        true
    }

    /// Comes when a stream that ends is wanted again, and it is its turn: until then its end goes on.
    async fn comes_back(&self, assignment: &Assignment) {
        while self.is_wanted(assignment).await {
            match self.around.turns.take(&assignment.camera.id, clock::now()) {
                Ok(()) => return self.has_turn.store(true, Ordering::Relaxed),
                Err(pause) => _ = self.is_wanted_after(assignment, pause).await,
            }
        }
    }

    async fn is_wanted_after(&self, assignment: &Assignment, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.around.stop.cancelled() => false,
            () = self.superseded(assignment) => false,
            () = self.becomes(false) => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    /// The stream ends for its viewers, and nothing of it is left; that is cut short when somebody wants it again.
    pub(super) async fn wind_up(
        &self,
        assignment: &Assignment,
        share: &Share,
        mut runs: Pin<&mut (impl Future<Output = ()> + Send)>,
        ends: Ends<'_>,
    ) -> Left {
        if self.around.stop.is_cancelled() {
            // The agent ends, and gives it the time to publish what there is.
            runs.await;
            return Left::Something;
        }
        if let Some(left_out) = self.chatter.may_tell(clock::now()) {
            let left_out = Some(left_out).filter(|lines| *lines > 0);
            tracing::info!(left_out, "nobody wants this stream any more: it ends");
        }
        ends.over.cancel();
        ends.stop.cancel();
        tokio::select! {
            () = &mut runs => return ends.left(),
            never = self.give_back(share) => match never {},
            () = self.comes_back(assignment) => {}
            () = tokio::time::sleep(WIND_UP_GRACE) => {
                tracing::warn!("not all that the stream left in the storage could be removed: the next run sweeps it");
            }
        }
        ends.abort.cancel();
        runs.await;
        Left::Something
    }

    /// While the stream's end is still held in the storage, others may have its room.
    async fn give_back(&self, share: &Share) -> Infallible {
        let is_empty = |now: &CameraStatus| now.phase == Phase::Idle && now.progress.backlog == 0;
        let _ = self.status.subscribe().wait_for(is_empty).await;
        // What this box serves itself is fed from the same spool.
        let _ = self.origin_status.subscribe().wait_for(|now| now.progress.backlog == 0).await;
        share.give_back();
        pending().await
    }
}
