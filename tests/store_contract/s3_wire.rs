//! What S3 calls look like on the wire.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use axum::http::Method;
use axum::response::Response;
use edge_agent::domain::class::ObjectClass;
use edge_agent::domain::key::ObjectKey;
use edge_agent::store::s3::S3Store;
use edge_agent::store::{Limits, ObjectStore, StoreError};

use super::backends::{s3, s3_config};
use super::support::scripted_http::{ScriptedHttp, Seen, response};

async fn store_at(url: &str) -> S3Store {
    s3(&s3_config(url, "access", "secret"), Limits::default()).await
}

fn keys(count: usize) -> Vec<ObjectKey> {
    (0..count).map(|i| ObjectKey::new(format!("l/cam/{i}.ts"))).collect()
}

async fn put(store: &S3Store) -> Result<(), StoreError> {
    store.put(&ObjectKey::new("l/cam/a.ts"), "body".into(), ObjectClass::Segment).await
}

fn stored() -> Response {
    response(200, &[("etag", "\"0\"")], "")
}

#[tokio::test]
async fn a_put_is_one_plain_request_on_a_kept_connection() {
    let server = ScriptedHttp::start(|_| async { stored() }).await;
    let store = store_at(&server.url).await;
    for _ in 0..5 {
        put(&store).await.unwrap();
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 5);
    assert_eq!(seen.iter().map(|s| s.peer).collect::<BTreeSet<_>>().len(), 1, "one connection");
    let first = &seen[0];
    assert_eq!((&first.method, first.body.as_ref()), (&Method::PUT, b"body".as_slice()));
    assert_eq!(first.target.split('?').next(), Some("/streams/l/cam/a.ts"));
    assert_eq!(first.header("content-length"), Some("4"));
    assert_eq!(first.header("content-type"), Some("video/mp2t"));
    assert_eq!(first.header("cache-control"), Some("public, max-age=31536000, immutable"));
    // A round trip more, and headers that some stores refuse.
    for absent in ["expect", "transfer-encoding", "content-encoding", "x-amz-trailer", "x-amz-acl"] {
        assert_eq!(first.header(absent), None, "{absent}");
    }
    let checksums = first.headers.keys().filter(|name| name.as_str().contains("checksum")).count();
    assert_eq!(checksums, 0, "{:?}", first.headers);
}

#[tokio::test]
async fn an_endpoint_may_have_a_path() {
    let server = ScriptedHttp::start(|_| async { stored() }).await;
    for path in ["/storage/v1/s3", "/storage/v1/s3/"] {
        put(&store_at(&format!("{}{path}", server.url)).await).await.unwrap();
    }
    for request in server.seen() {
        assert_eq!(request.target.split('?').next(), Some("/storage/v1/s3/streams/l/cam/a.ts"));
    }
}

#[tokio::test]
async fn many_deletes_go_in_batches_of_a_thousand() {
    let server = ScriptedHttp::always(200, &[], "<DeleteResult></DeleteResult>").await;
    store_at(&server.url).await.delete(&keys(2500)).await.unwrap();
    let counts: Vec<usize> = server.seen().iter().map(|s| text(s).matches("<Key>").count()).collect();
    assert_eq!(counts, [1000, 1000, 500]);
    assert!(server.seen().iter().all(|s| s.method == Method::POST && s.target.contains("delete")));
}

fn text(seen: &Seen) -> String {
    String::from_utf8(seen.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_store_without_batches_gets_single_deletes_from_then_on() {
    for status in [400, 501] {
        let server = ScriptedHttp::start(move |seen| async move {
            match seen.method {
                Method::POST => {
                    response(status, &[], "<Error><Code>NotImplemented</Code><Message>no</Message></Error>")
                }
                // One of them is gone already.
                _ if seen.target.contains("/1.ts") => {
                    response(404, &[], "<Error><Code>NoSuchKey</Code></Error>")
                }
                _ => response(204, &[], ""),
            }
        })
        .await;
        let store = store_at(&server.url).await;
        store.delete(&keys(3)).await.unwrap();
        store.delete(&keys(2)).await.unwrap();
        let methods: Vec<_> = server.seen().into_iter().map(|s| s.method).collect();
        assert_eq!(methods.iter().filter(|m| *m == Method::POST).count(), 1, "asked once, then remembered");
        assert_eq!(methods.iter().filter(|m| *m == Method::DELETE).count(), 5);
    }
}

#[tokio::test]
async fn an_expired_token_does_not_end_batches() {
    let body = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>";
    let server = ScriptedHttp::always(400, &[], body).await;
    let error = store_at(&server.url).await.delete(&keys(3)).await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_key_that_a_batch_could_not_delete_is_an_error() {
    let body = "<DeleteResult><Error><Key>l/cam/0.ts</Key><Code>NoSuchKey</Code></Error>\
                <Error><Key>l/cam/1.ts</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>\
                </DeleteResult>";
    let server = ScriptedHttp::always(200, &[], body).await;
    let error = store_at(&server.url).await.delete(&keys(3)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Denied { reason } if reason.contains("l/cam/1.ts")), "{error:?}");
}

/// The server's clock is an hour ahead; it takes what is signed within five minutes of it.
#[tokio::test]
async fn a_wrong_clock_is_corrected_by_the_next_attempt() {
    let refusals = Arc::new(AtomicUsize::new(0));
    let count = refusals.clone();
    let server = ScriptedHttp::start(move |seen| {
        let answer = hour_ahead(&seen);
        count.fetch_add(usize::from(answer.status() == 403), Ordering::Relaxed);
        std::future::ready(answer)
    })
    .await;
    let store = store_at(&server.url).await;
    let first = put(&store).await.unwrap_err();
    assert!(
        matches!(&first, StoreError::Unavailable { reason } if reason.contains("RequestTimeTooSkewed")),
        "{first:?}"
    );
    for _ in 0..3 {
        put(&store).await.unwrap();
    }
    assert_eq!(refusals.load(Ordering::Relaxed), 1, "learnt from one refusal");
}

fn hour_ahead(seen: &Seen) -> Response {
    #[expect(clippy::disallowed_methods, reason = "a server reads its own clock")]
    let now = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    // `Fri, 02 Jan 2026 03:04:05 GMT` and `20260102T030405Z`: the time of day is all that matters here.
    let server = second_of_day(&now[17..25].replace(':', ""));
    let signed = second_of_day(&seen.header("x-amz-date").expect("a signed request")[9..15]);
    let apart = server.abs_diff(signed);
    if apart.min(24 * 3600 - apart) < 300 {
        return response(200, &[("etag", "\"0\""), ("date", &now)], "");
    }
    let body = "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and \
                the current time is too large.</Message></Error>";
    response(403, &[("date", &now)], body)
}

fn second_of_day(hhmmss: &str) -> u32 {
    let number: u32 = hhmmss.parse().expect("six digits");
    number / 10_000 * 3600 + number / 100 % 100 * 60 + number % 100
}
