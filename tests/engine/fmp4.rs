//! fMP4 runs of the real ffmpeg: an init object, and segments that play behind it.

use edge_agent::domain::segment::SegmentType;

use super::*;

/// What players get: a segment as it is stored, behind its init object.
fn stored(segment: &Segment, folder: &Path) -> PathBuf {
    let header = segment.header.as_ref().expect("a run of fMP4 has one");
    let mut body = fs::read(path(segment)).expect("a segment");
    header.retime(&mut body);
    let file = folder.join(format!("{}.mp4", segment.index));
    fs::write(&file, [&header.bytes()[..], &body].concat()).expect("a file");
    file
}

/// As ffmpeg wrote it, with edit lists.
fn written(segment: &Segment, folder: &Path) -> PathBuf {
    let init = path(segment).parent().expect("a run's folder").join("init.mp4");
    let bytes =
        [fs::read(init).expect("an init object"), fs::read(path(segment)).expect("a segment")].concat();
    let file = folder.join(format!("{}-written.mp4", segment.index));
    fs::write(&file, bytes).expect("a file");
    file
}

async fn decode(file: &Path) {
    let mut ffmpeg = tokio::process::Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(file).args(["-f", "null", "-"]);
    let output = ffmpeg.output().await.expect("install ffmpeg: apt-get install ffmpeg");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", file.display());
}

/// When the first frame of a track is shown, in seconds.
async fn begins(file: &Path, track: &str) -> f64 {
    let mut ffprobe = tokio::process::Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-select_streams", track, "-show_entries", "packet=pts_time"]);
    let output = ffprobe.args(["-of", "csv=p=0"]).arg(file).output().await.expect("install ffmpeg");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let times = text.lines().filter_map(|line| line.trim_matches(',').parse::<f64>().ok());
    times.min_by(f64::total_cmp).unwrap_or_else(|| panic!("no {track} in {}", file.display()))
}

#[tokio::test]
async fn each_segment_plays_behind_the_runs_init_object() {
    let folder = tempfile::tempdir().expect("a folder");
    let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg: apt-get install ffmpeg");
    let settings = Settings {
        segment_type: SegmentType::Fmp4,
        segment_duration: Duration::from_secs(1),
        ..Settings::default()
    };
    let engine = engine_of(ffmpeg, "test://", &folder.path().join("spool"), u64::MAX, settings);
    let mut run = start(&engine).await;
    let (mut due, mut header) = (None, None);
    for index in 0..3 {
        let segment = segment(&mut run).await;
        assert_eq!((segment.index, segment.duration), (index, Duration::from_secs(1)));
        assert!(path(&segment).extension().is_some_and(|kind| kind == "m4s"));
        assert_eq!(*header.get_or_insert(segment.header.clone()), segment.header, "one for all");
        let file = stored(&segment, folder.path());
        decode(&file).await;
        let begins = begins(&file, "v").await;
        assert!((begins - due.unwrap_or(begins)).abs() < 0.002, "{begins} instead of {due:?}");
        due = Some(begins + 1.0);
    }
    run.halt(Halt::Ask);
    assert_eq!(exit(&mut run).await.cause, Cause::Asked);
}

#[tokio::test]
async fn sound_and_picture_of_a_copy_are_as_far_apart_as_edit_lists_say() {
    let folder = tempfile::tempdir().expect("a folder");
    for more in ["", "--b-frames=2"] {
        let opts = CameraOpts { size: (320, 180), more, ..CameraOpts::default() };
        let camera = Camera::start(opts.clone()).await;
        let settings =
            Settings { segment_type: SegmentType::Fmp4, quality: Some(Quality::Auto), ..Settings::default() };
        let engine = copying_as(&camera, &opts, &folder.path().join("spool"), settings).await;
        let mut run = start(&engine).await;
        let segment = segment(&mut run).await;
        let (ours, edited) = (stored(&segment, folder.path()), written(&segment, folder.path()));
        let apart = async |file: &Path| begins(file, "v").await - begins(file, "a").await;
        let (ours_s, edited_s) = (apart(&ours).await, apart(&edited).await);
        assert!((ours_s - edited_s).abs() < 0.003, "{ours_s} s apart, {edited_s} s are meant");
        decode(&ours).await;
        let header = segment.header.expect("a header");
        assert!(!header.bytes().windows(4).any(|kind| kind == b"edts"), "no player applies them twice");
    }
}

#[tokio::test]
async fn a_run_without_its_init_object_is_lost_and_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let body = "for last; do :; done\ndir=$(dirname \"$last\")\n: > \"$dir/init.mp4\"\n\
        printf '\\000\\000\\000\\010free' > \"$dir/seg_000000.m4s\"\n\
        printf '#EXTM3U\\n#EXTINF:1.0,\\nseg_000000.m4s\\n' > \"$last.tmp\"; mv \"$last.tmp\" \"$last\"\nexec sleep 60";
    let settings = Settings { segment_type: SegmentType::Fmp4, ..Settings::default() };
    let spool = folder.path().join("spool");
    let engine = engine_of(script(folder.path(), body), "test://", &spool, u64::MAX, settings);
    let mut run = start(&engine).await;
    assert_eq!(next(&mut run).await, EngineEvent::Lost { segments: 1 });
    assert_eq!(next(&mut run).await, EngineEvent::Unfit(Cause::Spool));
}
