//! What processes take of the machine, as the kernel tells (`/proc`). Where there is no such thing, nothing is known.

use std::time::Duration;

use procfs::process::{Process, Stat};

/// Of one process or several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub cpu: Duration,
    pub resident_bytes: u64,
}

/// A build of ffmpeg may be behind a script, and that behind another.
const MOST_DEEP: u32 = 4;
const MOST_CHILDREN: usize = 32;

/// Of the process and what it started; `None`: it is not there any more.
pub fn of_family(pid: u32) -> Option<Usage> {
    family(pid, MOST_DEEP)
}

fn family(pid: u32, deep: u32) -> Option<Usage> {
    let process = Process::new(i32::try_from(pid).ok()?).ok()?;
    let stat = process.stat().ok()?;
    // With the time of those that it has waited for.
    let waited_for = [stat.cutime, stat.cstime].map(|ticks| u64::try_from(ticks).unwrap_or_default());
    let mut usage = own(&stat);
    usage.cpu += ticks(waited_for.into_iter().sum());
    if deep > 0 {
        let children = process.tasks().ok()?.filter_map(|task| task.ok()?.children().ok()).flatten();
        for child in children.take(MOST_CHILDREN).filter_map(|child| family(child, deep - 1)) {
            usage.cpu += child.cpu;
            usage.resident_bytes += child.resident_bytes;
        }
    }
    Some(usage)
}

fn own(stat: &Stat) -> Usage {
    Usage { cpu: ticks(stat.utime + stat.stime), resident_bytes: stat.rss * procfs::page_size() }
}

fn ticks(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second().max(1) as f64)
}

/// This process, without its children.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Own {
    pub usage: Usage,
    pub open_fds: usize,
    /// Since the Unix epoch.
    pub started: Option<Duration>,
}

pub fn own_process() -> Option<Own> {
    let process = Process::myself().ok()?;
    let stat = process.stat().ok()?;
    // The wall clock may have been set since: then this is when it would have been.
    let booted = procfs::boot_time_secs().ok().map(Duration::from_secs);
    let started = booted.map(|booted| booted + ticks(stat.starttime));
    Some(Own { usage: own(&stat), open_fds: process.fd_count().ok()?, started })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_child_of_a_child_counts_and_one_that_is_gone_is_nothing() {
        // It computes for a while, and says so; then it waits for its input's end.
        let script = "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done; read x'; exit 0";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 5];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        let usage = of_family(child.id()).unwrap();
        assert!(usage.cpu > Duration::ZERO && usage.cpu < Duration::from_secs(60), "{usage:?}");
        let alone = own(&Process::new(child.id().cast_signed()).unwrap().stat().unwrap());
        assert!(usage.cpu > alone.cpu && usage.resident_bytes > alone.resident_bytes, "{usage:?}, {alone:?}");
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(of_family(child.id()), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test looks at the clock")]
    fn this_process_is_known() {
        let own = own_process().unwrap();
        assert!(own.usage.resident_bytes > 1 << 20 && own.open_fds > 2, "{own:?}");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let age = now.abs_diff(own.started.unwrap());
        assert!(age < Duration::from_secs(3600), "{own:?}");
    }
}
