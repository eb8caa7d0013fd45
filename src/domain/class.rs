//! What kind of object it is: decides its content type and how long caches may keep it.

use super::key::SNAPSHOT_NAME;

/// An object's class, with the HTTP headers that belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectClass {
    /// Rewritten at every segment.
    Playlist,
    /// An MPEG-TS segment: its name is never reused, so caches may keep it for ever.
    Segment,
    /// The camera's last still picture, rewritten now and then.
    Snapshot,
    /// The scratch object of `edge-agent check`.
    Probe,
}

impl ObjectClass {
    /// By file name, for servers of files; `None` for names that are not the agent's.
    pub fn of_name(name: &str) -> Option<Self> {
        if name == SNAPSHOT_NAME {
            return Some(Self::Snapshot);
        }
        match name.rsplit_once('.')?.1 {
            "m3u8" => Some(Self::Playlist),
            "ts" => Some(Self::Segment),
            _ => None,
        }
    }

    /// Without it nobody sees the stream: what the store says to it is what the store says to the agent.
    pub fn is_of_the_stream(self) -> bool {
        match self {
            Self::Playlist | Self::Segment | Self::Probe => true,
            Self::Snapshot => false,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Playlist => "application/vnd.apple.mpegurl",
            // A bucket may allow the stream's types only: the probe has to pass for one.
            Self::Segment | Self::Probe => "video/mp2t",
            Self::Snapshot => "image/jpeg",
        }
    }

    pub fn cache_control(self) -> &'static str {
        match self {
            // `max-age=1` would not do: a store may append `stale-while-revalidate` to it.
            Self::Playlist | Self::Snapshot | Self::Probe => "no-cache, no-store, must-revalidate",
            Self::Segment => "public, max-age=31536000, immutable",
        }
    }
}
