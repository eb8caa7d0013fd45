//! One camera's engine: when to start it, when to give a run up, when to try again.

mod cause;
mod ladder;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::dice::Dice;
use super::health::{self, Thresholds};

pub use cause::Cause;
use ladder::Ladder;
pub use ladder::Rungs;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Phase {
    Idle,
    /// Spawned, no segment yet.
    Starting {
        since: Instant,
    },
    Live {
        since: Instant,
        last_segment: Instant,
    },
    /// Asked to end: `stage` counts the askings.
    Stopping {
        stage: Stage,
        next_at: Instant,
    },
    BackingOff {
        until: Instant,
    },
}

impl Phase {
    /// `idle`, `starting`, `live`, `stopping`, `waiting`: the same in every version.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting { .. } => "starting",
            Self::Live { .. } => "live",
            Self::Stopping { .. } => "stopping",
            Self::BackingOff { .. } => "waiting",
        }
    }
}

/// The ladder of a stop; each rung gets its grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Asked,
    Terminated,
    Killed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    Start,
    Stop,
    SegmentProduced(Duration),
    /// What the run gives from now on is not wanted; what it gave before is.
    Unfit(Cause),
    /// A better run can be had: this one is to end with all that it made, and the next one to begin at once.
    Renew,
    /// The run gives nonsense faster than real time.
    Runaway,
    /// Nobody looked for so long (this process was stopped, or starved): the run may have given segments meanwhile.
    HeldUp(Duration),
    /// Somebody asks for the stream now: the next try need not wait for its time.
    Asked,
    Exited(Cause),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Spawn,
    /// `q` on its standard input: the last segment is finished.
    Ask,
    /// SIGTERM.
    Terminate,
    /// SIGKILL to its process group.
    Kill,
}

/// How long each thing may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Patience {
    pub first_segment: Duration,
    /// Between two segments.
    pub stall: Duration,
    /// For each rung of a stop.
    pub grace: Duration,
    /// A run that gave segments for this long was a good one: earlier failures are forgotten.
    pub stable_after: Duration,
    pub rungs: Rungs,
    /// Between two looks of the health monitor.
    pub look_every: Duration,
    pub thresholds: Thresholds,
}

/// Beyond the longest segment: a key frame may come late.
const STALL_SLACK: Duration = Duration::from_secs(5);

impl Patience {
    pub fn for_segments_of(duration: Duration) -> Self {
        Self {
            first_segment: Duration::from_secs(20) + 2 * duration,
            stall: (3 * duration).max(duration + STALL_SLACK),
            grace: Duration::from_secs(2),
            // Less than a minute: a camera that reboots every minute has to be picked up quickly each time.
            stable_after: Duration::from_secs(30),
            rungs: Rungs::default(),
            look_every: health::DEFAULT_INTERVAL,
            thresholds: Thresholds { segment_duration: duration },
        }
    }
}

#[derive(Debug)]
pub struct Lifecycle {
    patience: Patience,
    dice: Dice,
    phase: Phase,
    wanted: bool,
    /// How long the current run has given segments.
    lived: Duration,
    /// Why the run is being ended though nobody asked for it, and how.
    ending: Option<(Cause, Stage)>,
    /// The current run's last segments.
    recent: [Duration; 3],
    ladder: Ladder,
    restarts: u64,
    last_cause: Option<Cause>,
    failed_at: Option<Instant>,
    barred: Option<Barred>,
}

/// The camera refused user or password, and its account must not be locked: it is left alone for a while, also by those
/// who come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Barred {
    pub until: Instant,
    /// Refusals in a row.
    pub times: u32,
}

/// Between a failure and the next try, if somebody asks.
const LEAST_PAUSE: Duration = Duration::from_secs(2);

impl Lifecycle {
    pub fn new(patience: Patience, dice: Dice) -> Self {
        Self {
            ladder: Ladder::new(patience.rungs.clone()),
            patience,
            dice,
            phase: Phase::Idle,
            wanted: false,
            lived: Duration::ZERO,
            ending: None,
            recent: [Duration::ZERO; 3],
            restarts: 0,
            last_cause: None,
            failed_at: None,
            barred: None,
        }
    }

    /// Goes on where an earlier one of the same camera was refused.
    #[must_use]
    pub fn barred_by(mut self, barred: Option<Barred>) -> Self {
        let Some(Barred { until, times }) = barred else { return self };
        self.barred = barred;
        self.last_cause = Some(Cause::Auth);
        self.ladder.was_refused(times);
        self.phase = Phase::BackingOff { until };
        self
    }

