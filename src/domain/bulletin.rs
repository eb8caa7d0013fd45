//! When `status.json` is written, and whether it is this agent's to write.
//!
//! It is written when how the stream is has changed, and now and then as a sign of life. Who published lately writes it.
//! Who did not, as the camera is away, can't tell by that whether another agent has taken over: it looks at the playlist
//! first, and writes only while that stands still.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::rate::{Buckets, Rate};

/// A camera that comes and goes all the time must not cost more than a sign of life every 10 s.
const CHANGES: Rate = Rate { interval: Duration::from_secs(10), burst: 6 };
/// Some stores take one write a second for one key.
const LEAST_GAP: Duration = Duration::from_millis(1100);
/// Whose playlist was stored so long ago at most is the owner; another one would have waited longer.
const LATELY: Duration = Duration::from_secs(30);
/// A playlist that another agent writes moves within three target durations, or this.
const STILL_FOR: Duration = Duration::from_secs(30);
/// What was seen of the playlist holds for so long.
const LOOK_HOLDS: Duration = Duration::from_secs(5);

/// What is known of the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// All that is worth telling; `None`: nothing is yet.
    pub what: Option<String>,
    /// When the store last confirmed a playlist.
    pub published: Option<Instant>,
    /// Another agent publishes this camera.
    pub standing_back: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read the playlist: answer with [`Bulletin::looked`] or [`Bulletin::failed`].
    Look,
    /// Answer with [`Bulletin::written`] or [`Bulletin::failed`].
    Write,
}

/// See the module.
#[derive(Debug)]
pub struct Bulletin {
    /// `None`: no signs of life.
    interval: Option<Duration>,
    view: View,
    /// What is told now is the last word.
    is_last: bool,
    changes: Buckets<()>,
    /// What was written last, and when.
    said: Option<(String, Instant)>,
    /// After a failure, a write or too many changes.
    not_before: Option<Instant>,
    look: Option<Look>,
}

/// At the playlist.
#[derive(Debug)]
struct Look {
    /// `None`: there is none.
    playlist: Option<Bytes>,
    still_for: Duration,
    /// When it was first seen like this, and last.
    since: Instant,
    last: Instant,
}

impl Look {
    /// Nobody publishes.
    fn is_still_at(&self) -> Instant {
        if self.playlist.is_none() { self.since } else { self.since + self.still_for }
    }
}

impl Bulletin {
    pub fn new(interval: Option<Duration>) -> Self {
        Self {
            interval,
            view: View::default(),
            is_last: false,
            changes: Buckets::new(CHANGES, 1),
            said: None,
            not_before: None,
            look: None,
        }
    }

    pub fn see(&mut self, view: View) {
        self.view = view;
    }

    /// What is to be told now.
    pub fn what(&self) -> Option<String> {
        self.view.what.clone()
    }

    /// The last word: it is not waited for.
    pub fn end(&mut self) {
        // Once: what fails from then on waits its pause as before.
        if !std::mem::replace(&mut self.is_last, true) {
            self.not_before = self.said.as_ref().map(|(_, at)| *at + LEAST_GAP);
        }
    }

    /// New credentials may mend what failed.
    pub fn mended(&mut self) {
        self.not_before = None;
    }

    /// `target`: the playlist's target duration.
    pub fn looked(&mut self, now: Instant, playlist: Option<Bytes>, target: Duration) {
        let since = match &self.look {
            Some(before) if before.playlist == playlist => before.since,
            _ => now,
        };
        self.look = Some(Look { playlist, still_for: STILL_FOR.max(3 * target), since, last: now });
    }

    pub fn written(&mut self, now: Instant, what: String) {
        let is_change = self.said.as_ref().is_none_or(|(said, _)| *said != what);
        if is_change {
            let _ = self.changes.take((), now);
        }
        self.not_before = Some(now + self.changes.pause(&(), now).max(LEAST_GAP));
        self.said = Some((what, now));
    }

    pub fn failed(&mut self, now: Instant, pause: Duration) {
        self.not_before = Some(now + pause);
    }

    pub fn poll(&mut self, now: Instant) -> Option<Action> {
        let due = self.due(now)?;
        (due <= now).then_some(())?;
        if self.is_owner(now) {
            return Some(Action::Write);
        }
        match &self.look {
            Some(look) if now.saturating_duration_since(look.last) < LOOK_HOLDS => {
                (look.is_still_at() <= now).then_some(Action::Write)
            }
            Some(look) if look.is_still_at() > now && !self.is_last => None,
            _ => Some(Action::Look),
        }
    }

