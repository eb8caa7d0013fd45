//! The agent's end of a camera's task: what should run there, as a level that may change at any time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::assignment::{Assignment, Stay};
use super::figures::Figures;
use crate::camera::status::CameraStatus;
use crate::clock;
use crate::config::model::{Camera, Settings, Start};
use crate::domain::demand::Demand;
use crate::domain::edge::Edge;
use crate::domain::ids::CameraId;

/// A machine may stand still, and a playlist that has nothing new is asked for again.
const ASKS_MISSED: u32 = 2;

#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) assignment: Option<Arc<Assignment>>,
    /// What a caller wanted otherwise, until the stream ends.
    pub(super) overrides: Option<Settings>,
    /// The task has ended: for another assignment there has to be a new one.
    pub(super) retired: bool,
}

impl Wanted {
    pub(super) fn of(assignment: Arc<Assignment>) -> Self {
        Self { assignment: Some(assignment), overrides: None, retired: false }
    }

    /// Nobody has to want it for that.
    pub(super) fn is_always(&self) -> bool {
        let start = self.assignment.as_ref().map(|assignment| assignment.camera.settings.start);
        start == Some(Start::Always)
    }

    /// What is to run, with what a caller wanted otherwise.
    pub(super) fn effective(&self) -> Option<Arc<Assignment>> {
        let assignment = self.assignment.as_ref()?;
        let Some(overrides) = &self.overrides else { return Some(assignment.clone()) };
        let Settings { start, idle_timeout, .. } = assignment.camera.settings;
        let settings = Settings { start, idle_timeout, ..overrides.clone() };
        let camera = Camera { settings, ..assignment.camera.clone() };
        Some(Arc::new(assignment.with(camera)))
    }

    fn settings(&self) -> Option<&Settings> {
        self.overrides.as_ref().or(self.assignment.as_ref().map(|assignment| &assignment.camera.settings))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) id: CameraId,
    pub(super) wanted: Arc<watch::Sender<Wanted>>,
    pub(super) name: Arc<watch::Sender<String>>,
    pub(super) demand: Arc<watch::Sender<Demand>>,
    /// Counts those who asked for the stream.
    pub(super) asked: Arc<watch::Sender<u64>>,
    pub(super) status: watch::Receiver<CameraStatus>,
    pub(super) figures: Figures,
    /// Of what this box serves itself, beside the storage.
    pub(super) origin: watch::Receiver<CameraStatus>,
    /// The newest parts of a stream that has some.
    pub(super) edge: watch::Receiver<Edge>,
}

impl Slot {
    /// From now on this should run there, or nothing. `false`: the task has ended, nothing was changed.
    pub(super) fn want(&self, assignment: Option<Arc<Assignment>>) -> bool {
        // A new name alone restarts nothing.
        let name = assignment.as_ref().map(|assignment| assignment.camera.name.clone());
        if let Some(name) = name {
            self.name.send_if_modified(|now| std::mem::replace(now, name.clone()) != name);
        }
        self.wanted.send_if_modified(|wanted| {
            if !wanted.retired {
                let goes_on =
                    |old: &Arc<Assignment>| assignment.as_ref().is_some_and(|new| new.is_same_camera(old));
                // What was wanted otherwise was so of the camera as it was.
                let keeps = wanted.assignment.as_ref().is_some_and(goes_on);
                wanted.assignment = assignment;
                wanted.overrides = wanted.overrides.take().filter(|_| keeps && !wanted.is_always());
            }
            !wanted.retired
        })
    }

    /// Somebody wants the stream now: one that is wanted already is joined as it is, another one begins with `overrides`.
    /// The settings in effect; `None`: the task has ended.
    pub(super) fn start(&self, now: Instant, overrides: Option<Settings>) -> Option<Settings> {
        let mut in_effect = None;
        self.wanted.send_if_modified(|wanted| {
            let Some(assignment) = wanted.assignment.clone().filter(|_| !wanted.retired) else {
                return false;
            };
            let joins = wanted.is_always() || self.demand.borrow().is_wanted(now);
            let changes = !joins && wanted.overrides != overrides;
            if changes {
                wanted.overrides = overrides;
            }
            // Within this lock: whoever ends the stream looks at the demand within it, too.
            let idle_timeout = assignment.camera.settings.idle_timeout;
            self.demand.send_modify(|demand| demand.renew(now, idle_timeout));
            in_effect = wanted.settings().cloned();
            changes
        });
        self.asked.send_modify(|asked| *asked += 1);
        in_effect
    }

