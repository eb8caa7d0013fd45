//! An audio fault never stops the video: a camera whose sound ends one run after the other goes on without it.

use std::time::{Duration, Instant};

/// So many endings within this time are no accident.
const ENDINGS: usize = 3;
const WITHIN: Duration = Duration::from_secs(300);
/// How long a camera goes without sound; twice as long each further time.
const FIRST: Duration = Duration::from_secs(3600);
const MOST: Duration = Duration::from_secs(24 * 3600);
/// Sound that was good for so long was mended.
const FORGOTTEN_AFTER: Duration = MOST;

/// One camera's sound.
#[derive(Debug, Clone, Default)]
pub struct Sound {
    /// The newest endings, oldest first.
    endings: Vec<Instant>,
    off_until: Option<Instant>,
    /// It is off as nobody can decode it.
    is_unknown: bool,
    /// How often it was switched off since it was good.
    times_off: u32,
}

impl Sound {
    /// Whether the next run has sound. To be asked when one begins: no run is ended to try it again.
    pub fn is_on(&self, now: Instant) -> bool {
        self.off_until.is_none_or(|until| now >= until)
    }

    /// It can't be decoded: no run has it.
    pub fn cannot_be_decoded(&mut self, now: Instant) {
        self.endings.clear();
        self.switch_off(now);
        self.is_unknown = true;
    }

    /// Why it is off.
    pub fn why_off(&self) -> &'static str {
        if self.is_unknown {
            "ffmpeg has no decoder for it"
        } else {
            "it came late, or its timestamps jumped"
        }
    }

    /// A run has ended, and nothing but its sound was at fault.
    pub fn failed(&mut self, now: Instant) {
        let good_since = self.endings.last().copied().max(self.off_until);
        if good_since.is_some_and(|since| now.saturating_duration_since(since) >= FORGOTTEN_AFTER) {
            self.times_off = 0;
        }
        self.endings.retain(|ending| now.saturating_duration_since(*ending) < WITHIN);
        self.endings.push(now);
        if self.endings.len() >= ENDINGS {
            self.endings.clear();
            self.switch_off(now);
        }
    }

    fn switch_off(&mut self, now: Instant) {
        let off_for = FIRST.saturating_mul(2_u32.saturating_pow(self.times_off)).min(MOST);
        (self.off_until, self.is_unknown) = (Some(now + off_for), false);
        self.times_off = self.times_off.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_time::start;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Fails until it is off, 10 s apart; when that was.
    fn fail(sound: &mut Sound, from: Instant) -> Instant {
        let mut now = from;
        sound.failed(now);
        while sound.is_on(now) {
            now += Duration::from_secs(10);
            sound.failed(now);
        }
        now
    }

    /// For how long it is off, in hours.
    fn off(sound: &Sound, since: Instant) -> u32 {
        (1..).find(|hours| sound.is_on(since + HOUR * *hours)).unwrap()
    }

    #[test]
    fn three_endings_within_five_minutes_silence_it_for_an_hour() {
        let (mut sound, start) = (Sound::default(), start());
        assert!(sound.is_on(start));
        for seconds in [0, 100, 299] {
            let now = start + Duration::from_secs(seconds);
            assert!(sound.is_on(now));
            sound.failed(now);
        }
        let off = start + Duration::from_secs(299);
        assert!(!sound.is_on(off));
        assert!(!sound.is_on(off + FIRST - Duration::from_secs(1)) && sound.is_on(off + FIRST));
    }

    #[test]
    fn endings_far_apart_do_not() {
        let (mut sound, start) = (Sound::default(), start());
        for ending in 0..100 {
            let now = start + ending * Duration::from_secs(150);
            sound.failed(now);
            assert!(sound.is_on(now), "{ending}");
        }
    }

    #[test]
    fn it_stays_off_longer_each_time_and_starts_over_after_a_good_day() {
        let (mut sound, mut now) = (Sound::default(), start());
        for hours in [1, 2, 4, 8, 16, 24, 24, 24] {
            now = fail(&mut sound, now);
            assert_eq!(off(&sound, now), hours);
            now += HOUR * hours;
        }
        // A jump a year is none of these faults.
        now = fail(&mut sound, now + FORGOTTEN_AFTER);
        assert_eq!(off(&sound, now), 1);
        now = fail(&mut sound, now + HOUR + FORGOTTEN_AFTER - Duration::from_secs(1));
        assert_eq!(off(&sound, now), 2, "not a whole day");
    }

    #[test]
    fn what_nobody_can_decode_is_off_at_once() {
        let (mut sound, now) = (Sound::default(), start());
        sound.cannot_be_decoded(now);
        assert_eq!(off(&sound, now), 1);
        sound.cannot_be_decoded(now + HOUR);
        assert_eq!(off(&sound, now + HOUR), 2, "perhaps somebody has set the camera better");
    }
}
