//! How a camera is, in one word and a reason for people. Pure: what is known in, a verdict out. It restarts
//! nothing: the lifecycle ends a run that gives no segments (earlier than this calls it stale), and an unconfirmed
//! playlist is the storage's trouble, which a new ffmpeg would not mend.

use std::time::Duration;

use super::lifecycle::Cause;

/// Between two looks, unless `health_check_interval` says otherwise.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

/// What one look saw.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    pub state: State,
    /// Since the start of the agent if there was none.
    pub since_last_segment: Duration,
    pub any_segment: bool,
    /// The longest of the last segments: key frames may be far apart.
    pub longest_recent: Duration,
    /// Since the store confirmed a playlist; since the first segment if it never did.
    pub since_playlist: Option<Duration>,
    /// Segments given up since the look before.
    pub given_up: u64,
    /// Another agent publishes this camera.
    pub standing_back: bool,
    /// Failed runs in a row.
    pub failures: u32,
    pub last_cause: Option<Cause>,
}

/// What the engine is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Idle,
    /// A run without a segment yet.
    Starting,
    Live,
    /// Between two runs.
    Between,
}

/// When late is too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    pub segment_duration: Duration,
}

const STALE_AT_LEAST: Duration = Duration::from_secs(15);

impl Thresholds {
    /// Three segments, 15 s at least.
    pub fn stale(&self, longest_recent: Duration) -> Duration {
        (3 * self.segment_duration.max(longest_recent)).max(STALE_AT_LEAST)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Fresh segments, and viewers get them.
    Ok,
    /// Nobody wants it to run.
    Idle,
    /// No segment yet, and nothing speaks against one.
    Starting,
    /// Viewers see the stream, but not as they should, or not for long any more.
    Degraded(Reason),
    /// Viewers see nothing new.
    Down(Reason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The last run ended, or had to.
    Run(Cause),
    /// The engine runs, but gives nothing.
    Stale { since: Duration },
    /// Segments come, but the storage confirms no playlist.
    PlaylistUnconfirmed { since: Duration },
    /// Another agent publishes this camera, and this one publishes nothing.
    StandingBack,
    /// The uplink or the storage is too slow.
    GivenUp { segments: u64 },
}

impl Reason {
    pub fn in_words(&self) -> String {
        match self {
            Self::Run(cause) => cause.in_words().to_owned(),
            Self::Stale { since } => format!("no new segment for {} s", since.as_secs()),
            Self::PlaylistUnconfirmed { since } => {
                format!("the storage has confirmed no playlist for {} s", since.as_secs())
            }
            Self::StandingBack => "another edge-agent publishes this camera: this one stands back".to_owned(),
            Self::GivenUp { segments } => {
                format!("the uplink or the storage is too slow: {segments} segments were given up")
            }
        }
    }
}

impl Verdict {
    /// `ok`, `idle`, `starting`, `degraded`, `down`: the same in every version.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Degraded(_) => "degraded",
            Self::Down(_) => "down",
        }
    }

    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Degraded(reason) | Self::Down(reason) => Some(reason),
            Self::Ok | Self::Idle | Self::Starting => None,
        }
    }
}

pub fn judge(seen: &Observation, thresholds: &Thresholds) -> Verdict {
    let stale = thresholds.stale(seen.longest_recent);
    let since = seen.since_last_segment;
    let is_stale = !seen.any_segment || since > stale;
    let run = Reason::Run(seen.last_cause.unwrap_or(Cause::Crashed));
    match seen.state {
        State::Idle => Verdict::Idle,
        State::Starting if seen.failures == 0 && (!seen.any_segment || !is_stale) => Verdict::Starting,
        State::Starting | State::Between if is_stale => Verdict::Down(run),
        State::Starting | State::Between => Verdict::Degraded(run),
        State::Live if is_stale => Verdict::Down(Reason::Stale { since }),
        State::Live if seen.standing_back => Verdict::Degraded(Reason::StandingBack),
        State::Live => storage(seen, stale),
    }
}

/// Segments come; do viewers get them?
fn storage(seen: &Observation, stale: Duration) -> Verdict {
    match seen.since_playlist {
        Some(since) if since > stale => Verdict::Down(Reason::PlaylistUnconfirmed { since }),
        _ if seen.given_up > 0 => Verdict::Degraded(Reason::GivenUp { segments: seen.given_up }),
        _ => Verdict::Ok,
    }
}

/// One line for all cameras: `3 of 4 cameras live; cam_door: the camera refused user or password (401)`.
pub fn summary<'a>(cameras: impl IntoIterator<Item = (&'a str, Verdict)>) -> String {
    let (mut live, mut all, mut worst) = (0, 0, Vec::new());
    for (id, verdict) in cameras {
        all += 1;
        live += usize::from(matches!(verdict, Verdict::Ok | Verdict::Degraded(_)));
        if let Some(reason) = verdict.reason() {
            worst.push((matches!(verdict, Verdict::Degraded(_)), id, *reason));
        }
    }
    let plural = if all == 1 { "camera" } else { "cameras" };
    let mut line = format!("{live} of {all} {plural} live");
    worst.sort_by_key(|(degraded, id, _)| (*degraded, *id));
    for (_, id, reason) in worst.iter().take(MOST_NAMED) {
        // Without the seconds: the line is sent when it changes.
        line += &format!("; {id}: {}", reason.in_short());
    }
    if worst.len() > MOST_NAMED {
        line += &format!("; and {} more", worst.len() - MOST_NAMED);
    }
    line
}

