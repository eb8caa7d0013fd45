//! Where one camera's segments go: to the storage, to what this box serves itself, or to both. Each has a publisher, with
//! a machine of its own, so that neither waits for the other; a spooled segment is removed when both are done with it.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::calls::{Halves, Side};
use super::poster::keep_posted;
use super::publisher::Publisher;
use super::reporter::{LastWordSender, keep_told};
use super::sheet::Posting;
use super::snapshots::{Studio, take_snapshots};
use super::status::{CameraStatus, StatusSender};
use super::variants::Board;
use crate::domain::dice::Dice;
use crate::domain::edge::Edge;
use crate::domain::ids::{CameraId, RunId};
use crate::domain::key::Layout;
use crate::domain::publication::{Input, Plan};
use crate::domain::quota;
use crate::domain::segment::{Form, Part, Segment, SegmentType};
use crate::engine::spool::note::Note;
use crate::store::ObjectStore;

/// What this box serves itself, beside the storage.
#[derive(Debug)]
pub struct Origin {
    pub plan: Plan,
    pub store: Arc<dyn ObjectStore>,
    /// Of its publisher alone.
    pub status: StatusSender,
}

/// `plan` for what this box serves itself, of `room` bytes.
#[must_use]
pub fn origin_plan(plan: &Plan, camera: &CameraId, room: u64) -> Plan {
    Plan {
        layout: Layout::of_origin(camera),
        min_playlist_interval: Duration::ZERO,
        listed_bytes: Some(quota::listed(room)),
        // They are told out of memory (`domain::edge`).
        parts: None,
        form: Form { kind: whole(plan.form.kind), ..plan.form },
        ..plan.clone()
    }
}

fn whole(kind: SegmentType) -> SegmentType {
    if kind == SegmentType::Parted { SegmentType::Fmp4 } else { kind }
}

/// Where a publisher publishes.
pub(super) struct Place {
    pub(super) plan: Plan,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) note: Note,
    pub(super) status: StatusSender,
}

/// The newest parts of a stream, for who serves it from this box.
pub type EdgeSender = Arc<watch::Sender<Edge>>;

/// When the run of a stream is over, none of its parts is kept.
#[derive(Debug)]
pub(super) struct Forgotten(pub(super) EdgeSender);

impl Drop for Forgotten {
    fn drop(&mut self) {
        self.0.send_replace(Edge::EMPTY);
    }
}

/// What lies there beside the stream.
pub(super) struct Beside {
    pub(super) studio: Option<Studio>,
    pub(super) posting: Option<Posting>,
    pub(super) board: Option<Board>,
    /// And how long a part is to be: the plan of what this box serves itself has none.
    pub(super) edge: Option<(EdgeSender, Duration)>,
}

type Never = Pin<Box<dyn Future<Output = Infallible> + Send>>;

/// A camera's publishers; the first one's place is what its status tells of.
pub(super) struct Outlets {
    publishers: Vec<Publisher>,
    beside: Vec<Never>,
    told: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
    edge: Option<EdgeSender>,
}

impl Outlets {
    pub(super) fn new(
        main: Place,
        origin: Option<Origin>,
        beside: Beside,
        last_word: &LastWordSender,
        dice: &mut Dice,
    ) -> Self {
        let Beside { studio, posting, board, edge } = beside;
        let (edge, planned) = edge.unzip();
        let mut outlets = Self { publishers: Vec::new(), beside: Vec::new(), told: Vec::new(), edge };
        // Served from here is the box's own, or a folder that is the storage.
        let served = origin.as_ref().map_or((&main.plan, &main.status), |own| (&own.plan, &own.status));
        outlets.tell_parts(Edge::new(served.0.layout.clone(), planned.unwrap_or_default()), served.1);
        let here = posting.clone().map(Posting::with_wholes);
        let again = (here.clone(), board.as_ref().map(Board::another));
        let Place { plan, store, note, status } = main;
        // With `storage.type: none` it is the box's own.
        let posting = if plan.parts.is_some() { posting } else { here };
        let mut publisher = Publisher::new(plan, store, note, status.clone(), dice.roll());
        // What it remembers is read back from where it lies: this very machine.
        let second = origin.map(|Origin { plan, store, status }| {
            (Publisher::new(plan, store, Note::default(), status.clone(), dice.roll()), status)
        });
        let also = second.as_ref().map(|(second, _)| second.calls());
        let snapshots = take_snapshots(studio, &mut publisher, also, status.clone(), dice.roll());
        outlets.beside.push(Box::pin(snapshots));
        let halves = second.is_some().then(Arc::<Halves>::default);
        let first = halves.clone().map(|halves| (halves, Side::First));
        let words = (&status, last_word);
        outlets.add(publisher, &status, (posting, board), first, words, dice);
        if let Some((second, own)) = second {
            let second_half = halves.map(|halves| (halves, Side::Second));
            outlets.add(second, &own, again, second_half, words, dice);
        }
        outlets
    }

