//! A box without a battery-backed clock: a year behind until it hears of the time, and then set again.

use std::fs;
use std::process::Command;

use crate::support::agent::Place;
use crate::support::minio::Minio;
use crate::support::viewer::Viewer;
use crate::{STOP_WITHIN, UP_WITHIN, lines, my_turn};

const BUCKET: &str = "streams";

/// The library that shifts a program's wall clock.
fn faketime() -> String {
    let output = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output();
    let output =
        output.unwrap_or_else(|error| panic!("can't run faketime ({error}): apt-get install faketime"));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_wrong_and_then_set_costs_one_refused_call_each_time() {
    let _turn = my_turn().await;
    let minio = Minio::start().await;
    minio.create_public_bucket(BUCKET).await;
    let mut place = Place::new("clock");
    let now = place.path().join("now");
    let set = |shift: &str| fs::write(&now, format!("{shift}\n")).unwrap();
    set("-365d");
    place.configure(&minio, BUCKET, &[("cam", "test://")], "defaults: {settings: {segment_duration: 1}}\n");
    place
        .env("LD_PRELOAD", &faketime())
        .env("FAKETIME_TIMESTAMP_FILE", &now.display().to_string())
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let playlist = minio.public_url(BUCKET, "location_1/cam/stream.m3u8");
    let mut viewer = Viewer::watch(&playlist, &place.path().join("seen"));
    let mut agent = place.start(&["run"]);
    viewer.segments(4, UP_WITHIN).await;
    // The time comes from the network; later somebody sets it an hour back, and forward again.
    for shift in ["+0", "-1h", "+0"] {
        set(shift);
        let seen = viewer.segment_count();
        viewer.segments(seen + 4, UP_WITHIN).await;
    }
    agent.stop(STOP_WITHIN).await;
    let report = viewer.stop().await;
    report.assert_legal();
    // One for each time that the clock was wrong; several calls may have been under way.
    let refused = lines(&agent, &["storage fails", "RequestTimeTooSkewed"]);
    assert!((1..=8).contains(&refused), "{refused} kinds of calls were refused: {}", agent.log());
    assert_eq!(lines(&agent, &["given up"]), 0, "{}", agent.log());
    assert_eq!(lines(&agent, &["camera is down"]), 0, "{}", agent.log());
}
