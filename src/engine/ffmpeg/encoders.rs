//! How ffmpeg is told to use an encoder, and whether one works here. Being listed says nothing: distributions build
//! all of them, so each is tried on real frames.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::capabilities::Capabilities;
use super::process::Lines;
use super::stderr::{blames_encoder, error, redact};
use crate::clock;
use crate::config::model::Settings;
use crate::domain::encoder::Encoder;
use crate::sys::child::{Brief, Spawner};

/// How an encoder is reached on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    pub encoder: Encoder,
    /// Which graphics card, where that has to be said.
    pub node: Option<PathBuf>,
    /// Some Intel chips (N100 and its kin) have nothing but this mode, others lack it.
    pub low_power: bool,
}

impl Way {
    pub fn software() -> Self {
        Self { encoder: Encoder::Software, node: None, low_power: false }
    }
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.encoder)?;
        let node = self.node.as_ref().map(|node| node.display().to_string());
        let mode = self.low_power.then(|| "low power".to_owned());
        let how: Vec<_> = node.into_iter().chain(mode).collect();
        if how.is_empty() { Ok(()) } else { write!(f, " ({})", how.join(", ")) }
    }
}

/// What the encoder is to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coding<'a> {
    /// Frames.
    pub gop: u32,
    /// Software needs none; hardware has no sensible rate of its own, see [`usual_kbps`].
    pub most_kbps: Option<u32>,
    /// By x264's name; other encoders' nearest is used.
    pub preset: &'a str,
    pub width: u32,
    pub fps: u32,
}

/// A cap that suits a picture of this width and 16:9: a tenth of a bit for each pixel.
pub fn usual_kbps(width: u32, fps: u32) -> u32 {
    let pixels = u64::from(width) * u64::from(width) * 9 / 16 * u64::from(fps);
    u32::try_from(pixels / 10_000).unwrap_or(u32::MAX).max(100)
}

/// Before the input.
pub fn global_args(way: &Way) -> Vec<String> {
    let node = way.node.as_ref().map(|node| node.display().to_string()).unwrap_or_default();
    match way.encoder {
        Encoder::Vaapi => {
            strings(&["-init_hw_device", &format!("vaapi=hw:{node}"), "-filter_hw_device", "hw"])
        }
        // By way of VAAPI, as Quick Sync itself takes whichever card it likes.
        Encoder::Qsv => {
            let card = format!("vaapi=card:{node}");
            strings(&["-init_hw_device", &card, "-init_hw_device", "qsv=hw@card", "-filter_hw_device", "hw"])
        }
        Encoder::Software | Encoder::Nvenc | Encoder::V4l2m2m | Encoder::Rkmpp => Vec::new(),
    }
}

/// At the end of the filter chain: the picture has its size by then.
pub fn filter_suffix(way: &Way) -> &'static str {
    match way.encoder {
        Encoder::Vaapi => ",format=nv12,hwupload",
        Encoder::Qsv => ",format=nv12,hwupload=extra_hw_frames=16",
        Encoder::Software | Encoder::Nvenc | Encoder::V4l2m2m | Encoder::Rkmpp => "",
    }
}

