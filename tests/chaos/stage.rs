//! One camera, one agent, one MinIO, and the proxy between the last two.

use std::time::{Duration, SystemTime};

use crate::observer::{self, Mark};
use crate::report::Row;
use crate::support::agent::{Agent, Place};
use crate::support::box_faults::BoxFaults;
use crate::support::camera::{Camera, CameraOpts};
use crate::support::fault_proxy::{Counts, Fault, FaultProxy};
use crate::support::minio::Minio;
use crate::support::viewer::{Report, Viewer};
use crate::support::wait::until;

/// `sub_second` has all of it in parts.
const PROFILE: &str = "CHAOS_PROFILE";
pub const BUCKET: &str = "streams";
pub const CAMERA: &str = "cam";
pub const FOLDER: &str = "location_1/cam/";
pub const SEGMENT: Duration = Duration::from_secs(1);
pub const UP_WITHIN: Duration = Duration::from_secs(60);
pub const STOP_WITHIN: Duration = Duration::from_secs(25);
/// What a busy machine may add to anything.
pub const SLACK: Duration = Duration::from_secs(5);

/// In the order in which it is dropped.
#[derive(Debug)]
pub struct Stage {
    pub agent: Agent,
    pub viewer: Viewer,
    pub proxy: FaultProxy,
    pub minio: Minio,
    pub box_faults: BoxFaults,
    pub place: Place,
}

/// A fault that goes on.
#[derive(Debug)]
pub struct Trial {
    fault: String,
    mark: Mark,
    counts: Counts,
    attempts: u64,
    began: SystemTime,
}

/// What must hold when it is over.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub back_within: Duration,
    pub requests: Option<u64>,
    /// Each hole has one discontinuity and nothing else has.
    pub exact_seams: bool,
    /// Stamps say how late a segment is.
    pub stamps: bool,
}

/// As small and frequent as segments get here: faults show soon, and the machine stays free.
pub fn small_camera() -> CameraOpts {
    CameraOpts { size: (320, 180), fps: 10, gop: 10, audio: false, ..CameraOpts::default() }
}

/// Segments go in parts, too.
pub fn in_parts() -> bool {
    match std::env::var(PROFILE).as_deref() {
        Err(_) | Ok("") => false,
        Ok("sub_second") => true,
        Ok(other) => panic!("{PROFILE} is {other:?}; use sub_second, or leave it out"),
    }
}

pub fn config(place: &Place, store: &str, public: &str, cameras: &str) -> String {
    let profile = if in_parts() { ", profile: sub_second" } else { "" };
    format!(
        "spool: {}\nstorage:\n  type: s3\n  bucket: {BUCKET}\n  endpoint: {store}\n  public_base_url: {public}/{BUCKET}\n\
         defaults:\n  settings: {{segment_duration: 1, target_width: 320, target_fps: 10{profile}}}\ncameras:\n{cameras}",
        place.path().join("spool").display(),
    )
}

impl Stage {
    pub async fn set(name: &str, source: &str) -> Self {
        let minio = Minio::start().await;
        minio.create_public_bucket(BUCKET).await;
        let proxy = FaultProxy::start(&minio.endpoint).await;
        let mut place = Place::new(name);
        place.env("AWS_ACCESS_KEY_ID", &minio.access_key).env("AWS_SECRET_ACCESS_KEY", &minio.secret_key);
        place.env("SSL_CERT_FILE", &proxy.certificate().display().to_string());
        let box_faults = BoxFaults::preload(&mut place, proxy.address.port()).await;
        let cameras = format!("  - {{id: {CAMERA}, rtsp_url: \"{source}\"}}\n");
        place.write_config(&config(&place, &proxy.https(), &minio.endpoint, &cameras));
        let viewer = Viewer::watch(
            &minio.public_url(BUCKET, &format!("{FOLDER}stream.m3u8")),
            &place.path().join("seen"),
        );
        let agent = place.start(&[]);
        Self { minio, proxy, place, box_faults, agent, viewer }
    }

    /// The camera that [`Self::set`] is given mostly.
    pub async fn with_camera(name: &str, opts: CameraOpts) -> (Self, Camera) {
        let camera = Camera::start(opts).await;
        (Self::set(name, &camera.url()).await, camera)
    }

    /// Waits until all is well: `segments` further ones have come.
    pub async fn calm(&mut self, segments: usize) {
        let seen = self.viewer.segment_count();
        self.viewer.segments(seen + segments, UP_WITHIN).await;
        self.agent.assert_running();
    }

    pub fn begin(&self, fault: &str) -> Trial {
        Trial {
            fault: fault.into(),
            mark: observer::mark(&self.viewer),
            counts: self.proxy.counts(),
            attempts: self.box_faults.attempts(),
            began: wall(),
        }
    }

    /// To be called at the fault's end: waits until the stream is live again.
    pub async fn end(&mut self, trial: Trial, limits: Limits) -> Row {
        let ended = wall();
        // Where nobody listens, the attempts are all that there is.
        let attempts = self.box_faults.attempts() - trial.attempts;
        let requests = (self.proxy.counts() - &trial.counts).total().max(attempts);
        // More patience than the limit: the table should say how late it was.
        let deadline = 2 * limits.back_within + Duration::from_secs(30);
        let live = async || observer::live_since(&self.viewer, ended, limits.stamps);
        let log = || format!("the agent said:\n{}", tail(&self.agent.log()));
        let back = until(deadline, "a segment at the live edge", live, log).await;
        let back = back.duration_since(ended).unwrap_or_default();
        // The next one tells whether the seam is right behind the hole too.
        self.calm(2).await;
        let cost = observer::cost(&self.viewer, trial.mark);
        let mut problems = cost.breaches;
        if limits.exact_seams {
            problems.extend(cost.seam_faults);
        }
        if back > limits.back_within {
            problems.push(format!("back after {back:?}, more than {:?}", limits.back_within));
        }
        if limits.requests.is_some_and(|most| requests > most) {
            problems.push(format!("{requests} requests: {:?}", self.proxy.counts() - &trial.counts));
        }
        let lasted = ended.duration_since(trial.began).unwrap_or_default();
        Row {
            fault: trial.fault,
            lasted,
            dark: Some(cost.dark),
            lost: Some(cost.lost),
            seams: Some(cost.seams),
            back: Some(back),
            requests: Some(requests),
            problems,
        }
    }

    /// The agent stops cleanly and leaves nothing behind.
    pub async fn strike(mut self) -> Report {
        self.proxy.set(Fault::None).await;
        self.agent.stop(STOP_WITHIN).await;
        self.place.no_ffmpeg_within(SLACK).await;
        self.viewer.stop().await
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

pub fn wall() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "compared with the time stamps in playlists")]
    SystemTime::now()
}

/// How long a fault is kept up: the one kind of waiting that has no event.
pub async fn last(time: Duration) {
    tokio::time::sleep(time).await;
}
