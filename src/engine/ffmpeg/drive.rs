//! One ffmpeg from its start to its exit: what it wrote becomes segments, what it said becomes a cause.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nix::sys::signal::Signal;
use nix::sys::statvfs::statvfs;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStderr, ChildStdin};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::process::StderrLines;
use super::stderr::LastWords;
use crate::clock;
use crate::domain::ids::RunId;
use crate::domain::lifecycle::Cause;
use crate::domain::segment::{Payload, Segment};
use crate::domain::timeline::Timeline;
use crate::engine::spool::LOCAL_PLAYLIST;
use crate::engine::spool::diff::{Diff, Listed};
use crate::engine::spool::root::{RunFolder, discard};
use crate::engine::spool::watch::Bell;
use crate::engine::{EngineEvent, Exit, Halt, Run};

/// What a lost ring of the bell costs at most.
const TICK: Duration = Duration::from_secs(1);
/// Without a bell.
const POLL: Duration = Duration::from_millis(100);
/// Far more than can be on disk.
const MOST_MISSED: u64 = 10_000;
const DISK_TIME: Duration = Duration::from_secs(3);
/// Less than a segment.
const FULL_BYTES: u128 = 128 * 1024;
/// For the last lines of a child that has ended.
const LAST_WORDS_TIME: Duration = Duration::from_millis(500);

/// Dropping it kills ffmpeg.
#[derive(Debug)]
pub(super) struct FfmpegRun {
    events: mpsc::Receiver<EngineEvent>,
    halts: mpsc::Sender<Halt>,
    _driver: JoinSet<()>,
}

impl FfmpegRun {
    pub(super) fn start(run: RunId, mut child: Child, folder: RunFolder, bell: Bell) -> Self {
        let (events_out, events) = mpsc::channel(64);
        let (halts, halts_in) = mpsc::channel(8);
        let stderr = StderrLines::new(child.stderr.take());
        let tail = Tail {
            run,
            path: folder.path().to_owned(),
            diff: Diff::default(),
            timeline: Timeline::default(),
        };
        let driver = Driver {
            started: clock::now(),
            stdin: child.stdin.take(),
            child,
            stderr,
            words: LastWords::default(),
            halted: false,
            tail,
            folder,
            events: events_out,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(driver.drive(bell, halts_in).in_current_span());
        Self { events, halts, _driver: tasks }
    }
}

#[async_trait]
impl Run for FfmpegRun {
    async fn next(&mut self) -> EngineEvent {
        // The driver's last word is always `Exited`; it is missing only if the driver panicked.
        let lost = || Exit {
            code: None,
            signal: None,
            ran_for: Duration::ZERO,
            cause: Cause::Crashed,
            last_words: vec!["the engine's driver ended".into()],
        };
        self.events.recv().await.unwrap_or_else(|| EngineEvent::Exited(lost()))
    }

    fn halt(&mut self, how: Halt) {
        // Full: it was told eight times already.
        let _ = self.halts.try_send(how);
    }
}

struct Driver {
    started: Instant,
    child: Child,
    /// Not left in `child`: waiting for it would close this.
    stdin: Option<ChildStdin>,
    stderr: StderrLines<ChildStderr>,
    words: LastWords,
    /// We asked it to end.
    halted: bool,
    tail: Tail,
    folder: RunFolder,
    events: mpsc::Sender<EngineEvent>,
}

impl Driver {
    async fn drive(mut self, bell: Bell, mut halts: mpsc::Receiver<Halt>) {
        let mut tick = tokio::time::interval(if bell.is_watched() { TICK } else { POLL });
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status,
                Some(line) = self.stderr.next(), if !self.stderr.is_over() => self.hear(&line),
                Some(how) = halts.recv() => self.halt(how).await,
                () = bell.ring() => self.look().await,
                _ = tick.tick() => self.look().await,
            }
        };
        self.finish(status.ok()).await;
    }

    fn hear(&mut self, line: &str) {
        let line = self.words.hear(line);
        tracing::debug!(run = %self.tail.run, line, "ffmpeg says");
    }

    async fn halt(&mut self, how: Halt) {
        self.halted = true;
        match how {
            Halt::Ask => {
                if let Some(stdin) = &mut self.stdin {
                    // One byte into an empty pipe; a broken one means that it is ending already.
                    let _ = stdin.write_all(b"q").await;
                }
            }
            Halt::Terminate => crate::sys::child::signal_group(&self.child, Signal::SIGTERM),
            Halt::Kill => crate::sys::child::signal_group(&self.child, Signal::SIGKILL),
        }
    }

    /// Hands over what is new in the spool.
    async fn look(&mut self) {
        for event in self.tail.news().await.unwrap_or_default() {
            if matches!(event, EngineEvent::Segment(_)) {
                self.words.all_is_well();
            }
            // Nobody listens: this driver is about to be dropped.
            let _ = self.events.send(event).await;
        }
    }

    async fn finish(mut self, status: Option<ExitStatus>) {
        use std::os::unix::process::ExitStatusExt as _;

        // Bounded: a grandchild could hold the pipe open.
        let _ = tokio::time::timeout(LAST_WORDS_TIME, self.hear_the_rest()).await;
        let all_told = self.look_last().await;
        let code = status.and_then(|status| status.code());
        let said = match self.words.cause(code) {
            // A camera that locks accounts must not be asked as often as a spool.
            Cause::Auth => Cause::Auth,
            _ if is_full(&self.tail.path).await => Cause::Spool,
            other => other,
        };
        let exit = Exit {
            code,
            signal: status.and_then(|status| status.signal()),
            ran_for: clock::now().saturating_duration_since(self.started),
            cause: if self.halted && !matches!(said, Cause::Auth | Cause::Spool) {
                Cause::Asked
            } else {
                said
            },
            last_words: self.words.into_lines(),
        };
        let (folder, diff) = (self.folder, self.tail.diff);
        on_disk(move || {
            if all_told {
                folder.remove_all_but(|name| diff.has_told(name));
            }
            Some(())
        })
        .await;
        let _ = self.events.send(EngineEvent::Exited(exit)).await;
    }

    async fn hear_the_rest(&mut self) {
        while let Some(line) = self.stderr.next().await {
            self.hear(&line);
        }
    }

    /// The final segment; what it means for the cause was decided before.
    /// `false`: the spool did not answer.
    async fn look_last(&mut self) -> bool {
        let Some(news) = self.tail.news().await else { return false };
        for event in news {
            let _ = self.events.send(event).await;
        }
        true
    }
}

