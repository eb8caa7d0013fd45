//! A part as bytes: one `moof` box with all of its frames, and their `mdat`.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::Sample;

/// Counted from the fragment; see ISO/IEC 14496-12, 8.8.7.
const DEFAULT_BASE_IS_MOOF: u32 = 0x2_0000;
/// Of a run: where its bytes are, and each sample's duration, size, flags and offset.
const RUN_FLAGS: u32 = 0xf01;
/// Offsets of version 1 have a sign.
const SIGNED_OFFSETS: u32 = 1 << 24;

/// `sequence`: counts the parts. Each track has its number, and its samples in order.
pub(super) fn write(sequence: u32, tracks: &[(u32, &[Sample])]) -> Bytes {
    let tracks = || tracks.iter().filter(|(_, samples)| !samples.is_empty());
    let moof_bytes = 8 + 16 + tracks().map(|(_, samples)| track_bytes(samples)).sum::<usize>();
    let data_bytes: usize = tracks().flat_map(|(_, samples)| *samples).map(|sample| sample.bytes.len()).sum();
    let mut out = BytesMut::with_capacity(moof_bytes + 8 + data_bytes);
    begin(&mut out, moof_bytes, b"moof");
    begin(&mut out, 16, b"mfhd");
    out.put_u32(0);
    out.put_u32(sequence);
    let mut at = moof_bytes + 8;
    for (id, samples) in tracks() {
        write_track(&mut out, *id, samples, at);
        at += samples.iter().map(|sample| sample.bytes.len()).sum::<usize>();
    }
    begin(&mut out, 8 + data_bytes, b"mdat");
    tracks().flat_map(|(_, samples)| *samples).for_each(|sample| out.put_slice(&sample.bytes));
    out.freeze()
}

fn track_bytes(samples: &[Sample]) -> usize {
    8 + 16 + 20 + 20 + 16 * samples.len()
}

fn write_track(out: &mut BytesMut, id: u32, samples: &[Sample], data_at: usize) {
    begin(out, track_bytes(samples), b"traf");
    begin(out, 16, b"tfhd");
    out.put_u32(DEFAULT_BASE_IS_MOOF);
    out.put_u32(id);
    begin(out, 20, b"tfdt");
    out.put_u32(1 << 24);
    out.put_u64(samples.first().map_or(0, |first| first.time));
    begin(out, 20 + 16 * samples.len(), b"trun");
    out.put_u32(SIGNED_OFFSETS | RUN_FLAGS);
    out.put_u32(samples.len() as u32);
    out.put_u32(data_at as u32);
    let ends = samples.iter().skip(1).map(|next| Some(next.time)).chain([None]);
    for (sample, next) in samples.iter().zip(ends) {
        // A run has no holes: where frames were lost the one before lasts longer.
        let lasts =
            next.and_then(|next| next.checked_sub(sample.time)).and_then(|lasts| u32::try_from(lasts).ok());
        out.put_u32(lasts.unwrap_or(sample.duration));
        out.put_u32(sample.bytes.len() as u32);
        out.put_u32(sample.flags);
        out.put_i32(sample.offset);
    }
}

fn begin(out: &mut BytesMut, bytes: usize, kind: &[u8; 4]) {
    out.put_u32(bytes as u32);
    out.put_slice(kind);
}

#[cfg(test)]
mod tests {
    use super::super::Samples;
    use super::super::testing::init;
    use super::*;

    fn sample(time: u64, bytes: &'static [u8]) -> Sample {
        Sample { time, duration: 40, offset: -2, flags: 0x0200_0000, bytes: Bytes::from_static(bytes) }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let picture = [sample(100, b"one"), sample(140, b"two"), sample(180, b"three")];
        let bytes = write(7, &[(1, &picture), (2, &[])]);
        let mut samples = Samples::default();
        samples.feed(&[&init(1000)[..], &bytes].concat()).unwrap();
        let found: Vec<_> = std::iter::from_fn(|| samples.next()).collect();
        assert_eq!(found, picture);
    }

    #[test]
    fn a_hole_makes_the_frame_before_it_longer() {
        let bytes = write(7, &[(1, &[sample(100, b"one"), sample(220, b"four")])]);
        let mut samples = Samples::default();
        samples.feed(&[&init(1000)[..], &bytes].concat()).unwrap();
        assert_eq!(samples.next().map(|first| (first.time, first.duration)), Some((100, 120)));
        assert_eq!(samples.next().map(|second| (second.time, second.duration)), Some((220, 40)));
    }
}
