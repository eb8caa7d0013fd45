//! What is known of a camera's streams, and the run that finds out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::Workshop;
use super::probe::{Aim, DEADLINE, ProbeError, probe};
use crate::clock;
use crate::domain::doubt::Doubt;
use crate::domain::lifecycle::Cause;
use crate::domain::media::Media;
use crate::domain::sound::Sound;
use crate::domain::source::Source;
use crate::engine::{EngineEvent, Exit, Halt, Run};

/// So many looks without a picture: then it is encoded anew, whatever it is, as a run waits longer than a look. Fewer,
/// and a camera that was still booting would be encoded anew for as long as its run lasts.
const MOST_LATE: u32 = 3;

/// It outlives a camera's engines. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Acquaintance(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    known: Known,
    /// What it was before it was doubted.
    before: Known,
    /// Looks in a row that saw no picture in time.
    late: u32,
    doubt: Doubt,
    sound: Sound,
}

#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one per camera")]
pub enum Known {
    #[default]
    Nothing,
    Media(Media),
    /// Its pictures come, but what they are could not be told.
    Unreadable,
}

impl Acquaintance {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn known(&self) -> Known {
        self.lock().known.clone()
    }

    pub fn media(&self) -> Option<Media> {
        match self.known() {
            Known::Media(media) => Some(media),
            Known::Nothing | Known::Unreadable => None,
        }
    }

    /// It sends something else now.
    pub fn forget(&self) {
        let mut memory = self.lock();
        (memory.known, memory.before) = (Known::Nothing, Known::Nothing);
    }

    /// A GOP was this long at least, beyond what was known. It sends something else now, or always did.
    pub fn outgrow(&self, now: Instant, gop: Duration) {
        self.lock().doubt.surprised(now, gop);
        self.forget();
    }

    pub fn learn(&self, known: Known) {
        self.lock().known = known;
    }

    /// A run ended for its sound alone.
    pub(super) fn sound_failed(&self, now: Instant) {
        self.lock().sound.failed(now);
    }

    /// ffmpeg has no decoder for it.
    pub(super) fn sound_is_unknown(&self, now: Instant) {
        self.lock().sound.cannot_be_decoded(now);
    }

    pub(super) fn why_no_sound(&self) -> &'static str {
        self.lock().sound.why_off()
    }

    pub(super) fn has_sound(&self, now: Instant) -> bool {
        self.lock().sound.is_on(now)
    }

    /// A run that re-encodes has ended by itself: perhaps somebody has set the camera better.
    pub fn doubt(&self, now: Instant) {
        let mut memory = self.lock();
        if memory.doubt.wants_another_look(now) {
            memory.before = std::mem::take(&mut memory.known);
        }
    }

    /// A look has found this.
    fn looked(&self, now: Instant, found: Known) {
        let mut memory = self.lock();
        memory.doubt.looked(now);
        (memory.before, memory.late) = (Known::Nothing, 0);
        memory.known = match found {
            Known::Media(media) => Known::Media(memory.doubt.believe(now, media)),
            other => other,
        };
    }

    /// A look has seen no picture in time, but perhaps a description. Whether there is something to go on with: what
    /// does not fit, the run notices.
    fn looked_in_vain(&self, now: Instant, described: Option<Media>) -> bool {
        let mut memory = self.lock();
        memory.late = memory.late.saturating_add(1);
        let is_other = match (&memory.before, &described) {
            (Known::Media(before), Some(media)) => !media.video.is_like(&before.video),
            _ => false,
        };
        if memory.before != Known::Nothing && !is_other {
            memory.doubt.looked(now);
            memory.known = memory.before.clone();
        } else if memory.late >= MOST_LATE {
            // No look at all: the next comes when the run has ended.
            memory.known = described.map_or(Known::Unreadable, Known::Media);
        }
        memory.known != Known::Nothing
    }
}

/// A run that gives no segment: it looks at what the camera sends.
pub(super) struct ProbeRun {
    probing: JoinSet<Result<Media, ProbeError>>,
    acquaintance: Acquaintance,
    started: Instant,
}

impl ProbeRun {
    pub(super) fn start(
        workshop: Arc<Workshop>,
        source: Source,
        aim: Aim,
        acquaintance: Acquaintance,
    ) -> Self {
        let mut probing = JoinSet::new();
        let look = async move { probe(&workshop, &source, aim, DEADLINE).await };
        probing.spawn(look.in_current_span());
        Self { probing, acquaintance, started: clock::now() }
    }

    fn learn(&self, outcome: Result<Media, ProbeError>) -> Exit {
        let (cause, said) = match outcome {
            Ok(media) => {
                self.acquaintance.looked(clock::now(), Known::Media(media));
                (Cause::Asked, None)
            }
            Err(error @ ProbeError::Garbled(_)) => {
                tracing::warn!(%error, "what the camera sends can't be told: it is encoded anew");
                self.acquaintance.looked(clock::now(), Known::Unreadable);
                (Cause::Asked, None)
            }
            Err(ProbeError::Late { described, .. }) if self.goes_on_with(described.as_deref()) => {
                tracing::warn!(
                    "no picture came when the camera was looked at: going on with what is known of it"
                );
                (Cause::Asked, None)
            }
            Err(error) => (error.cause(), Some(error.to_string())),
        };
        let ran_for = clock::now().saturating_duration_since(self.started);
        Exit { code: None, signal: None, ran_for, cause, last_words: said.into_iter().collect() }
    }

