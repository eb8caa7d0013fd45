//! Still pictures of a camera, beside its stream: of segments that are stored, so nobody else publishes it and the store
//! works. The publisher only shows its segments; nothing here holds one up, and a failure is nobody else's.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};

use super::calls::{Calls, failure};
use super::publisher::{Publisher, renewed};
use super::status::StatusSender;
use super::trouble::Trouble;
use crate::clock;
use crate::domain::dice::Dice;
use crate::domain::gate::Failure;
use crate::domain::ids::RunId;
use crate::domain::snapshot::Snapshots;
use crate::engine::{STILL_NEEDS, StillError, Stills};
use crate::store::StoreError;

/// Who makes a camera's still pictures, and how often.
#[derive(Debug)]
pub struct Studio {
    pub interval: Duration,
    pub stills: Arc<dyn Stills>,
}

/// Makes and stores pictures for as long as it is polled; without a `studio` it only waits. `also`: another place for them.
pub(super) fn take_snapshots(
    studio: Option<Studio>,
    publisher: &mut Publisher,
    also: Option<Calls>,
    status: StatusSender,
    seed: u64,
) -> impl Future<Output = Infallible> + Send + use<> {
    let photographer = studio.map(|Studio { interval, stills }| {
        let desk = Desk::new(Snapshots::new(interval, Dice::new(seed)));
        publisher.shows(desk.clone());
        let calls = publisher.calls();
        let renewals = calls.store.renewals();
        Photographer { desk, stills, calls, also, renewals, status, trouble: Trouble::default() }
    });
    async move {
        match photographer {
            Some(photographer) => photographer.work().await,
            None => std::future::pending().await,
        }
    }
}

/// Where a segment lies whose picture is wanted: one at most, in memory, as its file is removed meanwhile.
#[derive(Debug, Clone)]
pub(super) struct Desk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug)]
struct State {
    pacing: Snapshots,
    /// Its beginning.
    segment: Option<Bytes>,
}

impl Desk {
    fn new(pacing: Snapshots) -> Self {
        let state = Mutex::new(State { pacing, segment: None });
        Self(Arc::new(Shared { state, news: Notify::new() }))
    }

    /// This segment of this run is stored; `init` is what it needs before it.
    pub(super) fn show(&self, (run, index): (RunId, u64), init: &[u8], segment: &[u8]) {
        let mut state = self.state();
        if state.pacing.wants(clock::now(), run, index) {
            // A copy: the whole would stay in memory for its sake.
            state.segment = Some([init, &segment[..segment.len().min(STILL_NEEDS)]].concat().into());
            self.0.news.notify_one();
        }
    }

    async fn news(&self) {
        self.0.news.notified().await;
    }

    /// `not_now`: what lies there is let go, and the next one is as welcome.
    fn take(&self, not_now: bool) -> Option<Bytes> {
        let mut state = self.state();
        let segment = state.segment.take().filter(|_| !not_now)?;
        state.pacing.taken(clock::now());
        Some(segment)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, thiserror::Error)]
enum Mishap {
    #[error(transparent)]
    Still(#[from] StillError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Mishap {
    fn failure(&self) -> Failure {
        match self {
            Self::Still(_) => Failure::Retry { after: None },
            Self::Store(error) => failure(error),
        }
    }

    /// What a person can do about it.
    fn mend(&self) -> Option<&'static str> {
        match self {
            Self::Store(StoreError::Denied { .. } | StoreError::Rejected { .. }) => {
                Some("let the storage take image/jpeg, or leave out snapshot_interval")
            }
            Self::Still(_) | Self::Store(_) => None,
        }
    }
}

struct Photographer {
    desk: Desk,
    stills: Arc<dyn Stills>,
    calls: Calls,
    also: Option<Calls>,
    renewals: Option<watch::Receiver<u64>>,
    status: StatusSender,
    trouble: Trouble,
}

impl Photographer {
    async fn work(mut self) -> Infallible {
        loop {
            tokio::select! {
                () = self.desk.news() => {
                    // A newer segment may take the place of the one there until it is this camera's turn.
                    let turn = self.stills.turn().await;
                    // An uplink that is too slow for the stream has nothing to spare.
                    let is_short = self.status.borrow().progress.uplink.is_some();
                    if let Some(segment) = self.desk.take(is_short) {
                        let picture = self.stills.still(turn, segment).await;
                        let stored = self.store(picture).await;
                        self.done(stored);
                    }
                }
                () = renewed(&mut self.renewals) => self.desk.state().pacing.renewed(clock::now()),
            }
        }
    }

    /// `false`: another agent has taken over the camera meanwhile.
    async fn store(&self, picture: Result<Bytes, StillError>) -> Result<bool, Mishap> {
        let picture = picture?;
        if let Some(also) = &self.also
            && let Err(error) = also.put_snapshot(picture.clone()).await
        {
            tracing::debug!(%error, "this box can't serve the snapshot");
        }
        if self.status.borrow().progress.standing_back {
            return Ok(false);
        }
        tracing::debug!(bytes = picture.len(), "storing a snapshot");
        self.calls.put_snapshot(picture).await?;
        Ok(true)
    }

    fn done(&mut self, stored: Result<bool, Mishap>) {
        let now = clock::now();
        match stored {
            Ok(stored) => {
                self.desk.state().pacing.done();
                if stored {
                    self.status.send_modify(|status| status.snapshot_stored = Some(now));
                }
                if let Some(report) = self.trouble.succeeded(now) {
                    tracing::info!(failures = report.failures, "snapshots work again");
                }
            }
            Err(mishap) => {
                self.desk.state().pacing.failed(now, mishap.failure());
                self.status.send_modify(|status| status.snapshots_failed += 1);
                if let Some(report) = self.trouble.failed(now) {
                    let (failures, mend) = (report.failures, mishap.mend());
                    tracing::warn!(error = %mishap, failures, mend, "no snapshot: trying again");
                }
            }
        }
    }
}
