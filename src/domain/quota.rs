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

/// Each camera's part: all shares together are no more than the limit.
pub fn share(limit: u64, cameras: usize) -> u64 {
    limit / (cameras as u64).max(1)
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

/// What the box's own playlist may name, of its part: as much again is held for those who have the last one, and one is
/// on its way.
pub fn listed(origin: u64) -> u64 {
    origin / 5 * 2
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

    #[test]
    fn shares_never_exceed_the_limit_together() {
        for cameras in 0..50 {
            assert!(share(100_000_001, cameras) * cameras as u64 <= 100_000_001);
        }
        assert_eq!(share(90, 0), 90, "no camera: nothing is divided by zero");
    }

    #[test]
    fn the_parts_of_a_share_are_the_share() {
        for share in [0, 1, 7, 8_000_000] {
            for has_origin in [false, true] {
                let Parts { runs, origin } = Parts::of(share, has_origin);
                assert_eq!(runs + origin, share);
                assert_eq!(origin == 0, !has_origin || share == 0);
                assert!(2 * listed(origin) <= origin);
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
