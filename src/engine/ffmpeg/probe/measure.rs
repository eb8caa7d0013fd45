//! Frames that came, on their stream's own clock: when they arrived tells nothing, as a camera may send what it has
//! kept all at once. Pure.

use std::time::Duration;

use crate::domain::media::Keyframes;

/// A longer pause is a jump of the camera's clock.
const MOST_PAUSE: i64 = 5_000_000;
/// So are this many of the usual ones, once: the first sender report (RFC 3550 6.4.1) lays the picture's clock beside the
/// sound's, and ffmpeg moves it by what they differ.
const MOST_USUAL_PAUSES: i64 = 8;
/// A frame is never sent later than this after one that is shown later.
const MOST_REORDER: i64 = 1_000_000;
/// At its beginning and end a stream with B-frames has gaps that are not filled yet.
const REORDERED: usize = 3;
/// Below this an average means nothing.
const LEAST_SPAN: i64 = 1_000_000;
/// More than half a minute of the fastest camera.
const MOST_FRAMES: usize = 8192;
/// Two GOPs that are as long as each other.
const ENOUGH_KEYFRAMES: u32 = 3;
/// By so little they may differ.
const ALIKE: i64 = 250_000;
const ENOUGH_WATCHED: i64 = 3_000_000;

/// One coded frame. Times are in µs.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub pts: Option<i64>,
    pub duration: i64,
    pub bytes: u64,
    pub key: bool,
}

/// What all frames together say; kept small, however many come.
#[derive(Debug, Default)]
pub struct Measure {
    /// When each is shown, counted from the first, without the clock's jumps.
    shown: Vec<i64>,
    newest: Option<i64>,
    /// From the camera's clock to ours.
    shift: i64,
    /// Between two frames, as they came.
    longest_pause: i64,
    is_synchronized: bool,
    /// Frames that came after one that is shown later.
    reordered: u32,
    bytes: u64,
    /// Bytes that came before `newest`.
    bytes_before: u64,
    keys: Keys,
}

#[derive(Debug, Default)]
struct Keys {
    count: u32,
    first: Mark,
    last: Mark,
    newest: i64,
    longest: i64,
    /// The newest GOP is as long as the one before it, and none was longer.
    are_regular: bool,
}

/// When a keyframe is shown, and what came before it.
#[derive(Debug, Default, Clone, Copy)]
struct Mark {
    at: i64,
    bytes_before: u64,
}

impl Measure {
    pub fn add(&mut self, frame: Frame) {
        let at = self.place(frame);
        match self.newest {
            Some(newest) if at < newest => self.reordered += 1,
            _ => (self.newest, self.bytes_before) = (Some(at), self.bytes),
        }
        if frame.key {
            self.keys.add(Mark { at: at.max(0), bytes_before: self.bytes });
        }
        self.bytes = self.bytes.saturating_add(frame.bytes);
        if self.shown.len() < MOST_FRAMES {
            self.shown.push(at);
        }
    }

    fn place(&mut self, frame: Frame) -> i64 {
        let Some(newest) = self.newest else {
            self.shift = frame.pts.unwrap_or_default().saturating_neg();
            return 0;
        };
        let next = newest.saturating_add(frame.duration.clamp(0, MOST_PAUSE));
        let Some(pts) = frame.pts else { return next };
        let at = pts.saturating_add(self.shift);
        let pause = at.saturating_sub(newest);
        if (-MOST_REORDER..=MOST_PAUSE).contains(&pause) && !self.is_synchronization(pause, frame.duration) {
            self.longest_pause = self.longest_pause.max(pause);
            return at;
        }
        self.shift = next.saturating_sub(pts);
        next
    }

    fn is_synchronization(&mut self, pause: i64, duration: i64) -> bool {
        let usual = self.longest_pause.max(duration);
        let is =
            !self.is_synchronized && usual > 0 && pause > ALIKE.max(usual.saturating_mul(MOST_USUAL_PAUSES));
        self.is_synchronized |= is;
        is
    }

    pub fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    /// More would tell hardly more: GOPs have one length, as far as was seen.
    pub fn is_enough(&self) -> bool {
        let keys = &self.keys;
        let seen_whole = keys.first.at <= keys.longest + ALIKE;
        self.watched() >= ENOUGH_WATCHED && keys.count >= ENOUGH_KEYFRAMES && keys.are_regular && seen_whole
    }

    fn watched(&self) -> i64 {
        self.newest.unwrap_or_default()
    }

    /// One alone may be a timestamp that the camera put right.
    pub fn has_b_frames(&self) -> bool {
        self.reordered > 1
    }

    pub fn fps(&self) -> Option<f64> {
        let mut shown = self.shown.clone();
        shown.sort_unstable();
        // The first one has no timestamp often, and ffmpeg then gives it that of the second.
        let (before, after) = if self.has_b_frames() { (REORDERED, REORDERED) } else { (1, 0) };
        let whole = shown.get(before..shown.len().saturating_sub(after))?;
        let span = whole.last()? - whole.first()?;
        (span >= LEAST_SPAN).then(|| (whole.len() - 1) as f64 * 1e6 / span as f64)
    }

