//! The newest parts of a stream, in memory: for viewers who are near enough to this box to be told of each as it comes
//! (RFC 8216bis, 6.2.5.2). The segments and their numbers are those of the stored playlist.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::ids::RunId;
use super::key::Layout;
use super::playlist::{ListedPart, MediaPlaylist, PartList, render};
use super::segment::Part;

/// Parts of older segments are not listed (RFC 8216bis, 4.4.4.9).
const LISTED_TARGETS: u32 = 3;
const LISTED_SEGMENTS: usize = 3;
/// PART-HOLD-BACK (RFC 8216bis, 4.4.3.8).
const HELD_BACK_PARTS: u32 = 3;
/// A viewer may ask for what is not there yet within so many segments. Of the next one for any part: hls.js without its
/// low-latency mode asks for the last one that a segment may have.
const MOST_AHEAD_SEGMENTS: u64 = 2;
/// Three target durations behind what is listed (RFC 8216bis, 6.2.2): of long segments it takes so many, of short ones so
/// long.
const KEPT_SEGMENTS: usize = 10;
const KEPT_TIME: Duration = Duration::from_secs(7);
/// No part is listed that would have to leave soon after.
const MOST_BYTES: usize = 16 << 20;
const LISTED_BYTES: usize = MOST_BYTES / 2;
const MOST_PARTS: usize = 1000;
/// What durations are rounded by.
const TOLERANCE: Duration = Duration::from_millis(2);

/// Of one stream.
#[derive(Debug)]
pub struct Edge {
    layout: Option<Layout>,
    /// As a part is to be long.
    planned: Duration,
    /// In order; those of a run have no holes.
    parts: VecDeque<Part>,
    bytes: usize,
    /// More parts of the newest run will come.
    goes_on: bool,
    playlists: u64,
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
    pub const EMPTY: Self = Self {
        layout: None,
        planned: Duration::ZERO,
        parts: VecDeque::new(),
        bytes: 0,
        goes_on: false,
        playlists: 0,
    };

    /// Of a stream that is stored there.
    pub fn new(layout: Layout, planned: Duration) -> Self {
        Self { layout: Some(layout), planned, ..Self::EMPTY }
    }

    pub fn push(&mut self, part: Part) {
        let is_hole = |last: &Part| last.run == part.run && last.number + 1 != part.number;
        if self.parts.back().is_some_and(is_hole) {
            (self.parts, self.bytes) = (VecDeque::new(), 0);
        }
        self.goes_on = true;
        self.bytes += part.bytes.len();
        self.parts.push_back(part);
        while self.parts.len() > 1 && self.is_too_much() {
            self.bytes -= self.parts.pop_front().map_or(0, |part| part.bytes.len());
        }
    }

    fn is_too_much(&self) -> bool {
        let place = |part: &Part| (part.run, part.segment);
        let neighbours = || self.parts.iter().zip(self.parts.iter().skip(1));
        let breaks = || neighbours().filter(|(one, next)| place(one) != place(next)).count();
        let behind = || self.parts.iter().skip(1).map(|part| part.duration).sum::<Duration>();
        let is_old = || breaks() > KEPT_SEGMENTS && behind() > KEPT_TIME;
        self.bytes > MOST_BYTES || self.parts.len() > MOST_PARTS || is_old()
    }

    /// The run is over, or all of them: its parts are told no more, but who has read of them can fetch them.
    pub fn ended(&mut self) {
        self.goes_on = false;
    }

    /// There were some: the next run will have some, too.
    pub fn tells_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Another playlist was stored.
    pub fn stored(&mut self) {
        self.playlists += 1;
    }

    /// Counts the playlists that were stored.
    pub fn playlists(&self) -> u64 {
        self.playlists
    }

    pub fn layout(&self) -> Option<Layout> {
        self.layout.clone()
    }

    /// How long the next part may take.
    pub fn patience(&self) -> Duration {
        let newest = self.parts.back().map_or(Duration::ZERO, |part| part.duration);
        HELD_BACK_PARTS * newest.max(self.planned)
    }

