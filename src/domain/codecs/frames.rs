//! How many pictures a segment has.

use super::ts::{PACKET_BYTES, Packet, Reader};
use crate::domain::fmp4::{find, number, parts};

/// Of a transport stream: ffmpeg begins a packet of the elementary stream with each picture. `None`: it has none that
/// one could tell.
pub fn of_transport_stream(segment: &[u8]) -> Option<u32> {
    let (mut tables, mut count) = (Reader::default(), 0);
    for packet in segment.chunks_exact(PACKET_BYTES).filter_map(Packet::new) {
        match tables.picture_pid() {
            // What can't be read says nothing; the next packet may.
            None => drop(tables.read(&packet)),
            Some(pid) => count += u32::from(pid == packet.pid && packet.begins),
        }
    }
    (count > 0).then_some(count)
}

/// Of fMP4: the tables of its first track say, which is the picture's.
pub fn of_fragments(segment: &[u8]) -> Option<u32> {
    let mut count = 0u32;
    for moof in parts(segment, 0..segment.len())?.iter().filter(|part| &part.kind == b"moof") {
        let track = parts(segment, find(&parts(segment, moof.body.clone())?, b"traf")?.body.clone())?;
        for run in track.iter().filter(|part| &part.kind == b"trun") {
            count = count.checked_add(number(segment, run.body.start + 4)?)?;
        }
    }
    (count > 0).then_some(count)
}
