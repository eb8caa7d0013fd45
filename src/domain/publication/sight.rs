//! What one read of the remote playlist tells, beside another.

use std::time::Duration;

use super::types::Remote;
use crate::domain::ids::Msn;
use crate::domain::key::ObjectKey;
use crate::domain::playlist::MediaPlaylist;

/// What a read means for the publication.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// As before.
    Nothing,
    /// Publish from now on, and go on from this. A playlist that is as long as `named` may be what viewers see.
    TakeOver { remote: Remote, named: Duration },
    /// Somebody else published too, and has to stand back: go on from what viewers may have seen of it.
    Reclaim(MediaPlaylist),
    /// Publish nothing any more.
    StandBack,
}

/// What tells whether a playlist moved.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    Nothing,
    Damaged,
    Playlist(Msn, Option<ObjectKey>),
}

pub(super) fn last_msn(playlist: &MediaPlaylist) -> Option<Msn> {
    playlist.entries.last().map(|entry| entry.msn)
}

pub(super) fn next_msn(playlist: &MediaPlaylist) -> Msn {
    last_msn(playlist).map_or(Msn(playlist.media_sequence), Msn::next)
}

/// All discontinuities up to the last entry.
pub(super) fn breaks(playlist: &MediaPlaylist) -> u64 {
    let listed = playlist.entries.iter().filter(|entry| entry.discontinuity).count() as u64;
    playlist.discontinuity_sequence.saturating_add(listed)
}

pub(super) fn duration(remote: &Remote) -> Duration {
    match remote {
        Remote::Found(playlist) => playlist.duration(),
        Remote::Absent { .. } | Remote::Damaged { .. } => Duration::ZERO,
    }
}

pub(super) fn mark(remote: &Remote) -> Mark {
    match remote {
        Remote::Absent { .. } => Mark::Nothing,
        Remote::Damaged { .. } => Mark::Damaged,
        Remote::Found(playlist) => Mark::of(playlist),
    }
}

impl Mark {
    pub(super) fn of(playlist: &MediaPlaylist) -> Self {
        Self::Playlist(next_msn(playlist), playlist.entries.last().map(|entry| entry.key.clone()))
    }
}

/// What was read last, without going back behind what was read before.
pub(super) fn at_least(remote: Remote, furthest: MediaPlaylist) -> Remote {
    let (last, last_breaks) = (next_msn(&furthest), breaks(&furthest));
    match remote {
        Remote::Found(playlist) if next_msn(&playlist) >= last => Remote::Found(playlist),
        Remote::Found(_) => Remote::Found(furthest),
        Remote::Absent { first: next, discontinuity_sequence }
        | Remote::Damaged { next, discontinuity_sequence } => Remote::Damaged {
            next: next.max(last),
            discontinuity_sequence: discontinuity_sequence.max(last_breaks),
        },
    }
}

/// Nothing but the numbers is left of `remote` where a playlist that has ended was `seen`.
pub(super) fn without_ended(remote: Remote, seen: &MediaPlaylist) -> Remote {
    match remote {
        Remote::Found(playlist) if seen.ended && !seen.entries.is_empty() => {
            Remote::Damaged { next: next_msn(&playlist), discontinuity_sequence: breaks(&playlist) }
        }
        other => other,
    }
}
