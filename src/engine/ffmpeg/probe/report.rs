//! What ffmpeg says of a camera's streams while it copies them: their description on standard error, their frames as
//! `framecrc` on standard output. Pure, and nothing of it is trusted.

use super::measure::{Frame, Measure};
use crate::domain::media::{AudioCodec, AudioIn, Media, VideoCodec, VideoIn};

/// A line of the list of frames that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a line of `framecrc`")]
pub struct Garbled;

/// Grows with what is told, not with how much is told.
#[derive(Debug, Default)]
pub struct Report {
    picture: Option<Picture>,
    audio: Option<AudioIn>,
    /// What follows describes the output, in the same words.
    in_output: bool,
    codec: Option<VideoCodec>,
    size: Option<(u32, u32)>,
    /// Seconds are ticks times this.
    time_base: Option<(i64, i64)>,
    frames: Measure,
}

/// What only the description tells.
#[derive(Debug, Default)]
struct Picture {
    profile: Option<String>,
    pixel_format: Option<String>,
    interlaced: bool,
    announced_fps: Option<f64>,
}

impl Report {
    /// A line of standard error.
    pub fn hear(&mut self, line: &str) {
        let Some(line) = line.strip_prefix("[info] ") else { return };
        self.in_output |= line.starts_with("Output #");
        // Indented by two. What the camera says itself (its title) is more so, or has a name in front.
        let Some(stream) = line.strip_prefix("  Stream #0:").filter(|_| !self.in_output) else { return };
        if let Some((_, video)) = stream.split_once(": Video: ") {
            self.picture.get_or_insert_with(|| Picture::described(video));
        } else if let Some((_, audio)) = stream.split_once(": Audio: ")
            && self.audio.is_none()
        {
            self.audio = audio_described(audio);
        }
    }

    /// A line of standard output.
    ///
    /// # Errors
    /// It is not what `framecrc` writes.
    pub fn read(&mut self, line: &str) -> Result<(), Garbled> {
        match line.strip_prefix('#') {
            Some(header) => self.read_header(header).ok_or(Garbled),
            None => {
                let base = self.time_base.ok_or(Garbled)?;
                self.frames.add(frame(line, base).ok_or(Garbled)?);
                Ok(())
            }
        }
    }

    fn read_header(&mut self, header: &str) -> Option<()> {
        let Some((name, value)) = header.split_once(": ") else { return Some(()) };
        match name {
            "tb 0" => {
                let (num, den) = value.split_once('/')?;
                let base = (num.parse().ok()?, den.parse().ok()?);
                self.time_base = Some(base).filter(|(num, den)| *num > 0 && *den > 0);
                self.time_base?;
            }
            "codec_id 0" => self.codec = Some(video_codec(value)),
            "dimensions 0" => {
                let (width, height) = value.split_once('x')?;
                self.size = Some((width.parse().ok()?, height.parse().ok()?));
            }
            _ => {}
        }
        Some(())
    }

    pub fn has_frames(&self) -> bool {
        !self.frames.is_empty()
    }

    /// More would tell hardly more.
    pub fn is_enough(&self) -> bool {
        self.frames.is_enough()
    }

    /// `None`: not even one frame came.
    pub fn into_media(self) -> Option<Media> {
        if !self.has_frames() {
            return None;
        }
        let (width, height) = self.size?;
        let picture = self.picture.unwrap_or_default();
        let video = VideoIn {
            codec: self.codec?,
            profile: picture.profile,
            pixel_format: picture.pixel_format,
            width,
            height,
            fps: self.frames.fps().or(picture.announced_fps),
            interlaced: picture.interlaced,
            b_frames: self.frames.has_b_frames(),
            keyframes: self.frames.keyframes(),
            bitrate_kbps: self.frames.bitrate_kbps(),
        };
        Some(Media { video, audio: self.audio })
    }
}

