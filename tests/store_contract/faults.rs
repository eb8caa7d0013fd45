//! What each store makes of servers that fail, refuse, hang or are not there.

use std::net::TcpListener;
use std::time::Duration;

use edge_agent::domain::class::ObjectClass;
use edge_agent::domain::key::ObjectKey;
use edge_agent::store::{Limits, ObjectStore, StoreError};

use super::backends::{BUCKET, hasty, s3, s3_config, supabase, supabase_config};
use super::support::minio::Minio;
use super::support::s3s_server::{self, S3sServer};
use super::support::scripted_http::{ScriptedHttp, response};
use super::support::supabase_server::{self, SupabaseServer};

const ACCESS_KEY: &str = "AKIA-test";
/// In no log, error or Debug.
const SECRET: &str = "hunter2-hunter2";
const TOKEN: &str = "session-hunter3";

fn key() -> ObjectKey {
    ObjectKey::new("l/cam/stream.m3u8")
}

/// Both HTTP stores in front of one server.
async fn http_stores(url: &str) -> [Box<dyn ObjectStore>; 2] {
    stores_with(url, Limits::default()).await
}

async fn stores_with(url: &str, limits: Limits) -> [Box<dyn ObjectStore>; 2] {
    let mut s3_config = s3_config(url, ACCESS_KEY, SECRET);
    s3_config.credentials.as_mut().unwrap().session_token = Some(TOKEN.into());
    let supabase_config = supabase_config(url, SECRET);
    [Box::new(s3(&s3_config, limits).await), Box::new(supabase(&supabase_config, limits))]
}

/// What every call says, put first.
async fn errors(store: &dyn ObjectStore) -> [StoreError; 4] {
    let keys = [key()];
    let errors = [
        store.put(&keys[0], "#EXTM3U".into(), ObjectClass::Playlist).await.unwrap_err(),
        store.get(&keys[0]).await.unwrap_err(),
        store.delete(&keys).await.unwrap_err(),
        store.list("l/cam/").await.unwrap_err(),
    ];
    for text in errors.iter().flat_map(|error| [error.to_string(), format!("{error:?}")]) {
        for secret in [SECRET, TOKEN, "Signature="] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.len() < 400 && !text.contains('\n'), "{text}");
    }
    errors
}

async fn assert_all(url: &str, expected: impl Fn(&StoreError) -> bool) {
    assert_all_of(http_stores(url).await, expected).await;
}

async fn assert_all_of(stores: [Box<dyn ObjectStore>; 2], expected: impl Fn(&StoreError) -> bool) {
    for store in stores {
        for error in errors(&*store).await {
            assert!(expected(&error), "{store:?}: {error:?}");
        }
    }
}

fn is_unavailable(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { .. })
}

fn is_denied(error: &StoreError) -> bool {
    matches!(error, StoreError::Denied { .. })
}

#[tokio::test]
async fn a_servers_fault_is_unavailable_and_nothing_is_asked_twice() {
    for (status, body) in [(500, ""), (502, "<html>Bad Gateway</html>"), (503, "down"), (504, "")] {
        let server = ScriptedHttp::always(status, &[], body).await;
        assert_all(&server.url, is_unavailable).await;
        assert_eq!(server.seen().len(), 8, "two stores, four calls, one attempt each");
    }
}

#[tokio::test]
async fn slow_down_says_for_how_long() {
    let body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
    let server = ScriptedHttp::always(503, &[("retry-after", "7")], body).await;
    let after = Some(Duration::from_secs(7));
    assert_all(
        &server.url,
        |error| matches!(error, StoreError::Throttled { retry_after, .. } if *retry_after == after),
    )
    .await;
    assert_eq!(server.seen().len(), 8, "one attempt each");
    let server = ScriptedHttp::always(429, &[], "").await;
    assert_all(&server.url, |error| matches!(error, StoreError::Throttled { retry_after: None, .. })).await;
}

