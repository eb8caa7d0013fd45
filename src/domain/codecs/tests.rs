//! With what ffmpeg wrote (the fuzz targets begin with it too), and with parameter sets that no encoder here makes.

use proptest::prelude::*;

use super::bits::tests::Writer;
use super::*;

const STREAM_H264: &[u8] = include_bytes!("../../../fuzz/corpus-seeds/codecs/h264.ts");
const STREAM_H265: &[u8] = include_bytes!("../../../fuzz/corpus-seeds/codecs/h265.ts");
const INIT_H264: &[u8] = include_bytes!("../../../fuzz/corpus-seeds/codecs/h264.mp4");
const INIT_H265: &[u8] = include_bytes!("../../../fuzz/corpus-seeds/codecs/h265.mp4");

fn streams(codecs: &str, width: u32, height: u32) -> Option<Streams> {
    Some(Streams { codecs: codecs.into(), width, height })
}

/// The same file with other bytes in one place: the first of these.
fn with(file: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = file.windows(old.len()).position(|bytes| bytes == old).expect("it is there");
    [&file[..at], new, &file[at + old.len()..]].concat()
}

#[test]
fn both_types_of_segments_tell_the_same() {
    let h264 = streams("avc1.64000a,mp4a.40.2", 64, 36);
    assert_eq!(of_transport_stream(STREAM_H264), h264);
    assert_eq!(of_init(INIT_H264), h264);
    let h265 = streams("hvc1.1.6.L30.90,mp4a.40.2", 64, 36);
    assert_eq!(of_transport_stream(STREAM_H265), h265);
    assert_eq!(of_init(INIT_H265), h265);
}

#[test]
fn what_is_in_no_table_is_not_told_and_half_a_header_says_nothing() {
    let tables_and_picture = &STREAM_H264[..188 * 5];
    assert_eq!(
        of_transport_stream(tables_and_picture),
        streams("avc1.64000a,mp4a.40.2", 64, 36),
        "no sound yet"
    );
    // Another kind of sound, of which nothing is known here: its type stands before its packets' number.
    let other = with(STREAM_H264, &[0x0f, 0xe1, 0x01], &[0x06, 0xe1, 0x01]);
    assert_eq!(of_transport_stream(&other), streams("avc1.64000a", 64, 36));
    let no_picture = with(STREAM_H264, &[0x1b, 0xe1, 0x00], &[0x06, 0xe1, 0x00]);
    assert_eq!(of_transport_stream(&no_picture), None);
    assert_eq!(of_transport_stream(&STREAM_H264[..188 * 3]), None);
    for cut in 0..INIT_H264.len() {
        assert_eq!(of_init(&INIT_H264[..cut]), None, "{cut}");
    }
    assert_eq!(of_init(STREAM_H264), None);
    assert_eq!(of_transport_stream(INIT_H264), None);
}

#[test]
fn sample_entries_say_where_the_parameter_sets_are() {
    let h264 = with(INIT_H264, b"avc1\0\0", b"avc3\0\0");
    assert_eq!(of_init(&h264), streams("avc3.64000a,mp4a.40.2", 64, 36));
    let h265 = with(INIT_H265, b"hvc1\0\0", b"hev1\0\0");
    assert_eq!(of_init(&h265), streams("hev1.1.6.L30.90,mp4a.40.2", 64, 36));
    assert_eq!(of_init(&with(INIT_H264, b"mp4a", b"Opus")), None, "half the truth is none");
    assert_eq!(of_init(&with(INIT_H264, b"soun", b"meta")), streams("avc1.64000a", 64, 36));
}

#[test]
fn sound_is_told_by_its_object_type() {
    // ADTS: high 2 bits of the third byte, from 0 on. An init object: the decoder's own record, behind its length.
    let main = with(STREAM_H264, &[0xff, 0xf1, 0x60], &[0xff, 0xf1, 0x20]);
    assert_eq!(of_transport_stream(&main), streams("avc1.64000a,mp4a.40.1", 64, 36));
    let record = [5, 0x80, 0x80, 0x80, 2, 0x14, 0x08];
    for (first, codec) in [([0x2c, 0x08], "mp4a.40.5"), ([0xf8, 0xe8], "mp4a.40.39")] {
        let other = [&record[..5], &first].concat();
        assert_eq!(
            of_init(&with(INIT_H264, &record, &other)),
            streams(&format!("avc1.64000a,{codec}"), 64, 36)
        );
    }
    // MP3 has a number of its own.
    let mp3 = with(INIT_H264, &[0x40, 0x15, 0, 0, 0], &[0x6b, 0x15, 0, 0, 0]);
    assert_eq!(of_init(&mp3), streams("avc1.64000a,mp4a.6b", 64, 36));
}

