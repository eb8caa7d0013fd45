//! Copy when possible, re-encode when needed: what becomes of a camera's streams.
//!
//! [`decide`] is asked before a run, with what a probe found. A copy costs next to nothing and keeps the camera's
//! picture; it is possible when every browser can play that picture and segments can be cut often enough.

mod copy;
mod words;

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::encoder::Encoder;
use super::media::{AudioCodec, AudioIn, Media};
use super::segment;

/// What the settings ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// `None`: always re-encode, at whatever bitrate the picture needs.
    pub quality: Option<Quality>,
    /// The camera's own video, also if it is H.265; [`Self::quality`] is for what can't be copied.
    pub passthrough: bool,
    /// Of a re-encoded picture: the most pixels.
    pub width: u32,
    /// Of a re-encoded picture, per second.
    pub fps: u32,
    pub segment_duration: Duration,
    /// Of the video, copied or not.
    pub max_kbps: Option<u32>,
    /// Encoded beside each other, instead of [`Self::width`]; empty: just one.
    pub renditions: Vec<Rendition>,
    pub audio: bool,
}

impl Wish {
    /// No segment is longer, whatever the camera sends.
    pub fn longest_segment(&self) -> Duration {
        let may_copy = self.passthrough || self.quality == Some(Quality::Auto);
        if may_copy { copy::longest(self.segment_duration) } else { self.segment_duration }
    }
}

/// One encoding of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendition {
    /// The most pixels.
    pub width: u32,
    /// Of the video.
    pub max_kbps: Option<u32>,
}

impl Wish {
    /// What becomes of the camera's streams depends on what they are.
    pub fn depends_on_media(&self) -> bool {
        (self.passthrough || self.quality == Some(Quality::Auto)) && self.renditions.is_empty()
    }

    /// Of a re-encoded picture: one GOP is one segment.
    pub fn gop_frames(&self) -> u32 {
        ((f64::from(self.fps) * self.segment_duration.as_secs_f64()).round() as u32).max(1)
    }
}

/// A preset of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    Low,
    Medium,
    High,
    /// A copy when possible, else as `Medium`.
    Auto,
}

/// What a preset means for a picture that is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    pub width: u32,
    pub fps: u32,
    pub kbps: u32,
    pub effort: Effort,
}

impl Quality {
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Auto];

    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Auto => "auto",
        }
    }

    pub fn rung(self) -> Rung {
        match self {
            Self::Low => Rung { width: 640, fps: 10, kbps: 500, effort: Effort::Ultrafast },
            Self::Medium | Self::Auto => Rung { width: 1280, fps: 15, kbps: 1500, effort: Effort::Veryfast },
            Self::High => Rung { width: 1920, fps: 25, kbps: 3000, effort: Effort::Fast },
        }
    }
}

/// How hard the encoder tries to save bits, by x264's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    Ultrafast,
    Veryfast,
    Fast,
}

impl Effort {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ultrafast => "ultrafast",
            Self::Veryfast => "veryfast",
            Self::Fast => "fast",
        }
    }
}

/// What is done with a camera's streams, and what comes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    pub video: VideoOut,
    /// Further renditions of an encoded picture: they differ in sizes and caps alone.
    pub others: Vec<Encoding>,
    pub audio: AudioOut,
    /// Frames per second that the stream has, as far as one knows.
    pub fps: Option<f64>,
    /// That segments really have. A copied stream's may be one keyframe interval shorter now and then, and are where
    /// its GOPs vary.
    pub segment_duration: Duration,
    /// A segment ends at the first keyframe after this time; below [`Self::segment_duration`], so that jitter does
    /// not merge two of them.
    pub cut_after: Duration,
    /// To announce: no segment's duration rounds above it.
    pub target_duration_s: u64,
    /// For people: `copying: H.264 High 1920x1080, keyframe interval 2 s`.
    pub why: String,
}

/// What is done with a camera's video, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode {
    /// `None`: it is copied.
    pub encoder: Option<Encoder>,
    /// See [`Choice::mode`].
    pub in_words: String,
}

impl Mode {
    /// `copy` or `transcode`: the same in every version.
    pub fn word(&self) -> &'static str {
        if self.encoder.is_none() { "copy" } else { "transcode" }
    }
}

/// How [`Choice::why`] begins where the video is encoded.
const ENCODING: &str = "re-encoding";

impl Choice {
    pub fn renditions(&self) -> segment::Rendition {
        segment::Rendition::try_from(1 + self.others.len()).unwrap_or(segment::Rendition::MAX)
    }

