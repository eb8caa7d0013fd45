//! The ffmpeg engine with real children: ffmpeg itself, and scripts that behave as badly as it can.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use camera::{Camera, CameraOpts};
use edge_agent::config::model::Settings;
use edge_agent::domain::choice::Quality;
use edge_agent::domain::ids::RunId;
use edge_agent::domain::lifecycle::Cause;
use edge_agent::domain::media::{AudioCodec, AudioIn, Keyframes, Media, VideoCodec, VideoIn};
use edge_agent::domain::segment::{Payload, Segment};
use edge_agent::engine::ffmpeg::capabilities::{Capabilities, RtspOptions, detect};
use edge_agent::engine::ffmpeg::{Acquaintance, FfmpegEngine, Known, Workshop};
use edge_agent::engine::spool::watch::SpoolWatch;
use edge_agent::engine::{Engine, EngineError, EngineEvent, Exit, Halt, Run, StreamSpec};
use edge_agent::sys::child::Spawner;
use nix::sys::signal::Signal;

#[path = "support/camera.rs"]
#[allow(dead_code, reason = "another test binary uses the rest")]
mod camera;
#[path = "support/clip.rs"]
#[allow(dead_code, reason = "another test binary uses the rest")]
mod clip;
#[path = "engine/codecs.rs"]
mod codecs;
#[path = "engine/fmp4.rs"]
mod fmp4;
#[path = "engine/handover.rs"]
mod handover;
#[path = "engine/parts.rs"]
mod parts;
#[path = "support/script.rs"]
mod program;
#[path = "engine/renditions.rs"]
mod renditions;
#[path = "engine/switch.rs"]
mod switch;

const PATIENCE: Duration = Duration::from_secs(30);

/// `EDGE_AGENT_TEST_FFMPEG` names one beside the system's (`make ffmpegs`).
fn other_ffmpeg() -> Option<PathBuf> {
    std::env::var_os("EDGE_AGENT_TEST_FFMPEG").map(PathBuf::from)
}

fn engine(capabilities: Capabilities, source: &str, spool: &Path) -> FfmpegEngine {
    engine_within(capabilities, source, spool, u64::MAX)
}

fn engine_within(capabilities: Capabilities, source: &str, spool: &Path, share: u64) -> FfmpegEngine {
    let settings = Settings { segment_duration: Duration::from_secs(1), ..Settings::default() };
    engine_of(capabilities, source, spool, share, settings)
}

fn engine_of(
    capabilities: Capabilities,
    source: &str,
    spool: &Path,
    share: u64,
    settings: Settings,
) -> FfmpegEngine {
    let (workshop, spec) = workshop_of(capabilities, source, spool, share, settings);
    FfmpegEngine::new(workshop, spec)
}

fn workshop_of(
    capabilities: Capabilities,
    source: &str,
    spool: &Path,
    share: u64,
    settings: Settings,
) -> (Arc<Workshop>, StreamSpec) {
    let workshop = Workshop {
        capabilities,
        spawner: Spawner::start().expect("a thread"),
        watch: SpoolWatch::new(),
        spool_root: spool.to_owned(),
        spool_share: share.into(),
    };
    let source = source.parse().expect("a source");
    let spec = StreamSpec { camera: "cam".parse().expect("an id"), source, settings };
    (Arc::new(workshop), spec)
}

/// A shell script in ffmpeg's place.
fn script(folder: &Path, body: &str) -> Capabilities {
    let path: PathBuf = folder.join("ffmpeg");
    program::write(&path, body);
    let rtsp_options = RtspOptions::InScript;
    Capabilities {
        path,
        version: "script".into(),
        rtsp_options,
        draws_text: false,
        filters_units: false,
        has_fps_mode: true,
        h264_encoders: vec![],
    }
}

