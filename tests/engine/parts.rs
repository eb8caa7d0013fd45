//! Runs in parts: real frames out of ffmpeg's pipes, told a part at a time.

use edge_agent::config::model::SubSecond;
use edge_agent::domain::segment::{Part, SegmentType};

use super::*;

const PART: Duration = Duration::from_millis(200);

fn settings() -> Settings {
    Settings {
        sub_second: Some(SubSecond { part_duration: PART, compat_segments: true }),
        segment_type: SegmentType::Fmp4,
        segment_duration: Duration::from_secs(1),
        target_width: 320,
        ..Settings::default()
    }
}

/// What a run told until it had told so many segments.
struct Told {
    parts: Vec<Part>,
    segments: Vec<Segment>,
}

async fn told(run: &mut Box<dyn Run>, segments: usize) -> Told {
    let mut told = Told { parts: Vec::new(), segments: Vec::new() };
    while told.segments.len() < segments {
        match next(run).await {
            EngineEvent::Part(part) => told.parts.push(part),
            EngineEvent::Segment(segment) => told.segments.push(segment),
            other => panic!("{other:?}"),
        }
    }
    told
}

impl Told {
    /// Segments are their parts one behind the other, and nothing is missing.
    fn check(&self) {
        for (number, part) in self.parts.iter().enumerate() {
            assert_eq!(part.number, number as u64);
        }
        for (index, segment) in self.segments.iter().enumerate() {
            assert_eq!(segment.index, index as u64);
            let parts: Vec<_> = self.parts.iter().filter(|part| part.segment == segment.index).collect();
            assert!(parts[0].independent, "a player may begin there");
            let bytes: Vec<u8> = parts.iter().flat_map(|part| part.bytes.to_vec()).collect();
            assert!(fs::read(path(segment)).expect("a segment") == bytes, "segment {index}");
            let all: Duration = parts.iter().map(|part| part.duration).sum();
            assert!(
                all.abs_diff(segment.duration) < Duration::from_micros(10),
                "{all:?} {:?}",
                segment.duration
            );
        }
    }

    fn init(&self) -> &[u8] {
        self.segments[0].header.as_ref().expect("a run of fMP4 has one").bytes()
    }

    /// The init object and all parts, as a player puts them together.
    fn film(&self, folder: &Path) -> PathBuf {
        let parts = self.parts.iter().flat_map(|part| part.bytes.to_vec());
        let file = folder.join("film.mp4");
        fs::write(&file, self.init().iter().copied().chain(parts).collect::<Vec<_>>()).expect("a file");
        file
    }
}

/// When the packets of a track are decoded and shown, in seconds.
async fn times(file: &Path, track: &str) -> Vec<(f64, f64)> {
    let mut ffprobe = tokio::process::Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-select_streams", track, "-show_entries", "packet=pts_time,dts_time"]);
    let output = ffprobe.args(["-of", "csv=p=0"]).arg(file).output().await.expect("install ffmpeg");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = |line: &str| {
        let mut numbers = line.split(',').filter_map(|number| number.parse::<f64>().ok());
        numbers.next().zip(numbers.next()).map(|(pts, dts)| (dts, pts))
    };
    text.lines().filter_map(numbers).collect()
}

/// No frame is missing and none is moved: each is as far behind the one before as it has to be.
fn assert_even(times: &[(f64, f64)], step: f64, slack: f64) {
    assert!(times.len() > 10, "{times:?}");
    for pair in times.windows(2) {
        let apart = pair[1].0 - pair[0].0;
        assert!((apart - step).abs() <= slack, "{apart} instead of {step} at {}", pair[0].0);
    }
}

async fn decode(file: &Path) {
    let mut ffmpeg = tokio::process::Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(file).args(["-f", "null", "-"]);
    let output = ffmpeg.output().await.expect("install ffmpeg: apt-get install ffmpeg");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", file.display());
}

