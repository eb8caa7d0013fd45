//! What is in the segments: frames that follow each other without a hole, by ffprobe.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::viewer::SeenSegment;

const PROBE_WITHIN: Duration = Duration::from_secs(20);
/// MPEG-TS counts in 1/90000 s.
const VIDEO_SLACK: f64 = 0.002;
/// Two AAC frames at 16 kHz: the encoder may pad, but must not lose.
const AUDIO_SLACK: f64 = 0.130;

#[derive(Debug, Clone, Copy)]
pub struct Expected {
    pub size: (u32, u32),
    pub fps: u32,
    pub audio: bool,
}

#[derive(Deserialize)]
struct Probe {
    streams: Vec<Stream>,
    packets: Vec<Packet>,
}

#[derive(Deserialize)]
struct Stream {
    codec_type: String,
    codec_name: String,
    width: Option<u32>,
    height: Option<u32>,
}

#[derive(Deserialize)]
struct Packet {
    codec_type: String,
    pts_time: String,
    flags: String,
}

impl Packet {
    fn pts(&self) -> f64 {
        self.pts_time.parse().expect("ffprobe gives seconds")
    }
}

/// Where the last segment's tracks ended, if the next one has to go on from there.
#[derive(Default)]
struct Ends {
    video: Option<f64>,
    audio: Option<f64>,
}

/// Everything that is wrong with the frames of segments that follow each other.
pub async fn faults(segments: &[SeenSegment], expected: Expected) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ends = Ends::default();
    let mut last_msn = None;
    for SeenSegment { segment, file } in segments {
        if segment.discontinuity || last_msn.is_none_or(|last| segment.msn != last + 1) {
            ends = Ends::default();
        }
        last_msn = Some(segment.msn);
        let probe = probe(file).await;
        let mut problems = streams(&probe, expected);
        problems.extend(video(&probe, expected, segment.duration, &mut ends.video));
        problems.extend(audio(&probe, &mut ends.audio));
        faults.extend(problems.into_iter().map(|problem| format!("{}: {problem}", segment.uri)));
    }
    faults
}

/// The picture's width and height.
pub async fn size(file: &Path) -> (u32, u32) {
    let probe = probe(file).await;
    let mut sizes = probe.streams.iter().filter_map(|stream| stream.width.zip(stream.height));
    sizes.next().expect("a segment with a picture")
}

/// What a segment's tracks are, where they are not as expected.
pub async fn unlike(file: &Path, size: (u32, u32), audio: bool) -> Vec<String> {
    streams(&probe(file).await, Expected { size, fps: 0, audio })
}

fn streams(probe: &Probe, expected: Expected) -> Vec<String> {
    let mut found: Vec<_> =
        probe.streams.iter().map(|s| (s.codec_type.as_str(), s.codec_name.as_str())).collect();
    found.sort_unstable();
    let mut problems = Vec::new();
    let wanted: &[_] =
        if expected.audio { &[("audio", "aac"), ("video", "h264")] } else { &[("video", "h264")] };
    if found != wanted {
        problems.push(format!("has the streams {found:?}"));
    }
    for stream in probe.streams.iter().filter(|stream| stream.codec_type == "video") {
        let size = stream.width.zip(stream.height);
        if size != Some(expected.size) {
            problems.push(format!("has the picture size {size:?}"));
        }
    }
    problems
}

fn video(probe: &Probe, expected: Expected, extinf: Duration, end: &mut Option<f64>) -> Vec<String> {
    let mut problems = Vec::new();
    let frame = 1.0 / f64::from(expected.fps);
    let packets = track(probe, "video");
    if !packets.first().is_some_and(|packet| packet.flags.starts_with('K')) {
        problems.push("does not start with a keyframe".into());
    }
    let mut times: Vec<_> = packets.iter().map(|packet| packet.pts()).collect();
    times.sort_by(f64::total_cmp);
    let lasts = times.len() as f64 * frame;
    if (lasts - extinf.as_secs_f64()).abs() > frame + VIDEO_SLACK {
        problems.push(format!("has {} frames, {lasts:.3} s, and its EXTINF says {extinf:?}", times.len()));
    }
    for time in times {
        if let Some(due) = *end
            && (time - due).abs() > VIDEO_SLACK
        {
            problems.push(format!("frame at {time:.3} where {due:.3} was due"));
        }
        *end = Some(time + frame);
    }
    problems
}

fn audio(probe: &Probe, end: &mut Option<f64>) -> Vec<String> {
    let mut problems = Vec::new();
    for packet in track(probe, "audio") {
        let time = packet.pts();
        if let Some(last) = *end
            && !(0.0..AUDIO_SLACK).contains(&(time - last))
        {
            problems.push(format!("audio at {time:.3} after {last:.3}"));
        }
        *end = Some(time);
    }
    problems
}

fn track<'a>(probe: &'a Probe, kind: &str) -> Vec<&'a Packet> {
    probe.packets.iter().filter(|packet| packet.codec_type == kind).collect()
}

async fn probe(file: &Path) -> Probe {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "json", "-show_entries"]);
    command.arg("stream=codec_type,codec_name,width,height:packet=codec_type,pts_time,flags");
    command.arg(file).kill_on_drop(true);
    let output = timeout(PROBE_WITHIN, command.output())
        .await
        .unwrap_or_else(|_| panic!("ffprobe hangs at {}", file.display()))
        .unwrap_or_else(|error| panic!("can't run ffprobe ({error}): install ffmpeg"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ffprobe {}: {error}", file.display());
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("ffprobe {}: {error}", file.display()))
}
