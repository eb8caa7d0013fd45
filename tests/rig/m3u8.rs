//! The strict playlist reader.

use std::time::Duration;

use crate::support::m3u8::Playlist;

const GOOD: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n\
    #EXT-X-DISCONTINUITY-SEQUENCE:3\n#EXT-X-INDEPENDENT-SEGMENTS\n\
    #EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.500Z\n#EXTINF:2.000,\na.ts\n#EXTINF:1.5,\nb.ts\n\
    #EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T01:00:00+00:00\n#EXTINF:2,\nc.ts\n";

#[test]
fn a_good_playlist_is_read_whole() {
    let playlist = Playlist::parse(GOOD).unwrap();
    assert_eq!((playlist.media_sequence, playlist.discontinuity_sequence), (7, 3));
    let rows: Vec<_> =
        playlist.segments.iter().map(|s| (s.msn, s.continuity, s.discontinuity, s.uri.as_str())).collect();
    assert_eq!(rows, [(7, 3, false, "a.ts"), (8, 3, false, "b.ts"), (9, 4, true, "c.ts")]);
    let time = |text| Some(humantime::parse_rfc3339(text).unwrap());
    assert_eq!(playlist.segments[1].program_time, time("2026-01-01T00:00:02.500Z"), "counted on");
    assert_eq!(playlist.segments[2].program_time, time("2026-01-01T01:00:00Z"));
    assert_eq!(playlist.duration(), Duration::from_millis(5500));
}

#[test]
fn every_cut_of_a_playlist_is_noticed_or_a_whole_one() {
    for cut in 0..GOOD.len() {
        if let Ok(playlist) = Playlist::parse(&GOOD[..cut]) {
            assert!(GOOD[..cut].ends_with(".ts\n") || playlist.segments.is_empty(), "{cut}");
        }
    }
}

#[test]
fn broken_rules_are_named() {
    for (from, to) in [
        ("#EXTM3U\n", ""),
        ("#EXT-X-VERSION:6\n", ""),
        ("VERSION:6", "VERSION:2"),
        ("VERSION:6", "VERSION:6\n#EXT-X-VERSION:6"),
        ("#EXT-X-TARGETDURATION:2\n", ""),
        ("TARGETDURATION:2", "TARGETDURATION:2.0"),
        ("SEQUENCE:7", "SEQUENCE:-7"),
        ("SEQUENCE:7", "SEQUENCE:+7"),
        ("#EXT-X-INDEPENDENT-SEGMENTS\n", ""),
        ("a.ts\n", "a.ts\n#EXT-X-MEDIA-SEQUENCE:9\n"),
        ("#EXTINF:1.5,\n", ""),
        ("#EXTINF:1.5,\n", "#EXTINF:1.5,\n#EXTINF:1.5,\n"),
        ("#EXTINF:1.5,", "#EXTINF:1.5"),
        ("#EXTINF:1.5,", "#EXTINF:0.0,"),
        ("#EXTINF:1.5,", "#EXTINF:-1.5,"),
        ("#EXTINF:1.5,", "#EXTINF:NaN,"),
        ("2026-01-01T00:00:00.500Z", "yesterday"),
        ("#EXT-X-DISCONTINUITY\n", "#EXT-X-DISCONTINUITY\n#EXT-X-DISCONTINUITY\n"),
        ("b.ts\n", "b.ts\n#EXT-X-ENDLIST\n"),
        ("b.ts\n", "b.ts\n#EXT-X-MAP:BYTERANGE=\"5\"\n"),
        ("b.ts\n", "b.ts\n#EXT-X-MAP:URI=init.mp4\n"),
        ("b.ts\n", "b.ts \n"),
        ("b.ts\n", "b.ts\n#EXT-X-BYTERANGE:5\n"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let bad = GOOD.replacen(from, to, 1);
        assert!(Playlist::parse(&bad).is_err(), "{from:?} -> {to:?} went unnoticed");
    }
}
