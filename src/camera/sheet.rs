//! `status.json`: what players should know of a stream before they play it, and how it is, for dashboards that can't reach
//! the box. Not written in time with the stream: each write costs money, and the playlist tells of that. When it is, says
//! `domain::bulletin`.

use std::ops::Not;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;

use crate::config::model::Settings;
use crate::domain::choice::Choice;
use crate::domain::ids::CameraId;
use crate::domain::profile::{Playing, Profile};

/// Counts up when a reader of older ones would go wrong.
const VERSION: u32 = 1;

/// Public, as the stream is: no address of a camera, and nothing else that is secret.
#[derive(Debug, Clone, Serialize)]
pub struct Sheet {
    version: u32,
    camera: String,
    /// The preset that is nearest to the stream's segments.
    profile: &'static str,
    target_duration_s: u64,
    segment_duration_ms: u64,
    player: Player,
    /// Target durations that the playlist holds.
    #[serde(skip)]
    listed_targets: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<PartsSheet>,
    mode: String,
    agent_version: &'static str,
    /// While nothing changes it is written so often; `null`: at changes alone.
    interval_s: Option<f64>,
}

/// How a player finds parts without asking the playlist for each.
#[derive(Debug, Clone, Serialize)]
struct PartsSheet {
    duration_ms: u64,
    /// `{run}` is that of the newest init object or part in the playlist; `{number}` counts on by one.
    name: &'static str,
    number_digits: u8,
    init: &'static str,
    /// Each part is also in a whole segment.
    whole_segments: bool,
}

/// By hls.js's names, but for the last.
#[derive(Debug, Clone, Serialize)]
struct Player {
    live_sync_duration_count: u32,
    live_max_latency_duration_count: u32,
    max_live_sync_playback_rate: f64,
    /// There are parts.
    low_latency: bool,
    /// Another query each time gets past a CDN that keeps playlists for too long.
    #[serde(skip_serializing_if = "Not::not")]
    cache_busting: bool,
}

impl Player {
    fn of(profile: Profile, listed_targets: u32) -> Self {
        let Playing {
            live_sync_duration_count,
            live_max_latency_duration_count,
            max_live_sync_playback_rate,
        } = profile.playing(listed_targets);
        Self {
            live_sync_duration_count,
            live_max_latency_duration_count,
            max_live_sync_playback_rate,
            low_latency: profile == Profile::SubSecond,
            cache_busting: false,
        }
    }
}

impl Sheet {
    pub fn new(camera: &CameraId, settings: &Settings, choice: &Choice) -> Self {
        let in_parts = settings.sub_second;
        let profile = settings.profile_of(choice.segment_duration);
        let listed_s = choice.segment_duration.as_secs_f64() * settings.segments_to_keep as f64;
        let listed_targets = (listed_s / choice.target_duration_s.max(1) as f64) as u32;
        Self {
            version: VERSION,
            camera: camera.to_string(),
            profile: profile.name(),
            target_duration_s: choice.target_duration_s,
            segment_duration_ms: u64::try_from(choice.segment_duration.as_millis()).unwrap_or(u64::MAX),
            player: Player::of(profile, listed_targets),
            listed_targets,
            parts: in_parts.map(|parts| PartsSheet {
                duration_ms: choice.part(parts.part_duration).as_millis() as u64,
                name: "part_{run}_{number}.m4s",
                number_digits: 6,
                init: "init_{run}.mp4",
                whole_segments: parts.compat_segments,
            }),
            mode: choice.why.clone(),
            agent_version: env!("CARGO_PKG_VERSION"),
            interval_s: settings.status_interval.map(|interval| interval.as_secs_f64()),
        }
    }

    /// Of a place that has the same stream in whole segments alone.
    pub(super) fn without_parts(self) -> Self {
        let profile = Profile::nearest(Duration::from_millis(self.segment_duration_ms));
        match self.parts {
            Some(_) => Self {
                profile: profile.name(),
                player: Player::of(profile, self.listed_targets),
                parts: None,
                ..self
            },
            None => self,
        }
    }

