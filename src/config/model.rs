//! The validated configuration: what the rest of the agent sees. Values here are known to be good.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::settings::Said;
use crate::domain::choice::{Quality, Rendition, Wish};
use crate::domain::encoder;
use crate::domain::health::DEFAULT_INTERVAL;
use crate::domain::ids::{CameraId, Location};
use crate::domain::prices::Prices;
use crate::domain::profile::Profile;
use crate::domain::quota;
use crate::domain::reach::Reach;
use crate::domain::segment::SegmentType;
use crate::domain::source::Source;

/// A whole, valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub location: Location,
    pub store: StoreConfig,
    /// Between the starts of two playlist PUTs: some stores limit the writes to one key.
    pub min_playlist_interval: Duration,
    /// What the storage charges for requests; `None`: nobody knows.
    pub request_prices: Option<Prices>,
    pub http: Option<HttpConfig>,
    /// Where runs write their segments; `None`: a tmpfs if there is one (see `engine::spool`).
    pub spool: Option<PathBuf>,
    /// Bytes that all spools may take together; `None`: a part of the file system (see `domain::quota`).
    pub spool_limit: Option<u64>,
    /// The ffmpeg to run; `None`: the one in PATH.
    pub ffmpeg: Option<PathBuf>,
    /// What streams have whose cameras the file does not know.
    pub defaults: Said,
    /// The `live_stream` cameras of the file, in its order, also those that are disabled.
    pub cameras: Vec<Camera>,
    /// Cameras of other use cases: left alone, so known by little more than their names.
    pub others: Vec<OtherCamera>,
}

/// A camera that other software serves. Its source and settings may be of kinds unknown here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherCamera {
    pub id: CameraId,
    pub use_case: String,
}

#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Of this machine alone where there is no token.
    pub listen: SocketAddr,
    /// Each is good; none: nobody is asked.
    pub tokens: Vec<SecretString>,
    /// The first signs viewers' addresses, each is good; none: a key of this start.
    pub signing_keys: Vec<SecretString>,
    /// How long such an address is good at most.
    pub sign_max: Duration,
    /// Of one address, on the long run.
    pub requests_per_second: u32,
    /// The cameras' streams are served, too.
    pub streams: bool,
    /// Streams of cameras that only a caller knows; `None`: there are none.
    pub adhoc: Option<Adhoc>,
}

/// Limits of streams whose cameras the configuration does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adhoc {
    pub reach: Reach,
    /// That somebody wants at one time.
    pub max_streams: usize,
}

impl Default for Adhoc {
    fn default() -> Self {
        Self { reach: Reach::default(), max_streams: 16 }
    }
}

impl HttpConfig {
    pub fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            tokens: Vec::new(),
            signing_keys: Vec::new(),
            sign_max: Duration::from_secs(3600),
            requests_per_second: 250,
            streams: true,
            adhoc: None,
        }
    }

    /// Only this machine's own programs reach it.
    pub fn is_local(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }
}

#[derive(Debug, Clone)]
pub struct Camera {
    pub id: CameraId,
    pub name: String,
    pub source: Source,
    pub use_case: String,
    pub enabled: bool,
    pub settings: Settings,
    /// Where [`Self::settings`] come from: what a caller wants otherwise goes over it.
    pub said: Said,
}

/// The use case that this agent serves; cameras of other use cases are left alone.
pub const LIVE_STREAM: &str = "live_stream";

impl Camera {
    /// Runs when no `--camera` picks cameras.
    pub fn runs_by_default(&self) -> bool {
        self.enabled && self.use_case == LIVE_STREAM
    }
}

/// When a camera runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Always,
    /// While somebody wants it: see `domain::demand`.
    OnDemand,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `None`: always re-encode, at whatever bitrate the picture needs.
    pub quality: Option<Quality>,
    /// Of the video, in kbps.
    pub max_bitrate: Option<u32>,
    /// Pixels, even; the height follows the camera's aspect. A smaller camera is not enlarged.
    pub target_width: u32,
    /// Frames per second.
    pub target_fps: u32,
    pub segment_duration: Duration,
    /// The rolling window: how many segments the playlist names.
    pub segments_to_keep: usize,
    /// Published in parts, too.
    pub sub_second: Option<SubSecond>,
    /// Encodings of the same picture beside each other, the first one's sizes before [`Self::target_width`]; empty: just
    /// one.
    pub renditions: Vec<Rendition>,
    pub audio: bool,
    pub segment_type: SegmentType,
    /// The camera's own video where it can be copied, also H.265: then segments are fMP4.
    pub passthrough: bool,
    /// Of a re-encoded picture.
    pub encoder: encoder::Wish,
    /// Of the software encoder.
    pub threads: u32,
    /// Added to the agent's own niceness.
    pub nice: u32,
    /// Between two looks of the health monitor.
    pub health_check_interval: Duration,
    pub start: Start,
    /// Of a stream that runs on demand: after so long without anybody who wants it, it ends.
    pub idle_timeout: Duration,
    /// Between two still pictures; `None`: none are made.
    pub snapshot_interval: Option<Duration>,
    /// Between two `status.json` while nothing changes; `None`: it is written at changes alone.
    pub status_interval: Option<Duration>,
}

