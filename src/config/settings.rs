//! `settings`: what a camera's stream looks like.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::model::{DEFAULT_PART, Settings, Start, SubSecond};
use super::read::{Field, Given, Reader, Section, Spot};
use super::{renditions, sub_second};
use crate::domain::choice::{Quality, Rendition};
use crate::domain::encoder::Wish;
use crate::domain::profile::Profile;
use crate::domain::segment::SegmentType;

pub(super) const KEYS: &[&str] = &[
    "quality",
    "target_width",
    "target_fps",
    "max_bitrate",
    "renditions",
    "profile",
    "segment_duration",
    "segments_to_keep",
    "part_duration",
    "compat_segments",
    "audio",
    "segment_type",
    "video",
    "encoder",
    "threads",
    "nice",
    "health_check_interval",
    "snapshot_interval",
    "status_interval",
    "start",
    "idle_timeout",
];

const WIDTH_MIN: u32 = 16;
const WIDTH_MAX: u32 = 7680;
const FPS_MAX: u32 = 120;
/// In kbps: below, no picture is worth it; above, no camera sends that much.
const BITRATE_MIN: u32 = 100;
const BITRATE_MAX: u32 = 100_000;
pub(super) const SEGMENTS: RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(60);
/// Shorter ones cost more requests than they save time; longer ones are segments.
const PART_MIN: Duration = Duration::from_millis(50);
const PART_MAX: Duration = Duration::from_secs(1);
/// RFC 8216 6.2.2: a live playlist holds at least three target durations.
pub(super) const WINDOWS: RangeInclusive<u32> = 3..=100;
const THREADS_MAX: u32 = 16;
const NICE_MAX: u32 = 19;
const LOOK_MIN: Duration = Duration::from_secs(1);
const LOOK_MAX: Duration = Duration::from_secs(300);
const SNAPSHOT_MIN: Duration = Duration::from_secs(1);
const SNAPSHOT_MAX: Duration = Duration::from_secs(24 * 3600);
/// More often it would be a tenth of the bill, and tell no more than the playlist.
const STATUS_MIN: Duration = Duration::from_secs(10);
const STATUS_MAX: Duration = Duration::from_secs(3600);

pub(super) const IDLE: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(24 * 3600);

const STARTS: [(&str, Start); 2] = [("always", Start::Always), ("on_demand", Start::OnDemand)];
/// Whether the video is passed through.
const VIDEOS: [(&str, bool); 2] = [("h264", false), ("passthrough", true)];
const SEGMENT_TYPES: [(&str, SegmentType); 2] =
    [("mpegts", SegmentType::MpegTs), ("fmp4", SegmentType::Fmp4)];

/// How far from a whole number of frames a segment may be: what decimals of a fraction leave over.
const FRAME_TOLERANCE: f64 = 1e-6;

/// What `settings` sections say, the camera's over the defaults'. `None`: nobody said it.
#[derive(Debug, Clone, Default)]
pub struct Said {
    quality: Option<Quality>,
    width: Option<u32>,
    fps: Option<u32>,
    max_bitrate: Option<u32>,
    renditions: Option<Vec<Rendition>>,
    profile: Option<Profile>,
    duration: Option<Duration>,
    keep: Option<usize>,
    part: Option<Duration>,
    compat: Option<bool>,
    audio: Option<bool>,
    pub(super) segment_type: Option<SegmentType>,
    passthrough: Option<bool>,
    encoder: Option<Wish>,
    threads: Option<u32>,
    nice: Option<u32>,
    look: Option<Duration>,
    start: Option<Start>,
    idle: Option<Duration>,
    /// `Some(None)`: none, whatever the defaults say.
    snapshot: Option<Option<Duration>>,
    /// The same.
    status: Option<Option<Duration>>,
}