    /// Of what the box itself serves: parts out of its memory, and whole segments beside them in any case.
    fn with_wholes(self) -> Self {
        let parts = self.parts.map(|parts| PartsSheet { whole_segments: true, ..parts });
        Self { parts, ..self }
    }

    pub(super) fn render(&self, name: &str, now: &Now) -> Bytes {
        #[derive(Serialize)]
        struct Told<'a> {
            #[serde(flatten)]
            sheet: &'a Sheet,
            name: &'a str,
            phase: &'static str,
            verdict: &'static str,
            reason: Option<&'a str>,
            last_segment_at: Option<String>,
            written_at: String,
        }
        let whole = |parts: PartsSheet| PartsSheet {
            whole_segments: parts.whole_segments && !now.in_parts_alone,
            ..parts
        };
        let told = Told {
            sheet: &Self {
                player: Player {
                    cache_busting: now.has_slow_cdn,
                    low_latency: self.player.low_latency && !now.without_parts,
                    ..self.player.clone()
                },
                parts: self.parts.clone().filter(|_| !now.without_parts).map(whole),
                ..self.clone()
            },
            name,
            phase: now.phase,
            verdict: now.verdict,
            reason: now.reason.as_deref(),
            last_segment_at: now.last_segment.map(rfc3339),
            written_at: rfc3339(now.written),
        };
        // Plain fields only: that can't fail.
        serde_json::to_vec(&told).unwrap_or_default().into()
    }
}

/// A box without a clock may be in any year: what can't be written is the epoch.
fn rfc3339(time: SystemTime) -> String {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().min(LAST);
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since).to_string()
}

/// How the stream is when the sheet is written. The words hold no address.
#[derive(Debug, Clone)]
pub(super) struct Now {
    /// As in the API, and `ended` or `stopped` at last.
    pub(super) phase: &'static str,
    pub(super) verdict: &'static str,
    pub(super) reason: Option<String>,
    pub(super) written: SystemTime,
    pub(super) last_segment: Option<SystemTime>,
    /// Whole segments are left out for now.
    pub(super) in_parts_alone: bool,
    /// Parts do not get through for now.
    pub(super) without_parts: bool,
    pub(super) has_slow_cdn: bool,
}

/// What a supervisor publishes of its stream.
#[derive(Debug, Clone)]
pub struct Posting {
    pub sheet: Sheet,
    /// What the camera sends is known, where it matters: the sheet is right from the start on.
    pub is_known: bool,
    /// The camera's: it may change while the stream goes on.
    pub name: watch::Receiver<String>,
}

impl Posting {
    /// See [`Sheet::without_parts`].
    pub(super) fn without_parts(self) -> Self {
        Self { sheet: self.sheet.without_parts(), ..self }
    }

    /// See [`Sheet::with_wholes`].
    pub(super) fn with_wholes(self) -> Self {
        Self { sheet: self.sheet.with_wholes(), ..self }
    }

    /// Between two signs of life.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.sheet.interval_s.map(Duration::from_secs_f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::SubSecond;
    use crate::domain::choice::decide;

