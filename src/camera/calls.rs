//! One attempt at each of a publication's actions: what is asked of the store, and what its answer means.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio_util::sync::CancellationToken;

use super::snapshots::Desk;
use super::status::StatusSender;
use super::variants::Board;
use crate::clock;
use crate::domain::class::ObjectClass;
use crate::domain::gate::Failure;
use crate::domain::ids::Msn;
use crate::domain::key::{Layout, ObjectKey};
use crate::domain::measured::Measure;
use crate::domain::origin::forgotten;
use crate::domain::parts::StartPart;
use crate::domain::playlist::{MediaPlaylist, parse, render, scrape_sequences};
use crate::domain::publication::{Action, Input, Remote};
use crate::domain::segment::{Payload, Rendition, SegmentType};
use crate::domain::uploads::{Start, StartInit};
use crate::engine::spool::note::Note;
use crate::engine::spool::root::discard;
use crate::store::{ObjectStore, StoreError};

const LANDING_TIME: Duration = Duration::from_secs(1);
/// A listing has many pages, and begins anew with each attempt.
const LISTING_TIME: Duration = Duration::from_secs(60);

/// What a task came back with.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) operation: Operation,
    pub(super) input: Option<Input>,
    pub(super) error: Option<String>,
    /// The store refused access.
    pub(super) denied: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    ReadPlaylist,
    PutSegment,
    PutInit,
    PutPart,
    PutPlaylist,
    Delete,
    List,
    Ask,
    Discard,
    Remember,
}

impl Operation {
    /// Viewers wait for it.
    pub(super) fn is_of_the_stream(self) -> bool {
        matches!(
            self,
            Self::ReadPlaylist | Self::PutSegment | Self::PutInit | Self::PutPart | Self::PutPlaylist
        )
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ReadPlaylist => "read playlist",
            Self::PutSegment => "put segment",
            Self::PutInit => "put init object",
            Self::PutPart => "put part",
            Self::PutPlaylist => "put playlist",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Ask => "ask",
            Self::Discard => "discard",
            Self::Remember => "remember",
        }
    }
}

/// One attempt at each action.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) layout: Layout,
    pub(super) target_duration_s: u64,
    pub(super) attempt_time: Duration,
    pub(super) note: Note,
    pub(super) renditions: Rendition,
    /// Where stored segments are shown, if pictures are made of them.
    pub(super) desk: Option<Desk>,
    /// The same, if there is a multivariant playlist.
    pub(super) board: Option<Board>,
    /// The first rendition's are measured.
    pub(super) measure: Arc<Mutex<Measure>>,
    pub(super) status: StatusSender,
    /// The box itself serves it, and remembers nothing past a restart of the machine.
    pub(super) is_origin: bool,
    /// Another publisher takes the same segments.
    pub(super) halves: Option<(Arc<Halves>, Side)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    First,
    Second,
}

/// Segments that one of two publishers is done with, and which.
#[derive(Debug, Default)]
pub(super) struct Halves(Mutex<HashMap<PathBuf, Side>>);

impl Halves {
    /// Whether the other one was done with it before.
    fn is_last(&self, segment: PathBuf, side: Side) -> bool {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last = done.get(&segment).is_some_and(|other| *other != side);
        if is_last {
            done.remove(&segment);
        } else {
            done.insert(segment, side);
        }
        is_last
    }
}

