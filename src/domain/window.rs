//! The rolling window: the segments that the playlist names.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use super::ids::Msn;
use super::key::ObjectKey;
use super::playlist::MediaPlaylist;

/// A segment that the playlist names.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub msn: Msn,
    pub key: ObjectKey,
    /// As announced in EXTINF: never rounds above the target duration.
    pub duration: Duration,
    pub program_time: Option<SystemTime>,
    /// A break in the timeline lies before this segment.
    pub discontinuity: bool,
}

/// A segment about to enter the window; its number is the window's to give.
#[derive(Debug, Clone)]
pub struct NewEntry {
    pub key: ObjectKey,
    pub duration: Duration,
    pub program_time: Option<SystemTime>,
    pub discontinuity: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Segments to keep, if RFC 8216 6.2.2 lets it.
    depth: usize,
    target_duration_s: u64,
    entries: VecDeque<Entry>,
    next_msn: Msn,
    /// Of the first entry (RFC 8216 4.3.3.3).
    discontinuity_sequence: u64,
    /// Entries before it were visible for a target duration.
    seen: Msn,
    /// Behind which entry later playlists ended, and when they were stored.
    shown: VecDeque<(Msn, Instant)>,
    /// Nothing follows: see [`Self::end`].
    ended: bool,
}

/// Even with many short segments (a camera that restarts all the time) the window stays bounded. Three target
/// durations of the shortest segments that can be configured (0.2 s, target 1 s) are 15.
const MOST_PER_DEPTH: usize = 4;
const MOST_AT_LEAST: usize = 20;

impl Window {
    pub fn new(depth: usize, target_duration_s: u64, first: Msn, discontinuity_sequence: u64) -> Self {
        Self {
            depth,
            target_duration_s,
            entries: VecDeque::new(),
            next_msn: first,
            discontinuity_sequence,
            seen: first,
            shown: VecDeque::new(),
            ended: false,
        }
    }

    /// The most entries that a window of this depth has.
    pub fn most(depth: usize) -> usize {
        (MOST_PER_DEPTH * depth).max(MOST_AT_LEAST)
    }

    /// Goes on where `remote` ends, of which viewers may see what is before `shown`.
    ///
    /// What the target duration does not allow any more (it was configured smaller) is dropped from the
    /// front and returned: those objects are retired.
    pub fn resume(
        now: Instant,
        depth: usize,
        target_duration_s: u64,
        remote: MediaPlaylist,
        shown: Msn,
    ) -> (Self, Vec<Entry>) {
        let next_msn = remote.entries.last().map_or(Msn(remote.media_sequence), |last| last.msn.next());
        let mut window = Self {
            depth,
            target_duration_s,
            entries: remote.entries.into(),
            next_msn,
            discontinuity_sequence: remote.discontinuity_sequence,
            seen: Msn(remote.media_sequence),
            shown: VecDeque::from([(shown, now)]),
            ended: false,
        };
        let keep_from = window.entries.iter().rposition(|e| rounded_s(e.duration) > target_duration_s);
        let mut retired: Vec<Entry> =
            (0..keep_from.map_or(0, |i| i + 1)).filter_map(|_| window.pop()).collect();
        retired.extend(window.slide(now));
        (window, retired)
    }

    /// A playlist was stored that ended before `next`.
    pub fn stored(&mut self, now: Instant, next: Msn) {
        let next = next.min(self.next_msn);
        if self.shown.back().map_or(self.seen, |(last, _)| *last) < next {
            self.shown.push_back((next, now));
        }
        self.see(now);
    }

    /// Viewers ask again after a target duration (RFC 8216 6.3.4).
    fn see(&mut self, now: Instant) {
        let target = Duration::from_secs(self.target_duration_s);
        while let Some((next, _)) = self.shown.pop_front_if(|(_, at)| *at + target <= now) {
            self.seen = next;
        }
    }

    /// Adds a segment at the live edge; returns those that left.
    pub fn push(&mut self, now: Instant, new: NewEntry) -> Vec<Entry> {
        let NewEntry { key, duration, program_time, discontinuity } = new;
        // Somebody set the clock back: stamps may run backwards behind a discontinuity only.
        let goes_back = self.entries.back().is_some_and(|last| program_time < last.program_time);
        let form = key.form();
        let is_other_kind = self.entries.back().is_some_and(|last| !last.key.form().goes_with(form));
        let discontinuity = discontinuity || is_other_kind || (goes_back && program_time.is_some());
        // An EXT-X-MAP can't be taken back: behind it a transport stream would be read as fMP4. And few players expect
        // both kinds in one playlist. Nor can it name what has no objects for all renditions.
        let mut gone = Vec::new();
        while is_other_kind && let Some(other) = self.pop() {
            gone.push(other);
        }
        let msn = self.next_msn;
        self.next_msn = msn.next();
        self.entries.push_back(Entry { msn, key, duration, program_time, discontinuity });
        gone.extend(self.slide(now));
        gone
    }

