//! What the agent has to know of fragmented MP4 (ISO/IEC 14496-12).
//!
//! ffmpeg begins every track's time at 0 and tells by an edit list how far they are apart: in a copy up to a whole
//! GOP, as audio begins at once and video at the first keyframe. Not all players read edit lists of fragments, so the
//! distance is put where all of them look, into the fragments' own times.

use std::ops::Range;

use bytes::Bytes;

use super::segment::Rendition;

/// The init object of a run: what a player needs before any of its segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    bytes: Bytes,
    tracks: Vec<Track>,
    /// Of the run's further renditions.
    others: Vec<Self>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Track {
    id: u32,
    /// In the track's own unit, which this many of make a second.
    shift: i64,
    per_second: u32,
}

/// A box: the whole of it, and what is in it.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) kind: [u8; 4],
    pub(super) whole: Range<usize>,
    pub(super) body: Range<usize>,
}

impl Header {
    /// `None`: no init object, or half of one.
    pub fn read(bytes: Vec<u8>) -> Option<Self> {
        let mut bytes = bytes;
        let all = parts(&bytes, 0..bytes.len())?;
        find(&all, b"ftyp")?;
        let movie = parts(&bytes, find(&all, b"moov")?.body.clone())?;
        let per_second = number(&bytes, timescale_at(&bytes, find(&movie, b"mvhd")?))?;
        let mut tracks = Vec::new();
        let mut edits = Vec::new();
        for part in movie.iter().filter(|part| &part.kind == b"trak") {
            let track = parts(&bytes, part.body.clone())?;
            tracks.push(read_track(&bytes, &track, per_second)?);
            edits.extend(find(&track, b"edts").map(|edit| edit.whole.start));
        }
        // What they told is in the fragments now.
        edits.into_iter().for_each(|at| rename(&mut bytes, at, b"free"));
        make_positive(&mut tracks);
        (!tracks.is_empty()).then(|| Self { bytes: bytes.into(), tracks, others: Vec::new() })
    }

    /// With those of further renditions, in order.
    #[must_use]
    pub fn with(self, others: Vec<Self>) -> Self {
        Self { others, ..self }
    }

    /// The one of a rendition; this one is the first's.
    pub fn rendition(&self, number: Rendition) -> &Self {
        usize::from(number).checked_sub(2).and_then(|other| self.others.get(other)).unwrap_or(self)
    }

    /// Without edit lists.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Gives a segment's fragments the times that the edit lists meant.
    pub fn retime(&self, segment: &mut [u8]) {
        if self.tracks.iter().any(|track| track.shift != 0) {
            // What is no fragment stays as it is: then there is nothing to mend.
            let _ = self.retime_fragments(segment);
        }
    }

