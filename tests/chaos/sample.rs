//! What the agent holds at a moment: memory, handles, threads, objects, spool, log.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::stage::in_parts;

#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub at: Duration,
    pub rss_kib: u64,
    /// Without the program's own pages, which come as its code is used.
    pub anonymous_kib: u64,
    pub handles: u64,
    pub threads: u64,
    pub objects: u64,
    pub spool_bytes: u64,
    pub log_bytes: u64,
}

pub const CSV_HEAD: &str = "seconds,rss_kib,anonymous_kib,handles,threads,objects,spool_bytes,log_bytes\n";

impl Sample {
    pub fn csv(&self) -> String {
        let Self { at, rss_kib, anonymous_kib, handles, threads, objects, spool_bytes, log_bytes } = self;
        let seconds = at.as_secs();
        format!(
            "{seconds},{rss_kib},{anonymous_kib},{handles},{threads},{objects},{spool_bytes},{log_bytes}\n"
        )
    }

    /// Of a running process.
    pub fn of(pid: u32, at: Duration, objects: u64, spool: &Path, log: &Path) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the agent runs");
        let kib = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("a kernel that tells");
            value.trim().trim_end_matches("kB").trim().parse().expect("a number")
        };
        let entries =
            |name| fs::read_dir(format!("/proc/{pid}/{name}")).expect("the agent runs").count() as u64;
        let log_bytes = fs::metadata(log).map_or(0, |file| file.len());
        Self {
            at,
            rss_kib: kib("VmRSS:"),
            anonymous_kib: kib("RssAnon:"),
            handles: entries("fd"),
            threads: entries("task"),
            objects,
            spool_bytes: size(spool),
            log_bytes,
        }
    }
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    // What vanishes meanwhile counts nothing.
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

/// A minute's figures depend on whether a fault lies in it.
const A_WHILE: Duration = Duration::from_secs(300);

/// The median of a figure over the while that ends at `until`.
fn median(samples: &[Sample], until: Duration, figure: fn(&Sample) -> u64) -> u64 {
    let recent = |sample: &&Sample| sample.at <= until && sample.at + A_WHILE > until;
    let mut values: Vec<u64> = samples.iter().filter(recent).map(figure).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// More memory than this part of the first value is growth.
const RSS_GROWTH_PERCENT: u64 = 5;
const HANDLES_MORE: u64 = 10;
/// The agent's two workers, sixteen for files and names, and some of its own; a busy minute may need all of them.
const THREADS_MOST: u64 = 24;
/// A camera's window, what is held or condemned, and what an outage keeps from being deleted.
const OBJECTS_PER_CAMERA: u64 = 80;
/// Five parts with each segment.
const PARTED_TIMES: u64 = 6;
const SPOOL_BYTES_PER_CAMERA: u64 = 32 << 20;
const LOG_BYTES_PER_CAMERA_AND_MINUTE: u64 = 8 << 10;
const LOG_BYTES_AT_ONCE: u64 = 128 << 10;

/// What grew, against the values at `base`; and a summary.
pub fn verdict(samples: &[Sample], base: Duration, cameras: u64) -> (String, Vec<String>) {
    let Some(last) = samples.last() else { return (String::new(), vec!["no samples".into()]) };
    let mut problems = Vec::new();
    let mut text = String::new();
    let anonymous = |at| median(samples, at, |s| s.anonymous_kib);
    writeln!(
        text,
        "anonymous memory, KiB: {} after {base:?}, {} at the end",
        anonymous(base),
        anonymous(last.at)
    )
    .expect("a String takes it");
    for (name, figure, more) in [
        ("RSS, KiB", (|s| s.rss_kib) as fn(&Sample) -> u64, None),
        ("handles", |s| s.handles, Some(HANDLES_MORE)),
    ] {
        let (before, after) = (median(samples, base, figure), median(samples, last.at, figure));
        let most = more.map_or(before + before * RSS_GROWTH_PERCENT / 100, |more| before + more);
        writeln!(text, "{name}: {before} after {base:?}, {after} at the end").expect("a String takes it");
        if after > most {
            problems.push(format!("{name}: {before} became {after}, more than {most}"));
        }
    }
    let minutes = last.at.as_secs() / 60;
    let objects = cameras * OBJECTS_PER_CAMERA * if in_parts() { PARTED_TIMES } else { 1 };
    for (name, figure, most) in [
        ("threads", (|s: &Sample| s.threads) as fn(&Sample) -> u64, THREADS_MOST),
        ("objects in the bucket", (|s| s.objects) as fn(&Sample) -> u64, objects),
        ("bytes in the spool", |s| s.spool_bytes, cameras * SPOOL_BYTES_PER_CAMERA),
        (
            "bytes of log",
            |s| s.log_bytes,
            LOG_BYTES_AT_ONCE + minutes * cameras * LOG_BYTES_PER_CAMERA_AND_MINUTE,
        ),
    ] {
        let highest = samples.iter().map(figure).max().unwrap_or_default();
        writeln!(text, "{name}: {highest} at most").expect("a String takes it");
        if highest > most {
            problems.push(format!("{name}: {highest}, more than {most}"));
        }
    }
    (text, problems)
}
