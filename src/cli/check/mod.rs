//! `edge-agent check`: is everything there that a stream needs? Each fail comes with its mend.

mod costs;
mod encoders;
mod storage;
mod viewers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::statvfs::statvfs;

use super::{CheckArgs, Failure, Outcome, load, say};
use crate::agent::{division_of, has_origin, in_mb, spool_limit};
use crate::config;
use crate::config::model::{Camera, Config};
use crate::domain::lifecycle::Cause;
use crate::engine::ffmpeg::Workshop;
use crate::engine::ffmpeg::capabilities::{self, Capabilities};
use crate::engine::ffmpeg::probe::{Aim, ProbeError, probe};
use crate::engine::spool::root::{default_root, is_tmpfs, private_folder};
use crate::engine::spool::watch::SpoolWatch;
use crate::sys::child::Spawner;

/// The list as it is printed, and whether anything failed.
#[derive(Debug, Default)]
struct Report {
    failed: usize,
}

impl Report {
    fn pass(&mut self, what: &str, how: impl AsRef<str>) {
        say(&format!("ok    {what}: {}", how.as_ref()));
    }

    fn warn(&mut self, what: &str, why: impl AsRef<str>, mend: impl AsRef<str>) {
        say(&format!("warn  {what}: {}\n      mend: {}", why.as_ref(), mend.as_ref()));
    }

    fn fail(&mut self, what: &str, why: impl AsRef<str>, mend: impl AsRef<str>) {
        self.failed += 1;
        say(&format!("FAIL  {what}: {}\n      mend: {}", why.as_ref(), mend.as_ref()));
    }

    fn skip(&mut self, what: &str, why: &str) {
        say(&format!("skip  {what}: {why}"));
    }
}

pub(super) async fn check(args: CheckArgs) -> Outcome {
    let loaded = load(&args.config)?;
    let config = loaded.config;
    let cameras = config::select(&config, &args.cameras).map_err(|e| Failure::Config(e.to_string()))?;
    let mut report = Report::default();
    for warning in &loaded.warnings {
        report.warn("configuration", warning.to_string(), "see docs/configuration.md");
    }
    report.pass(
        "configuration",
        match cameras.len() {
            1 => "1 camera to run".to_owned(),
            many => format!("{many} cameras to run"),
        },
    );
    let ffmpeg = check_ffmpeg(&config, &mut report).await;
    if let Some(ffmpeg) = &ffmpeg {
        encoders::check(ffmpeg, &cameras, &mut report).await?;
    }
    let root = config.spool.clone().unwrap_or_else(default_root);
    check_spool(&config, &root, &cameras, &mut report);
    if args.offline {
        report.skip("storage and cameras", "--offline");
    } else {
        storage::check(&config, &cameras, &mut report).await;
        if let Some(ffmpeg) = ffmpeg {
            check_cameras(&config, &cameras, ffmpeg, root, &mut report).await?;
        }
    }
    match report.failed {
        0 => Ok(()),
        failed => {
            say(&format!("{failed} failed"));
            Err(Failure::Other(None))
        }
    }
}

async fn check_ffmpeg(config: &Config, report: &mut Report) -> Option<Capabilities> {
    match capabilities::detect(config.ffmpeg.as_deref()).await {
        Ok(found) => {
            let encoders = found.h264_encoders.join(" ");
            report.pass(
                "ffmpeg",
                format!("{} ({}; H.264 encoders: {encoders})", found.version, found.path.display()),
            );
            Some(found)
        }
        Err(error) => {
            report.fail("ffmpeg", error.to_string(), "apt-get install ffmpeg, or set `ffmpeg:` to its path");
            None
        }
    }
}

/// What one camera's spool takes while all goes well, and its backlog at most.
const SPOOL_USUAL_MB: u64 = 10;
const SPOOL_MOST_MB: u64 = 40;

