//! The init object of both tracks, out of each one's own.

use std::ops::Range;

use bytes::Bytes;

use super::silence;
use crate::domain::fmp4::{find, number, parts};

/// The numbers that the tracks get.
pub(super) const PICTURE: u32 = 1;
pub(super) const SOUND: u32 = 2;

/// What a run's frames need to be read, and how its tracks count time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracks {
    pub init: Vec<u8>,
    /// What they count in a second.
    pub picture_per_second: u32,
    pub sound_per_second: u32,
    /// A packet of silence, if it is known what that is.
    pub silence: Option<Bytes>,
}

impl Tracks {
    /// Each with one track; `None`: one of them is none.
    pub fn join(picture: &[u8], sound: Option<&[u8]>) -> Option<Self> {
        let own = Movie::read(picture)?;
        let (track, extends) = (picture.get(own.track.clone())?, picture.get(own.extends.clone())?);
        let mut tracks = renumbered(track, PICTURE, number_at(picture, &own.track)?)?;
        let mut all_extends = with_number(extends, 12, PICTURE)?;
        let mut sound_per_second = own.per_second;
        if let Some(sound) = sound {
            let other = Movie::read(sound)?;
            let (track, extends) = (sound.get(other.track.clone())?, sound.get(other.extends.clone())?);
            tracks.extend(renumbered(track, SOUND, number_at(sound, &other.track)?)?);
            all_extends.extend(with_number(extends, 12, SOUND)?);
            sound_per_second = other.per_second;
        }
        let header = picture.get(own.header.clone())?;
        // Its last field is the number of the next track.
        let header = with_number(header, header.len().checked_sub(4)?, SOUND + 1)?;
        let extends = wrap(*b"mvex", &all_extends);
        let movie = wrap(*b"moov", &[header, tracks, extends].concat());
        let init = [picture.get(own.kind)?, &movie].concat();
        let silence = sound.and_then(|sound| silence::packet(sound, sound_per_second));
        Some(Self { init, picture_per_second: own.per_second, sound_per_second, silence })
    }
}

/// Where the boxes of an init object with one track are.
struct Movie {
    kind: Range<usize>,
    header: Range<usize>,
    track: Range<usize>,
    extends: Range<usize>,
    per_second: u32,
}

impl Movie {
    fn read(bytes: &[u8]) -> Option<Self> {
        let all = parts(bytes, 0..bytes.len())?;
        let movie = parts(bytes, find(&all, b"moov")?.body.clone())?;
        let extends = parts(bytes, find(&movie, b"mvex")?.body.clone())?;
        let track = find(&movie, b"trak")?;
        let media = parts(bytes, find(&parts(bytes, track.body.clone())?, b"mdia")?.body.clone())?;
        let header = find(&media, b"mdhd")?.body.start;
        let is_long = bytes.get(header) == Some(&1);
        let per_second = number(bytes, header + if is_long { 20 } else { 12 }).filter(|unit| *unit > 0)?;
        Some(Self {
            kind: find(&all, b"ftyp")?.whole.clone(),
            header: find(&movie, b"mvhd")?.whole.clone(),
            track: track.whole.clone(),
            extends: find(&extends, b"trex")?.whole.clone(),
            per_second,
        })
    }
}

/// Behind a track's beginning: where its number is.
fn number_at(bytes: &[u8], track: &Range<usize>) -> Option<usize> {
    let boxes = parts(bytes, track.start + 8..track.end)?;
    let header = find(&boxes, b"tkhd")?.body.start;
    let is_long = bytes.get(header) == Some(&1);
    (header + if is_long { 20 } else { 12 }).checked_sub(track.start)
}

/// Without its edit list: its times are in its frames.
fn renumbered(track: &[u8], id: u32, at: usize) -> Option<Vec<u8>> {
    let mut own = with_number(track, at, id)?;
    let edits = find(&parts(&own, 8..own.len())?, b"edts").map(|edits| edits.whole.start + 4);
    if let Some(kind) = edits.and_then(|at| own.get_mut(at..at + 4)) {
        kind.copy_from_slice(b"free");
    }
    Some(own)
}

fn with_number(bytes: &[u8], at: usize, value: u32) -> Option<Vec<u8>> {
    let mut own = bytes.to_vec();
    own.get_mut(at..at.checked_add(4)?)?.copy_from_slice(&value.to_be_bytes());
    Some(own)
}

fn wrap(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], &kind, body].concat()
}

#[cfg(test)]
mod tests {
    use super::super::testing::init;
    use super::*;
    use crate::domain::fmp4::Header;

    #[test]
    fn two_tracks_come_into_one_init_object() {
        let tracks = Tracks::join(&init(90_000), Some(&init(16_000))).unwrap();
        assert_eq!((tracks.picture_per_second, tracks.sound_per_second), (90_000, 16_000));
        assert!(Header::read(tracks.init.clone()).is_some());
        let count = |kind: &[u8]| tracks.init.windows(4).filter(|window| *window == kind).count();
        assert_eq!([b"moov", b"trak", b"trex", b"mvhd"].map(|kind| count(kind)), [1, 2, 2, 1]);
        let alone = Tracks::join(&init(90_000), None).unwrap();
        assert!(Header::read(alone.init.clone()).is_some());
        assert_eq!(alone.init.windows(4).filter(|window| window == b"trak").count(), 1);
    }

    #[test]
    fn half_an_init_object_is_none() {
        let whole = init(90_000);
        for cut in 0..whole.len() {
            assert_eq!(Tracks::join(&whole[..cut], None), None, "{cut}");
            assert_eq!(Tracks::join(&whole, Some(&whole[..cut])), None, "{cut}");
        }
        assert_eq!(Tracks::join(&init(0), None), None, "a track without a unit has no times");
    }
}