    fn retime_fragments(&self, segment: &mut [u8]) -> Option<()> {
        for part in parts(segment, 0..segment.len())? {
            match &part.kind {
                // An index has times too, and nobody needs one.
                b"sidx" => rename(segment, part.whole.start, b"free"),
                b"moof" => {
                    let tracks = parts(segment, part.body)?;
                    for track in tracks.iter().filter(|part| &part.kind == b"traf") {
                        self.retime_track(segment, &parts(segment, track.body.clone())?)?;
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    fn retime_track(&self, segment: &mut [u8], track: &[Part]) -> Option<()> {
        let id = number(segment, find(track, b"tfhd")?.body.start + 4)?;
        let shift = self.tracks.iter().find(|track| track.id == id)?.shift;
        let time = find(track, b"tfdt")?.body.start;
        if *segment.get(time)? == 0 {
            let new = i64::from(number(segment, time + 4)?).wrapping_add(shift) as u32;
            segment.get_mut(time + 4..time + 8)?.copy_from_slice(&new.to_be_bytes());
        } else {
            let new = long_number(segment, time + 4)?.wrapping_add_signed(shift);
            segment.get_mut(time + 4..time + 12)?.copy_from_slice(&new.to_be_bytes());
        }
        Some(())
    }
}

fn read_track(bytes: &[u8], track: &[Part], movie_per_second: u32) -> Option<Track> {
    let header = find(track, b"tkhd")?;
    // The fields before it are times, longer in version 1.
    let id = number(bytes, timescale_at(bytes, header))?;
    let media = parts(bytes, find(track, b"mdia")?.body.clone())?;
    let per_second = number(bytes, timescale_at(bytes, find(&media, b"mdhd")?))?;
    let edits = find(track, b"edts").and_then(|edits| parts(bytes, edits.body.clone()));
    let list = edits.as_deref().and_then(|edits| find(edits, b"elst"));
    let (empty, begin) = list.map_or(Some((0, 0)), |list| read_edits(bytes, list.body.start))?;
    let empty = i128::from(empty) * i128::from(per_second) / i128::from(movie_per_second.max(1));
    Some(Track { id, shift: i64::try_from(empty).ok()?.checked_sub(begin)?, per_second })
}

/// For how long nothing comes, in the movie's unit, and with which time of the track it begins then.
fn read_edits(bytes: &[u8], at: usize) -> Option<(u64, i64)> {
    let (is_long, count) = (*bytes.get(at)? == 1, number(bytes, at + 4)?);
    let mut empty = 0u64;
    for index in 0..count.min(8) as usize {
        let (lasts, begin) = if is_long {
            let at = at + 8 + 20 * index;
            (long_number(bytes, at)?, long_number(bytes, at + 8)?.cast_signed())
        } else {
            let at = at + 8 + 12 * index;
            (number(bytes, at)?.into(), number(bytes, at + 4)?.cast_signed().into())
        };
        if begin != -1 {
            return Some((empty, begin));
        }
        empty = empty.checked_add(lasts)?;
    }
    Some((empty, 0))
}

/// Times can't be negative: all tracks begin so many seconds later that none is.
fn make_positive(tracks: &mut [Track]) {
    let early = |track: &Track| track.shift.min(0).unsigned_abs().div_ceil(track.per_second.max(1).into());
    let seconds = tracks.iter().map(early).max().unwrap_or_default().cast_signed();
    for track in tracks {
        track.shift = track.shift.saturating_add(seconds.saturating_mul(track.per_second.into()));
    }
}

/// The boxes that fill `within`, or `None` if they do not.
pub(super) fn parts(bytes: &[u8], within: Range<usize>) -> Option<Vec<Part>> {
    let mut found = Vec::new();
    let mut at = within.start;
    while at < within.end {
        let kind = bytes.get(at + 4..at + 8)?.try_into().ok()?;
        let (size, head) = match number(bytes, at)? {
            0 => (within.end - at, 8),
            1 => (usize::try_from(long_number(bytes, at + 8)?).ok()?, 16),
            size => (size as usize, 8),
        };
        let end = at.checked_add(size).filter(|end| size >= head && *end <= within.end)?;
        found.push(Part { kind, whole: at..end, body: at + head..end });
        at = end;
    }
    Some(found)
}

pub(super) fn find<'a>(parts: &'a [Part], kind: &[u8; 4]) -> Option<&'a Part> {
    parts.iter().find(|part| part.kind == *kind)
}

/// In `mvhd` and `mdhd`; in `tkhd` the track's number is there.
fn timescale_at(bytes: &[u8], part: &Part) -> usize {
    let is_long = bytes.get(part.body.start) == Some(&1);
    part.body.start + if is_long { 20 } else { 12 }
}

fn rename(bytes: &mut [u8], at: usize, kind: &[u8; 4]) {
    if let Some(old) = bytes.get_mut(at + 4..at + 8) {
        old.copy_from_slice(kind);
    }
}

pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long_number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
impl Header {
    /// No player would take it.
    pub(crate) fn of_tests(text: &str) -> Self {
        Self { bytes: text.to_owned().into(), tracks: Vec::new(), others: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// `edits`: how long each lasts, in ms, and where it begins.
    fn track(id: u32, per_second: u32, edits: &[(u32, i32)]) -> Vec<u8> {
        let entries = edits.iter().flat_map(|(lasts, begin)| [*lasts, begin.cast_unsigned(), 1 << 16]);
        let list = words(&[0, edits.len() as u32].into_iter().chain(entries).collect::<Vec<_>>());
        let edits = part(b"edts", &part(b"elst", &list));
        let media = part(b"mdia", &part(b"mdhd", &words(&[0, 0, 0, per_second, 0])));
        part(b"trak", &[part(b"tkhd", &words(&[0, 0, 0, id, 0])), edits, media].concat())
    }

    fn init(tracks: &[Vec<u8>]) -> Vec<u8> {
        let movie = [part(b"mvhd", &words(&[0, 0, 0, 1000, 0])), tracks.concat()].concat();
        [part(b"ftyp", b"iso5"), part(b"moov", &movie)].concat()
    }

    fn fragment(id: u32, time: u64) -> Vec<u8> {
        let time = [&words(&[1 << 24])[..], &time.to_be_bytes()].concat();
        let track = [part(b"tfhd", &words(&[0, id])), part(b"tfdt", &time)].concat();
        let index = part(b"sidx", &[0; 24]);
        [index, part(b"moof", &part(b"traf", &track)), part(b"mdat", b"picture")].concat()
    }

    /// The times that the tracks 1 and 2 have in a segment where both begin at 0.
    fn times(header: &Header) -> [u64; 2] {
        [1, 2].map(|id| {
            let mut segment = fragment(id, 0);
            header.retime(&mut segment);
            let at = segment.len() - b"picture".len() - 16;
            long_number(&segment, at).unwrap()
        })
    }

    #[test]
    fn what_edit_lists_meant_is_in_the_fragments() {
        let read = |tracks: &[Vec<u8>]| Header::read(init(tracks)).unwrap();
        let late = read(&[track(1, 12_800, &[(1_840, -1), (0, 0)]), track(2, 16_000, &[(0, 0)])]);
        assert_eq!(times(&late), [23_552, 0], "the picture begins 1.84 s behind the sound");
        let reordered = read(&[track(1, 12_800, &[(0, 1_024)]), track(2, 16_000, &[(0, 0)])]);
        assert_eq!(times(&reordered), [11_776, 16_000], "80 ms before the sound: all begins a second later");
        let both = read(&[track(1, 12_800, &[(1_720, -1), (0, 1_024)]), track(2, 16_000, &[(0, 0)])]);
        assert_eq!(times(&both), [20_992, 0]);
        let text = String::from_utf8_lossy(late.bytes()).into_owned();
        assert!(!text.contains("edts"), "nothing is told twice");
        let mut segment = fragment(1, 0);
        late.retime(&mut segment);
        assert!(!String::from_utf8_lossy(&segment).contains("sidx"));
        assert_eq!(segment.len(), fragment(1, 0).len());
    }

    #[test]
    fn where_all_begins_at_once_nothing_is_changed() {
        let header = Header::read(init(&[track(1, 12_800, &[(0, 0)]), track(2, 16_000, &[])])).unwrap();
        let mut segment = fragment(1, 77);
        header.retime(&mut segment);
        assert_eq!(segment, fragment(1, 77));
    }

    #[test]
    fn a_part_of_an_init_object_is_none() {
        let whole = init(&[track(1, 12_800, &[(40, -1), (0, 0)])]);
        assert!(Header::read(whole.clone()).is_some());
        for cut in 0..whole.len() {
            assert_eq!(Header::read(whole[..cut].to_vec()), None, "{cut}");
        }
        assert_eq!(Header::read(init(&[])), None);
    }

    /// Version 1 of all that has one, sizes of 64 bits, several tracks in a fragment and several fragments.
    #[test]
    fn long_forms_are_read_too() {
        let long = |kind: &[u8; 4], body: &[u8]| {
            [&words(&[1])[..], kind, &(body.len() as u64 + 16).to_be_bytes(), body].concat()
        };
        let track = |id: u32, lasts: u64, begin: i64| {
            let edit =
                [&words(&[1 << 24, 2])[..], &lasts.to_be_bytes(), &(-1i64).to_be_bytes(), &words(&[1 << 16])];
            let next = [&0u64.to_be_bytes()[..], &begin.to_be_bytes(), &words(&[1 << 16])].concat();
            let edits = long(b"edts", &long(b"elst", &[edit.concat(), next].concat()));
            let header = part(b"tkhd", &words(&[1 << 24, 0, 0, 0, 0, id]));
            let media = long(b"mdia", &part(b"mdhd", &words(&[1 << 24, 0, 0, 0, 0, 100])));
            long(b"trak", &[header, edits, media].concat())
        };
        let movie =
            [long(b"mvhd", &words(&[1 << 24, 0, 0, 0, 0, 1000])), track(1, 500, 0), track(2, 0, 20)].concat();
        let header = Header::read([part(b"ftyp", b"iso6"), long(b"moov", &movie)].concat()).unwrap();
        assert!(!String::from_utf8_lossy(header.bytes()).contains("edts"));
        let short = |id: u32, time: u32| {
            part(b"traf", &[part(b"tfhd", &words(&[0, id])), part(b"tfdt", &words(&[0, time]))].concat())
        };
        let segment = |one: u32, two: u32| {
            let fragment = |more: u32| long(b"moof", &[short(1, one + more), short(2, two + more)].concat());
            [fragment(0), long(b"mdat", b"picture"), fragment(7), part(b"mdat", b"")].concat()
        };
        let mut retimed = segment(1_000, 2_000);
        header.retime(&mut retimed);
        assert_eq!(
            retimed,
            segment(1_150, 2_080),
            "half a second and one, a fifth of a second less than one"
        );
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(
            edits in prop::collection::vec((0usize..300, any::<u8>()), 0..6), bytes in prop::collection::vec(any::<u8>(), 0..99),
        ) {
            let _ = Header::read(bytes.clone());
            let good = Header::read(init(&[track(1, 12_800, &[(40, -1), (0, 0)])])).unwrap();
            let mut torn = (init(&[track(1, 12_800, &[(40, -1), (0, 0)])]), fragment(1, 5));
            for (at, byte) in edits {
                for part in [&mut torn.0, &mut torn.1] {
                    let at = at % part.len();
                    part[at] = byte;
                }
            }
            let read = Header::read(torn.0);
            good.retime(&mut torn.1);
            read.iter().for_each(|header| header.retime(&mut torn.1));
        }
    }
}