impl Said {
    /// Explicit numbers win over the presets', and these over the built-in ones.
    pub fn settings(&self) -> Settings {
        let built_in = Settings::default();
        let rung = self.quality.map(Quality::rung);
        let segments = self.profile.map(Profile::segments);
        let duration = self.duration.or(segments.map(|(duration, _)| duration));
        let segment_duration = duration.unwrap_or(built_in.segment_duration);
        let passthrough = self.passthrough.unwrap_or(built_in.passthrough);
        // Few players take H.265 out of a transport stream.
        let needs_fmp4 = passthrough || self.is_sub_second();
        let usual_type = if needs_fmp4 { SegmentType::Fmp4 } else { built_in.segment_type };
        let usual_fps = rung.map_or(built_in.target_fps, |rung| rung.fps);
        Settings {
            quality: self.quality,
            max_bitrate: self.max_bitrate,
            renditions: self.renditions.clone().unwrap_or_default(),
            target_width: self.width.or(rung.map(|rung| rung.width)).unwrap_or(built_in.target_width),
            target_fps: self.fps.unwrap_or_else(|| self.fitting_fps(usual_fps, segment_duration)),
            segment_duration,
            segments_to_keep: self
                .keep
                .or(segments.map(|(_, keep)| keep))
                .unwrap_or(built_in.segments_to_keep),
            sub_second: self.is_sub_second().then(|| SubSecond {
                part_duration: self.part.unwrap_or(DEFAULT_PART),
                compat_segments: self.compat.unwrap_or(true),
            }),
            audio: self.audio.unwrap_or(built_in.audio),
            segment_type: self.segment_type.unwrap_or(usual_type),
            passthrough,
            encoder: self.encoder.unwrap_or(built_in.encoder),
            threads: self.threads.unwrap_or(built_in.threads),
            nice: self.nice.unwrap_or(built_in.nice),
            health_check_interval: self.look.unwrap_or(built_in.health_check_interval),
            start: self.start.unwrap_or(built_in.start),
            idle_timeout: self.idle.unwrap_or(built_in.idle_timeout),
            snapshot_interval: self.snapshot.unwrap_or(built_in.snapshot_interval),
            status_interval: self.status.unwrap_or(built_in.status_interval),
        }
    }

    pub(super) fn is_passed_through(&self) -> bool {
        self.passthrough == Some(true)
    }

    pub(super) fn part_duration(&self) -> Option<Duration> {
        self.part
    }

    pub(super) fn is_sub_second(&self) -> bool {
        self.profile == Some(Profile::SubSecond)
    }

    /// What variables of the environment say.
    pub(super) fn of_environment(
        duration: Option<Duration>,
        keep: Option<u32>,
        idle: Option<Duration>,
    ) -> Self {
        Self { duration, keep: keep.map(|keep| keep as usize), idle, ..Self::default() }
    }

    /// It was left to `self` by all that was said later.
    pub(super) fn is_segment_duration_of(&self, later: &Self) -> bool {
        self.duration.is_some() && self.duration == later.duration
    }

    /// What is wrong, if its segments are no whole number of frames.
    pub(super) fn torn(&self) -> Option<String> {
        let Settings { target_fps: rate, segment_duration: length, .. } = self.settings();
        let frames = frames(rate, length);
        let (seconds, lengths) = (length.as_secs_f64(), neighbours_of_duration(rate, length));
        let torn = format!("{seconds} s at {rate} fps are {} frames, not a whole number", shown(frames));
        (!is_whole(frames)).then(|| format!("{torn}; use {lengths}"))
    }

    pub(super) fn has_renditions(&self) -> bool {
        self.renditions.as_ref().is_some_and(|renditions| !renditions.is_empty())
    }

    /// Where nobody said a frame rate nor a duration, the presets have to go together: 0.5 s need an even rate.
    fn fitting_fps(&self, usual: u32, duration: Duration) -> u32 {
        let fits = |fps: &u32| is_whole(frames(*fps, duration));
        match self.duration {
            None => (usual..=FPS_MAX).find(fits).unwrap_or(usual),
            Some(_) => usual,
        }
    }
}