    /// It is still wanted.
    pub(super) fn renew(&self, now: Instant) {
        self.hear(now, |demand, idle_timeout| {
            demand.renew(now, idle_timeout);
            true
        });
    }

    /// Somebody fetches it, which says the same unless it was stopped just now. Players ask once in a segment: however
    /// short `idle_timeout` is, they are believed until they ask again.
    pub(super) fn fetched(&self, now: Instant) {
        let longest = self.wanted.borrow().settings().map(|settings| settings.wish().longest_segment());
        let between = longest.map_or(Duration::ZERO, |longest| longest * ASKS_MISSED);
        self.hear(now, |demand, idle_timeout| demand.fetched(now, idle_timeout.max(between)));
    }

    fn hear(&self, now: Instant, wants: impl FnOnce(&mut Demand, Duration) -> bool) {
        self.wanted.send_if_modified(|wanted| {
            let idle_timeout =
                wanted.assignment.as_ref().map(|assignment| assignment.camera.settings.idle_timeout);
            if let Some(idle_timeout) = idle_timeout.filter(|_| !wanted.retired) {
                let anew = !wanted.is_always() && !self.demand.borrow().is_wanted(now);
                let is_heard = self.demand.send_if_modified(|demand| wants(demand, idle_timeout));
                // As the configuration says: what another caller wanted has ended with that stream.
                return anew && is_heard && wanted.overrides.take().is_some();
            }
            false
        });
    }

    /// For good: nobody will want it here any more. It ends as a stream does.
    pub(super) fn end(&self) {
        self.demand.send_modify(|demand| demand.stop(clock::now()));
    }

    pub(super) fn is_wanted(&self, now: Instant) -> bool {
        self.wanted.borrow().is_always() || self.demand.borrow().is_wanted(now)
    }

    /// Nothing runs there: what an earlier agent left is removed.
    pub(super) fn is_left(&self) -> bool {
        self.wanted.borrow().assignment.as_ref().is_some_and(|assignment| assignment.stay == Stay::Left)
    }

