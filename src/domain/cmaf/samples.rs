//! Frames out of a stream of fragments, as its bytes come.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::domain::fmp4::{self, find, number};

/// Far more than a frame of any camera.
const MOST_BOX: usize = 16 << 20;
/// An init object, or one fragment's tables.
const MOST_TABLES: usize = 1 << 20;
/// Of one fragment: ffmpeg is told to write one.
const MOST_SAMPLES: u32 = 10_000;
/// Of a sample's flags (ISO/IEC 14496-12, 8.8.3.1): no player can begin there.
const NO_KEYFRAME: u32 = 1 << 16;

/// It is no stream of fragments, or one that was cut off within: nothing behind it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ffmpeg's fragments can't be read: {0}")]
pub struct Damaged(pub(super) &'static str);

/// A frame of the picture, or a packet of sound. Times are in the track's own unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When it is decoded.
    pub time: u64,
    pub duration: u32,
    /// How much later it is shown.
    pub offset: i32,
    /// As its fragment has them.
    pub flags: u32,
    pub bytes: Bytes,
}

impl Sample {
    pub fn is_keyframe(&self) -> bool {
        self.flags & NO_KEYFRAME == 0
    }

    pub fn end(&self) -> u64 {
        self.time.saturating_add(self.duration.into())
    }
}

/// Reads one track's pipe.
#[derive(Debug, Default)]
pub struct Samples {
    buffer: BytesMut,
    /// `ftyp` and `moov`, the latter when it has come.
    init: Vec<u8>,
    is_init_whole: bool,
    /// What the `mdat` behind the last `moof` holds, and how far behind that box's beginning it is.
    tables: Option<Tables>,
    found: VecDeque<Sample>,
}

#[derive(Debug)]
struct Tables {
    moof_bytes: usize,
    samples: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    time: u64,
    duration: u32,
    offset: i32,
    flags: u32,
    /// Behind the beginning of the `moof`.
    at: usize,
    bytes: usize,
}

