//! The newest parts of a stream, in memory: for viewers who are near enough to this box to be told of each as it comes
//! (RFC 8216bis, 6.2.5.2). The segments and their numbers are those of the stored playlist.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::ids::RunId;
use super::key::Layout;
use super::playlist::{ListedPart, MediaPlaylist, PartList, parse, render};
use super::segment::Part;

/// Parts of older segments are not listed (RFC 8216bis, 4.4.4.9).
const LISTED_TARGETS: u32 = 3;
/// PART-HOLD-BACK (RFC 8216bis, 4.4.3.8).
const HELD_BACK_PARTS: u32 = 3;
/// A viewer may ask for what is not there yet within so many target durations, or parts.
const MOST_AHEAD_SEGMENTS: u64 = 2;
const MOST_AHEAD: Duration = Duration::from_secs(3);
/// More than are listed: who has just read of a part fetches it.
const MOST_SEGMENTS: usize = 8;
const MOST_BYTES: usize = 16 << 20;
/// What durations are rounded by.
const TOLERANCE: Duration = Duration::from_millis(2);

/// Of one stream.
#[derive(Debug)]
pub struct Edge {
    layout: Option<Layout>,
    /// In order, and of one run without holes.
    parts: VecDeque<Part>,
    bytes: usize,
    /// PART-TARGET: none of the run is longer.
    longest: Duration,
}

/// A playlist that tells of parts.
#[derive(Debug)]
pub struct Told(MediaPlaylist);

/// What a viewer wants to be in the playlist (`_HLS_msn`, `_HLS_part`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    pub msn: u64,
    /// `None`: all of that segment.
    pub part: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Has {
    Yes,
    NotYet,
    /// So far ahead that the viewer is mistaken.
    Never,
}

/// A part by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    There(Bytes),
    /// It is the one that comes next.
    Next,
    Nowhere,
}

impl Edge {
    pub const EMPTY: Self = Self { layout: None, parts: VecDeque::new(), bytes: 0, longest: Duration::ZERO };

    /// Of a stream that is stored there.
    pub fn new(layout: Layout) -> Self {
        Self { layout: Some(layout), ..Self::EMPTY }
    }

    pub fn push(&mut self, part: Part) {
        let goes_on = |last: &Part| last.run == part.run && last.number + 1 == part.number;
        if self.parts.back().is_some_and(|last| last.run == part.run && !goes_on(last)) {
            (self.parts, self.bytes) = (VecDeque::new(), 0);
        }
        if self.parts.back().is_none_or(|last| last.run != part.run) {
            self.longest = Duration::ZERO;
        }
        self.longest = self.longest.max(part.duration);
        self.bytes += part.bytes.len();
        self.parts.push_back(part);
        while self.parts.len() > 1 && (self.bytes > MOST_BYTES || self.segments() > MOST_SEGMENTS) {
            self.bytes -= self.parts.pop_front().map_or(0, |part| part.bytes.len());
        }
    }

    fn segments(&self) -> usize {
        let place = |part: &Part| (part.run, part.segment);
        let neighbours = self.parts.iter().zip(self.parts.iter().skip(1));
        1 + neighbours.filter(|(one, next)| place(one) != place(next)).count()
    }

    pub fn has_parts(&self) -> bool {
        !self.longest.is_zero()
    }

    pub fn find(&self, name: &str) -> Found {
        let Some(layout) = &self.layout else { return Found::Nowhere };
        let is_named = |run, number| layout.part(run, number).file_name() == name;
        // The newest is asked for most.
        if let Some(part) = self.parts.iter().rev().find(|part| is_named(part.run, part.number)) {
            return Found::There(part.bytes.clone());
        }
        let is_next = self.parts.back().is_some_and(|last| is_named(last.run, last.number + 1));
        if is_next { Found::Next } else { Found::Nowhere }
    }

    /// The stored playlist with the parts that are there; `None`: it has to do as it is.
    pub fn playlist(&self, stored: &str) -> Option<Told> {
        let layout = self.layout.as_ref()?;
        let playlist = parse(stored, layout).ok().filter(|playlist| !playlist.ended)?;
        if !self.has_parts() {
            return None;
        }
        let mut list = PartList {
            target: self.longest,
            hold_back: HELD_BACK_PARTS * self.longest,
            of: Vec::new(),
            open: Vec::new(),
            hint: None,
            blocks: true,
        };
        self.fill(&mut list, &playlist, layout);
        Some(Told(MediaPlaylist { parts: Some(list), ..playlist }))
    }

