//! Codecs and times, for people.

use std::time::Duration;

use crate::domain::media::VideoCodec;

pub(super) fn codec(codec: &VideoCodec) -> &str {
    match codec {
        VideoCodec::H264 => "H.264",
        VideoCodec::H265 => "H.265",
        VideoCodec::Mjpeg => "MJPEG",
        VideoCodec::Other(name) => name,
    }
}

/// `2 s`, `1.96 s`.
pub(super) fn seconds(duration: Duration) -> String {
    let text = format!("{:.2}", duration.as_secs_f64());
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}