    fn tell_parts(&mut self, first: Edge, status: &StatusSender) {
        let Some(edge) = &self.edge else { return };
        edge.send_replace(first);
        self.beside.push(Box::pin(stay_abreast(edge.clone(), status.subscribe())));
    }

    fn add(
        &mut self,
        mut publisher: Publisher,
        status: &StatusSender,
        (posting, board): (Option<Posting>, Option<Board>),
        halves: Option<(Arc<Halves>, Side)>,
        (told_of, last_word): (&StatusSender, &LastWordSender),
        dice: &mut Dice,
    ) {
        halves.into_iter().for_each(|(halves, side)| publisher.shares(halves, side));
        board.iter().for_each(|board| publisher.posts(board.clone()));
        let told = keep_told(posting, &publisher, (told_of, status), last_word, dice.roll());
        self.told.push(Box::pin(told));
        let variants = keep_posted(board, &publisher, status, dice.roll());
        self.beside.push(Box::pin(variants));
        self.publishers.push(publisher);
    }

    /// Starts the publishers; what lies beside their streams is seen to as long as the last of these is polled.
    pub(super) fn open(
        self,
        over: &CancellationToken,
        abort: &CancellationToken,
    ) -> (
        Feed,
        JoinSet<()>,
        impl Future<Output = Infallible> + Send + use<>,
        impl Future<Output = ()> + Send + use<>,
    ) {
        let (mut feed, mut publishing) = (Feed { to: Vec::new(), edge: self.edge }, JoinSet::new());
        for publisher in self.publishers {
            // A publisher never waits for the store before it takes the next segment: this does not fill up.
            let (segments, inbox) = mpsc::channel(16);
            feed.to.push(segments);
            publishing.spawn(publisher.publish(inbox, over.clone(), abort.clone()).in_current_span());
        }
        let (beside, told) = (select_all(self.beside), join_all(self.told));
        (feed, publishing, async move { beside.await.0 }, async move { drop(told.await) })
    }
}

/// Who waits for a playlist that says more has to learn that another one was stored.
async fn stay_abreast(edge: EdgeSender, mut status: watch::Receiver<CameraStatus>) -> Infallible {
    let mut stored = None;
    while status.changed().await.is_ok() {
        let newest = status.borrow_and_update().playlist_stored;
        if std::mem::replace(&mut stored, newest) != newest {
            edge.send_modify(Edge::stored);
        }
    }
    pending().await
}

/// To the publishers. Closed only when one of them has ended, and then the supervisor ends, too.
pub(super) struct Feed {
    to: Vec<mpsc::Sender<Input>>,
    edge: Option<EdgeSender>,
}

impl Feed {
    /// What this machine knows of earlier runs: the note is the first one's.
    pub(super) async fn recall(&self, note: Option<String>, runs: &[RunId]) {
        if let Some((first, note)) = self.to.first().zip(note) {
            let _ = first.send(Input::Recalled(note)).await;
        }
        for to in &self.to {
            let _ = to.send(Input::OwnRuns(runs.to_vec())).await;
        }
    }

    pub(super) async fn produced(&self, segment: Segment) {
        for to in &self.to {
            let _ = to.send(Input::Produced(segment.clone())).await;
        }
    }

    pub(super) fn run_ended(&self) {
        self.edge.iter().for_each(|edge| edge.send_modify(Edge::ended));
    }

    /// Of publishers to the first one alone: see [`origin_plan`].
    pub(super) async fn part_produced(&self, part: Part) {
        if let Some(edge) = &self.edge {
            edge.send_modify(|edge| edge.push(part.clone()));
        }
        if let Some(first) = self.to.first() {
            let _ = first.send(Input::PartProduced(part)).await;
        }
    }
}

impl Drop for Feed {
    /// Nothing more comes: who waits need not.
    fn drop(&mut self) {
        self.run_ended();
    }
}