    pub fn find(&self, name: &str) -> Found {
        let named = self.layout.as_ref().and_then(|layout| layout.part_named(name));
        let Some((run, number)) = named else { return Found::Nowhere };
        // The newest is asked for most.
        let last = self.parts.iter().rev().find(|part| part.run == run);
        let Some(back) = last.and_then(|last| last.number.checked_sub(number)) else {
            let is_next = last.is_some_and(|last| last.number + 1 == number) && self.goes_on;
            let is_newest = self.parts.back().is_some_and(|newest| newest.run == run);
            return if is_next && is_newest { Found::Next } else { Found::Nowhere };
        };
        let mut of_run = self.parts.iter().rev().filter(|part| part.run == run);
        let part = usize::try_from(back).ok().and_then(|back| of_run.nth(back));
        part.map_or(Found::Nowhere, |part| Found::There(part.bytes.clone()))
    }

    /// The stored playlist with the parts that are there. Where none fits (between two runs, say) it still says that there
    /// are to be some: players would leave the stream's parts for good. `None`: it has to do as it is.
    pub fn told(&self, playlist: &MediaPlaylist) -> Option<Told> {
        let layout = self.layout.as_ref().filter(|_| self.tells_parts() && !playlist.ended)?;
        let list = if self.goes_on { self.list(playlist, layout) } else { None };
        let parts = Some(list.unwrap_or_else(|| self.no_list()));
        Some(Told(MediaPlaylist { parts, ..playlist.clone() }))
    }

    fn no_list(&self) -> PartList {
        let known = self.parts.iter().map(|part| part.duration).max();
        let target = known.unwrap_or_default().max(self.planned);
        let hold_back = HELD_BACK_PARTS * target;
        PartList { target, hold_back, of: Vec::new(), open: Vec::new(), hint: None, blocks: true }
    }

    /// Of the newest run alone, as nothing comes behind another one's; and from its first whole segment on, as before that the
    /// playlist does not name what opens them.
    fn list(&self, playlist: &MediaPlaylist, layout: &Layout) -> Option<PartList> {
        let (run, newest) = layout.place_of(&playlist.entries.last()?.key)?;
        self.parts.back().filter(|last| last.run == run)?;
        let listed = |part: &Part| ListedPart {
            key: layout.part(part.run, part.number),
            duration: part.duration,
            independent: part.independent,
        };
        let bytes = |index| self.of(run, index).map(|part| part.bytes.len()).sum::<usize>();
        let most = LISTED_TARGETS * Duration::from_secs(playlist.target_duration_s);
        let (mut of, mut ago) = (Vec::new(), Duration::ZERO);
        // As much as the open one will have, probably: it must not come and go while that grows.
        let mut size = bytes(newest).max(bytes(newest + 1));
        for entry in playlist.entries.iter().rev().take(LISTED_SEGMENTS) {
            let place = layout.place_of(&entry.key).filter(|(of, _)| *of == run && ago < most);
            let Some((_, index)) = place else { break };
            size += bytes(index);
            let parts: Vec<_> = self.of(run, index).map(listed).collect();
            let all: Duration = parts.iter().map(|part| part.duration).sum();
            if all.abs_diff(entry.duration) > TOLERANCE || size > LISTED_BYTES {
                break;
            }
            ago += entry.duration;
            of.push((entry.msn, parts));
        }
        let open: Vec<_> = self.of(run, newest + 1).map(listed).collect();
        let last = self.of(run, newest).chain(self.of(run, newest + 1)).last()?;
        let hint = Some(layout.part(run, last.number + 1));
        let parts = of.iter().flat_map(|(_, parts)| parts).chain(&open);
        let target = parts.map(|part| part.duration).max()?.max(self.planned);
        let hold_back = HELD_BACK_PARTS * target;
        (!of.is_empty()).then_some(PartList { target, hold_back, of, open, hint, blocks: true })
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
        let next = self.0.media_sequence.saturating_add(self.0.entries.len() as u64);
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
        if there { Has::Yes } else { Has::NotYet }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Msn;
    use crate::domain::playlist::parse;
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
        edge_of(PART, parts)
    }

    fn edge_of(duration: Duration, parts: u64) -> Edge {
        let mut edge = Edge::new(layout(), PART);
        (0..parts).for_each(|number| edge.push(Part { duration, ..part(run(1), number) }));
        edge
    }