/// `profile: sub_second`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubSecond {
    pub part_duration: Duration,
    /// Segments are stored whole, too: other players have nothing else.
    pub compat_segments: bool,
}

/// A fifth of its segments.
pub const DEFAULT_PART: Duration = Duration::from_millis(200);

impl Default for Settings {
    fn default() -> Self {
        Self {
            quality: None,
            max_bitrate: None,
            target_width: 854,
            target_fps: 15,
            segment_duration: Duration::from_secs(2),
            segments_to_keep: 5,
            sub_second: None,
            renditions: Vec::new(),
            audio: true,
            segment_type: SegmentType::MpegTs,
            passthrough: false,
            encoder: encoder::Wish::default(),
            threads: 2,
            nice: 0,
            health_check_interval: DEFAULT_INTERVAL,
            start: Start::Always,
            idle_timeout: Duration::from_secs(30),
            snapshot_interval: None,
            status_interval: Some(Duration::from_secs(60)),
        }
    }
}

impl Settings {
    /// What is asked of each run.
    pub fn wish(&self) -> Wish {
        Wish {
            quality: self.quality,
            passthrough: self.passthrough,
            width: self.target_width,
            fps: self.target_fps,
            segment_duration: self.segment_duration,
            max_kbps: self.max_bitrate,
            renditions: self.renditions.clone(),
            audio: self.audio,
        }
    }

    /// The preset that is nearest to what comes of them, with segments of this length.
    pub fn profile_of(&self, segment: Duration) -> Profile {
        if self.sub_second.is_some() { Profile::SubSecond } else { Profile::nearest(segment) }
    }

    /// Of re-encoded pictures.
    pub fn widths(&self) -> impl Iterator<Item = u32> {
        let only = self.renditions.is_empty().then_some(self.target_width);
        only.into_iter().chain(self.renditions.iter().map(|rendition| rendition.width))
    }

    /// Of the largest re-encoded picture.
    pub fn widest(&self) -> u32 {
        self.widths().max().unwrap_or(self.target_width)
    }

    /// What the camera's part of the spool has to hold: see [`quota::least_share`]. The largest rendition's files have no
    /// more room than the others' (see [`quota::largest_file`]).
    pub fn least_share(&self) -> u64 {
        let of_widest = quota::least_share(self.widest(), self.target_fps, self.segment_duration);
        of_widest * self.widths().count() as u64
    }

    /// A playlist tells players of the renditions, or of codecs that they may not know.
    pub fn is_multivariant(&self) -> bool {
        !self.renditions.is_empty() || self.passthrough
    }
}

#[derive(Debug, Clone)]
pub enum StoreConfig {
    S3(S3Config),
    Supabase(SupabaseConfig),
    File(FileConfig),
    /// The video stays on this box, whose web server serves it.
    None,
}

#[derive(Debug, Clone)]
pub struct S3Config {
    pub bucket: String,
    /// `None`: AWS itself.
    pub endpoint: Option<Url>,
    /// `None`: from the AWS chain; `us-east-1` for custom endpoints without one.
    pub region: Option<String>,
    /// `None`: the standard AWS chain (environment, profile, web identity, instance).
    pub credentials: Option<S3Credentials>,
    /// Where viewers read, if not at the endpoint (R2 custom domain, CloudFront, Garage's web port).
    pub public_base_url: Option<Url>,
}

#[derive(Debug, Clone)]
pub struct S3Credentials {
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    pub session_token: Option<SecretString>,
}

#[derive(Debug, Clone)]
pub struct SupabaseConfig {
    /// The project's URL, e.g. `https://abc.supabase.co`; `/storage/v1` is added.
    pub url: Url,
    pub bucket: String,
    /// A legacy JWT (`eyJ…`) or an `sb_secret_…` key.
    pub key: SecretString,
    pub public_base_url: Option<Url>,
}

#[derive(Debug, Clone)]
pub struct FileConfig {
    pub root: PathBuf,
    pub public_base_url: Option<Url>,
}