    fn now() -> Now {
        Now {
            phase: "waiting",
            verdict: "down",
            reason: Some("the camera refused user or password (401)".into()),
            written: SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_250),
            last_segment: SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(5)),
            in_parts_alone: false,
            without_parts: false,
            has_slow_cdn: false,
        }
    }

    #[test]
    fn a_sheet_says_what_a_player_needs() {
        let settings = Settings::default();
        let choice = decide(&settings.wish(), None);
        let sheet = Sheet::new(&"cam_floor".parse().unwrap(), &settings, &choice);
        let told: serde_json::Value = serde_json::from_slice(&sheet.render("Floor \"1\"", &now())).unwrap();
        let expected = serde_json::json!({
            "version": 1, "camera": "cam_floor", "name": "Floor \"1\"", "profile": "balanced",
            "target_duration_s": 2, "segment_duration_ms": 2000,
            "player": {
                "live_sync_duration_count": 2, "live_max_latency_duration_count": 8,
                "max_live_sync_playback_rate": 1.04, "low_latency": false,
            },
            "mode": "re-encoding: to 854 pixels at 15 fps, as the settings say",
            "agent_version": env!("CARGO_PKG_VERSION"), "interval_s": 60.0,
            "phase": "waiting", "verdict": "down", "reason": "the camera refused user or password (401)",
            "last_segment_at": "1970-01-01T00:00:00.000Z", "written_at": "2027-01-15T08:00:00.250Z",
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn a_stream_in_parts_says_how_they_are_named() {
        let sub_second = Some(SubSecond { part_duration: Duration::from_millis(200), compat_segments: true });
        let settings =
            Settings { sub_second, segment_duration: Duration::from_secs(1), ..Settings::default() };
        let sheet = Sheet::new(&"cam".parse().unwrap(), &settings, &decide(&settings.wish(), None));
        let told: serde_json::Value = serde_json::from_slice(&sheet.render("", &now())).unwrap();
        assert_eq!((&told["profile"], &told["player"]["low_latency"]), (&"sub_second".into(), &true.into()));
        let expected = serde_json::json!({
            "duration_ms": 200, "name": "part_{run}_{number}.m4s", "number_digits": 6, "init": "init_{run}.mp4",
            "whole_segments": true,
        });
        assert_eq!(told["parts"], expected);
        let alone = Now { in_parts_alone: true, has_slow_cdn: true, ..now() };
        let told: serde_json::Value = serde_json::from_slice(&sheet.render("", &alone)).unwrap();
        assert_eq!(
            told["parts"]["whole_segments"],
            serde_json::json!(false),
            "nothing else plays it for now"
        );
        assert_eq!(told["player"]["cache_busting"], serde_json::json!(true));
        let without = Now { without_parts: true, ..now() };
        let told: serde_json::Value = serde_json::from_slice(&sheet.render("", &without)).unwrap();
        assert!(told.get("parts").is_none(), "nobody should ask for them");
        let sub_second =
            Some(SubSecond { part_duration: Duration::from_millis(200), compat_segments: false });
        let settings = Settings { sub_second, ..settings };
        let alone = Sheet::new(&"cam".parse().unwrap(), &settings, &decide(&settings.wish(), None));
        let told: serde_json::Value =
            serde_json::from_slice(&alone.with_wholes().render("", &now())).unwrap();
        assert_eq!((&told["profile"], &told["parts"]), (&"sub_second".into(), &expected));
        let whole: serde_json::Value =
            serde_json::from_slice(&sheet.without_parts().render("", &now())).unwrap();
        assert_eq!((&whole["profile"], &whole["player"]["low_latency"]), (&"low".into(), &false.into()));
        assert!(whole.get("parts").is_none());
    }

    #[test]
    fn each_profile_has_its_own() {
        for (profile, target_duration_s) in Profile::WHOLE.into_iter().zip([1, 1, 2, 6]) {
            let (segment_duration, segments_to_keep) = profile.segments();
            let settings =
                Settings { segment_duration, segments_to_keep, target_fps: 16, ..Settings::default() };
            let sheet = Sheet::new(&"cam".parse().unwrap(), &settings, &decide(&settings.wish(), None));
            assert_eq!((sheet.profile, sheet.target_duration_s), (profile.name(), target_duration_s));
            assert_eq!(sheet.player.live_sync_duration_count, 2, "{profile:?}");
        }
        let settings =
            Settings { segment_duration: Duration::from_secs(6), segments_to_keep: 9, ..Settings::default() };
        let sheet = Sheet::new(&"cam".parse().unwrap(), &settings, &decide(&settings.wish(), None));
        assert_eq!(sheet.player.live_sync_duration_count, 3);
    }
}
