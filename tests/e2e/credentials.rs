//! Storage credentials that change, or expire, while the agent runs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::agent::Place;
use crate::support::gate::Gate;
use crate::support::minio::{Minio, Temporary};
use crate::support::script;
use crate::support::viewer::Viewer;
use crate::support::wait::until;
use crate::{BUCKET, STOP_WITHIN, UP_WITHIN, minio, my_turn, playlist_of};

const CAMERAS: [&str; 2] = ["one", "two"];
/// Two segments of 2 s, the look at the files every 2 s, and room for a busy machine. Without new keys the pauses are 30 s.
const BACK_WITHIN: Duration = Duration::from_secs(20);

/// Two cameras into MinIO, through the gate.
async fn scene(name: &str) -> (Minio, Gate, Place, Vec<Viewer>) {
    let minio = minio().await;
    let gate = Gate::start(&minio.endpoint).await;
    let place = Place::new(name);
    let cameras: String = CAMERAS.map(|id| format!("  - {{id: {id}, rtsp_url: \"test://\"}}\n")).concat();
    place.write_config(&format!(
        "location: location_1\nspool: {}\nstorage: {{type: s3, bucket: {BUCKET}, endpoint: \"{}\"}}\ncameras:\n{cameras}",
        place.path().join("spool").display(),
        gate.url,
    ));
    let watch = |id| Viewer::watch(&playlist_of(&minio, id), &place.path().join("seen").join(id));
    let viewers = CAMERAS.map(watch).into();
    (minio, gate, place, viewers)
}

/// Appears whole, as a careful tool writes it.
fn put(path: &Path, text: &str) {
    let temporary = path.with_extension("new");
    fs::write(&temporary, text).unwrap();
    fs::rename(temporary, path).unwrap();
}

fn variables(keys: &Temporary) -> String {
    format!(
        "# rotated\nAWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY='{}'\nAWS_SESSION_TOKEN=\"{}\"\n",
        keys.access_key, keys.secret_key, keys.session_token
    )
}

fn profile(keys: &Temporary) -> String {
    format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
        keys.access_key, keys.secret_key, keys.session_token
    )
}

async fn more(viewers: &mut [Viewer], segments: usize, deadline: Duration) {
    for viewer in viewers {
        viewer.segments(viewer.segment_count() + segments, deadline).await;
    }
}

fn lines(log: &str, words: &str) -> usize {
    log.lines().filter(|line| line.contains(words)).count()
}

