//! The publisher's driver: carries out a [`Publication`]'s actions on a store. The only caller of the store
//! while a camera runs, and the only place where store calls are tried again.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::status::StatusSender;
use super::trouble::Trouble;
use crate::clock;
use crate::domain::class::ObjectClass;
use crate::domain::gate::Failure;
use crate::domain::ids::Msn;
use crate::domain::key::{Layout, ObjectKey};
use crate::domain::playlist::{MediaPlaylist, parse, render, scrape_sequences};
use crate::domain::publication::{Action, Input, Plan, Publication, Remote};
use crate::domain::segment::{Payload, Segment};
use crate::engine::spool::root::discard;
use crate::store::{ObjectStore, StoreError};

#[derive(Debug)]
pub struct Publisher {
    publication: Publication,
    calls: Calls,
    tasks: JoinSet<Outcome>,
    status: StatusSender,
    troubles: Troubles,
    given_up: Trouble,
}

const LANDING_TIME: Duration = Duration::from_secs(1);

/// What a task came back with.
#[derive(Debug)]
struct Outcome {
    operation: Operation,
    input: Option<Input>,
    error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    ReadPlaylist,
    PutSegment,
    PutPlaylist,
    Delete,
    List,
    Discard,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::ReadPlaylist => "read playlist",
            Self::PutSegment => "put segment",
            Self::PutPlaylist => "put playlist",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Discard => "discard",
        }
    }
}

type Troubles = [Trouble; 6];

impl Publisher {
    pub fn new(plan: Plan, store: Arc<dyn ObjectStore>, status: StatusSender, seed: u64) -> Self {
        // Long enough for a slow uplink, short enough to try again while the segment is worth it.
        let attempt_time = Duration::from_secs((4 * plan.target_duration_s).max(10));
        let calls = Calls {
            store,
            layout: plan.layout.clone(),
            target_duration_s: plan.target_duration_s,
            attempt_time,
        };
        Self {
            publication: Publication::new(plan, seed),
            calls,
            tasks: JoinSet::new(),
            status,
            troubles: Troubles::default(),
            given_up: Trouble::default(),
        }
    }

    /// Publishes what comes until the channel closes and all is stored and listed, or `abort` fires.
    pub async fn publish(mut self, mut segments: mpsc::Receiver<Segment>, abort: CancellationToken) {
        let mut open = true;
        loop {
            self.start_tasks();
            self.tell();
            if !open && self.publication.is_drained() {
                return;
            }
            tokio::select! {
                biased;
                () = abort.cancelled() => return,
                Some(joined) = self.tasks.join_next() => match joined {
                    Ok(outcome) => self.done(outcome),
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => return,
                },
                segment = segments.recv(), if open => match segment {
                    Some(segment) => self.publication.handle(clock::now(), Input::Produced(segment)),
                    None => open = false,
                },
                () = clock::sleep_until(self.publication.deadline()) => {}
            }
        }
    }

    fn start_tasks(&mut self) {
        let now = clock::now();
        while let Some(action) = self.publication.poll(now) {
            let calls = self.calls.clone();
            self.tasks.spawn(async move { calls.carry_out(action).await }.in_current_span());
        }
    }

    fn done(&mut self, outcome: Outcome) {
        let now = clock::now();
        let trouble = &mut self.troubles[outcome.operation as usize];
        let operation = outcome.operation.name();
        match &outcome.error {
            Some(error) => {
                if let Some(report) = trouble.failed(now) {
                    tracing::warn!(
                        operation,
                        error,
                        failures = report.failures,
                        "storage fails: trying again"
                    );
                }
            }
            None => {
                if let Some(report) = trouble.succeeded(now) {
                    let after = format!("{:.1} s", report.lasting.as_secs_f64());
                    tracing::info!(operation, failures = report.failures, after, "storage works again");
                }
            }
        }
        if let Some(input) = outcome.input {
            if input == Input::PlaylistStored {
                self.status.send_modify(|status| status.playlist_stored = Some(now));
            }
            self.publication.handle(now, input);
        }
    }

    fn tell(&mut self) {
        let progress = self.publication.progress();
        self.tell_of_losses(progress.segments_given_up, progress.backlog);
        self.status.send_if_modified(|status| {
            let changed = status.progress != progress;
            status.progress = progress;
            changed
        });
    }
}

impl Publisher {
    /// A slow uplink fails no call: this line is all that tells of it.
    fn tell_of_losses(&mut self, given_up: u64, backlog: usize) {
        let now = clock::now();
        let known = self.status.borrow().progress.segments_given_up;
        if given_up > known
            && let Some(report) = self.given_up.failed(now)
        {
            let since_s = report.lasting.as_secs();
            tracing::warn!(
                given_up,
                since_s,
                backlog,
                "segments were given up: the uplink or the storage is too slow"
            );
        }
        if backlog <= 1 && self.given_up.is_over(now) {
            tracing::info!(given_up, "no more segments are given up");
        }
    }
}

