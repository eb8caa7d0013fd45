//! What a camera sends, as a probe found it.

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
    /// The longest time between two that follow each other; `None`: fewer than two came.
    pub longest: Option<Duration>,
    /// How long was watched after the first one.
    pub watched: Duration,
}

impl Keyframes {
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
    pub sample_rate_hz: u32,
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
