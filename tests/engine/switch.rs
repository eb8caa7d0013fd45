//! A camera that is set anew without ending its session: only its parameter sets tell.

use edge_agent::domain::segment::SegmentType;

use super::*;

const SIZE: (u32, u32) = (320, 180);

/// Viewers get nothing of another size until the run is told unfit.
async fn ends_unfit(run: &mut Box<dyn Run>, folder: &Path) {
    let mut withheld = 0;
    loop {
        match next(run).await {
            EngineEvent::Segment(segment) => assert_eq!(sizes(&segment, folder).await, [SIZE]),
            EngineEvent::Withheld { segments } => withheld += segments,
            EngineEvent::Unfit(cause) => {
                assert_eq!(cause, Cause::StreamChanged);
                // More than one, where two came between two looks.
                return assert!((1..=3).contains(&withheld), "{withheld}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Of all frames of a segment, each size once.
async fn sizes(segment: &Segment, folder: &Path) -> Vec<(u32, u32)> {
    let header = segment.header.as_ref().map_or(&[][..], |header| header.bytes());
    let (file, body) = (folder.join("segment"), fs::read(path(segment)).expect("a segment"));
    fs::write(&file, [header, &body].concat()).expect("a file");
    let mut ffprobe = tokio::process::Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-select_streams", "v", "-show_entries", "frame=width,height"]);
    let output = ffprobe.args(["-of", "csv=p=0"]).arg(file).output().await.expect("install ffmpeg");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = |line: &str| -> Option<(u32, u32)> {
        let (width, height) = line.trim_end_matches(',').split_once(',')?;
        Some((width.parse().ok()?, height.split(',').next()?.parse().ok()?))
    };
    let mut sizes: Vec<_> = text.lines().filter_map(numbers).collect();
    sizes.dedup();
    assert!(!sizes.is_empty(), "{text}");
    sizes
}

async fn what_is_of_another_picture_is_not_shown(segment_type: SegmentType, more: &'static str, gop: u32) {
    let folder = tempfile::tempdir().expect("a folder");
    let opts = CameraOpts { size: SIZE, gop, more, ..CameraOpts::default() };
    let camera = Camera::start(opts.clone()).await;
    let settings =
        Settings { segment_type, quality: Some(Quality::Auto), passthrough: true, ..Settings::default() };
    let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg: apt-get install ffmpeg");
    let (workshop, spec) = workshop_of(ffmpeg, &camera.url(), folder.path(), u64::MAX, settings);
    let acquaintance = Acquaintance::default();
    let mut media = media(&opts);
    if more.contains("h265") {
        (media.video.codec, media.video.profile) = (VideoCodec::H265, Some("Main".into()));
    }
    acquaintance.learn(Known::Media(media));
    let engine = FfmpegEngine::acquainted(workshop, spec, acquaintance);
    let mut run = start(&engine).await;
    let first = segment(&mut run).await;
    assert_eq!(sizes(&first, folder.path()).await, [SIZE]);
    // Another rate, and parameter sets that say so, but the same picture.
    camera.control("switch?fps=30").await;
    assert_eq!(sizes(&segment(&mut run).await, folder.path()).await, [SIZE]);
    assert!(!engine.is_outgrown(), "nothing has changed");
    camera.control("switch?size=640x360").await;
    ends_unfit(&mut run, folder.path()).await;
    assert!(engine.is_outgrown(), "it is looked at again");
    run.halt(Halt::Ask);
    loop {
        match next(&mut run).await {
            EngineEvent::Withheld { .. } => {}
            EngineEvent::Exited(exit) => return assert_eq!(exit.cause, Cause::Asked),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn another_picture_in_a_session_ends_a_copied_run() {
    // The second one has it in the middle of a segment.
    for gop in [50, 15] {
        what_is_of_another_picture_is_not_shown(SegmentType::MpegTs, "", gop).await;
    }
}

#[tokio::test]
async fn also_where_players_know_the_picture_from_the_init_object() {
    for gop in [50, 15] {
        what_is_of_another_picture_is_not_shown(SegmentType::Fmp4, "", gop).await;
    }
    let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg: apt-get install ffmpeg");
    let major = ffmpeg.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    // 7.1 leaves parameter sets in samples of `hvc1`; 9.0 takes them out, and then nothing tells: docs/configuration.md.
    if major < Some(8) {
        what_is_of_another_picture_is_not_shown(SegmentType::Fmp4, "--codec=h265", 50).await;
    }
}