    /// With these segments of the run, from number 100 on.
    fn stored(run: RunId, segments: std::ops::Range<u64>) -> MediaPlaylist {
        let entry = |index| Entry {
            msn: Msn(100 + index),
            key: layout().segment(run, index, SegmentType::Fmp4),
            duration: Duration::from_secs(1),
            program_time: None,
            discontinuity: false,
        };
        let media_sequence = 100 + segments.start;
        let entries = segments.map(entry).collect();
        let (discontinuity_sequence, ended, parts) = (0, false, None);
        MediaPlaylist { target_duration_s: 1, media_sequence, discontinuity_sequence, entries, ended, parts }
    }

    fn ask(msn: u64, part: impl Into<Option<u64>>) -> Ask {
        Ask { msn, part: part.into() }
    }

    #[test]
    fn the_parts_of_the_open_segment_come_behind_the_last_whole_one() {
        let text = edge(12).told(&stored(run(1), 0..2)).unwrap().text();
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
        let text = edge(40).told(&stored(run(1), 0..8)).unwrap().text();
        assert_eq!(text.matches("#EXT-X-PART:").count(), 15, "{text}");
        assert!(text.contains(layout().part(run(1), 25).file_name()));
    }

    #[test]
    fn a_playlist_that_lags_behind_has_no_parts_of_the_segment_after_the_next() {
        let told = edge(11).told(&stored(run(1), 0..1)).unwrap();
        let text = told.text();
        assert_eq!(text.matches("#EXT-X-PART:").count(), 10, "{text}");
        assert!(text.contains(&format!("URI=\"{}\"\n", layout().part(run(1), 10).file_name())), "{text}");
        assert_eq!(told.has(ask(101, 4)), Has::Yes);
        assert_eq!(told.has(ask(102, 0)), Has::NotYet);
    }

    #[test]
    fn a_new_run_has_no_parts_before_its_first_segment_and_one_with_a_hole_none_before_the_next() {
        let mut edge = edge(10);
        edge.ended();
        let bare = |edge: &Edge, playlist| {
            let told = edge.told(&playlist).unwrap();
            let text = told.text();
            assert!(text.contains("CAN-BLOCK-RELOAD=YES") && text.contains("PART-TARGET=0.200000"), "{text}");
            assert_eq!(told.has(ask(100 + playlist.entries.len() as u64, 0)), Has::NotYet);
            !text.contains("#EXT-X-PART:") && !text.contains("PRELOAD-HINT")
        };
        assert!(bare(&edge, stored(run(1), 0..2)), "nothing comes any more");
        (0..3).for_each(|number| edge.push(part(run(2), number)));
        assert!(bare(&edge, stored(run(1), 0..2)), "nothing comes behind these");
        assert!(matches!(edge.find(layout().part(run(1), 9).file_name()), Found::There(_)), "it was told of");
        assert_eq!(edge.find(layout().part(run(1), 10).file_name()), Found::Nowhere);
        edge.push(part(run(2), 4));
        edge.push(part(run(2), 5));
        assert!(bare(&edge, stored(run(2), 0..1)), "3 is missing");
        (6..11).for_each(|number| edge.push(part(run(2), number)));
        assert_eq!(edge.told(&stored(run(2), 0..2)).unwrap().text().matches("#EXT-X-PART:").count(), 6);
    }

    #[test]
    fn one_long_part_is_told_as_long_as_it_is_listed_and_no_longer() {
        let mut edge = edge(9);
        edge.push(Part { duration: 5 * PART, ..part(run(1), 9) });
        let mut playlist = stored(run(1), 0..2);
        playlist.entries[1].duration = 9 * PART;
        assert!(edge.told(&playlist).unwrap().text().contains("PART-TARGET=1.000000"));
        (10..30).for_each(|number| edge.push(part(run(1), number)));
        assert!(edge.told(&stored(run(1), 2..6)).unwrap().text().contains("PART-TARGET=0.200000"));
        // One that was cut short says nothing.
        edge.push(Part { duration: PART / 5, ..part(run(1), 30) });
        assert!(edge.told(&stored(run(1), 2..6)).unwrap().text().contains("PART-TARGET=0.200000"));
    }

