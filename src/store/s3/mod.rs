//! Any S3: AWS, MinIO, R2, B2, Garage, Supabase's S3 endpoint.

mod client;
mod errors;

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::answer::{Answer, nothing_to_find};
use super::open::{Identity, Limits};
use super::reason::chain;
use super::{ObjectStore, StoreError};
use crate::config::model::S3Config;
use crate::domain::class::ObjectClass;
use crate::domain::key::ObjectKey;
use crate::store::public_url::is_hosted_supabase;
use errors::{from_sdk, is_batch_refusal};

/// Single DELETEs under way at once, where a store takes no batches.
const SINGLE_DELETES: usize = 8;

/// See the module.
pub struct S3Store {
    client: Client,
    bucket: String,
    limits: Limits,
    /// This store takes no DeleteObjects: learnt from its first refusal.
    no_batches: AtomicBool,
    has_slow_cdn: bool,
}

impl S3Store {
    /// Finds region and credentials; does not talk to the store yet.
    pub async fn connect(config: &S3Config) -> Result<Self, StoreError> {
        Self::with_limits(config, Limits::default()).await
    }

    /// As [`Self::connect`], and says with which credentials.
    pub(super) async fn connect_anew(config: &S3Config) -> Result<(Self, Identity), StoreError> {
        let limits = Limits::default();
        let (sdk, identity) = client::sdk_config_and_identity(config, &limits).await?;
        Ok((Self::of(config, limits, sdk), identity))
    }

    pub async fn with_limits(config: &S3Config, limits: Limits) -> Result<Self, StoreError> {
        Ok(Self::of(config, limits, client::sdk_config(config, &limits).await?))
    }

    fn of(config: &S3Config, limits: Limits, sdk: aws_sdk_s3::Config) -> Self {
        let client = Client::from_conf(sdk);
        let has_slow_cdn = config.endpoint.as_ref().is_some_and(is_hosted_supabase);
        Self {
            client,
            bucket: config.bucket.clone(),
            limits,
            no_batches: AtomicBool::new(false),
            has_slow_cdn,
        }
    }

    async fn delete_batch(&self, keys: &[ObjectKey]) -> Result<(), StoreError> {
        if self.no_batches.load(Ordering::Relaxed) {
            return self.delete_singly(keys).await;
        }
        let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(key.as_str()).build());
        let objects = objects.collect::<Result<Vec<_>, _>>().map_err(|error| unbuildable(&error))?;
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let delete = delete.map_err(|error| unbuildable(&error))?;
        match self.client.delete_objects().bucket(&self.bucket).delete(delete).send().await {
            Ok(answer) => refused_keys(answer.errors()),
            Err(error) if is_batch_refusal(&error) => {
                self.delete_singly(keys).await?;
                // Only now is it sure that the batch was what it did not like.
                self.no_batches.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => Err(nothing_to_find(from_sdk(error))),
        }
    }

    async fn delete_singly(&self, keys: &[ObjectKey]) -> Result<(), StoreError> {
        let one = async |key: &ObjectKey| {
            let sent = self.client.delete_object().bucket(&self.bucket).key(key.as_str()).send();
            match sent.await.map_err(from_sdk) {
                Ok(_) | Err(StoreError::NotFound) => Ok(()),
                Err(error) => Err(error),
            }
        };
        stream::iter(keys).map(one).buffer_unordered(SINGLE_DELETES).try_collect().await
    }

    async fn page(&self, prefix: &str, token: Option<String>) -> Result<Page, StoreError> {
        let page = i32::try_from(self.limits.page).unwrap_or(i32::MAX);
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(page);
        // What others keep in folders below is no matter of ours, and may be much.
        let request = request.delimiter("/");
        let sent = request.set_continuation_token(token).send();
        let answer = sent.await.map_err(|error| nothing_to_find(from_sdk(error)))?;
        let keys = answer.contents().iter().filter_map(|object| object.key()).map(ObjectKey::new).collect();
        let more = answer.is_truncated() == Some(true);
        Ok(Page { keys, next: answer.next_continuation_token.filter(|_| more) })
    }
}

struct Page {
    keys: Vec<ObjectKey>,
    next: Option<String>,
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn put(&self, key: &ObjectKey, body: Bytes, class: ObjectClass) -> Result<(), StoreError> {
        let request = self.client.put_object().bucket(&self.bucket).key(key.as_str());
        let request = request.content_type(class.content_type()).cache_control(class.cache_control());
        // No ACL: many stores refuse the header.
        let sent = request.content_length(body.len() as i64).body(ByteStream::from(body)).send();
        let answer = sent.await.map_err(|error| nothing_to_find(from_sdk(error)))?;
        if answer.e_tag().is_none() {
            // A captive portal says 200 to everything.
            let answer = Answer { status: 200, foreign: true, ..Answer::default() };
            return Err(answer.into_error());
        }
        Ok(())
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        let whole = async {
            let sent = self.client.get_object().bucket(&self.bucket).key(key.as_str()).send();
            let body = sent.await.map_err(from_sdk)?.body.collect().await;
            let broken = |error| StoreError::Unavailable { reason: chain(&error) };
            Ok(body.map_err(broken)?.into_bytes())
        };
        // The SDK's limit ends with the headers; this one holds for the body too. A second longer, as the
        // SDK's also closes the connection.
        let limit = self.limits.attempt + Duration::from_secs(1);
        tokio::time::timeout(limit, Box::pin(whole)).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable { reason: format!("no whole answer within {limit:?}") })
        })
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StoreError> {
        for batch in keys.chunks(self.limits.batch) {
            self.delete_batch(batch).await?;
        }
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectKey>, StoreError> {
        let (mut keys, mut token, mut seen) = (Vec::new(), None, HashSet::new());
        loop {
            let page = self.page(prefix, token).await?;
            keys.extend(page.keys);
            match page.next {
                _ if keys.len() >= self.limits.listed => return Ok(keys),
                None => return Ok(keys),
                Some(next) if seen.insert(next.clone()) => token = Some(next),
                Some(_) => {
                    let reason = "the listing runs in a circle".to_owned();
                    return Err(StoreError::Unavailable { reason });
                }
            }
        }
    }

    fn has_slow_cdn(&self) -> bool {
        self.has_slow_cdn
    }
}

/// A DeleteObjects that answers 200 may still have failed for some keys.
fn refused_keys(errors: &[aws_sdk_s3::types::Error]) -> Result<(), StoreError> {
    let Some(first) = errors.iter().find(|error| error.code() != Some("NoSuchKey")) else { return Ok(()) };
    let message = first.message().unwrap_or_default();
    let message = format!("{} of a batch not deleted, first {:?}: {message}", errors.len(), first.key());
    // What the code doesn't tell may pass.
    let answer = Answer {
        status: 500,
        code: first.code().map(Into::into),
        message: Some(message),
        ..Answer::default()
    };
    Err(answer.into_error())
}

fn unbuildable(error: &BuildError) -> StoreError {
    StoreError::Rejected { reason: chain(error) }
}

/// The SDK's own would print its whole configuration.
impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}
