//! The init object of fMP4: its sample entries (ISO/IEC 14496-12, 14496-14 and 14496-15).

use super::{Picture, Streams, h264, h265};
use crate::domain::fmp4::{Part, find, number, parts};

/// A hundred times what one has.
const MOST_BYTES: usize = 256 << 10;
/// What sample entries begin with, before their own boxes.
const VISUAL_BYTES: usize = 78;
const AUDIO_BYTES: usize = 28;
/// An `objectTypeIndication`, and an audio object type of it.
const AAC: u8 = 0x40;
const LC: u8 = 2;

/// What a track holds.
enum Sample {
    Picture(Picture),
    Sound(String),
}

/// Of fMP4: the init object tells. `None`: no picture, or streams of which nothing is known here.
pub fn of_init(init: &[u8]) -> Option<Streams> {
    (init.len() <= MOST_BYTES).then_some(())?;
    let movie = parts(init, find(&parts(init, 0..init.len())?, b"moov")?.body.clone())?;
    let (mut picture, mut sound) = (None, None);
    for track in movie.iter().filter(|part| &part.kind == b"trak") {
        match read_track(init, track)? {
            Some(Sample::Picture(read)) => picture = picture.or(Some(read)),
            Some(Sample::Sound(read)) => sound = sound.or(Some(read)),
            None => {}
        }
    }
    Streams::new(picture?, sound)
}

/// `Some(None)`: neither picture nor sound.
fn read_track(init: &[u8], track: &Part) -> Option<Option<Sample>> {
    let kind = handler(init, track)?;
    if kind != *b"vide" && kind != *b"soun" {
        return Some(None);
    }
    let (kind, entry) = entry(init, track)?;
    if kind == *b"vide" { read_picture(init, &entry) } else { read_sound(init, &entry) }.map(Some)
}

fn media(init: &[u8], track: &Part) -> Option<Vec<Part>> {
    parts(init, find(&parts(init, track.body.clone())?, b"mdia")?.body.clone())
}

/// What kind of track it is.
fn handler(init: &[u8], track: &Part) -> Option<[u8; 4]> {
    let handler = find(&media(init, track)?, b"hdlr")?.body.start + 8;
    init.get(handler..)?.first_chunk().copied()
}

/// The same with its first sample entry.
fn entry(init: &[u8], track: &Part) -> Option<([u8; 4], Part)> {
    let information = parts(init, find(&media(init, track)?, b"minf")?.body.clone())?;
    let table = parts(init, find(&information, b"stbl")?.body.clone())?;
    let description = &find(&table, b"stsd")?.body;
    let entries = parts(init, description.start.checked_add(8)?..description.end)?;
    Some((handler(init, track)?, entries.into_iter().next()?))
}

/// The boxes in a sample entry.
fn inner(init: &[u8], entry: &Part, fields: usize) -> Option<Vec<Part>> {
    parts(init, entry.body.start + fields..entry.body.end)
}

fn read_picture(init: &[u8], entry: &Part) -> Option<Sample> {
    let inner = inner(init, entry, VISUAL_BYTES)?;
    let record = |kind| init.get(find(&inner, kind)?.body.clone());
    let name = std::str::from_utf8(&entry.kind).ok()?;
    let codec = match &entry.kind {
        b"avc1" | b"avc3" => h264::avc(name, record(b"avcC")?.get(1..4)?.try_into().ok()?),
        b"hvc1" | b"hev1" => h265::hevc(name, record(b"hvcC")?.get(1..13)?.try_into().ok()?),
        _ => return None,
    };
    let size = number(init, entry.body.start + 24)?;
    Some(Sample::Picture(Picture { codec, width: size >> 16, height: size & 0xffff }))
}

fn read_sound(init: &[u8], entry: &Part) -> Option<Sample> {
    let decoder = sound_decoder(init, entry)?;
    let kind = *decoder.first()?;
    if kind != AAC {
        return Some(Sample::Sound(format!("mp4a.{kind:02x}")));
    }
    let [first, second] = sound_config(decoder)?;
    // ISO/IEC 14496-3, 1.6.2.1: 31 stands for one of those that are longer.
    let object = match first >> 3 {
        31 => 32 + ((first & 7) << 3 | second >> 5),
        object => object,
    };
    Some(Sample::Sound(format!("mp4a.40.{object}")))
}

/// The `DecoderConfigDescriptor`'s content (ISO/IEC 14496-1, 7.2.6.6).
fn sound_decoder<'a>(init: &'a [u8], entry: &Part) -> Option<&'a [u8]> {
    (&entry.kind == b"mp4a").then_some(())?;
    let inner = inner(init, entry, AUDIO_BYTES)?;
    let stream = descriptor(init.get(find(&inner, b"esds")?.body.clone())?.get(4..)?, 3)?;
    let flags = *stream.get(2)?;
    let url = if flags & 0x40 == 0 {
        0
    } else {
        1 + usize::from(*stream.get(if flags & 0x80 == 0 { 3 } else { 5 })?)
    };
    let fields = 3 + usize::from(flags >> 7) * 2 + url + usize::from(flags >> 5 & 1) * 2;
    descriptor(stream.get(fields..)?, 4)
}

/// The beginning of the `AudioSpecificConfig`.
fn sound_config(decoder: &[u8]) -> Option<[u8; 2]> {
    descriptor(decoder.get(13..)?, 5)?.first_chunk().copied()
}

/// How many channels the sound of this init object has, if it is AAC-LC; `None`: there is none, or it is something else.
pub fn lc_channels(init: &[u8]) -> Option<u8> {
    (init.len() <= MOST_BYTES).then_some(())?;
    let movie = parts(init, find(&parts(init, 0..init.len())?, b"moov")?.body.clone())?;
    let is_sound = |part: &&Part| &part.kind == b"trak" && handler(init, part) == Some(*b"soun");
    let (_, entry) = entry(init, movie.iter().find(is_sound)?)?;
    let decoder = sound_decoder(init, &entry)?;
    let [first, second] = sound_config(decoder).filter(|_| decoder.first() == Some(&AAC))?;
    let rate = (first & 7) << 1 | second >> 7;
    // 15: the rate itself follows, and the channels behind it.
    (first >> 3 == LC && rate != 15).then_some(second >> 3 & 15)
}

/// What is in the descriptor that `bytes` begin with, if it is of this kind (ISO/IEC 14496-1, 8.3.3).
fn descriptor(bytes: &[u8], kind: u8) -> Option<&[u8]> {
    let (first, mut rest) = bytes.split_first()?;
    (*first == kind).then_some(())?;
    let mut size = 0;
    for _ in 0..4 {
        let (byte, behind) = rest.split_first()?;
        (size, rest) = (size << 7 | usize::from(byte & 0x7f), behind);
        if byte & 0x80 == 0 {
            break;
        }
    }
    rest.get(..size)
}
