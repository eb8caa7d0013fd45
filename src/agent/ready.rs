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
