//! Several encodings in one run of the real ffmpeg: they are cut at the same frames.

use edge_agent::domain::choice::Rendition;
use edge_agent::domain::segment::SegmentType;

use super::*;

/// Width, and when its first and last pictures are shown, in seconds.
async fn picture(file: &Path) -> (u64, f64, f64) {
    let mut ffprobe = tokio::process::Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-select_streams", "v", "-show_entries", "stream=width:packet=pts_time"]);
    let output = ffprobe.args(["-of", "json"]).arg(file).output().await.expect("install ffmpeg");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let time = |packet: &serde_json::Value| packet["pts_time"].as_str().and_then(|time| time.parse().ok());
    let times: Vec<f64> = json["packets"].as_array().into_iter().flatten().filter_map(time).collect();
    let (first, last) = (times.iter().copied().reduce(f64::min), times.iter().copied().reduce(f64::max));
    let width = json["streams"][0]["width"].as_u64();
    (width.expect("a picture"), first.expect("a frame"), last.expect("a frame"))
}

async fn cut_alike(segment_type: SegmentType) {
    let folder = tempfile::tempdir().expect("a folder");
    let ffmpeg = detect(other_ffmpeg().as_deref()).await.expect("install ffmpeg: apt-get install ffmpeg");
    let rendition = |width| Rendition { width, max_kbps: Some(400) };
    let settings = Settings {
        segment_type,
        segment_duration: Duration::from_secs(1),
        renditions: vec![rendition(640), rendition(320), rendition(160)],
        ..Settings::default()
    };
    let engine = engine_of(ffmpeg, "test://", &folder.path().join("spool"), u64::MAX, settings);
    let mut run = start(&engine).await;
    for index in 0..3 {
        let segment = segment(&mut run).await;
        assert_eq!((segment.index, segment.duration), (index, Duration::from_secs(1)));
        let files: Vec<_> = segment.payload.paths().collect();
        let bytes: u64 = files.iter().map(|file| fs::metadata(file).expect("it is whole").len()).sum();
        assert_eq!((files.len(), bytes), (3, segment.payload.bytes()));
        let mut pictures = Vec::new();
        for (number, file) in (1..).zip(files) {
            let alone = folder.path().join(format!("{index}-{number}"));
            let init = segment.header.as_ref().map(|header| header.rendition(number).bytes().to_vec());
            let body = fs::read(file).expect("a segment");
            fs::write(&alone, [init.unwrap_or_default(), body].concat()).expect("a file");
            pictures.push(picture(&alone).await);
        }
        assert_eq!(pictures.iter().map(|(width, ..)| *width).collect::<Vec<_>>(), [640, 320, 160]);
        let times: Vec<_> = pictures.iter().map(|(_, first, last)| (*first, *last)).collect();
        assert!(times.iter().all(|time| *time == times[0]), "{times:?}");
    }
    run.halt(Halt::Ask);
    assert_eq!(exit(&mut run).await.cause, Cause::Asked);
}

#[tokio::test]
async fn renditions_are_cut_at_the_same_frames() {
    cut_alike(SegmentType::MpegTs).await;
    cut_alike(SegmentType::Fmp4).await;
}

/// A file system that is full gives half a file, of one rendition perhaps.
#[tokio::test]
async fn a_segment_that_one_rendition_lacks_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    // Its first segment lacks the second rendition's file, its second one has all.
    let body = r#"
        for last; do :; done
        cd "$(dirname "$last")"
        head -c 188 /dev/zero | tee seg_000000.ts seg_000001.ts > seg_000001_2.ts
        list() { printf '#EXTM3U\n'; for i in 0 1; do printf '#EXTINF:1.0,\nseg_00000%s%s.ts\n' $i "$1"; done; }
        list "" > index.tmp; mv index.tmp index.m3u8
        list _2 > index.tmp; mv index.tmp index_2.m3u8
        head -c 1 > /dev/null
    "#;
    let rendition = |width| Rendition { width, max_kbps: None };
    let settings = Settings { renditions: vec![rendition(640), rendition(320)], ..Settings::default() };
    let engine =
        engine_of(script(folder.path(), body), "test://", &folder.path().join("spool"), u64::MAX, settings);
    let mut run = start(&engine).await;
    let mut events = vec![next(&mut run).await, next(&mut run).await];
    events.sort_by_key(|event| matches!(event, EngineEvent::Lost { .. }));
    let [EngineEvent::Segment(segment), EngineEvent::Lost { segments: 1 }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((segment.index, segment.payload.bytes()), (1, 2 * 188));
    let run_folder = path(segment).parent().expect("a run's folder").to_owned();
    assert!(!run_folder.join("seg_000000.ts").exists(), "nobody else would remove it");
    run.halt(Halt::Ask);
    exit(&mut run).await;
    segment.payload.paths().for_each(|file| fs::remove_file(file).expect("the publisher's to remove"));
}
