//! Every breach that the judge knows is committed once.

use std::time::Duration;

use crate::support::legal::{Answer, Judge};

const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";
const PLAYLIST_CACHE: &str = "no-cache, no-store, must-revalidate";

/// A stream as a viewer sees it, one poll every 100 ms.
struct Show {
    judge: Judge,
    now: Duration,
}

impl Show {
    fn new() -> Self {
        Self { judge: Judge::default(), now: Duration::ZERO }
    }

    fn answer(&self, status: u16, kind: &str, cache: &str, fingerprint: &str) -> Answer {
        Answer {
            sent: self.now,
            received: self.now + Duration::from_millis(1),
            status,
            content_type: kind.into(),
            cache_control: cache.into(),
            fingerprint: fingerprint.into(),
        }
    }

    fn shows(&mut self, text: &str) -> &mut Self {
        self.now += Duration::from_millis(100);
        let answer = self.answer(200, PLAYLIST_TYPE, PLAYLIST_CACHE, "");
        for uri in self.judge.playlist(&answer, text) {
            self.object(&uri, 200, &uri);
        }
        self
    }

    fn object(&mut self, uri: &str, status: u16, fingerprint: &str) -> &mut Self {
        let kind = if uri.ends_with(".ts") { "video/mp2t" } else { "video/mp4" };
        let answer = self.answer(status, kind, "public, max-age=31536000, immutable", fingerprint);
        self.judge.object(uri, &answer);
        self
    }

    fn after(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    #[track_caller]
    fn breach(&self, about: &str) {
        let breaches = &self.judge.breaches;
        assert!(
            breaches.iter().any(|breach| breach.contains(about)),
            "no breach about {about:?}: {breaches:?}"
        );
    }

    #[track_caller]
    fn legal(&self) {
        assert!(self.judge.breaches.is_empty(), "{:?}", self.judge.breaches);
    }
}

/// Segments of 2 s by their letters; `!` before one is a discontinuity.
fn playlist(media_sequence: u64, discontinuity_sequence: u64, segments: &str) -> String {
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{media_sequence}\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}\n#EXT-X-INDEPENDENT-SEGMENTS\n"
    );
    for letter in segments.chars() {
        match letter {
            '!' => text.push_str("#EXT-X-DISCONTINUITY\n"),
            letter => text.push_str(&format!("#EXTINF:2.000,\n{letter}.ts\n")),
        }
    }
    text
}

/// The same of fMP4; a number is an init object.
fn fmp4(media_sequence: u64, segments: &str) -> String {
    let names: String = segments
        .chars()
        .map(|letter| match letter {
            '!' => "#EXT-X-DISCONTINUITY\n".to_owned(),
            '0'..='9' => format!("#EXT-X-MAP:URI=\"{letter}.mp4\"\n"),
            letter => format!("#EXTINF:2.000,\n{letter}.m4s\n"),
        })
        .collect();
    playlist(media_sequence, 0, "") + &names
}

/// Shows the playlists one after the other.
fn show(playlists: &[(u64, u64, &str)]) -> Show {
    let mut show = Show::new();
    for (msn, dsn, segments) in playlists {
        show.shows(&playlist(*msn, *dsn, segments));
    }
    show
}

#[test]
fn a_rolling_window_with_discontinuities_is_legal() {
    show(&[
        (5, 1, "a"),
        (5, 1, "ab"),
        (5, 1, "ab!c"),
        (6, 1, "b!cd"),
        (6, 1, "b!cd"),
        (7, 1, "!cd!e"),
        (8, 2, "d!ef"),
        (9, 2, "!efg"),
        (10, 3, "fgh"),
    ])
    .legal();
}

#[test]
fn sequences_that_break_their_word_are_seen() {
    for (about, playlists) in [
        ("media sequence goes back", vec![(5, 0, "abc"), (4, 0, "abcd")]),
        ("live edge goes back", vec![(5, 0, "abcd"), (5, 0, "abc")]),
        ("media sequence jumps", vec![(5, 0, "abc"), (9, 0, "efg")]),
        ("discontinuity sequence goes back", vec![(5, 2, "abc"), (5, 1, "abc")]),
        ("MSN 6 was b.ts and is now x.ts", vec![(5, 0, "abc"), (5, 0, "axc")]),
        ("a.ts was MSN 5 and is now 8", vec![(5, 0, "abc"), (6, 0, "bca")]),
        // The discontinuity leaves with its segment and is not counted.
        ("discontinuity sequence changes", vec![(5, 0, "!abcd"), (6, 0, "bcde")]),
        // Counted too soon: its segment is still there, only the tag went.
        ("discontinuity sequence changes", vec![(5, 0, "a!bcd"), (6, 1, "!bcde")]),
        ("discontinuity sequence changes", vec![(5, 0, "abc"), (5, 0, "a!bc")]),
        ("although only", vec![(5, 0, "abcd"), (7, 0, "cd")]),
        ("empty", vec![(5, 0, "")]),
    ] {
        show(&playlists).breach(about);
    }
}

