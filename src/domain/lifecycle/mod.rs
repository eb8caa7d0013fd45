//! One camera's engine: when to start it, when to give a run up, when to try again.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::dice::Dice;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// This agent asked for it.
    Asked,
    /// No segment came in time, or none came any more.
    Stalled,
    /// The camera refused user and password.
    Auth,
    /// The camera does not know the path.
    NotFound,
    /// No connection: refused, no route, unknown host.
    Unreachable,
    /// The camera hung up.
    Disconnected,
    /// Connected, but what came could not be used.
    BadStream,
    /// The spool could not be written.
    Spool,
    /// Another agent on this machine runs this camera.
    Taken,
    /// Anything else.
    Crashed,
}

impl Cause {
    /// For people: what happened.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Asked => "stopped on request",
            Self::Stalled => "no new segment in time",
            Self::Auth => "the camera refused user or password (401)",
            Self::NotFound => "the camera does not know this path (404)",
            Self::Unreachable => "the camera can't be reached",
            Self::Disconnected => "the camera closed the connection",
            Self::BadStream => "the camera's stream could not be used",
            Self::Spool => "the spool could not be written",
            Self::Taken => "another edge-agent on this machine runs this camera",
            Self::Crashed => "ffmpeg failed",
        }
    }
}

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
    SegmentProduced,
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
    pub backoff: Backoff,
    /// For causes that a person has to mend; slow, so that cameras do not lock the account.
    pub rare_backoff: Backoff,
}

impl Patience {
    pub fn for_segments_of(duration: Duration) -> Self {
        Self {
            first_segment: Duration::from_secs(20) + 2 * duration,
            stall: (3 * duration).max(duration + Duration::from_secs(5)),
            grace: Duration::from_secs(2),
            stable_after: Duration::from_secs(60),
            backoff: Backoff { first: Duration::from_millis(500), most: Duration::from_secs(60) },
            rare_backoff: Backoff { first: Duration::from_secs(60), most: Duration::from_secs(900) },
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
    /// The run is being ended because it stalled.
    stalled: bool,
    failures: u32,
    restarts: u64,
    last_cause: Option<Cause>,
}

impl Lifecycle {
    pub fn new(patience: Patience, dice: Dice) -> Self {
        Self {
            patience,
            dice,
            phase: Phase::Idle,
            wanted: false,
            lived: Duration::ZERO,
            stalled: false,
            failures: 0,
            restarts: 0,
            last_cause: None,
        }
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn last_cause(&self) -> Option<Cause> {
        self.last_cause
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Runs that ended without being asked to.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Nothing runs and nothing is wanted.
    pub fn is_over(&self) -> bool {
        !self.wanted && self.phase == Phase::Idle
    }

    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Start => self.wanted = true,
            Input::Stop => self.wanted = false,
            Input::SegmentProduced => self.segment(now),
            Input::Exited(cause) => self.exited(now, cause),
        }
    }

    fn segment(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Starting { .. } => {
                self.phase = Phase::Live { since: now, last_segment: now };
            }
            Phase::Live { since, last_segment } => {
                self.lived = now.saturating_duration_since(*since);
                *last_segment = now;
            }
            // A last segment while stopping is no news.
            Phase::Idle | Phase::Stopping { .. } | Phase::BackingOff { .. } => {}
        }
    }

    fn exited(&mut self, now: Instant, cause: Cause) {
        let stalled = std::mem::take(&mut self.stalled);
        let asked = !stalled && matches!(self.phase, Phase::Stopping { .. });
        let lived = std::mem::take(&mut self.lived);
        self.last_cause = Some(match cause {
            // Our own signal is not why it ended; what ffmpeg said before may be.
            _ if asked => Cause::Asked,
            Cause::Asked | Cause::Crashed | Cause::Disconnected if stalled => Cause::Stalled,
            other => other,
        });
        if asked || !self.wanted {
            self.phase = Phase::Idle;
            return;
        }
        if lived >= self.patience.stable_after {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.restarts += 1;
        let backoff = if self.last_cause == Some(Cause::Auth) {
            self.patience.rare_backoff
        } else {
            self.patience.backoff
        };
        self.phase = Phase::BackingOff { until: now + backoff.delay(self.failures, self.dice.unit()) };
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
            Phase::Starting { .. } | Phase::Live { .. } if self.is_stalled(now) => {
                self.stalled = true;
                // It does not answer the camera's silence either: no need to ask first.
                Some(self.stop(now, Stage::Terminated))
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
            Phase::Live { last_segment, .. } => Some(last_segment + self.patience.stall),
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
