//! Where a part ends, and where a segment does.
//!
//! A segment begins with a keyframe, a part where it is time: at the frame's end that is nearest to `part_duration` behind
//! its beginning. So parts of an even picture are all alike, and those of an uneven one differ by a frame. Sound goes
//! with the part that it is played in, if it has come by then, else with the next one: the picture never waits for it. Where
//! none comes any more, [silence](super::silence) takes its place.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::join::{PICTURE, SOUND, Tracks};
use super::silence::Silence;
use super::write::write;
use super::{Damaged, Sample, seconds};

/// How a run is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    pub part: Duration,
    /// A segment ends at the first keyframe behind it.
    pub segment: Duration,
}

/// What a frame made whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    Part {
        /// Counts on from 0 within the run.
        number: u64,
        /// Of the segment that it is of.
        segment: u64,
        duration: Duration,
        /// It begins with a keyframe.
        independent: bool,
        bytes: Bytes,
        /// The keyframe that it begins with, if it does.
        keyframe: Option<Bytes>,
    },
    /// All of its parts were told before.
    Segment { index: u64, duration: Duration, parts: Vec<Bytes> },
}

/// Sound that waits for its picture: what is older is dropped.
const MOST_SOUND: usize = 2_000;
/// Behind the last one's end a frame is as late as this at most, or the track's time has jumped.
const MOST_BACK: u64 = 1;

#[derive(Debug)]
pub struct Cutter {
    cut: Cut,
    picture_per_second: u32,
    sound_per_second: u32,
    sound: VecDeque<Sample>,
    /// Of a run with sound.
    silence: Silence,
    frames: Vec<Sample>,
    /// The end of the last frame that was taken; `None`: no keyframe has come.
    end: Option<u64>,
    segment: Segment,
    next_part: u64,
    /// Bytes of the open segment.
    bytes: u64,
    most_bytes: u64,
}

#[derive(Debug, Default)]
struct Segment {
    index: u64,
    begin: u64,
    parts: Vec<Bytes>,
}

impl Cutter {
    /// `most_bytes`: that a segment may have.
    pub fn new(tracks: &Tracks, cut: Cut, most_bytes: u64) -> Self {
        Self {
            cut,
            picture_per_second: tracks.picture_per_second,
            sound_per_second: tracks.sound_per_second,
            sound: VecDeque::new(),
            silence: Silence::new(tracks.silence.clone(), tracks.sound_per_second),
            frames: Vec::new(),
            end: None,
            segment: Segment::default(),
            next_part: 0,
            bytes: 0,
            most_bytes,
        }
    }

