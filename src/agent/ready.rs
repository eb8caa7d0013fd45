//! When the agent can serve: its configuration is loaded, it listens, and the storage has answered once.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::domain::key::ObjectKey;
use crate::http::Ready;
use crate::store::renewing::RenewingStore;
use crate::store::{ObjectStore as _, StoreError};

const BACKOFF: Backoff = Backoff { first: Duration::from_secs(2), most: Duration::from_secs(60) };

/// Asks for a playlist, which need not be there, until the storage answers. `None`: there is nothing to publish.
pub(super) async fn await_storage(store: Arc<RenewingStore>, playlist: Option<ObjectKey>, ready: Ready) {
    let Some(playlist) = playlist else { return ready.set() };
    for tries in 1.. {
        match store.get(&playlist).await {
            Ok(_) | Err(StoreError::NotFound) => return ready.set(),
            Err(error) => tracing::debug!(%error, "not ready: the storage has not answered"),
        }
        tokio::time::sleep(BACKOFF.delay(tries, 0.0)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::key::Layout;
    use crate::store::memory::{MemoryStore, Op, Outcome};

    fn playlist() -> ObjectKey {
        Layout::new(&"location_1".parse().unwrap(), &"cam".parse().unwrap()).playlist()
    }

    #[tokio::test(start_paused = true)]
    async fn a_storage_that_fails_has_not_answered_and_one_without_the_playlist_has() {
        let memory = Arc::new(MemoryStore::new());
        let refused = || Outcome::refused(StoreError::Denied { reason: "403".into() });
        memory.queue(Op::Get, [refused(), refused()]);
        let (store, ready) = (Arc::new(RenewingStore::new(memory.clone())), Ready::default());
        let asking = await_storage(store, Some(playlist()), ready.clone());
        tokio::pin!(asking);
        assert!(tokio::time::timeout(Duration::from_secs(5), &mut asking).await.is_err());
        assert!(!ready.is_set());
        tokio::time::timeout(Duration::from_secs(5), asking).await.unwrap();
        assert!(ready.is_set());
        assert_eq!(memory.journal().len(), 3);
    }

    #[tokio::test]
    async fn with_nothing_to_publish_there_is_nothing_to_wait_for() {
        let ready = Ready::default();
        await_storage(Arc::new(RenewingStore::new(Arc::new(MemoryStore::new()))), None, ready.clone()).await;
        assert!(ready.is_set());
    }
}