/// `0, dts, pts, duration, size, 0x0badcafe`, then `F=0x…` where the flags are not those of a keyframe.
fn frame(line: &str, base: (i64, i64)) -> Option<Frame> {
    const KEY: u32 = 1;
    let mut fields = line.split(',').map(str::trim);
    let mut next = || fields.next();
    let (stream, _dts, pts, duration, size, checksum) =
        (next()?, next()?, next()?, next()?, next()?, next()?);
    if stream != "0" || !checksum.starts_with("0x") {
        return None;
    }
    let flags = match fields.find_map(|field| field.strip_prefix("F=0x")) {
        Some(flags) => u32::from_str_radix(flags, 16).ok()?,
        None => KEY,
    };
    let pts = if pts == "NOPTS" { None } else { Some(micros(pts, base)?) };
    let (duration, bytes) = (micros(duration, base)?, size.parse().ok()?);
    Some(Frame { pts, duration, bytes, key: flags & KEY != 0 })
}

fn micros(ticks: &str, (num, den): (i64, i64)) -> Option<i64> {
    let ticks: i64 = ticks.parse().ok()?;
    let micros = (i128::from(ticks) * i128::from(num)).checked_mul(1_000_000)? / i128::from(den);
    i64::try_from(micros).ok()
}

impl Picture {
    /// `h264 (High), yuv420p(tv, bt709, progressive), 1280x720 [SAR 1:1 DAR 16:9], 25 fps, 25 tbr, 90k tbn`
    fn described(text: &str) -> Self {
        let parts = parts(text);
        let part = |at: usize| parts.get(at).copied().unwrap_or_default();
        let (format, details) = part(1).split_once('(').unwrap_or((part(1), ""));
        let is_format = !format.is_empty() && format != "none" && !format.contains(' ');
        let field_order =
            |detail: &str| ["top ", "bottom "].iter().any(|field| detail.trim().starts_with(field));
        Self {
            profile: profile(part(0)),
            pixel_format: is_format.then(|| format.to_owned()),
            interlaced: details.split(',').any(field_order),
            announced_fps: parts
                .iter()
                .find_map(|part| part.strip_suffix(" fps")?.parse().ok())
                .filter(|fps: &f64| fps.is_finite() && *fps > 0.0),
        }
    }
}

/// `aac (LC), 16000 Hz, mono, fltp`
fn audio_described(text: &str) -> Option<AudioIn> {
    let parts = parts(text);
    let name = parts.first()?.split(' ').next()?;
    let codec = match name {
        "aac" => AudioCodec::Aac,
        "pcm_alaw" => AudioCodec::Pcma,
        "pcm_mulaw" => AudioCodec::Pcmu,
        "opus" => AudioCodec::Opus,
        other => AudioCodec::Other(other.to_owned()),
    };
    let rate = parts.iter().position(|part| part.ends_with(" Hz"));
    let hertz = |at: usize| parts.get(at)?.strip_suffix(" Hz")?.parse().ok();
    Some(AudioIn {
        codec,
        profile: profile(parts.first()?),
        sample_rate_hz: rate.and_then(hertz).unwrap_or_default(),
        channels: rate
            .and_then(|at| parts.get(at + 1))
            .and_then(|layout| channels(layout))
            .unwrap_or_default(),
    })
}

/// `mono`, `stereo`, `5.1(side)`, `3 channels`.
fn channels(layout: &str) -> Option<u32> {
    let name = layout.split(['(', ' ']).next()?;
    match name {
        "mono" => Some(1),
        "stereo" | "downmix" => Some(2),
        "quad" => Some(4),
        _ => name
            .split('.')
            .map(|count| count.parse::<u32>().ok())
            .try_fold(0_u32, |sum, n| sum.checked_add(n?)),
    }
}

fn video_codec(name: &str) -> VideoCodec {
    match name {
        "h264" => VideoCodec::H264,
        "hevc" => VideoCodec::H265,
        "mjpeg" => VideoCodec::Mjpeg,
        other => VideoCodec::Other(other.to_owned()),
    }
}

/// `h264 (High) (avc1 / 0x31637661)`: the first parenthesis, unless it is the container's tag.
fn profile(codec: &str) -> Option<String> {
    let inner = codec.split_once('(')?.1.split_once(')')?.0;
    (!inner.contains(" / 0x")).then(|| inner.to_owned())
}

/// Split at the commas that stand in no parenthesis.
fn parts(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let outside = |c: char| {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    };
    text.split(outside).map(str::trim).collect()
}
