//! ffmpeg's arguments for one run. Pure: the camera, what was chosen for its streams, the encoder, what ffmpeg can do,
//! and a folder in; a command out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::capabilities::{Capabilities, RtspOptions};
use super::encoders::{Coding, Way, codec_args, filter_suffix, global_args};
use crate::domain::choice::{AudioOut, Choice, Encoding, VideoOut};
use crate::domain::segment::{Rendition, SegmentType, sibling, sibling_name};
use crate::domain::source::{RtspUrl, Source};
use crate::engine::StreamSpec;
use crate::engine::spool::{LOCAL_INIT, LOCAL_PLAYLIST, suffix};

/// A camera that says nothing for this long is gone; ffmpeg ends after at most twice that.
const IO_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Beyond what a camera's own hiccups make; a whole silence of this length is an I/O timeout.
const MOST_JUMP_S: &str = "5";
/// In frames: what ends sooner behind the one before is not wanted. With a margin, as cameras' times are not even.
const DROP_BELOW: &str = "0.1";
/// Enough to find audio and SPS/PPS, little enough to start fast. Much smaller values lose streams.
const PROBE_BYTES: u32 = 1_000_000;
const PROBE_TIME: Duration = Duration::from_secs(1);
/// Where each moment counts, as all of it goes by before the first frame comes out, and the frames themselves tell the rest: a
/// copy needs to know the picture before.
const SHORT_PROBE_TIME: Duration = Duration::from_millis(500);
/// Local playlist entries: how far the agent may fall behind before it misses a segment.
const LOCAL_LIST_SIZE: u32 = 16;

/// A command line without any secret.
#[derive(Debug, Clone)]
pub struct FfmpegCommand {
    pub program: PathBuf,
    pub args: Vec<String>,
    /// What the input [`SCRIPT_INPUT`] reads: it holds the camera's URL, so it goes through a pipe that only this
    /// process and the child know. Every user can read the arguments of every process.
    pub script: Option<Script>,
    /// Added to the agent's own niceness.
    pub nice: u32,
    /// Each one is a file for each segment.
    pub outputs: Rendition,
}

/// Stands for the pipe, whose number is known only when it is made. By its path: with an input named `pipe:N`
/// ffmpeg would not listen on its standard input, and 7.0 would ignore SIGTERM too.
pub const SCRIPT_INPUT: &str = "/dev/fd/SCRIPT";

/// The same for a pipe that takes the sound of a run in parts.
pub const SOUND_OUTPUT: &str = "pipe:SOUND";

/// An ffconcat script; `Debug` hides it.
#[derive(Clone)]
pub struct Script {
    text: String,
    redacted: String,
}

impl Script {
    pub fn reveal(&self) -> &str {
        &self.text
    }

    pub fn redacted(&self) -> &str {
        &self.redacted
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Script").field(&self.redacted).finish()
    }
}

/// `way` is that of a picture which is encoded; a copy needs none.
pub fn command(
    spec: &StreamSpec,
    choice: &Choice,
    way: &Way,
    ffmpeg: &Capabilities,
    folder: &Path,
) -> FfmpegCommand {
    let mut args = strings(&["-hide_banner", "-nostats", "-loglevel", "repeat+level+verbose"]);
    let in_parts = spec.settings.sub_second.is_some();
    let is_short = in_parts && matches!(choice.video, VideoOut::Encode(_));
    let (input, script) = input(&spec.source, if is_short { SHORT_PROBE_TIME } else { PROBE_TIME }, ffmpeg);
    if let Source::Rtsp(_) = spec.source {
        // Timestamps that jump further are dropped, and said to be (see `stderr`): without it `fps` fills a jump
        // forwards with frozen pictures within a second, and at one backwards nothing comes any more.
        args.extend(strings(&["-dts_error_threshold", MOST_JUMP_S]));
    }
    if let VideoOut::Encode(_) = choice.video {
        args.extend(global_args(way));
        if in_parts && spec.source != Source::TestPattern {
            // A decoder with a thread per frame gives each one when it has the next.
            args.extend(strings(&["-thread_type:v", "slice"]));
        }
    }
    args.extend(input);
    args.extend(match &choice.video {
        VideoOut::Encode(first) if !choice.others.is_empty() => ladder(first, spec, choice, way, folder),
        video => only(video, spec, choice, way, ffmpeg, folder),
    });
    let outputs = choice.renditions();
    FfmpegCommand { program: ffmpeg.path.clone(), args, script, nice: spec.settings.nice, outputs }
}