impl Calls {
    pub(super) async fn carry_out(self, action: Action, dropped: CancellationToken) -> Outcome {
        match action {
            Action::ReadRemote => self.read_remote().await,
            Action::Put(start) => {
                let ticket = start.ticket;
                let answer = self.put_segment(start, dropped).await;
                let input = match &answer {
                    Ok(()) => Input::Stored(ticket),
                    Err(error) => Input::StoreFailed(ticket, failure(error)),
                };
                outcome(Operation::PutSegment, input, answer.err())
            }
            Action::PutInit(StartInit { ticket, key, header }) => {
                let store = &self.store;
                let put = |(key, number)| {
                    let bytes = header.rendition(number).bytes().clone();
                    async move { store.put(&key, bytes, ObjectClass::Fmp4).await }
                };
                let answer = self.within(all(key.renditions().zip(1..).map(put))).await;
                let failed = |error: &StoreError| Input::StoreFailed(ticket, failure(error));
                let input = answer.as_ref().err().map_or(Input::Stored(ticket), failed);
                outcome(Operation::PutInit, input, answer.err())
            }
            Action::PutPart(StartPart { ticket, key, bytes, limit }) => {
                let put = tokio::time::timeout(limit, self.store.put(&key, bytes, ObjectClass::Part));
                let answer = put.await.unwrap_or_else(|_| Err(late(limit)));
                let failed = |error: &StoreError| Input::PartFailed(ticket, failure(error));
                let input = answer.as_ref().err().map_or(Input::PartStored(ticket), failed);
                outcome(Operation::PutPart, input, answer.err())
            }
            Action::Ask => {
                let answer = self.within(self.store.get(&self.layout.playlist())).await;
                let answered = !matches!(answer, Err(StoreError::Unavailable { .. }));
                outcome(Operation::Ask, Input::Answered(answered), answer.err().filter(|_| !answered))
            }
            Action::PutPlaylist(playlist) => {
                let answer = self.put_playlist(&playlist).await;
                let failed = |error: &StoreError| Input::PlaylistFailed(playlist_failure(error));
                let input = answer.as_ref().err().map_or(Input::PlaylistStored, failed);
                outcome(Operation::PutPlaylist, input, answer.err())
            }
            Action::Delete(keys) => {
                let keys: Vec<_> = keys.iter().flat_map(ObjectKey::renditions).collect();
                let answer = self.within(self.store.delete(&keys)).await;
                let failed = |error: &StoreError| Input::DeleteFailed(failure(error));
                let input = answer.as_ref().err().map_or(Input::Deleted, failed);
                outcome(Operation::Delete, input, answer.err())
            }
            Action::List => match within(LISTING_TIME, self.store.list(self.layout.folder())).await {
                Ok(keys) => outcome(Operation::List, Input::Listed(keys), None),
                Err(error) => outcome(Operation::List, Input::ListFailed(failure(&error)), Some(error)),
            },
            Action::Show(start) => {
                let payload = start.payload.clone();
                // What can't be read is shown nowhere: nothing waits for it.
                let _ = self.put_segment(start, dropped).await;
                self.throw_away(payload).await
            }
            Action::Discard(payload) => self.throw_away(payload).await,
            // What it says was said in `start_tasks`, in order.
            Action::Remember(_) => off_thread(Operation::Remember, move || self.note.write()).await,
            // No call: see `start_tasks`.
            Action::Drop(_) | Action::Yield(_) => {
                Outcome { operation: Operation::PutSegment, input: None, error: None, denied: false }
            }
        }
    }

    fn is_last(&self, payload: &Payload) -> bool {
        let first = payload.paths().next();
        self.halves.as_ref().zip(first).is_none_or(|((halves, side), first)| halves.is_last(first, *side))
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        within(self.attempt_time, call).await
    }

    async fn throw_away(&self, payload: Payload) -> Outcome {
        if !self.is_last(&payload) {
            // The other publisher's to remove.
            return Outcome { operation: Operation::Discard, input: None, error: None, denied: false };
        }
        off_thread(Operation::Discard, move || payload.paths().for_each(|path| discard(&path))).await
    }

    /// How long it may take is the machine's to say.
    async fn put_segment(&self, start: Start, dropped: CancellationToken) -> Result<(), StoreError> {
        let begun = clock::now();
        let put = |(number, path)| self.put_one(&start, number, path);
        let put = try_join_all((1..).zip(start.payload.paths()).map(put));
        match dropped.run_until_cancelled(put).await {
            Some(stored) => self.show(&start, &stored?),
            None => return Err(late(clock::now().saturating_duration_since(begun))),
        }
        Ok(())
    }

    /// One rendition's object; returns what was stored.
    async fn put_one(&self, start: &Start, number: Rendition, path: PathBuf) -> Result<Bytes, StoreError> {
        let mut body = tokio::fs::read(&path).await.map_err(unreadable)?;
        let header = start.header.as_ref().map(|header| header.rendition(number));
        header.inspect(|header| header.retime(&mut body));
        let class = if header.is_some() { ObjectClass::Fmp4 } else { ObjectClass::Segment };
        let body = Bytes::from(body);
        // In parts alone: nobody asks for the whole.
        if start.key.form().kind != SegmentType::Parted {
            self.store.put(&start.key.rendition(number), body.clone(), class).await?;
        }
        Ok(body)
    }

    /// Once for each segment: what is tried again was not stored whole.
    fn show(&self, start: &Start, stored: &[Bytes]) {
        let Some(place) = self.layout.place_of(&start.key) else { return };
        for (number, body) in (1..).zip(stored) {
            let init = start.header.as_ref().map_or(&[][..], |header| header.rendition(number).bytes());
            if let Some(desk) = self.desk.as_ref().filter(|_| number == 1) {
                desk.show(place, init, body);
            }
            if number == 1 {
                let mut measure = self.measure.lock().unwrap_or_else(PoisonError::into_inner);
                let measured = measure.segment(place.0, init, body, start.duration);
                self.status.send_modify(|status| status.measured = Some(measured));
            }
            if let Some(board) = &self.board {
                board.show(place.0, number, init, body, start.duration);
            }
        }
    }

    pub(super) async fn put_snapshot(&self, picture: Bytes) -> Result<(), StoreError> {
        self.within(self.store.put(&self.layout.snapshot(), picture, ObjectClass::Snapshot)).await
    }

    pub(super) async fn put_sheet(&self, sheet: Bytes) -> Result<(), StoreError> {
        self.within(self.store.put(&self.layout.sheet(), sheet, ObjectClass::Sheet)).await
    }

