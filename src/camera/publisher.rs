//! The publisher's driver: carries out a [`Publication`]'s actions on a store. The only caller of the store
//! for the stream while a camera runs, and where its calls are tried again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::calls::{Calls, Halves, Outcome, Side};
use super::rivalry::Rivalry;
use super::snapshots::Desk;
use super::status::StatusSender;
use super::trouble::Trouble;
use super::variants::Board;
use crate::clock;
use crate::domain::publication::{Action, Input, Plan, Progress, Publication};
use crate::domain::quota;
use crate::domain::uplink::Shortage;
use crate::domain::uploads::Ticket;
use crate::engine::spool::note::Note;
use crate::store::ObjectStore;

#[derive(Debug)]
pub struct Publisher {
    publication: Publication,
    calls: Calls,
    tasks: JoinSet<Outcome>,
    /// Cancelled: the upload is dropped.
    uploads: HashMap<Ticket, CancellationToken>,
    /// Of these the ones that made way: their failures are none.
    yielding: HashSet<Ticket>,
    status: StatusSender,
    /// Of publishers before this one, which panicked.
    before: Progress,
    troubles: Troubles,
    given_up: Trouble,
    left_out: Trouble,
    without_parts: Trouble,
    /// A line told how much the uplink is short.
    shortage_told: bool,
    rivalry: Rivalry,
    /// Of the store's credentials.
    renewals: Option<watch::Receiver<u64>>,
}

type Troubles = [Trouble; 10];

impl Publisher {
    /// `note`: what the next publisher of this camera on this machine will recall.
    pub fn new(plan: Plan, store: Arc<dyn ObjectStore>, note: Note, status: StatusSender, seed: u64) -> Self {
        let before = status.borrow().progress;
        let renewals = store.renewals();
        let calls = Calls {
            store,
            layout: plan.layout.clone(),
            target_duration_s: plan.target_duration_s,
            attempt_time: plan.uploads.attempt,
            note,
            renditions: plan.form.renditions,
            desk: None,
            board: None,
            measure: Arc::default(),
            status: status.clone(),
            is_origin: plan.listed_bytes.is_some(),
            halves: None,
        };
        Self {
            publication: Publication::new(plan, seed),
            calls,
            tasks: JoinSet::new(),
            uploads: HashMap::new(),
            yielding: HashSet::new(),
            before,
            status,
            troubles: Troubles::default(),
            given_up: Trouble::default(),
            left_out: Trouble::default(),
            without_parts: Trouble::default(),
            shortage_told: false,
            rivalry: Rivalry::new(&before),
            renewals,
        }
    }

    /// Shows each stored segment there.
    pub(super) fn shows(&mut self, desk: Desk) {
        self.calls.desk = Some(desk);
    }

    /// And there.
    pub(super) fn posts(&mut self, board: Board) {
        self.calls.board = Some(board);
    }

    /// Another one takes the same segments.
    pub(super) fn shares(&mut self, halves: Arc<Halves>, side: Side) {
        self.calls.halves = Some((halves, side));
    }

    /// To the same place, with the same limits.
    pub(super) fn calls(&self) -> Calls {
        self.calls.clone()
    }

    /// Publishes what comes until the channel closes and all is stored and listed, or `abort` fires. If `over` fires
    /// before that, the stream ends for its viewers, and nothing of it is left.
    pub async fn publish(
        mut self,
        mut inbox: mpsc::Receiver<Input>,
        over: CancellationToken,
        abort: CancellationToken,
    ) {
        let (mut open, mut ended) = (true, false);
        loop {
            if !open && !ended && over.is_cancelled() {
                ended = true;
                self.publication.handle(clock::now(), Input::End);
            }
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
                news = inbox.recv(), if open => match news {
                    Some(news) => {
                        // It may have been configured anew.
                        let room = self.calls.store.room().map(|room| Input::Room(quota::listed(room)));
                        room.into_iter().chain([news]).for_each(|news| self.publication.handle(clock::now(), news));
                    }
                    None => open = false,
                },
                () = over.cancelled(), if !open && !ended => {}
                () = renewed(&mut self.renewals) => {
                    self.publication.handle(clock::now(), Input::StoreRenewed);
                }
                () = clock::sleep_until(self.publication.deadline()) => {}
            }
        }
    }

    fn start_tasks(&mut self) {
        let now = clock::now();
        while let Some(action) = self.publication.poll(now) {
            let dropped = CancellationToken::new();
            match &action {
                Action::Drop(ticket) | Action::Yield(ticket) => {
                    if matches!(action, Action::Yield(_)) {
                        self.yielding.insert(*ticket);
                    }
                    self.uploads.get(ticket).inspect(|upload| upload.cancel());
                    continue;
                }
                Action::Remember(text) => self.calls.note.say(text.clone()),
                Action::Put(start) => _ = self.uploads.insert(start.ticket, dropped.clone()),
                _ => {}
            }
            let calls = self.calls.clone();
            self.tasks.spawn(async move { calls.carry_out(action, dropped).await }.in_current_span());
        }
    }

    fn done(&mut self, mut outcome: Outcome) {
        let now = clock::now();
        if let Some(Input::Stored(ticket) | Input::StoreFailed(ticket, _)) = &outcome.input
            && self.yielding.remove(ticket)
            && outcome.error.is_some()
        {
            self.uploads.remove(ticket);
            outcome.input.take().into_iter().for_each(|input| self.publication.handle(now, input));
            return;
        }
        let trouble = &mut self.troubles[outcome.operation as usize];
        let operation = outcome.operation.name();
        let place = if self.calls.is_origin { "what this box serves itself" } else { "storage" };
        if outcome.error.is_some() && outcome.operation.is_of_the_stream() {
            self.status.send_modify(|status| status.storage_error.clone_from(&outcome.error));
        }
        match &outcome.error {
            // One line for the whole agent tells of it, with the mend.
            Some(error) if outcome.denied && self.renewals.is_some() => {
                tracing::debug!(operation, error, "storage refuses access");
            }
            Some(error) => {
                if let Some(report) = trouble.failed(now) {
                    let failures = report.failures;
                    tracing::warn!(operation, error, failures, "{place} fails: trying again");
                }
            }
            None => {
                if let Some(report) = trouble.succeeded(now) {
                    let after = format!("{:.1} s", report.lasting.as_secs_f64());
                    tracing::info!(operation, failures = report.failures, after, "{place} works again");
                }
            }
        }
        if let Some(input) = outcome.input {
            if let Input::Stored(ticket) | Input::StoreFailed(ticket, _) = &input {
                self.uploads.remove(ticket);
            }
            if input == Input::PlaylistStored {
                self.status.send_modify(|status| {
                    status.playlist_stored = Some(now);
                    status.storage_error = None;
                });
            }
            self.publication.handle(now, input);
        }
    }

    fn tell(&mut self) {
        let progress = self.publication.progress().after(&self.before);
        self.tell_of_losses(&progress);
        self.tell_of_parts_alone(&progress);
        self.rivalry.tell(clock::now(), &progress);
        self.status.send_if_modified(|status| {
            let changed = status.progress != progress;
            status.progress = progress;
            changed
        });
    }
}

