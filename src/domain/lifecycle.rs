//! One camera's engine: when to start it, when to give a run up, when to try again.

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::test_time::start;

    const S: Duration = Duration::from_secs(1);

    fn started(now: Instant) -> Lifecycle {
        let mut life = Lifecycle::new(Patience::for_segments_of(2 * S), Dice::new(3));
        life.handle(now, Input::Start);
        assert_eq!(life.poll(now), Some(Action::Spawn));
        assert_eq!(life.poll(now), None);
        life
    }

    #[test]
    fn a_stop_asks_then_terminates_then_kills() {
        let t0 = start();
        let mut life = started(t0);
        life.handle(t0, Input::Stop);
        assert_eq!(life.poll(t0), Some(Action::Ask));
        assert_eq!(life.poll(t0 + S), None);
        assert_eq!(life.poll(t0 + 2 * S), Some(Action::Terminate));
        assert_eq!(life.poll(t0 + 4 * S), Some(Action::Kill));
        life.handle(t0 + 4 * S, Input::Exited(Cause::Crashed));
        assert!(life.is_over());
        assert_eq!((life.last_cause(), life.restarts()), (Some(Cause::Asked), 0));
    }

    #[test]
    fn a_first_segment_that_never_comes_counts_as_death() {
        let t0 = start();
        let mut life = started(t0);
        assert_eq!(life.deadline(), Some(t0 + 24 * S));
        assert_eq!(life.poll(t0 + 24 * S), Some(Action::Terminate));
        life.handle(t0 + 25 * S, Input::Exited(Cause::Asked));
        assert_eq!(life.last_cause(), Some(Cause::Stalled));
        assert!(matches!(life.phase(), Phase::BackingOff { .. }));
    }

    #[test]
    fn a_stall_counts_as_death_and_segments_put_it_off() {
        let t0 = start();
        let mut life = started(t0);
        life.handle(t0 + 3 * S, Input::SegmentProduced);
        life.handle(t0 + 5 * S, Input::SegmentProduced);
        assert_eq!(life.poll(t0 + 11 * S), None);
        assert_eq!(life.poll(t0 + 12 * S), Some(Action::Terminate));
    }

    #[test]
    fn restarts_come_ever_more_rarely_and_a_stable_run_forgets() {
        let mut now = start();
        let mut life = started(now);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            life.handle(now, Input::Exited(Cause::Unreachable));
            let at = life.deadline().unwrap();
            pauses.push(at - now);
            assert_eq!(life.poll(at), Some(Action::Spawn));
            now = at;
        }
        assert!(pauses[0] <= S && pauses[11] >= 30 * S && pauses[11] <= 60 * S, "{pauses:?}");
        life.handle(now, Input::SegmentProduced);
        life.handle(now + 61 * S, Input::SegmentProduced);
        life.handle(now + 62 * S, Input::Exited(Cause::Disconnected));
        assert!(life.deadline().unwrap() - (now + 62 * S) <= S);
    }

    #[test]
    fn a_wrong_password_is_tried_rarely() {
        let t0 = start();
        let mut life = started(t0);
        life.handle(t0, Input::Exited(Cause::Auth));
        assert!(life.deadline().unwrap() - t0 >= 30 * S);
    }

    #[test]
    fn a_start_while_stopping_starts_again_at_once() {
        let t0 = start();
        let mut life = started(t0);
        life.handle(t0, Input::Stop);
        assert_eq!(life.poll(t0), Some(Action::Ask));
        life.handle(t0, Input::Start);
        assert_eq!(life.poll(t0), None, "the old run has to end first");
        life.handle(t0 + S, Input::Exited(Cause::Asked));
        assert_eq!(life.poll(t0 + S), Some(Action::Spawn));
        assert_eq!(life.failures(), 0);
    }

    #[test]
    fn a_stop_while_backing_off_is_over_at_once() {
        let t0 = start();
        let mut life = started(t0);
        life.handle(t0, Input::Exited(Cause::Unreachable));
        life.handle(t0, Input::Stop);
        assert_eq!(life.poll(t0), None);
        assert!(life.is_over());
    }

    proptest! {
        /// Whatever happens in whatever order: actions come one at a time, never two runs at once, no
        /// deadline in the past once drained, and a stop always comes to an end.
        #[test]
        fn any_script_is_survived(script in prop::collection::vec((0u8..6, 0u32..40), 1..200)) {
            let mut now = start();
            let mut life = Lifecycle::new(Patience::for_segments_of(2 * S), Dice::new(9));
            let mut running = false;
            let drain = |life: &mut Lifecycle, now: Instant, running: &mut bool| {
                for _ in 0..10 {
                    match life.poll(now) {
                        Some(Action::Spawn) => { assert!(!*running); *running = true; }
                        Some(_) => assert!(*running),
                        None => {
                            assert!(life.deadline().is_none_or(|at| at > now), "{:?}", life.phase());
                            return;
                        }
                    }
                }
                panic!("never drained");
            };
            for (what, wait_s) in script {
                now += S * wait_s;
                drain(&mut life, now, &mut running);
                match what {
                    0 => life.handle(now, Input::Start),
                    1 => life.handle(now, Input::Stop),
                    2 | 3 if running => life.handle(now, Input::SegmentProduced),
                    4 if running => { running = false; life.handle(now, Input::Exited(Cause::Disconnected)); }
                    5 if running => { running = false; life.handle(now, Input::Exited(Cause::Auth)); }
                    _ => {}
                }
                drain(&mut life, now, &mut running);
            }
            life.handle(now, Input::Stop);
            drain(&mut life, now, &mut running);
            if running {
                now += 10 * S;
                drain(&mut life, now, &mut running);
                life.handle(now, Input::Exited(Cause::Asked));
                drain(&mut life, now, &mut running);
            }
            prop_assert!(life.is_over());
        }
    }
}
