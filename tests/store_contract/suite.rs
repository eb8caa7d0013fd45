//! What every store does alike.

use std::collections::BTreeSet;

use bytes::Bytes;
use edge_agent::config::model::StoreConfig;
use edge_agent::domain::class::ObjectClass;
use edge_agent::domain::key::ObjectKey;
use edge_agent::store::{ObjectStore, StoreError, public_url};

/// Small pages and batches, so that a handful of objects fills several.
pub const PAGE: usize = 3;

/// One store and what its readers see of it.
pub struct Subject<'a> {
    pub store: &'a dyn ObjectStore,
    /// `Some`: readers fetch over HTTP, without a key, at the public URL.
    pub read_by: Option<&'a StoreConfig>,
}

/// All behaviours, each in a folder of its own.
pub async fn run(subject: &Subject<'_>) {
    let store = subject.store;
    what_was_put_is_got(store).await;
    a_put_replaces(store).await;
    a_megabyte_of_any_bytes_fits(store).await;
    an_empty_object_is_one(store).await;
    an_absent_object_is_not_found(store).await;
    an_empty_folder_lists_nothing(store).await;
    a_listing_is_whole(store).await;
    a_folder_is_not_a_prefix_of_another(store).await;
    absent_objects_count_as_deleted(store).await;
    many_objects_are_deleted_at_once(store).await;
    different_objects_are_put_at_once(store).await;
    a_reader_sees_no_mixture(store).await;
    if let Some(config) = subject.read_by {
        readers_see_the_headers_of_the_class(store, config).await;
    }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name)
}

async fn put(store: &dyn ObjectStore, name: &str, body: impl Into<Bytes>) {
    let put = store.put(&key(name), body.into(), ObjectClass::Segment).await;
    put.unwrap_or_else(|error| panic!("put {name}: {error}"));
}

async fn listed(store: &dyn ObjectStore, prefix: &str) -> Vec<String> {
    let mut keys = store.list(prefix).await.unwrap_or_else(|error| panic!("list {prefix}: {error}"));
    keys.sort();
    keys.iter().map(ToString::to_string).collect()
}

async fn what_was_put_is_got(store: &dyn ObjectStore) {
    put(store, "trip/cam/a.ts", "hello").await;
    assert_eq!(store.get(&key("trip/cam/a.ts")).await.unwrap(), "hello");
}

async fn a_put_replaces(store: &dyn ObjectStore) {
    for body in ["a long first body", "short"] {
        put(store, "replace/stream.m3u8", body).await;
        assert_eq!(store.get(&key("replace/stream.m3u8")).await.unwrap(), body);
    }
    assert_eq!(listed(store, "replace/").await, ["replace/stream.m3u8"]);
}

async fn a_megabyte_of_any_bytes_fits(store: &dyn ObjectStore) {
    let body: Bytes = (0..1_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    put(store, "binary/a.ts", body.clone()).await;
    assert!(store.get(&key("binary/a.ts")).await.unwrap() == body, "a megabyte comes back as it went");
}

async fn an_empty_object_is_one(store: &dyn ObjectStore) {
    put(store, "empty/a.ts", "").await;
    assert_eq!(store.get(&key("empty/a.ts")).await.unwrap(), "");
}

async fn an_absent_object_is_not_found(store: &dyn ObjectStore) {
    put(store, "absent/a.ts", "x").await;
    for name in ["absent/b.ts", "nowhere/at/all.ts"] {
        assert_eq!(store.get(&key(name)).await, Err(StoreError::NotFound), "{name}");
    }
}

async fn an_empty_folder_lists_nothing(store: &dyn ObjectStore) {
    assert_eq!(listed(store, "never/used/").await, [""; 0]);
}

async fn a_listing_is_whole(store: &dyn ObjectStore) {
    // Over several pages, and the last one is full.
    let names: Vec<String> = (0..3 * PAGE).map(|i| format!("list/cam/segment_{i:06}.ts")).collect();
    for name in &names {
        put(store, name, "x").await;
    }
    assert_eq!(listed(store, "list/cam/").await, names);
}

async fn a_folder_is_not_a_prefix_of_another(store: &dyn ObjectStore) {
    put(store, "near/cam_1/a.ts", "x").await;
    put(store, "near/cam_10/a.ts", "x").await;
    assert_eq!(listed(store, "near/cam_1/").await, ["near/cam_1/a.ts"]);
}

async fn absent_objects_count_as_deleted(store: &dyn ObjectStore) {
    put(store, "delete/a.ts", "x").await;
    put(store, "delete/b.ts", "x").await;
    let gone = [key("delete/a.ts"), key("delete/never.ts"), key("nowhere/at/all.ts")];
    for _ in 0..2 {
        store.delete(&gone).await.unwrap();
        assert_eq!(listed(store, "delete/").await, ["delete/b.ts"]);
    }
    store.delete(&[]).await.unwrap();
    assert_eq!(store.get(&key("delete/a.ts")).await, Err(StoreError::NotFound));
}

async fn many_objects_are_deleted_at_once(store: &dyn ObjectStore) {
    let keys: Vec<_> = (0..2 * PAGE + 1).map(|i| key(&format!("many/{i}.ts"))).collect();
    for key in &keys {
        put(store, key.as_str(), "x").await;
    }
    store.delete(&keys).await.unwrap();
    assert_eq!(listed(store, "many/").await, [""; 0]);
}

async fn different_objects_are_put_at_once(store: &dyn ObjectStore) {
    let names: Vec<String> = (0..16).map(|i| format!("parallel/new/folder/{i:02}.ts")).collect();
    let puts = names.iter().map(|name| put(store, name, name.clone()));
    futures_util::future::join_all(puts).await;
    for name in &names {
        assert_eq!(store.get(&key(name)).await.unwrap(), *name);
    }
}

async fn a_reader_sees_no_mixture(store: &dyn ObjectStore) {
    let body = |letter: u8| Bytes::from(vec![letter; 300_000 + usize::from(letter)]);
    put(store, "whole/stream.m3u8", body(b'a')).await;
    let write = async {
        for letter in b'b'..=b'k' {
            put(store, "whole/stream.m3u8", body(letter)).await;
        }
    };
    let read = async {
        let mut versions = BTreeSet::new();
        while !versions.contains(&b'k') {
            let got = store.get(&key("whole/stream.m3u8")).await.expect("an object being replaced is there");
            assert!(got == body(got[0]), "{} bytes, first {:?}", got.len(), got[0]);
            versions.insert(got[0]);
        }
    };
    tokio::join!(write, read);
}

async fn readers_see_the_headers_of_the_class(store: &dyn ObjectStore, config: &StoreConfig) {
    for (name, class) in [
        ("public/cam/stream.m3u8", ObjectClass::Playlist),
        ("public/cam/a.ts", ObjectClass::Segment),
        ("public/cam/snapshot.jpg", ObjectClass::Snapshot),
        ("public/cam/status.json", ObjectClass::Sheet),
        ("public/cam/a.m4s", ObjectClass::Fmp4),
        ("public/probe", ObjectClass::Probe),
    ] {
        store.put(&key(name), name.into(), class).await.unwrap();
        let url = public_url(config, &key(name)).expect("the store has public URLs");
        let answer = reqwest::get(url.clone()).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(answer.status(), 200, "{url}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), class.content_type(), "{url}");
        assert_eq!(header("cache-control"), class.cache_control(), "{url}");
        assert_eq!(answer.text().await.unwrap(), name);
    }
}
