//! What kind of object it is: decides its content type and how long caches may keep it.

use super::key::{INIT_PREFIX, SHEET_NAME, SNAPSHOT_NAME};

/// An object's class, with the HTTP headers that belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectClass {
    /// Rewritten at every segment.
    Playlist,
    /// An MPEG-TS segment: its name is never reused, so caches may keep it for ever.
    Segment,
    /// The same of fMP4, or its init object.
    Fmp4,
    /// A piece of one, for players at the live edge.
    Part,
    /// The camera's last still picture, rewritten now and then.
    Snapshot,
    /// What players should know of the stream, rewritten when it changes.
    Sheet,
    /// The scratch object of `edge-agent check`.
    Probe,
    /// A file of the web page that plays the cameras.
    Page(PageFile),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFile {
    Html,
    Script,
    Style,
    Icon,
    /// The list of cameras.
    List,
}

impl PageFile {
    /// By its name; `None` for names that the page has not.
    pub fn of_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "html" => Some(Self::Html),
            "js" => Some(Self::Script),
            "css" => Some(Self::Style),
            "svg" => Some(Self::Icon),
            "json" => Some(Self::List),
            _ => None,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Script => "text/javascript; charset=utf-8",
            Self::Style => "text/css; charset=utf-8",
            Self::Icon => "image/svg+xml",
            Self::List => "application/json",
        }
    }
}

impl ObjectClass {
    /// By file name, for servers of files; `None` for names that are not the agent's.
    pub fn of_name(name: &str) -> Option<Self> {
        // Names that others may use, too, are the agent's as a whole only.
        match name.rsplit_once('.')?.1 {
            _ if name == SNAPSHOT_NAME => Some(Self::Snapshot),
            _ if name == SHEET_NAME => Some(Self::Sheet),
            "m3u8" => Some(Self::Playlist),
            "ts" => Some(Self::Segment),
            "m4s" => Some(Self::Fmp4),
            "mp4" if name.starts_with(INIT_PREFIX) => Some(Self::Fmp4),
            _ => None,
        }
    }

    /// Without it nobody sees the stream: what the store says to it is what the store says to the agent.
    pub fn is_of_the_stream(self) -> bool {
        match self {
            Self::Playlist | Self::Segment | Self::Fmp4 | Self::Part | Self::Probe => true,
            Self::Snapshot | Self::Sheet | Self::Page(_) => false,
        }
    }

    /// Pictures and sound, or what they need.
    pub fn is_media(self) -> bool {
        matches!(self, Self::Segment | Self::Fmp4 | Self::Part)
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Playlist => "application/vnd.apple.mpegurl",
            Self::Fmp4 | Self::Part => "video/mp4",
            // A bucket may allow the stream's types only: the probe has to pass for one.
            Self::Segment | Self::Probe => "video/mp2t",
            Self::Snapshot => "image/jpeg",
            Self::Sheet => "application/json",
            Self::Page(file) => file.content_type(),
        }
    }

    pub fn cache_control(self) -> &'static str {
        match self {
            // `max-age=1` would not do: a store may append `stale-while-revalidate` to it.
            Self::Playlist | Self::Snapshot | Self::Sheet | Self::Probe => {
                "no-cache, no-store, must-revalidate"
            }
            Self::Segment | Self::Fmp4 | Self::Part => "public, max-age=31536000, immutable",
            // The names stay the same from version to version: a browser may keep them, but must ask.
            Self::Page(_) => "no-cache",
        }
    }
}
