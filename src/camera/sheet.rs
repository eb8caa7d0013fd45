//! `status.json`, what players should know of a stream before they play it: written when the agent publishes it, and
//! when it says something else. Not in time with the stream: each write costs money, and the playlist tells of that.

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;

use super::calls::Calls;
use super::poster::Bill;
use crate::config::model::Settings;
use crate::domain::choice::Choice;
use crate::domain::ids::CameraId;
use crate::domain::profile::{Playing, Profile};
use crate::store::StoreError;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<PartsSheet>,
    mode: String,
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
}

impl Sheet {
    pub fn new(camera: &CameraId, settings: &Settings, choice: &Choice) -> Self {
        let in_parts = settings.sub_second;
        let profile =
            in_parts.map_or_else(|| Profile::nearest(choice.segment_duration), |_| Profile::SubSecond);
        let listed_s = choice.segment_duration.as_secs_f64() * settings.segments_to_keep as f64;
        let Playing {
            live_sync_duration_count,
            live_max_latency_duration_count,
            max_live_sync_playback_rate,
        } = profile.playing((listed_s / choice.target_duration_s.max(1) as f64) as u32);
        Self {
            version: VERSION,
            camera: camera.to_string(),
            profile: profile.name(),
            target_duration_s: choice.target_duration_s,
            segment_duration_ms: u64::try_from(choice.segment_duration.as_millis()).unwrap_or(u64::MAX),
            player: Player {
                live_sync_duration_count,
                live_max_latency_duration_count,
                max_live_sync_playback_rate,
                low_latency: in_parts.is_some(),
            },
            parts: in_parts.map(|parts| PartsSheet {
                duration_ms: parts.part_duration.as_millis() as u64,
                name: "part_{run}_{number}.m4s",
                number_digits: 6,
                init: "init_{run}.mp4",
                whole_segments: true,
            }),
            mode: choice.why.clone(),
        }
    }

    fn render(&self, name: &str) -> Bytes {
        #[derive(Serialize)]
        struct Named<'a> {
            #[serde(flatten)]
            sheet: &'a Sheet,
            name: &'a str,
        }
        // Plain fields only: that can't fail.
        serde_json::to_vec(&Named { sheet: self, name }).unwrap_or_default().into()
    }
}

/// What a supervisor publishes of its stream.
#[derive(Debug)]
pub struct Posting {
    pub sheet: Sheet,
    /// The camera's: it may change while the stream goes on.
    pub name: watch::Receiver<String>,
}

impl Bill for Posting {
    const NAME: &'static str = "status.json";
    const WITHOUT: &'static str = "players use their defaults";
    const MEND: &'static str = "let the storage take application/json";

    fn text(&mut self) -> Option<Bytes> {
        Some(self.sheet.render(&self.name.borrow_and_update()))
    }

    async fn changed(&mut self) {
        if self.name.changed().await.is_err() {
            // Nobody writes it any more: the camera is about to end.
            std::future::pending().await
        }
    }

    async fn put(calls: &Calls, text: Bytes) -> Result<(), StoreError> {
        calls.put_sheet(text).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::model::SubSecond;
    use crate::domain::choice::decide;

    #[test]
    fn a_sheet_says_what_a_player_needs() {
        let settings = Settings::default();
        let choice = decide(&settings.wish(), None);
        let sheet = Sheet::new(&"cam_floor".parse().unwrap(), &settings, &choice);
        let told: serde_json::Value = serde_json::from_slice(&sheet.render("Floor \"1\"")).unwrap();
        let expected = serde_json::json!({
            "version": 1, "camera": "cam_floor", "name": "Floor \"1\"", "profile": "balanced",
            "target_duration_s": 2, "segment_duration_ms": 2000,
            "player": {
                "live_sync_duration_count": 2, "live_max_latency_duration_count": 8,
                "max_live_sync_playback_rate": 1.04, "low_latency": false,
            },
            "mode": "re-encoding: to 854 pixels at 15 fps, as the settings say",
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn a_stream_in_parts_says_how_they_are_named() {
        let sub_second = Some(SubSecond { part_duration: Duration::from_millis(200) });
        let settings =
            Settings { sub_second, segment_duration: Duration::from_secs(1), ..Settings::default() };
        let sheet = Sheet::new(&"cam".parse().unwrap(), &settings, &decide(&settings.wish(), None));
        let told: serde_json::Value = serde_json::from_slice(&sheet.render("")).unwrap();
        assert_eq!((&told["profile"], &told["player"]["low_latency"]), (&"sub_second".into(), &true.into()));
        let expected = serde_json::json!({
            "duration_ms": 200, "name": "part_{run}_{number}.m4s", "number_digits": 6, "init": "init_{run}.mp4",
            "whole_segments": true,
        });
        assert_eq!(told["parts"], expected);
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