#[tokio::test]
async fn a_block_page_is_a_persons_matter() {
    let page = "<!DOCTYPE html><html><body>Sorry, you have been blocked</body></html>";
    for status in [200, 400, 401, 403, 404] {
        let server = ScriptedHttp::always(status, &[("content-type", "text/html")], page).await;
        for store in http_stores(&server.url).await {
            let put = store.put(&key(), "x".into(), ObjectClass::Segment).await.unwrap_err();
            assert!(is_denied(&put), "{store:?}, {status}: {put:?}");
            let listed = store.list("l/").await.unwrap_err();
            assert!(is_denied(&listed), "{store:?}, {status}: {listed:?}");
            // Any bytes are an object, but a refusal must not look like an absent one.
            let got = store.get(&key()).await;
            assert!(status == 200 || got.as_ref().is_err_and(is_denied), "{store:?}, {status}: {got:?}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = ScriptedHttp::always(200, &[], "").await;
    let server = ScriptedHttp::always(307, &[("location", &elsewhere.url)], "").await;
    assert_all(&server.url, is_denied).await;
    assert_eq!(elsewhere.seen().len(), 0, "the key stays here");
}

#[tokio::test]
async fn a_server_that_hangs_costs_one_attempt() {
    let server = ScriptedHttp::start(|_| std::future::pending()).await;
    let stores = stores_with(&server.url, hasty()).await;
    let all = assert_all_of(stores, |error| error.to_string().contains("no answer in time"));
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("every call ends in time");
}

#[tokio::test]
async fn a_body_that_never_ends_costs_one_attempt() {
    let server = ScriptedHttp::start(|_| async {
        let endless = futures_util::stream::pending::<Result<&str, std::io::Error>>();
        response(200, &[("content-length", "1000")], axum::body::Body::from_stream(endless))
    })
    .await;
    for store in stores_with(&server.url, hasty()).await {
        let got = tokio::time::timeout(Duration::from_secs(10), store.get(&key())).await.expect("it ends");
        assert!(got.as_ref().is_err_and(is_unavailable), "{store:?}: {got:?}");
    }
}

#[tokio::test]
async fn nobody_at_home_is_unavailable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = |error: &StoreError| is_unavailable(error) && error.to_string().contains("refused");
    assert_all(&format!("http://127.0.0.1:{port}"), refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_denied() {
    let server = S3sServer::start().await;
    server.create_bucket(BUCKET);
    let minio = Minio::start().await;
    minio.create_public_bucket(BUCKET).await;
    for config in [
        s3_config(&server.endpoint, s3s_server::ACCESS_KEY, SECRET),
        s3_config(&server.endpoint, ACCESS_KEY, SECRET),
        s3_config(&minio.endpoint, &minio.access_key, SECRET),
        s3_config(&minio.endpoint, ACCESS_KEY, SECRET),
    ] {
        let store = s3(&config, Limits::default()).await;
        for error in errors(&store).await {
            assert!(is_denied(&error), "{error:?}");
        }
    }
    let server = SupabaseServer::start().await;
    server.create_bucket(BUCKET);
    for key in [SECRET, "sb_secret_wrong"] {
        for error in errors(&supabase(&supabase_config(&server.url, key), Limits::default())).await {
            assert!(is_denied(&error), "{error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_a_persons_matter_and_may_come_later() {
    let minio = Minio::start().await;
    let config = s3_config(&minio.endpoint, &minio.access_key, &minio.secret_key);
    let store = s3(&config, Limits::default()).await;
    for error in errors(&store).await {
        assert!(is_denied(&error) && error.to_string().contains("NoSuchBucket"), "{error:?}");
    }
    minio.create_public_bucket(BUCKET).await;
    store.put(&key(), "x".into(), ObjectClass::Playlist).await.unwrap();

    let server = SupabaseServer::start().await;
    let store = supabase(&supabase_config(&server.url, supabase_server::JWT_KEY), Limits::default());
    for error in errors(&store).await {
        assert!(is_denied(&error) && error.to_string().contains("NoSuchBucket"), "{error:?}");
    }
    server.create_bucket(BUCKET);
    store.put(&key(), "x".into(), ObjectClass::Playlist).await.unwrap();
}

#[tokio::test]
async fn stores_print_no_secrets() {
    for store in http_stores(&format!("http://user:{SECRET}@127.0.0.1:9")).await {
        let text = format!("{store:?}");
        assert!(text.contains(BUCKET), "{text}");
        for secret in [SECRET, TOKEN] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
