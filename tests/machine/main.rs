//! The real agent on a machine in trouble: a full or vanished spool, no inotify, no descriptors, no processes, a dead
//! ffmpeg. The affected camera degrades and comes back by itself, the others go on.
//!
//! Namespaces give each agent a machine of its own to run out of things (`unshare`, as any user).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod clock;
mod processes;
mod spool;
mod stream;
mod things;

use std::process::Command;
use std::time::Duration;

use support::agent::{Agent, Place};
use tokio::sync::{Mutex, MutexGuard};

/// From an agent's start to its first segments, with room for a busy machine.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// The longest pause between two tries after the few failures of a test, and a start.
const BACK_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(25);

/// Two agents at once would take each other's things.
async fn my_turn() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    ONE_AT_A_TIME.lock().await
}

/// A place with two cameras that play a small clip into a folder: an agent that takes hardly any CPU. `more` is for
/// the configuration; FOLDER in it is the place's.
fn place(name: &str, more: &str) -> Place {
    let place = Place::new(name);
    let (folder, clip) = (place.path().display().to_string(), place.path().join("clip.mp4"));
    let made = Command::new("ffmpeg")
        .args("-v error -f lavfi -i testsrc2=size=160x120:rate=5 -f lavfi -i sine -t 20".split(' '))
        .args("-c:v libx264 -preset ultrafast -c:a aac".split(' '))
        .arg(&clip)
        .status();
    assert!(made.is_ok_and(|status| status.success()), "can't make a clip: run packaging/setup.sh run");
    let cameras: String =
        ["a", "b"].map(|id| format!("  - {{id: {id}, rtsp_url: \"file://{}\"}}\n", clip.display())).concat();
    place.write_config(&format!(
        "location: l\nspool: {folder}/spool\nstorage: {{type: file, root: {folder}/out}}\n{}\
         defaults: {{settings: {{target_width: 160, target_fps: 5, segment_duration: 1}}}}\ncameras:\n{cameras}",
        more.replace("FOLDER", &folder)
    ));
    place
}

/// Starts the agent as root of a user and mount namespace of its own, after `prepare` in a shell there.
fn start_apart(place: &Place, prepare: &str) -> Agent {
    let may = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).output();
    let may = may.unwrap_or_else(|error| panic!("can't run unshare ({error}): apt-get install util-linux"));
    assert!(
        may.status.success(),
        "this user may not make namespaces ({}): run the tests as root, or \
         `sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0`",
        String::from_utf8_lossy(&may.stderr).trim()
    );
    let script = format!("set -e; {prepare}; exec \"$@\"");
    let wrapper = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"];
    place.start_under(&wrapper, &["run"])
}

/// Runs a shell script where the agent lives, in the place's folder.
fn inside(agent: &Agent, place: &Place, script: &str) {
    let output = Command::new("nsenter")
        .args(["--user", "--mount", "--preserve-credentials", "--target", &agent.id().to_string()])
        .args(["sh", "-c", &format!("set -e; cd {}; {script}", place.path().display())])
        .output()
        .unwrap_or_else(|error| panic!("can't run nsenter ({error}): apt-get install util-linux"));
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Lines of the agent's log that have all of `words`.
fn lines(agent: &Agent, words: &[&str]) -> usize {
    agent.log().lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}