#[tokio::test]
async fn an_encoded_run_has_even_parts_that_play() {
    for (fps, frames) in [(15, 3), (25, 5), (30, 6), (12, 2)] {
        let folder = tempfile::tempdir().expect("a folder");
        let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg: apt-get install ffmpeg");
        let settings = Settings { target_fps: fps, ..settings() };
        let engine = engine_of(ffmpeg, "test://", &folder.path().join("spool"), u64::MAX, settings);
        let mut run = start(&engine).await;
        let told = told(&mut run, 3).await;
        told.check();
        let part = Duration::from_secs_f64(f64::from(frames) / f64::from(fps));
        for part_told in &told.parts {
            assert!(
                part_told.duration.abs_diff(part) < Duration::from_micros(10),
                "{fps} fps: {part_told:?}"
            );
        }
        assert!(told.segments.iter().all(|segment| segment.duration == Duration::from_secs(1)), "{fps} fps");
        let film = told.film(folder.path());
        decode(&film).await;
        assert_even(&times(&film, "v").await, 1.0 / f64::from(fps), 0.0005);
        assert_even(&times(&film, "a").await, 1024.0 / 48_000.0, 0.0005);
        run.halt(Halt::Ask);
        assert_eq!(exit(&mut run).await.cause, Cause::Asked);
    }
}