    /// A run's parts are told from its first whole segment on: before that the playlist does not name what opens them.
    fn fill(&self, list: &mut PartList, playlist: &MediaPlaylist, layout: &Layout) {
        let Some((run, newest)) = playlist.entries.last().and_then(|entry| layout.place_of(&entry.key))
        else {
            return;
        };
        let listed = |part: &Part| ListedPart {
            key: layout.part(part.run, part.number),
            duration: part.duration,
            independent: part.independent,
        };
        let most = LISTED_TARGETS * Duration::from_secs(playlist.target_duration_s);
        let mut ago = Duration::ZERO;
        for entry in playlist.entries.iter().rev() {
            let place = layout.place_of(&entry.key).filter(|(of, _)| *of == run && ago < most);
            let Some((_, index)) = place else { break };
            let parts: Vec<_> = self.of(run, index).map(listed).collect();
            let all: Duration = parts.iter().map(|part| part.duration).sum();
            if all.abs_diff(entry.duration) > TOLERANCE {
                break;
            }
            ago += entry.duration;
            list.of.push((entry.msn, parts));
        }
        if list.of.is_empty() {
            return;
        }
        list.open = self.of(run, newest + 1).map(listed).collect();
        let last = self.of(run, newest).chain(self.of(run, newest + 1)).last();
        list.hint = last.map(|last| layout.part(run, last.number + 1));
    }

    fn of(&self, run: RunId, segment: u64) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| (part.run, part.segment) == (run, segment))
    }
}

impl Told {
    pub fn text(&self) -> String {
        render(&self.0)
    }

    /// How long who waits for it should be kept waiting at most (RFC 8216bis, 6.2.5.2).
    pub fn patience(&self) -> Duration {
        LISTED_TARGETS * Duration::from_secs(self.0.target_duration_s)
    }

    pub fn has(&self, Ask { msn, part }: Ask) -> Has {
        let Some(list) = &self.0.parts else { return Has::Yes };
        let next = self.0.media_sequence + self.0.entries.len() as u64;
        let open = list.open.len() as u64;
        if msn > next + MOST_AHEAD_SEGMENTS - 1 {
            return Has::Never;
        }
        // Behind a segment's last part is the next one's first.
        let newest = list.of.iter().find(|(of, _)| of.0 + 1 == next).map(|(_, parts)| parts.len() as u64);
        let (msn, part) = match part {
            Some(part) if msn + 1 == next && newest.is_some_and(|parts| part >= parts) => (next, Some(0)),
            part => (msn, part),
        };
        let there = match part {
            _ if msn < next => true,
            Some(part) => msn == next && part < open,
            None => false,
        };
        let ahead = part.unwrap_or_default().saturating_sub(open);
        match there {
            true => Has::Yes,
            false if u128::from(ahead) * list.target.as_nanos() > MOST_AHEAD.as_nanos() => Has::Never,
            false => Has::NotYet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Msn;
    use crate::domain::segment::SegmentType;
    use crate::domain::window::Entry;

    const PART: Duration = Duration::from_millis(200);

    fn layout() -> Layout {
        Layout::of_origin(&"cam".parse().unwrap())
    }

    fn run(dice: u32) -> RunId {
        RunId::new(1_800_000_000_000, dice)
    }

    /// Five in a segment.
    fn part(run: RunId, number: u64) -> Part {
        let bytes = Bytes::from(vec![number as u8; 100]);
        Part {
            run,
            number,
            segment: number / 5,
            duration: PART,
            independent: number.is_multiple_of(5),
            bytes,
        }
    }

    fn edge(parts: u64) -> Edge {
        let mut edge = Edge::new(layout());
        (0..parts).for_each(|number| edge.push(part(run(1), number)));
        edge
    }

    /// With these segments of the run, from number 100 on.
    fn stored(run: RunId, segments: std::ops::Range<u64>) -> String {
        let entry = |index| Entry {
            msn: Msn(100 + index),
            key: layout().segment(run, index, SegmentType::Fmp4),
            duration: Duration::from_secs(1),
            program_time: None,
            discontinuity: false,
        };
        let media_sequence = 100 + segments.start;
        let entries = segments.map(entry).collect();
        render(&MediaPlaylist {
            target_duration_s: 1,
            media_sequence,
            discontinuity_sequence: 0,
            entries,
            ended: false,
            parts: None,
        })
    }

    fn ask(msn: u64, part: impl Into<Option<u64>>) -> Ask {
        Ask { msn, part: part.into() }
    }

    #[test]
    fn the_parts_of_the_open_segment_come_behind_the_last_whole_one() {
        let text = edge(12).playlist(&stored(run(1), 0..2)).unwrap().text();
        let tags: Vec<_> = text.lines().filter(|line| !line.starts_with("#EXTM3U")).collect();
        let name = |number| layout().part(run(1), number).file_name().to_owned();
        let (hint, last) = (tags[tags.len() - 1], tags[tags.len() - 2]);
        assert_eq!(hint, format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}\"", name(12)));
        assert_eq!(last, format!("#EXT-X-PART:DURATION=0.200000,URI=\"{}\"", name(11)));
        assert!(text.contains("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.600\n"), "{text}");
        assert!(text.contains("#EXT-X-PART-INF:PART-TARGET=0.200000\n"), "{text}");
        assert_eq!(text.matches("#EXT-X-PART:").count(), 12);
        assert_eq!(text.matches("INDEPENDENT=YES").count(), 3);
    }