fn only(
    video: &VideoOut,
    spec: &StreamSpec,
    choice: &Choice,
    way: &Way,
    ffmpeg: &Capabilities,
    folder: &Path,
) -> Vec<String> {
    let mut args = strings(&["-map", "0:v:0"]);
    let in_parts = spec.settings.sub_second.is_some();
    if !in_parts {
        args.extend(audio_map(&spec.source, choice.audio));
    }
    args.extend(match video {
        // Access unit delimiters go: behind one the muxer does not look for parameter sets, nor does it add those that
        // only the session's description has. It writes delimiters of its own.
        VideoOut::Copy if ffmpeg.filters_units => {
            strings(&["-c:v", "copy", "-bsf:v", "filter_units=remove_types=9"])
        }
        VideoOut::Copy => strings(&["-c:v", "copy"]),
        VideoOut::CopyH265 => strings(&["-c:v", "copy", "-tag:v", "hvc1"]),
        VideoOut::Encode(encoding) => {
            let scale = size(encoding, way);
            let scaled = if in_parts {
                [strings(&["-vf", &scale]), rate_at_once(encoding, ffmpeg)].concat()
            } else {
                strings(&["-vf", &format!("{},{scale}", rate(encoding))])
            };
            [scaled, encoder(encoding, way, spec.settings.threads)].concat()
        }
    });
    if in_parts {
        args.extend(fragments("pipe:1"));
        if choice.audio != AudioOut::None {
            args.extend(audio_map(&spec.source, choice.audio));
            args.extend(audio(choice.audio));
            // Without any sound ffmpeg would take the picture, and encode it.
            args.push("-vn".to_owned());
            args.extend(fragments(SOUND_OUTPUT));
        }
        return args;
    }
    args.extend(audio(choice.audio));
    args.extend(output(choice, spec.settings.segment_type, folder, 1));
    args
}

/// Each frame in a fragment, at once, with its own time: no edit list, and nothing moved to 0 or stretched to there. Behind
/// a while, as the first frames may be decoded before they are shown.
fn fragments(to: &str) -> Vec<String> {
    let flags = "+empty_moov+default_base_moof+frag_every_frame+frag_discont+skip_trailer";
    let times = ["-avoid_negative_ts", "disabled", "-use_editlist", "0", "-output_ts_offset", "10"];
    strings(&[&times[..], &["-f", "mp4", "-movflags", flags, "-flush_packets", "1", to]].concat())
}

/// One picture is decoded and brought to its rate, and all encoders get the same frames: so their GOPs begin together.
fn ladder(first: &Encoding, spec: &StreamSpec, choice: &Choice, way: &Way, folder: &Path) -> Vec<String> {
    let numbered = || (1..).zip([first].into_iter().chain(&choice.others));
    let split: String = numbered().map(|(number, _)| format!("[s{number}]")).collect();
    let scale = |(number, encoding)| format!(";[s{number}]{}[v{number}]", size(encoding, way));
    let scales: String = numbered().map(scale).collect();
    let graph = format!("[0:v:0]{},split={}{split}{scales}", rate(first), choice.renditions());
    let mut args = strings(&["-filter_complex", &graph]);
    for (number, encoding) in numbered() {
        args.extend(strings(&["-map", &format!("[v{number}]")]));
        args.extend(audio_map(&spec.source, choice.audio));
        args.extend(encoder(encoding, way, spec.settings.threads));
        args.extend(audio(choice.audio));
        args.extend(output(choice, spec.settings.segment_type, folder, number));
    }
    args
}

/// Copies the picture to nowhere, with a line for each frame: what does the camera send?
/// `is_short`: the streams alone matter, not their frames.
pub fn probe_command(source: &Source, is_short: bool, ffmpeg: &Capabilities) -> FfmpegCommand {
    let mut args = strings(&["-hide_banner", "-nostats", "-loglevel", "repeat+level+info"]);
    let (input, script) = input(source, if is_short { SHORT_PROBE_TIME } else { PROBE_TIME }, ffmpeg);
    args.extend(input);
    // From the first frame on, not from the first keyframe: that may be long in coming.
    args.extend(strings(&["-map", "0:v:0", "-c:v", "copy", "-copyinkf:v"]));
    args.extend(strings(&["-flush_packets", "1", "-f", "framecrc", "pipe:1"]));
    FfmpegCommand { program: ffmpeg.path.clone(), args, script, nice: 0, outputs: 1 }
}

