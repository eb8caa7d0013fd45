//! A playlist's text.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use super::{ListedPart, MediaPlaylist, PartList};
use crate::domain::key::ObjectKey;
use crate::domain::segment::SegmentType;
use crate::domain::window::Entry;

/// Floating-point EXTINF needs 3, EXT-X-MAP needs 6 (RFC 8216 section 7).
pub(super) const VERSION: u8 = 6;

/// The playlist as it is stored; segments are named relative to it.
pub fn render(playlist: &MediaPlaylist) -> String {
    let mut text = String::with_capacity(256 + 160 * playlist.entries.len());
    // Writing to a String can't fail.
    let _ = write!(
        text,
        "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{}\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:{}\n#EXT-X-INDEPENDENT-SEGMENTS\n",
        playlist.target_duration_s, playlist.media_sequence, playlist.discontinuity_sequence,
    );
    if let Some(PartList { target, hold_back, blocks, .. }) = &playlist.parts {
        // It is no less than so many parts (4.4.3.8).
        let hold_back = (hold_back.as_secs_f64() * 1000.0 - 1e-6).ceil() / 1000.0;
        let target = target.as_secs_f64();
        let blocks = if *blocks { "CAN-BLOCK-RELOAD=YES," } else { "" };
        let _ = write!(
            text,
            "#EXT-X-SERVER-CONTROL:{blocks}PART-HOLD-BACK={hold_back:.3}\n#EXT-X-PART-INF:PART-TARGET={target:.6}\n"
        );
    }
    let mut init = None;
    for entry in &playlist.entries {
        let needs = entry.key.init();
        // It is for all that follow, until the next one.
        let new = needs.as_ref().filter(|needs| init.as_ref() != Some(*needs));
        render_entry(&mut text, entry, new, playlist.parts_of(entry));
        init = needs;
    }
    render_parts(&mut text, playlist.parts.as_ref().map_or(&[], |parts| &parts.open));
    if let Some(hint) =
        playlist.parts.as_ref().and_then(|parts| parts.hint.as_ref()).filter(|_| !playlist.ended)
    {
        let _ = writeln!(text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}\"", hint.file_name());
    }
    if playlist.ended {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

/// A box without a clock wakes up in 1970, and a segment that ended then began before: no stamp is better than a
/// wrong one. RFC 3339 ends with the year 9999.
fn is_printable(time: SystemTime) -> bool {
    const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);
    time.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since < YEAR_10000)
}

fn render_entry(text: &mut String, entry: &Entry, init: Option<&ObjectKey>, parts: &[ListedPart]) {
    if entry.discontinuity {
        text.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if let Some(init) = init {
        let _ = writeln!(text, "#EXT-X-MAP:URI=\"{}\"", init.file_name());
    }
    if let Some(time) = entry.program_time.filter(|time| is_printable(*time)) {
        let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", humantime::format_rfc3339_millis(time));
    }
    render_parts(text, parts);
    if entry.key.form().kind == SegmentType::Parted {
        text.push_str("#EXT-X-GAP\n");
    }
    let _ = writeln!(text, "#EXTINF:{:.6},\n{}", entry.duration.as_secs_f64(), entry.key.file_name());
}

fn render_parts(text: &mut String, parts: &[ListedPart]) {
    for ListedPart { key, duration, independent } in parts {
        let independent = if *independent { ",INDEPENDENT=YES" } else { "" };
        let seconds = duration.as_secs_f64();
        let _ = writeln!(text, "#EXT-X-PART:DURATION={seconds:.6},URI=\"{}\"{independent}", key.file_name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Msn;

    #[test]
    fn a_time_that_can_not_be_written_is_left_out() {
        let at = |program_time| Entry {
            msn: Msn(1),
            key: ObjectKey::new("l/c/a.ts"),
            duration: Duration::from_secs(2),
            program_time,
            discontinuity: false,
        };
        let early = SystemTime::UNIX_EPOCH - Duration::from_secs(2);
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        for time in [None, Some(early), Some(late)] {
            let mut text = String::new();
            render_entry(&mut text, &at(time), None, &[]);
            assert_eq!(text, "#EXTINF:2.000000,\na.ts\n");
        }
    }
}
