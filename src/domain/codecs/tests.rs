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
fn pictures_are_counted() {
    assert_eq!(frames::of_transport_stream(STREAM_H264), Some(5));
    assert_eq!(frames::of_transport_stream(STREAM_H265), Some(5));
    assert_eq!(frames::of_transport_stream(INIT_H264), None);
    assert_eq!((frames::of_fragments(INIT_H264), frames::of_fragments(STREAM_H264)), (None, None));
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
fn channels_are_told_of_sound_that_is_known() {
    let channels = lc_channels(INIT_H264);
    assert_eq!(channels, Some(1));
    assert_eq!(lc_channels(INIT_H265), channels);
    assert_eq!(lc_channels(&with(INIT_H264, b"soun", b"meta")), None);
    assert_eq!(lc_channels(&with(INIT_H264, b"mp4a", b"Opus")), None);
    for cut in 0..INIT_H264.len() {
        assert_eq!(lc_channels(&INIT_H264[..cut]), None, "{cut}");
    }
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

fn pictures(packets: &[u8]) -> Vec<Picture> {
    let mut pictures = Pictures::default();
    packets.chunks(188 * 3).for_each(|packets| pictures.read_packets(packets));
    pictures.found()
}

#[test]
fn a_segment_has_the_pictures_of_all_its_frames() {
    let h264 = Picture { codec: "avc1.64000a".into(), width: 64, height: 36 };
    let h265 = Picture { codec: "hvc1.1.6.L30.90".into(), width: 64, height: 36 };
    assert_eq!(pictures(STREAM_H264), std::slice::from_ref(&h264));
    assert_eq!(pictures(STREAM_H265), std::slice::from_ref(&h265));
    assert_eq!(pictures(&[STREAM_H264, STREAM_H264].concat()), std::slice::from_ref(&h264));
    // Another level, in all that follows.
    let mut other = STREAM_H264.to_vec();
    for at in 0..other.len() - 4 {
        if other[at..].starts_with(&[0x67, 0x64, 0x00, 0x0a]) {
            other[at + 3] = 0x0b;
        }
    }
    let level = Picture { codec: "avc1.64000b".into(), ..h264.clone() };
    assert_eq!(pictures(&[STREAM_H264, &other, STREAM_H265].concat()), [h264, level], "two are enough");
    assert_eq!(pictures(&STREAM_H264[..188 * 2]), []);
    assert_eq!(pictures(INIT_H264), []);
}

#[test]
fn a_sample_has_the_picture_of_its_parameter_set() {
    // 64x36 of x264's, behind supplemental information that says nothing.
    let frame = |sets: &[&[u8]]| -> Vec<u8> {
        sets.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes(), *nal].concat()).collect()
    };
    let start = STREAM_H264.windows(5).position(|bytes| bytes == [0, 0, 1, 0x67, 0x64]).expect("it is there");
    let set = &STREAM_H264[start + 3..start + 3 + 24];
    let found = |sample: &[u8]| {
        let mut pictures = Pictures::default();
        pictures.read_sample(sample);
        pictures.found()
    };
    let whole = frame(&[&[6, 1, 2], set, &[0x65, 0x88]]);
    assert_eq!(found(&whole), [Picture { codec: "avc1.64000a".into(), width: 64, height: 36 }]);
    assert_eq!(found(&whole[..whole.len() - 1]).len(), 1, "what is read ends anywhere");
    assert_eq!(found(&frame(&[&[6, 1, 2], &[0x65, 0x88]])), []);
    assert_eq!(found(&whole[..20]), []);
}

fn part(kind: &[u8; 4], numbers: &[u32]) -> Vec<u8> {
    let body: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, &body].concat()
}

fn of_parts(kind: &[u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, &body].concat()
}

const KEY: u32 = 0x0200_0000;
const OTHER: u32 = 0x0101_0000;

#[test]
fn a_fragment_tells_where_its_keyframes_are() {
    let sound = of_parts(b"traf", &[part(b"tfhd", &[0, 2]), part(b"trun", &[0x201, 1, 9000, 7])]);
    let fragment = |header: &[u32], runs: &[Vec<u8>]| {
        let picture = of_parts(b"traf", &[&[part(b"tfhd", header)][..], runs].concat());
        of_parts(b"moof", &[part(b"mfhd", &[0, 1]), picture, sound.clone()])
    };
    // The first one alone: as ffmpeg writes a segment of one GOP, with durations and times.
    let usual = [0x2_0039, 1, 0, 0, 512, 4000, OTHER];
    let run = [0xb05, 3, 800, KEY, 512, 5000, 0, 512, 100, 0, 512, 100, 0];
    assert_eq!(keyframes(&fragment(&usual, &[part(b"trun", &run)])), Some(vec![800]));
    // Each says it itself, in two runs.
    let runs = [[0x601, 2, 800, 50, KEY, 60, OTHER], [0x601, 2, 2000, 70, OTHER, 80, KEY]]
        .map(|run| part(b"trun", &run));
    assert_eq!(keyframes(&fragment(&[0x2_0020, 1, OTHER], &runs)), Some(vec![800, 2070]));
    // None says anything.
    assert_eq!(keyframes(&fragment(&[0x10, 1, 30], &[part(b"trun", &[1, 2, 800])])), Some(vec![800, 830]));
    assert_eq!(frames::of_fragments(&fragment(&[0x2_0020, 1, OTHER], &runs)), Some(4));
    let whole = fragment(&usual, &[part(b"trun", &run)]);
    assert_eq!(frames::of_fragments(&[&whole[..], &whole].concat()), Some(6), "sound is no picture");
    (0..whole.len()).for_each(|cut| assert_eq!(keyframes(&whole[..cut]), None, "{cut}"));
    assert_eq!(keyframes(&fragment(&usual, &[part(b"trun", &[0x200, u32::MAX, 1])])), None);
    assert_eq!(keyframes(&fragment(&usual, &[part(b"trun", &[0x201, 5, 800, 1])])), None);
}

proptest! {
    #[test]
    fn no_fragment_and_no_packets_make_it_panic(
        edits in prop::collection::vec((0usize..2_000, any::<u8>()), 0..8),
    ) {
        let picture = of_parts(b"traf", &[part(b"tfhd", &[0x39, 1, 0, 0, 512, 40, 0]), part(b"trun", &[0x601, 1, 8, 5, KEY])]);
        let mut torn = (of_parts(b"moof", &[picture]), STREAM_H264.to_vec());
        for (at, byte) in edits {
            for part in [&mut torn.0, &mut torn.1] {
                let at = at % part.len();
                part[at] = byte;
            }
        }
        let _ = keyframes(&torn.0);
        let _ = (frames::of_fragments(&torn.0), frames::of_transport_stream(&torn.1));
        let mut pictures = Pictures::default();
        pictures.read_packets(&torn.1);
        pictures.read_sample(&torn.1);
        prop_assert!(pictures.found().len() <= 2);
    }
}
