//! Where the numbers of a stream begin that this box serves itself: its memory ends with the machine's, and what players
//! may still have from before must not come again.

use std::time::{Duration, SystemTime};

use super::playlist::MediaPlaylist;

/// Half of the shortest segments that can be configured: numbers given since an earlier start are never ahead of the
/// clock.
const PER_NUMBER: Duration = Duration::from_millis(100);
/// Seldom do breaks come so often. Some players count them in 32 bits: that lasts until 2106.
const PER_BREAK: Duration = Duration::from_secs(2);

/// What stands for the playlist that is forgotten: one that has ended, with numbers that the clock had not reached
/// before. Where the clock itself went back (a box without a battery for it), players that stayed open have to be
/// reloaded; names are never given twice (see [`super::ids::RunId`]).
pub fn forgotten(target_duration_s: u64, wall: SystemTime) -> MediaPlaylist {
    let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let count = |per: Duration| u64::try_from(since.as_millis() / per.as_millis()).unwrap_or_default();
    MediaPlaylist {
        target_duration_s,
        media_sequence: count(PER_NUMBER),
        discontinuity_sequence: count(PER_BREAK),
        entries: Vec::new(),
        ended: true,
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
        // An hour, in which each segment has a break before it as long as they are 2 s or more.
        for (segment, breaks) in [(Duration::from_millis(200), 0), (Duration::from_secs(2), 1)] {
            let count = 3600_000 / segment.as_millis() as u64;
            let next = forgotten(1, boot + Duration::from_secs(3600));
            assert!(next.media_sequence >= first.media_sequence + count);
            assert!(next.discontinuity_sequence >= first.discontinuity_sequence + count * breaks);
        }
        assert!(first.discontinuity_sequence < 1 << 31 && first.media_sequence < 1 << 40);
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