/// The encoder and its options.
pub fn codec_args(way: &Way, coding: &Coding<'_>) -> Vec<String> {
    let (gop, preset) = (coding.gop.to_string(), coding.preset);
    let name = way.encoder.ffmpeg_name();
    let mut args = strings(&["-c:v", name]);
    args.extend(match way.encoder {
        Encoder::Software => strings(&["-preset", preset, "-tune", "zerolatency", "-pix_fmt", "yuv420p"]),
        Encoder::Vaapi if way.low_power => strings(&["-low_power", "1"]),
        Encoder::Vaapi => Vec::new(),
        Encoder::Qsv => strings(&["-preset", qsv_preset(preset), "-async_depth", "1"]),
        Encoder::Nvenc => strings(&["-preset", nvenc_preset(preset), "-tune", "ll", "-pix_fmt", "yuv420p"]),
        Encoder::V4l2m2m => strings(&["-pix_fmt", "yuv420p"]),
        Encoder::Rkmpp => strings(&["-pix_fmt", "nv12"]),
    });
    args.extend(strings(&["-g", &gop]));
    if way.encoder.is_hardware() {
        let most = coding.most_kbps.unwrap_or_else(|| usual_kbps(coding.width, coding.fps));
        // Below the cap, or the encoders take it as a wish for a constant rate.
        let usual = u64::from(most) * 9 / 10;
        args.extend(strings(&["-bf", "0", "-b:v", &format!("{usual}k")]));
        args.extend(cap(most));
    } else {
        args.extend(strings(&["-keyint_min", &gop, "-sc_threshold", "0"]));
        args.extend(coding.most_kbps.map(cap).unwrap_or_default());
    }
    args
}

/// A buffer of a second: a segment may not be larger than its share of the uplink for long.
fn cap(kbps: u32) -> Vec<String> {
    let kbps = format!("{kbps}k");
    strings(&["-maxrate", &kbps, "-bufsize", &kbps])
}

fn qsv_preset(x264: &str) -> &str {
    match x264 {
        "ultrafast" | "superfast" => "veryfast",
        // Its own names are a part of x264's.
        other => other,
    }
}

fn nvenc_preset(x264: &str) -> &'static str {
    match x264 {
        "ultrafast" | "superfast" | "veryfast" => "p1",
        "faster" => "p2",
        "fast" => "p3",
        "slow" => "p5",
        "slower" => "p6",
        "veryslow" => "p7",
        _ => "p4",
    }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What a trial found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Works(Way),
    /// Listed, but it does not work here: in ffmpeg's words.
    Fails {
        encoder: Encoder,
        why: String,
    },
    NotListed(Encoder),
}

impl Finding {
    pub fn encoder(&self) -> Encoder {
        match self {
            Self::Works(way) => way.encoder,
            Self::Fails { encoder, .. } | Self::NotListed(encoder) => *encoder,
        }
    }

    pub fn works(&self) -> bool {
        matches!(self, Self::Works(_))
    }

    /// For people; `None`: it works.
    pub fn why_not(&self) -> Option<String> {
        match self {
            Self::Works(_) => None,
            Self::Fails { encoder, why } => Some(format!("{encoder} does not work here ({why})")),
            Self::NotListed(encoder) => Some(format!("{encoder} is not in this ffmpeg")),
        }
    }

    /// The same where `settings.encoder` asks for exactly this one.
    pub fn complaint(&self) -> Option<String> {
        self.why_not().map(|why| format!("settings.encoder: {why}"))
    }
}

/// What a person can do about an encoder that does not work.
pub fn mend(encoder: Encoder) -> &'static str {
    match encoder {
        Encoder::Software => "install the distribution's full ffmpeg",
        Encoder::Vaapi => {
            "let this user open /dev/dri/renderD* (group `render`), install the card's VA driver (intel-media-va-driver, mesa-va-drivers), or use `encoder: auto`"
        }
        Encoder::Qsv => {
            "let this user open /dev/dri/renderD* (group `render`), install Intel's runtime (libmfx-gen1, intel-media-va-driver), or use `encoder: vaapi` or `auto`"
        }
        Encoder::Nvenc => {
            "install NVIDIA's driver with libnvidia-encode, give the container the card (`--gpus all`), or use `encoder: auto`"
        }
        Encoder::V4l2m2m => {
            "let this user open /dev/video* (group `video`); a Raspberry Pi 5 has no such encoder; or use `encoder: auto`"
        }
        Encoder::Rkmpp => {
            "set `ffmpeg:` to a build with Rockchip's MPP and let this user open /dev/mpp_service, or use `encoder: auto`"
        }
    }
}

