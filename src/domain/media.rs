//! What a camera sends, as a probe found it.

use std::fmt;
use std::time::Duration;

/// A camera's streams: the first of each kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    pub video: VideoIn,
    pub audio: Option<AudioIn>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VideoIn {
    pub codec: VideoCodec,
    /// As ffmpeg names it: `High`, `Constrained Baseline`, `Main 10`.
    pub profile: Option<String>,
    /// As ffmpeg names it: `yuv420p`, `yuvj420p`, `yuv420p10le`.
    pub pixel_format: Option<String>,
    pub width: u32,
    pub height: u32,
    /// Measured, or announced where too little came to measure.
    pub fps: Option<f64>,
    pub interlaced: bool,
    pub b_frames: bool,
    pub keyframes: Keyframes,
    /// Measured over what was watched.
    pub bitrate_kbps: Option<u32>,
}

/// How often a player can begin, and a segment be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyframes {
    /// The longest time between two that follow each other, or what was seen of a longer one; `None`: fewer than two
    /// came.
    pub longest: Option<Duration>,
    /// How long was watched; without `longest`, the longest stretch of it that had no keyframe in it.
    pub watched: Duration,
    /// The times between them are not alike.
    pub vary: bool,
}

impl VideoIn {
    /// By all that a camera's own description tells, too.
    pub fn is_like(&self, other: &Self) -> bool {
        let of = |video: &Self| (video.width, video.height);
        of(self) == of(other) && self.codec == other.codec && self.profile == other.profile
    }
}

impl Keyframes {
    /// Nobody has looked: the run itself tells if they are further apart.
    pub fn supposed(interval: Duration) -> Self {
        Self { longest: Some(interval), watched: Duration::ZERO, vary: false }
    }

    pub fn are_supposed(&self) -> bool {
        self.longest.is_some() && self.watched.is_zero()
    }

    /// A run's first GOP told.
    pub fn seen(interval: Duration) -> Self {
        Self { longest: Some(interval), watched: interval, vary: false }
    }

    /// Segments of a copied stream are at least this long.
    pub fn interval(&self) -> Duration {
        self.longest.unwrap_or_default().max(self.watched_since_last())
    }

    /// Without a second one, the first GOP lasts at least as long as it was watched.
    fn watched_since_last(&self) -> Duration {
        if self.longest.is_none() { self.watched } else { Duration::ZERO }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoCodec {
    H264,
    H265,
    Mjpeg,
    /// As ffmpeg names it.
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioIn {
    pub codec: AudioCodec,
    /// As ffmpeg names it: `LC`, `HE-AAC`.
    pub profile: Option<String>,
    /// 0: not known.
    pub sample_rate_hz: u32,
    /// 0: not known.
    pub channels: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudioCodec {
    Aac,
    /// G.711 A-law and µ-law.
    Pcma,
    Pcmu,
    Opus,
    /// As ffmpeg names it: `pcm_s16be`, `adpcm_g726`.
    Other(String),
}

/// `H.264 High 1920x1080 25 fps, keyframe every 2 s, 2900 kbps; audio AAC LC 48 kHz`
impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.audio {
            Some(audio) => write!(f, "{}; audio {audio}", self.video),
            None => write!(f, "{}; no audio", self.video),
        }
    }
}

impl fmt::Display for VideoIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.codec)?;
        // JPEG has one that matters to nobody.
        if let Some(profile) = self.profile.as_ref().filter(|_| self.codec != VideoCodec::Mjpeg) {
            write!(f, " {profile}")?;
        }
        write!(f, " {}x{}", self.width, self.height)?;
        if let Some(fps) = self.fps {
            write!(f, " {} fps", short(fps))?;
        }
        for (is_so, word) in [(self.interlaced, "interlaced"), (self.b_frames, "B-frames")] {
            if is_so {
                write!(f, ", {word}")?;
            }
        }
        // Pictures on their own need no telling.
        if self.codec != VideoCodec::Mjpeg {
            write!(f, ", {}", self.keyframes)?;
        }
        self.bitrate_kbps.map_or(Ok(()), |kbps| write!(f, ", {kbps} kbps"))
    }
}

impl fmt::Display for Keyframes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.longest {
            Some(_) if self.are_supposed() => f.write_str("keyframes not looked at"),
            Some(longest) => {
                let up_to = if self.vary { "at most " } else { "" };
                write!(f, "keyframe every {up_to}{} s", short(longest.as_secs_f64()))
            }
            None => write!(f, "no second keyframe in {} s", short(self.watched.as_secs_f64())),
        }
    }
}

impl fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Mjpeg => "MJPEG",
            Self::Other(name) => name,
        })
    }
}

impl fmt::Display for AudioIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.codec)?;
        if let Some(profile) = &self.profile {
            write!(f, " {profile}")?;
        }
        match self.sample_rate_hz {
            0 => Ok(()),
            hertz => write!(f, " {} kHz", short(f64::from(hertz) / 1000.0)),
        }
    }
}

impl fmt::Display for AudioCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aac => "AAC",
            Self::Pcma => "G.711 A-law",
            Self::Pcmu => "G.711 µ-law",
            Self::Opus => "Opus",
            Self::Other(name) => name,
        })
    }
}

/// One decimal where it says something: 25, 29.9, 0.5.
fn short(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_one_line() {
        let keyframes = Keyframes {
            longest: Some(Duration::from_millis(1_990)),
            watched: Duration::from_secs(5),
            vary: false,
        };
        let video = VideoIn {
            codec: VideoCodec::H264,
            profile: Some("High".into()),
            pixel_format: Some("yuv420p".into()),
            width: 1920,
            height: 1080,
            fps: Some(25.003),
            interlaced: false,
            b_frames: false,
            keyframes,
            bitrate_kbps: Some(2900),
        };
        let audio = AudioIn {
            codec: AudioCodec::Aac,
            profile: Some("LC".into()),
            sample_rate_hz: 48_000,
            channels: 2,
        };
        let mut media = Media { video, audio: Some(audio) };
        let told = "H.264 High 1920x1080 25 fps, keyframe every 2 s, 2900 kbps; audio AAC LC 48 kHz";
        assert_eq!(media.to_string(), told);
        media.audio = None;
        media.video.keyframes.vary = true;
        assert!(media.to_string().contains("25 fps, keyframe every at most 2 s, 2900"));
        media.video.codec = VideoCodec::H265;
        (media.video.profile, media.video.bitrate_kbps) = (None, None);
        (media.video.interlaced, media.video.b_frames, media.video.fps) = (true, true, Some(29.97));
        media.video.keyframes =
            Keyframes { longest: None, watched: Duration::from_millis(7_640), vary: false };
        let told = "H.265 1920x1080 30 fps, interlaced, B-frames, no second keyframe in 7.6 s; no audio";
        assert_eq!(media.to_string(), told);
    }
}
