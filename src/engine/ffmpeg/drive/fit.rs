//! Whether a run is fit for its viewers, by what ffmpeg says and by its segments.

use super::super::fitness::Longer;
use super::super::tail::on_disk;
use super::{Driver, NEXT_FRAME};
use crate::clock;
use crate::domain::lifecycle::Cause;
use crate::domain::segment::Segment;
use crate::engine::spool::root::discard;
use crate::engine::{EngineEvent, Halt};

impl Driver {
    pub(super) async fn heed(&mut self, line: &str) {
        self.hear(line);
        self.hear_of_sound(line);
        if let Some(cause) = self.fitness.hear(line) {
            // What is finished until now is still good.
            self.look().await;
            self.unfit(cause).await;
            if cause == Cause::Redirected {
                // Before anything comes from there.
                self.halt(Halt::Kill).await;
            }
        } else if self.fitness.sound_jumps() && self.sound_judged_at.is_none() {
            self.sound_judged_at = Some(clock::now() + NEXT_FRAME);
        }
    }

    /// Also of a child that has ended: the run ends with that, and the next one has none.
    pub(super) fn hear_of_sound(&self, line: &str) {
        self.hear_of_silence(line);
        if self.fitness.hears_of_unknown_sound(line) {
            self.acquaintance.sound_is_unknown(clock::now());
        }
    }

    /// The picture did not jump with the sound: that alone is at fault.
    pub(super) async fn judge_sound(&mut self) {
        self.sound_judged_at = None;
        if let Some(cause) = self.fitness.give_up_sound() {
            self.acquaintance.sound_failed(clock::now());
            self.look().await;
            self.unfit(cause).await;
        }
    }

    pub(super) async fn unfit(&mut self, cause: Cause) {
        self.tell(EngineEvent::Unfit(cause)).await;
    }

    /// Of what is new in the spool.
    pub(super) async fn judge(&mut self, event: EngineEvent) {
        let EngineEvent::Segment(Segment { duration, .. }) = event else { return self.show(event).await };
        self.words.all_is_well();
        let Some(longer) = self.fitness.see(duration) else { return self.show(event).await };
        let is_first = matches!(longer, Longer::Interval { .. });
        self.acquaintance.outgrow(clock::now(), longer);
        if is_first && self.fitness.goes_on_with(self.acquaintance.media().as_ref(), duration) {
            self.pass_on(EngineEvent::Outgrown).await;
            return self.show(event).await;
        }
        self.is_false_start |= is_first;
        self.show(event).await;
        self.pass_on(EngineEvent::Unfit(Cause::StreamChanged)).await;
    }

    /// Unless it is a segment that is longer than was announced, or comes behind one.
    pub(super) async fn show(&mut self, event: EngineEvent) {
        match event {
            EngineEvent::Segment(segment) if self.is_false_start => self.withhold(segment).await,
            event => self.tell(event).await,
        }
    }

    async fn withhold(&mut self, segment: Segment) {
        let remove = move || {
            segment.payload.paths().for_each(|path| discard(&path));
            Ok(())
        };
        if let Err(error) = on_disk(remove).await {
            tracing::debug!(%error, "a segment could not be removed");
        }
        self.tell(EngineEvent::Withheld { segments: 1 }).await;
    }
}
