//! From configuration to a store.

use std::sync::Arc;
use std::time::Duration;

use super::fs::FileStore;
use super::s3::S3Store;
use super::supabase::SupabaseStore;
use super::{ObjectStore, StoreError};
use crate::config::model::StoreConfig;

/// The numbers of a store's calls. Only tests use other than the default ones.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A connection that isn't there after this long won't come.
    pub connect: Duration,
    /// One whole call. Long, as a segment over a slow uplink needs its time; a dead connection costs this
    /// much at worst.
    pub attempt: Duration,
    /// Objects per page of a listing.
    pub page: usize,
    /// Keys per batch of deletes.
    pub batch: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            attempt: Duration::from_secs(30),
            // What S3 and Supabase take at most.
            page: 1000,
            batch: 1000,
        }
    }
}

/// The store that the configuration names. Does not talk to it yet: a store that is down at start is no
/// reason not to start.
pub async fn open(config: &StoreConfig) -> Result<Arc<dyn ObjectStore>, StoreError> {
    Ok(match config {
        StoreConfig::S3(config) => Arc::new(S3Store::connect(config).await?),
        StoreConfig::Supabase(config) => Arc::new(SupabaseStore::new(config)?),
        StoreConfig::File(config) => Arc::new(FileStore::new(config)),
    })
}