#[allow(clippy::unnecessary_cast, reason = "these are u32 on 32-bit ARM")]
fn check_spool(config: &Config, root: &Path, cameras: &[&Camera], report: &mut Report) {
    if let Err(error) = private_folder(root) {
        return report.fail("spool", error.to_string(), "set `spool:` to a folder that this user can write");
    }
    let free_mb =
        statvfs(root).map_or(0, |fs| fs.blocks_available() as u64 * fs.fragment_size() as u64 / 1_000_000);
    let kind = if is_tmpfs(root) { "in memory" } else { "on disk" };
    let limit = spool_limit(config, root);
    let has_origin = has_origin(config);
    let division = division_of(config, limit, cameras);
    let share = division.share();
    let how = format!(
        "{} ({kind}, {free_mb} MB free; limit {} MB, {} MB per camera{})",
        root.display(),
        in_mb(limit),
        in_mb(share),
        if has_origin { ", and as much for viewers of this box" } else { "" }
    );
    // Those that run at once.
    let count = (limit / share.max(1)).min(cameras.len() as u64);
    let within_limit = |mb: u64| mb.min(limit / 1_000_000);
    let (usual_mb, most_mb) = (within_limit(SPOOL_USUAL_MB * count), within_limit(SPOOL_MOST_MB * count));
    let least = |camera: &&Camera| {
        let settings = &camera.settings;
        settings.least_share()
    };
    let least = cameras.iter().map(least).max().unwrap_or_default();
    if free_mb < usual_mb {
        report.fail(
            "spool",
            how,
            format!("make room: {usual_mb} MB at least, {most_mb} MB to bridge outages"),
        );
    } else if share < least {
        let limit_mb = in_mb(least * count).ceil() * if has_origin { 2.0 } else { 1.0 };
        report.warn(
            "spool",
            how,
            format!("raise spool_limit to {limit_mb}MB, or a pause of the storage costs video"),
        );
    } else if !is_tmpfs(root) {
        report.warn("spool", how, "set `spool:` to a tmpfs (e.g. below /dev/shm), to spare a memory card");
    } else if free_mb < most_mb {
        report.warn("spool", how, format!("with {most_mb} MB free it could take every camera's backlog"));
    } else {
        report.pass("spool", how);
    }
}

/// Connecting, probing and two keyframes of a 9 s GOP.
const PATIENCE: Duration = Duration::from_secs(20);

async fn check_cameras(
    config: &Config,
    cameras: &[&Camera],
    capabilities: Capabilities,
    spool_root: PathBuf,
    report: &mut Report,
) -> anyhow::Result<()> {
    let workshop = Arc::new(Workshop {
        capabilities,
        spawner: Spawner::start()?,
        watch: SpoolWatch::new(),
        spool_root,
        spool_share: u64::MAX.into(),
    });
    for camera in cameras {
        let what = format!("camera {}", camera.id);
        match probe(&workshop, &camera.source, Aim::Frames, PATIENCE).await {
            Ok(media) => {
                report.pass(&what, format!("{}: {media}", camera.source));
                costs::tell(config, camera, Some(&media), report);
            }
            Err(error) => {
                report.fail(&what, format!("{}: {error}", camera.source), mend(&error));
                costs::tell(config, camera, None, report);
            }
        }
    }
    Ok(())
}

fn mend(error: &ProbeError) -> &'static str {
    let ProbeError::Failed { cause, .. } = error else {
        return "look at the camera's own page, and at its stream settings";
    };
    match cause {
        Cause::Auth => "put the camera's user and password into rtsp_url; percent-encode special characters",
        Cause::NotFound => "look up the stream's path in the camera's manual and put it into rtsp_url",
        Cause::Unreachable => {
            "check the host and port in rtsp_url, the cable, and that RTSP is on in the camera"
        }
        Cause::Disconnected => "the camera may have too many viewers: close other connections, or restart it",
        _ => "look at the camera's stream settings: it should send H.264, H.265 or MJPEG",
    }
}
