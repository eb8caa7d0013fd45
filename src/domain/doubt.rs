//! When what a look found out about a camera is not believed as it is.

use std::time::{Duration, Instant};

use super::media::Media;

/// A second surprise this soon after the first tells that looks are too short for this camera; a single one, that it
/// became another.
const AGAIN_WITHIN: Duration = Duration::from_secs(3600);
/// So long a longer GOP than a look can see is reckoned with.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// A look costs some seconds of stream: a camera that reconnects all the time is not looked at each time.
const BETWEEN_LOOKS: Duration = Duration::from_secs(600);
/// Where each of them is one that somebody waits for.
const BETWEEN_AWAITED_LOOKS: Duration = Duration::from_secs(24 * 3600);

/// What was seen of a camera beyond its looks.
#[derive(Debug, Clone, Default)]
pub struct Doubt {
    looked: Option<Instant>,
    surprise: Option<Surprise>,
}

/// A copied stream's segments became longer than a look had let expect.
#[derive(Debug, Clone, Copy)]
struct Surprise {
    at: Instant,
    /// The longest GOP is at least this long.
    gop: Duration,
    again: bool,
}

impl Surprise {
    fn is_remembered(&self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at);
        since < if self.again { REMEMBERED } else { AGAIN_WITHIN }
    }
}

impl Doubt {
    /// A look has ended, whatever it found.
    pub fn looked(&mut self, now: Instant) {
        self.looked = Some(now);
    }

    /// A run that re-encodes has ended by itself: the camera may have got better settings since the last look.
    pub fn wants_another_look(&self, now: Instant, is_awaited: bool) -> bool {
        let between = if is_awaited { BETWEEN_AWAITED_LOOKS } else { BETWEEN_LOOKS };
        self.looked.is_none_or(|at| now.saturating_duration_since(at) >= between)
    }

    /// A look has found `media`: what to believe.
    pub fn believe(&self, now: Instant, media: Media) -> Media {
        let known = |known: &Surprise| known.again && now.saturating_duration_since(known.at) < REMEMBERED;
        let Some(Surprise { gop, .. }) = self.surprise.filter(known) else { return media };
        let mut media = media;
        let keyframes = &mut media.video.keyframes;
        if let Some(longest) = &mut keyframes.longest {
            (*longest, keyframes.vary) = (gop.max(*longest), true);
        }
        media
    }

    /// A copied stream's segments became longer than announced, through a GOP that is `gop` long at least.
    pub fn surprised(&mut self, now: Instant, gop: Duration) {
        self.surprise = Some(match self.surprise.filter(|before| before.is_remembered(now)) {
            Some(before) => Surprise { at: now, gop: gop.max(before.gop), again: true },
            None => Surprise { at: now, gop, again: false },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::media::{Keyframes, VideoCodec, VideoIn};
    use crate::domain::test_time::start;

    const MINUTE: Duration = Duration::from_secs(60);

    fn believed(doubt: &Doubt, now: Instant, longest: Option<Duration>) -> Keyframes {
        let keyframes = Keyframes { longest, watched: Duration::from_secs(4), vary: false };
        let video = VideoIn {
            codec: VideoCodec::H264,
            profile: None,
            pixel_format: None,
            width: 640,
            height: 360,
            fps: None,
            interlaced: false,
            b_frames: false,
            keyframes,
            bitrate_kbps: None,
        };
        doubt.believe(now, Media { video, audio: None }).video.keyframes
    }

    #[test]
    fn one_surprise_is_another_camera_and_two_are_one_that_varies() {
        let (mut doubt, start, second) = (Doubt::default(), start(), Duration::from_secs(1));
        let plain = believed(&doubt, start, Some(second));
        assert_eq!((plain.longest, plain.vary), (Some(second), false));
        doubt.surprised(start, 3 * second);
        assert_eq!(believed(&doubt, start + second, Some(second)), plain);
        doubt.surprised(start + MINUTE, 2 * second);
        let wiser = believed(&doubt, start + 2 * MINUTE, Some(second));
        assert_eq!((wiser.longest, wiser.vary), (Some(3 * second), true));
        let longer = believed(&doubt, start + 2 * MINUTE, Some(5 * second));
        assert_eq!((longer.longest, longer.vary), (Some(5 * second), true));
        assert_eq!(believed(&doubt, start + 2 * MINUTE, None).longest, None);
        // Not for ever: somebody may have set the camera.
        assert_eq!(believed(&doubt, start + REMEMBERED + 2 * MINUTE, Some(second)), plain);
    }

    #[test]
    fn looks_are_ten_minutes_apart_and_a_day_where_somebody_waits() {
        let (mut doubt, start) = (Doubt::default(), start());
        for (is_awaited, between) in [(false, 10 * MINUTE), (true, 24 * 60 * MINUTE)] {
            assert!(Doubt::default().wants_another_look(start, is_awaited));
            doubt.looked(start);
            let wants = |after: Duration| doubt.wants_another_look(start + after, is_awaited);
            assert!(!wants(between - Duration::from_secs(1)) && wants(between));
        }
    }

    #[test]
    fn surprises_far_apart_are_changes() {
        let (mut doubt, start, second) = (Doubt::default(), start(), Duration::from_secs(1));
        doubt.surprised(start, 3 * second);
        doubt.surprised(start + AGAIN_WITHIN, 4 * second);
        assert!(!believed(&doubt, start + AGAIN_WITHIN, Some(second)).vary);
    }
}