/// One attempt at each action.
#[derive(Debug, Clone)]
struct Calls {
    store: Arc<dyn ObjectStore>,
    layout: Layout,
    target_duration_s: u64,
    attempt_time: Duration,
}

impl Calls {
    async fn carry_out(self, action: Action) -> Outcome {
        match action {
            Action::ReadRemote => self.read_remote().await,
            Action::Put { ticket, key, payload } => {
                let answer = self.put_segment(&key, payload).await;
                let input = match &answer {
                    Ok(()) => Input::Stored(ticket),
                    Err(error) => Input::StoreFailed(ticket, failure(error)),
                };
                outcome(Operation::PutSegment, input, answer.err())
            }
            Action::PutPlaylist(playlist) => {
                let answer = self.put_playlist(&playlist).await;
                let failed = |error: &StoreError| Input::PlaylistFailed(playlist_failure(error));
                let input = answer.as_ref().err().map_or(Input::PlaylistStored, failed);
                outcome(Operation::PutPlaylist, input, answer.err())
            }
            Action::Delete(keys) => {
                let answer = self.within(self.store.delete(&keys)).await;
                let failed = |error: &StoreError| Input::DeleteFailed(failure(error));
                let input = answer.as_ref().err().map_or(Input::Deleted, failed);
                outcome(Operation::Delete, input, answer.err())
            }
            Action::List => match self.within(self.store.list(self.layout.folder())).await {
                Ok(keys) => outcome(Operation::List, Input::Listed(keys), None),
                Err(error) => outcome(Operation::List, Input::ListFailed(failure(&error)), Some(error)),
            },
            Action::Discard(Payload::File { path, .. }) => remove(path).await,
        }
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let late =
            || StoreError::Unavailable { reason: format!("no answer in {} s", self.attempt_time.as_secs()) };
        tokio::time::timeout(self.attempt_time, call).await.unwrap_or_else(|_| Err(late()))
    }

    async fn put_segment(&self, key: &ObjectKey, payload: Payload) -> Result<(), StoreError> {
        let Payload::File { path, .. } = payload;
        let unreadable = |error: std::io::Error| {
            let reason = format!("the spooled segment can't be read: {error}");
            match error.kind() {
                ErrorKind::NotFound => StoreError::Rejected { reason },
                // No descriptor, no memory: that passes.
                _ => StoreError::Unavailable { reason },
            }
        };
        self.within(async {
            let body = tokio::fs::read(&path).await.map_err(unreadable)?;
            self.store.put(key, Bytes::from(body), ObjectClass::Segment).await
        })
        .await
    }

    async fn put_playlist(&self, playlist: &MediaPlaylist) -> Result<(), StoreError> {
        let body = Bytes::from(render(playlist));
        self.within(self.store.put(&self.layout.playlist(), body, ObjectClass::Playlist)).await
    }

    async fn read_remote(&self) -> Outcome {
        let operation = Operation::ReadPlaylist;
        match self.within(self.store.get(&self.layout.playlist())).await {
            Ok(bytes) => outcome(operation, Input::Remote(self.understand(&bytes)), None),
            Err(StoreError::NotFound) => {
                outcome(operation, Input::Remote(Remote::Absent { first: self.first_msn() }), None)
            }
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
                let next = scraped.unwrap_or(Msn(0)).max(self.first_msn());
                Remote::Damaged { next, discontinuity_sequence }
            }
        }
    }

    /// Where numbers start if nothing says where they ended: the clock does not go back either.
    fn first_msn(&self) -> Msn {
        let since = clock::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Msn(since.as_secs() / self.target_duration_s.max(1))
    }
}

async fn remove(path: PathBuf) -> Outcome {
    // A spool on a slow card must not hold up the others.
    let removed = tokio::task::spawn_blocking(move || discard(&path)).await;
    Outcome {
        operation: Operation::Discard,
        input: None,
        error: removed.err().map(|error| error.to_string()),
    }
}

fn outcome(operation: Operation, input: Input, error: Option<StoreError>) -> Outcome {
    Outcome { operation, input: Some(input), error: error.map(|error| error.to_string()) }
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
fn failure(error: &StoreError) -> Failure {
    match error {
        StoreError::Unavailable { .. } => Failure::Retry { after: None },
        StoreError::Throttled { retry_after, .. } => Failure::Retry { after: *retry_after },
        StoreError::Denied { .. } | StoreError::NotFound => Failure::Rare,
        StoreError::Rejected { .. } => Failure::Never,
    }
}
