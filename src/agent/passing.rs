//! Streams that run while somebody wants them, and what an agent that died left of them. Those that the configuration does
//! not know are forgotten when nothing of them is left.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::assignment::{Assignment, Place, Stay};
use super::camera::{Keeper, Left, WIND_UP_GRACE, choice_of, seed};
use super::leftovers;
use crate::clock;
use crate::engine::ffmpeg::Acquaintance;
use crate::engine::spool::origin;

impl Keeper {
    /// With a camera that this task has not run before.
    pub(super) fn acquainted(&self, assignment: &Assignment) -> Acquaintance {
        match assignment.stay {
            Stay::Passing => self.around.acquaintances.of(clock::now(), &assignment.camera),
            Stay::Left | Stay::Configured => Acquaintance::default(),
        }
    }

    /// Until it has ended and nothing of it is left, or something else is wanted.
    pub(super) async fn run_passing(&self, assignment: &Arc<Assignment>, acquaintance: &Acquaintance) {
        let (root, id) = (self.around.workshop.spool_root.clone(), assignment.camera.id.clone());
        let barred = self.status.borrow().barred.map(|barred| barred.until);
        let is_wanted = tokio::select! {
            biased;
            is_wanted = self.is_wanted(assignment) => is_wanted,
            // It may be forgotten now.
            () = clock::sleep_until(barred.or(Some(clock::now()))) => false,
        };
        if !is_wanted {
            return;
        }
        let Some(room) = self.share(assignment).await else { return };
        self.mark(assignment).await;
        if self.run(assignment, &room, acquaintance).await == Left::Nothing {
            let _ = tokio::task::spawn_blocking(move || leftovers::forget(&root, &id)).await;
        }
    }

    /// A camera of the configuration, while it is wanted.
    pub(super) async fn run_configured(&self, assignment: &Arc<Assignment>, acquaintance: &Acquaintance) {
        let (root, id) = (&self.around.workshop.spool_root, &assignment.camera.id);
        let is_always = self.wanted.borrow().is_always();
        // An agent before this one may have run it.
        if !is_always && !self.cleared.load(Ordering::Relaxed) && leftovers::is_marked(root, id) {
            self.clear_left(assignment).await;
            self.begin_anew(assignment, true);
        }
        if !self.is_wanted(assignment).await {
            return;
        }
        let Some(share) = self.share(assignment).await else { return };
        // From here on what is left is this agent's own.
        self.cleared.store(true, Ordering::Relaxed);
        // As it is now: it may have waited long.
        if self.wanted.borrow().is_always() {
            self.unmark(assignment).await;
        } else {
            self.mark(assignment).await;
        }
        if self.run(assignment, &share, acquaintance).await == Left::Nothing {
            self.unmark(assignment).await;
        }
    }

    async fn mark(&self, assignment: &Assignment) {
        let (root, id) = (self.around.workshop.spool_root.clone(), assignment.camera.id.clone());
        let marked = tokio::task::spawn_blocking(move || leftovers::mark(&root, &id)).await;
        if let Ok(Err(error)) = marked {
            tracing::warn!(%error, "this stream can't be remembered: what it leaves if this agent dies stays in the storage");
        }
    }

    /// Unless somebody wants the stream again.
    pub(super) async fn clear_left(&self, assignment: &Arc<Assignment>) {
        let camera = &assignment.camera;
        let (root, abort) = (self.around.workshop.spool_root.clone(), self.around.abort.child_token());
        let choice = choice_of(&self.around.workshop, camera);
        // What this box served itself went with the start of the agent; and what is only removed needs no room.
        let (plan, store, _) = assignment.places(&self.around, &choice, 0, &self.origin_status);
        let store = assignment.place.metered(store, self.figures.meter.clone());
        let clear = async {
            tokio::time::sleep(leftovers::GRACE).await;
            if matches!(assignment.place, Place::Here) {
                return true;
            }
            tracing::info!("a stream of an earlier agent ends, and what it left in the storage is removed");
            leftovers::clear(plan, store, &root, (self.status.clone(), seed()), abort.clone()).await
        };
        let is_cleared = tokio::select! {
            biased;
            () = self.around.stop.cancelled() => return,
            () = self.superseded(assignment) => return,
            () = self.becomes(true), if assignment.stay == Stay::Configured => return abort.cancel(),
            is_cleared = tokio::time::timeout(WIND_UP_GRACE, clear) => is_cleared == Ok(true),
        };
        self.cleared.store(true, Ordering::Relaxed);
        if is_cleared {
            let (id, is_configured) = (camera.id.clone(), assignment.stay == Stay::Configured);
            let forget = move || match is_configured {
                // Its numbers go on, here too.
                true => {
                    origin::forget(&root, &id);
                    leftovers::unmark(&root, &id);
                    Ok(())
                }
                false => leftovers::forget(&root, &id),
            };
            let _ = tokio::task::spawn_blocking(forget).await;
        } else {
            tracing::warn!(
                "not all that an earlier agent's stream left could be removed: the next start tries again"
            );
        }
    }

    /// It runs always now, or nothing is left of it.
    async fn unmark(&self, assignment: &Assignment) {
        let (root, id) = (self.around.workshop.spool_root.clone(), assignment.camera.id.clone());
        let _ = tokio::task::spawn_blocking(move || leftovers::unmark(&root, &id)).await;
    }
}