    /// Over whole GOPs where there are any: a part of one has too much of its keyframe, or too little.
    pub fn bitrate_kbps(&self) -> Option<u32> {
        let Keys { first, last, .. } = self.keys;
        let (mut span, mut bytes) = (last.at - first.at, last.bytes_before - first.bytes_before);
        if span < LEAST_SPAN {
            (span, bytes) = (self.watched(), self.bytes_before);
        }
        let bits = u128::from(bytes) * 8 * 1000;
        let span = u128::try_from(span).ok().filter(|_| span >= LEAST_SPAN)?;
        u32::try_from(bits / span).ok()
    }

    pub fn keyframes(&self) -> Keyframes {
        let watched = self.watched();
        let (before, after) = match self.keys.count {
            0 => (watched, 0),
            _ => (self.keys.first.at, watched - self.keys.last.at),
        };
        // What was cut off is at least as long as what was seen of it.
        let cut_off = before.max(after);
        let span = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or_default());
        if self.keys.count < 2 {
            return Keyframes { longest: None, watched: span(cut_off), vary: false };
        }
        let longest = self.keys.longest.max(cut_off);
        let vary = self.keys.vary() || cut_off > self.keys.longest + ALIKE;
        Keyframes { longest: Some(span(longest)), watched: span(watched), vary }
    }
}

impl Keys {
    fn add(&mut self, mark: Mark) {
        if self.count == 0 {
            self.first = mark;
        } else {
            let length = mark.at - self.last.at;
            self.longest = self.longest.max(length);
            self.are_regular = (length - self.newest).abs() <= ALIKE && self.longest - length <= ALIKE;
            self.newest = length;
        }
        self.last = mark;
        self.count = self.count.saturating_add(1);
    }

