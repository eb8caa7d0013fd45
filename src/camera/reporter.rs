//! Keeps `status.json` true for as long as a camera runs, and says its last word.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::calls::Calls;
use super::poster::{Attempts, mended};
use super::publisher::Publisher;
use super::sheet::{Now, Posting};
use super::status::{CameraStatus, StatusSender};
use super::supervisor::resume_panic;
use crate::clock;
use crate::domain::bulletin::{Action, Bulletin, View};
use crate::domain::dice::Dice;
use crate::domain::lifecycle::Phase;
use crate::store::StoreError;

/// How a stream is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastWord {
    /// Nobody wants it any more.
    Ended,
    /// The agent stops, or has another configuration.
    Stopped,
}

impl LastWord {
    fn word(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Stopped => "stopped",
        }
    }
}

/// Where the last word is given.
pub(super) type LastWordSender = Arc<watch::Sender<Option<LastWord>>>;

/// As long as it is polled; it ends when the last word is said. Without a posting it only waits for that.
pub(super) fn keep_told(
    posting: Option<Posting>,
    publisher: &Publisher,
    (status, own): (&StatusSender, &StatusSender),
    last_word: &LastWordSender,
    seed: u64,
) -> impl Future<Output = ()> + Send + use<> {
    let mut last_word = last_word.subscribe();
    let calls = publisher.calls();
    let (status, own) = (status.subscribe(), own.subscribe());
    async move {
        let Some(posting) = posting else {
            let _ = last_word.wait_for(Option::is_some).await;
            return;
        };
        let bulletin = Bulletin::new(posting.interval());
        let attempts = Attempts::new("status.json", Dice::new(seed));
        let renewals = calls.store.renewals();
        Reporter { posting, calls, status, own, last_word, bulletin, attempts, renewals }.work().await;
    }
}

/// A stop does not wait longer for a store that does not take it.
const LAST_WORD_TIME: Duration = Duration::from_secs(3);

/// Until the publisher is done, and the last word is said, or can't be.
pub(super) async fn finish(
    mut publishing: JoinSet<()>,
    mut told: Pin<&mut impl Future<Output = ()>>,
    last_word: &LastWordSender,
    word: Option<LastWord>,
) {
    if word == Some(LastWord::Ended) {
        last_word.send_replace(word);
    }
    let mut is_told = false;
    loop {
        tokio::select! {
            biased;
            ended = publishing.join_next() => match ended {
                Some(ended) => resume_panic(ended),
                None => break,
            },
            () = told.as_mut(), if !is_told => is_told = true,
        }
    }
    if word.is_some() && !is_told {
        last_word.send_replace(word);
        let _ = tokio::time::timeout(LAST_WORD_TIME, told).await;
    }
}

struct Reporter {
    posting: Posting,
    calls: Calls,
    status: watch::Receiver<CameraStatus>,
    /// Of the publisher whose stream the sheet lies beside.
    own: watch::Receiver<CameraStatus>,
    last_word: watch::Receiver<Option<LastWord>>,
    bulletin: Bulletin,
    attempts: Attempts,
    renewals: Option<watch::Receiver<u64>>,
}

/// For the last word: as some stores take one write a second.
const MOST_WAIT: Duration = Duration::from_secs(2);

impl Reporter {
    async fn work(mut self) {
        loop {
            self.see();
            let is_last = self.last_word.borrow().is_some();
            match self.bulletin.poll(clock::now()) {
                Some(Action::Look) => self.look().await,
                Some(Action::Write) => self.write().await,
                None if is_last && !self.is_to_come() => return,
                None => self.wait().await,
            }
        }
    }

    /// The last word is about to be written.
    fn is_to_come(&self) -> bool {
        let now = clock::now();
        self.bulletin.deadline(now).is_some_and(|at| at <= now + MOST_WAIT)
    }

    async fn wait(&mut self) {
        let deadline = self.bulletin.deadline(clock::now());
        tokio::select! {
            Ok(()) = self.status.changed() => {}
            Ok(()) = self.own.changed() => {}
            Ok(()) = self.posting.name.changed() => {}
            Ok(()) = self.last_word.changed() => {}
            () = clock::sleep_until(deadline) => {}
            () = mended(&mut self.renewals, &mut self.attempts) => self.bulletin.mended(),
        }
    }

    /// What is worth telling, of the moment.
    fn see(&mut self) {
        // Of the same channel as the one below where there is one publisher: two looks at once could wait for each other.
        let (published, own) = {
            let own = self.own.borrow_and_update();
            (own.playlist_stored, own.progress)
        };
        let standing_back = own.standing_back;
        let status = self.status.borrow_and_update();
        let name = self.posting.name.borrow_and_update().clone();
        let last_word = *self.last_word.borrow_and_update();
        if last_word.is_some() {
            self.bulletin.end();
        }
        let phase = last_word.map(LastWord::word).or(self.posting.told_phase(status.phase));
        let what = phase.map(|phase| {
            let reason = status.verdict.reason().map_or("", |reason| reason.in_short());
            // Another agent that published meanwhile wrote its own.
            let conflicts = status.progress.conflicts;
            let parts = (own.is_short_for_both, own.is_without_parts);
            format!("{phase} {} {reason} {conflicts} {parts:?} {name}", status.verdict.word())
        });
        self.bulletin.see(View { what, published, standing_back });
    }

    async fn look(&mut self) {
        match self.calls.look_at_playlist().await {
            Ok((playlist, target)) => self.bulletin.looked(clock::now(), playlist, target),
            Err(error) => self.failed(error),
        }
    }

    async fn write(&mut self) {
        let (Some(what), text) = (self.bulletin.what(), self.text()) else { return };
        match self.calls.put_sheet(text).await {
            Ok(()) => {
                self.attempts.succeeded(clock::now());
                self.bulletin.written(clock::now(), what);
            }
            Err(error) => self.failed(error),
        }
    }

    fn text(&self) -> bytes::Bytes {
        let own = self.own.borrow().progress;
        let status = self.status.borrow();
        let (now, wall) = (clock::now(), clock::wall());
        let last_word = *self.last_word.borrow();
        let phase = last_word.map_or(status.phase.word(), LastWord::word);
        let ago = status.last_segment.map(|at| now.saturating_duration_since(at));
        let now = Now {
            phase,
            verdict: if last_word.is_some() { "idle" } else { status.verdict.word() },
            reason: status.verdict.reason().filter(|_| last_word.is_none()).map(|reason| reason.in_words()),
            written: wall,
            last_segment: ago.and_then(|ago| wall.checked_sub(ago)),
            in_parts_alone: own.is_short_for_both,
            without_parts: own.is_without_parts,
            has_slow_cdn: self.calls.store.has_slow_cdn(),
        };
        self.posting.sheet.render(&self.posting.name.borrow(), &now)
    }

    fn failed(&mut self, error: StoreError) {
        let now = clock::now();
        const WITHOUT: &str = "players use their defaults, and dashboards do not see how the stream is";
        const MEND: &str = "let the storage take application/json";
        let pause = self.attempts.failed(now, &error, WITHOUT, MEND);
        self.bulletin.failed(now, pause);
    }
}

impl Posting {
    /// `None`: that passes within a moment, or is nothing to tell yet.
    fn told_phase(&self, phase: Phase) -> Option<&'static str> {
        match phase {
            Phase::Idle | Phase::Stopping { .. } => None,
            Phase::Starting { .. } if !self.is_known => None,
            Phase::Starting { .. } | Phase::Live { .. } | Phase::BackingOff { .. } => Some(phase.word()),
        }
    }
}
