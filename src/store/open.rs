//! From configuration to a store.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::fs::FileStore;
use super::none::NoStore;
use super::s3::S3Store;
use super::supabase::SupabaseStore;
use super::{ObjectStore, StoreError};
use crate::config::model::StoreConfig;

/// The numbers of a store's calls. Only tests use other than the default ones.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A connection that isn't there after this long won't come.
    pub connect: Duration,
    /// One whole call: no shorter than the time that an upload over a slow uplink gets (`domain::uplink`). Callers
    /// have shorter limits of their own.
    pub attempt: Duration,
    /// Objects per page of a listing.
    pub page: usize,
    /// Objects of a listing, of all pages.
    pub listed: usize,
    /// Keys per batch of deletes.
    pub batch: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            attempt: Duration::from_secs(310),
            // What S3 and Supabase take at most.
            page: 1000,
            // A listing that has more is made again when these are gone.
            listed: 100_000,
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
        StoreConfig::None => Arc::new(NoStore),
    })
}

/// The folder that the box itself serves; each camera's part may take so many bytes.
pub fn open_origin(root: PathBuf, most_bytes: Arc<AtomicU64>) -> Arc<dyn ObjectStore> {
    Arc::new(FileStore::origin(root, most_bytes))
}

/// What a store is reached with. Two of them can be compared and not shown.
#[derive(Debug, Clone)]
pub struct Identity(SecretString);

impl Identity {
    pub(super) fn new(parts: &[&str]) -> Self {
        // No part has a NUL in it: they end up in headers.
        Self(parts.join("\0").into())
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

/// As [`open`], with the credentials looked up now: the AWS chain may ask the network for them.
///
/// # Errors
/// There are none, or nobody answers.
pub async fn open_anew(config: &StoreConfig) -> Result<(Arc<dyn ObjectStore>, Identity), StoreError> {
    Ok(match config {
        StoreConfig::S3(config) => {
            let (store, identity) = S3Store::connect_anew(config).await?;
            (Arc::new(store), identity)
        }
        StoreConfig::Supabase(config) => {
            (Arc::new(SupabaseStore::new(config)?), Identity::new(&[config.key.expose_secret()]))
        }
        StoreConfig::File(config) => (Arc::new(FileStore::new(config)), Identity::new(&[])),
        StoreConfig::None => (Arc::new(NoStore), Identity::new(&[])),
    })
}
