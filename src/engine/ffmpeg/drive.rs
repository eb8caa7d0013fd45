//! One ffmpeg from its start to its exit: what it wrote becomes segments, what it said becomes a cause.

mod excess;
mod fit;
mod piped;

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use excess::Excess;
use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStderr, ChildStdin};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::Acquaintance;
use super::fitness::Fitness;
use super::pipes::Pipes;
use super::process::Lines;
use super::stderr::LastWords;
use super::tail::{FULL_BYTES, News, Tail, free_bytes, is_read_only, on_disk};
use super::usage::Sampler;
use crate::clock;
use crate::domain::lifecycle::Cause;
use crate::engine::spool::diff::Diff;
use crate::engine::spool::root::RunFolder;
use crate::engine::spool::shares::Share;
use crate::engine::spool::watch::Bell;
use crate::engine::{EngineEvent, Exit, Halt, Run};

/// What a lost ring of the bell costs at most.
const TICK: Duration = Duration::from_secs(1);
/// Without a bell.
const POLL: Duration = Duration::from_millis(100);
/// Between two tries to get a bell after all.
const WATCH_AGAIN: Duration = Duration::from_secs(60);
/// A camera whose key frames are far apart: what waited for the first one comes in a burst, which only as a whole
/// tells when it began.
const SLOW_START: Duration = Duration::from_secs(6);
const BURST: Duration = Duration::from_millis(250);
/// For the picture's next frame, which tells whether it is the sound alone that jumps.
const NEXT_FRAME: Duration = Duration::from_millis(1500);
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
    pub(super) fn start(
        (tail, pipes): (Tail, Option<Pipes>),
        (mut child, usage): (Child, Sampler),
        folder: RunFolder,
        bell: Bell,
        share: Share,
        fitness: Fitness,
        acquaintance: Acquaintance,
    ) -> Self {
        let (events_out, events) = mpsc::channel(64);
        let (halts, halts_in) = mpsc::channel(8);
        let stderr = Lines::new(child.stderr.take());
        let driver = Driver {
            started: clock::now(),
            stdin: child.stdin.take(),
            child,
            usage,
            stderr,
            words: LastWords::default(),
            fitness,
            acquaintance,
            sound_judged_at: None,
            halted: false,
            is_renewed: false,
            is_unfit: false,
            is_false_start: false,
            excess: None,
            share,
            tail,
            pipes,
            unread: None,
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
    usage: Sampler,
    /// Not left in `child`: waiting for it would close this.
    stdin: Option<ChildStdin>,
    stderr: Lines<ChildStderr>,
    words: LastWords,
    fitness: Fitness,
    acquaintance: Acquaintance,
    /// The sound jumps; perhaps the picture follows until then.
    sound_judged_at: Option<Instant>,
    /// We asked it to end.
    halted: bool,
    /// Nothing was wrong with it then: the agent stops, or has better use for the next one.
    is_renewed: bool,
    is_unfit: bool,
    /// It was begun with a wrong supposition: the next one shows all.
    is_false_start: bool,
    /// The camera's spool was larger than its share.
    excess: Option<Excess>,
    share: Share,
    tail: Tail,
    /// Of a run in parts.
    pipes: Option<Pipes>,
    /// Why the spool could not be read just now.
    unread: Option<String>,
    folder: RunFolder,
    events: mpsc::Sender<EngineEvent>,
}

impl Driver {
    async fn drive(mut self, mut bell: Bell, mut halts: mpsc::Receiver<Halt>) {
        let mut tick = ticks(&bell);
        let mut watch_again = tokio::time::interval(WATCH_AGAIN);
        watch_again.reset();
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status,
                Some(line) = self.stderr.next(), if !self.stderr.is_over() => self.heed(&line).await,
                piped = piped::next(&mut self.pipes) => self.piped(piped).await,
                Some(how) = halts.recv() => self.halt(how).await,
                () = clock::sleep_until(self.sound_judged_at) => self.judge_sound().await,
                () = bell.ring() => self.look().await,
                _ = tick.tick() => {
                    self.usage.look(clock::now());
                    self.look().await;
                }
                _ = watch_again.tick(), if !bell.is_watched() => {
                    if bell.watch_again() {
                        tick = ticks(&bell);
                    }
                }
            }
        };
        self.finish(status.ok()).await;
    }

    async fn tell(&mut self, event: EngineEvent) {
        if event == EngineEvent::Unfit(Cause::StreamChanged) {
            self.acquaintance.forget();
        }
        self.pass_on(event).await;
    }

    async fn pass_on(&mut self, event: EngineEvent) {
        self.is_unfit |= matches!(event, EngineEvent::Unfit(_));
        // Nobody listens: this driver is about to be dropped.
        let _ = self.events.send(event).await;
    }

    fn hear(&mut self, line: &str) {
        let line = self.words.hear(line);
        if self.words.chats() {
            tracing::trace!(run = %self.tail.run, line, "ffmpeg mentions");
        } else {
            tracing::debug!(run = %self.tail.run, line, "ffmpeg says");
        }
    }

    async fn halt(&mut self, how: Halt) {
        self.is_renewed |= how == Halt::Ask && !self.halted && !self.is_unfit;
        self.halted = true;
        self.usage.look_again(clock::now());
        match how {
            Halt::Ask => {
                if let Some(stdin) = &mut self.stdin {
                    // One byte into an empty pipe; a broken one means that it is ending already.
                    let _ = stdin.write_all(b"q").await;
                }
            }
            Halt::Terminate | Halt::Kill if self.fitness.waits_for_first() => {
                // Keyframes may be as far apart as one's patience.
                self.acquaintance.forget();
                crate::sys::child::signal_group(
                    &self.child,
                    if how == Halt::Kill { Signal::SIGKILL } else { Signal::SIGTERM },
                );
            }
            Halt::Terminate => crate::sys::child::signal_group(&self.child, Signal::SIGTERM),
            Halt::Kill => crate::sys::child::signal_group(&self.child, Signal::SIGKILL),
        }
    }

    /// Hands over what is new in the spool.
    async fn look(&mut self) {
        let waits = self.pipes.is_none() && self.tail.diff == Diff::default();
        if waits && self.started + SLOW_START < clock::now() {
            tokio::time::sleep(BURST).await;
        }
        let news = self.tail.news().await;
        self.unread = news.as_ref().err().map(ToString::to_string);
        let News { events, used } = news.unwrap_or_default();
        self.keep_within_share(used);
        for event in events {
            self.judge(event).await;
        }
    }

    /// At once and without a last segment: whatever it is that fills the spool, it goes on meanwhile.
    fn keep_within_share(&mut self, used: u64) {
        let share = self.share.bytes();
        if used > share && self.excess.is_none() {
            self.excess = Some(Excess::Spool { used, share });
            crate::sys::child::signal_group(&self.child, Signal::SIGKILL);
        }
    }

    async fn finish(mut self, status: Option<ExitStatus>) {
        use std::os::unix::process::ExitStatusExt as _;

        // Bounded: a grandchild could hold the pipe open.
        let _ = tokio::time::timeout(LAST_WORDS_TIME, self.hear_the_rest()).await;
        self.drain_pipes().await;
        let all_told = self.look_last().await;
        let code = status.and_then(|status| status.code());
        let signal = status.and_then(|status| status.signal());
        if signal == Some(Signal::SIGKILL as i32) && !self.halted {
            self.words.note("killed by signal 9 from outside (out of memory?)".to_owned());
        }
        // The kernel ended it: see `sys::child::limit_files`.
        if signal == Some(Signal::SIGXFSZ as i32) {
            let share = self.share.bytes();
            let renditions = self.tail.renditions();
            self.excess.get_or_insert(Excess::Segment { share, renditions });
        }
        let said = match self.words.cause(code) {
            _ if self.excess.is_some() => Cause::SpoolLimit,
            // A camera that locks accounts must not be asked as often as a spool.
            Cause::Auth => Cause::Auth,
            other => match self.spool_trouble().await {
                Some(trouble) => {
                    self.words.note(trouble);
                    Cause::Spool
                }
                None => other,
            },
        };
        // A look comes at once: not where the pause is for the account's sake.
        if !self.fitness.is_of_copy() && !self.is_renewed && said != Cause::Auth {
            self.acquaintance.doubt(clock::now());
        }
        let mut last_words = self.words.into_lines();
        last_words.extend(self.excess.map(Excess::in_words));
        let exit = Exit {
            code,
            signal,
            ran_for: clock::now().saturating_duration_since(self.started),
            cause: if self.halted && !matches!(said, Cause::Auth | Cause::Spool | Cause::SpoolLimit) {
                Cause::Asked
            } else {
                said
            },
            last_words,
        };
        let (folder, diff) = (self.folder, self.tail.diff);
        let tidied = on_disk(move || {
            if all_told {
                folder.remove_all_but(|name| diff.has_told(name));
            }
            Ok(())
        });
        if let Err(error) = tidied.await {
            tracing::debug!(%error, "the run's folder could not be tidied up");
        }
        let _ = self.events.send(EngineEvent::Exited(exit)).await;
    }

    async fn hear_the_rest(&mut self) {
        while let Some(line) = self.stderr.next().await {
            self.hear(&line);
            // What it says of its streams is needed to know which one is meant; the run is over anyway.
            let _ = self.fitness.hear(&line);
            self.hear_of_sound(&line);
        }
    }

    /// The final segment; what it means for the cause was decided before.
    /// `false`: the spool did not answer.
    async fn look_last(&mut self) -> bool {
        let news = match self.tail.news().await {
            Ok(news) => news,
            Err(error) => {
                self.unread = Some(error.to_string());
                return false;
            }
        };
        for event in news.events {
            self.show(event).await;
        }
        true
    }

    /// What is wrong with the spool, for people. ffmpeg says nothing of a full file system: it goes on with empty
    /// files.
    async fn spool_trouble(&self) -> Option<String> {
        let path = self.tail.path.clone();
        let shown = path.display().to_string();
        if let Some(error) = &self.unread {
            return Some(format!("the spool can't be read ({shown}): {error}"));
        }
        let looked = on_disk(move || Ok((is_read_only(&path), free_bytes(&path).ok()))).await.ok()?;
        if looked.0 {
            let mend = "mount it writable, or set `spool:` to another folder";
            return Some(format!("the spool is on a read-only file system ({shown}): {mend}"));
        }
        let free = looked.1.filter(|free| *free < FULL_BYTES)?;
        let mend = "make room there, or set `spool:` to another folder";
        Some(format!("spool full: {} kB are free at {shown}; {mend}", free / 1000))
    }
}

/// Looks at the spool without a ring.
fn ticks(bell: &Bell) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(if bell.is_watched() { TICK } else { POLL });
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}
