//! What the installed ffmpeg can do, asked once at start and not guessed from its version.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// An ffmpeg that can do the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    pub path: PathBuf,
    /// As it prints it; for people only.
    pub version: String,
    pub rtsp_options: RtspOptions,
    /// `drawtext` works here, so the test pattern can show the wall clock.
    pub draws_text: bool,
    /// It has the bitstream filter `filter_units`.
    pub filters_units: bool,
    /// From 5.1: `-fps_mode`, before that `-vsync`.
    pub has_fps_mode: bool,
    /// Names of its H.264 encoders, for `check`.
    pub h264_encoders: Vec<String>,
}

/// How an RTSP camera's options reach ffmpeg, beside its secret URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtspOptions {
    /// Up to 4.4: scripts know no options. The transport is a part of the URL, and a camera that falls silent is noticed
    /// by its missing segments.
    InUrl,
    /// From 5.0: ffconcat's `option`.
    InScript,
}

#[derive(Debug, thiserror::Error)]
pub enum FfmpegError {
    #[error(
        "ffmpeg was not found ({path}: {error}); install it (Debian, Ubuntu: apt-get install ffmpeg) or set `ffmpeg:` to its path"
    )]
    NotFound { path: String, error: std::io::Error },
    #[error("{path} does not answer `{args}`: {what}")]
    Mute { path: String, args: String, what: String },
    #[error("{path} was killed by signal {signal} when asked `{args}`; is the machine out of memory?")]
    Killed { path: String, args: String, signal: i32 },
    #[error("{path} ({version}) lacks {what}; install the distribution's full ffmpeg")]
    Lacks { path: String, version: String, what: &'static str },
    #[error(
        "{path} ({version}) is older than ffmpeg 4.4; install a newer one (Debian 12, Ubuntu 22.04 and later have it, and there are static builds) or set `ffmpeg:` to its path"
    )]
    Old { path: String, version: String },
}

/// Of the releases.
const OLDEST: (u32, u32) = (4, 4);
const TRIES: u32 = 3;
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// Asks `path` (or the `ffmpeg` in PATH) what it can do.
///
/// # Errors
/// There is none, or it lacks what the agent needs.
pub async fn detect(path: Option<&Path>) -> Result<Capabilities, FfmpegError> {
    let path = path.unwrap_or(Path::new("ffmpeg"));
    let version_text = ask(path, &["-version"]).await?;
    let version = version_of(&version_text);
    let (rtsp, hls) = tokio::join!(ask(path, &["-h", "demuxer=rtsp"]), ask(path, &["-h", "muxer=hls"]));
    let (encoders, draws_text, filters_units, has_fps_mode) =
        tokio::join!(ask(path, &["-encoders"]), draws_text(path), filters_units(path), has_fps_mode(path));
    let (rtsp, hls, encoders) = (rtsp?, hls?, encoders?);
    let lacks =
        |what| FfmpegError::Lacks { path: path.display().to_string(), version: version.clone(), what };
    if !hls.contains("temp_file") {
        return Err(lacks("the HLS muxer with temp_file"));
    }
    let h264_encoders = h264_encoders(&encoders);
    if !h264_encoders.iter().any(|name| name == "libx264") {
        return Err(lacks("the libx264 encoder"));
    }
    let rtsp_options = rtsp_options(&rtsp).ok_or_else(|| lacks("the RTSP demuxer"))?;
    // The only question that the options don't answer. Builds from a checkout tell no number, and are newer.
    if number_of(&version).is_some_and(|number| number < OLDEST) {
        return Err(FfmpegError::Old { path: path.display().to_string(), version });
    }
    Ok(Capabilities {
        path: path.to_owned(),
        version,
        rtsp_options,
        draws_text,
        filters_units,
        has_fps_mode,
        h264_encoders,
    })
}

/// A box that is short of memory may kill an ffmpeg that only answers a question: it is asked again.
async fn ask(path: &Path, args: &[&str]) -> Result<String, FfmpegError> {
    for _ in 1..TRIES {
        match ask_once(path, args).await {
            Err(FfmpegError::Killed { .. }) => {}
            answer => return answer,
        }
    }
    ask_once(path, args).await
}

