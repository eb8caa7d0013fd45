//! A store whose credentials change while it is in use.
//!
//! Calls go to the store of the moment; those under way finish with the one they began with. What is refused is
//! noted here once for all cameras, so that one line tells of it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use super::{ObjectStore, StoreError};
use crate::domain::class::ObjectClass;
use crate::domain::key::ObjectKey;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Put,
    Get,
    Delete,
    List,
}

impl Operation {
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Delete => "delete",
            Self::List => "list",
        }
    }
}

/// Whether the store lets us in.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Of all calls so far.
    pub refusals: u64,
    /// The last refusal, until every kind of call that was refused has succeeded again.
    pub refused: Option<(Operation, String)>,
    /// By [`Operation`].
    refused_kinds: [bool; 4],
}

/// See the module.
#[derive(Debug)]
pub struct RenewingStore {
    current: Mutex<Arc<dyn ObjectStore>>,
    renewals: watch::Sender<u64>,
    access: watch::Sender<Access>,
}

impl RenewingStore {
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            current: Mutex::new(store),
            renewals: watch::Sender::new(0),
            access: watch::Sender::new(Access::default()),
        }
    }

    /// From here on calls go to `store`, which is the same place with other credentials.
    pub fn renew(&self, store: Arc<dyn ObjectStore>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = store;
        self.renewals.send_modify(|count| *count += 1);
    }

    pub fn access(&self) -> watch::Receiver<Access> {
        self.access.subscribe()
    }

    fn current(&self) -> Arc<dyn ObjectStore> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn noted<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let began = *self.renewals.borrow();
        let answer = call.await;
        let kind = operation as usize;
        match &answer {
            // What the old credentials were refused says nothing about the new ones.
            Err(StoreError::Denied { reason }) if began != *self.renewals.borrow() => {
                let reason = format!("the credentials were renewed meanwhile: {reason}");
                return Err(StoreError::Unavailable { reason });
            }
            Err(StoreError::Denied { reason }) => self.access.send_modify(|access| {
                access.refusals += 1;
                access.refused = Some((operation, reason.clone()));
                access.refused_kinds[kind] = true;
            }),
            Ok(_) | Err(StoreError::NotFound) => {
                self.access.send_if_modified(|access| {
                    access.refused_kinds[kind] = false;
                    let over = access.refused.is_some() && access.refused_kinds == [false; 4];
                    if over {
                        access.refused = None;
                    }
                    over
                });
            }
            Err(_) => {}
        }
        answer
    }
}

#[async_trait]
impl ObjectStore for RenewingStore {
    async fn put(&self, key: &ObjectKey, body: Bytes, class: ObjectClass) -> Result<(), StoreError> {
        let store = self.current();
        if !class.is_of_the_stream() {
            // A bucket that takes no pictures has not locked us out.
            return store.put(key, body, class).await;
        }
        self.noted(Operation::Put, store.put(key, body, class)).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        let store = self.current();
        self.noted(Operation::Get, store.get(key)).await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StoreError> {
        let store = self.current();
        self.noted(Operation::Delete, store.delete(keys)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectKey>, StoreError> {
        let store = self.current();
        self.noted(Operation::List, store.list(prefix)).await
    }

    fn has_slow_cdn(&self) -> bool {
        self.current().has_slow_cdn()
    }

    fn renewals(&self) -> Option<watch::Receiver<u64>> {
        Some(self.renewals.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::{MemoryStore, Op, Outcome};

    fn denied() -> StoreError {
        StoreError::Denied { reason: "HTTP 403".into() }
    }

    fn key() -> ObjectKey {
        ObjectKey::new("a/b")
    }

    async fn put(store: &RenewingStore) -> Result<(), StoreError> {
        store.put(&key(), Bytes::new(), ObjectClass::Segment).await
    }

    #[tokio::test]
    async fn calls_go_to_the_store_of_the_moment() {
        let (old, new) = (Arc::<MemoryStore>::default(), Arc::<MemoryStore>::default());
        let store = RenewingStore::new(old.clone());
        let mut renewals = store.renewals().unwrap();
        put(&store).await.unwrap();
        store.renew(new.clone());
        assert!(renewals.has_changed().unwrap());
        assert_eq!(*renewals.borrow_and_update(), 1);
        put(&store).await.unwrap();
        assert_eq!((old.journal().len(), new.journal().len()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_old_credentials_were_refused_is_tried_again_soon() {
        let old = Arc::<MemoryStore>::default();
        old.queue(Op::Put, [Outcome::refused(denied()).delayed(std::time::Duration::from_secs(2))]);
        let store = RenewingStore::new(old);
        let renewed = async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            store.renew(Arc::<MemoryStore>::default());
        };
        let (answer, ()) = tokio::join!(put(&store), renewed);
        assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
        assert!(store.access().borrow().refused.is_none(), "the new ones were refused nothing");
    }

    #[tokio::test]
    async fn a_refusal_lasts_until_what_was_refused_succeeds() {
        let memory = Arc::<MemoryStore>::default();
        let store = RenewingStore::new(memory.clone());
        memory.queue(Op::Delete, [Outcome::refused(denied())]);
        let mut access = store.access();
        store.delete(&[key()]).await.unwrap_err();
        assert_eq!(access.borrow_and_update().refused, Some((Operation::Delete, "HTTP 403".into())));
        put(&store).await.unwrap();
        assert!(!access.has_changed().unwrap(), "puts were never refused");
        store.delete(&[key()]).await.unwrap();
        assert!(access.borrow_and_update().refused.is_none());
    }
}
