//! A store in memory that does as it is told: for the tests of whoever uses a store.
//!
//! Answers at once unless scripted: an [`Outcome`] per call, from a queue or from a hook. Waits are tokio's,
//! so that a paused clock rules them.

mod script;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

pub use script::{Call, Op, Outcome, Record};
use script::{Reply, Script};

use super::{ObjectStore, StoreError};
use crate::domain::class::ObjectClass;
use crate::domain::key::ObjectKey;

/// What is stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    pub body: Bytes,
    pub class: ObjectClass,
}

/// See the module.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<ObjectKey, StoredObject>,
    script: Script,
    journal: Vec<Record>,
    putting: Vec<ObjectKey>,
    overlaps: Vec<ObjectKey>,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides about every call for which nothing is queued.
    pub fn on_call(&self, hook: impl FnMut(&Call) -> Outcome + Send + 'static) {
        self.state().script.hook = Some(Box::new(hook));
    }

    /// Decides about the next calls of this kind, one outcome each.
    pub fn queue(&self, op: Op, outcomes: impl IntoIterator<Item = Outcome>) {
        self.state().script.queues.entry(op).or_default().extend(outcomes);
    }

    /// All calls so far, in the order they were made.
    pub fn journal(&self) -> Vec<Record> {
        self.state().journal.clone()
    }

    /// What is stored now.
    pub fn snapshot(&self) -> BTreeMap<ObjectKey, StoredObject> {
        self.state().objects.clone()
    }

    /// Keys that had two puts under way at once, against the contract.
    pub fn overlapping_puts(&self) -> Vec<ObjectKey> {
        self.state().overlaps.clone()
    }

    /// Puts an object there behind the caller's back; neither scripted nor in the journal.
    pub fn plant(&self, key: ObjectKey, body: impl Into<Bytes>, class: ObjectClass) {
        self.state().objects.insert(key, StoredObject { body: body.into(), class });
    }

    /// One scripted call: `effect` happens between its two waits, if at all.
    async fn run<T>(&self, call: Call, effect: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let (index, outcome) = self.state().begin(call);
        tokio::time::sleep(outcome.before).await;
        let value = outcome.takes_effect.then(|| {
            let mut state = self.state();
            state.journal[index].took_effect = true;
            effect(&mut state)
        });
        tokio::time::sleep(outcome.after).await;
        let answer = match (outcome.reply, value) {
            (Reply::Never, _) => std::future::pending().await,
            (Reply::Error(error), _) => Err(error),
            (Reply::Ok, Some(value)) => Ok(value),
            (Reply::Ok, None) => Err(StoreError::Unavailable { reason: "scripted: no effect".into() }),
        };
        self.state().journal[index].answer = Some(answer.as_ref().map(drop).map_err(Clone::clone));
        answer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self, call: Call) -> (usize, Outcome) {
        let outcome = self.script.outcome(&call);
        self.journal.push(Record { call, took_effect: false, answer: None });
        (self.journal.len() - 1, outcome)
    }
}

/// Ends also when the caller gives the call up.
struct Putting<'a>(&'a MemoryStore, &'a ObjectKey);

impl<'a> Putting<'a> {
    fn new(store: &'a MemoryStore, key: &'a ObjectKey) -> Self {
        let mut state = store.state();
        if state.putting.contains(key) {
            state.overlaps.push(key.clone());
        }
        state.putting.push(key.clone());
        Self(store, key)
    }
}

impl Drop for Putting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if let Some(index) = state.putting.iter().position(|key| key == self.1) {
            state.putting.swap_remove(index);
        }
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn put(&self, key: &ObjectKey, body: Bytes, class: ObjectClass) -> Result<(), StoreError> {
        let _putting = Putting::new(self, key);
        let call = Call { op: Op::Put, keys: vec![key.clone()], bytes: body.len() };
        self.run(call, |state| {
            state.objects.insert(key.clone(), StoredObject { body, class });
        })
        .await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        let call = Call { op: Op::Get, keys: vec![key.clone()], bytes: 0 };
        let found = self.run(call, |state| state.objects.get(key).map(|object| object.body.clone())).await?;
        found.ok_or(StoreError::NotFound)
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StoreError> {
        let call = Call { op: Op::Delete, keys: keys.to_vec(), bytes: 0 };
        self.run(call, |state| state.objects.retain(|key, _| !keys.contains(key))).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectKey>, StoreError> {
        let call = Call { op: Op::List, keys: vec![ObjectKey::new(prefix)], bytes: 0 };
        let under = |key: &&ObjectKey| key.as_str().starts_with(prefix);
        self.run(call, |state| state.objects.keys().filter(under).cloned().collect()).await
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryStore")
            .field("objects", &state.objects.len())
            .field("calls", &state.journal.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
