//! A camera that would fill the spool.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::agent::Place;
use crate::support::clip;
use crate::support::viewer::Viewer;
use crate::{BUCKET, STOP_WITHIN, UP_WITHIN, alone, minio, playlist_of};

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Of `spool_limit`, for two cameras.
const SHARE: u64 = 4_000_000;

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// The most that a folder holds until `stop`.
fn most_bytes_below(folder: &Path, stop: CancellationToken) -> JoinHandle<u64> {
    let folder = folder.to_owned();
    let looking = async move {
        let (mut most, mut ticks) = (0, tokio::time::interval(LOOK_EVERY));
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            most = most.max(bytes_below(&folder));
        }
        most
    };
    #[expect(clippy::disallowed_methods, reason = "owned by the test and joined there")]
    tokio::spawn(looking)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absurd_bitrate_is_bounded_recovers_and_does_not_touch_the_other_camera() {
    let _turn = alone().await;
    let minio = minio().await;
    let mut place = Place::new("spool-limit");
    let clip = place.path().join("clip.mkv");
    clip::noise(&clip).await;
    // For the credentials.
    place.configure(&minio, BUCKET, &[("good", "test://")], "");
    place.write_config(&format!(
        "location: location_1\nspool: {spool}\nspool_limit: {limit}B\n\
         storage: {{type: s3, bucket: {BUCKET}, endpoint: '{endpoint}'}}\n\
         cameras:\n  - {{id: good, rtsp_url: 'test://'}}\n\
         \x20 - {{id: loud, rtsp_url: 'file://{clip}', settings: {{segment_duration: 10}}}}\n",
        spool = place.path().join("spool").display(),
        limit = 2 * SHARE,
        endpoint = minio.endpoint,
        clip = clip.display(),
    ));
    let stop_looking = CancellationToken::new();
    let looking = most_bytes_below(&place.path().join("spool/loud"), stop_looking.clone());
    let mut viewer = Viewer::watch(&playlist_of(&minio, "good"), &place.path().join("seen"));
    let mut agent = place.start(&["-v"]);
    let told = ["warn", "camera=loud", "spool limit was reached"];
    agent.log_line(&[&told[..], &["raise spool_limit"]].concat(), UP_WITHIN).await;
    // Two more runs of it, which are no news.
    let again = ["debug", "camera=loud", "spool limit was reached", "failures=3"];
    agent.log_line(&again, Duration::from_secs(60)).await;
    // The other camera comes up meanwhile.
    viewer.segments(2, UP_WITHIN).await;

    let calm = place.path().join("calm.mkv");
    clip::calm(&calm).await;
    fs::rename(&calm, &clip).unwrap();
    agent.log_line(&["info", "camera=loud", "camera is live"], Duration::from_secs(60)).await;
    stop_looking.cancel();
    let most = looking.await.expect("the look does not panic");
    assert!(most <= SHARE, "{most} bytes");
    agent.stop(STOP_WITHIN).await;
    let report = viewer.stop().await;
    report.assert_legal();
    report.assert_no_gap_of(Duration::from_secs(4));
    let log = agent.log();
    assert!(!log.lines().any(|line| line.contains("camera=good") && line.contains("down")), "{log}");
}