    /// As it lies there, if there is one, and its target duration.
    pub(super) async fn look_at_playlist(&self) -> Result<(Option<Bytes>, Duration), StoreError> {
        match self.within(self.store.get(&self.layout.playlist())).await {
            Ok(bytes) => {
                let playlist = parse(&String::from_utf8_lossy(&bytes), &self.layout);
                let target_s = playlist.map_or(self.target_duration_s, |playlist| playlist.target_duration_s);
                Ok((Some(bytes), Duration::from_secs(target_s)))
            }
            Err(StoreError::NotFound) => Ok((None, Duration::ZERO)),
            Err(error) => Err(error),
        }
    }

    /// The first rendition's comes first: what is read back at the next start is behind none of the others.
    async fn put_playlist(&self, playlist: &MediaPlaylist) -> Result<(), StoreError> {
        let put = |number| {
            let (key, body) = (self.layout.playlist_of(number), render(&playlist.rendition(number)));
            async move { self.store.put(&key, body.into(), ObjectClass::Playlist).await }
        };
        self.within(put(1)).await?;
        self.within(all((2..=self.renditions).map(put))).await
    }

    pub(super) async fn put_multivariant(&self, playlist: Bytes) -> Result<(), StoreError> {
        let key = self.layout.multivariant();
        self.within(self.store.put(&key, playlist, ObjectClass::Playlist)).await
    }

    async fn read_remote(&self) -> Outcome {
        let operation = Operation::ReadPlaylist;
        match self.within(self.store.get(&self.layout.playlist())).await {
            Ok(bytes) => outcome(operation, Input::Remote(self.understand(&bytes)), None),
            Err(StoreError::NotFound) => outcome(operation, Input::Remote(self.absent()), None),
            Err(error) => outcome(operation, Input::RemoteFailed(failure(&error)), Some(error)),
        }
    }

    fn understand(&self, bytes: &[u8]) -> Remote {
        let text = String::from_utf8_lossy(bytes);
        match parse(&text, &self.layout) {
            Ok(playlist) => Remote::Found(playlist),
            Err(error) => {
                tracing::warn!(%error, "the remote playlist can't be read: a new one takes its place");
                let (scraped, discontinuity_sequence) = scrape_sequences(&text);
                let first = self.first();
                Remote::Damaged {
                    next: scraped.unwrap_or(Msn(0)).max(Msn(first.media_sequence)),
                    discontinuity_sequence: discontinuity_sequence.max(first.discontinuity_sequence),
                }
            }
        }
    }

    fn absent(&self) -> Remote {
        let MediaPlaylist { media_sequence, discontinuity_sequence, .. } = self.first();
        Remote::Absent { first: Msn(media_sequence), discontinuity_sequence }
    }

    /// Where numbers start if nothing says where they ended: the clock does not go back either.
    fn first(&self) -> MediaPlaylist {
        let forgotten = forgotten(self.target_duration_s, clock::wall());
        if self.is_origin {
            return forgotten;
        }
        let since = clock::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let media_sequence = since.as_secs() / self.target_duration_s.max(1);
        MediaPlaylist { media_sequence, discontinuity_sequence: 0, ..forgotten }
    }
}

/// All at once; the first failure ends the others.
async fn all(
    calls: impl Iterator<Item = impl Future<Output = Result<(), StoreError>>>,
) -> Result<(), StoreError> {
    try_join_all(calls).await.map(|_| ())
}

fn unreadable(error: std::io::Error) -> StoreError {
    let reason = format!("the spooled segment can't be read: {error}");
    match error.kind() {
        ErrorKind::NotFound => StoreError::Rejected { reason },
        // No descriptor, no memory: that passes.
        _ => StoreError::Unavailable { reason },
    }
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(late(limit)))
}

fn late(after: Duration) -> StoreError {
    StoreError::Unavailable { reason: format!("no answer in {} s", after.as_secs()) }
}

/// A spool on a slow card must not hold up the others.
async fn off_thread(operation: Operation, work: impl FnOnce() + Send + 'static) -> Outcome {
    let done = tokio::task::spawn_blocking(work).await;
    Outcome { operation, input: None, error: done.err().map(|error| error.to_string()), denied: false }
}

fn outcome(operation: Operation, input: Input, error: Option<StoreError>) -> Outcome {
    let denied = matches!(error, Some(StoreError::Denied { .. }));
    Outcome { operation, input: Some(input), error: error.map(|error| error.to_string()), denied }
}

/// A playlist PUT without an answer may still be under way behind us: the next one gives it time to land first.
fn playlist_failure(error: &StoreError) -> Failure {
    match failure(error) {
        Failure::Retry { after } => {
            Failure::Retry { after: Some(after.unwrap_or_default().max(LANDING_TIME)) }
        }
        other => other,
    }
}

/// What a store's answer means for the next try.
pub(super) fn failure(error: &StoreError) -> Failure {
    match error {
        StoreError::Unavailable { .. } => Failure::Retry { after: None },
        StoreError::Throttled { retry_after, .. } => Failure::Retry { after: *retry_after },
        StoreError::Denied { .. } | StoreError::NotFound => Failure::Rare,
        StoreError::Rejected { .. } => Failure::Never,
    }
}