    /// Bytes that the open segment has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn is_over_limit(&self) -> bool {
        self.bytes > self.most_bytes
    }

    pub fn hear(&mut self, packet: Sample) {
        let picture = self.end.map(|end| self.seconds(end));
        if !self.silence.hears(&packet, picture) {
            return;
        }
        if self.sound.len() >= MOST_SOUND {
            self.sound.pop_front();
        }
        self.bytes += packet.bytes.len() as u64;
        self.sound.push_back(packet);
    }

    /// Sound comes, and its time is such that it can't be played with the picture.
    pub fn is_sound_homeless(&self) -> bool {
        self.silence.is_homeless()
    }

    /// The picture's next frame.
    ///
    /// # Errors
    /// The picture's time goes back: no player could follow.
    pub fn see(&mut self, frame: Sample) -> Result<Vec<Made>, Damaged> {
        let mut made = Vec::new();
        match self.end {
            // What is before the first keyframe can't be shown, nor heard.
            None if !frame.is_keyframe() => return Ok(made),
            None => self.begin(&frame),
            Some(end) if frame.time.saturating_add(MOST_BACK) < end => {
                return Err(Damaged("the picture's time goes back"));
            }
            Some(end) if frame.is_keyframe() && self.lasts(self.segment.begin, end) >= self.cut.segment => {
                made.extend(self.end_part());
                made.extend(self.end_segment(end));
            }
            Some(_) => {}
        }
        self.end = Some(frame.end());
        self.bytes += frame.bytes.len() as u64;
        let half_a_frame = self.seconds(u64::from(frame.duration)) / 2;
        let end = frame.end();
        self.frames.push(frame);
        let begin = self.frames.first().map_or(end, |first| first.time);
        if self.lasts(begin, end) + half_a_frame >= self.cut.part {
            made.extend(self.end_part());
        }
        Ok(made)
    }

    /// Nothing follows: what there is becomes the last part, and the last segment.
    pub fn finish(&mut self) -> Vec<Made> {
        let mut made: Vec<_> = self.end_part().into_iter().collect();
        made.extend(self.end.and_then(|end| self.end_segment(end)));
        made
    }

    fn begin(&mut self, keyframe: &Sample) {
        self.segment.begin = keyframe.time;
        let begin = self.seconds(keyframe.time);
        let per_second = self.sound_per_second;
        while self.sound.pop_front_if(|packet| seconds(packet.end(), per_second) <= begin).is_some() {}
        self.bytes = self.sound.iter().map(|packet| packet.bytes.len() as u64).sum();
    }

    fn end_part(&mut self) -> Option<Made> {
        let frames = std::mem::take(&mut self.frames);
        let (first, last) = (frames.first()?, frames.last()?);
        let (begin, end) = (first.time, last.end());
        let until = self.seconds(end);
        let mut sound = Vec::new();
        while let Some(packet) =
            self.sound.pop_front_if(|packet| seconds(packet.time, self.sound_per_second) < until)
        {
            sound.push(packet);
        }
        self.silence.fill(&mut sound, self.seconds(begin), until);
        let number = self.next_part;
        self.next_part += 1;
        let bytes = write(number as u32 + 1, &[(PICTURE, &frames), (SOUND, &sound)]);
        self.segment.parts.push(bytes.clone());
        let independent = first.is_keyframe();
        Some(Made::Part {
            number,
            segment: self.segment.index,
            duration: self.lasts(begin, end),
            independent,
            bytes,
            keyframe: independent.then(|| first.bytes.clone()),
        })
    }

    fn end_segment(&mut self, end: u64) -> Option<Made> {
        let parts = std::mem::take(&mut self.segment.parts);
        let (index, begin) = (self.segment.index, self.segment.begin);
        if parts.is_empty() {
            return None;
        }
        self.segment = Segment { index: index + 1, begin: end, parts: Vec::new() };
        self.bytes = self.sound.iter().map(|packet| packet.bytes.len() as u64).sum();
        Some(Made::Segment { index, duration: self.lasts(begin, end), parts })
    }

    fn lasts(&self, begin: u64, end: u64) -> Duration {
        self.seconds(end.saturating_sub(begin))
    }

    fn seconds(&self, time: u64) -> Duration {
        seconds(time, self.picture_per_second)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Samples;
    use super::super::testing::init;
    use super::*;

    const KEY: u32 = 0x200_0000;
    const NO_KEY: u32 = 0x101_0000;

    fn cutter(per_second: u32, cut: Cut) -> Cutter {
        Cutter::new(&Tracks::join(&init(per_second), Some(&init(16_000))).unwrap(), cut, 1 << 20)
    }

    fn cut(part_ms: u64, segment_ms: u64) -> Cut {
        Cut { part: Duration::from_millis(part_ms), segment: Duration::from_millis(segment_ms) }
    }

    fn frame(number: u64, lasts: u32, gop: u64) -> Sample {
        let flags = if number.is_multiple_of(gop) { KEY } else { NO_KEY };
        let bytes = Bytes::from(format!("frame {number}"));
        Sample { time: 1_000_000 + number * u64::from(lasts), duration: lasts, offset: 0, flags, bytes }
    }

    fn packet(time: u64) -> Sample {
        Sample { time, duration: 1024, offset: 0, flags: KEY, bytes: Bytes::from(format!("sound at {time}")) }
    }

    /// How many frames the parts of each whole segment have.
    fn frames_of_parts(per_second: u32, lasts: u32, gop: u64, cut: Cut) -> Vec<Vec<usize>> {
        let mut cutter = cutter(per_second, cut);
        let (mut segments, mut parts) = (Vec::new(), Vec::new());
        for number in 0..gop * 3 + 1 {
            for made in cutter.see(frame(number, lasts, gop)).unwrap() {
                match made {
                    Made::Part { bytes, .. } => parts.push(samples(per_second, &bytes).len()),
                    Made::Segment { .. } => segments.push(std::mem::take(&mut parts)),
                }
            }
        }
        segments
    }

    /// Of the first track in it.
    fn samples(per_second: u32, part: &[u8]) -> Vec<Sample> {
        let mut samples = Samples::default();
        samples.feed(&[&init(per_second)[..], part].concat()).unwrap();
        std::iter::from_fn(|| samples.next()).collect()
    }

    #[test]
    fn parts_of_an_even_picture_are_all_alike() {
        let of = |per_second, lasts, gop, part| frames_of_parts(per_second, lasts, gop, cut(part, 900));
        assert_eq!(of(12_800, 512, 25, 200), vec![vec![5; 5]; 3], "25 fps");
        assert_eq!(of(15_360, 1024, 15, 200), vec![vec![3; 5]; 3], "15 fps");
        assert_eq!(of(30_000, 1001, 30, 200), vec![vec![6; 5]; 3], "29.97 fps");
        assert_eq!(of(90_000, 7200, 12, 200), vec![vec![2; 6]; 3], "12.5 fps: two are nearer than three");
        assert_eq!(of(12_288, 512, 24, 200), vec![vec![5, 5, 5, 5, 4]; 3], "24 fps: the last one is shorter");
        assert_eq!(of(10, 10, 1, 200), vec![vec![1]; 3], "a frame a second");
    }

    #[test]
    fn a_segment_is_as_many_gops_as_it_takes() {
        let segments = frames_of_parts(1000, 40, 10, cut(200, 900));
        assert_eq!(segments, vec![vec![5; 6]], "three GOPs of 0.4 s");
        let late = frames_of_parts(1000, 40, 50, cut(200, 900));
        assert_eq!(late, vec![vec![5; 10]; 3], "the camera's are longer than asked for");
    }

    #[test]
    fn what_is_before_the_first_keyframe_is_left_out() {
        let mut cutter = cutter(1000, cut(200, 900));
        (0..40).for_each(|number| cutter.hear(packet(number * 1024)));
        let mut late: Vec<_> = (1..20).map(|number| frame(number, 40, 25)).collect();
        late.iter_mut().for_each(|frame| frame.time -= 999_000);
        assert!(late.into_iter().all(|frame| cutter.see(frame).unwrap().is_empty()));
        let from = |number: u64| Sample { time: 2_000 + number * 40, ..frame(number, 40, 25) };
        let made: Vec<_> = (0..5).flat_map(|number| cutter.see(from(number)).unwrap()).collect();
        let [Made::Part { number: 0, segment: 0, independent: true, bytes, keyframe, .. }] = &made[..] else {
            panic!("{made:?}");
        };
        assert_eq!(keyframe.as_deref(), Some(&b"frame 0"[..]));
        let text = String::from_utf8_lossy(bytes);
        // 2 s are 32,000 of its units: the packet that is heard then began before.
        assert!(text.contains("sound at 31744") && !text.contains("sound at 30720"));
        assert!(text.contains("sound at 34816") && !text.contains("sound at 35840"), "up to 2.2 s");
    }

    #[test]
    fn late_sound_goes_with_the_next_part() {
        let mut cutter = cutter(1000, cut(200, 900));
        let second: Vec<_> = (0..10)
            .flat_map(|number| {
                if number == 5 {
                    cutter.hear(packet(16_000_000));
                }
                cutter.see(frame(number, 40, 25)).unwrap()
            })
            .collect();
        let has_sound = |made: &Made| match made {
            Made::Part { bytes, .. } => String::from_utf8_lossy(bytes).contains("sound at"),
            Made::Segment { .. } => false,
        };
        assert_eq!(second.iter().map(has_sound).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn the_end_makes_a_last_part_and_a_last_segment() {
        let mut cutter = cutter(1000, cut(200, 900));
        (0..7).for_each(|number| drop(cutter.see(frame(number, 40, 25)).unwrap()));
        let made = cutter.finish();
        let [Made::Part { number: 1, duration: part, .. }, Made::Segment { index: 0, duration, parts }] =
            &made[..]
        else {
            panic!("{made:?}");
        };
        assert_eq!((part.as_millis(), duration.as_millis(), parts.len()), (80, 280, 2));
        assert!(cutter.finish().is_empty());
    }

    #[test]
    fn a_picture_whose_time_goes_back_is_refused_and_endless_segments_are_seen() {
        let mut cutter = cutter(1000, cut(200, 900));
        (0..7).for_each(|number| drop(cutter.see(frame(number, 40, 25)).unwrap()));
        assert!(cutter.see(frame(3, 40, 25)).is_err());
        assert!(!cutter.is_over_limit());
        let huge = Sample { bytes: vec![0; 2 << 20].into(), ..frame(8, 40, 25) };
        assert!(cutter.see(huge).is_ok() && cutter.is_over_limit());
        (0..9999).for_each(|number| cutter.hear(packet(number)));
        assert_eq!(cutter.sound.len(), MOST_SOUND);
    }

    /// Its first track is not read.
    fn without_picture(part: &[u8]) -> Vec<u8> {
        let mut own = part.to_vec();
        let at = own.windows(4).position(|kind| kind == b"traf").unwrap();
        own[at..at + 4].copy_from_slice(b"free");
        own
    }

    /// When the packets of sound in these parts begin, and which of them are silence.
    fn sounds(made: &[Made]) -> Vec<(u64, bool)> {
        let mut all = Vec::new();
        for made in made {
            let Made::Part { bytes, .. } = made else { continue };
            if bytes.windows(4).filter(|kind| *kind == b"traf").count() < 2 {
                continue;
            }
            all.extend(samples(1000, &without_picture(bytes)).iter().map(|packet| {
                let own = format!("sound at {}", packet.time);
                (packet.time, packet.bytes != own.as_bytes())
            }));
        }
        all
    }

    /// 25 frames a second and a packet each 64 ms, but for some.
    fn with_a_gap(from_ms: u64, until_ms: u64, late_ms: u64) -> Vec<(u64, bool)> {
        let tracks = Tracks::join(&init(1000), Some(&init(16_000))).unwrap();
        let tracks = Tracks { silence: Some(Bytes::from_static(b"hush")), ..tracks };
        let mut cutter = Cutter::new(&tracks, cut(200, 900), 1 << 20);
        let (mut made, mut next) = (Vec::new(), 0);
        for number in 0..500 {
            let shown_ms = number * 40;
            while next * 64 + late_ms <= shown_ms {
                if !(from_ms..until_ms).contains(&(next * 64)) {
                    cutter.hear(packet(next * 1024));
                }
                next += 1;
            }
            made.extend(cutter.see(Sample { time: shown_ms, ..frame(number, 40, 25) }).unwrap());
        }
        sounds(&made)
    }

    #[test]
    fn sound_that_comes_is_left_as_it_is() {
        for late_ms in [0, 300, 600] {
            let sounds = with_a_gap(0, 0, late_ms);
            assert!(sounds.len() > 290 && sounds.iter().all(|(_, silence)| !silence), "{late_ms}");
        }
        // However late it is as long as there is some: behind what was silent at the beginning, and behind a gap.
        for (late_ms, from_ms, until_ms) in
            [(2_100, 0, 0), (3_000, 0, 0), (2_100, 9_000, 9_800), (3_000, 9_000, 9_800)]
        {
            let sounds = with_a_gap(from_ms, until_ms, late_ms);
            let last = sounds.iter().rev().take(60);
            assert!(
                last.clone().count() == 60 && last.clone().all(|(_, silence)| !silence),
                "{late_ms} {from_ms}"
            );
        }
    }

    #[test]
    fn where_sound_stops_silence_takes_its_place_until_it_is_back() {
        for (late_ms, until_ms) in [(0, 12_000), (300, 12_000), (0, u64::MAX)] {
            let sounds = with_a_gap(5_000, until_ms, late_ms);
            let even = sounds.windows(2).all(|pair| {
                pair[1].0.checked_sub(pair[0].0).is_some_and(|apart| (1024..3 * 1024).contains(&apart))
            });
            assert!(even && sounds.is_sorted(), "no hole: {sounds:?}");
            let silences: Vec<_> =
                sounds.iter().filter(|(_, silence)| *silence).map(|(at, _)| at / 16).collect();
            let (first, last) = (*silences.first().unwrap(), *silences.last().unwrap());
            assert!((4_990..5_100).contains(&first), "{first}");
            let back_ms = until_ms.min(19_900);
            assert!(last.abs_diff(back_ms) < 500, "{last}");
            assert!(
                until_ms > 20_000 || sounds.iter().rev().take(100).all(|(_, silence)| !silence),
                "it is back"
            );
        }
    }

    #[test]
    fn a_picture_a_second_has_the_sound_that_comes_late() {
        let tracks = Tracks::join(&init(1000), Some(&init(16_000))).unwrap();
        let tracks = Tracks { silence: Some(Bytes::from_static(b"hush")), ..tracks };
        let mut cutter = Cutter::new(&tracks, cut(200, 900), 1 << 20);
        let (mut made, mut next) = (Vec::new(), 0);
        for second in 0..30 {
            while next * 64 + 400 <= second * 1000 {
                cutter.hear(packet(next * 1024));
                next += 1;
            }
            made.extend(cutter.see(Sample { time: second * 1000, ..frame(second, 1000, 1) }).unwrap());
        }
        let sounds = sounds(&made);
        let silences = sounds.iter().filter(|(_, silence)| *silence).count();
        assert!(sounds.len() > 400 && silences <= 16, "{silences} of {}, at the beginning", sounds.len());
    }

    /// Until the next sender report tells where it belongs.
    #[test]
    fn silence_goes_on_while_sound_comes_back_with_old_times() {
        for (late_ms, report_ms) in [(0, 12_000), (0, 14_200), (600, 12_900)] {
            let tracks = Tracks::join(&init(1000), Some(&init(16_000))).unwrap();
            let tracks = Tracks { silence: Some(Bytes::from_static(b"hush")), ..tracks };
            let mut cutter = Cutter::new(&tracks, cut(200, 900), 1 << 20);
            let (mut made, mut next) = (Vec::new(), 0);
            for number in 0..500 {
                let shown_ms = number * 40;
                while next * 64 + late_ms <= shown_ms {
                    let at_ms = next * 64;
                    let told_ms = if (8_000..report_ms).contains(&at_ms) { at_ms - 3_000 } else { at_ms };
                    if !(5_000..8_000).contains(&at_ms) {
                        cutter.hear(packet(told_ms * 16));
                    }
                    next += 1;
                }
                made.extend(cutter.see(Sample { time: shown_ms, ..frame(number, 40, 25) }).unwrap());
                let covered_ms = sounds(&made).last().map_or(0, |(at, _)| at / 16);
                assert!(shown_ms < 1_500 || covered_ms + 1_500 > shown_ms, "{covered_ms} ms of {shown_ms}");
                assert!(!cutter.is_sound_homeless(), "at {shown_ms} ms it may still be put right");
            }
            assert!(
                sounds(&made).iter().rev().take(80).all(|(_, silence)| !silence),
                "it is back: {late_ms}"
            );
        }
    }

    #[test]
    fn a_picture_that_stands_for_a_while_does_not_make_late_sound_lost() {
        let tracks = Tracks::join(&init(1000), Some(&init(16_000))).unwrap();
        let tracks = Tracks { silence: Some(Bytes::from_static(b"hush")), ..tracks };
        let mut cutter = Cutter::new(&tracks, cut(200, 900), 1 << 20);
        let (mut made, mut next, mut shown) = (Vec::new(), 0, 0);
        for now_ms in (0..20_000).step_by(40) {
            while next * 64 + 3_000 <= now_ms {
                cutter.hear(packet(next * 1024));
                next += 1;
            }
            // A second of it comes at once.
            if !(8_000..9_000).contains(&now_ms) {
                while shown * 40 <= now_ms {
                    made.extend(cutter.see(Sample { time: shown * 40, ..frame(shown, 40, 25) }).unwrap());
                    shown += 1;
                }
            }
            assert!(!cutter.is_sound_homeless(), "{now_ms}");
        }
        assert!(sounds(&made).iter().rev().take(60).all(|(_, silence)| !silence));
    }

    #[test]
    fn sound_that_is_in_time_now_and_then_and_never_has_a_place_is_told() {
        let mut silence = Silence::new(Some(Bytes::from_static(b"hush")), 16_000);
        let second = Duration::from_secs(1);
        assert!(silence.hears(&packet(16_000), Some(second)));
        silence.fill(&mut Vec::new(), second, 2 * second);
        silence.fill(&mut Vec::new(), 3 * second, 9 * second);
        let told = (0..200).any(|number| {
            silence.hears(&packet(if number % 2 == 0 { 6 } else { 8 } * 16_000), Some(9 * second));
            silence.is_homeless()
        });
        assert!(told);
    }

    #[test]
    fn sound_whose_times_nobody_puts_right_is_told() {
        let mut silence = Silence::new(Some(Bytes::from_static(b"hush")), 16_000);
        let second = Duration::from_secs(1);
        assert!(silence.hears(&packet(16_000), Some(second)));
        silence.fill(&mut Vec::new(), second, 2 * second);
        silence.fill(&mut Vec::new(), 3 * second, 5 * second);
        // Of 64 ms each.
        let told_after = (1..200).find(|_| {
            assert!(!silence.hears(&packet(2 * 16_000), Some(5 * second)));
            silence.is_homeless()
        });
        assert_eq!(told_after, Some(125), "eight seconds");
    }

    #[test]
    fn sound_that_has_no_place_is_told() {
        let mut silence = Silence::new(Some(Bytes::from_static(b"hush")), 16_000);
        silence.fill(&mut Vec::new(), Duration::ZERO, Duration::from_secs(2));
        silence.fill(&mut Vec::new(), Duration::from_secs(2), Duration::from_secs(4));
        let late = |second: u64| packet(second * 16_000);
        assert!((0..40).all(|_| !silence.hears(&late(1), Some(Duration::from_secs(4)))));
        assert!(!silence.is_homeless(), "it may catch up");
        assert!((0..40).all(|_| !silence.hears(&late(1), Some(Duration::from_secs(4)))));
        assert!(silence.is_homeless());
        let mut paused = Silence::new(Some(Bytes::from_static(b"hush")), 16_000);
        paused.fill(&mut Vec::new(), Duration::ZERO, Duration::from_secs(2));
        paused.fill(&mut Vec::new(), Duration::from_secs(2), Duration::from_secs(9));
        assert!(!paused.hears(&Sample { duration: 8 * 16_000, ..late(1) }, Some(Duration::from_secs(9))));
        assert!(!paused.is_homeless(), "it came when the pause was over, and lasts no longer");
        assert!(silence.hears(&late(5), Some(Duration::from_secs(5))) && !silence.is_homeless());
    }

    #[test]
    fn sound_that_never_begins_is_silence_and_a_jump_is_not_filled() {
        let sounds = with_a_gap(0, u64::MAX, 0);
        assert_eq!(sounds.first(), Some(&(0, true)));
        assert!(sounds.last().is_some_and(|(at, _)| *at > 19_500 * 16));
        let tracks = Tracks::join(&init(1000), Some(&init(16_000))).unwrap();
        let mut silence = Silence::new(Some(Bytes::from_static(b"hush")), tracks.sound_per_second);
        let mut sound = vec![packet(0)];
        silence.fill(&mut sound, Duration::ZERO, Duration::from_millis(200));
        assert_eq!(sound.len(), 1);
        silence.fill(&mut sound, Duration::from_secs(3_600), Duration::from_secs(3_601));
        assert!(sound.len() < 170, "{}: ten seconds at most", sound.len());
    }

    proptest! {
        /// Whatever the frames' times, nothing is lost, and parts and segments tell the same.
        #[test]
        fn all_frames_come_through_once_and_in_order(
            lasts in prop::collection::vec(1u32..400, 1..200), gop in 1u64..60, part in 40u64..1000, segment in 200u64..3000,
        ) {
            let mut cutter = cutter(1000, cut(part, segment));
            let (mut time, mut sent, mut got) = (5_000u64, Vec::new(), Vec::new());
            let (mut next_part, mut next_segment, mut parts) = (0, 0, Vec::<(Duration, Bytes)>::new());
            let mut made = Vec::new();
            for (number, lasts) in lasts.iter().enumerate() {
                let frame = Sample { time, duration: *lasts, ..frame(number as u64, 1, gop) };
                time += u64::from(*lasts);
                sent.push(frame.clone());
                cutter.hear(packet(time * 16));
                made.extend(cutter.see(frame).unwrap());
            }
            made.extend(cutter.finish());
            for made in made {
                match made {
                    Made::Part { number, segment, duration, independent, bytes, .. } => {
                        prop_assert_eq!((number, segment), (next_part, next_segment));
                        next_part += 1;
                        let frames = samples(1000, &bytes);
                        prop_assert_eq!(frames[0].is_keyframe(), independent);
                        prop_assert!(!parts.is_empty() || independent, "a segment begins with a keyframe");
                        parts.push((duration, bytes));
                        got.extend(frames);
                    }
                    Made::Segment { index, duration, parts: of_segment } => {
                        prop_assert_eq!(index, next_segment);
                        next_segment += 1;
                        let (durations, bytes): (Vec<Duration>, Vec<Bytes>) = parts.drain(..).unzip();
                        prop_assert_eq!(of_segment, bytes);
                        prop_assert_eq!(duration, durations.iter().sum::<Duration>());
                    }
                }
            }
            prop_assert_eq!(got, sent);
        }
    }
}