    pub fn barred(&self) -> Option<Barred> {
        self.barred
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn last_cause(&self) -> Option<Cause> {
        self.last_cause
    }

    /// The current run is being ended because it failed, not for a better one.
    pub fn is_giving_up(&self) -> bool {
        let harmless = [Cause::Asked, Cause::StreamChanged, Cause::SoundJumped];
        self.ending.is_some_and(|(cause, _)| !harmless.contains(&cause))
    }

    /// Why the current run is being ended, if its camera is.
    pub fn ends_for(&self) -> Option<Cause> {
        self.ending.map(|(cause, _)| cause).filter(|cause| *cause != Cause::Asked)
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.ladder.failures()
    }

    /// The longest of the current run's last segments: a camera's key frames may be far apart.
    pub fn longest_recent(&self) -> Duration {
        self.recent.into_iter().max().unwrap_or_default()
    }

    /// Runs that ended without being asked to.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Nothing runs and nothing is wanted.
    pub fn is_over(&self) -> bool {
        !self.wanted && self.phase == Phase::Idle
    }

    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Start => self.wanted = true,
            Input::Stop => self.wanted = false,
            Input::SegmentProduced(duration) => self.segment(now, duration),
            Input::Unfit(cause) => self.end(cause, Stage::Asked),
            Input::Renew => self.end(Cause::Asked, Stage::Asked),
            Input::Runaway => self.end(Cause::ClockJumped, Stage::Killed),
            Input::HeldUp(lost) => self.held_up(now, lost),
            Input::Asked => self.hurry(now),
            Input::Exited(cause) => self.exited(now, cause),
        }
    }

    fn segment(&mut self, now: Instant, duration: Duration) {
        self.recent.rotate_left(1);
        self.recent[2] = duration;
        match &mut self.phase {
            Phase::Starting { .. } => {
                self.phase = Phase::Live { since: now, last_segment: now };
                self.barred = None;
            }
            Phase::Live { since, last_segment } => {
                self.lived = now.saturating_duration_since(*since);
                *last_segment = now;
            }
            // A last segment while stopping is no news.
            Phase::Idle | Phase::Stopping { .. } | Phase::BackingOff { .. } => {}
        }
    }

    /// That time is nobody's: a run that gave nothing in all the rest is still a dead one.
    fn held_up(&mut self, now: Instant, lost: Duration) {
        match &mut self.phase {
            Phase::Starting { since: at } | Phase::Live { last_segment: at, .. } => *at = now.min(*at + lost),
            Phase::Stopping { next_at, .. } => *next_at = (now + self.patience.grace).min(*next_at + lost),
            Phase::Idle | Phase::BackingOff { .. } => {}
        }
    }

    /// However often somebody asks: a camera that refused is asked again when it is time, and any other one some seconds
    /// after it failed.
    fn hurry(&mut self, now: Instant) {
        let Phase::BackingOff { until } = &mut self.phase else { return };
        if let Some(failed_at) = self.failed_at.filter(|_| self.barred.is_none()) {
            *until = (*until).min(now.max(failed_at + LEAST_PAUSE));
        }
    }

    /// The current run is to end, and another one to follow.
    fn end(&mut self, cause: Cause, stage: Stage) {
        if matches!(self.phase, Phase::Starting { .. } | Phase::Live { .. }) {
            self.ending = Some((cause, stage));
        }
    }

    fn exited(&mut self, now: Instant, cause: Cause) {
        let ending = self.ending.take().map(|(cause, _)| cause);
        let renewed = ending == Some(Cause::Asked);
        let asked = ending.is_none() && matches!(self.phase, Phase::Stopping { .. });
        let lived = std::mem::take(&mut self.lived);
        let cause = match (cause, ending) {
            // The camera counts them, whoever wanted it to end.
            (Cause::Auth, _) => Cause::Auth,
            // Our own signal is not why it ended; what ffmpeg said before may be.
            _ if asked => Cause::Asked,
            (Cause::Asked | Cause::Crashed | Cause::Disconnected, Some(ending)) => ending,
            (cause, _) => cause,
        };
        self.last_cause = Some(cause);
        if cause != Cause::Auth && (asked || !self.wanted) {
            self.phase = Phase::Idle;
            return;
        }
        if lived >= self.patience.stable_after {
            self.ladder.forget();
        }
        if renewed && cause == Cause::Asked {
            self.phase = Phase::BackingOff { until: now };
            return;
        }
        self.restarts += u64::from(self.wanted);
        let until = now + self.ladder.failed(cause, &mut self.dice);
        self.failed_at = Some(now);
        self.barred = (cause == Cause::Auth).then(|| Barred { until, times: self.ladder.refusals() });
        self.phase = Phase::BackingOff { until };
    }

    pub fn poll(&mut self, now: Instant) -> Option<Action> {
        match self.phase {
            Phase::Idle if self.wanted => Some(self.spawn(now)),
            Phase::BackingOff { .. } if !self.wanted => {
                self.phase = Phase::Idle;
                None
            }
            Phase::BackingOff { until } if now >= until => Some(self.spawn(now)),
            Phase::Starting { .. } | Phase::Live { .. } if !self.wanted => Some(self.stop(now, Stage::Asked)),
            Phase::Starting { .. } | Phase::Live { .. } => {
                // Silent towards us as the camera is towards it: no need to ask first.
                let stalled = || self.is_stalled(now).then_some((Cause::Stalled, Stage::Terminated));
                self.ending = self.ending.or_else(stalled);
                self.ending.map(|(_, stage)| self.stop(now, stage))
            }
            Phase::Stopping { stage, next_at } if now >= next_at => match stage {
                Stage::Asked => Some(self.stop(now, Stage::Terminated)),
                Stage::Terminated | Stage::Killed => Some(self.stop(now, Stage::Killed)),
            },
            _ => None,
        }
    }

    fn spawn(&mut self, now: Instant) -> Action {
        self.phase = Phase::Starting { since: now };
        self.recent = [Duration::ZERO; 3];
        Action::Spawn
    }

    fn stop(&mut self, now: Instant, stage: Stage) -> Action {
        self.phase = Phase::Stopping { stage, next_at: now + self.patience.grace };
        match stage {
            Stage::Asked => Action::Ask,
            Stage::Terminated => Action::Terminate,
            Stage::Killed => Action::Kill,
        }
    }

    fn is_stalled(&self, now: Instant) -> bool {
        self.stalls_at().is_some_and(|at| now >= at)
    }

    fn stalls_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Starting { since } => Some(since + self.patience.first_segment),
            Phase::Live { last_segment, .. } => {
                Some(last_segment + self.patience.stall.max(self.longest_recent() + STALL_SLACK))
            }
            _ => None,
        }
    }

    /// When to poll again if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle => None,
            Phase::Starting { .. } | Phase::Live { .. } => self.stalls_at(),
            Phase::Stopping { next_at, .. } => Some(next_at),
            Phase::BackingOff { until } => Some(until),
        }
    }
}
