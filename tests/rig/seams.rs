//! The judge of discontinuities.

use std::time::{Duration, SystemTime};

use crate::support::m3u8::Segment;
use crate::support::seams;

const TARGET: Duration = Duration::from_secs(2);

/// Run and index, a `!` for a discontinuity, and when it starts in ms.
fn segments(rows: &[(&str, u64)]) -> Vec<Segment> {
    let segment = |(msn, (name, ms)): (u64, &(&str, u64))| Segment {
        msn,
        continuity: 0,
        discontinuity: name.starts_with('!'),
        duration: TARGET,
        uri: format!("segment_{}.ts", name.trim_start_matches('!')),
        map: None,
        program_time: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(*ms)),
        parts: Vec::new(),
        gap: false,
    };
    (0..).zip(rows).map(segment).collect()
}

fn faults(rows: &[(&str, u64)]) -> String {
    seams::faults(&segments(rows), TARGET).join("\n")
}

#[test]
fn each_seam_has_a_cause_that_is_seen() {
    let runs = [("a_0", 0), ("a_1", 2_000), ("!b_0", 9_000), ("b_1", 11_000)];
    assert_eq!((faults(&runs).as_str(), seams::changes(&segments(&runs))), ("", 1));
    for explained in [
        // A segment was given up.
        [("a_0", 0), ("!a_2", 4_000), ("a_3", 6_000)],
        // The first one, or the second, is longer than EXTINF says.
        [("a_0", 0), ("!a_1", 3_000), ("a_2", 5_000)],
        [("a_0", 0), ("!a_1", 2_000), ("!a_2", 5_000)],
        // The clock was set back.
        [("a_0", 90_000), ("!a_1", 2_000), ("a_2", 4_000)],
    ] {
        assert_eq!(faults(&explained), "", "{explained:?}");
    }
}

#[test]
fn a_seam_too_many_or_too_few_is_seen() {
    assert!(
        faults(&[("a_0", 0), ("!a_1", 1_900), ("a_2", 3_900)]).contains("without a cause before segment_a_1")
    );
    assert!(faults(&[("a_0", 0), ("a_2", 4_000)]).contains("no discontinuity before segment_a_2"));
    assert!(faults(&[("a_0", 0), ("b_0", 4_000)]).contains("no discontinuity before segment_b_0"));
    let table = seams::table(&segments(&[("a_0", 0), ("!b_17", 4_000)]));
    assert!(table.contains("b    17 seam         2s 1970-01-01T00:00:04.000Z"), "{table}");
}
