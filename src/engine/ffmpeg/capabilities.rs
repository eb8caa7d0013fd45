//! What the installed ffmpeg can do, asked once at start. Never guessed from its version.

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
    pub rtsp_timeout: RtspTimeout,
    /// `drawtext` works here, so the test pattern can show the wall clock.
    pub draws_text: bool,
    /// Names of its H.264 encoders, for `check`.
    pub h264_encoders: Vec<String>,
}

/// The RTSP demuxer's I/O timeout: its name changed, and the old name came to mean another thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtspTimeout {
    /// Up to 4.x, where `-timeout` means "listen".
    Stimeout,
    Timeout,
}

impl RtspTimeout {
    pub fn option(self) -> &'static str {
        match self {
            Self::Stimeout => "stimeout",
            Self::Timeout => "timeout",
        }
    }
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
        "{path} ({version}) is older than ffmpeg 5.0 and can't take a camera's options from where its password is safe; install a newer one (Debian 12, Ubuntu 24.04 and later have it, and there are static builds) or set `ffmpeg:` to its path"
    )]
    Old { path: String, version: String },
}

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
    let (encoders, draws_text) = tokio::join!(ask(path, &["-encoders"]), draws_text(path));
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
    let rtsp_timeout = rtsp_timeout(&rtsp).ok_or_else(|| lacks("the RTSP demuxer"))?;
    // 5.0 dropped the old name and gave ffconcat scripts their `option`. Builds from a checkout have no version to compare.
    if rtsp_timeout == RtspTimeout::Stimeout {
        return Err(FfmpegError::Old { path: path.display().to_string(), version });
    }
    Ok(Capabilities { path: path.to_owned(), version, rtsp_timeout, draws_text, h264_encoders })
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
    let trial = ["-v", "error", "-f", "lavfi", "-i", "color=s=64x64:d=0.1", "-frames:v", "1"];
    let output = ["-vf", "drawtext=text=%{localtime}", "-f", "null", "-"];
    ask(path, &[&trial[..], &output[..]].concat()).await.is_ok()
}

fn version_of(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("ffmpeg version ").unwrap_or(first).split(' ').next().unwrap_or_default().to_owned()
}

fn rtsp_timeout(help: &str) -> Option<RtspTimeout> {
    let has = |option: &str| help.lines().any(|line| line.trim_start().starts_with(option));
    if has("-stimeout ") {
        return Some(RtspTimeout::Stimeout);
    }
    has("-timeout ").then_some(RtspTimeout::Timeout)
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
    fn the_timeout_goes_by_the_name_that_means_it() {
        assert_eq!(rtsp_timeout(RTSP_4), Some(RtspTimeout::Stimeout));
        assert_eq!(rtsp_timeout(RTSP_5), Some(RtspTimeout::Timeout));
        assert_eq!(rtsp_timeout("Unknown format 'rtsp'."), None);
    }

    #[test]
    fn encoders_and_version_are_read() {
        let listing = "Encoders:\n V..... = Video\n ------\n V....D libx264              libx264 H.264\n V....D h264_nvenc           NVIDIA\n V....D libx265              HEVC\n A....D aac                  AAC\n";
        assert_eq!(h264_encoders(listing), ["libx264", "h264_nvenc"]);
        assert_eq!(version_of("ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000"), "5.1.9-0+deb12u1");
    }
}