#[tokio::test]
async fn a_run_that_is_asked_to_end_tells_its_last_part_and_segment() {
    let folder = tempfile::tempdir().expect("a folder");
    let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg: apt-get install ffmpeg");
    let engine = engine_of(ffmpeg, "test://", &folder.path().join("spool"), u64::MAX, settings());
    let mut run = start(&engine).await;
    let mut told = told(&mut run, 1).await;
    while told.parts.len() < 7 {
        match next(&mut run).await {
            EngineEvent::Part(part) => told.parts.push(part),
            other => panic!("{other:?}"),
        }
    }
    run.halt(Halt::Ask);
    let exit = loop {
        match next(&mut run).await {
            EngineEvent::Part(part) => told.parts.push(part),
            EngineEvent::Segment(segment) => told.segments.push(segment),
            EngineEvent::Exited(exit) => break exit,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(exit.cause, Cause::Asked, "{exit:?}");
    told.check();
    let all: u64 = told.parts.last().map(|part| part.segment).expect("parts");
    assert_eq!(told.segments.last().map(|segment| segment.index), Some(all), "nothing is left over");
    decode(&told.film(folder.path())).await;
    let left: Vec<_> =
        fs::read_dir(path(&told.segments[0]).parent().expect("a folder")).expect("it is there").collect();
    assert_eq!(left.len(), told.segments.len(), "{left:?}");
}

/// With a picture that begins later than the sound, as cameras have it, and shown in another order than decoded.
#[tokio::test]
async fn sound_and_picture_stay_as_far_apart_as_they_were() {
    let folder = tempfile::tempdir().expect("a folder");
    for late in ["0.7", "0.25"] {
        for b_frames in ["0", "2"] {
            let clip = folder.path().join(format!("clip{late}{b_frames}.mp4"));
            let mut make = tokio::process::Command::new("ffmpeg");
            make.args(["-v", "error", "-y", "-f", "lavfi", "-i", "sine=sample_rate=16000"]);
            make.args(["-itsoffset", late, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"]);
            make.args([
                "-map",
                "1:v",
                "-map",
                "0:a",
                "-t",
                "6",
                "-c:v",
                "libx264",
                "-profile:v",
                "main",
                "-g",
                "25",
            ]);
            make.args(["-bf", b_frames, "-sc_threshold", "0", "-c:a", "aac"]).arg(&clip);
            assert!(make.status().await.expect("install ffmpeg").success());
            let settings = Settings { quality: Some(Quality::Auto), ..settings() };
            let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg");
            let spool = folder.path().join(format!("spool{late}{b_frames}"));
            let source = format!("file://{}", clip.display());
            let (workshop, spec) = workshop_of(ffmpeg, &source, &spool, u64::MAX, settings);
            let acquaintance = Acquaintance::default();
            acquaintance.learn(Known::Media(media(&CameraOpts {
                size: (320, 180),
                gop: 25,
                ..CameraOpts::default()
            })));
            let engine = FfmpegEngine::acquainted(workshop, spec, acquaintance);
            let mut run = start(&engine).await;
            let told = told(&mut run, 3).await;
            told.check();
            let film = told.film(folder.path());
            decode(&film).await;
            let (picture, sound) = (times(&film, "v").await, times(&film, "a").await);
            assert_even(&picture, 0.04, 0.001);
            assert_even(&sound, 0.064, 0.0015);
            let shown = picture.iter().map(|(_, shown)| *shown).min_by(f64::total_cmp).expect("a picture");
            let original = times(&clip, "v").await.iter().map(|(_, shown)| *shown).min_by(f64::total_cmp);
            let heard = times(&clip, "a").await[0].1;
            // Each packet of sound keeps its distance to the picture, those before it are left out.
            let apart = |heard: f64| (heard - original.expect("a picture")) / 0.064;
            let ours = (sound[0].1 - shown) / 0.064;
            let off = (ours - apart(heard)).rem_euclid(1.0);
            assert!(off.min(1.0 - off) < 0.05, "{ours} {} packets behind the picture", apart(heard));
            let waits = sound[0].1 - shown;
            assert!(waits.abs() < 0.13, "what is heard before the first picture is left out: {waits}");
        }
    }
}

/// Players end where the first track of two does: a camera that falls silent must not stop its picture.
#[tokio::test]
async fn silence_takes_the_place_of_sound_that_has_stopped() {
    for (more, frames, packet) in [("", 47, 0.064), ("--audio=pcma", 150, 0.128)] {
        let folder = tempfile::tempdir().expect("a folder");
        let opts =
            CameraOpts { size: (320, 180), gop: 25, audio: more.is_empty(), more, ..CameraOpts::default() };
        let camera = Camera::start(opts.clone()).await;
        let known = CameraOpts { audio: true, ..opts };
        let engine = knowing(&camera, &known, true, &folder.path().join("spool")).await;
        let mut run = start(&engine).await;
        let mut all = told(&mut run, 2).await;
        // Three seconds: from five on ffmpeg would take it for another clock.
        camera.control(&format!("lose?what=audio&frames={frames}")).await;
        let rest = told(&mut run, 7).await;
        all.parts.extend(rest.parts);
        all.segments.extend(rest.segments);
        all.check();
        let film = all.film(folder.path());
        decode(&film).await;
        let (picture, sound) = (times(&film, "v").await, times(&film, "a").await);
        let ends = |times: &[(f64, f64)]| times.last().map(|(decoded, _)| *decoded).expect("some");
        // What an encoder of sound keeps back is in the next part.
        assert!((ends(&picture) - ends(&sound)).abs() < 1.0, "{more}: {} {}", ends(&picture), ends(&sound));
        let gap = sound.windows(2).map(|pair| pair[1].0 - pair[0].0).fold(0.0, f64::max);
        // Less than two packets are no silence yet.
        assert!(
            gap < 3.0 * packet + 0.005,
            "{more}: nothing is heard for {gap} s, of {} packets",
            sound.len()
        );
        run.halt(Halt::Ask);
        assert_eq!(exit(&mut run).await.cause, Cause::Asked);
    }
}

/// Copies a camera of which this is known.
async fn knowing(camera: &Camera, opts: &CameraOpts, audio: bool, spool: &Path) -> FfmpegEngine {
    let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg: apt-get install ffmpeg");
    let settings = Settings { quality: Some(Quality::Auto), ..settings() };
    let (workshop, spec) = workshop_of(ffmpeg, &camera.url(), spool, u64::MAX, settings);
    let acquaintance = Acquaintance::default();
    let mut known = media(opts);
    if opts.more.contains("pcm") {
        known.audio =
            Some(AudioIn { codec: AudioCodec::Pcma, profile: None, sample_rate_hz: 8_000, channels: 1 });
    }
    acquaintance.learn(Known::Media(Media { audio: known.audio.clone().filter(|_| audio), ..known }));
    FfmpegEngine::acquainted(workshop, spec, acquaintance)
}

#[tokio::test]
async fn a_camera_that_lost_its_sound_is_looked_at_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let opts = CameraOpts { size: (320, 180), gop: 25, audio: false, ..CameraOpts::default() };
    let camera = Camera::start(opts.clone()).await;
    let engine = knowing(&camera, &opts, true, folder.path()).await;
    let exit = exit(&mut start(&engine).await).await;
    assert!(engine.is_outgrown(), "{exit:?}");
}

#[tokio::test]
async fn a_copied_camera_gives_its_own_frames_in_parts() {
    for (fps, gop, audio, frames) in [(25, 25, true, 5), (15, 30, false, 3), (12, 12, true, 2)] {
        let folder = tempfile::tempdir().expect("a folder");
        let opts = CameraOpts { size: (320, 180), fps, gop, audio, ..CameraOpts::default() };
        let camera = Camera::start(opts.clone()).await;
        let engine = knowing(&camera, &opts, audio, &folder.path().join("spool")).await;
        let mut run = start(&engine).await;
        let told = told(&mut run, 3).await;
        told.check();
        let expected = Duration::from_secs_f64(f64::from(frames) / f64::from(fps));
        // A camera's first frames may be stamped a little late.
        for part in told.parts.iter().skip(10) {
            assert!(part.duration.abs_diff(expected) < Duration::from_millis(30), "{fps} fps: {part:?}");
        }
        let film = told.film(folder.path());
        decode(&film).await;
        let tracks = streams(&film.display().to_string(), true).await;
        assert_eq!(tracks.len(), if audio { 2 } else { 1 });
        run.halt(Halt::Ask);
        assert_eq!(exit(&mut run).await.cause, Cause::Asked);
    }
}

/// Of cameras with other rates than whole ones, and with sound that no browser plays.
#[tokio::test]
async fn parts_of_any_rate_are_alike_and_g711_is_heard() {
    for (fps, more, rate, frames) in [
        (13, "--fps=25/2 --gop=13 --audio=pcma", 12.5, 3.0),
        (30, "--fps=30000/1001 --gop=30 --audio=pcmu", 30_000.0 / 1001.0, 6.0),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let opts =
            CameraOpts { size: (320, 180), fps, gop: fps, audio: false, more, ..CameraOpts::default() };
        let camera = Camera::start(opts.clone()).await;
        let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg: apt-get install ffmpeg");
        let settings = Settings { quality: Some(Quality::Auto), ..settings() };
        let spool = folder.path().join("spool");
        let (workshop, spec) = workshop_of(ffmpeg, &camera.url(), &spool, u64::MAX, settings);
        // As it would be found: a look takes several GOPs.
        let mut known = media(&opts);
        known.video.fps = Some(rate);
        known.audio =
            Some(AudioIn { codec: AudioCodec::Pcma, profile: None, sample_rate_hz: 8_000, channels: 1 });
        let acquaintance = Acquaintance::default();
        acquaintance.learn(Known::Media(known));
        let engine = FfmpegEngine::acquainted(workshop, spec, acquaintance);
        let mut run = start(&engine).await;
        let told = told(&mut run, 3).await;
        told.check();
        let expected = Duration::from_secs_f64(frames / rate);
        let last =
            |part: &Part| told.parts.iter().any(|next| next.number == part.number + 1 && next.independent);
        // A camera's first frames may be stamped a little late, and a GOP's last part has what is left.
        for part in
            told.parts.iter().skip(6).filter(|part| !last(part) && part.number + 1 < told.parts.len() as u64)
        {
            assert!(part.duration.abs_diff(expected) < Duration::from_millis(30), "{rate} fps: {part:?}");
        }
        let film = told.film(folder.path());
        decode(&film).await;
        let sound = times(&film, "a").await;
        assert!(sound.len() > 10, "{rate} fps: {} packets of sound", sound.len());
        run.halt(Halt::Ask);
        assert_eq!(exit(&mut run).await.cause, Cause::Asked);
    }
}

#[tokio::test]
async fn what_is_no_fragment_ends_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine_of(
        script(folder.path(), "echo this is no box at all; exec sleep 60"),
        "test://",
        &folder.path().join("spool"),
        u64::MAX,
        settings(),
    );
    let mut run = start(&engine).await;
    assert_eq!(next(&mut run).await, EngineEvent::Unfit(Cause::BadStream));
}
