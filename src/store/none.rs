//! `storage.type: none`: the video stays on this box. Nothing is ever put here; whoever asks whether it answers is told
//! that it does.

use async_trait::async_trait;
use bytes::Bytes;

use super::{ObjectStore, StoreError};
use crate::domain::class::ObjectClass;
use crate::domain::key::ObjectKey;

#[derive(Debug)]
pub struct NoStore;

#[async_trait]
impl ObjectStore for NoStore {
    async fn put(&self, _: &ObjectKey, _: Bytes, _: ObjectClass) -> Result<(), StoreError> {
        Err(StoreError::Rejected { reason: "there is no storage (type: none)".into() })
    }

    async fn get(&self, _: &ObjectKey) -> Result<Bytes, StoreError> {
        Err(StoreError::NotFound)
    }

    async fn delete(&self, _: &[ObjectKey]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn list(&self, _: &str) -> Result<Vec<ObjectKey>, StoreError> {
        Ok(Vec::new())
    }
}
