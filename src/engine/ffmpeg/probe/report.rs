//! What ffmpeg says of a camera's streams while it copies them: their description on standard error, their frames as
//! `framecrc` on standard output. Pure, and nothing of it is trusted.

use super::Aim;
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
    /// Of the first one that there is; the inner `None`: ffmpeg does not know it.
    audio: Option<Option<AudioIn>>,
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
    codec: Option<VideoCodec>,
    size: Option<(u32, u32)>,
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
            self.audio = Some(audio_described(audio));
        }
    }

    /// Whether the picture is what `media` was found to be; `None`: nothing was said of it yet.
    pub fn is_of(&self, media: &Media) -> Option<bool> {
        let (picture, known) = (self.picture.as_ref()?, &media.video);
        let same_size = picture.size.is_none_or(|size| size == (known.width, known.height));
        let profiles = picture.profile.as_ref().zip(known.profile.as_ref());
        let same_profile = profiles.is_none_or(|(told, known)| told == known);
        Some(same_size && same_profile && picture.codec.as_ref() == Some(&known.codec))
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
    pub fn is_enough(&self, aim: Aim) -> bool {
        match aim {
            // The whole of the input's description was heard.
            Aim::Streams | Aim::Glance => self.in_output && self.has_frames(),
            Aim::Frames => self.frames.is_enough(),
        }
    }

    /// Without frames what its description alone says: then nothing is known of its keyframes.
    pub fn told(self) -> Option<Media> {
        let picture = self.picture.unwrap_or_default();
        let (width, height) = self.size.or(picture.size)?;
        let video = VideoIn {
            codec: self.codec.or(picture.codec)?,
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
        Some(Media { video, audio: self.audio.flatten() })
    }
}

/// `0, dts, pts, duration, size, 0x0badcafe`, then `F=0x…` where the flags are not those of a keyframe.
fn frame(line: &str, base: (i64, i64)) -> Option<Frame> {
    const KEY: u32 = 1;
    /// AV_NOPTS_VALUE.
    const NO_TIME: &str = "-9223372036854775808";
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
    let pts = if pts == NO_TIME { None } else { Some(micros(pts, base)?) };
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
        let size = |part: &&str| {
            let (width, height) = part.split(' ').next()?.split_once('x')?;
            Some((width.parse().ok()?, height.parse().ok()?))
        };
        Self {
            codec: part(0).split(' ').next().map(video_codec),
            size: parts.iter().find_map(size),
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
    // Of one that ffmpeg does not know there is nothing to be had.
    let name = parts.first()?.split(' ').next().filter(|name| *name != "none")?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn report(said: &str, listed: &str) -> Report {
        let mut report = Report::default();
        said.lines().for_each(|line| report.hear(line));
        listed.lines().for_each(|line| report.read(line).unwrap_or_else(|error| panic!("{error}: {line}")));
        report
    }

    fn described(video: &str) -> Picture {
        Picture::described(video)
    }

    /// Its media, as one line says it.
    fn told(said: &str, listed: &str) -> String {
        report(said, listed).told().expect("frames").to_string()
    }

    // 1280x720 with AAC, GOP 50, joined in the middle of one; recorded with 5.1 from a camera.
    const SAID: &str = include_str!("testdata/h264.stderr");
    const LISTED: &str = include_str!("testdata/h264.framecrc");
    // 320x240, GOP 26 with two B-frames between two others.
    const SAID_B: &str = include_str!("testdata/b_frames.stderr");
    const LISTED_B: &str = include_str!("testdata/b_frames.framecrc");

    #[test]
    fn a_recorded_camera_is_read() {
        let line = "H.264 Main 1280x720 25 fps, keyframe every 2 s, 2244 kbps; audio AAC LC 16 kHz";
        assert_eq!(told(SAID, LISTED), line);
        let media = report(SAID, LISTED).told().expect("frames");
        assert_eq!(report(SAID, "").is_of(&media), Some(true));
        for (from, to) in [("1280x720", "1920x1080"), ("h264", "hevc"), ("(Main)", "(High 10)")] {
            assert_eq!(report(&SAID.replace(from, to), "").is_of(&media), Some(false), "{to}");
        }
        assert_eq!(report("", "").is_of(&media), None);
        assert_eq!(media.video.pixel_format.as_deref(), Some("yuv420p"));
        assert_eq!(media.audio.map(|audio| audio.channels), Some(1));
    }

    #[test]
    fn a_recorded_camera_with_b_frames_is_read() {
        let line = "H.264 Main 320x240 25 fps, B-frames, keyframe every 1 s, 1255 kbps; no audio";
        assert_eq!(told(SAID_B, LISTED_B), line);
    }

    #[test]
    fn without_a_frame_the_description_counts() {
        assert!(!report(SAID, "").has_frames());
        let media = report(SAID, "").told().expect("a description");
        let line = "H.264 Main 1280x720 25 fps, no second keyframe in 0 s; audio AAC LC 16 kHz";
        assert_eq!(media.to_string(), line);
        assert_eq!(report(SAID, "").is_of(&media), Some(true));
        assert_eq!(report("[info]   Stream #0:0: Video: h264, none, 90k tbn", "").told(), None, "no size");
        assert_eq!(report("", "").told(), None);
    }

    #[test]
    fn what_descriptions_say_is_understood() {
        // As 5.1 says it of files: interlaced in two ways, 10 bit.
        let swapped =
            described("h264 (High), yuv420p(top coded first (swapped)), 320x240 [SAR 1:1 DAR 4:3], 25 fps");
        assert!(swapped.interlaced && swapped.pixel_format.as_deref() == Some("yuv420p"), "{swapped:?}");
        let fields =
            described("h264 (High) (avc1 / 0x31637661), yuv420p(tv, bt709, bottom first), 720x576, 25 fps");
        assert!(fields.interlaced && fields.profile.as_deref() == Some("High"), "{fields:?}");
        let deep =
            described("hevc (Main 10) (hev1 / 0x31766568), yuv420p10le(tv, progressive), 320x240, 29.97 fps");
        assert_eq!(
            (deep.profile.as_deref(), deep.pixel_format.as_deref()),
            (Some("Main 10"), Some("yuv420p10le"))
        );
        assert_eq!((deep.announced_fps, deep.interlaced), (Some(29.97), false));
    }

    #[test]
    fn what_descriptions_leave_out_is_not_known() {
        for text in [
            "h264, none, 90k tbn",
            "h264",
            "",
            "h264 (avc1 / 0x31637661), 1280x720 [SAR 1:1], 1k fps, inf fps",
        ] {
            let Picture { profile, interlaced, announced_fps, .. } = described(text);
            assert_eq!((profile, interlaced, announced_fps), (None, false, None), "{text}");
        }
        let few = "#tb 0: 1/90000\n#codec_id 0: vp9\n#dimensions 0: 64x48\n0, 0, 0, 0, 10, 0x00";
        assert_eq!(told("", few), "vp9 64x48, no second keyframe in 0 s; no audio");
    }

    #[test]
    fn sound_is_understood() {
        for (text, rate, count) in [
            ("aac (LC), 16000 Hz, mono, fltp", 16_000, 1),
            ("pcm_mulaw, 8000 Hz, 1 channels, s16, 64 kb/s", 8_000, 1),
            ("opus, 48000 Hz, stereo, fltp", 48_000, 2),
            ("aac (HE-AAC), 44100 Hz, 5.1(side), fltp", 44_100, 6),
            ("aac, 0 channels", 0, 0),
            ("aac, 16000 Hz, 4294967295.1", 16_000, 0),
        ] {
            let audio = audio_described(text).expect("a codec");
            assert_eq!((audio.sample_rate_hz, audio.channels), (rate, count), "{text}");
        }
        assert_eq!(audio_described("none, 16000 Hz, mono"), None);
        assert_eq!(audio_described("pcm_alaw, 8000 Hz").map(|audio| audio.codec), Some(AudioCodec::Pcma));
    }

    #[test]
    fn what_the_camera_says_itself_is_no_stream() {
        let mut report = Report::default();
        for line in [
            "[info]     title           :   Stream #0:0: Video: mjpeg, rgb24, 9x9, 99 fps",
            "  Stream #0:0: Video: mjpeg, rgb24, 9x9, 99 fps",
            "[info]   Stream #1:0: Audio: mp3, 44100 Hz, mono",
            "[info] Output #0, framecrc, to 'pipe:1':",
            "[info]   Stream #0:0: Video: mjpeg, rgb24, 9x9, 99 fps",
        ] {
            report.hear(line);
        }
        assert!(report.picture.is_none() && report.audio.is_none(), "{report:?}");
    }

    #[test]
    fn garbage_is_an_error() {
        for line in [
            "",
            "#tb 0: 0/1",
            "#tb 0: 1",
            "#dimensions 0: 1280",
            "#dimensions 0: -1x5",
            "1, 0, 0, 1, 10, 0x00",
            "0, 0, 0, 1, 10",
            "0, 0, x, 1, 10, 0x00",
            "0, 0, 0, 1, -10, 0x00",
            "0, 0, 0, 1, 10, 0x00, F=0xz",
            "0, 0, 9223372036854775807, 1, 10, 0x00",
            "frame=  148 fps= 31",
        ] {
            let mut report = report("", "#tb 0: 10/1");
            assert_eq!(report.read(line), Err(Garbled), "{line}");
        }
        assert_eq!(Report::default().read("0, 0, 0, 1, 10, 0x00"), Err(Garbled), "before the time base");
    }
}
