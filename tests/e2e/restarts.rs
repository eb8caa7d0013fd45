//! Killed with -9 at awkward moments and started again, five times in a row.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::support::agent::{Agent, Place};
use crate::support::camera::{Camera, CameraOpts};
use crate::support::m3u8::Playlist;
use crate::support::minio::Minio;
use crate::support::seams;
use crate::support::viewer::Viewer;
use crate::support::wait::{until, until_every};
use crate::{
    BUCKET, NO_FFMPEG_WITHIN, STOP_WITHIN, UP_WITHIN, bucket, folder_of, minio, my_turn, playlist_of,
};

const CAMERA: &str = "cam_floor";
/// Short enough to hit the time between a segment's upload and the playlist's.
const AT_ONCE: Duration = Duration::from_millis(2);
/// The listing waits until no earlier playlist counts; what it finds is held twice as long. Together some 95 s for
/// segments of a second; the rest is for a busy machine.
const SWEPT_WITHIN: Duration = Duration::from_secs(240);
const SETTINGS: &str = "defaults: {settings: {segment_duration: 1}}\n";

/// When the agent is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// ffmpeg has just finished a segment.
    InSpool,
    /// A segment has just been stored: most likely no playlist names it yet.
    Stored,
    /// A playlist has just named a segment.
    Listed,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_kills_leave_a_legal_playlist_and_no_orphan() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts::default()).await;
    let mut place = Place::new("restarts");
    place.configure(&minio, BUCKET, &[(CAMERA, &camera.url())], SETTINGS);
    let mut viewer = Viewer::watch(&playlist_of(&minio, CAMERA), &place.path().join("seen"));

    // All ends of runs, also those that are told seldom.
    let mut agent = place.start(&["-v"]);
    let pauses = |agent: &Agent| agent.log().matches("camera is down").count();
    let mut others = 0;
    use Moment::*;
    for moment in [Listed, Stored, InSpool, Stored, Listed] {
        one_more(&mut viewer, &mut agent).await;
        come(moment, &minio, &place, &mut viewer).await;
        agent.kill9().await;
        others += pauses(&agent);
        place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;
        agent = place.start(&["-v"]);
    }
    one_more(&mut viewer, &mut agent).await;

    no_orphans(&minio, &viewer).await;
    agent.stop(STOP_WITHIN).await;
    place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;
    no_orphans(&minio, &viewer).await;
    let report = viewer.stop().await;
    report.assert_legal();
    let segments: Vec<_> = report.segments.into_iter().map(|seen| seen.segment).collect();
    let (_, last) = report.playlists.last().expect("a playlist");
    let target = Playlist::parse(last).expect("a legal playlist").target_duration;
    let faults = seams::faults(&segments, Duration::from_secs(target));
    assert!(faults.is_empty(), "{}\n{}", faults.join("\n"), seams::table(&segments));
    // A run that was killed before its first segment was listed leaves no seam.
    let changes = seams::changes(&segments);
    // On a busy machine the camera may pause for so long that its run begins anew.
    others += pauses(&agent);
    assert!(
        (3..=5 + others).contains(&changes),
        "{changes} changes of the run for 5 restarts and {others} pauses:\n{}",
        seams::table(&segments)
    );
}

async fn one_more(viewer: &mut Viewer, agent: &mut Agent) {
    let seen = viewer.segment_count();
    viewer.segments(seen + 1, UP_WITHIN).await;
    agent.assert_running();
}

async fn come(moment: Moment, minio: &Minio, place: &Place, viewer: &mut Viewer) {
    let deadline = UP_WITHIN;
    let what = format!("{moment:?}");
    match moment {
        Moment::Listed => {
            let seen = viewer.segment_count();
            viewer.segments(seen + 1, deadline).await;
        }
        Moment::Stored => {
            let (client, folder) = (minio.client(), folder_of(CAMERA));
            let before: BTreeSet<_> = bucket::segments(&client, &folder).await.into_iter().collect();
            let new = async || {
                let now = bucket::segments(&client, &folder).await;
                now.iter().any(|name| !before.contains(name)).then_some(())
            };
            until_every(AT_ONCE, deadline, &what, new, || "").await;
        }
        Moment::InSpool => {
            let spool = place.path().join("spool");
            let before = files(&spool);
            let new = async || files(&spool).iter().any(|file| !before.contains(file)).then_some(());
            until_every(AT_ONCE, deadline, &what, new, || "").await;
        }
    }
}

/// Finished segments anywhere below a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|kind| kind == "ts") {
            found.insert(path.display().to_string());
        }
    }
    found
}

/// Everything in the bucket is listed or held; what is on its way into the playlist is so a moment later.
async fn no_orphans(minio: &Minio, viewer: &Viewer) {
    let (client, folder) = (minio.client(), folder_of(CAMERA));
    let orphans = async || viewer.orphans(&bucket::segments(&client, &folder).await);
    let swept = async || orphans().await.is_empty().then_some(());
    until(SWEPT_WITHIN, "the sweep of orphans", swept, || "see the kept agent.log").await;
}
