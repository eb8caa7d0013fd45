//! Faults on the real agent, with a real camera, ffmpeg and MinIO, watched by a viewer of the public playlist.
//!
//! `cargo test` runs the short part. `make chaos` (`-- --all`) runs everything and writes artifacts/chaos.md;
//! further words choose faults by their names. `make soak` (`-- --soak`) is the long run.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod bucket;
mod cameras;
mod kills;
mod observer;
mod report;
mod sample;
mod soak;
mod stage;
mod starts;
mod storage;
mod trial;

use std::process::ExitCode;
use std::time::Duration;

use report::Table;
use tokio::signal::unix::{SignalKind, signal};

const SHORT_OUTAGE: Duration = Duration::from_secs(3);
const SHORT_KILLS: u64 = 3;
const OUTAGE_S: &str = "CHAOS_OUTAGE_S";
const KILLS: &str = "CHAOS_KILLS";
const SOAK_MINUTES: &str = "SOAK_MINUTES";
/// Of the random moments, to have the same ones again.
const SEED: &str = "CHAOS_SEED";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| args.iter().any(|arg| arg == name);
    // `cargo test -- --list` and its kin are for harnesses.
    if flag("--list") {
        return ExitCode::SUCCESS;
    }
    let words: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    tokio::select! {
        ok = run(&words, flag("--all"), flag("--soak")) => if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        // All that was started ends when it is dropped.
        () = interrupted() => ExitCode::from(130),
    }
}

async fn run(words: &[&String], all: bool, soak: bool) -> bool {
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    if soak {
        return soak::run(Duration::from_secs(60 * number(SOAK_MINUTES, 60)), seed()).await;
    }
    let mut table = Table::default();
    if all {
        everything(&mut table, &wanted).await;
        if !table.is_empty() {
            std::fs::write(report::artifact("chaos.md"), table.markdown())
                .expect("the report can be written");
        }
    } else {
        let short = |name: &str| storage::is_short(name) && wanted(name);
        storage::run(&mut table, &short, SHORT_OUTAGE).await;
        if wanted("kill") {
            kills::run(&mut table, SHORT_KILLS, seed()).await;
        }
    }
    !table.is_broken()
}

async fn interrupted() {
    let mut terminated = signal(SignalKind::terminate()).expect("a signal can be listened for");
    let mut asked = signal(SignalKind::interrupt()).expect("a signal can be listened for");
    tokio::select! {
        _ = terminated.recv() => {}
        _ = asked.recv() => {}
    }
}

async fn everything(table: &mut Table, wanted: &dyn Fn(&str) -> bool) {
    let outage = Duration::from_secs(number(OUTAGE_S, 20));
    storage::run(table, wanted, outage).await;
    starts::run(table, wanted, outage).await;
    cameras::run(table, wanted, outage).await;
    if wanted("kill") {
        kills::run(table, number(KILLS, 100), seed()).await;
    }
}

fn seed() -> u64 {
    let any = getrandom::u64().expect("the system gives random numbers");
    number(SEED, any)
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; use a whole number"))
}
