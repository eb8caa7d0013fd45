//! The multivariant playlist's text (RFC 8216 4.3.4.2).

use std::fmt::Write as _;

use super::render::VERSION;
use crate::domain::bandwidth::Bandwidth;
use crate::domain::codecs::Streams;

/// One media playlist among those that a player may choose from.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Relative to the multivariant playlist.
    pub uri: String,
    pub bandwidth: Bandwidth,
    pub streams: Streams,
    pub frames_per_s: Option<f64>,
}

/// The playlist as it is stored; players begin with the first.
pub fn render_multivariant(variants: &[Variant]) -> String {
    let mut text = format!("#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    for Variant { uri, bandwidth, streams, frames_per_s } in variants {
        // Writing to a String can't fail.
        let _ = write!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\",RESOLUTION={}x{}",
            bandwidth.peak_bps, bandwidth.average_bps, streams.codecs, streams.width, streams.height
        );
        if let Some(rate) = frames_per_s.filter(|rate| rate.is_finite() && *rate > 0.0) {
            let _ = write!(text, ",FRAME-RATE={rate:.3}");
        }
        let _ = write!(text, "\n{uri}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(uri: &str, (width, height): (u32, u32), codecs: &str, peak_bps: u64) -> Variant {
        let streams = Streams { codecs: codecs.into(), width, height };
        let bandwidth = Bandwidth { peak_bps, average_bps: peak_bps / 2 };
        Variant { uri: uri.into(), bandwidth, streams, frames_per_s: Some(15.0) }
    }

    #[test]
    fn it_is_as_the_golden_file() {
        let mut variants = [
            variant("stream.m3u8", (1920, 1080), "avc1.640028,mp4a.40.2", 4_210_000),
            variant("stream_2.m3u8", (854, 480), "avc1.4d401e,mp4a.40.2", 1_060_000),
            variant("stream_3.m3u8", (426, 240), "avc1.42c015", 312_000),
        ];
        variants[0].frames_per_s = Some(30_000.0 / 1001.0);
        variants[2].frames_per_s = None;
        assert_eq!(render_multivariant(&variants), include_str!("testdata/multivariant.m3u8"));
    }

    #[test]
    fn a_frame_rate_that_is_none_is_left_out() {
        for rate in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            let variant = Variant { frames_per_s: Some(rate), ..variant("a.m3u8", (1, 1), "avc1.42c015", 2) };
            assert!(!render_multivariant(&[variant]).contains("FRAME-RATE"));
        }
    }
}
