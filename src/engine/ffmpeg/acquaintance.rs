//! What is known of a camera's streams, and the run that finds out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::Workshop;
use super::fitness::Longer;
use super::probe::{Aim, DEADLINE, ProbeError, probe};
use crate::clock;
use crate::domain::doubt::Doubt;
use crate::domain::lifecycle::Cause;
use crate::domain::media::{Keyframes, Media};
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
    is_awaited: bool,
    has_glanced: bool,
    /// A copy with longer GOPs than this would not be worth it.
    longest_gop: Duration,
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

    /// Whether somebody waits for its runs to begin, as those that are on demand.
    pub fn is_awaited(&self, is_awaited: bool) {
        self.lock().is_awaited = is_awaited;
    }

    /// Its description is to be enough: to see two GOPs end takes longer than people like to wait. Once, unless it went
    /// well: then what comes is not what it seems to be.
    pub(super) fn may_glance(&self) -> bool {
        let memory = self.lock();
        memory.is_awaited && !memory.has_glanced
    }

    /// It sends something else now.
    pub fn forget(&self) {
        let mut memory = self.lock();
        (memory.known, memory.before) = (Known::Nothing, Known::Nothing);
    }

    /// GOPs are longer than was known. It sends something else now, or always did.
    pub(super) fn outgrow(&self, now: Instant, longer: Longer) {
        let mut memory = self.lock();
        match longer {
            Longer::Interval { supposed, interval } => {
                // Another stream of the same camera may have told already.
                let is_worth_it = interval <= memory.longest_gop;
                match &mut memory.known {
                    Known::Media(media) if *media != *supposed => {}
                    Known::Media(media) if is_worth_it => media.video.keyframes = Keyframes::seen(interval),
                    // A camera may begin with a GOP as no other one: a look tells.
                    known => *known = Known::Nothing,
                }
            }
            Longer::Gop(gop) => {
                memory.doubt.surprised(now, gop);
                (memory.known, memory.before) = (Known::Nothing, Known::Nothing);
            }
        }
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
        if memory.doubt.wants_another_look(now, memory.is_awaited) {
            memory.before = std::mem::take(&mut memory.known);
            // It was enough.
            memory.has_glanced &=
                !matches!(&memory.before, Known::Media(media) if media.video.keyframes.are_supposed());
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

/// A look at what the camera says of its streams alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glance {
    /// How far apart keyframes are supposed to be.
    pub(super) interval: Duration,
    pub(super) longest_gop: Duration,
}

impl Glance {
    /// `None`: it takes more than that.
    async fn at(
        self,
        workshop: &Workshop,
        source: &Source,
        known: &Acquaintance,
    ) -> Option<Result<Media, ProbeError>> {
        match probe(workshop, source, Aim::Glance, DEADLINE).await {
            Err(ProbeError::Failed { cause: Cause::BadStream, .. }) => {}
            Err(error @ (ProbeError::Failed { .. } | ProbeError::Engine(_))) => return Some(Err(error)),
            Ok(media) if media.video.profile.is_some() && media.video.pixel_format.is_some() => {
                let mut memory = known.lock();
                (memory.has_glanced, memory.longest_gop) = (true, self.longest_gop);
                let mut media = media;
                media.video.keyframes = Keyframes::supposed(self.interval);
                return Some(Ok(media));
            }
            // Another look would be as long: who waits is told first.
            Err(error @ ProbeError::Late { .. }) => {
                known.lock().has_glanced = true;
                return Some(Err(error));
            }
            Ok(_) | Err(ProbeError::Garbled(_)) => {}
        }
        known.lock().has_glanced = true;
        None
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
        glance: Option<Glance>,
        acquaintance: Acquaintance,
    ) -> Self {
        let mut probing = JoinSet::new();
        let known = acquaintance.clone();
        let look = async move {
            if let Some(glance) = glance
                && let Some(outcome) = glance.at(&workshop, &source, &known).await
            {
                return outcome;
            }
            probe(&workshop, &source, aim, DEADLINE).await
        };
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
            keyframes: Keyframes { longest, watched: 8 * Duration::from_secs(1), vary: false },
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
    fn who_waits_gets_a_glance_unless_there_was_one_that_did_not_do() {
        let (acquaintance, now, second) = (Acquaintance::default(), start(), Duration::from_secs(1));
        assert!(!acquaintance.may_glance(), "nobody waits");
        acquaintance.is_awaited(true);
        assert!(acquaintance.may_glance());
        let mut supposed = found();
        supposed.video.keyframes = Keyframes::supposed(2 * second);
        let glance = || {
            acquaintance.lock().has_glanced = true;
            acquaintance.looked(now, Known::Media(supposed.clone()));
        };
        glance();
        acquaintance.doubt(now + 60 * MINUTE);
        assert_eq!(acquaintance.media().as_ref(), Some(&supposed), "not each hour");
        acquaintance.doubt(now + 25 * 60 * MINUTE);
        assert_eq!((acquaintance.known(), acquaintance.may_glance()), (Known::Nothing, true));
        glance();
        acquaintance.forget();
        assert!(!acquaintance.may_glance(), "it was not what it seemed to be");
    }

    #[test]
    fn the_first_segment_puts_a_supposition_right() {
        let (acquaintance, now, second) = (Acquaintance::default(), start(), Duration::from_secs(1));
        let mut supposed = found();
        supposed.video.keyframes = Keyframes::supposed(2 * second);
        acquaintance.learn(Known::Media(supposed.clone()));
        acquaintance.lock().longest_gop = 5 * second;
        let told = |interval| Longer::Interval { supposed: Box::new(supposed.clone()), interval };
        let interval = || acquaintance.media().map(|media| media.video.keyframes);
        acquaintance.outgrow(now, told(4 * second));
        assert_eq!(interval(), Some(Keyframes::seen(4 * second)), "known without a look");
        acquaintance.outgrow(now, told(6 * second));
        assert_eq!(interval(), Some(Keyframes::seen(4 * second)), "another stream of it was first");
        acquaintance.outgrow(now, Longer::Gop(7 * second));
        assert_eq!(acquaintance.known(), Known::Nothing, "they vary");
        acquaintance.learn(Known::Media(supposed.clone()));
        acquaintance.outgrow(now, told(6 * second));
        assert_eq!(acquaintance.known(), Known::Nothing, "too long for a copy: that takes a look");
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
