//! How long an owner may be silent, and how long others wait.

use std::time::Duration;

use crate::domain::playlist::MediaPlaylist;

#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// A playlist that does not move for this long has no owner. Longer than any owner's pause, and than a lease.
    pub(super) silence: Duration,
    /// This long after its last playlist an owner may store the next one without a look.
    pub(super) lease: Duration,
    /// Less than from one playlist to the next.
    pub(super) early: Duration,
}

impl Times {
    pub(super) fn new(target_duration_s: u64, min_playlist_interval: Duration) -> Self {
        let third = Duration::from_secs(target_duration_s.max(2)).max(min_playlist_interval);
        Self {
            silence: third * 3,
            lease: third * 2,
            early: Duration::from_secs(target_duration_s.max(1)) / 4,
        }
    }

    /// Of whoever made this playlist, by a plan of their own.
    pub(super) fn silence_of(&self, playlist: &MediaPlaylist) -> Duration {
        self.silence.max(Self::new(playlist.target_duration_s.min(60), Duration::ZERO).silence)
    }

    /// What a watch takes at most while the store answers.
    pub(super) fn longest_watch(&self) -> Duration {
        self.silence + self.silence / 2
    }
}
