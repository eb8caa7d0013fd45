//! A segment of a transport stream (ISO/IEC 13818-1): its tables, and what its first frames begin with.

use super::{Streams, h264, h265};

pub(super) const PACKET_BYTES: usize = 188;
/// How far is looked for sound: behind a large keyframe.
const MOST_PACKETS: usize = (2 << 20) / PACKET_BYTES;
/// The parameter sets stand before the first frame. Of sound, a header is enough.
const MOST_PICTURE: usize = 256 << 10;
const MOST_SOUND: usize = 4 << 10;
const AAC_LC: u8 = 2;

/// Of a transport stream segment. `None`: no picture, or one of which nothing is known here.
pub fn of_transport_stream(segment: &[u8]) -> Option<Streams> {
    let mut reader = Reader::default();
    for packet in segment.chunks_exact(PACKET_BYTES).take(MOST_PACKETS) {
        // One that can't be read says nothing; the next one may.
        let _ = Packet::new(packet).and_then(|packet| reader.read(&packet));
    }
    let Reader { picture: Some((coding, picture)), sound, .. } = reader else { return None };
    let picture = nal_units(&picture.bytes).find_map(|nal| match coding {
        Coding::H264 => h264::picture(nal),
        Coding::H265 => h265::picture(nal),
    })?;
    // Where all of it comes later, the table still says AAC: its LC is what the agent makes, and what cameras send.
    let sound = sound.map(|sound| format!("mp4a.40.{}", object_type(&sound.bytes).unwrap_or(AAC_LC)));
    Streams::new(picture, sound)
}

#[derive(Debug, Clone, Copy)]
enum Coding {
    H264,
    H265,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    pub(super) pid: u16,
    /// A table or a frame does.
    pub(super) begins: bool,
    pub(super) payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// `None`: it has nothing, or can't be read.
    pub(super) fn new(packet: &'a [u8]) -> Option<Self> {
        let &[0x47, high, low, control, ..] = packet else { return None };
        let (begins, pid) = (high & 0x40 != 0, u16::from_be_bytes([high & 0x1f, low]));
        // 1: payload, 2: an adaptation field, 3: both. One that the receiver knows to be broken is none.
        let start = match (high & 0x80, control >> 4 & 3) {
            (0, 1) => 4,
            (0, 3) => 5 + usize::from(*packet.get(4)?),
            _ => return None,
        };
        Some(Self { pid, begins, payload: packet.get(start..)? })
    }
}

/// The packets' tables and streams.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Where the table of the program's streams is.
    program: Option<u16>,
    picture: Option<(Coding, Elementary)>,
    sound: Option<Elementary>,
}

impl Reader {
    /// Where the picture is, as the tables say.
    pub(super) fn picture_pid(&self) -> Option<u16> {
        self.picture.as_ref().map(|(_, picture)| picture.pid)
    }

    pub(super) fn read(&mut self, packet: &Packet) -> Option<()> {
        let Packet { pid, begins, payload } = *packet;
        if pid == 0 && begins {
            self.program = self.program.or_else(|| program(section(payload, 0)?));
        } else if self.program == Some(pid) && begins && self.picture.is_none() {
            self.read_streams(section(payload, 2)?)?;
        } else if let Some((_, picture)) = self.picture.as_mut().filter(|(_, picture)| picture.pid == pid) {
            picture.read(payload, begins, MOST_PICTURE)?;
        } else if let Some(sound) = self.sound.as_mut().filter(|sound| sound.pid == pid) {
            sound.read(payload, begins, MOST_SOUND)?;
        }
        Some(())
    }

    /// The first picture and the first sound of those in the program's table.
    fn read_streams(&mut self, table: &[u8]) -> Option<()> {
        let mut rest = table.get(4 + length(table, 2)?..)?;
        while let Some((&[kind, high, low, ..], _)) = rest.split_first_chunk::<5>() {
            let pid = u16::from_be_bytes([high & 0x1f, low]);
            let elementary = Elementary { pid, ..Elementary::default() };
            match kind {
                0x1b if self.picture.is_none() => self.picture = Some((Coding::H264, elementary)),
                0x24 if self.picture.is_none() => self.picture = Some((Coding::H265, elementary)),
                0x0f if self.sound.is_none() => self.sound = Some(elementary),
                _ => {}
            }
            rest = rest.get(5 + length(rest, 3)?..)?;
        }
        Some(())
    }
}

/// A length of 12 bits.
fn length(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes([bytes.get(at)? & 0x0f, *bytes.get(at + 1)?])))
}

/// What is in a table that begins in this packet, as far as the packet has it, without the checksum.
fn section(payload: &[u8], kind: u8) -> Option<&[u8]> {
    let section = payload.get(1 + usize::from(*payload.first()?)..)?;
    (*section.first()? == kind).then_some(())?;
    let end = (3 + length(section, 1)?).checked_sub(4)?;
    section.get(8..end.min(section.len()))
}

/// Where the first program's table is; 0 is the network's.
fn program(table: &[u8]) -> Option<u16> {
    let entry = table.chunks_exact(4).find(|entry| entry[..2] != [0, 0])?;
    Some(u16::from_be_bytes([entry[2] & 0x1f, entry[3]]))
}

/// A stream's first bytes, without its packets' headers.
#[derive(Debug, Default)]
pub(super) struct Elementary {
    pid: u16,
    has_begun: bool,
    /// What the next packet still has of a header.
    header: usize,
    pub(super) bytes: Vec<u8>,
}

impl Elementary {
    pub(super) fn read(&mut self, payload: &[u8], begins: bool, most: usize) -> Option<()> {
        if begins {
            self.has_begun = payload.starts_with(&[0, 0, 1]);
            self.header = 9 + usize::from(*payload.get(8)?);
        }
        let (header, room) = (self.header.min(payload.len()), most.saturating_sub(self.bytes.len()));
        self.header -= header;
        let body = &payload[header..];
        if self.has_begun {
            self.bytes.extend_from_slice(&body[..body.len().min(room)]);
        }
        Some(())
    }
}

/// Each from behind its start code to the next one.
pub(super) fn nal_units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let start = |bytes: &[u8]| bytes.windows(3).position(|code| code == [0, 0, 1]);
    let mut rest = start(bytes).map(|at| &bytes[at + 3..]);
    std::iter::from_fn(move || {
        let all = rest?;
        let end = start(all);
        rest = end.map(|end| &all[end + 3..]);
        Some(&all[..end.unwrap_or(all.len())])
    })
}

/// Of AAC's first header (ADTS, ISO/IEC 13818-7, 6.2).
fn object_type(bytes: &[u8]) -> Option<u8> {
    let header = bytes.windows(3).find(|header| header[0] == 0xff && header[1] & 0xf6 == 0xf0)?;
    Some((header[2] >> 6) + 1)
}
