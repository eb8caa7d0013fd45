//! Whether a camera's video can be copied, and where its segments are cut then.

use std::time::Duration;

use super::words::{codec, seconds};
use super::{CUT_EARLY, Quality, VideoOut, Wish};
use crate::domain::media::{VideoCodec, VideoIn};

/// What every browser decodes: 8 bits, 4:2:0, progressive.
const PROFILES: [&str; 4] = ["Constrained Baseline", "Baseline", "Main", "High"];
const PIXEL_FORMATS: [&str; 2] = ["yuv420p", "yuvj420p"];
/// What those decode that know H.265.
const H265_PROFILES: [&str; 2] = ["Main", "Main 10"];
const H265_PIXEL_FORMATS: [&str; 3] = ["yuv420p", "yuvj420p", "yuv420p10le"];

/// A measured interval this near to what is asked for is the same.
const SLACK: f64 = 0.05;
/// Longer segments than asked for mean more delay: what is borne for the sake of a copy.
const MOST_FACTOR: u32 = 2;
const MOST_AT_LEAST: Duration = Duration::from_secs(4);
const MOST: Duration = Duration::from_secs(10);
/// Where longer ones are asked for.
const MOST_OVER_ASKED: f64 = 1.25;
/// Of a keyframe, besides [`SLACK`].
const JITTER: Duration = Duration::from_millis(100);

/// The earliest cut where GOPs vary, as a part of what is asked for: the shorter, the more requests.
const EARLIEST: f64 = 0.3;

const SUPPOSED: &str = "keyframe interval not measured";

/// How a copied stream is cut: at keyframes, as only there a player can begin.
pub(super) struct Cuts {
    pub video: VideoOut,
    pub segment: Duration,
    pub cut_after: Duration,
    pub why: String,
}

impl Cuts {
    /// Players round a segment's duration to the nearest whole number.
    pub fn target_duration_s(&self) -> u64 {
        let segment = self.segment.as_secs_f64();
        let latest = segment * (1.0 + SLACK) + JITTER.as_secs_f64();
        let about = (segment * (1.0 - SLACK)).ceil();
        about.max(latest.round()) as u64
    }
}

fn ladder(wish: &Wish) -> String {
    let widths: Vec<_> = wish.renditions.iter().map(|rendition| rendition.width.to_string()).collect();
    format!("to {} pixels at {} fps, as renditions says", widths.join(", "), wish.fps)
}

/// `Err`: why it has to be encoded anew.
pub(super) fn cuts(wish: &Wish, video: Option<&VideoIn>) -> Result<Cuts, String> {
    match wish.quality {
        _ if !wish.renditions.is_empty() => return Err(ladder(wish)),
        _ if wish.passthrough => {}
        Some(Quality::Auto) => {}
        Some(quality) => return Err(format!("quality is {}", quality.name())),
        None => return Err(format!("to {} pixels at {} fps, as the settings say", wish.width, wish.fps)),
    }
    let video = video.ok_or("what the camera sends is not known")?;
    let out = copied(wish, video)?;
    refuse_bitrate(wish, video)?;
    let interval = interval(video)?;
    let cuts = if video.keyframes.vary { varying(wish, interval) } else { regular(wish, interval) }?;
    let cuts = if video.keyframes.are_supposed() { Cuts { why: SUPPOSED.into(), ..cuts } } else { cuts };
    let profile = video.profile.as_ref().map(|profile| format!("{profile} ")).unwrap_or_default();
    let why = format!("{} {profile}{}x{}, {}", video.codec, video.width, video.height, cuts.why);
    Ok(Cuts { video: out, why, ..cuts })
}

/// Each segment is as many GOPs as it takes to last as long as asked for.
fn regular(wish: &Wish, interval: Duration) -> Result<Cuts, String> {
    let segment = segment(wish.segment_duration, interval);
    let most = most(wish.segment_duration);
    let asked = seconds(wish.segment_duration);
    let mut why = format!("keyframe interval {}", seconds(interval));
    if segment > longest(wish.segment_duration) {
        return Err(format!("{why}, asked for {asked}, at most {}", seconds(most)));
    }
    if segment > interval && !is_near(segment, wish.segment_duration) {
        why = format!("{why}, segments of {}", seconds(segment));
    }
    if !is_near(segment, wish.segment_duration) {
        why = format!("{why}, asked for {asked}");
    }
    Ok(Cuts { video: VideoOut::Copy, segment, cut_after: segment - interval.mul_f64(CUT_EARLY), why })
}

