//! Presets for segments, and how a player best plays them.

use std::time::Duration;

/// Segments for a purpose: little delay, or few requests and patience with the uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Realtime,
    Low,
    Balanced,
    Stable,
    /// In parts, for players that ask for them by name; for others as [`Self::Low`].
    SubSecond,
}

/// What hls.js is told; counts are of target durations, from the live edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Playing {
    /// Where playback aims at: one to play, the others in reserve.
    pub live_sync_duration_count: u32,
    /// Farther behind, it jumps.
    pub live_max_latency_duration_count: u32,
    /// Nearer than that, it catches up at this rate.
    pub max_live_sync_playback_rate: f64,
}

impl Profile {
    pub const ALL: [Self; 5] = [Self::Realtime, Self::Low, Self::Balanced, Self::Stable, Self::SubSecond];
    /// Of whole segments alone.
    pub const WHOLE: [Self; 4] = [Self::Realtime, Self::Low, Self::Balanced, Self::Stable];

    pub fn name(self) -> &'static str {
        match self {
            Self::Realtime => "realtime",
            Self::Low => "low",
            Self::Balanced => "balanced",
            Self::Stable => "stable",
            Self::SubSecond => "sub_second",
        }
    }

    /// How long segments are, and how many are kept.
    pub fn segments(self) -> (Duration, usize) {
        let (millis, keep) = match self {
            Self::Realtime => (500, 6),
            Self::Low | Self::SubSecond => (1_000, 6),
            Self::Balanced => (2_000, 5),
            Self::Stable => (6_000, 4),
        };
        (Duration::from_millis(millis), keep)
    }

    /// By ratio: a copied stream has the segments that its camera's keyframes make, and explicit numbers may be any.
    pub fn nearest(segment: Duration) -> Self {
        let distance = |profile: &Self| {
            let (usual, _) = profile.segments();
            let (longer, shorter) = (segment.max(usual), segment.min(usual));
            longer.as_nanos() * 1_000 / shorter.as_nanos().max(1)
        };
        Self::WHOLE.into_iter().min_by_key(distance).unwrap_or(Self::Balanced)
    }

    /// `listed`: target durations that a playlist holds. Playback must not aim at its end, where segments leave.
    pub fn playing(self, listed: u32) -> Playing {
        let (sync, most, rate) = match self {
            // A wish for little delay is worth a tempo that can be heard in music; the playlist is asked for once a
            // target duration, so less than two of them in reserve would stall.
            Self::Realtime => (2, 6, 1.1),
            Self::Low | Self::SubSecond => (2, 6, 1.06),
            // 4 % is not seen, and heard only in music.
            Self::Balanced => (2, 8, 1.04),
            // An uplink that falters: more in reserve, and no hurry.
            Self::Stable => (3, 6, 1.02),
        };
        let sync = sync.min(listed.saturating_sub(2)).max(2);
        Playing {
            live_sync_duration_count: sync,
            live_max_latency_duration_count: most,
            max_live_sync_playback_rate: rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_the_nearest_to_its_own_segments() {
        for profile in Profile::WHOLE {
            assert_eq!(Profile::nearest(profile.segments().0), profile);
        }
        let nearest = |millis| Profile::nearest(Duration::from_millis(millis)).name();
        assert_eq!([1, 400, 700, 720].map(nearest), ["realtime", "realtime", "realtime", "low"]);
        assert_eq!([1400, 1500, 3400, 3500].map(nearest), ["low", "balanced", "balanced", "stable"]);
        assert_eq!([60_000, 0].map(nearest), ["stable", "realtime"]);
    }

    #[test]
    fn playback_aims_well_inside_the_playlist_and_jumps_well_behind_that() {
        for profile in Profile::ALL {
            for listed in 3..100 {
                let playing = profile.playing(listed);
                let sync = playing.live_sync_duration_count;
                assert!((2..=3).contains(&sync) && sync < listed, "{profile:?} {listed}");
                // A stall makes it aim one farther back.
                assert!(playing.live_max_latency_duration_count > sync + 2);
                assert!((1.0..1.2).contains(&playing.max_live_sync_playback_rate));
            }
        }
        assert_eq!(Profile::Stable.playing(4).live_sync_duration_count, 2, "its own window is short");
        assert_eq!(Profile::Stable.playing(5).live_sync_duration_count, 3);
    }
}