#[test]
fn what_only_looks_like_a_frame_of_sound_is_none() {
    let expected = streams("avc1.64000a,mp4a.40.2", 64, 36);
    let (tables, rest) = STREAM_H264.split_at(188 * 3);
    let packet = |begin: &[u8]| [begin, &vec![0; 188 - begin.len()]].concat();
    // The end of a frame that began before, and a header that is filled with the same.
    let middle = packet(&[0x47, 0x01, 0x01, 0x10, 0xff, 0xf1, 0x20]);
    let filled = packet(&[
        0x47, 0x41, 0x01, 0x10, 0, 0, 1, 0xc0, 0, 0, 0x80, 0, 3, 0xff, 0xf1, 0x20, 0xff, 0xf1, 0x60,
    ]);
    // One that goes on in the next packet.
    let mut long =
        [&[0x47, 0x41, 0x01, 0x30, 165][..], &[0; 165], &[0, 0, 1, 0xc0, 0, 0, 0x80, 0, 12]].concat();
    long.resize(188, 0xff);
    let end = packet(&[0x47, 0x01, 0x01, 0x10, 0xff, 0xf1, 0x20, 0xff, 0xf1, 0x60]);
    for packets in [[middle, filled], [long, end]] {
        assert_eq!(of_transport_stream(&[tables, &packets.concat(), rest].concat()), expected);
    }
}

/// H.264, from the profile to the level; what follows is the test's.
fn h264_set(profile: u8, rest: impl FnOnce(&mut Writer)) -> Option<(u32, u32)> {
    let mut writer = Writer::default();
    writer.bits(u32::from(profile), 8).bits(0, 8).bits(30, 8).golomb(0);
    rest(&mut writer);
    let nal = [&[0x67][..], &writer.finish()].concat();
    h264::picture(&nal).map(|picture| (picture.width, picture.height))
}

#[test]
fn all_that_a_parameter_set_may_hold_is_passed_over() {
    let size = |writer: &mut Writer, fields: bool, crop: [u32; 4]| {
        writer.golomb(4).bits(0, 1).golomb(39).golomb(29).bits(u32::from(!fields), 1);
        if fields {
            writer.bits(1, 1);
        }
        writer.bits(0, 1).bits(1, 1).golombs(crop);
    };
    // The order of pictures in a cycle of three.
    let cycle = h264_set(77, |writer| {
        writer.golombs([4, 1]).bits(0, 1).golombs([7, 8, 3, 1, 2, 300]);
        size(writer, false, [1, 2, 3, 4]);
    });
    assert_eq!(cycle, Some((640 - 6, 480 - 14)));
    let fields = h264_set(77, |writer| {
        writer.golomb(0).golomb(2);
        size(writer, true, [0, 0, 0, 3]);
    });
    assert_eq!(fields, Some((640, 960 - 12)));
    // Three planes, each for itself; a scaling list that stops early, one that does not, and a longer one.
    let planes = h264_set(244, |writer| {
        writer.golomb(3).bits(1, 1).golomb(0).golomb(0).bits(0, 1).bits(1, 1);
        writer.bits(1, 1).golomb(16).bits(0, 5).bits(1, 1).golombs((0..64).map(|value| value % 4));
        writer.bits(0, 5).golomb(0).golomb(2);
        size(writer, false, [0, 1, 0, 1]);
    });
    assert_eq!(planes, Some((639, 479)));
    let eight_lists = h264_set(100, |writer| {
        writer.golombs([1, 0, 0]).bits(0, 1).bits(1, 1).bits(0, 8).golombs([0, 2]);
        size(writer, false, [0; 4]);
    });
    assert_eq!(eight_lists, Some((640, 480)));
    let too_large = h264_set(77, |writer| {
        writer.golomb(0).golomb(2).golomb(4).bits(0, 1).golomb(u32::MAX - 1).golomb(29).bits(0b110, 3);
    });
    assert_eq!(too_large, None);
    let all_cut_off = h264_set(77, |writer| {
        writer.golomb(0).golomb(2);
        size(writer, false, [400, 0, 0, 0]);
    });
    assert_eq!(all_cut_off, None);
}