/// A `settings` section over the `base` that its missing keys have. A preset given here is nearer to the camera than
/// explicit numbers of `base`, and replaces them.
pub(super) fn read(reader: &mut Reader<'_>, field: Option<Field<'_>>, base: &Said) -> Said {
    let Some(section) = field.and_then(|field| reader.section(&field)) else { return base.clone() };
    reader.refuse_unknown(&section, KEYS, None);
    let width = width(reader, &section, "target_width");
    let max_bitrate = bitrate(reader, &section);
    let renditions = section.get("renditions");
    let given = renditions.as_ref().and_then(|field| renditions::read(reader, field));
    let keep = reader.integer(&section, "segments_to_keep", WINDOWS);
    let part = reader.duration(&section, "part_duration", PART_MIN..=PART_MAX);
    let compat = reader.switch(&section, "compat_segments");
    let compat_spot = section.get("compat_segments").map(|field| field.spot);
    let audio = reader.switch(&section, "audio");
    let segment_type = reader.word(&section, "segment_type", &SEGMENT_TYPES);
    let video = reader.word(&section, "video", &VIDEOS);
    let encoder = reader.word(&section, "encoder", &Wish::ALL.map(|wish| (wish.name(), wish)));
    let threads = reader.integer(&section, "threads", 1..=THREADS_MAX);
    let nice = reader.integer(&section, "nice", 0..=NICE_MAX);
    let look = reader.duration(&section, "health_check_interval", LOOK_MIN..=LOOK_MAX);
    let snapshot = reader.duration_or_off(&section, "snapshot_interval", SNAPSHOT_MIN..=SNAPSHOT_MAX);
    let status = reader.duration_or_off(&section, "status_interval", STATUS_MIN..=STATUS_MAX);
    let start = reader.word(&section, "start", &STARTS);
    let idle = reader.duration(&section, "idle_timeout", IDLE);
    let faults_before = reader.faults.len();
    let frames = Frames::read(reader, &section);
    let frames_are_read = reader.faults.len() == faults_before;
    let (quality, profile) = (value(&frames.quality), value(&frames.profile));
    let said = Said {
        quality: quality.or(base.quality),
        width: value(&width).or(base.width.filter(|_| quality.is_none())),
        fps: value(&frames.fps).or(base.fps.filter(|_| quality.is_none())),
        max_bitrate: max_bitrate.or(base.max_bitrate),
        renditions: given
            .or_else(|| base.renditions.clone().filter(|_| quality.is_none() && width.is_none())),
        profile: profile.or(base.profile),
        duration: value(&frames.duration).or(base.duration.filter(|_| profile.is_none())),
        part: value(&part).or(base.part),
        compat: compat.or(base.compat),
        keep: value(&keep).map(|keep| keep as usize).or(base.keep.filter(|_| profile.is_none())),
        audio: audio.or(base.audio),
        segment_type: value(&segment_type).or(base.segment_type),
        passthrough: value(&video).or(base.passthrough),
        encoder: value(&encoder).or(base.encoder),
        threads: value(&threads).or(base.threads),
        nice: value(&nice).or(base.nice),
        look: value(&look).or(base.look),
        start: value(&start).or(base.start),
        idle: value(&idle).or(base.idle),
        snapshot: snapshot.or(base.snapshot),
        status: status.or(base.status),
    };
    let renditions_spot = renditions.map(|field| field.spot);
    if let Some(spot) = renditions_spot.clone().filter(|_| said.has_renditions()) {
        let passthrough = said.passthrough == Some(true);
        renditions::refuse_clash(reader, &spot, width.as_ref().map(|given| &given.spot), passthrough);
    } else if let Some(video) = video.as_ref().filter(|video| video.value && said.has_renditions()) {
        reader.fault(&video.spot, "is passthrough, and renditions are encoded; leave one of them out");
    }
    let profile_spot = frames.profile.as_ref().map(|given| given.spot.clone());
    let kind_spot = segment_type.as_ref().map(|given| given.spot.clone());
    sub_second::refuse_renditions(reader, &said, profile_spot.as_ref(), renditions_spot);
    let fps_spot = frames.fps.as_ref().map(|given| given.spot.clone());
    let quality_spot = frames.quality.as_ref().map(|given| given.spot.clone());
    let (lengths, rate_spot) = ((part, &frames.duration), fps_spot.or(quality_spot));
    sub_second::refuse_clash(reader, &said, profile_spot, kind_spot, lengths, (rate_spot, compat_spot));
    refuse_clash(reader, &said, segment_type.map(|given| given.spot), video.map(|given| given.spot));
    // With a value that is wrong by itself the others say nothing.
    if frames_are_read {
        frames.warn_of_profile(reader);
        frames.refuse_torn(reader, &said);
    }
    said
}

