//! What the web server and systemd are told of the cameras: plain values.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::camera::status::CameraStatus;
use crate::domain::choice::{Mode, Quality};
use crate::domain::encoder::Encoder;
use crate::domain::health;
use crate::domain::lifecycle::{Cause, Phase};
use crate::domain::measured::Measured;
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
    let (progress, mode) = (&status.progress, status.mode.as_ref());
    let is_copied = mode.is_some_and(|mode| mode.encoder.is_none());
    let is_active = matches!(status.phase, Phase::Live { .. });
    // Of another run it says nothing any more.
    let is_of_now = |measured: &&Measured| is_active && status.run == Some(measured.run);
    let measured = status.measured.as_ref().filter(is_of_now);
    StreamStatus {
        stream_id: status.id.to_string(),
        camera_id: status.id.to_string(),
        name: name.to_owned(),
        is_adhoc: false,
        is_active,
        phase: status.phase.word(),
        verdict: status.verdict.word(),
        quality: status.asked.quality.map(Quality::name),
        max_bitrate: status.asked.limit_kbps(is_copied),
        mode: mode.map(Mode::word),
        encoder: mode.and_then(|mode| mode.encoder).map(Encoder::name),
        mode_reason: mode.map(|mode| mode.in_words.clone()),
        resolution: measured
            .and_then(|measured| measured.size)
            .map(|(width, height)| format!("{width}x{height}")),
        fps: measured.and_then(|measured| measured.frames_per_s),
        bitrate_kbps: measured.map(|measured| measured.kbps),
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
        parts_published: progress.parts_published,
        parts_given_up: progress.parts_given_up,
        segments_left_out: progress.segments_left_out,
        bytes_published: progress.bytes_published,
        requests_per_s: None,
        request_cost_per_month_usd: None,
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
        local_segments_given_up: 0,
        last_local_age_s: None,
        playlist_url: urls.playlist,
        local_url: urls.local,
        viewers: 0,
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
    let trouble = status.last_trouble?;
    let cause = trouble.in_words();
    // What ffmpeg met where it was led to is not for callers, who may not go there.
    let may_tell = trouble != Cause::Redirected;
    let of_it = status.last_exit.as_ref().filter(|exit| exit.cause == trouble && may_tell);
    // The engine's words are without secrets already.
    match of_it.and_then(|exit| exit.last_words.last()) {
        Some(said) => Some(format!("{cause}; it said: {said}")),
        None => Some(cause.to_owned()),
    }
}

/// To the millisecond.
pub(super) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::status::{Asked, LastExit};
    use crate::domain::health::{Reason, Verdict};
    use crate::domain::ids::RunId;
    use crate::domain::lifecycle::Stage;
    use crate::domain::test_time::start;
    use crate::http::{MODES, PHASES, VERDICTS};

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

    /// The OpenAPI document has no others.
    #[test]
    fn all_words_are_those_of_the_document() {
        let t0 = start();
        let phases = [
            Phase::Idle,
            Phase::Starting { since: t0 },
            Phase::Live { since: t0, last_segment: t0 },
            Phase::Stopping { stage: Stage::Asked, next_at: t0 },
            Phase::BackingOff { until: t0 },
        ];
        assert_eq!(phases.map(|phase| phase.word()), PHASES);
        let why = || Reason::StandingBack;
        let verdicts =
            [Verdict::Ok, Verdict::Idle, Verdict::Starting, Verdict::Degraded(why()), Verdict::Down(why())];
        assert_eq!(verdicts.map(|verdict| verdict.word()), VERDICTS);
        let modes = [None, Some(Encoder::Software)].map(|encoder| Mode { encoder, in_words: String::new() });
        assert_eq!(modes.map(|mode| mode.word()), MODES);
    }

    #[test]
    fn nothing_is_told_of_where_a_camera_led_to() {
        let t0 = start();
        let mut status = CameraStatus::new("cam".parse().unwrap(), t0);
        status.last_trouble = Some(Cause::Redirected);
        let last_words = vec!["[error] /dev/fd/14: Connection refused".to_owned()];
        let ran_for = Duration::from_secs(1);
        status.last_exit =
            Some(LastExit { cause: Cause::Redirected, code: Some(1), signal: None, last_words, ran_for });
        let told = stream_status(&status, "Cam", Urls::default(), t0).last_error.unwrap();
        assert_eq!(told, Cause::Redirected.in_words());
    }

    #[test]
    fn what_is_published_is_told_while_it_is_of_this_run() {
        let (t0, run) = (start(), RunId::new(1, 1));
        let mut status = CameraStatus::new("cam".parse().unwrap(), t0);
        status.asked = Asked { quality: Some(Quality::Medium), max_kbps: Some(2000) };
        let measured = Measured { run, size: Some((1280, 720)), frames_per_s: Some(14.99), kbps: 1234 };
        (status.measured, status.run) = (Some(measured), Some(run));
        status.phase = Phase::Live { since: t0, last_segment: t0 };
        let in_words = "re-encoding with vaapi: to 1280 pixels".to_owned();
        status.mode = Some(Mode { encoder: Some(Encoder::Vaapi), in_words });
        let tell = |status: &CameraStatus| stream_status(status, "Cam", Urls::default(), t0);
        let told = tell(&status);
        assert_eq!((told.mode, told.encoder), (Some("transcode"), Some("vaapi")));
        assert_eq!((told.quality, told.max_bitrate), (Some("medium"), Some(1500)));
        assert_eq!(
            (told.resolution.as_deref(), told.fps, told.bitrate_kbps),
            (Some("1280x720"), Some(14.99), Some(1234))
        );
        status.mode = Some(Mode { encoder: None, in_words: "copying: H.264".into() });
        let copied = tell(&status);
        assert_eq!((copied.mode, copied.encoder, copied.max_bitrate), (Some("copy"), None, Some(2000)));
        status.run = Some(RunId::new(2, 2));
        assert_eq!(tell(&status).bitrate_kbps, None, "nothing of the new run is stored yet");
        status.run = Some(run);
        status.phase = Phase::BackingOff { until: t0 };
        assert_eq!((tell(&status).resolution, tell(&status).fps), (None, None));
    }
}
