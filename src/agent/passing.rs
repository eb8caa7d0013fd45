//! Streams that run while somebody wants them, and what an agent that died left of them. Those that the configuration does
//! not know are forgotten when nothing of them is left.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::assignment::{Assignment, Place, Stay};
use super::camera::{Keeper, Left, WIND_UP_GRACE, choice_of, seed};
use super::leftovers;
use crate::camera::sheet::{Posting, Sheet};
use crate::camera::status::CameraStatus;
use crate::clock;
use crate::config::model::Start;
use crate::domain::ids::CameraId;
use crate::engine::ffmpeg::Acquaintance;
use crate::engine::spool::origin;

impl Keeper {
    /// Nothing runs.
    pub(super) fn rest(&self, assignment: &Assignment, is_same_camera: bool) {
        let (camera, now) = (&assignment.camera, clock::now());
        let rest = |status: &CameraStatus| match is_same_camera {
            true => status.at_rest(camera, now),
            false => CameraStatus::at_first(camera, now),
        };
        for status in [&self.status, &self.origin_status] {
            status.send_modify(|status| *status = rest(status));
        }
    }

    /// A stream begins: nothing is known but that its camera refused, if it did, and how often its runs ended.
    fn begin_anew(&self, assignment: &Assignment) {
        let first = || CameraStatus::at_first(&assignment.camera, clock::now());
        self.status.send_modify(|status| {
            let next = first().barred_by(status.barred);
            let restarts_by_cause = std::mem::take(&mut status.restarts_by_cause);
            *status = CameraStatus { restarts: status.restarts, restarts_by_cause, ..next };
        });
        self.origin_status.send_replace(first());
    }

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
            return self.end_what_is_left(assignment).await;
        }
        self.begin_anew(assignment);
        let Some(room) = self.share(assignment).await else {
            return self.end_what_is_left(assignment).await;
        };
        self.cleared.store(false, Ordering::Relaxed);
        self.has_run.store(true, Ordering::Relaxed);
        let is_owed = self.mark(assignment).await;
        let left = self.run(assignment, &room, acquaintance, is_owed).await;
        self.owes_end.store(left == Left::Something, Ordering::Relaxed);
        if left == Left::Nothing {
            let _ = tokio::task::spawn_blocking(move || leftovers::forget(&root, &id)).await;
        }
        drop(room);
        self.end_what_is_left(assignment).await;
    }

    /// Of a caller's stream that nobody wants any more: the next run may have been called off before it began.
    async fn end_what_is_left(&self, assignment: &Arc<Assignment>) {
        if self.owes_end.load(Ordering::Relaxed) && !self.demand.borrow().is_wanted(clock::now()) {
            self.rest(assignment, true);
            self.clear_left(assignment).await;
        }
    }

    /// A camera of the configuration, while it is wanted.
    pub(super) async fn run_configured(&self, assignment: &Arc<Assignment>, acquaintance: &Acquaintance) {
        let (root, id) = (&self.around.workshop.spool_root, &assignment.camera.id);
        let is_always = self.wanted.borrow().is_always();
        // An agent before this one may have run it, or its end was cut off.
        if !is_always && !self.cleared.load(Ordering::Relaxed) && leftovers::is_marked(root, id) {
            self.clear_left(assignment).await;
            self.rest(assignment, true);
        }
        if !self.is_wanted(assignment).await {
            return;
        }
        self.begin_anew(assignment);
        let Some(share) = self.share(assignment).await else { return };
        self.cleared.store(false, Ordering::Relaxed);
        self.has_run.store(true, Ordering::Relaxed);
        // As it is now: it may have waited long.
        let is_owed = if self.wanted.borrow().is_always() {
            self.unmark(assignment).await;
            false
        } else {
            self.mark(assignment).await
        };
        match self.run(assignment, &share, acquaintance, is_owed).await {
            Left::Nothing => self.unmark(assignment).await,
            // Its end was cut off, or it ran always until now: it is ended unless somebody wants it.
            Left::Something if self.is_on_demand() => _ = self.mark(assignment).await,
            Left::Something => {}
        }
    }

    fn is_on_demand(&self) -> bool {
        let is = |assignment: &Arc<Assignment>| assignment.camera.settings.start == Start::OnDemand;
        self.wanted.borrow().assignment.as_ref().is_some_and(is)
    }

    /// Whether an earlier one was, which has not been ended.
    async fn mark(&self, assignment: &Assignment) -> bool {
        let (root, id) = (self.around.workshop.spool_root.clone(), assignment.camera.id.clone());
        let mark = move || (leftovers::is_marked(&root, &id), leftovers::mark(&root, &id));
        let (was_marked, marked) = tokio::task::spawn_blocking(mark).await.unwrap_or((false, Ok(())));
        if let Err(error) = marked {
            tracing::warn!(%error, "this stream can't be remembered: what it leaves if this agent dies stays in the storage");
        }
        was_marked
    }

    /// Unless somebody wants the stream again.
    pub(super) async fn clear_left(&self, assignment: &Arc<Assignment>) {
        let camera = &assignment.camera;
        let (root, abort) = (self.around.workshop.spool_root.clone(), self.around.abort.child_token());
        let choice = choice_of(&self.around.workshop, camera);
        let is_own = self.has_run.load(Ordering::Relaxed);
        // What is only removed needs no room; what this box serves itself is read as if it were to go on.
        let share = if is_own { camera.settings.least_share() } else { 0 };
        let (plan, store, origin) = assignment.places(&self.around, &choice, share, &self.origin_status);
        // An earlier agent's went with the start of this one.
        let origin = origin.filter(|_| is_own);
        let store = assignment.place.metered(store, self.figures.meter.clone());
        let sheet = Sheet::new(&camera.id, &camera.settings, &choice);
        let posting = Posting { sheet, is_known: false, name: self.name.subscribe() };
        let clear = async {
            if is_own {
                self.may_clear(&camera.id).await;
            } else {
                tokio::time::sleep(leftovers::GRACE).await;
            }
            if !is_own && matches!(assignment.place, Place::Here) {
                return true;
            }
            let whose = if is_own { "this stream" } else { "a stream of an earlier agent" };
            if let Some(left_out) = self.chatter.may_tell(clock::now()) {
                let left_out = Some(left_out).filter(|lines| *lines > 0);
                tracing::info!(left_out, "{whose} ends, and what it left in the storage is removed");
            }
            let status = (self.status.clone(), seed());
            leftovers::clear((plan, posting), (store, origin), &root, status, abort.clone()).await
        };
        let is_cleared = tokio::select! {
            biased;
            () = self.around.stop.cancelled() => return,
            () = self.superseded(assignment) => return,
            () = self.becomes(true), if assignment.stay != Stay::Left => return abort.cancel(),
            is_cleared = tokio::time::timeout(WIND_UP_GRACE, clear) => is_cleared == Ok(true),
        };
        self.cleared.store(true, Ordering::Relaxed);
        self.owes_end.store(false, Ordering::Relaxed);
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
                "not all that an earlier stream left in the storage could be removed: the next start tries again"
            );
        }
    }

    /// Whoever stops the stream all the time must not have the storage asked as often.
    async fn may_clear(&self, id: &CameraId) {
        while let Err(pause) = self.around.clears.take(id, clock::now()) {
            tokio::time::sleep(pause).await;
        }
    }

    /// It runs always now, or nothing is left of it.
    async fn unmark(&self, assignment: &Assignment) {
        let (root, id) = (self.around.workshop.spool_root.clone(), assignment.camera.id.clone());
        let _ = tokio::task::spawn_blocking(move || leftovers::unmark(&root, &id)).await;
    }
}
