//! What goes into a [`Publication`](super::Publication) and what comes out of it.

use std::time::Duration;

use crate::domain::gate::Failure;
use crate::domain::ids::{Msn, RunId};
use crate::domain::key::{Layout, ObjectKey};
use crate::domain::parts::{PartLimits, StartPart};
use crate::domain::playlist::MediaPlaylist;
use crate::domain::segment::{Form, Part, Payload, Segment};
use crate::domain::uplink::Shortage;
use crate::domain::uploads::{Start, StartInit, Ticket, UploadLimits};

/// What one stream's publisher is told once.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub layout: Layout,
    /// Segments that the playlist names.
    pub depth: usize,
    pub target_duration_s: u64,
    pub form: Form,
    /// A multivariant playlist lies beside the media playlists.
    pub multivariant: bool,
    pub uploads: UploadLimits,
    /// Between the starts of two playlist PUTs: some stores limit the writes to one key.
    pub min_playlist_interval: Duration,
    /// Of a stream that is also published in parts.
    pub parts: Option<PartLimits>,
    /// Bytes that the playlist's segments may take together; `None`: that is not this agent's to count.
    pub listed_bytes: Option<u64>,
}

impl Plan {
    /// Segments between two playlists, if they have to be that far apart.
    pub(super) fn per_interval(&self) -> usize {
        let segments = self.min_playlist_interval.div_duration_f64(self.uploads.segment_duration);
        segments.ceil() as usize
    }
}

/// What lies at the playlist's key when this agent takes over.
#[derive(Debug, Clone, PartialEq)]
pub enum Remote {
    /// Nothing: count from here.
    Absent {
        first: Msn,
        discontinuity_sequence: u64,
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
    /// Runs that this machine made before, and that nobody goes on with: a playlist of theirs may be taken over at once.
    OwnRuns(Vec<RunId>),
    /// What an earlier publication of this machine said in its last [`Action::Remember`].
    Recalled(String),
    Produced(Segment),
    Remote(Remote),
    RemoteFailed(Failure),
    Stored(Ticket),
    StoreFailed(Ticket, Failure),
    /// Whether the store answered [`Action::Ask`], be it with yes or no.
    Answered(bool),
    /// Of the segment that is being made.
    PartProduced(Part),
    PartStored(Ticket),
    PartFailed(Ticket, Failure),
    PlaylistStored,
    PlaylistFailed(Failure),
    Deleted,
    DeleteFailed(Failure),
    Listed(Vec<ObjectKey>),
    ListFailed(Failure),
    /// Nothing will be produced: what an earlier publication left is to be taken over, and ended as by [`Self::End`].
    Resume,
    /// Nobody wants the stream any more, and nothing more is produced: see [`super::Publication::is_drained`].
    End,
    /// The store has new credentials: what it refused may be tried again at once.
    StoreRenewed,
    /// Instead of the plan's `listed_bytes`, if it has any and they are more.
    Room(u64),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Read the playlist that viewers see now: answer with `Remote` or `RemoteFailed`.
    ReadRemote,
    Put(Start),
    /// Store an init object: answer as for a segment.
    PutInit(StartInit),
    /// Store a part: `PartStored` or `PartFailed`.
    PutPart(StartPart),
    /// Drop this upload: it fails.
    Drop(Ticket),
    /// The same, but nothing is wrong with it: others go first.
    Yield(Ticket),
    /// Ask the store anything small, to see whether it answers: `Answered`.
    Ask,
    PutPlaylist(MediaPlaylist),
    /// Keep this note for the next publication, instead of the last one; no answer. Nothing waits for it, and it may
    /// be lost.
    Remember(String),
    Delete(Vec<ObjectKey>),
    /// List the camera's folder.
    List,
    /// It is published without an upload: show it where stored segments are, and discard its payload; no answer.
    Show(Start),
    /// The payload is not needed any more; no answer.
    Discard(Payload),
}

/// What happened so far, for status and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub segments_published: u64,
    pub segments_given_up: u64,
    /// Not published because another agent publishes this camera.
    pub segments_stood_back: u64,
    pub bytes_published: u64,
    pub parts_published: u64,
    pub parts_given_up: u64,
    /// Published in parts alone, as the uplink had no room for the whole beside them.
    pub segments_left_out: u64,
    /// That is so now.
    pub is_short_for_both: bool,
    /// Parts do not get through in time, and segments go without them for now.
    pub is_without_parts: bool,
    /// Objects of earlier runs that nothing named and the sweep took.
    pub orphans_swept: u64,
    /// Objects that will stay until the next start because the store refuses to delete.
    pub objects_left: u64,
    pub backlog: usize,
    pub live_edge: Option<Msn>,
    /// The uplink is too slow for the stream.
    pub uplink: Option<Shortage>,
    /// Another agent publishes this camera, so this one publishes nothing until that one falls silent.
    pub standing_back: bool,
    /// The run of the other agent that was seen last.
    pub rival: Option<RunId>,
    /// How often another agent was found to publish beside this one.
    pub conflicts: u64,
}

impl Progress {
    /// The counters go on from those of an earlier publication of the same stream.
    #[must_use]
    pub fn after(self, earlier: &Self) -> Self {
        Self {
            segments_published: earlier.segments_published + self.segments_published,
            segments_given_up: earlier.segments_given_up + self.segments_given_up,
            bytes_published: earlier.bytes_published + self.bytes_published,
            parts_published: earlier.parts_published + self.parts_published,
            parts_given_up: earlier.parts_given_up + self.parts_given_up,
            segments_left_out: earlier.segments_left_out + self.segments_left_out,
            orphans_swept: earlier.orphans_swept + self.orphans_swept,
            live_edge: self.live_edge.or(earlier.live_edge),
            segments_stood_back: earlier.segments_stood_back + self.segments_stood_back,
            conflicts: earlier.conflicts + self.conflicts,
            ..self
        }
    }

    /// What it came to, when nothing is published any more.
    #[must_use]
    pub fn at_rest(&self) -> Self {
        Self { live_edge: None, ..Self::default().after(self) }
    }

    /// Nobody publishes what still waits: it is given up.
    #[must_use]
    pub fn cut_short(self) -> Self {
        let given_up = self.segments_given_up + self.backlog as u64;
        Self { segments_given_up: given_up, backlog: 0, ..self }
    }
}

/// A playlist that is under way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) generation: u64,
    /// Behind its last entry.
    pub(super) next: Msn,
    /// Its answer says something of the current window.
    pub(super) counts: bool,
}