    #[test]
    fn parts_that_would_soon_have_to_leave_are_not_listed() {
        let mut edge = Edge::new(layout(), PART);
        let mut large =
            |number, bytes| edge.push(Part { bytes: vec![0; bytes].into(), ..part(run(1), number) });
        (0..15).for_each(|number| large(number, 1 << 20));
        let told = edge.told(&stored(run(1), 0..3)).unwrap().text();
        assert!(
            !told.contains("#EXT-X-PART:"),
            "five of the newest segment and five of the next are more than is kept for long"
        );
        let mut large =
            |number, bytes| edge.push(Part { bytes: vec![0; bytes].into(), ..part(run(1), number) });
        (15..25).for_each(|number| large(number, 1 << 19));
        assert_eq!(edge.told(&stored(run(1), 0..5)).unwrap().text().matches("#EXT-X-PART:").count(), 10);
    }

    #[test]
    fn what_is_asked_for_is_there_comes_or_never_will() {
        // Segments 100 and 101, and two parts of 102.
        let told = edge(12).told(&stored(run(1), 0..2)).unwrap();
        for (asked, has) in [
            (ask(99, None), Has::Yes),
            (ask(101, None), Has::Yes),
            (ask(101, 4), Has::Yes),
            // Behind the last part of a whole segment is the first one of the next.
            (ask(101, 5), Has::Yes),
            (ask(102, 1), Has::Yes),
            (ask(102, 2), Has::NotYet),
            (ask(102, 24), Has::NotYet),
            (ask(102, u64::MAX), Has::NotYet),
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
    fn what_has_ended_stays_as_it_is() {
        let stored = stored(run(1), 0..1);
        let told = edge(5).told(&stored).unwrap();
        assert_eq!(parse(&told.text(), &layout()), Ok(stored.clone()), "the segments are as they were");
        assert!(edge(5).told(&MediaPlaylist { ended: true, ..stored.clone() }).is_none());
        assert!(Edge::new(layout(), PART).told(&stored).is_none());
        assert!(Edge::EMPTY.told(&stored).is_none());
    }

    #[test]
    fn parts_are_found_by_their_names_and_the_next_one_is_known() {
        let edge = edge(7);
        let find = |number| edge.find(layout().part(run(1), number).file_name());
        assert_eq!(find(6), Found::There(Bytes::from(vec![6; 100])));
        assert_eq!([find(7), find(8)], [Found::Next, Found::Nowhere]);
        for wrong in ["part_x.m4s", "segment_0_000001.m4s", ""] {
            assert_eq!(edge.find(wrong), Found::Nowhere, "{wrong}");
        }
        let longer = layout().part(run(1), 6).file_name().replace("_000006", "_0000006");
        assert_eq!(edge.find(&longer), Found::Nowhere, "a name of its own");
        assert_eq!(Edge::EMPTY.find("part_x.m4s"), Found::Nowhere);
    }

    #[test]
    fn parts_stay_three_target_durations_behind_what_is_listed() {
        for segment_ms in [200, 500, 800, 1_000, 1_050, 2_000, 6_000, 60_000] {
            let segment = Duration::from_millis(segment_ms);
            // The last one has just begun.
            let edge = edge_of(segment / 5, 501);
            let kept: Duration = edge.parts.iter().map(|part| part.duration).sum();
            let target = Duration::from_secs(segment_ms.div_ceil(1000));
            let (listed, open) = (3 * segment, segment);
            assert!(kept >= listed + open + 3 * target, "{segment:?}: {kept:?}");
        }
    }

    #[test]
    fn no_more_is_kept_than_some_segments_and_bytes() {
        assert_eq!(edge(1000).parts.len(), (KEPT_SEGMENTS + 1) * 5);
        assert_eq!(edge_of(PART / 4, 1000).parts.len(), 141, "7 s, and one more");
        let mut edge = Edge::new(layout(), PART);
        for number in 0..100 {
            edge.push(Part { bytes: Bytes::from(vec![0; 1 << 20]), segment: 0, ..part(run(1), number) });
        }
        assert_eq!((edge.parts.len(), edge.bytes), (16, 16 << 20));
    }
}
