//! The spool: full, read-only, deleted.

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use crate::stream::Stream;
use crate::support::wait::{until, until_every};
use crate::{BACK_WITHIN, STOP_WITHIN, UP_WITHIN, inside, lines, my_turn, place, start_apart};

/// Several times in a segment.
const REFILL: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_is_told_and_nothing_cut_off_is_ever_published() {
    let _turn = my_turn().await;
    let place = place("full-spool", "");
    let (mut a, mut b) = (Stream::of(&place, "a"), Stream::of(&place, "b"));
    let spool = place.path().join("spool").display().to_string();
    let mut agent = start_apart(&place, &format!("mount -t tmpfs -o size=1m,mode=700 tmpfs {spool}"));
    a.grows(3, UP_WITHIN, &agent).await;
    b.grows(3, UP_WITHIN, &agent).await;

    for camera in ["camera=a", "camera=b"] {
        // A few pages are left: enough to begin a segment, too little to end it. Again and again, as what was uploaded
        // makes room, and so does the other camera's end.
        let fill = "dd if=/dev/zero bs=4k >>spool/ballast 2>/dev/null || true; truncate -s -8k spool/ballast";
        let is_told = async || {
            inside(&agent, &place, fill);
            (lines(&agent, &[camera, "spool full: "]) > 0).then_some(())
        };
        until_every(REFILL, BACK_WITHIN, camera, is_told, || agent.log()).await;
        let line = agent.log_line(&[camera, "spool full: ", "make room"], BACK_WITHIN).await;
        assert!(line.contains("WARN"), "{line}");
    }
    a.look();
    b.look();

    inside(&agent, &place, "rm spool/ballast");
    a.grows(3, BACK_WITHIN, &agent).await;
    b.grows(3, BACK_WITHIN, &agent).await;
    // At its 1st, 2nd, 4th time and so on, per camera.
    assert!(lines(&agent, &["spool full: "]) <= 8, "{}", agent.log());
    agent.stop(STOP_WITHIN).await;
    a.assert_whole();
    b.assert_whole();
}

const READ_ONLY: &str = "mount -t tmpfs -o ro,mode=700 tmpfs";
const TOLD: &[&str] =
    &["camera=a", "spool could not be written", "read-only file system", "mount it writable"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_that_is_read_only_at_start_is_told_with_its_mend_and_used_when_it_can_be_written() {
    let _turn = my_turn().await;
    let place = place("read-only-spool", "");
    let mut a = Stream::of(&place, "a");
    let mut agent = start_apart(&place, &format!("{READ_ONLY} {}", place.path().join("spool").display()));
    agent.log_line(TOLD, UP_WITHIN).await;
    inside(&agent, &place, "umount spool");
    a.grows(2, BACK_WITHIN, &agent).await;
    agent.stop(STOP_WITHIN).await;
    a.assert_whole();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_that_becomes_read_only_is_told_with_its_mend_and_used_again() {
    let _turn = my_turn().await;
    let place = place("spool-becomes-read-only", "");
    let mut a = Stream::of(&place, "a");
    let mut agent = start_apart(&place, "true");
    a.grows(2, UP_WITHIN, &agent).await;
    // The kernel refuses to remount what is being written, so another one comes on top.
    inside(&agent, &place, &format!("{READ_ONLY} spool"));
    agent.log_line(TOLD, BACK_WITHIN).await;
    inside(&agent, &place, "umount spool");
    a.grows(2, BACK_WITHIN, &agent).await;
    agent.stop(STOP_WITHIN).await;
    a.assert_whole();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_that_a_cleaner_deleted_is_made_and_locked_again() {
    let _turn = my_turn().await;
    let place = place("deleted-spool", "");
    let mut a = Stream::of(&place, "a");
    let mut agent = place.start(&["run"]);
    a.grows(2, UP_WITHIN, &agent).await;
    // What is written meanwhile keeps the folder: a cleaner comes again.
    let spool = place.path().join("spool");
    let gone = async || match fs::remove_dir_all(&spool) {
        Err(error) if error.kind() != ErrorKind::NotFound => None,
        _ => Some(()),
    };
    until(BACK_WITHIN, "the end of the folder", gone, || agent.log()).await;
    a.grows(3, BACK_WITHIN, &agent).await;
    assert!(place.path().join("spool/a/lock").exists(), "the claim is there for others to see");
    let other = place.start(&["run", "--camera", "a"]);
    let taken = async || other.log().contains("another edge-agent on this machine").then_some(());
    until(UP_WITHIN, "the second agent's refusal", taken, || other.log()).await;
    agent.stop(STOP_WITHIN).await;
    drop(other);
}