/// Pixels; yuv420p halves both sides.
pub(super) fn width(reader: &mut Reader<'_>, section: &Section<'_>, key: &str) -> Option<Given<u32>> {
    let width = reader.integer(section, key, WIDTH_MIN..=WIDTH_MAX)?;
    if width.value % 2 == 1 {
        let (below, above) = (width.value - 1, width.value + 1);
        reader.fault(&width.spot, format!("is {}, which is odd; use {below} or {above}", width.value));
    }
    Some(width)
}

/// In kbps.
pub(super) fn bitrate(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<u32> {
    value(&reader.integer(section, "max_bitrate", BITRATE_MIN..=BITRATE_MAX))
}

/// What the base has alone was told there.
fn refuse_clash(reader: &mut Reader<'_>, said: &Said, segment_type: Option<Spot>, video: Option<Spot>) {
    let clash = said.passthrough == Some(true) && said.segment_type == Some(SegmentType::MpegTs);
    if let Some(spot) = segment_type.filter(|_| clash) {
        reader.fault(&spot, "is mpegts, and video: passthrough needs fmp4; use fmp4, or leave it out");
    } else if let Some(spot) = video.filter(|_| clash) {
        reader.fault(&spot, "is passthrough, which needs segment_type: fmp4; give that here, too");
    }
}

fn value<T: Copy>(given: &Option<Given<T>>) -> Option<T> {
    given.as_ref().map(|given| given.value)
}

/// The keys of a section that decide how many frames a segment has.
struct Frames {
    quality: Option<Given<Quality>>,
    fps: Option<Given<u32>>,
    profile: Option<Given<Profile>>,
    duration: Option<Given<Duration>>,
}

impl Frames {
    fn read(reader: &mut Reader<'_>, section: &Section<'_>) -> Self {
        let qualities = Quality::ALL.map(|quality| (quality.name(), quality));
        let profiles = Profile::ALL.map(|profile| (profile.name(), profile));
        Self {
            quality: reader.word(section, "quality", &qualities),
            profile: reader.word(section, "profile", &profiles),
            fps: reader.integer(section, "target_fps", 1..=FPS_MAX),
            duration: reader.duration(section, "segment_duration", SEGMENTS),
        }
    }

    /// The delay that a profile stands for is that of its segments.
    fn warn_of_profile(&self, reader: &mut Reader<'_>) {
        let (Some(profile), Some(duration)) = (&self.profile, &self.duration) else { return };
        let (usual, _) = profile.value.segments();
        let is_for_delay = matches!(profile.value, Profile::Realtime | Profile::Low);
        if is_for_delay && duration.value > usual && Profile::nearest(duration.value) != profile.value {
            let (name, usual) = (profile.value.name(), usual.as_secs_f64());
            let wins = format!("segment_duration ({} s) wins over its", duration.value.as_secs_f64());
            reader.warn(&profile.spot, format!("is {name}, and {wins} {usual} s; leave one of the two out"));
        }
    }

    /// One GOP is one segment, so a segment must be a whole number of frames. What `base` has alone was told there.
    fn refuse_torn(self, reader: &mut Reader<'_>, said: &Said) {
        let Settings { target_fps: rate, segment_duration: length, .. } = said.settings();
        let frames = frames(rate, length);
        if is_whole(frames) {
            return;
        }
        let whose = match said.profile.filter(|_| said.duration.is_none()) {
            Some(profile) => format!("profile {}'s ", profile.name()),
            None => String::new(),
        };
        let seconds = length.as_secs_f64();
        let torn =
            format!("{whose}{seconds} s at {rate} fps are {} frames, not a whole number", shown(frames));
        let lengths = neighbours_of_duration(rate, length);
        let rates = neighbours_of_fps(rate, length);
        if let Some(duration) = self.duration {
            reader.fault(&duration.spot, format!("{torn}; use {lengths}, or another target_fps"));
        } else if let Some(fps) = self.fps {
            let mend = match rates {
                Some(rates) => format!("use {rates}, or another segment_duration"),
                None => "use another segment_duration".into(),
            };
            reader.fault(&fps.spot, format!("{torn}; {mend}"));
        } else if let Some(spot) = self.profile.map(|p| p.spot).or(self.quality.map(|q| q.spot)) {
            let or_rate = rates.map(|rates| format!(" or target_fps ({rates})")).unwrap_or_default();
            reader.fault(&spot, format!("{torn}; give segment_duration ({lengths}){or_rate}, too"));
        }
    }
}

pub(super) fn frames(fps: u32, duration: Duration) -> f64 {
    f64::from(fps) * duration.as_secs_f64()
}

pub(super) fn is_whole(frames: f64) -> bool {
    (frames - frames.round()).abs() <= FRAME_TOLERANCE
}

/// The nearest durations in whole milliseconds below and above that fit; a full second always fits.
fn neighbours_of_duration(fps: u32, duration: Duration) -> String {
    let fits = |millis: &u64| (u64::from(fps) * millis).is_multiple_of(1000);
    let millis = duration.as_nanos() / 1_000_000;
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    let (min, max) = (SEGMENTS.start().as_millis() as u64, SEGMENTS.end().as_millis() as u64);
    let below = (min..=millis.min(max)).rev().find(fits);
    let above = (millis.saturating_add(1)..=max).find(fits);
    join(below.map(|ms| ms as f64 / 1000.0), above.map(|ms| ms as f64 / 1000.0)).unwrap_or_default()
}

fn neighbours_of_fps(fps: u32, duration: Duration) -> Option<String> {
    let fits = |fps: &u32| is_whole(frames(*fps, duration)) && frames(*fps, duration) >= 1.0;
    let below = (1..fps).rev().find(fits);
    let above = (fps + 1..=FPS_MAX).find(fits);
    join(below.map(f64::from), above.map(f64::from))
}

pub(super) fn join(below: Option<f64>, above: Option<f64>) -> Option<String> {
    match (below, above) {
        (Some(below), Some(above)) => Some(format!("{below} or {above}")),
        (one, other) => one.or(other).map(|good| good.to_string()),
    }
}

/// Enough decimals to see that it is not whole, and no more.
pub(super) fn shown(frames: f64) -> String {
    let text = format!("{frames:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_are_short_numbers() {
        let of = |fps, millis| neighbours_of_duration(fps, Duration::from_millis(millis));
        assert_eq!(of(15, 2100), "2 or 2.2");
        assert_eq!(of(15, 500), "0.4 or 0.6");
        assert_eq!(of(7, 200), "1");
        assert_eq!(of(25, 59_999), "59.96 or 60");
        assert_eq!(neighbours_of_fps(15, Duration::from_millis(500)).as_deref(), Some("14 or 16"));
        assert_eq!(neighbours_of_fps(15, Duration::from_nanos(1_234_560_007)), None);
    }

    proptest! {
        #[test]
        fn every_neighbour_is_good(fps in 1..=FPS_MAX, millis in 200_u64..=60_000) {
            let good = neighbours_of_duration(fps, Duration::from_millis(millis));
            for seconds in good.split(" or ") {
                let seconds: f64 = seconds.parse().expect("a number");
                prop_assert!((0.2..=60.0).contains(&seconds));
                prop_assert!(is_whole(frames(fps, Duration::from_secs_f64(seconds))));
            }
        }
    }
}
