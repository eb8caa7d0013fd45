//! Stores for tests, each in front of its own server.

use std::time::Duration;

use edge_agent::config::model::{S3Config, S3Credentials, SupabaseConfig};
use edge_agent::store::Limits;
use edge_agent::store::s3::S3Store;
use edge_agent::store::supabase::SupabaseStore;

pub const BUCKET: &str = "streams";

pub fn s3_config(endpoint: &str, access_key: &str, secret_key: &str) -> S3Config {
    S3Config {
        bucket: BUCKET.into(),
        endpoint: Some(endpoint.parse().expect("a server's URL")),
        region: None,
        credentials: Some(S3Credentials {
            access_key_id: access_key.into(),
            secret_access_key: secret_key.into(),
            session_token: None,
        }),
        public_base_url: None,
    }
}

pub fn supabase_config(url: &str, key: &str) -> SupabaseConfig {
    SupabaseConfig {
        url: url.parse().expect("a server's URL"),
        bucket: BUCKET.into(),
        key: key.into(),
        public_base_url: None,
    }
}

pub async fn s3(config: &S3Config, limits: Limits) -> S3Store {
    S3Store::with_limits(config, limits).await.expect("a store of a good configuration")
}

pub fn supabase(config: &SupabaseConfig, limits: Limits) -> SupabaseStore {
    SupabaseStore::with_limits(config, limits).expect("a store of a good configuration")
}

/// Small pages and batches.
pub fn small() -> Limits {
    Limits { page: super::suite::PAGE, batch: super::suite::PAGE, ..Limits::default() }
}

/// Little patience.
pub fn hasty() -> Limits {
    let soon = Duration::from_millis(300);
    Limits { connect: soon, attempt: soon, ..Limits::default() }
}