    fn goes_on_with(&self, described: Option<&Media>) -> bool {
        self.acquaintance.looked_in_vain(clock::now(), described.cloned())
    }
}

#[async_trait]
impl Run for ProbeRun {
    async fn next(&mut self) -> EngineEvent {
        let lost = |error: tokio::task::JoinError| Err(ProbeError::Garbled(error.to_string()));
        EngineEvent::Exited(match self.probing.join_next().await {
            Some(Err(error)) if error.is_cancelled() => asked(self.started),
            Some(ended) => self.learn(ended.unwrap_or_else(lost)),
            None => asked(self.started),
        })
    }

    fn halt(&mut self, _how: Halt) {
        self.probing.abort_all();
    }
}

fn asked(started: Instant) -> Exit {
    let ran_for = clock::now().saturating_duration_since(started);
    Exit { code: None, signal: None, ran_for, cause: Cause::Asked, last_words: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::media::{Keyframes, VideoCodec, VideoIn};
    use crate::domain::test_time::start;

    const MINUTE: Duration = Duration::from_secs(60);

    fn media(width: u32, longest: Option<Duration>) -> Media {
        let video = VideoIn {
            codec: VideoCodec::H265,
            profile: Some("Main".into()),
            pixel_format: Some("yuv420p".into()),
            width,
            height: 360,
            fps: Some(25.0),
            interlaced: false,
            b_frames: false,
            keyframes: Keyframes { longest, watched: Duration::ZERO, vary: false },
            bitrate_kbps: None,
        };
        Media { video, audio: None }
    }

    fn found() -> Media {
        media(640, Some(Duration::from_secs(2)))
    }

    /// Looked at, and doubted since.
    fn doubted(found: Known) -> (Acquaintance, Instant) {
        let (acquaintance, now) = (Acquaintance::default(), start());
        acquaintance.looked(now, found);
        acquaintance.doubt(now + 11 * MINUTE);
        assert_eq!(acquaintance.known(), Known::Nothing);
        (acquaintance, now + 11 * MINUTE)
    }

    #[test]
    fn a_look_in_vain_costs_nothing_of_what_was_known() {
        for described in [None, Some(media(640, None))] {
            let (acquaintance, now) = doubted(Known::Media(found()));
            assert!(acquaintance.looked_in_vain(now, described));
            assert_eq!(acquaintance.media(), Some(found()), "with its keyframes");
            acquaintance.doubt(now + MINUTE);
            assert_eq!(acquaintance.media(), Some(found()), "the next look is ten minutes later");
        }
        let (acquaintance, now) = doubted(Known::Unreadable);
        assert!(acquaintance.looked_in_vain(now, None));
        assert_eq!(acquaintance.known(), Known::Unreadable);
    }

    #[test]
    fn the_third_late_look_of_a_run_lets_the_next_run_stream() {
        let acquaintance = Acquaintance::default();
        let run =
            ProbeRun { probing: JoinSet::new(), acquaintance: acquaintance.clone(), started: clock::now() };
        let late = || ProbeError::Late { deadline: DEADLINE, described: Some(Box::new(media(640, None))) };
        for _ in 1..MOST_LATE {
            let exit = run.learn(Err(late()));
            assert_eq!(
                (exit.cause, exit.last_words),
                (Cause::Stalled, vec!["no picture within 8 s".to_owned()])
            );
        }
        assert_eq!(run.learn(Err(late())).cause, Cause::Asked);
        assert_eq!(acquaintance.media(), Some(media(640, None)));
    }

    #[test]
    fn what_is_another_camera_now_is_not_taken_for_the_old_one() {
        let (acquaintance, now) = doubted(Known::Media(found()));
        let other = media(1280, None);
        assert!(!acquaintance.looked_in_vain(now, Some(other.clone())));
        let (forgotten, _) = doubted(Known::Media(found()));
        forgotten.forget();
        assert!(!forgotten.looked_in_vain(now, None));
        for acquaintance in [acquaintance, forgotten] {
            assert!(!acquaintance.looked_in_vain(now, Some(other.clone())));
            assert!(acquaintance.looked_in_vain(now, Some(other.clone())));
            assert_eq!(acquaintance.media(), Some(other.clone()));
        }
    }

    #[test]
    fn three_looks_in_vain_are_enough_and_a_good_one_begins_anew() {
        let (acquaintance, now) = (Acquaintance::default(), start());
        assert!(!acquaintance.looked_in_vain(now, None) && !acquaintance.looked_in_vain(now, None));
        acquaintance.looked(now, Known::Media(found()));
        acquaintance.forget();
        assert!(!acquaintance.looked_in_vain(now, None) && !acquaintance.looked_in_vain(now, None));
        assert!(acquaintance.looked_in_vain(now, None));
        assert_eq!(acquaintance.known(), Known::Unreadable);
        acquaintance.doubt(now + 11 * MINUTE);
        assert_eq!(acquaintance.known(), Known::Nothing, "a run has ended: it is looked at again");
    }
}
