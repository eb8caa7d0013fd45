//! What goes into a [`Publication`](super::Publication) and what comes out of it.

use crate::domain::gate::Failure;
use crate::domain::ids::Msn;
use crate::domain::key::{Layout, ObjectKey};
use crate::domain::playlist::MediaPlaylist;
use crate::domain::segment::{Payload, Segment};
use crate::domain::uploads::{Ticket, UploadLimits};

/// What one stream's publisher is told once.
#[derive(Debug, Clone)]
pub struct Plan {
    pub layout: Layout,
    /// Segments that the playlist names.
    pub depth: usize,
    pub target_duration_s: u64,
    pub uploads: UploadLimits,
}

/// What lies at the playlist's key when this agent takes over.
#[derive(Debug, Clone, PartialEq)]
pub enum Remote {
    /// Nothing: count from here.
    Absent {
        first: Msn,
    },
    /// Something that is no playlist of ours any more; count on from what it still told.
    Damaged {
        next: Msn,
        discontinuity_sequence: u64,
    },
    Found(MediaPlaylist),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Produced(Segment),
    Remote(Remote),
    RemoteFailed(Failure),
    Stored(Ticket),
    StoreFailed(Ticket, Failure),
    PlaylistStored,
    PlaylistFailed(Failure),
    Deleted,
    DeleteFailed(Failure),
    Listed(Vec<ObjectKey>),
    ListFailed(Failure),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Read the playlist that viewers see now: answer with `Remote` or `RemoteFailed`.
    ReadRemote,
    Put {
        ticket: Ticket,
        key: ObjectKey,
        payload: Payload,
    },
    PutPlaylist(MediaPlaylist),
    Delete(Vec<ObjectKey>),
    /// List the camera's folder.
    List,
    /// The payload is not needed any more; no answer.
    Discard(Payload),
}

/// What happened so far, for status and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub segments_published: u64,
    pub segments_given_up: u64,
    pub bytes_published: u64,
    /// Objects of earlier runs that nothing named and the sweep took.
    pub orphans_swept: u64,
    /// Objects that will stay until the next start because the store refuses to delete.
    pub objects_left: u64,
    pub backlog: usize,
    pub live_edge: Option<Msn>,
}