const MOST_NAMED: usize = 3;

impl Reason {
    /// Without what changes all the time.
    pub fn in_short(&self) -> &'static str {
        match self {
            Self::Run(cause) => cause.in_words(),
            Self::Stale { .. } => "no new segment",
            Self::PlaylistUnconfirmed { .. } => "the storage confirms no playlist",
            Self::StandingBack => "another edge-agent publishes it",
            Self::GivenUp { .. } => "the uplink or the storage is too slow",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::lifecycle::Patience;

    const S: Duration = Duration::from_secs(1);
    const TWO: Thresholds = Thresholds { segment_duration: Duration::from_secs(2) };

    fn live() -> Observation {
        Observation {
            state: State::Live,
            since_last_segment: S,
            any_segment: true,
            longest_recent: 2 * S,
            since_playlist: Some(S),
            given_up: 0,
            standing_back: false,
            failures: 0,
            last_cause: None,
        }
    }

    #[test]
    fn a_live_camera_is_judged_by_what_viewers_get() {
        assert_eq!(judge(&live(), &TWO), Verdict::Ok);
        let unconfirmed = Observation { since_playlist: Some(16 * S), ..live() };
        let reason = Reason::PlaylistUnconfirmed { since: 16 * S };
        assert_eq!(judge(&unconfirmed, &TWO), Verdict::Down(reason));
        assert_eq!(reason.in_words(), "the storage has confirmed no playlist for 16 s");
        let slow = Observation { given_up: 3, ..live() };
        assert_eq!(judge(&slow, &TWO), Verdict::Degraded(Reason::GivenUp { segments: 3 }));
        let second = Observation { standing_back: true, ..unconfirmed };
        assert_eq!(
            judge(&second, &TWO),
            Verdict::Degraded(Reason::StandingBack),
            "the other one serves viewers"
        );
        let silent = Observation { since_last_segment: 16 * S, ..live() };
        assert_eq!(judge(&silent, &TWO), Verdict::Down(Reason::Stale { since: 16 * S }));
    }

    #[test]
    fn key_frames_10_s_apart_are_not_stale() {
        let rare = Observation { since_last_segment: 20 * S, longest_recent: 10 * S, ..live() };
        assert_eq!(judge(&rare, &TWO), Verdict::Ok);
    }

    #[test]
    fn a_camera_that_fails_is_degraded_while_its_last_segments_are_fresh() {
        let cause = Some(Cause::Auth);
        let between = Observation { state: State::Between, failures: 1, last_cause: cause, ..live() };
        let run = Reason::Run(Cause::Auth);
        assert_eq!(judge(&between, &TWO), Verdict::Degraded(run));
        let away = Observation { since_last_segment: 60 * S, ..between };
        assert_eq!(judge(&away, &TWO), Verdict::Down(run));
        let again = Observation { state: State::Starting, ..away };
        assert_eq!(judge(&again, &TWO), Verdict::Down(run));
        let never = Observation { any_segment: false, ..between };
        assert_eq!(judge(&never, &TWO), Verdict::Down(run));
    }

    #[test]
    fn a_first_start_is_no_trouble() {
        let first =
            Observation { state: State::Starting, any_segment: false, since_playlist: None, ..live() };
        assert_eq!(judge(&first, &TWO), Verdict::Starting);
        assert_eq!(judge(&Observation { state: State::Idle, ..first }, &TWO), Verdict::Idle);
    }

    #[test]
    fn one_line_tells_of_all_cameras() {
        let down = Verdict::Down(Reason::Run(Cause::Auth));
        let line = summary([("a", Verdict::Ok), ("cam_door", down), ("b", Verdict::Ok)]);
        assert_eq!(line, "2 of 3 cameras live; cam_door: the camera refused user or password (401)");
        assert_eq!(summary([("a", Verdict::Starting)]), "0 of 1 camera live");
        let ids = ["a", "b", "c", "d", "e"];
        let line = summary(ids.map(|id| (id, Verdict::Down(Reason::Stale { since: S }))));
        assert!(line.ends_with("c: no new segment; and 2 more"), "{line}");
    }

    proptest! {
        /// The lifecycle has ended a run long before this would call it stale.
        #[test]
        fn the_lifecycle_is_never_slower(ms in 200u64..60_000) {
            let segment_duration = Duration::from_millis(ms);
            let patience = Patience::for_segments_of(segment_duration);
            let stale = Thresholds { segment_duration }.stale(segment_duration);
            prop_assert!(patience.stall <= stale);
        }
    }
}
