//! Fragments as ffmpeg writes them.

use super::Sample;

fn part(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Of one track, which counts so much in a second.
pub(crate) fn init(per_second: u32) -> Vec<u8> {
    let media = part(b"mdia", &part(b"mdhd", &words(&[0, 0, 0, per_second, 0, 0])));
    let track = part(b"trak", &[part(b"tkhd", &words(&[3, 0, 0, 1, 0, 0])), media].concat());
    let mut movie = vec![0, 0, 0, 1000, 0];
    movie.extend([0; 19]);
    movie.push(2);
    let extends = part(b"mvex", &part(b"trex", &words(&[0, 1, 1, 0, 0, 0])));
    [part(b"ftyp", b"iso5"), part(b"moov", &[part(b"mvhd", &words(&movie)), track, extends].concat())]
        .concat()
}

/// One fragment, with all of them in one run.
pub(crate) fn fragment(samples: &[Sample]) -> Vec<u8> {
    let time = samples.first().map_or(0, |first| first.time);
    let rows =
        samples.iter().flat_map(|s| [s.duration, s.bytes.len() as u32, s.flags, s.offset.cast_unsigned()]);
    let track = |data_at: u32| {
        let head = [0xf01, samples.len() as u32, data_at];
        let run = part(b"trun", &words(&head.into_iter().chain(rows.clone()).collect::<Vec<_>>()));
        let header = part(b"tfhd", &words(&[0x2_0000, 1]));
        let begin = part(b"tfdt", &[&words(&[1 << 24])[..], &time.to_be_bytes()].concat());
        part(b"traf", &[header, begin, run].concat())
    };
    let moof = |data_at| part(b"moof", &[part(b"mfhd", &words(&[0, 1])), track(data_at)].concat());
    let length = moof(0).len() as u32;
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.bytes.to_vec()).collect();
    [moof(length + 8), part(b"mdat", &bytes)].concat()
}