impl Publisher {
    /// A slow uplink fails no call: this line is all that tells of it.
    fn tell_of_losses(&mut self, progress: &Progress) {
        let now = clock::now();
        let Progress { segments_given_up: given_up, backlog, uplink, .. } = *progress;
        let known = self.status.borrow().progress.segments_given_up;
        if given_up > known {
            let report = self.given_up.failed(now);
            // What is missing is known only some uploads after the first loss: it is worth a line of its own.
            let is_news = uplink.is_some() && !self.shortage_told;
            if let Some(since_s) = report.map(|report| report.lasting.as_secs()).or(is_news.then_some(0)) {
                self.shortage_told |= uplink.is_some();
                match uplink {
                    _ if self.calls.is_origin => tracing::warn!(
                        given_up,
                        since_s,
                        backlog,
                        "segments were given up for the viewers of this box: raise spool_limit"
                    ),
                    uplink => tell_of_loss(given_up, since_s, backlog, uplink),
                }
            }
        }
        if backlog <= 1 && self.given_up.is_over(now) {
            self.shortage_told = false;
            tracing::info!(given_up, "no more segments are given up");
        }
    }
}

impl Publisher {
    /// Parts went alone. The agent's own page misses nothing: who looks with another player should know why.
    fn tell_of_parts_alone(&mut self, progress: &Progress) {
        let now = clock::now();
        let left_out = progress.segments_left_out;
        if left_out > self.status.borrow().progress.segments_left_out
            && let Some(report) = self.left_out.failed(now)
        {
            let since_s = report.lasting.as_secs();
            tracing::warn!(
                left_out,
                since_s,
                "the uplink has no room for whole segments beside the parts: they are left out, and players that take no \
                 parts see gaps; lower max_bitrate, or set compat_segments: false"
            );
        }
        if !progress.is_short_for_both && self.left_out.succeeded(now).is_some() {
            tracing::info!(left_out, "whole segments go beside the parts again");
        }
        let given_up = progress.parts_given_up;
        let began = progress.is_without_parts && !self.status.borrow().progress.is_without_parts;
        if began && let Some(report) = self.without_parts.failed(now) {
            let since_s = report.lasting.as_secs();
            tracing::warn!(
                given_up,
                since_s,
                "the storage takes too long for parts: whole segments go without them for a while, and viewers are some \
                 seconds later; set a longer part_duration or a lower max_bitrate, or another profile"
            );
        }
        if !progress.is_without_parts && self.without_parts.is_over(now) {
            tracing::info!(given_up, "parts are stored again");
        }
    }
}

fn tell_of_loss(given_up: u64, since_s: u64, backlog: usize, uplink: Option<Shortage>) {
    match uplink {
        Some(shortage) => {
            let Shortage { needs_kbps, carries_kbps } = shortage;
            let short_percent = shortage.short_percent();
            tracing::warn!(
                given_up,
                since_s,
                backlog,
                needs_kbps,
                carries_kbps,
                short_percent,
                "segments were given up: the uplink is too slow for this stream; lower target_width or target_fps"
            );
        }
        None => tracing::warn!(
            given_up,
            since_s,
            backlog,
            "segments were given up: the storage does not take them in time"
        ),
    }
}

pub(super) async fn renewed(renewals: &mut Option<watch::Receiver<u64>>) {
    let changed = match renewals {
        Some(renewals) => renewals.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending().await
    }
}