    #[test]
    fn parts_are_listed_of_three_target_durations() {
        let text = edge(40).playlist(&stored(run(1), 0..8)).unwrap().text();
        assert_eq!(text.matches("#EXT-X-PART:").count(), 15, "{text}");
        assert!(text.contains(layout().part(run(1), 25).file_name()));
    }

    #[test]
    fn a_playlist_that_lags_behind_has_no_parts_of_the_segment_after_the_next() {
        let told = edge(11).playlist(&stored(run(1), 0..1)).unwrap();
        let text = told.text();
        assert_eq!(text.matches("#EXT-X-PART:").count(), 10, "{text}");
        assert!(text.contains(&format!("URI=\"{}\"\n", layout().part(run(1), 10).file_name())), "{text}");
        assert_eq!(told.has(ask(101, 4)), Has::Yes);
        assert_eq!(told.has(ask(102, 0)), Has::NotYet);
    }

    #[test]
    fn a_new_run_has_no_parts_before_its_first_segment_and_one_with_a_hole_none_before_the_next() {
        let mut edge = edge(10);
        (0..3).for_each(|number| edge.push(part(run(2), number)));
        let told = edge.playlist(&stored(run(1), 0..2)).unwrap();
        assert_eq!(told.text().matches("#EXT-X-PART:").count(), 10, "those of the one before stay");
        edge.push(part(run(2), 4));
        edge.push(part(run(2), 5));
        let told = edge.playlist(&stored(run(2), 0..1)).unwrap();
        assert!(!told.text().contains("#EXT-X-PART:"), "{}", told.text());
        assert!(told.text().contains("CAN-BLOCK-RELOAD=YES"), "{}", told.text());
        (6..11).for_each(|number| edge.push(part(run(2), number)));
        assert_eq!(edge.playlist(&stored(run(2), 0..2)).unwrap().text().matches("#EXT-X-PART:").count(), 6);
    }

    #[test]
    fn what_is_asked_for_is_there_comes_or_never_will() {
        // Segments 100 and 101, and two parts of 102.
        let told = edge(12).playlist(&stored(run(1), 0..2)).unwrap();
        for (asked, has) in [
            (ask(99, None), Has::Yes),
            (ask(101, None), Has::Yes),
            (ask(101, 4), Has::Yes),
            // Behind the last part of a whole segment is the first one of the next.
            (ask(101, 5), Has::Yes),
            (ask(102, 1), Has::Yes),
            (ask(102, 2), Has::NotYet),
            (ask(102, 17), Has::NotYet),
            (ask(102, 18), Has::Never),
            (ask(102, u64::MAX), Has::Never),
            (ask(102, None), Has::NotYet),
            (ask(103, 0), Has::NotYet),
            (ask(103, None), Has::NotYet),
            (ask(104, 0), Has::Never),
            (ask(u64::MAX, None), Has::Never),
        ] {
            assert_eq!(told.has(asked), has, "{asked:?}");
        }
        assert_eq!(told.patience(), Duration::from_secs(3));
    }

    #[test]
    fn what_has_ended_or_is_no_playlist_of_ours_stays_as_it_is() {
        let edge = edge(5);
        let stored = stored(run(1), 0..1);
        assert!(edge.playlist(&format!("{stored}#EXT-X-ENDLIST\n")).is_none());
        assert!(edge.playlist("<html>").is_none());
        assert!(Edge::new(layout()).playlist(&stored).is_none());
        assert!(Edge::EMPTY.playlist(&stored).is_none());
    }

    #[test]
    fn parts_are_found_by_their_names_and_the_next_one_is_known() {
        let edge = edge(7);
        let find = |number| edge.find(layout().part(run(1), number).file_name());
        assert_eq!(find(6), Found::There(Bytes::from(vec![6; 100])));
        assert_eq!([find(7), find(8)], [Found::Next, Found::Nowhere]);
        assert_eq!(edge.find("part_x.m4s"), Found::Nowhere);
        assert_eq!(Edge::EMPTY.find("part_x.m4s"), Found::Nowhere);
    }

    #[test]
    fn no_more_is_kept_than_some_segments_and_bytes() {
        let edge = edge(1000);
        assert!(edge.parts.len() <= MOST_SEGMENTS * 5 && edge.parts.len() >= MOST_SEGMENTS * 5 - 5);
        let mut edge = Edge::new(layout());
        for number in 0..100 {
            edge.push(Part { bytes: Bytes::from(vec![0; 1 << 20]), segment: 0, ..part(run(1), number) });
        }
        assert_eq!((edge.parts.len(), edge.bytes), (16, 16 << 20));
    }
}
