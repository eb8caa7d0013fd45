//! The remote object store: one trait, three real backends, one contract suite (`tests/store_contract.rs`).
//!
//! A store makes one attempt per call and knows no playlist; the drivers in `camera` alone try again.
//! May use: `domain`, `config::model`.

mod answer;
pub mod fs;
pub mod memory;
mod none;
mod open;
mod public_url;
mod reason;
pub mod renewing;
pub mod s3;
pub mod supabase;

use std::fmt::Debug;
use std::time::Duration;

pub use open::{Identity, Limits, open, open_anew, open_origin};
pub use public_url::public_url;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::domain::class::ObjectClass;
use crate::domain::key::ObjectKey;

/// A flat store of named objects.
///
/// Every call is one attempt with one timeout and one answer. Implementations are cheap to call from
/// many tasks at once; two calls for one key are never under way together (the caller sees to it).
/// No error text ever holds a secret or a signed query.
#[async_trait]
pub trait ObjectStore: Send + Sync + Debug {
    /// Stores `body` whole under `key`, replacing what was there; a reader sees the old or the new
    /// bytes, never a mixture. When it returns `Ok`, readers can fetch it. Sends Content-Length, and the
    /// content type and Cache-Control of `class`.
    async fn put(&self, key: &ObjectKey, body: Bytes, class: ObjectClass) -> Result<(), StoreError>;

    /// The object's bytes as last stored, past any CDN.
    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError>;

    /// Removes the objects; one that is absent counts as removed. Any number of keys.
    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StoreError>;

    /// The objects whose key starts with `prefix`, which ends in `/`: all, or of very many some. Objects in folders
    /// below it may be left out (the agent has none).
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectKey>, StoreError>;

    /// Counts how often this store got new credentials: after that, what was refused is worth another try at once.
    /// `None`: it never does.
    fn renewals(&self) -> Option<watch::Receiver<u64>> {
        None
    }

    /// Viewers read through a CDN that may keep a playlist for longer than its Cache-Control says.
    fn has_slow_cdn(&self) -> bool {
        false
    }

    /// Bytes that one camera's segments may take here by now. `None`: it sets no limit.
    fn room(&self) -> Option<u64> {
        None
    }
}

/// What the caller can do about it, not where it came from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No answer, or a fault of the server's: try again with backoff. The call may have taken effect.
    #[error("storage is unavailable: {reason}")]
    Unavailable { reason: String },
    /// Too many requests: try again no sooner than `retry_after`.
    #[error("storage asks to slow down: {reason}")]
    Throttled { reason: String, retry_after: Option<Duration> },
    /// Credentials or permissions: a person must act; try again rarely.
    #[error("storage refuses access: {reason}")]
    Denied { reason: String },
    #[error("no such object")]
    NotFound,
    /// This very request can never succeed (bad name, too large, no such bucket).
    #[error("storage rejects the request: {reason}")]
    Rejected { reason: String },
}