    fn vary(&self) -> bool {
        // Many a camera begins a GOP for a new viewer, which its own rhythm then cuts short.
        let begun_for_us =
            self.count == ENOUGH_KEYFRAMES && self.first.at <= ALIKE && self.newest == self.longest;
        self.count >= ENOUGH_KEYFRAMES && !self.are_regular && !begun_for_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: i64 = 40_000;

    fn frame(number: i64, key: bool) -> Frame {
        Frame { pts: Some(number * STEP), duration: STEP, bytes: if key { 5_000 } else { 1_000 }, key }
    }

    /// 25 frames per second, a keyframe at each of `keys`.
    fn measured(frames: i64, keys: &[i64]) -> Measure {
        let mut measure = Measure::default();
        (0..frames).for_each(|number| measure.add(frame(number, keys.contains(&number))));
        measure
    }

    fn millis(keyframes: Keyframes) -> (Option<u128>, u128) {
        (keyframes.longest.map(|longest| longest.as_millis()), keyframes.watched.as_millis())
    }

    #[test]
    fn whole_gops_are_measured() {
        let measure = measured(101, &[0, 50, 100]);
        assert_eq!(millis(measure.keyframes()), (Some(2_000), 4_000));
        assert_eq!(measure.fps(), Some(25.0));
        // 54 kB in each 2 s; the last keyframe belongs to a GOP that was not seen.
        assert_eq!(measure.bitrate_kbps(), Some(216));
        assert!(measure.is_enough() && !measure.has_b_frames());
    }

    #[test]
    fn it_is_enough_after_three_keyframes_and_three_seconds() {
        assert!(!measured(75, &[0, 25, 50]).is_enough(), "2.96 s");
        assert!(measured(76, &[0, 25, 50]).is_enough());
        assert!(!measured(5_000, &[0, 2_000]).is_enough());
    }

    #[test]
    fn gops_that_are_not_alike_are_watched_on() {
        for (frames, keys, enough) in [
            (101, &[0, 25, 100][..], false),
            (151, &[0, 25, 100, 125, 150], false),
            (201, &[0, 75, 100, 200], false),
            // What a new viewer makes a camera begin with may be short.
            (136, &[0, 10, 60, 110], true),
            // Before the first keyframe was more than the two GOPs since.
            (125, &[60, 85, 110], false),
            (125, &[20, 70, 120], true),
        ] {
            assert_eq!(measured(frames, keys).is_enough(), enough, "{keys:?}");
        }
    }

    #[test]
    fn without_a_second_keyframe_the_longest_stretch_counts() {
        assert_eq!(millis(measured(201, &[]).keyframes()), (None, 8_000));
        assert_eq!(millis(measured(201, &[0]).keyframes()), (None, 8_000));
        assert_eq!(millis(measured(201, &[50]).keyframes()), (None, 6_000));
        assert_eq!(millis(measured(201, &[150]).keyframes()), (None, 6_000));
        assert_eq!(millis(Measure::default().keyframes()), (None, 0));
    }

    #[test]
    fn the_longest_of_variable_gops_counts_also_if_it_is_cut_off() {
        assert_eq!(millis(measured(176, &[0, 25, 125, 150]).keyframes()), (Some(4_000), 7_000));
        assert_eq!(millis(measured(176, &[0, 25, 50]).keyframes()), (Some(5_000), 7_000));
        assert_eq!(millis(measured(176, &[125, 150]).keyframes()), (Some(5_000), 7_000));
    }

    #[test]
    fn gops_vary_if_the_last_ones_are_not_alike() {
        for (frames, keys, vary) in [
            (101, &[0, 50, 100][..], false),
            (150, &[50, 100], false),
            (176, &[50, 100], true),
            // A new viewer may get a short one first.
            (136, &[0, 10, 60, 110], false),
            (176, &[0, 40, 140], false),
            (176, &[40, 60, 160], true),
            (151, &[0, 25, 100, 125], true),
            (201, &[0, 75, 100, 200], true),
            // What was cut off was longer.
            (176, &[125, 150], true),
            (125, &[60, 85, 110], true),
            (201, &[], false),
        ] {
            assert_eq!(measured(frames, keys).keyframes().vary, vary, "{keys:?}");
        }
    }

    #[test]
    fn b_frames_are_seen_by_their_order_and_do_not_spoil_the_rate() {
        let mut measure = Measure::default();
        // I P B B P B B …
        measure.add(frame(0, true));
        for gop in 0..30 {
            [3, 1, 2]
                .iter()
                .for_each(|number| measure.add(frame(3 * gop + number, gop == 10 && *number == 3)));
        }
        measure.add(frame(93, false));
        assert!(measure.has_b_frames());
        let fps = measure.fps().unwrap();
        assert!((fps - 25.0).abs() < 0.01, "{fps}");
    }

    #[test]
    fn a_jump_of_the_clock_is_no_pause() {
        for jump in [60_000_000, -60_000_000, i64::MAX, i64::MIN, -3_000_000] {
            let mut measure = measured(50, &[0, 25]);
            for number in 50..101 {
                let moved = frame(number, number % 25 == 0);
                measure.add(Frame { pts: moved.pts.map(|pts| pts.saturating_add(jump)), ..moved });
            }
            if jump.saturating_abs() < i64::MAX {
                assert_eq!(millis(measure.keyframes()), (Some(1_000), 4_000), "{jump}");
                assert_eq!((measure.fps(), measure.has_b_frames()), (Some(25.0), false), "{jump}");
            }
        }
    }

    #[test]
    fn a_clock_is_laid_beside_the_sounds_once() {
        // Of 0.04 s, and a keyframe each second.
        let moved = |measure: &mut Measure, numbers: std::ops::Range<i64>, by: i64| {
            for number in numbers {
                let frame = frame(number, number % 25 == 0);
                measure.add(Frame { pts: frame.pts.map(|pts| pts + by), ..frame });
            }
        };
        for by in [400_000, 2_700_000, 4_900_000] {
            let mut measure = Measure::default();
            moved(&mut measure, 0..3, 0);
            moved(&mut measure, 3..90, by);
            assert_eq!(millis(measure.keyframes()), (Some(1_000), 3_560), "{by}");
            assert_eq!(measure.fps(), Some(25.0), "{by}");
            assert!(measure.is_enough(), "{by}");
        }
        // What comes behind it is a pause, and so is what a slow camera does always.
        let mut measure = Measure::default();
        moved(&mut measure, 0..3, 0);
        moved(&mut measure, 3..30, 900_000);
        moved(&mut measure, 30..60, 2_400_000);
        assert_eq!(millis(measure.keyframes()), (Some(2_500), 3_860));
        let mut slow = Measure::default();
        for number in 0..6 {
            slow.add(Frame {
                pts: Some(number * 1_500_000),
                duration: 1_500_000,
                bytes: 1,
                key: number % 2 == 0,
            });
        }
        assert_eq!(millis(slow.keyframes()), (Some(3_000), 7_500));
    }

    #[test]
    fn frames_without_a_time_follow_each_other() {
        let mut measure = Measure::default();
        (0..101).for_each(|number| measure.add(Frame { pts: None, ..frame(number, number % 50 == 0) }));
        assert_eq!((measure.fps(), measure.keyframes().longest), (Some(25.0), Some(Duration::from_secs(2))));
    }

    #[test]
    fn too_little_gives_no_average() {
        let measure = measured(10, &[0]);
        assert_eq!((measure.fps(), measure.bitrate_kbps()), (None, None));
        assert_eq!((Measure::default().fps(), Measure::default().bitrate_kbps()), (None, None));
    }

    #[test]
    fn an_endless_flood_takes_no_more_memory() {
        let measure = measured(3 * MOST_FRAMES as i64, &[]);
        assert_eq!((measure.shown.len(), measure.fps()), (MOST_FRAMES, Some(25.0)));
    }
}