fn input(source: &Source, probe_time: Duration, ffmpeg: &Capabilities) -> (Vec<String>, Option<Script>) {
    match source {
        Source::Rtsp(url) => {
            let script = |url: &str| script(url, probe_time, ffmpeg);
            let script = Script { text: script(url.reveal()), redacted: script(&url.to_string()) };
            let args =
                ["-f", "concat", "-safe", "0", "-protocol_whitelist", protocols(url), "-i", SCRIPT_INPUT];
            (strings(&args), Some(script))
        }
        Source::TestPattern => (test_pattern(ffmpeg), None),
        Source::Clip(path) => {
            let path = format!("file:{}", path.display());
            (strings(&["-re", "-stream_loop", "-1", "-protocol_whitelist", "file", "-i", &path]), None)
        }
    }
}

/// A camera that a caller named must not have UDP packets sent to whatever address its answers tell.
fn protocols(url: &RtspUrl) -> &'static str {
    match (url.stays(), url.is_tls()) {
        (false, false) => "file,rtp,rtsp,tcp,udp",
        (false, true) => "file,rtp,rtsp,rtsps,tcp,tls,udp",
        (true, false) => "file,rtsp,tcp",
        (true, true) => "file,rtsp,rtsps,tcp,tls",
    }
}

fn script(url: &str, probe_time: Duration, ffmpeg: &Capabilities) -> String {
    // A control character or a quote would end the line; `Source` refuses both.
    let file = |url: &str| format!("ffconcat version 1.0\nfile '{url}'\n");
    match ffmpeg.rtsp_options {
        RtspOptions::InUrl => file(&over_tcp(url)),
        RtspOptions::InScript => {
            let options = [
                ("rtsp_transport", "tcp".to_owned()),
                ("timeout", IO_TIMEOUT.as_micros().to_string()),
                ("probesize", PROBE_BYTES.to_string()),
                ("analyzeduration", probe_time.as_micros().to_string()),
            ];
            options
                .iter()
                .fold(file(url), |script, (name, value)| script + &format!("option {name} {value}\n"))
        }
    }
}

/// A wish: ffmpeg takes `tcp` out of the last query and gives the camera what is left, but 4.4.2 was seen to ask for UDP all the same.
fn over_tcp(url: &str) -> String {
    match url.rsplit_once('?') {
        Some((path, query)) => format!("{path}?tcp&{query}"),
        None => format!("{url}?tcp"),
    }
}

fn test_pattern(ffmpeg: &Capabilities) -> Vec<String> {
    let clock = "drawtext=text='%{localtime}':fontsize=64:fontcolor=white:box=1:boxcolor=black@0.6:boxborderw=16:x=(w-tw)/2:y=h-th-48";
    let mut picture = "testsrc2=size=1280x720:rate=25".to_owned();
    if ffmpeg.draws_text {
        picture = format!("{picture},{clock}");
    }
    let beep = "sine=frequency=440:beep_factor=2:sample_rate=48000,volume=0.1";
    strings(&["-re", "-f", "lavfi", "-i", &picture, "-re", "-f", "lavfi", "-i", beep])
}

fn audio_map(source: &Source, audio: AudioOut) -> Vec<String> {
    strings(match (audio, source) {
        (AudioOut::None, _) => &[],
        // The pattern's beep is an input of its own.
        (_, Source::TestPattern) => &["-map", "1:a:0"],
        // The question mark: no audio is no failure.
        _ => &["-map", "0:a:0?"],
    })
}

fn rate(encoding: &Encoding) -> String {
    format!("fps={}", encoding.fps)
}

/// `fps` gives a frame when it has the next; this drops and repeats at once what it gets, by the same rounding. Frames of the
/// camera that are not wanted are scaled in vain.
fn rate_at_once(encoding: &Encoding, ffmpeg: &Capabilities) -> Vec<String> {
    let mode = if ffmpeg.has_fps_mode { "-fps_mode" } else { "-vsync" };
    strings(&["-r", &encoding.fps.to_string(), mode, "cfr", "-frame_drop_threshold", DROP_BELOW])
}