    pub(super) fn is_retired(&self) -> bool {
        self.wanted.borrow().retired
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::task::JoinSet;

    use super::super::assignment::Place;
    use super::*;
    use crate::camera::metered::Stopwatch;
    use crate::config::model::LIVE_STREAM;
    use crate::domain::source::Source;

    const S: Duration = Duration::from_secs(1);

    fn assignment(settings: Settings) -> Arc<Assignment> {
        let camera = Camera {
            id: "cam".parse().unwrap(),
            name: "cam".into(),
            source: Source::TestPattern,
            use_case: LIVE_STREAM.into(),
            enabled: true,
            settings,
            said: Default::default(),
        };
        Arc::new(Assignment {
            location: "l".parse().unwrap(),
            camera,
            place: Place::Here,
            min_playlist_interval: Duration::ZERO,
            stay: Stay::Configured,
        })
    }

    fn usual() -> Settings {
        Settings { start: Start::OnDemand, idle_timeout: 5 * S, ..Settings::default() }
    }

    fn with_rate(fps: u32) -> Settings {
        Settings { target_fps: fps, ..usual() }
    }

    pub(in crate::agent) fn slot(settings: Settings) -> Slot {
        let assignment = assignment(settings);
        let id = assignment.camera.id.clone();
        let (_, status) = watch::channel(CameraStatus::new(id.clone(), clock::now()));
        Slot {
            id,
            wanted: Arc::new(watch::Sender::new(Wanted::of(assignment))),
            name: Arc::default(),
            demand: Arc::default(),
            asked: Arc::default(),
            origin: status.clone(),
            edge: watch::channel(Edge::EMPTY).1,
            status,
            figures: Figures::new(Stopwatch::default()),
        }
    }

    fn runs(slot: &Slot) -> u32 {
        slot.wanted.borrow().effective().unwrap().camera.settings.target_fps
    }

    #[test]
    fn a_start_joins_what_runs_and_begins_what_does_not() {
        let (slot, now) = (slot(usual()), clock::now());
        assert_eq!(slot.start(now, Some(with_rate(5))).unwrap().target_fps, 5);
        for other in [Some(with_rate(7)), None] {
            assert_eq!(slot.start(now + 4 * S, other).unwrap().target_fps, 5, "it runs");
        }
        slot.renew(now + 8 * S);
        assert_eq!(runs(&slot), 5, "whoever watches it changes nothing");
        assert_eq!(
            slot.start(now + 13 * S, Some(with_rate(7))).unwrap().target_fps,
            7,
            "that stream has ended"
        );
        slot.end();
        assert_eq!(slot.start(now + 14 * S, None).unwrap().target_fps, 15);
        slot.end();
        slot.fetched(now + 15 * S);
        assert!(!slot.is_wanted(now + 15 * S), "players fetch on for a moment");
        slot.start(now + 15 * S, Some(with_rate(9)));
        slot.renew(now + 30 * S);
        assert_eq!(runs(&slot), 15, "who fetches what has ended gets the configuration's");
    }

    /// RFC 8216 6.3.4: not more often than once in a target duration.
    #[test]
    fn who_fetches_long_segments_is_believed_until_he_asks_again() {
        let now = clock::now();
        for (segment, until) in [(S, 5 * S), (6 * S, 12 * S), (20 * S, 40 * S)] {
            let slot = slot(Settings { segment_duration: segment, ..usual() });
            slot.fetched(now);
            assert!(slot.is_wanted(now + until - S) && !slot.is_wanted(now + until), "{segment:?}");
            slot.end();
            slot.start(now, None);
            assert!(!slot.is_wanted(now + 5 * S), "a caller knows how long he is believed");
        }
        let slot = slot(usual());
        slot.start(now, Some(Settings { segment_duration: 6 * S, ..usual() }));
        slot.fetched(now + 4 * S);
        assert!(slot.is_wanted(now + 15 * S), "what a caller wanted otherwise is in effect");
    }

    #[test]
    fn a_reload_keeps_what_a_caller_wanted_unless_the_camera_is_another_one() {
        let (slot, now) = (slot(usual()), clock::now());
        slot.start(now, Some(with_rate(5)));
        slot.want(Some(assignment(Settings { idle_timeout: 9 * S, ..usual() })));
        let effective = slot.wanted.borrow().effective().unwrap();
        assert_eq!(
            (effective.camera.settings.target_fps, effective.camera.settings.idle_timeout),
            (5, 9 * S)
        );
        slot.want(Some(assignment(with_rate(10))));
        assert_eq!(runs(&slot), 10);
        slot.start(now + 20 * S, Some(with_rate(5)));
        slot.want(Some(assignment(Settings { start: Start::Always, ..with_rate(10) })));
        assert_eq!(runs(&slot), 10, "it would never end");
    }

    #[test]
    fn a_place_that_was_left_takes_nobody() {
        let (slot, now) = (slot(usual()), clock::now());
        slot.wanted.send_modify(|wanted| wanted.retired = true);
        assert_eq!(slot.start(now, None), None);
        slot.renew(now);
        assert!(!slot.is_wanted(now) && !slot.want(None));
    }

    #[tokio::test]
    async fn a_hundred_starts_at_once_have_one_outcome() {
        let slot = slot(usual());
        let mut starts = JoinSet::new();
        for fps in 1..=100 {
            let slot = slot.clone();
            starts.spawn_blocking(move || slot.start(clock::now(), Some(with_rate(fps))).unwrap().target_fps);
        }
        let outcomes = starts.join_all().await;
        assert!(outcomes.iter().all(|fps| *fps == outcomes[0]) && runs(&slot) == outcomes[0], "{outcomes:?}");
    }
}
