//! A playlist's text.

use std::fmt::Write as _;

use super::MediaPlaylist;
use crate::domain::window::Entry;

/// Floating-point EXTINF needs 3, EXT-X-MAP (later, fMP4) needs 6 (RFC 8216 section 7).
const VERSION: u8 = 6;

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
    for entry in &playlist.entries {
        render_entry(&mut text, entry);
    }
    if playlist.ended {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

fn render_entry(text: &mut String, entry: &Entry) {
    if entry.discontinuity {
        text.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if let Some(time) = entry.program_time {
        let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", humantime::format_rfc3339_millis(time));
    }
    let _ = writeln!(text, "#EXTINF:{:.6},\n{}", entry.duration.as_secs_f64(), entry.key.file_name());
}
