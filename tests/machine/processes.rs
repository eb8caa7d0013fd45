//! ffmpeg: killed, gone, without a process to be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::stream::Stream;
use crate::support::agent::{Agent, Place};
use crate::{BACK_WITHIN, STOP_WITHIN, UP_WITHIN, lines, my_turn, place};

fn end_ffmpeg_of(place: &Place, camera: &str) {
    let mark = format!("/spool/{camera}/");
    let process = place.ffmpegs().into_iter().find(|process| process.argv.contains(&mark)).unwrap();
    kill(Pid::from_raw(process.pid.cast_signed()), Signal::SIGKILL).unwrap();
}

fn oom_score(pid: u32) -> i32 {
    fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ffmpeg_that_the_kernel_kills_is_one_cameras_trouble() {
    let _turn = my_turn().await;
    let place = place("killed", "");
    let (mut a, mut b) = (Stream::of(&place, "a"), Stream::of(&place, "b"));
    let mut agent = place.start(&["run"]);
    a.grows(2, UP_WITHIN, &agent).await;
    b.grows(2, UP_WITHIN, &agent).await;
    let own = oom_score(agent.id());
    for ffmpeg in place.ffmpegs() {
        assert_eq!(oom_score(ffmpeg.pid), (own + 300).min(1000), "the kernel takes it before the agent");
    }
    end_ffmpeg_of(&place, "a");
    agent.log_line(&["warn", "camera=a", "killed by signal 9", "out of memory?"], UP_WITHIN).await;
    a.grows(3, BACK_WITHIN, &agent).await;
    b.grows(3, UP_WITHIN, &agent).await;
    assert_eq!(lines(&agent, &["camera=b", "camera is down"]), 0, "{}", agent.log());
    agent.stop(STOP_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ffmpeg_that_an_upgrade_takes_away_is_waited_for() {
    let _turn = my_turn().await;
    let place = place("upgrade", "ffmpeg: FOLDER/ffmpeg-now\n");
    let (here, aside) = (place.path().join("ffmpeg-now"), place.path().join("ffmpeg-aside"));
    fs::write(&here, "#!/bin/sh\nexec ffmpeg \"$@\"\n").unwrap();
    fs::set_permissions(&here, fs::Permissions::from_mode(0o755)).unwrap();
    let (mut a, mut b) = (Stream::of(&place, "a"), Stream::of(&place, "b"));
    let mut agent = place.start(&["run"]);
    a.grows(2, UP_WITHIN, &agent).await;
    b.grows(2, UP_WITHIN, &agent).await;

    fs::rename(&here, &aside).unwrap();
    end_ffmpeg_of(&place, "a");
    agent.log_line(&["camera=a", "no such file", "install it", "ffmpeg-now"], UP_WITHIN).await;
    b.grows(3, UP_WITHIN, &agent).await;
    // Unpacked, but not yet with the libraries that it wants.
    fs::write(&here, "#!/bin/sh\necho 'error while loading shared libraries: libx264.so' >&2\nexit 127\n")
        .unwrap();
    fs::set_permissions(&here, fs::Permissions::from_mode(0o755)).unwrap();
    agent.log_line(&["camera=a", "loading shared libraries", "code=127"], BACK_WITHIN).await;
    fs::rename(&aside, &here).unwrap();
    a.grows(2, BACK_WITHIN, &agent).await;
    assert_eq!(lines(&agent, &["camera=b", "camera is down"]), 0, "{}", agent.log());
    agent.stop(STOP_WITHIN).await;
}

/// To become nobody; anybody but root has a limit of processes already.
fn nobody() -> Vec<&'static str> {
    let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    // Who may read and write what root may.
    let caps = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"];
    if nix::unistd::geteuid().is_root() { [&words[..], &caps[..]].concat() } else { vec!["env"] }
}

/// How many processes and threads the agent's user may have; the kernel lets root have any number.
fn limit_processes(agent: &Agent, most: &str) {
    let (pid, limit) = (agent.id().to_string(), format!("--nproc={most}:"));
    let words = [&nobody()[..], &["prlimit", "--pid", &pid, &limit]].concat();
    let set = std::process::Command::new(words[0]).args(&words[1..]).status();
    assert!(set.is_ok_and(|status| status.success()), "can't run {words:?}: apt-get install util-linux");
}

fn most_processes(agent: &Agent) -> String {
    let limits = fs::read_to_string(format!("/proc/{}/limits", agent.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max processes")).unwrap().to_owned();
    line.split_whitespace().nth(3).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_processes_what_runs_goes_on_and_the_rest_is_tried_again() {
    let _turn = my_turn().await;
    let place = place("no-processes", "");
    let (mut a, mut b) = (Stream::of(&place, "a"), Stream::of(&place, "b"));
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(place.path().join("spool"), Some(65534), Some(65534)).unwrap();
    }
    let mut agent = place.start_under(&nobody(), &["run"]);
    a.grows(2, UP_WITHIN, &agent).await;
    b.grows(2, UP_WITHIN, &agent).await;
    limit_processes(&agent, "1");
    end_ffmpeg_of(&place, "a");
    let words = ["camera=a", "could not be started", "out of processes: raise tasksmax="];
    agent.log_line(&words, UP_WITHIN).await;
    b.grows(5, UP_WITHIN, &agent).await;
    limit_processes(&agent, &most_processes(&agent));
    a.grows(2, BACK_WITHIN, &agent).await;
    assert_eq!(lines(&agent, &["camera=b", "camera is down"]), 0, "{}", agent.log());
    assert!(!agent.log().contains("panicked") && !agent.log().contains("a bug ended"), "{}", agent.log());
    agent.stop(STOP_WITHIN).await;
}