async fn start(engine: &FfmpegEngine) -> Box<dyn Run> {
    loop {
        match engine.start(RunId::new(1, 1)).await {
            Ok(run) => return run,
            // Another test's fork still holds the script that was just written.
            Err(EngineError::Spawn { error, .. }) if error.kind() == ErrorKind::ExecutableFileBusy => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn next(run: &mut Box<dyn Run>) -> EngineEvent {
    tokio::time::timeout(PATIENCE, run.next()).await.expect("an event in time")
}

async fn segment(run: &mut Box<dyn Run>) -> Segment {
    match next(run).await {
        EngineEvent::Segment(segment) => segment,
        other => panic!("{other:?}"),
    }
}

async fn exit(run: &mut Box<dyn Run>) -> Exit {
    loop {
        if let EngineEvent::Exited(exit) = next(run).await {
            return exit;
        }
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn ffmpeg_makes_segments_and_finishes_the_last_one_when_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg: apt-get install ffmpeg");
    assert!(ffmpeg.filters_units, "each release that is supported has it");
    assert_eq!(ffmpeg.has_fps_mode, !ffmpeg.version.starts_with("4."), "{}", ffmpeg.version);
    let engine = engine(ffmpeg, "test://", folder.path());
    let mut run = start(&engine).await;
    let (first, second) = (segment(&mut run).await, segment(&mut run).await);
    assert_eq!((first.index, second.index), (0, 1));
    assert_eq!(first.duration, Duration::from_secs(1));
    let between = second.program_time.duration_since(first.program_time).expect("forward");
    assert_eq!(between, first.duration, "stamps follow the durations");
    let Payload::File { path, bytes, .. } = first.payload;
    assert_eq!(fs::metadata(path).expect("it is there").len(), bytes);
    run.halt(Halt::Ask);
    let exit = exit(&mut run).await;
    assert_eq!((exit.code, exit.signal, exit.cause), (Some(0), None, Cause::Asked), "{exit:?}");
}

#[tokio::test]
async fn a_flood_on_stderr_neither_blocks_nor_fills_the_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let body = "i=0; while [ $i -lt 20000 ]; do echo \"line $i of rtsp://u:hunter2@h/\" >&2; i=$((i+1)); done; exit 7";
    let engine = engine(script(folder.path(), body), "test://", folder.path());
    let exit = exit(&mut start(&engine).await).await;
    assert_eq!((exit.code, exit.cause), (Some(7), Cause::Crashed));
    assert!(
        exit.last_words.len() <= 12 && exit.last_words.last().is_some_and(|l| l.starts_with("line 19999"))
    );
    assert!(!format!("{exit:?}").contains("hunter2"));
}

#[tokio::test]
async fn what_ffmpeg_says_becomes_the_cause() {
    for (said, code, cause) in [
        ("[error] Server returned 401 Unauthorized (authorization failed)", 8, Cause::Auth),
        ("[error] Server returned 404 Not Found", 8, Cause::NotFound),
        ("[error] Connection refused", 1, Cause::Unreachable),
        ("", 0, Cause::Disconnected),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = engine(
            script(folder.path(), &format!("echo '{said}' >&2; exit {code}")),
            "test://",
            folder.path(),
        );
        let exit = exit(&mut start(&engine).await).await;
        assert_eq!((exit.code, exit.cause), (Some(code), cause), "{said}");
    }
}

#[tokio::test]
async fn sound_that_nobody_can_decode_is_heard_of_in_the_last_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = [
        "[info]   Stream #0:0: Video: h264 (Main), yuv420p, 320x240, 10 fps",
        "[error] Decoder (codec none) not found for input stream #0:1",
    ];
    // Read when the child has ended.
    let body = format!("(sleep 0.1; printf '%s\\n' '{}' '{}' >&2) & exit 1", said[0], said[1]);
    let engine = engine(script(folder.path(), &body), "test://", folder.path());
    assert!(!engine.is_outgrown());
    let exit = exit(&mut start(&engine).await).await;
    assert!(engine.is_outgrown(), "the next one goes without it: {exit:?}");
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let ready = folder.path().join("ready");
    let body = format!("trap '' TERM; touch {}; while :; do sleep 0.05; done", ready.display());
    let engine = engine(script(folder.path(), &body), "test://", folder.path());
    let mut run = start(&engine).await;
    until("the script ignores signals", || ready.exists()).await;
    run.halt(Halt::Terminate);
    run.halt(Halt::Kill);
    let exit = exit(&mut run).await;
    assert_eq!((exit.code, exit.signal, exit.cause), (None, Some(9), Cause::Asked));
}

#[tokio::test]
async fn a_dropped_run_leaves_no_child_and_no_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid = folder.path().join("pid");
    let body = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600", pid.display());
    let engine = engine(script(folder.path(), &body), "test://", folder.path());
    let run = start(&engine).await;
    until("the script runs", || pid.exists()).await;
    let process = PathBuf::from(format!("/proc/{}", fs::read_to_string(&pid).expect("a pid").trim()));
    drop(run);
    until("the child is gone", || !process.exists()).await;
    until("its folder is gone", || !folder.path().join("cam").join(RunId::new(1, 1).to_string()).exists())
        .await;
}

#[tokio::test]
async fn the_password_reaches_ffmpeg_but_not_its_arguments() {
    let folder = tempfile::tempdir().expect("a folder");
    let (args, input) = (folder.path().join("args"), folder.path().join("input"));
    // The argument after -i is the pipe.
    let body = format!(
        "tr '\\0' '\\n' < /proc/$$/cmdline > {}\nwhile [ \"$1\" != -i ]; do shift; done\ncat \"$2\" > {}",
        args.display(),
        input.display()
    );
    let url = "rtsp://admin:hunter2@10.0.0.9/h264?token=hunter3";
    let engine = engine(script(folder.path(), &body), url, folder.path());
    exit(&mut start(&engine).await).await;
    let (args, input) = (fs::read_to_string(args).expect("args"), fs::read_to_string(input).expect("input"));
    assert!(args.contains("/dev/fd/") && !args.contains("hunter"), "{args}");
    assert!(input.contains(url), "{input}");
}

#[tokio::test]
async fn empty_and_cut_off_segments_are_lost_not_published() {
    let folder = tempfile::tempdir().expect("a folder");
    // As on a full tmpfs, which gives whole pages or nothing: the last argument is the playlist.
    let body = "for last; do :; done\ndir=$(dirname \"$last\")\n: > \"$dir/seg_000000.ts\"\n\
        head -c 4096 /dev/zero > \"$dir/seg_000001.ts\"\nhead -c 188 /dev/zero > \"$dir/seg_000002.ts\"\n\
        printf '#EXTM3U\\n#EXTINF:1.0,\\nseg_000000.ts\\n#EXTINF:1.0,\\nseg_000001.ts\\n#EXTINF:1.0,\\nseg_000002.ts\\n' \
        > \"$last.tmp\"\nmv \"$last.tmp\" \"$last\"\nsleep 1";
    let engine = engine(script(folder.path(), body), "test://", folder.path());
    let mut run = start(&engine).await;
    assert_eq!(segment(&mut run).await.index, 2);
    assert_eq!(next(&mut run).await, EngineEvent::Lost { segments: 2 });
}

#[tokio::test]
async fn what_a_dead_child_left_unfinished_is_removed_and_what_is_to_be_published_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let body = "for last; do :; done\ndir=$(dirname \"$last\")\nhead -c 188 /dev/zero > \"$dir/seg_000000.ts\"\n\
        printf '#EXTM3U\\n#EXTINF:1.0,\\nseg_000000.ts\\n' > \"$last.tmp\"; mv \"$last.tmp\" \"$last\"\n\
        echo half > \"$dir/seg_000001.ts.tmp\"; kill -9 $$";
    let engine = engine(script(folder.path(), body), "test://", folder.path());
    let mut run = start(&engine).await;
    let Payload::File { path, .. } = segment(&mut run).await.payload;
    let exit = exit(&mut run).await;
    assert_eq!((exit.signal, exit.cause), (Some(9), Cause::Crashed));
    let left = || fs::read_dir(path.parent().expect("a folder")).expect("it is there").count();
    until("only the segment is left", || left() == 1).await;
    assert!(path.exists());
}