/// A segment ends with the GOP that the timer falls into: it lasts a whole one longer at worst.
fn varying(wish: &Wish, longest: Duration) -> Result<Cuts, String> {
    let asked = wish.segment_duration;
    let most = most(asked);
    let shown = format!("keyframe interval varies up to {}", seconds(longest));
    let earliest = asked.mul_f64(EARLIEST);
    let cut_after = asked.mul_f64(1.0 - CUT_EARLY).min(most.saturating_sub(longest));
    if cut_after < earliest {
        let (asked, most) = (seconds(asked), seconds(most));
        return Err(format!("{shown}, asked for {asked}, at most {most}"));
    }
    let segment = cut_after + longest;
    let why = format!("{shown}, segments of up to {}, asked for {}", seconds(segment), seconds(asked));
    Ok(Cuts { video: VideoOut::Copy, segment, cut_after, why })
}

fn copied(wish: &Wish, video: &VideoIn) -> Result<VideoOut, String> {
    let (out, profiles, formats, by) = match video.codec {
        VideoCodec::H264 => (VideoOut::Copy, &PROFILES[..], &PIXEL_FORMATS[..], "every browser"),
        VideoCodec::H265 if wish.passthrough => {
            (VideoOut::CopyH265, &H265_PROFILES[..], &H265_PIXEL_FORMATS[..], "players of H.265")
        }
        _ if wish.passthrough => {
            return Err(format!("{} can't be passed through, only H.264 and H.265 can", codec(&video.codec)));
        }
        _ => return Err(format!("{} can't be played by every browser", codec(&video.codec))),
    };
    if let Some(profile) = video.profile.as_deref().filter(|profile| !profiles.contains(profile)) {
        return Err(format!("{} {profile} can't be played by {by}", codec(&video.codec)));
    }
    match video.pixel_format.as_deref() {
        None => return Err("the camera's pixel format is not known".into()),
        Some(format) if !formats.contains(&format) => {
            return Err(format!("the pixel format {format} can't be played by {by}"));
        }
        Some(_) => {}
    }
    if video.interlaced {
        return Err("the camera's picture is interlaced".into());
    }
    Ok(out)
}

/// A cap is a promise: what is not known to keep it does not.
fn refuse_bitrate(wish: &Wish, video: &VideoIn) -> Result<(), String> {
    match (wish.max_kbps, video.bitrate_kbps) {
        (Some(most), Some(kbps)) if kbps > most => {
            Err(format!("the camera sends {kbps} kbps, max_bitrate is {most}"))
        }
        (Some(most), None) => Err(format!("the camera's bitrate is not known, max_bitrate is {most}")),
        _ => Ok(()),
    }
}

fn interval(video: &VideoIn) -> Result<Duration, String> {
    match video.keyframes.longest {
        Some(interval) if !interval.is_zero() => Ok(interval),
        None if video.keyframes.watched.is_zero() => Err("no picture came when it was looked at".into()),
        _ => Err(format!("no two keyframes came within {}", seconds(video.keyframes.watched))),
    }
}

/// As many intervals as it takes to last as long as asked for.
fn segment(asked: Duration, interval: Duration) -> Duration {
    let intervals = (asked.as_secs_f64() * (1.0 - SLACK) / interval.as_secs_f64()).ceil().max(1.0);
    interval.mul_f64(intervals)
}

/// The longest segments for which a copy is worth it.
fn most(asked: Duration) -> Duration {
    (asked * MOST_FACTOR).max(MOST_AT_LEAST).min(MOST).max(asked.mul_f64(MOST_OVER_ASKED))
}

/// A measured one.
pub(super) fn longest(asked: Duration) -> Duration {
    most(asked).mul_f64(1.0 + SLACK)
}

fn is_near(a: Duration, b: Duration) -> bool {
    a.abs_diff(b) <= b.mul_f64(SLACK)
}
