//! What the web server and systemd are told of the cameras: plain values.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::camera::status::CameraStatus;
use crate::domain::health;
use crate::domain::lifecycle::{Cause, Phase};
use crate::http::{StreamStatus, UplinkStatus};

/// Where viewers find what a camera publishes.
#[derive(Debug, Clone, Default)]
pub(super) struct Urls {
    pub(super) playlist: Option<String>,
    /// On this machine's own server.
    pub(super) local: Option<String>,
    pub(super) snapshot: Option<String>,
}

pub(super) fn stream_status(status: &CameraStatus, name: &str, urls: Urls, now: Instant) -> StreamStatus {
    let age_s = |at: Instant| seconds(now.saturating_duration_since(at));
    let progress = &status.progress;
    StreamStatus {
        stream_id: status.id.to_string(),
        camera_id: status.id.to_string(),
        name: name.to_owned(),
        is_active: matches!(status.phase, Phase::Live { .. }),
        phase: phase(status.phase),
        verdict: status.verdict.word(),
        mode: status.mode.clone(),
        reason: status.verdict.reason().map(health::Reason::in_words),
        uptime_s: status.live_since.map(age_s),
        next_try_in_s: match status.phase {
            Phase::BackingOff { until } => Some(seconds(until.saturating_duration_since(now))),
            _ => None,
        },
        last_segment_age_s: status.last_segment.map(age_s),
        last_upload_age_s: status.playlist_stored.map(age_s),
        health_check_count: status.health_checks,
        reconnect_count: status.restarts,
        restarts_by_cause: restarts_by_cause(status),
        segments_published: progress.segments_published,
        segments_given_up: progress.segments_given_up,
        segments_missed: status.segments_missed,
        bytes_published: progress.bytes_published,
        backlog: progress.backlog,
        uplink: progress.uplink.map(|shortage| UplinkStatus {
            needs_kbps: shortage.needs_kbps,
            carries_kbps: shortage.carries_kbps,
            short_percent: shortage.short_percent(),
        }),
        standing_back: progress.standing_back,
        last_error: last_error(status),
        last_cause: status.last_trouble.map(Cause::word),
        storage_error: status.storage_error.clone(),
        playlist_url: urls.playlist,
        local_url: urls.local,
        snapshot_url: urls.snapshot,
        snapshot_age_s: status.snapshot_stored.map(age_s),
        snapshots_failed: status.snapshots_failed,
    }
}

/// What has no cause was a bug of this agent.
fn restarts_by_cause(status: &CameraStatus) -> BTreeMap<&'static str, u64> {
    let causes = status.restarts_by_cause.iter().map(|(cause, count)| (cause.word(), *count));
    let bugs = status.restarts.saturating_sub(status.restarts_by_cause.values().sum());
    causes.chain((bugs > 0).then_some(("bug", bugs))).collect()
}

fn last_error(status: &CameraStatus) -> Option<String> {
    let cause = status.last_trouble?.in_words();
    let of_it = status.last_exit.as_ref().filter(|exit| Some(exit.cause) == status.last_trouble);
    // The engine's words are without secrets already.
    match of_it.and_then(|exit| exit.last_words.last()) {
        Some(said) => Some(format!("{cause}; it said: {said}")),
        None => Some(cause.to_owned()),
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "idle",
        Phase::Starting { .. } => "starting",
        Phase::Live { .. } => "live",
        Phase::Stopping { .. } => "stopping",
        Phase::BackingOff { .. } => "waiting",
    }
}

/// To the millisecond.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::status::LastExit;
    use crate::domain::health::{Reason, Verdict};
    use crate::domain::test_time::start;

    #[test]
    fn a_camera_that_refused_says_so() {
        let (t0, s) = (start(), Duration::from_secs(1));
        let mut status = CameraStatus::new("cam_door".parse().unwrap(), t0);
        status.phase = Phase::BackingOff { until: t0 + 60 * s };
        status.verdict = Verdict::Down(Reason::Run(Cause::Auth));
        status.last_trouble = Some(Cause::Auth);
        let last_words = vec!["401 Unauthorized".to_owned()];
        status.last_exit =
            Some(LastExit { cause: Cause::Auth, code: Some(1), signal: None, last_words, ran_for: s });
        status.restarts = 3;
        status.restarts_by_cause = BTreeMap::from([(Cause::Auth, 2)]);
        let told = stream_status(&status, "Door", Urls::default(), t0 + 10 * s);
        assert_eq!((told.phase, told.verdict, told.is_active), ("waiting", "down", false));
        assert_eq!((told.next_try_in_s, told.reconnect_count), (Some(50.0), 3));
        assert_eq!(told.restarts_by_cause, BTreeMap::from([("auth", 2), ("bug", 1)]));
        let error = "the camera refused user or password (401); it said: 401 Unauthorized";
        assert_eq!(told.last_error.as_deref(), Some(error));
        status.phase = Phase::Live { since: t0, last_segment: t0 };
        (status.live_since, status.last_segment) = (Some(t0), Some(t0 + 8 * s));
        let told = stream_status(&status, "Door", Urls::default(), t0 + 10 * s);
        assert_eq!((told.uptime_s, told.last_segment_age_s), (Some(10.0), Some(2.0)));
    }
}
