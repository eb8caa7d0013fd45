//! `settings`: what a camera's stream looks like.

use std::time::Duration;

use super::model::Settings;
use super::read::{Field, Given, Reader};

pub(super) const KEYS: &[&str] = &[
    "target_width",
    "target_fps",
    "segment_duration",
    "segments_to_keep",
    "health_check_interval",
    "encoder",
];

const WIDTH_MIN: u32 = 16;
const WIDTH_MAX: u32 = 7680;
const FPS_MAX: u32 = 120;
const SEGMENT_MIN: Duration = Duration::from_millis(200);
const SEGMENT_MAX: Duration = Duration::from_secs(60);
/// RFC 8216 6.2.2: a live playlist holds at least three target durations.
const WINDOW_MIN: u32 = 3;
const WINDOW_MAX: u32 = 100;
const LOOK_MIN: Duration = Duration::from_secs(1);
const LOOK_MAX: Duration = Duration::from_secs(300);

/// How far from a whole number of frames a segment may be: what decimals of a fraction leave over.
const FRAME_TOLERANCE: f64 = 1e-6;

/// A `settings` section over the `base` that its missing keys have.
pub(super) fn read(reader: &mut Reader<'_>, field: Option<Field<'_>>, base: &Settings) -> Settings {
    let Some(section) = field.and_then(|field| reader.section(&field)) else { return base.clone() };
    reader.refuse_unknown(&section, KEYS, None);
    let width = reader.integer(&section, "target_width", WIDTH_MIN..=WIDTH_MAX);
    let keep = reader.integer(&section, "segments_to_keep", WINDOW_MIN..=WINDOW_MAX);
    let look = reader.duration(&section, "health_check_interval", LOOK_MIN..=LOOK_MAX);
    let encoder = reader.parsed(&section, "encoder", str::parse);
    let faults_before = reader.faults.len();
    let fps = reader.integer(&section, "target_fps", 1..=FPS_MAX);
    let duration = reader.duration(&section, "segment_duration", SEGMENT_MIN..=SEGMENT_MAX);
    let pair_is_read = reader.faults.len() == faults_before;
    if let Some(odd) = width.as_ref().filter(|width| width.value % 2 == 1) {
        // yuv420p halves both sides.
        let (below, above) = (odd.value - 1, odd.value + 1);
        reader.fault(&odd.spot, format!("is {}, which is odd; use {below} or {above}", odd.value));
    }
    let settings = Settings {
        target_width: width.map_or(base.target_width, |width| width.value),
        target_fps: fps.as_ref().map_or(base.target_fps, |fps| fps.value),
        segment_duration: duration.as_ref().map_or(base.segment_duration, |duration| duration.value),
        segments_to_keep: keep.map_or(base.segments_to_keep, |keep| keep.value as usize),
        health_check_interval: look.map_or(base.health_check_interval, |look| look.value),
        encoder: encoder.map_or(base.encoder, |encoder| encoder.value),
    };
    // A pair with a value that is wrong by itself says nothing.
    if pair_is_read {
        refuse_torn_frames(reader, &settings, fps, duration);
    }
    settings
}

/// One GOP is one segment, so a segment must be a whole number of frames.
fn refuse_torn_frames(
    reader: &mut Reader<'_>,
    settings: &Settings,
    fps: Option<Given<u32>>,
    duration: Option<Given<Duration>>,
) {
    let frames = frames(settings.target_fps, settings.segment_duration);
    if is_whole(frames) {
        return;
    }
    let (rate, seconds) = (settings.target_fps, settings.segment_duration.as_secs_f64());
    let torn = format!("{seconds} s at {rate} fps are {} frames, not a whole number", shown(frames));
    if let Some(duration) = duration {
        let good = neighbours_of_duration(rate, settings.segment_duration);
        reader.fault(&duration.spot, format!("{torn}; use {good}, or another target_fps"));
    } else if let Some(fps) = fps {
        let mend = match neighbours_of_fps(rate, settings.segment_duration) {
            Some(good) => format!("use {good}, or another segment_duration"),
            None => "use another segment_duration".into(),
        };
        reader.fault(&fps.spot, format!("{torn}; {mend}"));
    }
}

fn frames(fps: u32, duration: Duration) -> f64 {
    f64::from(fps) * duration.as_secs_f64()
}

fn is_whole(frames: f64) -> bool {
    (frames - frames.round()).abs() <= FRAME_TOLERANCE
}

/// The nearest durations in whole milliseconds below and above that fit; a full second always fits.
fn neighbours_of_duration(fps: u32, duration: Duration) -> String {
    let fits = |millis: &u64| (u64::from(fps) * millis).is_multiple_of(1000);
    let millis = duration.as_nanos() / 1_000_000;
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    let (min, max) = (SEGMENT_MIN.as_millis() as u64, SEGMENT_MAX.as_millis() as u64);
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

fn join(below: Option<f64>, above: Option<f64>) -> Option<String> {
    match (below, above) {
        (Some(below), Some(above)) => Some(format!("{below} or {above}")),
        (one, other) => one.or(other).map(|good| good.to_string()),
    }
}

/// Enough decimals to see that it is not whole, and no more.
fn shown(frames: f64) -> String {
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