impl Samples {
    /// # Errors
    /// They are no fragments.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Damaged> {
        self.buffer.extend_from_slice(bytes);
        while let Some(head) = self.buffer.first_chunk::<8>() {
            let [a, b, c, d, kind @ ..] = *head;
            let size = u32::from_be_bytes([a, b, c, d]) as usize;
            let most = if kind == *b"mdat" { MOST_BOX } else { MOST_TABLES };
            // ffmpeg writes longer ones for more than 4 GB.
            if !(8..=most).contains(&size) {
                return Err(Damaged("a box has an impossible size"));
            }
            if self.buffer.len() < size {
                break;
            }
            let whole = self.buffer.split_to(size).freeze();
            self.take(kind, whole)?;
        }
        Ok(())
    }

    /// The init object, when it has come.
    pub fn init(&self) -> Option<&[u8]> {
        self.is_init_whole.then_some(&*self.init)
    }

    fn take(&mut self, kind: [u8; 4], whole: Bytes) -> Result<(), Damaged> {
        match &kind {
            b"ftyp" | b"moov" if !self.is_init_whole => {
                self.init.extend_from_slice(&whole);
                self.is_init_whole = &kind == b"moov";
            }
            b"moof" => self.tables = Some(Tables::read(&whole).ok_or(Damaged("a moof box has no track"))?),
            b"mdat" => {
                let tables = self.tables.take().ok_or(Damaged("an mdat box stands alone"))?;
                let found: Option<Vec<_>> = tables.cut(&whole).collect();
                self.found.extend(found.ok_or(Damaged("a frame is not in its mdat box"))?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// What has come so far: more may come behind `None`.
impl Iterator for Samples {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        self.found.pop_front()
    }
}

impl Tables {
    fn read(moof: &[u8]) -> Option<Self> {
        let fragment = fmp4::parts(moof, 8..moof.len())?;
        let track = fmp4::parts(moof, find(&fragment, b"traf")?.body.clone())?;
        let usual = Usual::read(moof.get(find(&track, b"tfhd")?.body.clone())?)?;
        let mut time = read_time(moof.get(find(&track, b"tfdt")?.body.clone())?)?;
        let mut samples = Vec::new();
        for run in track.iter().filter(|part| &part.kind == b"trun") {
            usual.read_run(moof.get(run.body.clone())?, &mut time, &mut samples)?;
        }
        Some(Self { moof_bytes: moof.len(), samples })
    }

    fn cut(&self, mdat: &Bytes) -> impl Iterator<Item = Option<Sample>> {
        self.samples.iter().map(|row| {
            let begin = row.at.checked_sub(self.moof_bytes).filter(|begin| *begin >= 8)?;
            let end = begin.checked_add(row.bytes).filter(|end| *end <= mdat.len())?;
            let Row { time, duration, offset, flags, .. } = *row;
            // Its own copy: a frame must not keep its neighbours' bytes.
            Some(Sample {
                time,
                duration,
                offset,
                flags,
                bytes: Bytes::copy_from_slice(mdat.get(begin..end)?),
            })
        })
    }
}

fn read_time(tfdt: &[u8]) -> Option<u64> {
    match tfdt.first()? {
        0 => number(tfdt, 4).map(u64::from),
        _ => Some(u64::from_be_bytes(tfdt.get(4..12)?.try_into().ok()?)),
    }
}

/// What a track's samples are where they don't say it themselves.
struct Usual {
    duration: u32,
    size: u32,
    flags: u32,
}

/// The fields that a box has, as its flags tell.
struct Fields<'a> {
    rest: &'a [u8],
    flags: u32,
}

impl<'a> Fields<'a> {
    fn of(body: &'a [u8]) -> Option<Self> {
        let flags = number(body, 0)? & 0xff_ffff;
        Some(Self { rest: body.get(4..)?, flags })
    }

    fn next(&mut self) -> Option<u32> {
        (self.rest.len() >= 4).then(|| self.rest.get_u32())
    }

    /// `Some(None)`: it has no such field.
    fn optional(&mut self, flag: u32) -> Option<Option<u32>> {
        if self.flags & flag == 0 { Some(None) } else { self.next().map(Some) }
    }
}

impl Usual {
    fn read(tfhd: &[u8]) -> Option<Self> {
        let mut fields = Fields::of(tfhd)?;
        fields.next()?; // the track
        if fields.flags & 1 != 0 {
            // Places would be counted from elsewhere; ffmpeg is told to count from the fragment.
            return None;
        }
        fields.optional(2)?;
        let [duration, size, flags] = [8, 0x10, 0x20].map(|flag| fields.optional(flag));
        let usual = |field: Option<Option<u32>>| field.map(Option::unwrap_or_default);
        Some(Self { duration: usual(duration)?, size: usual(size)?, flags: usual(flags)? })
    }

    fn read_run(&self, trun: &[u8], time: &mut u64, found: &mut Vec<Row>) -> Option<()> {
        let mut fields = Fields::of(trun)?;
        let samples = fields.next().filter(|samples| *samples <= MOST_SAMPLES)?;
        let mut at = fields.optional(1)?? as usize;
        let mut first = fields.optional(4)?;
        for _ in 0..samples {
            let duration = fields.optional(0x100)?.unwrap_or(self.duration);
            let bytes = fields.optional(0x200)?.unwrap_or(self.size) as usize;
            let flags = fields.optional(0x400)?.or(first.take()).unwrap_or(self.flags);
            let offset = fields.optional(0x800)?.unwrap_or_default().cast_signed();
            found.push(Row { time: *time, duration, offset, flags, at, bytes });
            *time = time.saturating_add(duration.into());
            at = at.checked_add(bytes)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{fragment, init};
    use super::*;

    fn sample(time: u64, bytes: &'static [u8]) -> Sample {
        Sample { time, duration: 3600, offset: 7, flags: 0x0101_0000, bytes: Bytes::from_static(bytes) }
    }

    fn stream() -> (Vec<u8>, Vec<Sample>) {
        let samples = vec![
            sample(900_000, b"one"),
            sample(903_600, b""),
            Sample { flags: 0, ..sample(907_200, b"three") },
        ];
        let fragments = samples.iter().flat_map(|sample| fragment(std::slice::from_ref(sample)));
        (init(90_000).into_iter().chain(fragments).collect(), samples)
    }

    fn all(samples: &mut Samples) -> Vec<Sample> {
        std::iter::from_fn(|| samples.next()).collect()
    }

    #[test]
    fn frames_come_out_however_the_pipe_cuts_them() {
        let (bytes, expected) = stream();
        for chunk in [1, 2, 7, 64, bytes.len()] {
            let mut samples = Samples::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(chunk) {
                samples.feed(piece).unwrap();
                found.extend(all(&mut samples));
            }
            assert_eq!(found, expected, "{chunk}");
            assert_eq!(samples.init(), Some(&*init(90_000)));
        }
        assert!(!expected[0].is_keyframe() && expected[2].is_keyframe());
    }

    #[test]
    fn several_frames_in_one_fragment_follow_each_other() {
        let two = [sample(10, b"a"), sample(3610, b"bc")];
        let mut samples = Samples::default();
        samples.feed(&[init(90_000), fragment(&two)].concat()).unwrap();
        assert_eq!(all(&mut samples), two);
    }

    #[test]
    fn what_is_no_fragment_is_told() {
        for bad in [&b"\0\0\0\x07moof"[..], b"\x7f\0\0\0mdat", b"\x01\0\0\0moov", b"\0\0\0\x08mdat"] {
            assert!(Samples::default().feed(bad).is_err(), "{bad:?}");
        }
        let mut cut = fragment(&[sample(0, b"whole")]);
        let size = cut.len() as u32;
        // The frame is said to be longer than its box.
        cut.truncate(cut.len() - 2);
        let mdat = cut.len() - b"who".len() - 8;
        let length = (cut.len() - mdat) as u32;
        cut[mdat..mdat + 4].copy_from_slice(&length.to_be_bytes());
        assert!(size > 0 && Samples::default().feed(&cut).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(
            edits in prop::collection::vec((0usize..400, any::<u8>()), 0..8), chunk in 1usize..90,
        ) {
            let mut torn = stream().0;
            for (at, byte) in edits {
                let at = at % torn.len();
                torn[at] = byte;
            }
            let mut samples = Samples::default();
            let _ = torn.chunks(chunk).try_for_each(|piece| samples.feed(piece));
        }
    }
}
