//! Cameras that the configuration does not know: they run while somebody wants them, and are forgotten when nothing of
//! them is left.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::assignment::{Assignment, Place};
use super::camera::{Keeper, Left, WIND_UP_GRACE, choice_of, seed};
use super::leftovers;
use crate::clock;
use crate::engine::ffmpeg::Acquaintance;

impl Keeper {
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
        let (mark_root, mark_id) = (root.clone(), id.clone());
        let marked = tokio::task::spawn_blocking(move || leftovers::mark(&mark_root, &mark_id)).await;
        if let Ok(Err(error)) = marked {
            tracing::warn!(%error, "this stream can't be remembered: what it leaves if this agent dies stays in the storage");
        }
        if self.run(assignment, &room, acquaintance).await == Left::Nothing {
            let _ = tokio::task::spawn_blocking(move || leftovers::forget(&root, &id)).await;
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
            is_cleared = tokio::time::timeout(WIND_UP_GRACE, clear) => is_cleared == Ok(true),
        };
        self.cleared.store(true, Ordering::Relaxed);
        if is_cleared {
            let id = camera.id.clone();
            let _ = tokio::task::spawn_blocking(move || leftovers::forget(&root, &id)).await;
        } else {
            tracing::warn!(
                "not all that an earlier agent's stream left could be removed: the next start tries again"
            );
        }
    }

    /// The camera belongs to the configuration now.
    pub(super) async fn adopt(&self, assignment: &Assignment) {
        let (root, id) = (self.around.workshop.spool_root.clone(), assignment.camera.id.clone());
        let _ = tokio::task::spawn_blocking(move || leftovers::unmark(&root, &id)).await;
    }
}