fn assert_no_secret(log: &str, keys: &[&Temporary]) {
    for secret in keys.iter().flat_map(|keys| [&keys.secret_key, &keys.session_token]) {
        assert!(!log.contains(secret.as_str()), "a secret is in the log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_rotated_in_time_cost_no_segment() {
    let _turn = my_turn().await;
    let (minio, gate, place, mut viewers) = scene("rotation").await;
    let (old, new) = (minio.temporary_keys().await, minio.temporary_keys().await);
    let file = place.path().join("keys.env");
    put(&file, &variables(&old));
    let mut agent = place.start(&["--env-file", "keys.env", "-vv"]);
    more(&mut viewers, 3, UP_WITHIN).await;

    // Half a file first: it is told of, and the old keys stay.
    fs::write(&file, "AWS_ACCESS_KEY_ID=half\nAWS_SECRET_ACC").unwrap();
    agent.log_line(&["warn", "can't be used: keeping the old ones", "keys.env:2"], UP_WITHIN).await;
    more(&mut viewers, 1, UP_WITHIN).await;
    put(&file, &variables(&new));
    agent.log_line(&["info", "storage credentials were renewed"], UP_WITHIN).await;
    more(&mut viewers, 1, UP_WITHIN).await;
    gate.revoke(&old.access_key);
    more(&mut viewers, 5, UP_WITHIN).await;
    agent.stop(STOP_WITHIN).await;

    assert_eq!(gate.refused(), 0, "nothing was signed with the old key any more");
    let log = agent.log();
    assert_eq!(lines(&log, "given up"), 0, "{log}");
    assert_no_secret(&log, &[&old, &new]);
    for viewer in viewers {
        let report = viewer.stop().await;
        report.assert_legal();
        assert!(report.segments.iter().skip(1).all(|seen| !seen.segment.discontinuity), "a segment was lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_keys_are_one_clear_line_and_new_ones_bring_the_streams_back() {
    let _turn = my_turn().await;
    let (minio, gate, mut place, mut viewers) = scene("expiry").await;
    let (old, new) = (minio.temporary_keys().await, minio.temporary_keys().await);
    let file = place.path().join("profile");
    put(&file, &profile(&old));
    place.env("AWS_SHARED_CREDENTIALS_FILE", &file.display().to_string());
    place.env("RUST_LOG", "warn,edge_agent=debug");
    let mut agent = place.start(&[]);
    more(&mut viewers, 3, UP_WITHIN).await;

    gate.revoke(&old.access_key);
    let line = agent.log_line(&["error storage refuses access", "ExpiredToken"], UP_WITHIN).await;
    assert!(line.contains(&file.display().to_string()), "no mend in {line}");
    // Long enough that segments have to be given up: every try is refused, at growing pauses.
    agent.log_line(&["given up"], Duration::from_secs(60)).await;
    let refused = gate.refused() + 6;
    let tried = async || (gate.refused() >= refused).then_some(());
    until(Duration::from_secs(60), "a few more tries", tried, || agent.log()).await;
    assert_eq!(lines(&agent.log(), "ERROR storage refuses access"), 1, "{}", agent.log());
    assert_eq!(lines(&agent.log(), "storage fails"), 0, "{}", agent.log());

    put(&file, &profile(&new));
    more(&mut viewers, 1, BACK_WITHIN).await;
    agent.log_line(&["info", "storage grants access again"], UP_WITHIN).await;
    more(&mut viewers, 3, UP_WITHIN).await;
    agent.stop(STOP_WITHIN).await;
    assert_no_secret(&agent.log(), &[&old, &new]);
    for viewer in viewers {
        let report = viewer.stop().await;
        report.assert_legal();
        let holes = report.segments.iter().filter(|seen| seen.segment.discontinuity).count();
        assert_eq!(holes, 1, "one outage, one hole");
    }
}

/// The usual script: write the new profile, reload. The store that is open still has what it read before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_between_two_looks_at_a_profile_does_not_hide_its_rotation() {
    let _turn = my_turn().await;
    let (minio, gate, mut place, mut viewers) = scene("rotation-reload").await;
    let (old, new) = (minio.temporary_keys().await, minio.temporary_keys().await);
    let file = place.path().join("profile");
    put(&file, &profile(&old));
    place.env("AWS_SHARED_CREDENTIALS_FILE", &file.display().to_string());
    let mut agent = place.start(&[]);
    more(&mut viewers, 3, UP_WITHIN).await;

    put(&file, &profile(&new));
    agent.signal(Signal::SIGHUP);
    agent.log_line(&["configuration reloaded", "unchanged=2"], UP_WITHIN).await;
    agent.log_line(&["info", "storage credentials were renewed"], UP_WITHIN).await;
    // What was signed before is stored.
    more(&mut viewers, 1, UP_WITHIN).await;
    gate.revoke(&old.access_key);
    more(&mut viewers, 3, UP_WITHIN).await;
    agent.stop(STOP_WITHIN).await;
    assert_eq!(lines(&agent.log(), "storage refuses access"), 0, "{}", agent.log());
}

/// The other way to mend them: in the configuration itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_brings_new_keys_ends_the_trouble_in_the_log_too() {
    let _turn = my_turn().await;
    let (minio, gate, place, mut viewers) = scene("expiry-reload").await;
    let (old, new) = (minio.temporary_keys().await, minio.temporary_keys().await);
    let path = place.path().join("cameras.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let with = |keys: &Temporary| {
        let Temporary { access_key, secret_key, session_token } = keys;
        let secrets = format!(
            ", access_key_id: \"{access_key}\", secret_access_key: \"{secret_key}\", session_token: \"{session_token}\"}}\ncameras:"
        );
        text.replace("}\ncameras:", &secrets)
    };
    place.write_config(&with(&old));
    let mut agent = place.start(&[]);
    more(&mut viewers, 2, UP_WITHIN).await;
    gate.revoke(&old.access_key);
    agent.log_line(&["error storage refuses access", "ExpiredToken"], UP_WITHIN).await;
    agent.signal(Signal::SIGHUP);
    agent.log_line(&["configuration reloaded", "unchanged=2"], UP_WITHIN).await;
    let refused = gate.refused() + 4;
    let tried = async || (gate.refused() >= refused).then_some(());
    until(Duration::from_secs(60), "a few more tries", tried, || agent.log()).await;
    assert_eq!(lines(&agent.log(), "ERROR storage refuses access"), 1, "a reload is no new trouble");

    place.write_config(&with(&new));
    agent.signal(Signal::SIGHUP);
    more(&mut viewers, 1, UP_WITHIN).await;
    agent.log_line(&["info", "storage grants access again"], UP_WITHIN).await;
    agent.stop(STOP_WITHIN).await;
    assert_no_secret(&agent.log(), &[&old, &new]);
}

/// A profile's program may say something else each time that it fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_that_gives_nothing_is_no_line_per_question() {
    let _turn = my_turn().await;
    let (minio, _gate, mut place, mut viewers) = scene("no-profile").await;
    let (old, new) = (minio.temporary_keys().await, minio.temporary_keys().await);
    let (file, asked) = (place.path().join("profile"), place.path().join("asked"));
    put(&file, &profile(&old));
    place.env("AWS_SHARED_CREDENTIALS_FILE", &file.display().to_string());
    let mut agent = place.start(&[]);
    more(&mut viewers, 2, UP_WITHIN).await;

    let program = place.path().join("program");
    script::write(&program, &format!("echo $$ | tee -a '{}' >&2\nexit 1", asked.display()));
    put(&file, &format!("[default]\ncredential_process = {}\n", program.display()));
    let often = async || (lines(&fs::read_to_string(&asked).unwrap_or_default(), "") >= 3).then_some(());
    until(Duration::from_secs(90), "a third question", often, || agent.log()).await;
    assert_eq!(lines(&agent.log(), "keeping the old ones"), 1, "{}", agent.log());
    put(&file, &profile(&new));
    agent.log_line(&["info", "storage credentials were renewed"], UP_WITHIN).await;
    more(&mut viewers, 1, UP_WITHIN).await;
    agent.stop(STOP_WITHIN).await;
}