#[tokio::test]
async fn a_spool_above_its_share_ends_the_run_until_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg: apt-get install ffmpeg");
    let noise = folder.path().join("noise.mkv");
    clip::noise(&noise).await;
    let source = format!("file://{}", noise.display());
    let engine = engine_within(ffmpeg, &source, &folder.path().join("spool"), 12_000_000);
    // Nobody publishes: what was handed over stays, and counts for the next run.
    let mut kept = Vec::new();
    for run in 0..3 {
        let mut run = engine.start(RunId::new(1, run)).await.expect("it starts");
        let exit = loop {
            match next(&mut run).await {
                EngineEvent::Segment(segment) => kept.push(segment.payload),
                EngineEvent::Exited(exit) => break exit,
                EngineEvent::Part(_)
                | EngineEvent::Lost { .. }
                | EngineEvent::Withheld { .. }
                | EngineEvent::Outgrown
                | EngineEvent::Unfit(_) => {}
            }
        };
        assert_eq!((exit.cause, exit.signal), (Cause::SpoolLimit, Some(9)), "{exit:?}");
        let said = exit.last_words.last().expect("it says why");
        assert!(said.contains("this camera's 12.0 MB of spool_limit: raise spool_limit"), "{said}");
    }
    let of = |payload: &Payload| match payload {
        Payload::File { path, bytes, .. } => (path.clone(), *bytes),
    };
    assert!(!kept.is_empty());
    assert!(kept.iter().map(of).all(|(path, bytes)| fs::metadata(path).expect("kept").len() == bytes));
    kept.iter().map(of).for_each(|(path, _)| fs::remove_file(path).expect("removed"));
    let mut run = engine.start(RunId::new(1, 9)).await.expect("it starts");
    assert_eq!(segment(&mut run).await.index, 0, "there is room again");
}