#[test]
fn what_a_playlist_says_of_itself_is_checked() {
    let good = playlist(5, 0, "abc");
    for (about, bad) in [
        ("ENDLIST", format!("{good}#EXT-X-ENDLIST\n")),
        ("torn", good.trim_end().to_owned()),
        ("target duration is 2", good.replacen("EXTINF:2.000", "EXTINF:2.500", 1)),
        ("malformed", good.replacen("#EXTM3U\n", "", 1)),
        ("lasted", good.replacen("EXTINF:2.000", "EXTINF:1.900", 1)),
        ("target duration changes", good.replacen("TARGETDURATION:2", "TARGETDURATION:3", 1)),
    ] {
        Show::new().shows(&good).shows(&bad).breach(about);
    }
    Show::new().shows(&good.replace("2.000", "2.499")).legal();
}

#[test]
fn program_time_goes_on_and_stays() {
    let at = |times: [&str; 3]| {
        let mut text = playlist(5, 0, "abc");
        for (letter, time) in ["a", "b", "c"].iter().zip(times) {
            let uri = format!("#EXTINF:2.000,\n{letter}.ts");
            text = text.replace(&uri, &format!("#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{time}Z\n{uri}"));
        }
        text
    };
    let good = at(["00.000", "02.000", "04.000"]);
    Show::new().shows(&good).shows(&good).legal();
    Show::new().shows(&at(["00.000", "01.900", "03.900"])).legal();
    Show::new().shows(&at(["00.000", "01.890", "03.900"])).breach("goes back at b.ts");
    Show::new().shows(&good).shows(&at(["00.000", "02.500", "04.000"])).breach("program time changes");
}

#[test]
fn an_object_that_is_listed_is_there() {
    let mut show = show(&[(5, 0, "abc")]);
    show.object("b.ts", 404, "").breach("b.ts is listed but missing (HTTP 404)");
}

#[test]
fn an_object_outlives_its_listing_by_itself_and_the_longest_playlist() {
    // 2 s of its own and 8 s of the longest playlist that named it.
    let retired = || show(&[(5, 0, "abc"), (5, 0, "abcd"), (6, 0, "bcde")]);
    retired().after(Duration::from_millis(9_500)).object("a.ts", 404, "").breach("too early");
    retired().after(Duration::from_millis(10_000)).object("a.ts", 404, "").legal();
}

#[test]
fn an_init_object_is_there_as_long_as_what_needs_it() {
    let shown = || {
        let mut show = Show::new();
        for text in [fmp4(5, "1abc"), fmp4(5, "1abc!2d"), fmp4(6, "1bc!2de"), fmp4(8, "!2def")] {
            show.shows(&text);
        }
        show
    };
    shown().legal();
    assert_eq!(shown().judge.held()["2.mp4"], Duration::MAX, "it is needed");
    shown().object("2.mp4", 404, "").breach("2.mp4 is listed but missing");
    // 2 s of its last segment and 10 s of the longest playlist, after the third one.
    shown().after(Duration::from_millis(9_000)).object("1.mp4", 404, "").breach("too early");
    shown().after(Duration::from_millis(12_000)).object("1.mp4", 404, "").legal();
    shown().object("1.mp4", 200, "other").breach("1.mp4 has other bytes");
    assert!(
        shown().after(Duration::from_secs(1)).judge.due(Duration::from_secs(2)).contains(&"1.mp4".into())
    );
    shown().shows(&fmp4(8, "!3def")).breach("needed");
    Show::new().shows(&fmp4(5, "abc")).breach("a.m4s has the init object None");
    Show::new().shows(&(fmp4(5, "1ab") + "#EXTINF:2.0,\nc.ts\n")).breach("c.ts has the init object");
}

