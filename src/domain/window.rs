//! The rolling window: the segments that the playlist names.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

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
}

/// Even with many short segments (a camera that restarts all the time) the window stays bounded. Three target
/// durations of the shortest segments that can be configured (0.2 s, target 1 s) are 15.
const MOST_PER_DEPTH: usize = 4;
const MOST_AT_LEAST: usize = 20;

impl Window {
    pub fn new(depth: usize, target_duration_s: u64, first: Msn, discontinuity_sequence: u64) -> Self {
        Self { depth, target_duration_s, entries: VecDeque::new(), next_msn: first, discontinuity_sequence }
    }

    /// Goes on where `remote`, the playlist that viewers see, ends.
    ///
    /// What the target duration does not allow any more (it was configured smaller) is dropped from the
    /// front and returned: those objects are retired.
    pub fn resume(depth: usize, target_duration_s: u64, remote: MediaPlaylist) -> (Self, Vec<Entry>) {
        let next_msn = remote.entries.last().map_or(Msn(remote.media_sequence), |last| last.msn.next());
        let mut window = Self {
            depth,
            target_duration_s,
            entries: remote.entries.into(),
            next_msn,
            discontinuity_sequence: remote.discontinuity_sequence,
        };
        let keep_from = window.entries.iter().rposition(|e| rounded_s(e.duration) > target_duration_s);
        let mut retired: Vec<Entry> =
            (0..keep_from.map_or(0, |i| i + 1)).filter_map(|_| window.pop()).collect();
        retired.extend(window.slide());
        (window, retired)
    }

    /// Adds a segment at the live edge; returns those that left.
    pub fn push(&mut self, new: NewEntry) -> Vec<Entry> {
        let NewEntry { key, duration, program_time, discontinuity } = new;
        let msn = self.next_msn;
        self.next_msn = msn.next();
        self.entries.push_back(Entry { msn, key, duration, program_time, discontinuity });
        self.slide()
    }

    /// RFC 8216 6.2.2: a segment may leave only if three target durations stay.
    fn slide(&mut self) -> Vec<Entry> {
        let mut retired = Vec::new();
        while self.entries.len() > self.depth {
            let rest: Duration = self.entries.iter().skip(1).map(|e| e.duration).sum();
            // EXTINF has microseconds at best: three of 1.999999 s are three target durations.
            let enough = rest + Duration::from_millis(10) >= 3 * Duration::from_secs(self.target_duration_s);
            let most = (MOST_PER_DEPTH * self.depth).max(MOST_AT_LEAST);
            if !enough && self.entries.len() <= most {
                break;
            }
            retired.extend(self.pop());
        }
        retired
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

    pub fn live_edge(&self) -> Option<Msn> {
        self.entries.back().map(|entry| entry.msn)
    }

    pub fn snapshot(&self) -> MediaPlaylist {
        MediaPlaylist {
            target_duration_s: self.target_duration_s,
            media_sequence: self.entries.front().map_or(self.next_msn, |first| first.msn).0,
            discontinuity_sequence: self.discontinuity_sequence,
            entries: self.entries.iter().cloned().collect(),
            ended: false,
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

    #[test]
    fn it_slides_one_by_one_and_numbers_count_on() {
        let mut window = Window::new(3, 2, Msn(100), 0);
        for name in ["a", "b", "c"] {
            assert!(window.push(entry(name, 2000, false)).is_empty());
        }
        assert_eq!(names(&window.push(entry("d", 2000, false))), ["a"]);
        let playlist = window.snapshot();
        assert_eq!((playlist.media_sequence, window.live_edge()), (101, Some(Msn(103))));
        assert_eq!(names(&playlist.entries), ["b", "c", "d"]);
    }

    #[test]
    fn a_discontinuity_that_leaves_is_counted() {
        let mut window = Window::new(3, 2, Msn(0), 0);
        for (name, seam) in [("a", false), ("b", true), ("c", false), ("d", false)] {
            window.push(entry(name, 2000, seam));
        }
        assert_eq!(window.snapshot().discontinuity_sequence, 0, "b's tag is still listed");
        window.push(entry("e", 2000, false));
        assert_eq!(window.snapshot().discontinuity_sequence, 1);
    }

    #[test]
    fn three_target_durations_stay_listed() {
        let mut window = Window::new(3, 1, Msn(0), 0);
        for i in 0..20 {
            window.push(entry(&i.to_string(), 500, false));
        }
        assert_eq!(window.snapshot().entries.len(), 6);
        let mut window = Window::new(3, 1, Msn(0), 0);
        for i in 0..50 {
            window.push(entry(&i.to_string(), 200, false));
        }
        assert_eq!(window.snapshot().entries.len(), 15);
    }

    #[test]
    fn many_tiny_segments_do_not_grow_it_for_ever() {
        let mut window = Window::new(5, 2, Msn(0), 0);
        for i in 0..1000 {
            window.push(entry(&i.to_string(), 1, true));
        }
        assert_eq!(window.snapshot().entries.len(), 20);
    }

    #[test]
    fn resuming_goes_on_with_both_sequences() {
        let mut old = Window::new(3, 2, Msn(40), 0);
        for i in 0..5 {
            old.push(entry(&i.to_string(), 2000, i < 2));
        }
        let (mut window, retired) = Window::resume(3, 2, old.snapshot());
        assert!(retired.is_empty());
        assert_eq!(window, old);
        window.push(entry("x", 2000, true));
        let playlist = window.snapshot();
        assert_eq!((playlist.media_sequence, playlist.discontinuity_sequence), (43, 2));
    }

    #[test]
    fn resuming_with_a_smaller_window_or_target_retires_what_does_not_fit() {
        let mut old = Window::new(5, 6, Msn(0), 0);
        for i in 0..5 {
            old.push(entry(&i.to_string(), 6000, false));
        }
        let (window, retired) = Window::resume(3, 6, old.snapshot());
        assert_eq!((names(&retired), window.snapshot().media_sequence), (vec!["0", "1"], 2));
        let (window, retired) = Window::resume(5, 2, old.snapshot());
        assert_eq!((retired.len(), window.live_edge(), window.snapshot().media_sequence), (5, None, 5));
    }
}
