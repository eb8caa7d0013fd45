//! Camera -> agent -> bucket for a minute, as an independent viewer sees it.

use std::time::Duration;

use crate::bucket::{Watch, segments};
use crate::support::agent::Place;
use crate::support::camera::{Camera, CameraOpts};
use crate::support::frames::{self, Expected};
use crate::support::viewer::Viewer;
use crate::{BUCKET, NO_FFMPEG_WITHIN, STOP_WITHIN, UP_WITHIN, alone, folder_of, minio, playlist_of};

/// 60 s in segments of 2 s.
const SEGMENTS: usize = 30;
const WINDOW: usize = 5;
/// A segment is held for its own 2 s and the 10 s of the longest playlist that named it.
const HELD: usize = 6;
const LONGEST_GAP: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_is_seen_through_the_bucket_for_a_minute() {
    let _turn = alone().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts::default()).await;
    let mut place = Place::new("main-job");
    place.configure(&minio, BUCKET, &[("cam_floor", &camera.url())], "");
    let mut viewer = Viewer::watch(&playlist_of(&minio, "cam_floor"), &place.path().join("seen"));
    let bucket = Watch::start(&minio, folder_of("cam_floor"));

    let mut agent = place.start(&["--camera", "cam_floor"]);
    viewer.segments(1, UP_WITHIN).await;
    assert_eq!(place.ffmpegs().len(), 1, "one ffmpeg per camera");
    viewer.segments(SEGMENTS, Duration::from_secs(120)).await;
    agent.assert_running();

    let counts: Vec<_> = bucket.stop().await.iter().map(Vec::len).collect();
    assert!(counts.len() >= 40, "the bucket was listed {} times only", counts.len());
    // After a playlist that was late the window is one longer, so that what it named last is named long enough.
    assert!(counts.iter().all(|count| *count <= WINDOW + HELD + 2), "{counts:?}");
    let more = counts.iter().filter(|count| **count > WINDOW + HELD + 1).count();
    assert!(more * 10 <= counts.len(), "{counts:?}");

    // A segment has just begun: its short rest must not be lost.
    let before = viewer.segment_count() + 1;
    viewer.segments(before, UP_WITHIN).await;
    agent.stop(STOP_WITHIN).await;
    place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;
    viewer.segments(before + 1, Duration::from_secs(5)).await;

    // The last segment is short: the hold has room for one more.
    let left = segments(&minio.client(), &folder_of("cam_floor")).await;
    assert!(left.len() <= WINDOW + HELD + 2, "{left:?}");

    // A camera that a busy machine holds up costs a run; nothing else does.
    let held_up = camera.held_up().await;
    let report = viewer.stop().await;
    report.assert_legal();
    report.assert_no_gap_of(if held_up == 0 { LONGEST_GAP } else { 2 * LONGEST_GAP });
    let last = report.segments.last().unwrap().segment.duration;
    assert!(
        last < Duration::from_millis(1900),
        "the last segment is a whole one ({last:?}), not ffmpeg's last"
    );
    let seams = report.segments.iter().skip(1).filter(|seen| seen.segment.discontinuity).count();
    assert!(seams <= held_up, "one run, one continuity: {seams} seams, {held_up} times held up");
    let expected = Expected { size: (854, 480), fps: 15, audio: true };
    assert_eq!(frames::faults(&report.segments, expected).await, Vec::<String>::new());
}