    /// A segment may leave only if three target durations stay (RFC 8216 6.2.2), and if viewers had the time to see
    /// it: what an outage kept back comes in a burst.
    fn slide(&mut self, now: Instant) -> Vec<Entry> {
        self.see(now);
        let mut retired = Vec::new();
        while self.entries.len() > self.depth {
            let rest: Duration = self.entries.iter().skip(1).map(|e| e.duration).sum();
            // EXTINF has microseconds at best: three of 1.999999 s are three target durations.
            let enough = rest + Duration::from_millis(10) >= 3 * Duration::from_secs(self.target_duration_s);
            let is_seen = self.entries.front().is_some_and(|first| first.msn < self.seen);
            if !(enough && is_seen) && self.entries.len() <= Self::most(self.depth) {
                break;
            }
            retired.extend(self.pop());
        }
        retired
    }

    /// There is no room for the oldest one, however short a time viewers have had for it. One that no stored playlist
    /// named stays, and so does the newest one.
    pub fn shed(&mut self) -> Option<Entry> {
        if self.entries.len() > 1 { self.shed_any() } else { None }
    }

    /// The same, be it the newest one.
    pub fn shed_any(&mut self) -> Option<Entry> {
        let named = self.shown.back().map_or(self.seen, |(next, _)| *next);
        let is_named = self.entries.front().is_some_and(|first| first.msn < named);
        if is_named { self.pop() } else { None }
    }

    /// Its playlists say from now on that nothing follows (EXT-X-ENDLIST).
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// All leave.
    pub fn clear(&mut self) -> Vec<Entry> {
        std::iter::from_fn(|| self.pop()).collect()
    }

    fn pop(&mut self) -> Option<Entry> {
        let gone = self.entries.pop_front()?;
        if gone.discontinuity {
            self.discontinuity_sequence = self.discontinuity_sequence.saturating_add(1);
        }
        Some(gone)
    }

    pub fn contains(&self, key: &ObjectKey) -> bool {
        self.entries.iter().any(|entry| entry.key == *key)
    }

    /// As [`Self::contains`], or the init object of a segment.
    pub fn needs(&self, key: &ObjectKey) -> bool {
        self.contains(key) || self.entries.iter().any(|entry| entry.key.init().as_ref() == Some(key))
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Breaks that viewers have counted elsewhere count here too.
    pub fn raise_discontinuities(&mut self, at_least: u64) {
        self.discontinuity_sequence = self.discontinuity_sequence.max(at_least);
    }

    pub fn live_edge(&self) -> Option<Msn> {
        self.entries.back().map(|entry| entry.msn)
    }

    pub fn snapshot(&self) -> MediaPlaylist {
        MediaPlaylist {
            target_duration_s: self.target_duration_s,
            media_sequence: self.entries.front().map_or(self.next_msn, |first| first.msn).0,
            discontinuity_sequence: self.discontinuity_sequence,
            entries: self.entries.iter().cloned().collect(),
            ended: self.ended,
            parts: None,
        }
    }
}

/// EXTINF as RFC 8216 4.3.3.1 compares it with the target duration.
pub fn rounded_s(duration: Duration) -> u64 {
    duration.as_secs_f64().round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_time::start;

    fn entry(name: &str, ms: u64, discontinuity: bool) -> NewEntry {
        NewEntry {
            key: ObjectKey::new(name),
            duration: Duration::from_millis(ms),
            program_time: None,
            discontinuity,
        }
    }

    fn names(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|e| e.key.as_str()).collect()
    }

    /// Pushed and shown a target duration after the one before.
    fn shown(window: &mut Window, nth: usize, new: NewEntry) -> Vec<Entry> {
        let at = start() + nth as u32 * Duration::from_secs(window.target_duration_s);
        let gone = window.push(at, new);
        window.stored(at, window.next_msn);
        gone
    }

    #[test]
    fn it_slides_one_by_one_and_numbers_count_on() {
        let mut window = Window::new(3, 2, Msn(100), 0);
        for (i, name) in ["a", "b", "c"].into_iter().enumerate() {
            assert!(shown(&mut window, i, entry(name, 2000, false)).is_empty());
        }
        assert_eq!(names(&shown(&mut window, 3, entry("d", 2000, false))), ["a"]);
        let playlist = window.snapshot();
        assert_eq!((playlist.media_sequence, window.live_edge()), (101, Some(Msn(103))));
        assert_eq!(names(&playlist.entries), ["b", "c", "d"]);
    }

