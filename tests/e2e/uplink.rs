//! An uplink that is slower than the stream.

use std::time::Duration;

use crate::support::agent::Place;
use crate::support::minio::Minio;
use crate::support::throttle::Throttle;
use crate::support::viewer::Viewer;
use crate::{BUCKET, STOP_WITHIN, UP_WITHIN, alone, folder_of, minio, playlist_of};

/// Of the segments that are stored now: what the stream needs.
async fn kbps(minio: &Minio, camera: &str, segment_s: u32) -> u64 {
    let prefix = folder_of(camera);
    let listed = minio.client().list_objects_v2().bucket(BUCKET).prefix(&prefix).send().await;
    let listed = listed.expect("MinIO lists");
    let segments = listed.contents().iter().filter(|object| object.key().unwrap().ends_with(".ts"));
    let sizes: Vec<_> = segments.map(|object| object.size().unwrap() as f64).collect();
    (sizes.iter().sum::<f64>() * 8.0 / 1000.0 / (f64::from(segment_s) * sizes.len() as f64)) as u64
}

/// `name=123` of a log line.
fn field(line: &str, name: &str) -> u64 {
    let at = line.find(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {line}"));
    let digits = line[at + name.len() + 1..].split(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().unwrap_or_else(|_| panic!("no number behind {name} in {line}"))
}

fn assert_near(what: &str, told: u64, truth: u64) {
    let ratio = told as f64 / truth as f64;
    assert!((0.66..1.5).contains(&ratio), "{what}: told {told}, but it is {truth}");
}

/// The uplink is fast, then so slow, then fast again.
async fn over_a_slow_uplink(name: &str, segment_s: u32, of_bitrate: f64, new_segments: usize) {
    let _turn = alone().await;
    let minio = minio().await;
    let uplink = Throttle::before(&minio.endpoint).await;
    let mut place = Place::new(name);
    let settings = format!(
        "defaults:
  settings: {{segment_duration: {segment_s}}}
"
    );
    place.configure_at(&uplink.endpoint(), &minio, BUCKET, &[("cam", "test://")], &settings);
    let mut viewer = Viewer::watch(&playlist_of(&minio, "cam"), &place.path().join("seen"));
    let mut agent = place.start(&[]);
    viewer.segments(5, UP_WITHIN).await;
    let needs = kbps(&minio, "cam", segment_s).await;
    let carries = (needs as f64 * of_bitrate) as u64;
    uplink.set_kbps(carries);

    let line =
        agent.log_line(&["warn", "camera=cam", "given up", "carries_kbps"], Duration::from_secs(240)).await;
    assert_near("needs", field(&line, "needs_kbps"), needs);
    assert_near("carries", field(&line, "carries_kbps"), carries);
    let short = ((1.0 - of_bitrate) * 100.0) as u64;
    assert!(field(&line, "short_percent").abs_diff(short) < 15, "{line}");
    let seen = viewer.segment_count();
    let most = Duration::from_secs_f64(60.0 + new_segments as f64 * 3.0 * f64::from(segment_s) / of_bitrate);
    viewer.segments(seen + new_segments, most).await;

    uplink.set_kbps(0);
    let seen = viewer.segment_count();
    viewer.segments(seen + 10, Duration::from_secs(40)).await;
    agent.stop(STOP_WITHIN).await;
    viewer.stop().await.assert_legal();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenth_of_the_bitrate_still_carries_segments_and_the_log_says_what_is_missing() {
    over_a_slow_uplink("uplink-tenth", 1, 0.1, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_of_the_bitrate_carries_half_of_the_segments() {
    over_a_slow_uplink("uplink-half", 2, 0.5, 8).await;
}
