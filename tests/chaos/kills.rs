//! kill -9 of the agent or of ffmpeg at random moments, the agent started again at once.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use edge_agent::domain::dice::Dice;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bucket;
use crate::observer;
use crate::report::{Row, Table};
use crate::stage::{FOLDER, SLACK, STOP_WITHIN, Stage, UP_WITHIN, in_parts, last, small_camera, wall};
use crate::support::agent::Process;
use crate::support::wait::until;
use crate::trial::attempt;

/// Of the agent; the others are of ffmpeg. The first is of the one, the second of the other.
const AGENT_PART: f64 = 0.7;
/// Half of the moments are this soon after a segment came, half this soon after the last kill.
const AFTER_A_SEGMENT: Duration = Duration::from_millis(1_200);
const AFTER_A_KILL: Duration = Duration::from_millis(2_500);
/// The sweep waits for the hold, and may fail once.
const SWEPT_WITHIN: Duration = Duration::from_secs(240);

pub async fn run(table: &mut Table, kills: u64, seed: u64) {
    let name = format!("kill -9, {kills} times, seed {seed}");
    let row = attempt(&name, killed(&name, kills, seed)).await;
    table.add(row.unwrap_or_else(|row| row));
}

async fn killed(name: &str, kills: u64, seed: u64) -> Row {
    let (mut stage, _camera) = Stage::with_camera("kills", small_camera()).await;
    stage.calm(3).await;
    let (mark, began) = (observer::mark(&stage.viewer), wall());
    let mut dice = Dice::new(seed);
    let mut problems = Vec::new();
    let mut agents = 0;
    for number in 1..=kills {
        let context = || format!("kill {number} of {kills}");
        if dice.unit() < 0.5 {
            stage.calm(1).await;
            last(AFTER_A_SEGMENT.mul_f64(dice.unit())).await;
        } else {
            last(AFTER_A_KILL.mul_f64(dice.unit())).await;
        }
        stage.agent.assert_running();
        let running: Vec<u32> = stage.place.ffmpegs().iter().map(|process| process.pid).collect();
        let is_agents = dice.unit() < AGENT_PART;
        if number == 1 || (number > 2 && is_agents) {
            agents += 1;
            stage.agent.kill9().await;
            stage.agent = stage.place.start(&[]);
            problems.extend(outlives(&stage, &running).await.map(|left| format!("{}: {left}", context())));
        } else {
            kill_ffmpeg(&stage).await;
        }
    }
    stage.calm(2).await;
    let lasted = wall().duration_since(began).unwrap_or_default();
    let cost = observer::cost(&stage.viewer, mark);
    problems.extend(cost.seam_faults);
    problems.extend(no_orphans(&stage).await);
    stage.agent.stop(STOP_WITHIN).await;
    problems.extend(no_orphans(&stage).await);
    let none = async || stage.place.processes().is_empty().then_some(());
    until(SLACK, "the end of every process", none, || format!("left: {:?}", stage.place.processes())).await;
    let spooled = files(&stage.place.path().join("spool"));
    if !spooled.is_empty() {
        problems.push(format!("left in the spool: {spooled:?}"));
    }
    problems.extend(stage.viewer.stop().await.breaches);
    Row {
        fault: format!("{name} ({agents} of the agent)"),
        lasted,
        dark: Some(cost.dark),
        seams: Some(cost.seams),
        problems,
        ..Row::default()
    }
}

/// Which of an agent's ffmpegs still run a while after it was killed.
async fn outlives(stage: &Stage, ffmpegs: &[u32]) -> Option<String> {
    let left = || stage.place.ffmpegs().into_iter().filter(|process| ffmpegs.contains(&process.pid));
    let gone = async || {
        while left().next().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await
        }
    };
    let in_time = tokio::time::timeout(SLACK, gone()).await.is_ok();
    (!in_time).then(|| format!("ffmpeg outlives its agent: {:?}", left().collect::<Vec<_>>()))
}

async fn kill_ffmpeg(stage: &Stage) {
    // One that runs the camera: an agent that starts asks others what they can do.
    let runs = |process: &Process| process.argv.contains(if in_parts() { "frag_" } else { "index.m3u8" });
    let one = async || stage.place.ffmpegs().into_iter().find(runs).map(|process| process.pid);
    let pid = until(UP_WITHIN, "an ffmpeg to kill", one, || stage.agent.log()).await;
    // It may have ended by itself meanwhile.
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).ok();
}

/// What lies in the bucket without a playlist that names it, if that stays so.
async fn no_orphans(stage: &Stage) -> Option<String> {
    let client = stage.minio.client();
    let orphans = async || {
        let mut there = bucket::media(&client, FOLDER).await;
        let named = stage.viewer.named();
        let listed = named.iter().filter(|(_, stays)| **stays);
        let runs: BTreeSet<String> = listed.filter_map(|(name, _)| run_of(name)).collect();
        // A part is there before a playlist names it; that of a segment which came with others perhaps never does.
        let is_new =
            |name: &str| !named.contains_key(name) && run_of(name).is_some_and(|run| runs.contains(&run));
        there.retain(|name| !(name.starts_with("part_") && is_new(name)));
        stage.viewer.orphans(&there)
    };
    let swept = async || {
        while !orphans().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let in_time = tokio::time::timeout(SWEPT_WITHIN, swept()).await.is_ok();
    if in_time { None } else { Some(format!("orphans: {:?}", orphans().await)) }
}

/// `segment_{run}_{index}.m4s`, `part_{run}_{number}.m4s`
fn run_of(name: &str) -> Option<String> {
    Some(name.split('_').nth(1)?.to_owned())
}

/// All but the locks, and what the next agent should know: that does not grow.
const KEPT: [&str; 3] = ["lock", "note", "runs"];

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !KEPT.iter().any(|kept| entry.file_name() == *kept) {
            found.push(path.display().to_string());
        }
    }
    found
}