    /// How long parts are: the whole number of frames that is nearest to what is asked, so that all are alike.
    pub fn part(&self, asked: Duration) -> Duration {
        let Some(fps) = self.fps else { return asked };
        // A hair above a half counts as one: 0.2 s of 12.5 frames a second are three.
        let frames = (asked.as_secs_f64() * fps + 1e-6).round().max(1.0);
        Duration::try_from_secs_f64(frames / fps).unwrap_or(asked)
    }

    /// Of an encoded picture.
    pub fn frames_per_s(&self) -> Option<u32> {
        match &self.video {
            VideoOut::Encode(encoding) => Some(encoding.fps),
            VideoOut::Copy | VideoOut::CopyH265 => None,
        }
    }

    /// As [`Self::why`], with what encodes: `re-encoding with vaapi: H.265 can't be played by every browser`.
    pub fn mode(&self, how: &str) -> String {
        match (self.why.strip_prefix(ENCODING), how) {
            (Some(reason), how) if !how.is_empty() => format!("{ENCODING} {how}{reason}"),
            _ => self.why.clone(),
        }
    }

    /// The same for a camera whose sound would end its runs.
    pub fn without_sound(self, why_not: &str) -> Self {
        if self.audio == AudioOut::None {
            return self;
        }
        let why = format!("{}, without sound: {why_not}", self.why);
        Self { audio: AudioOut::None, why, ..self }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoOut {
    Copy,
    /// In fMP4, with the tag that players know it by.
    CopyH265,
    Encode(Encoding),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    /// A smaller picture is not enlarged.
    pub width: u32,
    pub fps: u32,
    pub effort: Effort,
    pub cap_kbps: Option<u32>,
    /// One GOP is one segment.
    pub gop_frames: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioOut {
    Copy,
    /// If there is any: without a probe nobody knows.
    EncodeAac {
        kbps: u32,
    },
    None,
}

const AAC_KBPS: u32 = 64;
/// Of AAC that browsers are known to play.
const AAC_RATES_HZ: [u32; 9] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
/// A timer that cuts below a segment's length, as a part of the keyframe interval: equal to it, jitter merges two.
const CUT_EARLY: f64 = 0.1;

/// `media`: what the camera was found to send; `None`: nobody could tell.
pub fn decide(wish: &Wish, media: Option<&Media>) -> Choice {
    let audio = audio(wish, media);
    match copy::cuts(wish, media.map(|media| &media.video)) {
        Ok(cuts) => Choice {
            target_duration_s: cuts.target_duration_s(),
            video: cuts.video,
            others: Vec::new(),
            audio,
            fps: media.and_then(|media| media.video.fps).filter(|fps| *fps > 0.0),
            segment_duration: cuts.segment,
            cut_after: cuts.cut_after,
            why: format!("copying: {}", cuts.why),
        },
        Err(reason) => encode(wish, audio, &reason),
    }
}

fn encode(wish: &Wish, audio: AudioOut, reason: &str) -> Choice {
    let rung = wish.quality.map(Quality::rung);
    let effort = rung.map_or(Effort::Ultrafast, |rung| rung.effort);
    let encoding = |width, caps: [Option<u32>; 2]| Encoding {
        width,
        fps: wish.fps,
        effort,
        cap_kbps: caps.into_iter().flatten().min(),
        gop_frames: wish.gop_frames(),
    };
    let of_rendition = |rendition: &Rendition| encoding(rendition.width, [rendition.max_kbps, wish.max_kbps]);
    let mut renditions = wish.renditions.iter().map(of_rendition);
    let only = || encoding(wish.width, [rung.map(|rung| rung.kbps), wish.max_kbps]);
    let encoding = renditions.next().unwrap_or_else(only);
    let others = renditions.collect();
    let segment_duration =
        Duration::from_secs_f64(f64::from(encoding.gop_frames) / f64::from(wish.fps.max(1)));
    Choice {
        video: VideoOut::Encode(encoding),
        others,
        audio,
        fps: Some(f64::from(wish.fps.max(1))),
        segment_duration,
        cut_after: segment_duration.mul_f64(1.0 - CUT_EARLY),
        target_duration_s: segment_duration.as_secs_f64().ceil() as u64,
        why: format!("{ENCODING}: {reason}"),
    }
}

fn audio(wish: &Wish, media: Option<&Media>) -> AudioOut {
    if !wish.audio {
        return AudioOut::None;
    }
    match media.map(|media| &media.audio) {
        Some(None) => AudioOut::None,
        Some(Some(audio)) if is_playable(audio) => AudioOut::Copy,
        _ => AudioOut::EncodeAac { kbps: AAC_KBPS },
    }
}

/// By every browser, out of a transport stream.
fn is_playable(audio: &AudioIn) -> bool {
    audio.codec == AudioCodec::Aac
        && audio.profile.as_deref() == Some("LC")
        && (1..=2).contains(&audio.channels)
        && AAC_RATES_HZ.contains(&audio.sample_rate_hz)
}
