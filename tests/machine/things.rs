//! inotify and file descriptors run out.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::stream::Stream;
use crate::support::agent::{Agent, Place};
use crate::support::wait::until;
use crate::{BACK_WITHIN, STOP_WITHIN, UP_WITHIN, inside, lines, my_turn, place, start_apart};

fn end_every_ffmpeg(place: &Place) {
    for process in place.ffmpegs() {
        kill(Pid::from_raw(process.pid.cast_signed()), Signal::SIGKILL).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_inotify_spools_are_polled_and_that_is_said_once() {
    for (instances, watches) in [(0, 100), (10, 0)] {
        let _turn = my_turn().await;
        let place = place("inotify", "");
        let mut a = Stream::of(&place, "a");
        let limits = |instances: u32, watches: u32| {
            format!(
                "echo {instances} >/proc/sys/user/max_inotify_instances; \
                 echo {watches} >/proc/sys/user/max_inotify_watches"
            )
        };
        let mut agent = start_apart(&place, &limits(instances, watches));
        a.grows(3, UP_WITHIN, &agent).await;
        end_every_ffmpeg(&place);
        a.grows(2, BACK_WITHIN, &agent).await;
        let told = lines(&agent, &["WARN", "spools can't be watched", "fs.inotify.max_user_watches"]);
        assert_eq!(told, 1, "two cameras, two runs each, one line: {}", agent.log());

        inside(&agent, &place, &limits(10, 100));
        end_every_ffmpeg(&place);
        agent.log_line(&["info", "spools are watched again"], BACK_WITHIN).await;
        a.grows(2, BACK_WITHIN, &agent).await;
        agent.stop(STOP_WITHIN).await;
    }
}

/// Sets the soft limit of open files of a running agent.
fn limit_files(agent: &Agent, files: u32) {
    let (pid, limit) = (agent.id().to_string(), format!("--nofile={files}:"));
    let set = std::process::Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    assert!(set.is_ok_and(|status| status.success()), "can't run prlimit: apt-get install util-linux");
}

fn cpu_ticks(agent: &Agent) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", agent.id())).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_file_descriptors_it_waits_calmly_and_comes_back() {
    let _turn = my_turn().await;
    let place = place("descriptors", "");
    let (mut a, mut b) = (Stream::of(&place, "a"), Stream::of(&place, "b"));
    // `-v`: without it a failure of a kind that was told is not told again at once.
    let mut agent = place.start_under(&["prlimit", "--nofile=64:1024"], &["run", "-v"]);
    a.grows(2, UP_WITHIN, &agent).await;
    b.grows(2, UP_WITHIN, &agent).await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", agent.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let files: Vec<_> = files.split_whitespace().collect();
    assert_eq!(files[3..5], ["1024", "1024"], "it takes what it may have");

    let before = cpu_ticks(&agent);
    // What it has stays open; nothing can be opened any more.
    limit_files(&agent, 3);
    end_every_ffmpeg(&place);
    let words = ["camera=a", "could not be started", "out of file descriptors: raise limitnofile"];
    agent.log_line(&words, BACK_WITHIN).await;
    agent.log_line(&["camera=b", "failures=4"], BACK_WITHIN).await;
    agent.assert_running();
    // Some 10 s, a hundred ticks each: a loop that spins takes all of them.
    assert!(cpu_ticks(&agent) - before < 200, "it spins");
    let told = agent.log().lines().filter(|line| !line.contains("DEBUG")).count();
    assert!(told < 30, "a flood: {}", agent.log());

    limit_files(&agent, 1024);
    a.grows(2, BACK_WITHIN, &agent).await;
    b.grows(2, BACK_WITHIN, &agent).await;
    assert!(!agent.log().contains("panicked") && !agent.log().contains("a bug ended"), "{}", agent.log());
    agent.stop(STOP_WITHIN).await;
    a.assert_whole();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_file_descriptors_at_start_end_it_with_a_reason() {
    let _turn = my_turn().await;
    let place = place("descriptors-at-start", "");
    let mut agent = place.start_under(&["prlimit", "--nofile=8:8"], &["run"]);
    let status = agent.exit(UP_WITHIN).await;
    assert!(!status.success());
    let said = async || agent.log().to_lowercase().contains("too many open files").then_some(());
    until(UP_WITHIN, "the reason", said, || agent.log()).await;
    assert!(!agent.log().contains("panicked"), "{}", agent.log());
}
