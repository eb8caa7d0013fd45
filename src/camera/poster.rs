//! Small objects beside a stream, written when the agent publishes it and when they say something else.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use super::calls::{Calls, failure};
use super::publisher::{Publisher, renewed};
use super::status::{CameraStatus, StatusSender};
use super::trouble::Trouble;
use crate::clock;
use crate::domain::dice::Dice;
use crate::domain::pauses::Pauses;
use crate::store::StoreError;

/// One such object.
pub(super) trait Bill: Send {
    /// In the folder, and in the log.
    const NAME: &'static str;
    /// What viewers miss as long as it is not stored.
    const WITHOUT: &'static str;
    /// Where the store refuses it.
    const MEND: &'static str;

    /// `None`: it is not known yet; wait until it has changed.
    fn text(&mut self) -> Option<Bytes>;

    /// Comes when the text is another one than that which was taken last. Cancel-safe.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;

    fn put(calls: &Calls, text: Bytes) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Keeps it in the store for as long as it is polled; without one it only waits.
pub(super) fn keep_posted<B: Bill>(
    bill: Option<B>,
    publisher: &Publisher,
    status: &StatusSender,
    seed: u64,
) -> impl Future<Output = Infallible> + Send + use<B> {
    let poster = bill.map(|bill| {
        let calls = publisher.calls();
        let renewals = calls.store.renewals();
        let status = status.subscribe();
        let attempts = Attempts::new(B::NAME, Dice::new(seed));
        Poster { bill, calls, renewals, status, attempts }
    });
    async move {
        match poster {
            Some(poster) => poster.work().await,
            None => std::future::pending().await,
        }
    }
}

struct Poster<B> {
    bill: B,
    calls: Calls,
    renewals: Option<watch::Receiver<u64>>,
    status: watch::Receiver<CameraStatus>,
    attempts: Attempts,
}

impl<B: Bill> Poster<B> {
    async fn work(mut self) -> Infallible {
        loop {
            let since = clock::now();
            until(&mut self.status, |status| {
                !status.progress.standing_back && status.playlist_stored.is_some_and(|at| at >= since)
            })
            .await;
            let conflicts = self.status.borrow().progress.conflicts;
            self.post().await;
            // Another agent that publishes the camera meanwhile, or did before it stood back, writes its own.
            let is_others = |status: &CameraStatus| {
                status.progress.standing_back || status.progress.conflicts != conflicts
            };
            tokio::select! {
                () = until(&mut self.status, is_others) => {}
                () = self.bill.changed() => {}
            }
        }
    }

    /// Until the store has it, or it is not this agent's to write any more.
    async fn post(&mut self) {
        while let Some(text) = self.bill.text() {
            let answer = B::put(&self.calls, text).await;
            let Some(pause) = self.done(answer) else { return };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = until(&mut self.status, |status| status.progress.standing_back) => return,
                () = mended(&mut self.renewals, &mut self.attempts) => {}
            }
        }
    }

    /// How long to wait before the next try, if it needs one.
    fn done(&mut self, answer: Result<(), StoreError>) -> Option<Duration> {
        let now = clock::now();
        match answer {
            Ok(()) => self.attempts.succeeded(now),
            Err(error) => return Some(self.attempts.failed(now, &error, B::WITHOUT, B::MEND)),
        }
        None
    }
}

/// Tries to store one object: what the log is told of them, and the pauses between them.
pub(super) struct Attempts {
    /// In the log.
    name: &'static str,
    pauses: Pauses,
    trouble: Trouble,
}

impl Attempts {
    pub(super) fn new(name: &'static str, dice: Dice) -> Self {
        Self { name, pauses: Pauses::new(dice), trouble: Trouble::default() }
    }

    pub(super) fn succeeded(&mut self, now: Instant) {
        self.pauses.succeeded();
        if let Some(report) = self.trouble.succeeded(now) {
            tracing::info!(failures = report.failures, "{} is stored again", self.name);
        }
    }

    /// How long to wait; `without` is what viewers miss, and `mend` where the store refuses it.
    pub(super) fn failed(&mut self, now: Instant, error: &StoreError, without: &str, mend: &str) -> Duration {
        if let Some(report) = self.trouble.failed(now) {
            let is_lasting = matches!(error, StoreError::Denied { .. } | StoreError::Rejected { .. });
            let (mend, failures) = (is_lasting.then_some(mend), report.failures);
            tracing::warn!(%error, failures, mend, "{} is not stored: {without}", self.name);
        }
        self.pauses.failed(failure(error))
    }
}

/// New credentials may mend what failed.
pub(super) async fn mended(renewals: &mut Option<watch::Receiver<u64>>, attempts: &mut Attempts) {
    loop {
        renewed(renewals).await;
        if attempts.pauses.renewed() {
            return;
        }
    }
}

async fn until(status: &mut watch::Receiver<CameraStatus>, is: impl FnMut(&CameraStatus) -> bool) {
    if status.wait_for(is).await.is_err() {
        // Nobody writes it any more: the camera is about to end.
        std::future::pending().await
    }
}
