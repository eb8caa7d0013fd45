//! Two agents on one camera, as an installer's mistake or a cloned box makes them: one publishes, the other stands
//! back and takes over when the first falls silent.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::agent::{Agent, Place};
use crate::support::camera::{Camera, CameraOpts};
use crate::support::minio::Minio;
use crate::support::viewer::Viewer;
use crate::support::wait::until;
use crate::{
    BUCKET, NO_FFMPEG_WITHIN, STOP_WITHIN, UP_WITHIN, bucket, folder_of, minio, my_turn, playlist_of,
};

const CAMERA: &str = "cam_floor";
/// Its first segment, and a watch of 6 s with jitter.
const STANDS_BACK_WITHIN: Duration = Duration::from_secs(40);
/// Two looks, each up to 9 s apart, an upload, and room for a busy machine.
const TAKES_OVER_WITHIN: Duration = Duration::from_secs(40);
const STANDS_BACK: &[&str] = &["error", "another edge-agent publishes this camera"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newcomer_stands_back_and_takes_over_when_the_other_falls_silent() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts::default()).await;
    let place = |name| {
        let mut place = Place::new(name);
        place.configure(&minio, BUCKET, &[(CAMERA, &camera.url())], "");
        place
    };
    let (first_place, second_place) = (place("first"), place("second"));
    let mut viewer = Viewer::watch(&playlist_of(&minio, CAMERA), &first_place.path().join("seen"));

    let mut first = first_place.start(&["-v"]);
    viewer.segments(3, UP_WITHIN).await;
    let its_runs = runs(&minio).await;
    let mut second = second_place.start(&["-v"]);
    let line = second.log_line(STANDS_BACK, STANDS_BACK_WITHIN).await;
    assert!(line.contains("mend=") && its_runs.iter().any(|run| line.contains(run)), "{line}");
    // Well into the time in which it would publish if it did.
    let seen = viewer.segment_count();
    viewer.segments(seen + 8, Duration::from_secs(40)).await;
    let others: Vec<_> = runs(&minio).await.difference(&runs_of(&first)).cloned().collect();
    assert!(others.is_empty(), "the newcomer wrote something: {others:?}");
    first.assert_running();
    assert!(!first.log().contains("another edge-agent"), "{}", first.log());

    // The other dies: the newcomer has the stream warm.
    first.kill9().await;
    second.log_line(&["info", "fell silent"], TAKES_OVER_WITHIN).await;
    viewer.segments(viewer.segment_count() + 3, UP_WITHIN).await;
    let both_runs = runs(&minio).await;

    // It comes back and knows its own runs, but these are the newcomer's now.
    let mut first = first_place.start(&[]);
    first.log_line(STANDS_BACK, STANDS_BACK_WITHIN).await;
    viewer.segments(viewer.segment_count() + 4, UP_WITHIN).await;
    let known = || &both_runs | &runs_of(&second);
    let not_its = async || runs(&minio).await.is_subset(&known()).then_some(());
    until(Duration::from_secs(5), "no write of the first", not_its, || "a third run is in the bucket").await;

    // A machine that stands still for some seconds ends runs.
    let pauses = |agent: &Agent| agent.log().matches("camera is down").count();
    let more = pauses(&second);
    for (agent, place) in [(&mut first, &first_place), (&mut second, &second_place)] {
        quiet(agent, pauses(agent));
        agent.stop(STOP_WITHIN).await;
        place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;
    }
    let report = viewer.stop().await;
    report.assert_legal();
    let seams = report.segments.iter().filter(|seen| seen.segment.discontinuity).count();
    assert!((1..=1 + more).contains(&seams), "one change of the publisher, {seams} seams, {more} pauses");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_agent_knows_its_own_runs_and_does_not_wait() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts::default()).await;
    let mut place = Place::new("own-runs");
    place.configure(&minio, BUCKET, &[(CAMERA, &camera.url())], "");
    let mut viewer = Viewer::watch(&playlist_of(&minio, CAMERA), &place.path().join("seen"));
    let mut agent = place.start(&[]);
    viewer.segments(3, UP_WITHIN).await;
    agent.kill9().await;
    let mut agent = place.start(&["-v"]);
    viewer.segments(viewer.segment_count() + 3, UP_WITHIN).await;
    agent.stop(STOP_WITHIN).await;
    let journal = viewer.journal();
    let report = viewer.stop().await;
    report.assert_legal();
    let second_run: Vec<_> = report.segments.iter().skip_while(|seen| !seen.segment.discontinuity).collect();
    assert!(second_run[0].segment.uri.ends_with("_000000.ts"), "the first segment was published");
    // What had waited for a watch of 6 s would come late, and all at once; on a busy machine it may be one of them.
    let [first, third] = [0, 2].map(|i| {
        let uri = &second_run[i].segment.uri;
        journal.arrivals.iter().find(|arrival| arrival.segment.uri == *uri).expect("it was listed")
    });
    let began = first.segment.program_time.expect("it says when it began");
    let late = first.at.duration_since(began + first.segment.duration).unwrap_or_default();
    let apart = third.at.duration_since(first.at).unwrap_or_default();
    assert!(
        apart > Duration::from_secs(1) || late < Duration::from_secs(4),
        "the first is {late:?} late, and the third comes {apart:?} behind it"
    );
}

fn quiet(agent: &Agent, pauses: usize) {
    let log = agent.log();
    let troubles = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).count();
    assert!(troubles <= 2 + pauses, "{troubles} warnings and errors:\n{log}");
}

/// The runs that this agent has made, by its log with `-v`.
fn runs_of(agent: &Agent) -> BTreeSet<String> {
    let log = agent.log();
    let made = log.lines().filter(|line| line.contains("segment produced"));
    let runs: BTreeSet<_> =
        made.filter_map(|line| line.split_once(" run=")?.1.split(' ').next().map(str::to_owned)).collect();
    assert!(!runs.is_empty(), "{log}");
    runs
}

/// The runs whose segments lie in the bucket.
async fn runs(minio: &Minio) -> BTreeSet<String> {
    let names = bucket::segments(&minio.client(), &folder_of(CAMERA)).await;
    names.iter().filter_map(|name| name.split('_').nth(1)).map(str::to_owned).collect()
}