#[tokio::test]
async fn a_segment_that_would_not_fit_ends_the_run_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg: apt-get install ffmpeg");
    let (noise, spool) = (folder.path().join("noise.mkv"), folder.path().join("spool"));
    clip::noise(&noise).await;
    let engine = engine_within(ffmpeg, &format!("file://{}", noise.display()), &spool, 3_000_000);
    let mut run = engine.start(RunId::new(1, 1)).await.expect("it starts");
    let EngineEvent::Exited(exit) = next(&mut run).await else { panic!("1 s of noise is more than 1 MB") };
    assert_eq!((exit.cause, exit.signal), (Cause::SpoolLimit, Some(Signal::SIGXFSZ as i32)), "{exit:?}");
    let said = exit.last_words.last().expect("it says why");
    assert!(said.contains("beyond 1.0 MB, a third of this camera's 3.0 MB of spool_limit"), "{said}");
    drop(run);
    let left = || fs::read_dir(spool.join("cam")).expect("it is there").count();
    until("only the lock and the list of runs are left", || left() == 2).await;
}

#[tokio::test]
async fn a_missing_ffmpeg_is_named_with_its_mend() {
    let error = detect(Some(Path::new("/nowhere/ffmpeg"))).await.expect_err("there is none").to_string();
    assert!(error.contains("/nowhere/ffmpeg") && error.contains("apt-get install ffmpeg"), "{error}");
}

#[tokio::test]
async fn an_ffmpeg_that_is_killed_while_it_answers_is_asked_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let killed = folder.path().join("killed");
    let body = format!("[ -e {0} ] || {{ touch {0}; kill -9 $$; }}\nexec ffmpeg \"$@\"", killed.display());
    let path = script(folder.path(), &body).path;
    let found = detect(Some(&path)).await.expect("the second answer counts");
    assert!(killed.exists() && !found.h264_encoders.is_empty());
    let always = tempfile::tempdir().expect("a folder");
    let path = script(always.path(), "kill -9 $$").path;
    let error = detect(Some(&path)).await.expect_err("it never answers");
    assert!(error.to_string().contains("killed by signal 9 when asked `-version`"), "{error}");
}

fn path(segment: &Segment) -> &Path {
    match &segment.payload {
        Payload::File { path, .. } => path,
    }
}

/// What ffprobe says of the streams; `counted` also counts their packets.
async fn streams(input: &str, counted: bool) -> Vec<serde_json::Value> {
    let entries = "stream=codec_type,codec_name,profile,level,width,height,pix_fmt,sample_rate,channels";
    let mut ffprobe = tokio::process::Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-of", "json", "-show_entries"]);
    if counted {
        ffprobe.arg(format!("{entries},nb_read_packets")).arg("-count_packets");
    } else {
        ffprobe.args([entries, "-rtsp_transport", "tcp"]);
    }
    let output = ffprobe.arg(input).output().await.expect("install ffmpeg: apt-get install ffmpeg");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut streams: Vec<_> = told["streams"].as_array_mut().map(std::mem::take).expect("a list");
    streams.sort_by_key(|stream| stream["codec_type"].to_string());
    streams
}

