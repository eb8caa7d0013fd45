//! Where the numbers of a stream begin that this box serves itself: its memory ends with the machine's, and what players
//! may still have from before must not come again.

use std::time::{Duration, SystemTime};

use super::playlist::MediaPlaylist;

/// Half of the shortest segments that can be configured: numbers given since an earlier start are never ahead of the
/// clock.
const PER_NUMBER: Duration = Duration::from_millis(100);
/// Breaks seldom come so often, on the long run. Not more, as the number has to be small: hls.js looks at each smaller one
/// whenever it reads a playlist, and came to a halt at a thousand million.
const PER_BREAK: Duration = Duration::from_secs(3600);
/// 2025-01-01: no agent is older.
const EPOCH: Duration = Duration::from_secs(1_735_689_600);

/// What stands for the playlist that is forgotten: one that has ended, with numbers that the clock had not reached
/// before. Where the clock itself went back (a box without a battery for it), or the camera had more breaks than hours,
/// players that stayed open may have to be reloaded; names are never given twice (see [`super::ids::RunId`]).
pub fn forgotten(target_duration_s: u64, wall: SystemTime) -> MediaPlaylist {
    let since = wall.duration_since(SystemTime::UNIX_EPOCH + EPOCH).unwrap_or_default();
    let count = |per: Duration| u64::try_from(since.as_millis() / per.as_millis()).unwrap_or_default();
    MediaPlaylist {
        target_duration_s,
        media_sequence: count(PER_NUMBER),
        discontinuity_sequence: count(PER_BREAK),
        entries: Vec::new(),
        ended: true,
        parts: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Msn;
    use crate::domain::key::Layout;
    use crate::domain::playlist::{parse, render};
    use crate::domain::window::Window;

    #[test]
    fn a_stream_of_the_shortest_segments_does_not_overtake_the_clock() {
        let boot = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let first = forgotten(1, boot);
        let day = Duration::from_secs(24 * 3600);
        let next = forgotten(1, boot + day);
        assert!(next.media_sequence >= first.media_sequence + 24 * 3600 * 5);
        assert_eq!(next.discontinuity_sequence, first.discontinuity_sequence + 24);
        let in_ten_years = forgotten(1, boot + 3650 * day);
        assert!(in_ten_years.discontinuity_sequence < 120_000, "{in_ten_years:?}");
        assert!(in_ten_years.media_sequence < 1 << 40);
    }

    #[test]
    fn it_can_be_read_back_and_gone_on_from() {
        let layout = Layout::of_origin(&"cam".parse().unwrap());
        let boot = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let first = forgotten(2, boot);
        assert_eq!(parse(&render(&first), &layout), Ok(first.clone()));
        let (window, gone) = Window::resume(crate::domain::test_time::start(), 5, 2, first.clone(), Msn(0));
        assert!(gone.is_empty() && !window.snapshot().ended);
        assert_eq!(window.snapshot().media_sequence, first.media_sequence);
        assert_eq!(forgotten(2, SystemTime::UNIX_EPOCH - Duration::from_secs(1)).media_sequence, 0);
    }
}
