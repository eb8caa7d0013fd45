//! What the frames of a copied segment say of their picture, in the parameter sets before them: a camera that is set anew
//! need not end its session for it, and then nothing else tells.

use super::ts::{Elementary, PACKET_BYTES, Packet, Reader, nal_units};
use super::{Picture, h264, h265};
use crate::domain::fmp4::{Part, find, number, parts};

/// Parameter sets stand at a frame's beginning.
const MOST_OF_FRAME: usize = 4 << 10;
/// Far more than a segment has.
const MOST_SAMPLES: u32 = 100_000;
/// Of a sample's flags (ISO/IEC 14496-12, 8.8.3.1): no player can begin there.
const NO_KEYFRAME: u32 = 1 << 16;

/// The pictures of a segment, the first one first; of one that has several, two.
#[derive(Debug, Default)]
pub struct Pictures {
    tables: Reader,
    frame: Elementary,
    found: Vec<Picture>,
}

impl Pictures {
    /// Of a transport stream: the next packets, whole ones.
    pub fn read_packets(&mut self, packets: &[u8]) {
        for packet in packets.chunks_exact(PACKET_BYTES).filter_map(Packet::new) {
            match self.tables.picture_pid() {
                // What can't be read says nothing; the next packet may.
                None => drop(self.tables.read(&packet)),
                Some(pid) if pid == packet.pid => self.read_frame(&packet),
                Some(_) => {}
            }
        }
    }

    fn read_frame(&mut self, packet: &Packet) {
        if packet.begins {
            self.end_frame();
        }
        let _ = self.frame.read(packet.payload, packet.begins, MOST_OF_FRAME);
    }

    fn end_frame(&mut self) {
        let frame = std::mem::take(&mut self.frame);
        self.see(nal_units(&frame.bytes).find_map(picture));
    }

    /// Of fMP4: the beginning of one frame.
    pub fn read_sample(&mut self, sample: &[u8]) {
        self.see(nal_units_of_sample(sample).find_map(picture));
    }

    fn see(&mut self, picture: Option<Picture>) {
        self.found.extend(picture.filter(|picture| self.found.len() < 2 && !self.found.contains(picture)));
    }

    pub fn found(mut self) -> Vec<Picture> {
        self.end_frame();
        self.found
    }
}

/// No parameter set of the one looks like one of the other.
fn picture(nal: &[u8]) -> Option<Picture> {
    h264::picture(nal).or_else(|| h265::picture(nal))
}

/// Each has its length in front. One that was cut off is none.
fn nal_units_of_sample(sample: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = sample;
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (nal, after) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after;
        Some(nal)
    })
}

/// Where the keyframes of the first track begin, which is the picture's: counted from the beginning of the `moof` box
/// that these are the bytes of. `None`: it is none.
pub fn keyframes(moof: &[u8]) -> Option<Vec<u64>> {
    let fragment = parts(moof, find(&parts(moof, 0..moof.len())?, b"moof")?.body.clone())?;
    let track = parts(moof, find(&fragment, b"traf")?.body.clone())?;
    let usual = Usual::read(moof, find(&track, b"tfhd")?)?;
    let mut found = Vec::new();
    for run in track.iter().filter(|part| &part.kind == b"trun") {
        usual.read_run(moof, run, &mut found)?;
    }
    Some(found)
}

/// What a track's samples are where they don't say it themselves.
struct Usual {
    size: u32,
    flags: u32,
}

/// The fields that a box has, as its flags tell.
struct Fields<'a> {
    bytes: &'a [u8],
    flags: u32,
    at: usize,
}

impl Fields<'_> {
    fn next(&mut self) -> Option<u32> {
        let number = number(self.bytes, self.at)?;
        self.at += 4;
        Some(number)
    }

    /// `Some(None)`: it has no such field.
    fn optional(&mut self, flag: u32) -> Option<Option<u32>> {
        if self.flags & flag == 0 { Some(None) } else { self.next().map(Some) }
    }
}

fn fields<'a>(bytes: &'a [u8], part: &Part) -> Option<Fields<'a>> {
    let bytes = bytes.get(..part.body.end)?;
    Some(Fields { bytes, flags: number(bytes, part.body.start)? & 0xff_ffff, at: part.body.start + 4 })
}

impl Usual {
    fn read(bytes: &[u8], header: &Part) -> Option<Self> {
        let mut fields = fields(bytes, header)?;
        fields.next()?; // the track
        // The base of all places is 8 bytes long; ffmpeg gives the fragment's own.
        fields.at += if fields.flags & 1 == 0 { 0 } else { 8 };
        fields.optional(2)?;
        fields.optional(8)?;
        let (size, flags) = (fields.optional(0x10)?, fields.optional(0x20)?);
        Some(Self { size: size.unwrap_or_default(), flags: flags.unwrap_or_default() })
    }

    fn read_run(&self, bytes: &[u8], run: &Part, found: &mut Vec<u64>) -> Option<()> {
        let mut fields = fields(bytes, run)?;
        let samples = fields.next().filter(|samples| *samples <= MOST_SAMPLES)?;
        let mut at = u64::from(fields.optional(1)??);
        let mut first = fields.optional(4)?;
        for _ in 0..samples {
            fields.optional(0x100)?;
            let size = fields.optional(0x200)?.unwrap_or(self.size);
            let flags = fields.optional(0x400)?.or(first.take()).unwrap_or(self.flags);
            fields.optional(0x800)?;
            if flags & NO_KEYFRAME == 0 {
                found.push(at);
            }
            at += u64::from(size);
        }
        Some(())
    }
}