/// Follows one run's folder.
struct Tail {
    run: RunId,
    path: PathBuf,
    diff: Diff,
    timeline: Timeline,
}

impl Tail {
    /// `None`: the spool did not answer, so nothing is known; it is asked again.
    async fn news(&mut self) -> Option<Vec<EngineEvent>> {
        let (folder, mut diff) = (self.path.clone(), self.diff.clone());
        // One step, and the diff moves on only if it came to its end: a hang costs time, not segments.
        let (diff, missed, found) = on_disk(move || {
            // Absent before the first segment, and after somebody emptied the tmpfs: no news either way.
            let text = fs::read_to_string(folder.join(LOCAL_PLAYLIST)).unwrap_or_default();
            let news = diff.advance(&text);
            if let Some(first) = news.segments.first() {
                remove_missed(&folder, first.index, news.missed);
            }
            let found: Vec<_> = news.segments.into_iter().map(|listed| weigh(&folder, listed)).collect();
            Some((diff, news.missed, found))
        })
        .await?;
        self.diff = diff;
        Some(self.tell(missed, found))
    }

    fn tell(&mut self, missed: u64, found: Vec<Found>) -> Vec<EngineEvent> {
        let (seen, mut lost) = (clock::wall(), missed);
        let mut later: Duration = found.iter().map(|found| found.listed.duration).sum();
        let mut events = Vec::new();
        for Found { listed, path, bytes } in found {
            later = later.saturating_sub(listed.duration);
            let start = self.timeline.stamp(seen.checked_sub(later).unwrap_or(seen), listed.duration);
            if bytes == 0 {
                lost += 1;
                continue;
            }
            let (index, duration, payload) = (listed.index, listed.duration, Payload::File { path, bytes });
            let segment = Segment { run: self.run, index, duration, program_time: start, payload };
            events.push(EngineEvent::Segment(segment));
        }
        if lost > 0 {
            events.push(EngineEvent::Lost { segments: lost });
        }
        events
    }
}

/// A listed segment, and what is on disk of it.
struct Found {
    listed: Listed,
    path: PathBuf,
    /// 0: nothing.
    bytes: u64,
}

fn weigh(folder: &Path, listed: Listed) -> Found {
    let path = folder.join(&listed.name);
    let bytes = fs::metadata(&path).map_or(0, |meta| meta.len());
    if bytes == 0 {
        // A full tmpfs gives empty files and no error.
        discard(&path);
    }
    Found { listed, path, bytes }
}

/// Segments before `first` that slid out of ffmpeg's playlist unseen would fill the spool.
fn remove_missed(folder: &Path, first: u64, missed: u64) {
    for index in first.saturating_sub(missed.min(MOST_MISSED))..first {
        discard(&folder.join(format!("seg_{index:06}.ts")));
    }
}

/// A spool that hangs must not keep the driver from hearing that it is to stop.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
    tokio::time::timeout(DISK_TIME, tokio::task::spawn_blocking(work)).await.ok()?.ok()?
}

/// ffmpeg says nothing of a full file system: it goes on with empty files.
async fn is_full(folder: &Path) -> bool {
    let folder = folder.to_owned();
    let free = on_disk(move || {
        let fs = statvfs(&folder).ok()?;
        Some(u128::from(fs.blocks_available()) * u128::from(fs.fragment_size()))
    });
    free.await.is_some_and(|free| free < FULL_BYTES)
}
