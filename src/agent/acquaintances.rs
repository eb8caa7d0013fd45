//! What is known of cameras whose streams are forgotten when nobody wants them: who starts one again begins without a look.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::model::{Camera, Settings};
use crate::domain::source::Source;
use crate::engine::ffmpeg::Acquaintance;

/// Those that were started longest ago are forgotten.
const MOST: usize = 256;
/// So long after the last start a look is worth its time: somebody may have set the camera otherwise.
const GOOD_FOR: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, Default)]
pub(super) struct Acquaintances(Arc<Mutex<VecDeque<Entry>>>);

#[derive(Debug)]
struct Entry {
    source: Source,
    settings: Settings,
    acquaintance: Acquaintance,
    started: Instant,
}

impl Acquaintances {
    /// With this camera, as it is to be streamed.
    pub(super) fn of(&self, now: Instant, camera: &Camera) -> Acquaintance {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| now.saturating_duration_since(entry.started) < GOOD_FOR);
        let is_it = |entry: &Entry| entry.source == camera.source && entry.settings == camera.settings;
        let known = entries.iter().position(is_it).and_then(|at| entries.remove(at));
        let acquaintance = known.map(|entry| entry.acquaintance).unwrap_or_default();
        entries.push_back(Entry {
            source: camera.source.clone(),
            settings: camera.settings.clone(),
            acquaintance: acquaintance.clone(),
            started: now,
        });
        let surplus = entries.len().saturating_sub(MOST);
        entries.drain(..surplus);
        acquaintance
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Said;
    use crate::domain::test_time::start;
    use crate::engine::ffmpeg::Known;

    fn camera(path: &str, settings: Settings) -> Camera {
        Camera {
            id: "cam".parse().unwrap(),
            name: path.into(),
            source: format!("rtsp://192.0.2.1/{path}").parse().unwrap(),
            use_case: String::new(),
            enabled: true,
            settings,
            said: Said::default(),
        }
    }

    #[test]
    fn a_camera_is_known_again_for_an_hour_and_only_so_many_are() {
        let (acquaintances, now) = (Acquaintances::default(), start());
        let usual = Settings::default;
        acquaintances.of(now, &camera("a", usual())).learn(Known::Unreadable);
        let knows = |now, camera| acquaintances.of(now, &camera).known() == Known::Unreadable;
        assert!(knows(now + GOOD_FOR / 2, camera("a", usual())));
        assert!(!knows(now, camera("b", usual())), "another one");
        assert!(!knows(now, camera("a", Settings { audio: false, ..usual() })), "another stream of it");
        assert!(knows(now + GOOD_FOR, camera("a", usual())), "since its last start");
        assert!(!knows(now + 2 * GOOD_FOR, camera("a", usual())));
        acquaintances.of(now + 2 * GOOD_FOR, &camera("a", usual())).learn(Known::Unreadable);
        for number in 0..2 * MOST {
            acquaintances.of(now + 2 * GOOD_FOR, &camera(&number.to_string(), usual()));
        }
        assert_eq!(acquaintances.0.lock().unwrap().len(), MOST);
        assert!(!knows(now + 2 * GOOD_FOR, camera("a", usual())));
    }
}