    /// When to poll again if nothing happens before.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let due = self.due(now)?;
        if due > now || self.is_owner(now) {
            return Some(due);
        }
        Some(self.look.as_ref().map_or(due, |look| look.is_still_at().max(due)))
    }

    /// When there is something to tell; `None`: that is up to the view.
    fn due(&self, now: Instant) -> Option<Instant> {
        let what = self.view.what.as_ref().filter(|_| !self.view.standing_back)?;
        let at = match &self.said {
            Some((said, at)) if said == what => *at + self.interval.filter(|_| !self.is_last)?,
            _ => now,
        };
        Some(self.not_before.map_or(at, |not_before| at.max(not_before)))
    }

    fn is_owner(&self, now: Instant) -> bool {
        self.view.published.is_some_and(|at| now.saturating_duration_since(at) < LATELY)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::test_time::start;

    const S: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    fn view(what: &str, published: Option<Instant>) -> View {
        View { what: Some(what.to_owned()), published, standing_back: false }
    }

    /// Does what it asks for until it is quiet; the playlist reads so. Returns how often it wrote.
    fn settle(bulletin: &mut Bulletin, now: Instant, playlist: Option<&'static str>) -> usize {
        let mut written = 0;
        for _ in 0..4 {
            match bulletin.poll(now) {
                Some(Action::Look) => bulletin.looked(now, playlist.map(Bytes::from), 2 * S),
                Some(Action::Write) => {
                    written += 1;
                    let what = bulletin.view.what.clone().unwrap();
                    bulletin.written(now, what);
                }
                None => {
                    assert!(bulletin.deadline(now).is_none_or(|at| at > now), "{bulletin:?}");
                    return written;
                }
            }
        }
        panic!("it never rests: {bulletin:?}")
    }

    #[test]
    fn who_publishes_tells_changes_at_once_and_lives_visibly() {
        let (mut bulletin, t0) = (Bulletin::new(Some(60 * S)), start());
        assert_eq!((settle(&mut bulletin, t0, None), bulletin.deadline(t0)), (0, None), "nothing to tell");
        bulletin.see(view("live", Some(t0)));
        assert_eq!(bulletin.poll(t0), Some(Action::Write), "no need to look");
        assert_eq!(settle(&mut bulletin, t0, None), 1);
        let mut written = 0;
        for second in 1..=600u32 {
            let now = t0 + S * second;
            bulletin.see(view("live", Some(now)));
            written += settle(&mut bulletin, now, None);
        }
        assert_eq!(written, 10);
        let now = t0 + 602 * S;
        bulletin.see(view("waiting", Some(now)));
        assert_eq!(settle(&mut bulletin, now, None), 1);
        bulletin.see(view("starting", Some(now)));
        assert_eq!(settle(&mut bulletin, now + S, None), 0, "some stores take one a second");
        assert_eq!(settle(&mut bulletin, now + LEAST_GAP, None), 1);
    }

    #[test]
    fn without_an_interval_only_changes_are_told() {
        let (mut bulletin, t0) = (Bulletin::new(None), start());
        bulletin.see(view("live", Some(t0)));
        assert_eq!(settle(&mut bulletin, t0, None), 1);
        bulletin.see(view("live", Some(t0 + 3600 * S)));
        assert_eq!((settle(&mut bulletin, t0 + 3600 * S, None), bulletin.deadline(t0 + 3600 * S)), (0, None));
    }

    #[test]
    fn who_did_not_publish_writes_where_nobody_else_does() {
        let (mut bulletin, t0) = (Bulletin::new(Some(60 * S)), start());
        bulletin.see(view("down", None));
        assert_eq!(bulletin.poll(t0), Some(Action::Look));
        assert_eq!(settle(&mut bulletin, t0, None), 1, "there is no playlist");
        let (mut bulletin, t0) = (Bulletin::new(Some(60 * S)), start());
        bulletin.see(view("down", None));
        assert_eq!(settle(&mut bulletin, t0, Some("a")), 0);
        assert_eq!(bulletin.deadline(t0), Some(t0 + 30 * S));
        assert_eq!(settle(&mut bulletin, t0 + 29 * S, Some("a")), 0);
        assert_eq!(settle(&mut bulletin, t0 + 30 * S, Some("a")), 1, "it stands still");
        assert_eq!(settle(&mut bulletin, t0 + 90 * S, Some("a")), 1, "a sign of life, after one look");
        assert_eq!(settle(&mut bulletin, t0 + 150 * S, Some("b")), 0, "another agent has taken over");
        assert_eq!(settle(&mut bulletin, t0 + 180 * S, Some("c")), 0);
        bulletin.see(View { standing_back: true, ..view("down", Some(t0 + 180 * S)) });
        assert_eq!((settle(&mut bulletin, t0 + 999 * S, None), bulletin.deadline(t0)), (0, None));
    }

    #[test]
    fn the_last_word_is_written_once_and_not_waited_for() {
        let (mut bulletin, t0) = (Bulletin::new(Some(60 * S)), start());
        bulletin.see(view("live", Some(t0)));
        settle(&mut bulletin, t0, None);
        bulletin.see(view("stopped", Some(t0)));
        bulletin.end();
        assert_eq!(bulletin.deadline(t0), Some(t0 + LEAST_GAP));
        assert_eq!(settle(&mut bulletin, t0 + LEAST_GAP, None), 1);
        assert_eq!((settle(&mut bulletin, t0 + 999 * S, None), bulletin.deadline(t0 + 999 * S)), (0, None));
        let mut away = Bulletin::new(Some(60 * S));
        away.see(view("stopped", None));
        away.end();
        assert_eq!(settle(&mut away, t0, Some("of somebody")), 0, "nobody knows whose it is");
    }

    #[test]
    fn what_failed_is_tried_again_after_its_pause_or_a_mend() {
        let (mut bulletin, t0) = (Bulletin::new(Some(60 * S)), start());
        bulletin.see(view("live", Some(t0)));
        bulletin.failed(t0, 20 * S);
        assert_eq!((bulletin.poll(t0 + 19 * S), bulletin.deadline(t0)), (None, Some(t0 + 20 * S)));
        assert_eq!(bulletin.poll(t0 + 20 * S), Some(Action::Write));
        bulletin.mended();
        assert_eq!(bulletin.poll(t0 + S), Some(Action::Write));
    }

    #[test]
    fn a_camera_that_changes_all_the_time_costs_one_each_ten_seconds() {
        let (mut bulletin, t0) = (Bulletin::new(None), start());
        let written = |bulletin: &mut Bulletin, seconds: std::ops::Range<u64>| -> usize {
            let mut at = |ms: u64| {
                let (what, published) = (Some(ms.to_string()), Some(t0));
                bulletin.see(View { what, published, standing_back: false });
                settle(bulletin, t0 + MS * ms as u32, None)
            };
            (seconds.start * 1_000..seconds.end * 1_000).step_by(1_100).map(&mut at).sum()
        };
        let burst = written(&mut bulletin, 0..60);
        assert!((8..=14).contains(&burst), "{burst}");
        let later = written(&mut bulletin, 60..660);
        assert!((50..=61).contains(&later), "{later}");
    }

    proptest! {
        /// Whatever the camera does: no more than a change every 10 s, a first burst, and its signs of life.
        #[test]
        fn its_price_is_bounded(
            steps in prop::collection::vec((prop_oneof![0u64..2_000, 0u64..20_000], 0u8..4, any::<bool>(), any::<bool>(), 0u8..3), 1..400),
            interval in prop_oneof![Just(None), (10u64..100).prop_map(|s| Some(S * s as u32))],
        ) {
            let (mut bulletin, t0) = (Bulletin::new(interval), start());
            let (mut now, mut written, mut published) = (t0, 0, None);
            for (ms, what, publishes, standing_back, playlist) in steps {
                now += MS * ms as u32;
                published = if publishes { Some(now) } else { published };
                let what = Some(what.to_string());
                bulletin.see(View { what, published, standing_back: standing_back && publishes });
                let playlist = [None, Some("a"), Some("b")][usize::from(playlist)];
                written += settle(&mut bulletin, now, playlist);
            }
            let seconds = (now - t0).as_secs() as usize;
            let signs = interval.map_or(0, |interval| seconds / interval.as_secs() as usize);
            let most = 8 + seconds / 10 + signs;
            prop_assert!(written <= most, "{written} of {most}");
        }
    }
}
