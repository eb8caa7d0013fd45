//! Supabase Storage by its REST API, hosted or one's own.

mod wire;

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Client, Method, RequestBuilder, redirect};
use serde_json::json;
use url::Url;

use super::answer::nothing_to_find;
use super::open::Limits;
use super::public_url::{bare, join};
use super::{ObjectStore, StoreError};
use crate::config::model::SupabaseConfig;
use crate::domain::class::ObjectClass;
use crate::domain::key::ObjectKey;
use crate::store::public_url::is_hosted_supabase;
use wire::{Credentials, Listed, Reply};

/// Not a browser's: secret keys are refused for those.
const USER_AGENT: &str = concat!("edge-agent/", env!("CARGO_PKG_VERSION"));

/// See the module.
pub struct SupabaseStore {
    client: Client,
    /// `{project}/storage/v1`.
    base: Url,
    bucket: String,
    credentials: Credentials,
    limits: Limits,
}

impl SupabaseStore {
    /// Does not talk to the store yet.
    pub fn new(config: &SupabaseConfig) -> Result<Self, StoreError> {
        Self::with_limits(config, Limits::default())
    }

    pub fn with_limits(config: &SupabaseConfig, limits: Limits) -> Result<Self, StoreError> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(limits.connect)
            .timeout(limits.attempt)
            // One connection per request under way, closed when that fails: on a shared one that died
            // silently every retry would wait in vain.
            .http1_only()
            // Followed, a redirect would carry the key to a stranger.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| wire::unsent(&error))?;
        let no_base = || StoreError::Rejected { reason: "its URL is no http(s) URL".to_owned() };
        let base = join(bare(&config.url), ["storage", "v1"]).ok_or_else(no_base)?;
        let credentials = Credentials::new(&config.key)?;
        Ok(Self { client, base, bucket: config.bucket.clone(), credentials, limits })
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url).headers(self.credentials.headers())
    }

    fn url<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Url {
        join(self.base.clone(), path).expect("the base took a path before")
    }

    fn object_url(&self, key: &ObjectKey) -> Url {
        self.url(["object", &self.bucket].into_iter().chain(key.as_str().split('/')))
    }

    async fn page(&self, prefix: &str, offset: usize) -> Result<Vec<Listed>, StoreError> {
        // Sorted, so that pages fit together.
        let query = json!({
            "prefix": prefix, "limit": self.limits.page, "offset": offset,
            "sortBy": { "column": "name", "order": "asc" },
        });
        let request = self.request(Method::POST, self.url(["object", "list", &self.bucket])).json(&query);
        Reply::of(request).await?.json().map_err(nothing_to_find)
    }
}

#[async_trait]
impl ObjectStore for SupabaseStore {
    async fn put(&self, key: &ObjectKey, body: Bytes, class: ObjectClass) -> Result<(), StoreError> {
        let request = self
            .request(Method::POST, self.object_url(key))
            .header("x-upsert", "true")
            .header(CONTENT_TYPE, class.content_type())
            .header(CACHE_CONTROL, class.cache_control())
            // For an empty body reqwest would leave it out.
            .header(CONTENT_LENGTH, body.len())
            .body(body);
        let _: wire::Stored = Reply::of(request).await?.json().map_err(nothing_to_find)?;
        Ok(())
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        // The hosted service's CDN may keep an overwritten object for a minute, unless it is asked with a
        // query that it has not seen.
        let nonce =
            getrandom::u64().map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
        let mut url = self.object_url(key);
        url.set_query(Some(&format!("cacheNonce={nonce:x}")));
        Reply::of(self.request(Method::GET, url)).await?.bytes()
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StoreError> {
        for batch in keys.chunks(self.limits.batch) {
            let names: Vec<&str> = batch.iter().map(ObjectKey::as_str).collect();
            let request = self.request(Method::DELETE, self.url(["object", &self.bucket]));
            let reply = Reply::of(request.json(&json!({ "prefixes": names }))).await?;
            // The rows that were there; absent ones are left out.
            let _: Vec<serde::de::IgnoredAny> = reply.json().map_err(nothing_to_find)?;
        }
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectKey>, StoreError> {
        let mut rows = BTreeMap::new();
        let mut offset = 0;
        loop {
            let page = self.page(prefix, offset).await?;
            offset += page.len();
            let known = rows.len();
            rows.extend(page.into_iter().map(|row| (row.name, row.id)));
            // A page may be shorter than asked for, so only one with nothing new is the last.
            if rows.len() == known || rows.len() >= self.limits.listed {
                break;
            }
        }
        // Folders have no id.
        let objects = rows.into_iter().filter(|(_, id)| id.is_some());
        Ok(objects.map(|(name, _)| ObjectKey::new(format!("{prefix}{name}"))).collect())
    }

    fn has_slow_cdn(&self) -> bool {
        is_hosted_supabase(&self.base)
    }
}

impl fmt::Debug for SupabaseStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.base.host_str().unwrap_or_default();
        f.debug_struct("SupabaseStore")
            .field("host", &host)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}