/// Graphics cards' render nodes, the first one first.
pub fn render_nodes(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_node =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("renderD"));
    let mut nodes: Vec<_> = entries.map(|entry| entry.path()).filter(is_node).collect();
    nodes.sort();
    nodes
}

pub const RENDER_NODES: &str = "/dev/dri";

/// The ways that are worth a trial, or why there is none.
fn ways(encoder: Encoder, nodes: &[PathBuf]) -> Result<Vec<Way>, String> {
    let way = |node: Option<&PathBuf>, low_power| Way { encoder, node: node.cloned(), low_power };
    match encoder {
        Encoder::Vaapi | Encoder::Qsv if nodes.is_empty() => {
            Err(format!("there is no graphics card ({RENDER_NODES}/renderD*)"))
        }
        Encoder::Vaapi => {
            Ok(nodes.iter().flat_map(|node| [false, true].map(|mode| way(Some(node), mode))).collect())
        }
        Encoder::Qsv => Ok(nodes.iter().map(|node| way(Some(node), false)).collect()),
        Encoder::Software | Encoder::Nvenc | Encoder::V4l2m2m | Encoder::Rkmpp => Ok(vec![way(None, false)]),
    }
}

/// For one way; a driver that hangs is not waited for.
const TRIAL_TIME: Duration = Duration::from_secs(10);
/// For all trials of one question.
pub(super) const ALL_TIME: Duration = Duration::from_secs(30);
const TRIAL_GOP: u32 = 5;
const TRIAL_GOPS: u32 = 3;
/// Far more than so few frames can be.
const MOST_BYTES: u64 = 32 << 20;

/// Tries encoders on this machine, one after the other: cards have few sessions.
#[derive(Debug)]
pub struct Bench<'a> {
    pub ffmpeg: &'a Capabilities,
    pub spawner: &'a Spawner,
    pub nodes: Vec<PathBuf>,
    /// Of the cameras' settings: some encoders have a least size, and some can't do every rate.
    pub settings: &'a Settings,
}

impl Bench<'_> {
    /// All of them, within half a minute.
    pub async fn try_all(&self, encoders: &[Encoder]) -> Vec<Finding> {
        let until = Instant::from_std(clock::now()) + ALL_TIME;
        let mut findings = Vec::new();
        for encoder in encoders {
            findings.push(self.try_until(*encoder, until).await);
        }
        findings
    }

    /// Up to the first that works.
    pub async fn first_working(&self, encoders: &[Encoder]) -> Vec<Finding> {
        let until = Instant::from_std(clock::now()) + ALL_TIME;
        let mut findings = Vec::new();
        for encoder in encoders {
            findings.push(self.try_until(*encoder, until).await);
            if findings.last().is_some_and(Finding::works) {
                break;
            }
        }
        findings
    }

    pub(super) async fn try_until(&self, encoder: Encoder, until: Instant) -> Finding {
        if !self.ffmpeg.h264_encoders.iter().any(|name| name == encoder.ffmpeg_name()) {
            return Finding::NotListed(encoder);
        }
        let ways = match ways(encoder, &self.nodes) {
            Ok(ways) => ways,
            Err(why) => return Finding::Fails { encoder, why },
        };
        // What the first way says is told: the others are its variants.
        let mut first = None;
        for way in ways {
            let time = TRIAL_TIME.min(until.saturating_duration_since(Instant::from_std(clock::now())));
            match self.trial(&way, time).await {
                Ok(()) => return Finding::Works(way),
                Err(why) => drop(first.get_or_insert(why)),
            }
        }
        Finding::Fails { encoder, why: first.unwrap_or_default() }
    }

    /// Really encodes a few GOPs and looks at what came out.
    async fn trial(&self, way: &Way, time: Duration) -> Result<(), String> {
        if time.is_zero() {
            return Err(format!("not tried: the others took more than {} s", ALL_TIME.as_secs()));
        }
        may_open(way)?;
        let mut command = Command::new(&self.ffmpeg.path);
        command.args(trial_args(way, self.settings));
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child =
            Brief::new(self.spawner.spawn(command, Vec::new()).await.map_err(|error| error.to_string())?);
        let late = || Err(format!("no answer within {} s", time.as_secs_f64().ceil()));
        let outcome = tokio::time::timeout(time, listen(child.child())).await.unwrap_or_else(|_| late());
        child.end().await;
        outcome
    }
}