async fn ask_once(path: &Path, args: &[&str]) -> Result<String, FfmpegError> {
    let mut command = Command::new(path);
    command.arg("-hide_banner").args(args).stdin(Stdio::null()).kill_on_drop(true);
    let mute =
        |what: String| FfmpegError::Mute { path: path.display().to_string(), args: args.join(" "), what };
    let output = tokio::time::timeout(ANSWER_TIME, command.output())
        .await
        .map_err(|_| mute(format!("no answer within {} s", ANSWER_TIME.as_secs())))?
        .map_err(|error| FfmpegError::NotFound { path: path.display().to_string(), error })?;
    if let Some(signal) = output.status.signal() {
        let (path, args) = (path.display().to_string(), args.join(" "));
        return Err(FfmpegError::Killed { path, args, signal });
    }
    if !output.status.success() {
        return Err(mute(output.status.to_string()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Being compiled in is not enough: it also needs a font.
async fn draws_text(path: &Path) -> bool {
    tries(path, ["-vf", "drawtext=text=%{localtime}"]).await
}

async fn has_fps_mode(path: &Path) -> bool {
    tries(path, ["-fps_mode", "cfr"]).await
}

async fn tries(path: &Path, options: [&str; 2]) -> bool {
    let input = ["-v", "error", "-f", "lavfi", "-i", "color=s=64x64:d=0.1", "-frames:v", "1"];
    ask(path, &[&input[..], &options[..], &["-f", "null", "-"]].concat()).await.is_ok()
}

/// Most copies do without it: a build that lacks it is no reason not to run.
async fn filters_units(path: &Path) -> bool {
    let has = ask(path, &["-bsfs"]).await.is_ok_and(|listing| lists(&listing, "filter_units"));
    if !has {
        tracing::debug!(
            "this ffmpeg lacks filter_units: a copied camera that sends access unit delimiters, and its parameter sets \
             in the session's description only, can't be played"
        );
    }
    has
}

fn lists(listing: &str, name: &str) -> bool {
    listing.lines().any(|line| line.trim() == name)
}

fn version_of(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("ffmpeg version ").unwrap_or(first).split(' ').next().unwrap_or_default().to_owned()
}

/// `5.1.9-0+deb12u1` is (5, 1), `n4.4` (4, 4).
fn number_of(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix('n').unwrap_or(version).splitn(3, |c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// 5.0 dropped an option of the RTSP demuxer and gave scripts theirs.
fn rtsp_options(help: &str) -> Option<RtspOptions> {
    let has = |option: &str| help.lines().any(|line| line.trim_start().starts_with(option));
    if has("-stimeout ") {
        return Some(RtspOptions::InUrl);
    }
    has("-timeout ").then_some(RtspOptions::InScript)
}

fn h264_encoders(listing: &str) -> Vec<String> {
    let names = listing.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|flags| flags.starts_with('V') && flags.len() == 6)?;
        words.next()
    });
    names.filter(|name| name.contains("264")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Lines as the releases print them.
    const RTSP_4: &str = "Demuxer rtsp [RTSP input]:\nRTSP demuxer AVOptions:\n  -rtsp_transport    <flags>      .D.......\n  -timeout           <int>        .D....... set maximum timeout (in seconds) to wait for incoming connections (-1 is infinite, imply flag listen)\n  -stimeout          <int>        .D....... set timeout (in microseconds) of socket TCP I/O operations\n";
    const RTSP_5: &str = "Demuxer rtsp [RTSP input]:\nRTSP demuxer AVOptions:\n  -rtsp_transport    <flags>      .D.......\n  -timeout           <int64>      .D....... set timeout (in microseconds) of socket I/O operations (from 0 to I64_MAX) (default 0)\n";

    #[test]
    fn where_the_options_go_is_told_by_the_demuxer() {
        assert_eq!(rtsp_options(RTSP_4), Some(RtspOptions::InUrl));
        assert_eq!(rtsp_options(RTSP_5), Some(RtspOptions::InScript));
        assert_eq!(rtsp_options("Unknown format 'rtsp'."), None);
    }

    #[test]
    fn releases_have_numbers_and_checkouts_none() {
        for (version, number) in [
            ("4.2.7-0ubuntu0.1", Some((4, 2))),
            ("4.4.2-0ubuntu0.22.04.1", Some((4, 4))),
            ("n7.1", Some((7, 1))),
            ("8.0", Some((8, 0))),
            ("10.0.1", Some((10, 0))),
            ("N-109541-gc1d5cd5ff7", None),
            ("git-2023-01-01-abcdef", None),
            ("", None),
        ] {
            assert_eq!(number_of(version), number, "{version}");
        }
        assert!((4, 3) < OLDEST && (4, 4) >= OLDEST && (10, 0) >= OLDEST);
    }

    #[test]
    fn a_filter_is_listed_by_its_whole_name() {
        let listing = "Bitstream filters:\naac_adtstoasc\nfilter_units\nh264_mp4toannexb\n";
        assert!(lists(listing, "filter_units") && !lists(listing, "units"));
        assert!(!lists(&listing.replace("filter_units", "filter_units_2"), "filter_units"));
    }

    #[test]
    fn encoders_and_version_are_read() {
        let listing = "Encoders:\n V..... = Video\n ------\n V....D libx264              libx264 H.264\n V....D h264_nvenc           NVIDIA\n V....D libx265              HEVC\n A....D aac                  AAC\n";
        assert_eq!(h264_encoders(listing), ["libx264", "h264_nvenc"]);
        assert_eq!(version_of("ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000"), "5.1.9-0+deb12u1");
    }
}
