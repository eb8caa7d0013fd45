//! The end of a stream that nobody was there to end: for its viewers, in the storage, and in `status.json`.

use std::sync::Arc;

use futures_util::future::OptionFuture;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::outlets::Origin;
use super::publisher::Publisher;
use super::reporter::{LastWord, LastWordSender, finish, keep_told};
use super::sheet::Posting;
use super::status::StatusSender;
use crate::domain::ids::RunId;
use crate::domain::publication::{Input, Plan};
use crate::engine::spool::note::Note;
use crate::store::ObjectStore;

/// What an earlier agent, or an end that was cut off, left of a stream.
#[derive(Debug)]
pub struct Remains {
    pub plan: Plan,
    pub store: Arc<dyn ObjectStore>,
    pub note: Note,
    /// This machine's.
    pub runs: Vec<RunId>,
    pub posting: Posting,
}

/// Until nothing is left, or `abort` fires. Another machine's stream is left as it is. `origin`: what this box serves itself
/// ends, too.
pub async fn end(
    remains: Remains,
    origin: Option<Origin>,
    status: StatusSender,
    seed: u64,
    abort: CancellationToken,
) {
    let also = origin.map(|Origin { plan, store, status }| {
        let (runs, posting) = (remains.runs.clone(), remains.posting.clone().without_parts());
        // What was noted is the other's.
        let remains = Remains { plan, store, note: Note::default(), runs, posting };
        Box::pin(end_one(remains, status, seed.rotate_left(1), abort.clone()))
    });
    tokio::join!(Box::pin(end_one(remains, status, seed, abort.clone())), OptionFuture::from(also));
}

async fn end_one(remains: Remains, status: StatusSender, seed: u64, abort: CancellationToken) {
    let Remains { plan, store, note, runs, posting } = remains;
    let publisher = Publisher::new(plan, store, note.clone(), status.clone(), seed);
    let (orders, inbox) = mpsc::channel(3);
    let recalled = note.text().map(Input::Recalled);
    for order in recalled.into_iter().chain([Input::OwnRuns(runs), Input::Resume]) {
        let _ = orders.send(order).await;
    }
    drop(orders);
    let last_word = LastWordSender::default();
    let told = keep_told(Some(posting), &publisher, (&status, &status), &last_word, seed);
    tokio::pin!(told);
    let mut publishing = JoinSet::new();
    publishing.spawn(publisher.publish(inbox, CancellationToken::new(), abort).in_current_span());
    let say = async {
        // Not before it is so: it may be another agent's.
        let mut status = status.subscribe();
        let is_stored = status.wait_for(|status| status.playlist_stored.is_some()).await.is_ok();
        if is_stored {
            last_word.send_replace(Some(LastWord::Ended));
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = say => {}
        () = finish(publishing, told, &last_word, None) => {}
    }
}