/// Never larger than the camera's picture; even sizes, as 4:2:0 needs.
fn size(encoding: &Encoding, way: &Way) -> String {
    format!("scale=trunc(min({}\\,iw)/2)*2:-2{}", encoding.width, filter_suffix(way))
}

fn encoder(encoding: &Encoding, way: &Way, threads: u32) -> Vec<String> {
    let Encoding { width, fps, effort, cap_kbps, gop_frames } = *encoding;
    let coding = Coding { gop: gop_frames, most_kbps: cap_kbps, preset: effort.name(), width, fps };
    let mut args = codec_args(way, &coding);
    if !way.encoder.is_hardware() {
        args.extend(strings(&["-threads:v", &threads.to_string()]));
    }
    args
}

fn audio(audio: AudioOut) -> Vec<String> {
    match audio {
        // Some releases take a camera's AAC for something else than keyframes and drop it all.
        AudioOut::Copy => strings(&["-c:a", "copy", "-copyinkf:a"]),
        AudioOut::EncodeAac { kbps } => strings(&["-c:a", "aac", "-b:a", &format!("{kbps}k"), "-ac", "2"]),
        AudioOut::None => Vec::new(),
    }
}

fn output(choice: &Choice, kind: SegmentType, folder: &Path, number: Rendition) -> Vec<String> {
    let hls_time = format!("{:.3}", choice.cut_after.as_secs_f64());
    let list_size = LOCAL_LIST_SIZE.to_string();
    // In a pattern a `%` of the folder's own name would be a placeholder.
    let folder_pattern = folder.display().to_string().replace('%', "%%");
    let pattern = sibling_name(&format!("seg_%06d.{}", suffix(kind)), number);
    let segments = format!("{folder_pattern}/{pattern}");
    let playlist = sibling(&folder.join(LOCAL_PLAYLIST), number).display().to_string();
    let init = sibling_name(LOCAL_INIT, number);
    let fmp4 = ["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", &init];
    // The agent deletes segments, not ffmpeg: it would delete what is not uploaded yet.
    let flags = "independent_segments+omit_endlist+program_date_time+temp_file";
    strings(
        &[
            &[
                "-max_interleave_delta",
                "1000000",
                "-f",
                "hls",
                "-hls_time",
                &hls_time,
                "-hls_list_size",
                &list_size,
            ][..],
            match kind {
                SegmentType::MpegTs => &[],
                SegmentType::Fmp4 | SegmentType::Parted => &fmp4,
            },
            &["-hls_segment_filename", &segments, "-hls_flags", flags, &playlist],
        ]
        .concat(),
    )
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Settings, SubSecond};
    use crate::domain::choice::{Effort, Quality, decide};
    use crate::domain::encoder::Encoder;

    fn ffmpeg(rtsp_options: RtspOptions) -> Capabilities {
        let path = "/usr/bin/ffmpeg".into();
        Capabilities {
            path,
            version: "5.1.9".into(),
            rtsp_options,
            draws_text: false,
            filters_units: true,
            has_fps_mode: true,
            h264_encoders: vec![],
        }
    }

    fn spec(source: &str, settings: Settings) -> StreamSpec {
        StreamSpec { camera: "cam".parse().unwrap(), source: source.parse().unwrap(), settings }
    }

    fn build(source: &str, settings: Settings) -> FfmpegCommand {
        build_in("/spool/cam/run", source, settings)
    }

    fn build_in(folder: &str, source: &str, settings: Settings) -> FfmpegCommand {
        let choice = decide(&settings.wish(), None);
        let way = Way::software();
        command(&spec(source, settings), &choice, &way, &ffmpeg(RtspOptions::InScript), Path::new(folder))
    }

    #[test]
    fn the_golden_command_for_a_camera() {
        let built = build("rtsp://admin:hunter2@10.0.0.9/h264", Settings::default());
        assert_eq!(
            built.args.join(" "),
            "-hide_banner -nostats -loglevel repeat+level+verbose -dts_error_threshold 5 \
             -f concat -safe 0 -protocol_whitelist file,rtp,rtsp,tcp,udp -i /dev/fd/SCRIPT \
             -map 0:v:0 -map 0:a:0? -vf fps=15,scale=trunc(min(854\\,iw)/2)*2:-2 \
             -c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 30 -keyint_min 30 -sc_threshold 0 \
             -threads:v 2 -c:a aac -b:a 64k -ac 2 -max_interleave_delta 1000000 -f hls -hls_time 1.800 -hls_list_size 16 \
             -hls_segment_filename /spool/cam/run/seg_%06d.ts \
             -hls_flags independent_segments+omit_endlist+program_date_time+temp_file /spool/cam/run/index.m3u8"
        );
        let script = built.script.unwrap();
        assert_eq!(
            script.reveal(),
            "ffconcat version 1.0\nfile 'rtsp://admin:hunter2@10.0.0.9/h264'\noption rtsp_transport tcp\n\
             option timeout 2500000\noption probesize 1000000\noption analyzeduration 1000000\n"
        );
    }

    #[test]
    fn no_secret_is_in_the_arguments_or_prints() {
        let built = build("rtsp://admin:hunter2@10.0.0.9/h264?password=hunter2", Settings::default());
        assert!(!format!("{built:?}").contains("hunter2"));
        assert!(built.script.unwrap().redacted().contains("rtsp://***@10.0.0.9/h264?***"));
    }

    #[test]
    fn a_camera_that_a_caller_named_gets_no_udp() {
        let protocols = |url: &str, is_named: bool| {
            let Source::Rtsp(url) = url.parse().unwrap() else { panic!("{url}") };
            let url = if is_named { url.at(url.host().parse().unwrap()).unwrap() } else { url };
            let choice = copy(AudioOut::Copy);
            let spec = StreamSpec { source: Source::Rtsp(url), ..spec("test://", Settings::default()) };
            let built =
                command(&spec, &choice, &Way::software(), &ffmpeg(RtspOptions::InScript), Path::new("/s"));
            built.args.iter().skip_while(|arg| *arg != "-protocol_whitelist").nth(1).unwrap().clone()
        };
        assert!(protocols("rtsp://10.0.0.9/1", false).contains("udp"));
        assert_eq!(protocols("rtsp://10.0.0.9/1?udp", true), "file,rtsp,tcp");
        assert_eq!(protocols("rtsps://10.0.0.9/1", true), "file,rtsp,rtsps,tcp,tls");
    }

    #[test]
    fn an_old_ffmpeg_has_the_transport_in_the_url() {
        let built = |url: &str, options| {
            let choice = copy(AudioOut::Copy);
            let spec = spec(url, Settings::default());
            command(&spec, &choice, &Way::software(), &ffmpeg(options), Path::new("/s"))
        };
        for (url, expected) in [
            ("rtsp://cam/1", "rtsp://cam/1?tcp"),
            ("rtsp://u:hunter2@cam/1?channel=1&subtype=0", "rtsp://u:hunter2@cam/1?tcp&channel=1&subtype=0"),
        ] {
            let (old, new) = (built(url, RtspOptions::InUrl), built(url, RtspOptions::InScript));
            assert_eq!(old.args, new.args);
            let script = old.script.unwrap();
            assert_eq!(script.reveal(), format!("ffconcat version 1.0\nfile '{expected}'\n"));
            assert!(!script.redacted().contains("hunter2") && !script.redacted().contains("channel"));
            assert!(new.script.unwrap().reveal().contains("option timeout 2500000\n"));
        }
    }

    fn copy(audio: AudioOut) -> Choice {
        Choice {
            video: VideoOut::Copy,
            others: Vec::new(),
            audio,
            fps: None,
            segment_duration: Duration::from_secs(4),
            cut_after: Duration::from_millis(3_600),
            target_duration_s: 4,
            why: String::new(),
        }
    }

    fn encode(effort: Effort, cap_kbps: Option<u32>) -> Choice {
        let encoding = Encoding { width: 640, fps: 10, effort, cap_kbps, gop_frames: 20 };
        Choice { video: VideoOut::Encode(encoding), ..copy(AudioOut::EncodeAac { kbps: 64 }) }
    }

    #[test]
    fn each_choice_has_its_command() {
        const SCALED: &str = "-vf fps=10,scale=trunc(min(640\\,iw)/2)*2:-2 -c:v libx264";
        const GOP: &str = "-tune zerolatency -pix_fmt yuv420p -g 20 -keyint_min 20 -sc_threshold 0";
        for (choice, threads, expected) in [
            (
                copy(AudioOut::Copy),
                2,
                "-map 0:a:0? -c:v copy -bsf:v filter_units=remove_types=9 -c:a copy -copyinkf:a".to_owned(),
            ),
            (
                copy(AudioOut::EncodeAac { kbps: 64 }),
                2,
                "-map 0:a:0? -c:v copy -bsf:v filter_units=remove_types=9 -c:a aac -b:a 64k -ac 2".to_owned(),
            ),
            (copy(AudioOut::None), 2, "-c:v copy -bsf:v filter_units=remove_types=9".to_owned()),
            (
                encode(Effort::Ultrafast, Some(500)),
                1,
                format!(
                    "-map 0:a:0? {SCALED} -preset ultrafast {GOP} -maxrate 500k -bufsize 500k -threads:v 1 \
                     -c:a aac -b:a 64k -ac 2"
                ),
            ),
            (
                Choice { audio: AudioOut::None, ..encode(Effort::Veryfast, Some(1500)) },
                2,
                format!("{SCALED} -preset veryfast {GOP} -maxrate 1500k -bufsize 1500k -threads:v 2"),
            ),
            (
                Choice { audio: AudioOut::Copy, ..encode(Effort::Fast, None) },
                16,
                format!("-map 0:a:0? {SCALED} -preset fast {GOP} -threads:v 16 -c:a copy -copyinkf:a"),
            ),
        ] {
            let spec = spec("rtsp://cam/1", Settings { threads, nice: 7, ..Settings::default() });
            let way = Way::software();
            let built = command(&spec, &choice, &way, &ffmpeg(RtspOptions::InScript), Path::new("/s"));
            assert_eq!(
                built.args.join(" "),
                format!(
                    "-hide_banner -nostats -loglevel repeat+level+verbose -dts_error_threshold 5 \
                     -f concat -safe 0 -protocol_whitelist file,rtp,rtsp,tcp,udp -i /dev/fd/SCRIPT \
                     -map 0:v:0 {expected} -max_interleave_delta 1000000 -f hls -hls_time 3.600 \
                     -hls_list_size 16 -hls_segment_filename /s/seg_%06d.ts \
                     -hls_flags independent_segments+omit_endlist+program_date_time+temp_file /s/index.m3u8"
                )
            );
            assert_eq!(built.nice, 7);
        }
    }

    #[test]
    fn the_golden_command_of_renditions() {
        const HLS: &str = "-max_interleave_delta 1000000 -f hls -hls_time 3.600 -hls_list_size 16";
        const FLAGS: &str = "-hls_flags independent_segments+omit_endlist+program_date_time+temp_file";
        const GOP: &str = "-g 20 -keyint_min 20 -sc_threshold 0";
        const AAC: &str = "-c:a aac -b:a 64k -ac 2";
        let second = Encoding { width: 320, fps: 10, effort: Effort::Fast, cap_kbps: None, gop_frames: 20 };
        let choice = Choice { others: vec![second], ..encode(Effort::Fast, Some(900)) };
        let built = |settings: Settings, way: &Way| {
            let spec = spec("rtsp://cam/1", settings);
            let built = command(&spec, &choice, way, &ffmpeg(RtspOptions::InScript), Path::new("/s"));
            assert_eq!(built.outputs, 2);
            built.args.join(" ").split_once("-filter_complex").unwrap().1.to_owned()
        };
        let x264 = "-c:v libx264 -preset fast -tune zerolatency -pix_fmt yuv420p";
        assert_eq!(
            built(Settings::default(), &Way::software()),
            format!(
                " [0:v:0]fps=10,split=2[s1][s2];[s1]scale=trunc(min(640\\,iw)/2)*2:-2[v1];\
                 [s2]scale=trunc(min(320\\,iw)/2)*2:-2[v2] \
                 -map [v1] -map 0:a:0? {x264} {GOP} -maxrate 900k -bufsize 900k -threads:v 2 {AAC} {HLS} \
                 -hls_segment_filename /s/seg_%06d.ts {FLAGS} /s/index.m3u8 \
                 -map [v2] -map 0:a:0? {x264} {GOP} -threads:v 2 {AAC} {HLS} \
                 -hls_segment_filename /s/seg_%06d_2.ts {FLAGS} /s/index_2.m3u8"
            )
        );
        let settings = Settings { segment_type: SegmentType::Fmp4, ..Settings::default() };
        let card = Way { encoder: Encoder::Vaapi, node: None, low_power: false };
        let built = built(settings, &card);
        for part in [
            "[s2]scale=trunc(min(320\\,iw)/2)*2:-2,format=nv12,hwupload[v2] ",
            "-hls_segment_type fmp4 -hls_fmp4_init_filename init.mp4 -hls_segment_filename /s/seg_%06d.m4s ",
            "-hls_fmp4_init_filename init_2.mp4 -hls_segment_filename /s/seg_%06d_2.m4s ",
        ] {
            assert!(built.contains(part), "{part} in {built}");
        }
    }

    #[test]
    fn a_copy_goes_without_the_filter_that_is_not_there() {
        let without = Capabilities { filters_units: false, ..ffmpeg(RtspOptions::InScript) };
        let spec = spec("rtsp://cam/1", Settings::default());
        let built = command(&spec, &copy(AudioOut::Copy), &Way::software(), &without, Path::new("/s"));
        let built = built.args.join(" ");
        assert!(
            built.contains("-map 0:v:0 -map 0:a:0? -c:v copy -c:a copy -copyinkf:a -max_inter"),
            "{built}"
        );
    }

    #[test]
    fn the_golden_command_of_each_hardware_encoder() {
        const SCALED: &str = "-vf fps=10,scale=trunc(min(640\\,iw)/2)*2:-2";
        const RATE: &str = "-g 20 -bf 0 -b:v 1350k -maxrate 1500k -bufsize 1500k";
        for (encoder, low_power, globals, suffix, codec) in [
            (
                Encoder::Vaapi,
                false,
                "-init_hw_device vaapi=hw:/dev/dri/renderD128 -filter_hw_device hw ",
                ",format=nv12,hwupload",
                "h264_vaapi",
            ),
            (
                Encoder::Vaapi,
                true,
                "-init_hw_device vaapi=hw:/dev/dri/renderD128 -filter_hw_device hw ",
                ",format=nv12,hwupload",
                "h264_vaapi -low_power 1",
            ),
            (
                Encoder::Qsv,
                false,
                "-init_hw_device vaapi=card:/dev/dri/renderD128 -init_hw_device qsv=hw@card -filter_hw_device hw ",
                ",format=nv12,hwupload=extra_hw_frames=16",
                "h264_qsv -preset veryfast -async_depth 1",
            ),
            (Encoder::Nvenc, false, "", "", "h264_nvenc -preset p1 -tune ll -pix_fmt yuv420p"),
            (Encoder::V4l2m2m, false, "", "", "h264_v4l2m2m -pix_fmt yuv420p"),
            (Encoder::Rkmpp, false, "", "", "h264_rkmpp -pix_fmt nv12"),
        ] {
            let node = matches!(encoder, Encoder::Vaapi | Encoder::Qsv).then(|| "/dev/dri/renderD128".into());
            let way = Way { encoder, node, low_power };
            let spec = spec("rtsp://cam/1", Settings::default());
            let choice = encode(Effort::Veryfast, Some(1500));
            let built = command(&spec, &choice, &way, &ffmpeg(RtspOptions::InScript), Path::new("/s"));
            assert_eq!(
                built.args.join(" "),
                format!(
                    "-hide_banner -nostats -loglevel repeat+level+verbose -dts_error_threshold 5 {globals}\
                     -f concat -safe 0 -protocol_whitelist file,rtp,rtsp,tcp,udp -i /dev/fd/SCRIPT \
                     -map 0:v:0 -map 0:a:0? {SCALED}{suffix} -c:v {codec} {RATE} -c:a aac -b:a 64k -ac 2 \
                     -max_interleave_delta 1000000 -f hls -hls_time 3.600 -hls_list_size 16 \
                     -hls_segment_filename /s/seg_%06d.ts \
                     -hls_flags independent_segments+omit_endlist+program_date_time+temp_file /s/index.m3u8"
                )
            );
            let copied = |way| {
                let copy = copy(AudioOut::Copy);
                command(&spec, &copy, &way, &ffmpeg(RtspOptions::InScript), Path::new("/s")).args
            };
            assert_eq!(copied(way), copied(Way::software()), "a copy needs no device");
        }
    }

    #[test]
    fn the_presets_reach_the_encoder() {
        for (quality, expected) in [
            (Quality::Low, "-preset ultrafast"),
            (Quality::Medium, "-preset veryfast"),
            (Quality::High, "-preset fast"),
            (Quality::Auto, "-preset veryfast"),
        ] {
            let rung = quality.rung();
            let settings = Settings {
                quality: Some(quality),
                target_width: rung.width,
                target_fps: rung.fps,
                ..Settings::default()
            };
            let args = build("rtsp://cam/1", settings).args.join(" ");
            let (width, fps, kbps) = (rung.width, rung.fps, rung.kbps);
            let filter = format!("-vf fps={fps},scale=trunc(min({width}\\,iw)/2)*2:-2 ");
            assert!(args.contains(&filter) && args.contains(expected), "{args}");
            assert!(args.contains(&format!(" -maxrate {kbps}k -bufsize {kbps}k ")), "{args}");
        }
    }

    #[test]
    fn parts_wait_for_no_later_frame() {
        let sub_second = SubSecond { part_duration: Duration::from_millis(200), compat_segments: true };
        let settings = Settings { sub_second: Some(sub_second), ..Settings::default() };
        let (spec, choice) = (spec("rtsp://cam/1", settings.clone()), decide(&settings.wish(), None));
        for (has_fps_mode, mode) in [(true, "-fps_mode"), (false, "-vsync")] {
            let ffmpeg = Capabilities { has_fps_mode, ..ffmpeg(RtspOptions::InScript) };
            let args = command(&spec, &choice, &Way::software(), &ffmpeg, Path::new("/s/run")).args.join(" ");
            let at_once = format!(
                " -vf scale=trunc(min(854\\,iw)/2)*2:-2 -r 15 {mode} cfr -frame_drop_threshold 0.1 -c:v "
            );
            assert!(args.contains(" -thread_type:v slice -f concat ") && args.contains(&at_once), "{args}");
        }
        // The pattern's frames are not coded.
        assert!(!build("test://", settings).args.join(" ").contains("thread_type"));
        let copied = Choice { video: VideoOut::Copy, ..choice };
        let way = Way::software();
        let copy = command(&spec, &copied, &way, &ffmpeg(RtspOptions::InScript), Path::new("/s/run"));
        assert!(!copy.args.join(" ").contains("thread_type"), "{copy:?}");
    }

    #[test]
    fn the_pattern_can_be_silent() {
        let args = build("test://", Settings { audio: false, ..Settings::default() }).args.join(" ");
        assert!(!args.contains("-map 1:a:0") && !args.contains("-c:a"), "{args}");
        assert!(build("test://", Settings::default()).args.join(" ").contains("-map 1:a:0"));
    }

    #[test]
    fn the_gop_is_one_segment() {
        for (fps, ms, gop, hls_time) in
            [(15, 2000, "30", "1.800"), (10, 500, "5", "0.450"), (10, 1500, "15", "1.350")]
        {
            let segment_duration = Duration::from_millis(ms);
            let settings = Settings { target_fps: fps, segment_duration, ..Settings::default() };
            let args = build("test://", settings).args;
            let after = |flag| args.iter().skip_while(|arg| *arg != flag).nth(1).unwrap().as_str();
            assert_eq!(after("-g"), gop);
            assert_eq!(after("-hls_time"), hls_time);
        }
    }

    #[test]
    fn a_percent_sign_in_the_spool_is_no_placeholder() {
        let args = build_in("/s/50%d/run", "test://", Settings::default()).args.join(" ");
        assert!(
            args.contains("/s/50%%d/run/seg_%06d.ts") && args.ends_with("/s/50%d/run/index.m3u8"),
            "{args}"
        );
    }

    #[test]
    fn the_pattern_and_clips_play_in_real_time() {
        let pattern = build("test://", Settings::default());
        assert!(pattern.script.is_none() && pattern.args.join(" ").contains("-re -f lavfi -i testsrc2"));
        let clip = build("file:///srv/a b.mp4", Settings::default()).args.join(" ");
        assert!(clip.contains("-re -stream_loop -1 -protocol_whitelist file -i file:/srv/a b.mp4"));
    }
}