#[test]
fn layers_of_h265_are_passed_over() {
    let mut writer = Writer::default();
    writer.bits(0, 4).bits(2, 3).bits(1, 1);
    for byte in [0x21u32, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 123] {
        writer.bits(byte, 8);
    }
    // The first has a profile and a level, the second a level.
    writer
        .bits(0b1101, 4)
        .bits(0, 12)
        .bits(0, 88 / 4)
        .bits(0, 88 / 4)
        .bits(0, 88 / 2)
        .bits(90, 8)
        .bits(120, 8);
    writer.golomb(0).golomb(1).golomb(1920).golomb(1088).bits(1, 1).golombs([0, 0, 0, 4]);
    let nal = [&[33 << 1, 1][..], &writer.finish()].concat();
    let picture = h265::picture(&nal).expect("a picture");
    assert_eq!((picture.width, picture.height), (1920, 1080));
    assert_eq!(picture.codec, "hvc1.1.6.H123.B0");
    let of_another_layer = [&[33 << 1, 1 << 3 | 1], &nal[2..]].concat();
    assert_eq!(h265::picture(&of_another_layer), None);
}

/// ISO/IEC 14496-15, annex E.
#[test]
fn names_of_h265_leave_out_what_is_zero() {
    for (general, name) in [
        ([1, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93], "hvc1.1.6.L93.B0"),
        ([0x64, 0x08, 0, 0, 0, 0xbd, 0x08, 0, 0, 0, 0, 120], "hvc1.A4.10.H120.BD.8"),
        ([2, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 1, 150], "hvc1.2.4.L150.0.0.0.0.0.1"),
        ([0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "hvc1.C0.0.L0"),
    ] {
        assert_eq!(h265::hevc("hvc1", general), name);
    }
}

#[test]
fn what_stands_around_the_first_frame_does_no_harm() {
    let expected = of_transport_stream(STREAM_H264);
    // A packet that begins in the middle, a broken one, and one with nothing but filling before each of the others.
    let filling = [&[0x47, 0x41, 0x00, 0x20, 183][..], &[0xff; 183]].concat();
    let broken = [&[0x47, 0xc1, 0x00, 0x10][..], &[0; 184]].concat();
    let rest = [&[0x47, 0x01, 0x00, 0x10][..], &[0; 184]].concat();
    let around = STREAM_H264.chunks(188).flat_map(|packet| [&rest[..], &filling, &broken, packet]);
    // Behind the tables only: there zeros between are part of the picture's stream, and no part of its header.
    let tables = STREAM_H264[..188 * 3].to_vec();
    let noisy: Vec<u8> = around.take(4 * 4).flatten().copied().collect();
    assert_eq!(of_transport_stream(&[tables, noisy].concat()), expected);
    // Beyond what is looked at.
    let late = [filling.repeat(20_000), STREAM_H264.to_vec()].concat();
    assert_eq!(of_transport_stream(&late), None);
    assert_eq!(of_init(&[INIT_H264, &filling.repeat(2_000)].concat()), None);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let told = [of_init(&bytes), of_transport_stream(&bytes), h264::picture(&bytes).and_then(|picture| Streams::new(picture, None))];
        let torn = [STREAM_H264, STREAM_H265, INIT_H264, INIT_H265].map(|file| {
            let mut torn = file[..file.len().min(1_880)].to_vec();
            edits.iter().for_each(|(at, byte)| torn[at.index(file.len().min(1_880))] = *byte);
            [of_init(&torn), of_transport_stream(&torn)]
        });
        let _ = h265::picture(&bytes);
        for streams in told.iter().chain(torn.iter().flatten()).flatten() {
            prop_assert!(streams.width > 0 && streams.height > 0);
            prop_assert!(streams.codecs.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == ','), "{streams:?}");
        }
    }
}
