//! A store that counts what a camera asks of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::clock;
use crate::domain::class::ObjectClass;
use crate::domain::key::ObjectKey;
use crate::domain::requests::{Latencies, Operation, Outcome, Requests};
use crate::store::{ObjectStore, StoreError};

/// How long requests took: one for all cameras of an agent, as the storage is. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Stopwatch(Arc<Mutex<Latencies>>);

impl Stopwatch {
    pub fn read(&self) -> Latencies {
        locked(&self.0).clone()
    }
}

/// What one camera asks; it goes on over restarts. Clones are the same.
#[derive(Debug, Clone)]
pub struct Meter {
    requests: Arc<Mutex<Requests>>,
    stopwatch: Stopwatch,
}

impl Meter {
    pub fn new(stopwatch: Stopwatch) -> Self {
        Self { requests: Arc::new(Mutex::new(Requests::new(clock::now()))), stopwatch }
    }

    pub fn read(&self) -> Requests {
        locked(&self.requests).clone()
    }

    fn count(&self, operation: Operation, began: Instant, outcome: Outcome) {
        let now = clock::now();
        locked(&self.requests).count(now, operation, outcome);
        locked(&self.stopwatch.0).observe(operation, now.saturating_duration_since(began));
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// See the module.
#[derive(Debug)]
pub struct MeteredStore {
    store: Arc<dyn ObjectStore>,
    meter: Meter,
}

/// Counts one request, also if it is dropped before its answer.
struct Count<'a> {
    meter: &'a Meter,
    operation: Operation,
    began: Instant,
    outcome: Outcome,
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.meter.count(self.operation, self.began, self.outcome);
    }
}

impl MeteredStore {
    pub fn new(store: Arc<dyn ObjectStore>, meter: Meter) -> Self {
        Self { store, meter }
    }

    async fn counted<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let began = clock::now();
        let mut count = Count { meter: &self.meter, operation, began, outcome: Outcome::GivenUp };
        let answer = call.await;
        count.outcome = match &answer {
            Ok(_) => Outcome::Ok,
            Err(StoreError::NotFound) => Outcome::NotFound,
            Err(StoreError::Unavailable { .. }) => Outcome::Unavailable,
            Err(StoreError::Throttled { .. }) => Outcome::Throttled,
            Err(StoreError::Denied { .. }) => Outcome::Denied,
            Err(StoreError::Rejected { .. }) => Outcome::Rejected,
        };
        answer
    }
}

#[async_trait]
impl ObjectStore for MeteredStore {
    async fn put(&self, key: &ObjectKey, body: Bytes, class: ObjectClass) -> Result<(), StoreError> {
        self.counted(Operation::put(class), self.store.put(key, body, class)).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        self.counted(Operation::Get, self.store.get(key)).await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StoreError> {
        self.counted(Operation::Delete, self.store.delete(keys)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectKey>, StoreError> {
        self.counted(Operation::List, self.store.list(prefix)).await
    }

    fn has_slow_cdn(&self) -> bool {
        self.store.has_slow_cdn()
    }

    fn renewals(&self) -> Option<watch::Receiver<u64>> {
        self.store.renewals()
    }

    fn room(&self) -> Option<u64> {
        self.store.room()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::memory::{MemoryStore, Op, Outcome as Scripted};

    const S: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_is_answered_refused_and_not_waited_for_is_counted() {
        let memory = Arc::<MemoryStore>::default();
        let denied = StoreError::Denied { reason: "HTTP 403".into() };
        memory.queue(Op::Put, [Scripted::ok().delayed(2 * S), Scripted::refused(denied)]);
        memory.queue(Op::List, [Scripted::ok().delayed(60 * S)]);
        let stopwatch = Stopwatch::default();
        let meter = Meter::new(stopwatch.clone());
        let store = MeteredStore::new(memory, meter.clone());
        let key = ObjectKey::new("l/c/a.ts");
        store.put(&key, Bytes::new(), ObjectClass::Segment).await.unwrap();
        store.put(&key, Bytes::new(), ObjectClass::Sheet).await.unwrap_err();
        store.get(&ObjectKey::new("l/c/b.ts")).await.unwrap_err();
        tokio::time::timeout(10 * S, store.list("l/c/")).await.unwrap_err();
        let counts: Vec<_> = meter.read().counts().collect();
        let expected = [
            (Operation::PutSegment, Outcome::Ok, 1),
            (Operation::PutStatus, Outcome::Denied, 1),
            (Operation::Get, Outcome::NotFound, 1),
            (Operation::List, Outcome::GivenUp, 1),
        ];
        assert_eq!(counts, expected);
        let latencies = stopwatch.read();
        let took = |of| latencies.iter().find(|(operation, _)| *operation == of).map(|(_, took)| took.sum);
        assert_eq!((took(Operation::PutSegment), took(Operation::List)), (Some(2 * S), Some(10 * S)));
        assert_eq!(took(Operation::Delete), None);
    }
}