/// What [`Camera`] sends.
fn media(opts: &CameraOpts) -> Media {
    let interval = Duration::from_secs(1) * opts.gop / opts.fps;
    Media {
        video: VideoIn {
            codec: VideoCodec::H264,
            profile: Some("Main".into()),
            pixel_format: Some("yuv420p".into()),
            width: opts.size.0,
            height: opts.size.1,
            fps: Some(opts.fps.into()),
            interlaced: false,
            b_frames: false,
            keyframes: Keyframes { longest: Some(interval), watched: 2 * interval, vary: false },
            bitrate_kbps: Some(2000),
        },
        audio: Some(AudioIn {
            codec: AudioCodec::Aac,
            profile: Some("LC".into()),
            sample_rate_hz: 48_000,
            channels: 2,
        }),
    }
}

/// An engine that copies this camera's streams.
async fn copying(camera: &Camera, opts: &CameraOpts, spool: &Path) -> FfmpegEngine {
    let settings = Settings { quality: Some(Quality::Auto), ..Settings::default() };
    copying_as(camera, opts, spool, settings).await
}

async fn copying_as(camera: &Camera, opts: &CameraOpts, spool: &Path, settings: Settings) -> FfmpegEngine {
    let ffmpeg = detect(None).await.expect("install ffmpeg: apt-get install ffmpeg");
    let (workshop, spec) = workshop_of(ffmpeg, &camera.url(), spool, u64::MAX, settings);
    let acquaintance = Acquaintance::default();
    acquaintance.learn(Known::Media(media(opts)));
    FfmpegEngine::acquainted(workshop, spec, acquaintance)
}

#[tokio::test]
async fn a_copy_is_the_cameras_own_streams_cut_at_its_keyframes() {
    let folder = tempfile::tempdir().expect("a folder");
    let opts = CameraOpts { size: (640, 360), gop: 75, ..CameraOpts::default() };
    let camera = Camera::start(opts.clone()).await;
    let engine = copying(&camera, &opts, folder.path()).await;
    let mut run = start(&engine).await;
    let sent = streams(&camera.url(), false).await;
    assert_eq!(sent.len(), 2, "audio and video");
    for index in 0..3 {
        let segment = segment(&mut run).await;
        assert_eq!(segment.index, index);
        let late = segment.duration.abs_diff(Duration::from_secs(3));
        // A run's first frame may be stamped one late.
        let most = Duration::from_millis(if index == 0 { 50 } else { 20 });
        assert!(late < most, "2 s were asked for: {:?}", segment.duration);
        let mut came = streams(&path(&segment).display().to_string(), true).await;
        let packets = came.iter_mut().map(|stream| stream["nb_read_packets"].take()).collect::<Vec<_>>();
        assert_eq!(packets[1], "75", "one GOP: {packets:?}");
        came.iter_mut()
            .for_each(|stream| drop(stream.as_object_mut().expect("a map").remove("nb_read_packets")));
        assert_eq!(came, sent);
    }
    run.halt(Halt::Ask);
    assert_eq!(exit(&mut run).await.cause, Cause::Asked);
}

#[tokio::test]
async fn a_re_encoded_camera_is_looked_at_again_when_it_comes_back_and_a_copied_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let opts = CameraOpts { size: (320, 180), audio: false, ..CameraOpts::default() };
    let camera = Camera::start(opts.clone()).await;
    for (gop, again) in [(500, true), (50, false)] {
        // What was known of it long ago.
        let engine = copying(&camera, &CameraOpts { gop, ..opts.clone() }, folder.path()).await;
        let mut run = start(&engine).await;
        segment(&mut run).await;
        assert!(!engine.is_outgrown(), "while it runs");
        run.halt(Halt::Ask);
        assert_eq!(exit(&mut run).await.cause, Cause::Asked);
        assert!(!engine.is_outgrown(), "its encoder works again: that is no news of the camera");
        let mut run = start(&engine).await;
        segment(&mut run).await;
        camera.control("kick").await;
        assert_eq!(exit(&mut run).await.cause, Cause::Disconnected);
        assert_eq!(engine.is_outgrown(), again, "GOPs of {gop} frames");
    }
}

