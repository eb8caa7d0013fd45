//! Does each discontinuity have a cause that a viewer can see, and each cause a discontinuity?

use std::fmt::Write as _;
use std::time::Duration;

use super::m3u8::Segment;

/// So much of a segment the next one may overlap it (`domain/timeline.rs`).
const GLIDE_SHARE: u32 = 20;
/// Program times are rounded to milliseconds.
const ROUNDING: Duration = Duration::from_millis(5);
/// What a segment must be longer by, at least, for its EXTINF to be cut down to the target duration.
const OVERLONG: Duration = Duration::from_millis(400);

/// The run, the index in it: `segment_{run}_{index}.ts`
pub fn place(uri: &str) -> (&str, u64) {
    let (head, index) = uri.rsplit_once('_').expect("a segment's name");
    let run = head.rsplit_once('_').expect("a segment's name").1;
    let (index, _) = index.split_once('.').expect("a segment's name");
    (run, index.parse().expect("a segment's index"))
}

/// How often a segment is of another run than the one before it.
pub fn changes(segments: &[Segment]) -> usize {
    segments.windows(2).filter(|pair| place(&pair[0].uri).0 != place(&pair[1].uri).0).count()
}

/// Discontinuities without a cause, and what should have one; `target` is the target duration.
pub fn faults(segments: &[Segment], target: Duration) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, pair) in segments.windows(2).enumerate() {
        let (before, now) = (&pair[0], &pair[1]);
        let ((run, index), (other, next)) = (place(&before.uri), place(&now.uri));
        let is_gap = run != other || next != index + 1;
        let is_cut_down = is_overlong(pair, target) || is_overlong(&segments[at + 1..], target);
        if is_gap && !now.discontinuity {
            faults.push(format!("no discontinuity before {}, which does not follow", now.uri));
        }
        if now.discontinuity && !(is_gap || is_cut_down || goes_back(before, now)) {
            faults.push(format!("a discontinuity without a cause before {}", now.uri));
        }
    }
    faults
}

/// The first one's EXTINF was cut down: the next one begins later than it says.
fn is_overlong(segments: &[Segment], target: Duration) -> bool {
    let [segment, next, ..] = segments else { return false };
    let lasts = segment.program_time.zip(next.program_time).and_then(|(a, b)| b.duration_since(a).ok());
    segment.duration == target && lasts.is_some_and(|lasts| lasts >= target + OVERLONG)
}

/// Time steps back by more than is allowed without a discontinuity.
pub fn goes_back(before: &Segment, now: &Segment) -> bool {
    let earliest = before.program_time.map(|start| start + before.duration - before.duration / GLIDE_SHARE);
    earliest.zip(now.program_time).is_some_and(|(earliest, start)| start + ROUNDING < earliest)
}

/// All that is needed to find a discontinuity's cause.
pub fn table(segments: &[Segment]) -> String {
    let mut table = String::new();
    for segment in segments {
        let (run, index) = place(&segment.uri);
        let seam = if segment.discontinuity { "seam" } else { "    " };
        let time =
            segment.program_time.map_or("-".into(), |at| humantime::format_rfc3339_millis(at).to_string());
        let _ =
            writeln!(table, "{:>12} {run} {index:>5} {seam} {:>10?} {time}", segment.msn, segment.duration);
    }
    table
}