/// The usual reason, and ffmpeg does not tell it.
fn may_open(way: &Way) -> Result<(), String> {
    let Some(node) = &way.node else { return Ok(()) };
    let opened = std::fs::OpenOptions::new().read(true).write(true).open(node);
    opened.map(drop).map_err(|error| format!("{}: {error}", node.display()))
}

async fn listen(child: &mut Child) -> Result<(), String> {
    let mut picture = Vec::new();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let read = async {
        if let Some(stdout) = stdout {
            let _ = stdout.take(MOST_BYTES).read_to_end(&mut picture).await;
        }
    };
    let ((), said) = tokio::join!(read, first_error(stderr));
    let status = child.wait().await.map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(said.unwrap_or_else(|| format!("ffmpeg failed: {status}")));
    }
    judge(&picture)
}

/// The first is the reason, what follows are its consequences; what the encoder says itself comes before all.
async fn first_error<R: AsyncRead + Unpin>(stderr: Option<R>) -> Option<String> {
    let mut lines = Lines::new(stderr);
    let (mut own, mut any) = (None, None);
    while let Some(line) = lines.next().await {
        let slot = if blames_encoder(&line) { &mut own } else { &mut any };
        // The line after this one has the error's words instead of its number.
        let numbered = |text: &str| text.starts_with("Device creation failed");
        if let Some((_, text)) = error(&line).filter(|(_, text)| slot.is_none() && !numbered(text)) {
            *slot = Some(redact(text));
        }
    }
    own.or(any)
}

/// Every GOP has to begin with what a decoder needs: a viewer may come at any segment.
fn judge(annex_b: &[u8]) -> Result<(), String> {
    let (mut sets, mut keys) = ([0; 2], 0);
    for start in annex_b.windows(4).filter(|window| window[..3] == [0, 0, 1]) {
        match start[3] & 0x1f {
            7 => sets[0] += 1,
            8 => sets[1] += 1,
            // A picture may have several slices: the first of each key frame follows a parameter set.
            5 => keys += 1,
            _ => {}
        }
    }
    if keys < TRIAL_GOPS {
        return Err(format!("gives {keys} key frames where {TRIAL_GOPS} are needed"));
    }
    if sets.into_iter().any(|sets| sets < TRIAL_GOPS) {
        return Err("leaves out SPS and PPS: only its first segment could be played".to_owned());
    }
    Ok(())
}

fn trial_args(way: &Way, settings: &Settings) -> Vec<String> {
    let (width, fps) = (settings.widest(), settings.target_fps);
    let height = (width * 9 / 16 / 2 * 2).max(2);
    let picture = format!("testsrc2=size={width}x{height}:rate={fps}");
    let filter = format!("scale={width}:{height}{}", filter_suffix(way));
    let frames = (TRIAL_GOP * TRIAL_GOPS).to_string();
    let coding = Coding { gop: TRIAL_GOP, most_kbps: None, preset: "ultrafast", width, fps };
    let mut args = strings(&["-hide_banner", "-nostats", "-nostdin", "-loglevel", "repeat+level+error"]);
    args.extend(global_args(way));
    args.extend(strings(&["-f", "lavfi", "-i", &picture, "-vf", &filter]));
    args.extend(codec_args(way, &coding));
    args.extend(strings(&["-frames:v", &frames, "-f", "h264", "pipe:1"]));
    args
}

#[cfg(test)]
mod tests;