#[tokio::test]
async fn a_camera_that_refuses_the_password_is_not_asked_once_more_for_a_look() {
    for (said, again) in [("Connection refused", true), ("Server returned 401 Unauthorized", false)] {
        let folder = tempfile::tempdir().expect("a folder");
        let ffmpeg = script(folder.path(), &format!("echo '[error] {said}' >&2; exit 8"));
        let settings = Settings { quality: Some(Quality::Auto), ..Settings::default() };
        let (workshop, spec) = workshop_of(ffmpeg, "rtsp://127.0.0.1:9/", folder.path(), u64::MAX, settings);
        let acquaintance = Acquaintance::default();
        acquaintance.learn(Known::Media(media(&CameraOpts { gop: 500, ..CameraOpts::default() })));
        let engine = FfmpegEngine::acquainted(workshop, spec, acquaintance);
        exit(&mut start(&engine).await).await;
        assert_eq!(engine.is_outgrown(), again, "{said}");
    }
}

#[tokio::test]
async fn a_copy_of_short_gops_has_segments_of_several() {
    let folder = tempfile::tempdir().expect("a folder");
    let opts = CameraOpts { size: (320, 180), gop: 15, audio: false, ..CameraOpts::default() };
    let camera = Camera::start(opts.clone()).await;
    let engine = copying(&camera, &opts, folder.path()).await;
    let mut run = start(&engine).await;
    for _ in 0..4 {
        let duration = segment(&mut run).await.duration;
        // A run's first frames may be stamped a frame late.
        assert!(duration.abs_diff(Duration::from_millis(2_400)) < Duration::from_millis(100), "{duration:?}");
    }
}

#[tokio::test]
async fn a_copy_is_unfit_when_the_cameras_clock_jumps() {
    let folder = tempfile::tempdir().expect("a folder");
    let opts = CameraOpts { size: (320, 180), ..CameraOpts::default() };
    let camera = Camera::start(opts.clone()).await;
    let engine = copying(&camera, &opts, folder.path()).await;
    for seconds in [60, -60] {
        let mut run = start(&engine).await;
        segment(&mut run).await;
        // Backwards it goes to the session's start at most: beyond that it has to have gone on for a while.
        while seconds < 0 && segment(&mut run).await.index < 3 {}
        camera.control(&format!("jump?seconds={seconds}")).await;
        let cause = loop {
            match next(&mut run).await {
                EngineEvent::Segment(segment) => {
                    assert!(segment.duration < Duration::from_secs(5), "{segment:?}")
                }
                EngineEvent::Unfit(cause) => break cause,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(cause, Cause::ClockJumped);
    }
}

#[tokio::test]
async fn a_cap_holds_and_audio_can_be_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let ffmpeg = detect(None).await.expect("install ffmpeg: apt-get install ffmpeg");
    let noise = folder.path().join("noise.mkv");
    clip::noise(&noise).await;
    let source = format!("file://{}", noise.display());
    let settings = Settings { max_bitrate: Some(1000), ..Settings::default() };
    let spool = folder.path().join("spool");
    let engine = engine_of(ffmpeg.clone(), &source, &spool, u64::MAX, settings);
    let mut run = start(&engine).await;
    for _ in 0..2 {
        let segment = segment(&mut run).await;
        let Payload::File { bytes, .. } = segment.payload;
        let kbps = bytes as f64 * 8.0 / 1000.0 / segment.duration.as_secs_f64();
        // The buffer's second comes on top of the first 2 s; without a cap it is 8,000 kbps and more.
        assert!((300.0..1600.0).contains(&kbps), "{kbps} kbps");
    }
    drop(run);
    let quiet = Settings { audio: false, ..Settings::default() };
    let engine = engine_of(ffmpeg, "test://", &folder.path().join("quiet"), u64::MAX, quiet);
    let mut run = start(&engine).await;
    let segment = segment(&mut run).await;
    let streams = streams(&path(&segment).display().to_string(), true).await;
    assert_eq!(streams.len(), 1, "{streams:?}");
    assert_eq!(streams[0]["codec_name"], "h264");
}

#[tokio::test]
async fn a_child_is_as_nice_as_it_is_told_to_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut said = Vec::new();
    for nice in [0, 7] {
        let folder = folder.path().join(nice.to_string());
        fs::create_dir(&folder).expect("a folder");
        let settings = Settings { nice, ..Settings::default() };
        let ffmpeg = script(&folder, "nice >&2; exit 7");
        let engine = engine_of(ffmpeg, "test://", &folder.join("spool"), u64::MAX, settings);
        let exit = exit(&mut start(&engine).await).await;
        said.push(exit.last_words.last().and_then(|line| line.parse::<i32>().ok()).expect("a number"));
    }
    assert_eq!(said[1], (said[0] + 7).min(19), "{said:?}");
}
