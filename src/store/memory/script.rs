//! What a [`MemoryStore`](super::MemoryStore) is told to do, and what it did.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::domain::key::ObjectKey;
use crate::store::StoreError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    Put,
    Get,
    Delete,
    List,
}

/// One call, as its caller made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub op: Op,
    /// One for a put or a get, the prefix for a list.
    pub keys: Vec<ObjectKey>,
    /// The body's length.
    pub bytes: usize,
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub call: Call,
    pub took_effect: bool,
    /// `None`: under way, or given up by its caller. `Ok` for a get of an absent key too.
    pub answer: Option<Result<(), StoreError>>,
}

/// What becomes of one call.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub(super) before: Duration,
    pub(super) takes_effect: bool,
    pub(super) after: Duration,
    pub(super) reply: Reply,
}

#[derive(Debug, Clone)]
pub(super) enum Reply {
    Ok,
    Error(StoreError),
    Never,
}

impl Outcome {
    const fn new(takes_effect: bool, reply: Reply) -> Self {
        Self { before: Duration::ZERO, takes_effect, after: Duration::ZERO, reply }
    }

    pub const fn ok() -> Self {
        Self::new(true, Reply::Ok)
    }

    /// Fails without effect.
    pub const fn refused(error: StoreError) -> Self {
        Self::new(false, Reply::Error(error))
    }

    /// Fails, but did its work.
    pub const fn answer_lost(error: StoreError) -> Self {
        Self::new(true, Reply::Error(error))
    }

    /// Never answers, and has no effect.
    pub const fn hang() -> Self {
        Self::new(false, Reply::Never)
    }

    /// Never answers, but did its work.
    pub const fn hang_after_effect() -> Self {
        Self::new(true, Reply::Never)
    }

    /// One round trip: half of it on either side of the effect.
    pub fn delayed(self, round_trip: Duration) -> Self {
        let half = round_trip / 2;
        Self { before: half, after: round_trip - half, ..self }
    }
}

type Hook = Box<dyn FnMut(&Call) -> Outcome + Send>;

#[derive(Default)]
pub(super) struct Script {
    pub queues: BTreeMap<Op, VecDeque<Outcome>>,
    pub hook: Option<Hook>,
}

impl Script {
    pub fn outcome(&mut self, call: &Call) -> Outcome {
        let queued = self.queues.get_mut(&call.op).and_then(VecDeque::pop_front);
        queued.or_else(|| self.hook.as_mut().map(|hook| hook(call))).unwrap_or_else(Outcome::ok)
    }
}
