//! Why a run ended, also in words.

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// This agent asked for it.
    Asked,
    /// No segment came in time, or none came any more.
    Stalled,
    /// The camera refused user and password.
    Auth,
    /// The camera does not know the path.
    NotFound,
    /// No connection: refused, no route, unknown host.
    Unreachable,
    /// The camera hung up.
    Disconnected,
    /// Connected, but what came could not be used.
    BadStream,
    /// The spool could not be written.
    Spool,
    /// The camera's spool was larger than its share.
    SpoolLimit,
    /// Another agent on this machine runs this camera.
    Taken,
    /// The stream's timestamps jumped.
    ClockJumped,
    /// Those of its audio alone did.
    SoundJumped,
    /// The picture has another size, and needs another one in the stream.
    PictureChanged,
    /// The video encoder failed, or its device.
    Encoder,
    /// The camera sends another stream than the one that was chosen for.
    StreamChanged,
    /// The camera sent the agent to another one, where it must not go.
    Redirected,
    /// Anything else.
    Crashed,
}

impl Cause {
    /// For programs: the same in every version.
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Stalled => "stalled",
            Self::Auth => "auth",
            Self::NotFound => "not_found",
            Self::Unreachable => "unreachable",
            Self::Disconnected => "disconnected",
            Self::BadStream => "bad_stream",
            Self::Spool => "spool",
            Self::SpoolLimit => "spool_limit",
            Self::Taken => "taken",
            Self::ClockJumped => "clock_jumped",
            Self::SoundJumped => "sound_jumped",
            Self::PictureChanged => "picture_changed",
            Self::Encoder => "encoder",
            Self::StreamChanged => "stream_changed",
            Self::Redirected => "redirected",
            Self::Crashed => "crashed",
        }
    }

    /// For people: what happened.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Asked => "stopped on request",
            Self::Stalled => "no new segment in time",
            Self::Auth => "the camera refused user or password (401)",
            Self::NotFound => "the camera does not know this path (404)",
            Self::Unreachable => "the camera can't be reached",
            Self::Disconnected => "the camera closed the connection",
            Self::BadStream => "the camera's stream could not be used",
            Self::Spool => "the spool could not be written",
            Self::SpoolLimit => "the spool limit was reached",
            Self::Taken => "another edge-agent on this machine runs this camera",
            Self::ClockJumped => "the camera's clock jumped",
            Self::SoundJumped => "the timestamps of the camera's sound jumped",
            Self::PictureChanged => "the camera's picture changed its size",
            Self::Encoder => "the video encoder failed",
            Self::StreamChanged => "the camera sends another stream than before",
            Self::Redirected => "the camera leads to another address, which a caller has to name himself",
            Self::Crashed => "ffmpeg failed",
        }
    }
}
