//! What Supabase calls look like on the wire.

use std::collections::BTreeSet;

use axum::http::Method;
use edge_agent::domain::class::ObjectClass;
use edge_agent::domain::key::ObjectKey;
use edge_agent::store::supabase::SupabaseStore;
use edge_agent::store::{Limits, ObjectStore};

use super::backends::{small, supabase, supabase_config};
use super::suite::PAGE;
use super::support::scripted_http::{ScriptedHttp, response};
use super::support::supabase_server::{JWT_KEY, SECRET_KEY};

fn store_at(url: &str, key: &str, limits: Limits) -> SupabaseStore {
    supabase(&supabase_config(url, key), limits)
}

async fn yes() -> ScriptedHttp {
    ScriptedHttp::always(200, &[], r#"{"Key":"streams/l/cam/stream.m3u8","Id":"1"}"#).await
}

async fn put(store: &SupabaseStore, body: &'static str) {
    store.put(&ObjectKey::new("l/cam/stream.m3u8"), body.into(), ObjectClass::Playlist).await.unwrap();
}

#[tokio::test]
async fn a_put_is_one_plain_request_on_a_kept_connection() {
    let server = yes().await;
    let store = store_at(&server.url, JWT_KEY, Limits::default());
    for _ in 0..5 {
        put(&store, "#EXTM3U").await;
    }
    put(&store, "").await;
    let seen = server.seen();
    assert_eq!(seen.iter().map(|s| s.peer).collect::<BTreeSet<_>>().len(), 1, "one connection");
    let first = &seen[0];
    assert_eq!(first.method, Method::POST);
    assert_eq!(first.target, "/storage/v1/object/streams/l/cam/stream.m3u8");
    assert_eq!(first.header("x-upsert"), Some("true"));
    assert_eq!(first.header("content-type"), Some("application/vnd.apple.mpegurl"));
    assert_eq!(first.header("cache-control"), Some("no-cache, no-store, must-revalidate"));
    assert_eq!(first.header("content-length"), Some("7"));
    assert_eq!(first.header("expect"), None);
    assert_eq!(seen[5].header("content-length"), Some("0"), "of an empty body too");
}

#[tokio::test]
async fn a_secret_key_is_no_bearer() {
    for (key, bearer) in [(JWT_KEY, Some(format!("Bearer {JWT_KEY}"))), (SECRET_KEY, None)] {
        let server = yes().await;
        put(&store_at(&server.url, key, Limits::default()), "x").await;
        let seen = &server.seen()[0];
        assert_eq!(seen.header("apikey"), Some(key));
        assert_eq!(seen.header("authorization"), bearer.as_deref());
        assert!(!seen.header("user-agent").unwrap().contains("Mozilla"));
    }
}

#[tokio::test]
async fn no_two_reads_have_the_same_url() {
    let server = yes().await;
    let store = store_at(&server.url, JWT_KEY, Limits::default());
    for _ in 0..3 {
        store.get(&ObjectKey::new("l/cam/stream.m3u8")).await.unwrap();
    }
    let targets: BTreeSet<_> = server.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets.len(), 3, "{targets:?}");
}

/// One that gives fewer rows than it was asked for, and one that knows no offset.
#[tokio::test]
async fn a_listing_ends_when_nothing_new_comes() {
    let rows = ["a.ts", "b.ts", "folder", "c.ts", "d.ts"];
    for (page, knows_offset) in [(2, true), (PAGE, true), (5, false)] {
        let server = ScriptedHttp::start(move |seen| async move {
            let query: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
            let offset = if knows_offset { query["offset"].as_u64().unwrap() as usize } else { 0 };
            let rows = rows.iter().skip(offset).take(page);
            let row = |name: &&str| serde_json::json!({ "name": name, "id": name.strip_suffix(".ts") });
            response(200, &[], serde_json::Value::from_iter(rows.map(row)).to_string())
        })
        .await;
        let keys = store_at(&server.url, JWT_KEY, small()).list("l/cam/").await.unwrap();
        let names: Vec<_> = keys.iter().map(ObjectKey::as_str).collect();
        assert_eq!(names, ["l/cam/a.ts", "l/cam/b.ts", "l/cam/c.ts", "l/cam/d.ts"], "{page}");
    }
}