#[test]
fn due_are_the_listed_and_the_held() {
    let mut show = show(&[(5, 0, "abcd"), (6, 0, "bcde")]);
    assert!(show.judge.due(show.now).is_empty(), "just seen");
    show.after(Duration::from_secs(1));
    assert_eq!(show.judge.due(show.now), ["a.ts", "b.ts", "c.ts", "d.ts", "e.ts"]);
    assert!(show.judge.due(show.now).is_empty(), "under way");
    for uri in ["a.ts", "b.ts"] {
        show.object(uri, 200, uri);
    }
    show.shows(&playlist(6, 0, "bcde")).after(Duration::from_secs(9));
    assert_eq!(show.judge.due(show.now), ["b.ts"], "a.ts is free");
}

#[test]
fn other_bytes_under_the_same_name_are_seen() {
    show(&[(5, 0, "abc")]).object("b.ts", 200, "other").breach("b.ts has other bytes");
}

#[test]
fn headers_are_checked() {
    let mut show = Show::new();
    let text = playlist(5, 0, "a");
    let answer = show.answer(200, "text/plain", PLAYLIST_CACHE, "");
    show.judge.playlist(&answer, &text);
    show.breach("the playlist has the content type \"text/plain\"");
    let answer = show.answer(200, "video/mp2t", "", "a");
    show.judge.object("a.ts", &answer);
    show.breach("a.ts has the cache control \"\"");
}

#[test]
fn the_longest_gap_counts_the_last_one_too() {
    let mut show = show(&[(5, 0, "abc")]);
    show.after(Duration::from_secs(3)).shows(&playlist(6, 0, "bcd"));
    assert_eq!(show.judge.longest_gap, Duration::from_millis(3100));
    show.judge.note_freshness(show.now + Duration::from_secs(6), false);
    assert!(show.judge.longest_gap >= Duration::from_secs(5));
}

/// A segment of 1 s in parts of 0.2 s, as they are listed.
fn in_parts(header: &str, parts: &[(&str, &str)], end: &str) -> String {
    let parts: String = parts
        .iter()
        .map(|(name, seconds)| {
            let independent = if *name == "a" { ",INDEPENDENT=YES" } else { "" };
            format!("#EXT-X-PART:DURATION={seconds},URI=\"{name}.m4s\"{independent}\n")
        })
        .collect();
    format!(
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:5\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n{header}#EXT-X-MAP:URI=\"1.mp4\"\n{parts}#EXTINF:0.600,\nA.m4s\n{end}"
    )
}

#[test]
fn parts_that_break_the_rules_are_seen() {
    const HEADER: &str = "#EXT-X-SERVER-CONTROL:PART-HOLD-BACK=2.4\n#EXT-X-PART-INF:PART-TARGET=0.2\n";
    const HINT: &str = "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"d.m4s\"\n";
    const GOOD: [(&str, &str); 3] = [("a", "0.2"), ("b", "0.2"), ("c", "0.2")];
    let mut show = Show::new();
    show.shows(&in_parts(HEADER, &GOOD, HINT)).legal();
    assert_eq!(show.judge.part_count(), 3);
    show.object("b.m4s", 404, "").breach("b.m4s is listed but missing");
    let near = "#EXT-X-SERVER-CONTROL:PART-HOLD-BACK=0.4\n#EXT-X-PART-INF:PART-TARGET=0.2\n";
    let blocks =
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=2.4\n#EXT-X-PART-INF:PART-TARGET=0.2\n";
    for (about, header, parts, end) in [
        ("parts without PART-INF", "", &GOOD[..], HINT),
        ("PART-HOLD-BACK is", near, &GOOD, HINT),
        ("it promises more than PART-HOLD-BACK", blocks, &GOOD, HINT),
        ("are not it", HEADER, &GOOD[..2], HINT),
        ("are not it", HEADER, &[("b", "0.2"), ("c", "0.2"), ("d", "0.2")], HINT),
        ("PART-TARGET is", HEADER, &[("a", "0.3"), ("b", "0.3")], HINT),
        ("PART-TARGET is", HEADER, &[("a", "0.1"), ("b", "0.2"), ("c", "0.2"), ("d", "0.1")], HINT),
        ("without a hint", HEADER, &GOOD, ""),
    ] {
        let mut show = Show::new();
        show.shows(&in_parts(header, parts, end)).breach(about);
    }
}
