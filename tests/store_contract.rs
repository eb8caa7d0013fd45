//! One suite of behaviours for every store, over real HTTP where there is some; then each store's own manners
//! on the wire, and what it makes of faults.
#![allow(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]

#[path = "store_contract/backends.rs"]
mod backends;
#[path = "store_contract/faults.rs"]
mod faults;
#[path = "store_contract/s3_wire.rs"]
mod s3_wire;
#[path = "store_contract/suite.rs"]
mod suite;
#[path = "store_contract/supabase_wire.rs"]
mod supabase_wire;
mod support;

use edge_agent::config::model::{FileConfig, StoreConfig};
use edge_agent::domain::class::ObjectClass;
use edge_agent::domain::key::ObjectKey;
use edge_agent::store::fs::FileStore;
use edge_agent::store::memory::MemoryStore;
use edge_agent::store::{Limits, ObjectStore as _};

use backends::{BUCKET, s3, s3_config, small, supabase, supabase_config};
use suite::{PAGE, Subject};
use support::minio::Minio;
use support::s3s_server::{self, S3sServer};
use support::supabase_server::{self, SupabaseServer};

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite::run(&Subject { store: &MemoryStore::new(), read_by: None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_keeps_the_contract() {
    let folder = tempfile::TempDir::new().unwrap();
    let config = FileConfig { root: folder.path().into(), public_base_url: None };
    suite::run(&Subject { store: &FileStore::new(&config), read_by: None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_in_process_keeps_the_contract() {
    let server = S3sServer::start().await;
    server.create_bucket(BUCKET);
    let config = s3_config(&server.endpoint, s3s_server::ACCESS_KEY, s3s_server::SECRET_KEY);
    let store = s3(&config, small()).await;
    suite::run(&Subject { store: &store, read_by: Some(&StoreConfig::S3(config)) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_keeps_the_contract() {
    let server = Minio::start().await;
    server.create_public_bucket(BUCKET).await;
    let config = s3_config(&server.endpoint, &server.access_key, &server.secret_key);
    let store = s3(&config, small()).await;
    suite::run(&Subject { store: &store, read_by: Some(&StoreConfig::S3(config)) }).await;
}

/// What others keep in folders below is no matter of ours, and may be much.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_of_the_folder_itself_and_has_an_end() {
    let server = Minio::start().await;
    server.create_public_bucket(BUCKET).await;
    let config = s3_config(&server.endpoint, &server.access_key, &server.secret_key);
    let store = s3(&config, Limits { listed: 2 * PAGE, ..small() }).await;
    let put = async |name: String| {
        store.put(&ObjectKey::new(name), "x".into(), ObjectClass::Segment).await.unwrap();
    };
    put("l/cam/b.ts".into()).await;
    for i in 0..3 * PAGE {
        put(format!("l/cam/archive/{i}.ts")).await;
    }
    assert_eq!(store.list("l/cam/").await.unwrap(), [ObjectKey::new("l/cam/b.ts")]);
    for i in 0..4 * PAGE {
        put(format!("l/cam/c{i}.ts")).await;
    }
    let listed = store.list("l/cam/").await.unwrap().len();
    assert!((2 * PAGE..4 * PAGE).contains(&listed), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn supabase_keeps_the_contract_with_a_jwt() {
    supabase_keeps_the_contract(supabase_server::JWT_KEY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn supabase_keeps_the_contract_with_a_secret_key() {
    supabase_keeps_the_contract(supabase_server::SECRET_KEY).await;
}

async fn supabase_keeps_the_contract(key: &str) {
    let server = SupabaseServer::start().await;
    server.create_bucket(BUCKET);
    let config = supabase_config(&server.url, key);
    let store = supabase(&config, small());
    suite::run(&Subject { store: &store, read_by: Some(&StoreConfig::Supabase(config)) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_gives_the_configured_store() {
    let s3 = S3sServer::start().await;
    s3.create_bucket(BUCKET);
    let supabase = SupabaseServer::start().await;
    supabase.create_bucket(BUCKET);
    let folder = tempfile::TempDir::new().unwrap();
    for config in [
        StoreConfig::S3(s3_config(&s3.endpoint, s3s_server::ACCESS_KEY, s3s_server::SECRET_KEY)),
        StoreConfig::Supabase(supabase_config(&supabase.url, supabase_server::JWT_KEY)),
        StoreConfig::File(FileConfig { root: folder.path().into(), public_base_url: None }),
    ] {
        let store = edge_agent::store::open(&config).await.unwrap();
        let key = ObjectKey::new("l/cam/probe");
        store.put(&key, "x".into(), ObjectClass::Probe).await.unwrap();
        assert_eq!(store.list("l/cam/").await.unwrap(), [key], "{store:?}");
    }
}
