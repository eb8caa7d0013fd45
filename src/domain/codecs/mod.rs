//! What a player has to be told of streams before it fetches any of them (RFC 6381), out of their own bytes.

mod bits;
pub mod frames;
mod h264;
mod h265;
mod keyframes;
mod mp4;
#[cfg(test)]
mod tests;
mod ts;

pub use keyframes::{Pictures, keyframes};
pub use mp4::{lc_channels, of_init};
pub use ts::of_transport_stream;

/// What a multivariant playlist says of one rendition's streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streams {
    /// As RFC 6381 has it, the picture's first: `avc1.42c01f,mp4a.40.2`.
    pub codecs: String,
    pub width: u32,
    pub height: u32,
}

/// How a picture is coded, and how large it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    codec: String,
    width: u32,
    height: u32,
}

impl Streams {
    /// `None`: a picture without a size is none.
    fn new(picture: Picture, sound: Option<String>) -> Option<Self> {
        let Picture { codec, width, height } = picture;
        let codecs = [Some(codec), sound].into_iter().flatten().collect::<Vec<_>>().join(",");
        (width > 0 && height > 0).then_some(Self { codecs, width, height })
    }
}
