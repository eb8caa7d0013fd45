//! How much of the spool's file system each camera may take.

use std::time::Duration;

use super::segment::Rendition;

/// What can be configured at least: a camera or two at a usual bitrate.
pub const LEAST: u64 = 8_000_000;
/// Of the default.
const MOST_BY_DEFAULT: u64 = 512 << 20;
const PART_BY_DEFAULT: u64 = 4;
/// Whole segments that a share must hold: one that is written, one under way, one that waits.
const SEGMENTS: u32 = 3;
/// Bits per pixel of a lively picture, and the audio track.
const BITS_PER_PIXEL: f64 = 0.15;
const AUDIO_BITS_PER_S: f64 = 128_000.0;

/// The limit if none is configured: a part of the spool's file system (a tmpfs is half of the memory).
pub fn default_limit(file_system: Option<u64>) -> u64 {
    file_system.map_or(MOST_BY_DEFAULT, |bytes| MOST_BY_DEFAULT.min(bytes / PART_BY_DEFAULT))
}

/// Streams on demand that are expected to run at once: more may, with less room each.
const AT_ONCE: usize = 64;

/// Among how many the limit is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Division {
    pub limit: u64,
    /// Cameras that always run.
    pub always: usize,
    pub on_demand: usize,
}

impl Division {
    /// What a camera may take that always runs, and one on demand at most: all shares together are no more than the limit.
    pub fn share(self) -> u64 {
        let at_once = self.always + self.on_demand.min(AT_ONCE);
        self.limit / (at_once as u64).max(1)
    }

    /// What those on demand have together.
    pub fn pool(self) -> u64 {
        self.limit - self.share() * self.always as u64
    }

    /// What one more stream on demand may take where others have `taken`, but at least `least`: the less is left, the
    /// less it gets. `None`: there is no room for it.
    pub fn on_demand(self, taken: u64, least: u64) -> Option<u64> {
        let (most, free) = (self.share(), self.pool().saturating_sub(taken));
        let share = (free / AT_ONCE as u64).clamp(least.min(most), most);
        let share = if self.on_demand <= AT_ONCE { most } else { share };
        (share <= free).then_some(share)
    }
}

/// A camera's share, divided: so neither of the two can take the other's room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// For what its runs write and nobody has taken yet.
    pub runs: u64,
    /// For what the box itself serves.
    pub origin: u64,
}

impl Parts {
    pub fn of(share: u64, has_origin: bool) -> Self {
        let runs = if has_origin { share / 2 } else { share };
        Self { runs, origin: share - runs }
    }
}

/// What the box's own playlist may name, of its part: as much again and a segment is held for those who have the last one,
/// one waits to be removed, and one is on its way. What is left bears that segments differ, and that a removal is late.
pub fn listed(origin: u64) -> u64 {
    origin / 4
}

/// What unsent segments may take of a share: the rest is for the one that is written (see [`largest_segment`]). Each of
/// those who take them has its own part.
pub fn backlog(share: u64, takers: u64) -> u64 {
    (share - largest_segment(share)) / takers.max(1)
}

/// No segment may be larger: with the backlog it makes up the share.
pub fn largest_segment(share: u64) -> u64 {
    share / u64::from(SEGMENTS)
}

/// No file may be larger: a segment has one for each rendition.
pub fn largest_file(share: u64, renditions: Rendition) -> u64 {
    largest_segment(share) / u64::from(renditions.max(1))
}

/// A share must be at least this large, or segments are lost as soon as the storage pauses.
/// Of one rendition: all of a camera's need their own.
pub fn least_share(width: u32, fps: u32, segment: Duration) -> u64 {
    let pixels_per_s = f64::from(width) * f64::from(width) * 9.0 / 16.0 * f64::from(fps);
    let bytes_per_s = (pixels_per_s * BITS_PER_PIXEL + AUDIO_BITS_PER_S) / 8.0;
    (bytes_per_s * segment.as_secs_f64() * f64::from(SEGMENTS)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn division(limit: u64, always: usize, on_demand: usize) -> Division {
        Division { limit, always, on_demand }
    }

    #[test]
    fn shares_never_exceed_the_limit_together() {
        for cameras in 0..50 {
            assert!(division(100_000_001, cameras, 0).share() * cameras as u64 <= 100_000_001);
        }
        assert_eq!(division(90, 0, 0).share(), 90, "no camera: nothing is divided by zero");
        assert_eq!(division(90, 1, 2).on_demand(30, 1), Some(30), "a few on demand have what others have");
        assert_eq!(division(90, 1, 2).on_demand(60, 1), None);
    }

    /// All that get room, one after the other.
    fn filled(division: Division, least: u64) -> Vec<u64> {
        let mut shares: Vec<u64> = Vec::new();
        while let Some(share) = division.on_demand(shares.iter().sum(), least) {
            shares.push(share);
        }
        shares
    }

    #[test]
    fn a_thousand_on_demand_do_not_take_the_room_of_those_that_run() {
        let (limit, least) = (512 << 20, 800_000);
        let thousand = division(limit, 4, 1000);
        let shares = filled(thousand, least);
        assert!(shares[..20].iter().all(|share| *share > 5_000_000), "{shares:?}");
        assert!(shares.len() > 200 && shares.iter().all(|share| *share >= least), "{}", shares.len());
        assert!(shares.iter().sum::<u64>() + 4 * thousand.share() <= limit);
        assert_eq!(filled(division(6_400, 0, 1000), 1_000).len(), 64, "a small limit is shared alike");
    }

    #[test]
    fn the_parts_of_a_share_are_the_share() {
        for share in [0, 1, 7, 8_000_000] {
            for has_origin in [false, true] {
                let Parts { runs, origin } = Parts::of(share, has_origin);
                assert_eq!(runs + origin, share);
                assert_eq!(origin == 0, !has_origin || share == 0);
                assert!(4 * listed(origin) <= origin);
            }
        }
    }

    #[test]
    fn the_default_is_a_quarter_of_the_file_system_but_no_more_than_enough() {
        assert_eq!(default_limit(Some(64 << 20)), 16 << 20);
        assert_eq!(default_limit(Some(8 << 30)), 512 << 20);
        assert_eq!(default_limit(None), 512 << 20);
    }

    #[test]
    fn a_usual_camera_fits_into_the_least_limit() {
        let usual = least_share(854, 15, Duration::from_secs(2));
        assert!((500_000..LEAST).contains(&usual), "{usual}");
        assert!(least_share(3840, 30, Duration::from_secs(6)) > LEAST);
        assert_eq!((backlog(9_000, 1), largest_segment(9_000)), (6_000, 3_000));
        assert_eq!(backlog(9_000, 2), 3_000);
        assert_eq!((largest_file(9_000, 1), largest_file(9_000, 3)), (3_000, 1_000));
    }
}