    #[test]
    fn a_burst_pushes_out_nothing_that_viewers_had_no_time_to_see() {
        let mut window = Window::new(3, 2, Msn(0), 0);
        let (at, ms) = (start(), Duration::from_millis);
        let push = |window: &mut Window, at| window.push(at, entry("x", 2000, false)).len();
        assert_eq!((0..7).map(|_| push(&mut window, at)).sum::<usize>(), 0, "no playlist was stored");
        window.stored(at, Msn(7));
        assert_eq!(push(&mut window, at + ms(1_999)), 0);
        window.stored(at + ms(2_000), Msn(8));
        assert_eq!(push(&mut window, at + ms(2_000)), 6, "all but the last three");
        assert_eq!(push(&mut window, at + ms(3_999)), 1, "the seventh");
        assert_eq!(push(&mut window, at + ms(3_999)), 0, "the eighth was shown for less");
        window.stored(at + ms(4_000), Msn(1_000));
        assert_eq!(push(&mut window, at + ms(6_000)), 2, "a playlist can't show what there is not");
        assert!((0..1000).map(|_| push(&mut window, at)).sum::<usize>() > 900);
        assert_eq!(window.snapshot().entries.len(), MOST_AT_LEAST);
    }

    #[test]
    fn a_discontinuity_that_leaves_is_counted() {
        let mut window = Window::new(3, 2, Msn(0), 0);
        for (i, seam) in [false, true, false, false].into_iter().enumerate() {
            shown(&mut window, i, entry("x", 2000, seam));
        }
        assert_eq!(window.snapshot().discontinuity_sequence, 0, "the tag is still listed");
        shown(&mut window, 4, entry("x", 2000, false));
        assert_eq!(window.snapshot().discontinuity_sequence, 1);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_a_discontinuity() {
        let mut window = Window::new(5, 2, Msn(0), 0);
        for (name, at_s) in
            [("a", Some(3600)), ("b", Some(3602)), ("c", Some(2)), ("d", None), ("e", Some(6))]
        {
            let program_time = at_s.map(|s| SystemTime::UNIX_EPOCH + Duration::from_secs(s));
            window.push(start(), NewEntry { program_time, ..entry(name, 2000, false) });
        }
        let breaks: Vec<bool> = window.snapshot().entries.iter().map(|e| e.discontinuity).collect();
        assert_eq!(breaks, [false, false, true, false, false]);
    }

    #[test]
    fn three_target_durations_stay_listed() {
        let mut window = Window::new(3, 1, Msn(0), 0);
        for i in 0..20 {
            shown(&mut window, i, entry(&i.to_string(), 500, false));
        }
        assert_eq!(window.snapshot().entries.len(), 6);
        let mut window = Window::new(3, 1, Msn(0), 0);
        for i in 0..50 {
            shown(&mut window, i, entry(&i.to_string(), 200, false));
        }
        assert_eq!(window.snapshot().entries.len(), 15);
    }

    #[test]
    fn many_tiny_segments_do_not_grow_it_for_ever() {
        let mut window = Window::new(5, 2, Msn(0), 0);
        for i in 0..1000 {
            shown(&mut window, i, entry(&i.to_string(), 1, true));
        }
        assert_eq!(window.snapshot().entries.len(), 20);
    }

    #[test]
    fn a_playlist_has_one_type_of_segments() {
        let mut window = Window::new(5, 2, Msn(7), 0);
        for name in ["a.ts", "b.ts"] {
            assert!(window.push(start(), entry(name, 2000, false)).is_empty());
        }
        assert_eq!(names(&window.push(start(), entry("c.m4s", 2000, false))), ["a.ts", "b.ts"]);
        assert_eq!(names(&window.push(start(), entry("d.ts", 2000, false))), ["c.m4s"]);
        let playlist = window.snapshot();
        assert_eq!((playlist.media_sequence, playlist.discontinuity_sequence), (10, 1));
        assert!(playlist.entries[0].discontinuity, "it looks otherwise");
    }

    #[test]
    fn resuming_goes_on_with_both_sequences() {
        let mut old = Window::new(3, 2, Msn(40), 0);
        for i in 0..5 {
            shown(&mut old, i, entry(&i.to_string(), 2000, i < 2));
        }
        let (mut window, retired) = Window::resume(start(), 3, 2, old.snapshot(), Msn(45));
        assert!(retired.is_empty());
        assert_eq!(window.snapshot(), old.snapshot());
        window.push(start() + Duration::from_secs(2), entry("x", 2000, true));
        let playlist = window.snapshot();
        assert_eq!((playlist.media_sequence, playlist.discontinuity_sequence), (43, 2));
    }

    #[test]
    fn resuming_with_a_smaller_window_or_target_retires_what_does_not_fit() {
        let mut old = Window::new(5, 6, Msn(0), 0);
        for i in 0..5 {
            old.push(start(), entry(&i.to_string(), 6000, false));
        }
        let (mut window, retired) = Window::resume(start(), 3, 6, old.snapshot(), Msn(2));
        assert_eq!((retired.len(), window.snapshot().entries.len()), (0, 5), "it may be new to viewers");
        let retired = window.push(start() + Duration::from_secs(6), entry("5", 6000, false));
        assert_eq!(names(&retired), ["0", "1"], "the others were not shown yet");
        let (window, retired) = Window::resume(start(), 5, 2, old.snapshot(), Msn(5));
        assert_eq!((retired.len(), window.live_edge(), window.snapshot().media_sequence), (5, None, 5));
    }
}
