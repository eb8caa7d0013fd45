//! The fault proxy before a real MinIO, asked by the SDK.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;

use crate::support::fault_proxy::{Canned, Fault, FaultProxy, Kind};
use crate::support::minio::Minio;
use crate::support::wait::until;

const BUCKET: &str = "streams";
const KEY: &str = "l/cam/stream.m3u8";
/// With a store that hangs; a busy machine is not one.
const PATIENCE: Duration = Duration::from_secs(8);
const SLOW_DOWN: Canned =
    Canned { status: 503, headers: &[("retry-after", "2")], body: "<Error><Code>SlowDown</Code></Error>" };

fn client(minio: &Minio, endpoint: &str) -> Client {
    let patience = TimeoutConfig::builder().operation_attempt_timeout(PATIENCE).build();
    let config = minio.client().config().to_builder();
    let config = config.endpoint_url(endpoint).retry_config(RetryConfig::disabled());
    Client::from_conf(config.timeout_config(patience).build())
}

async fn put(client: &Client, body: &'static str) -> Result<(), String> {
    let sent = client.put_object().bucket(BUCKET).key(KEY).body(ByteStream::from_static(body.as_bytes()));
    sent.send().await.map(drop).map_err(|error| format!("{error:?}"))
}

async fn get(client: &Client) -> Result<Vec<u8>, String> {
    let got = client.get_object().bucket(BUCKET).key(KEY).send().await.map_err(|e| format!("{e:?}"))?;
    Ok(got.body.collect().await.map_err(|error| format!("{error:?}"))?.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_shows_and_ends() {
    let minio = Minio::start().await;
    minio.create_public_bucket(BUCKET).await;
    let proxy = FaultProxy::start(&minio.endpoint).await;
    let (direct, through) = (client(&minio, &minio.endpoint), client(&minio, &proxy.http()));
    put(&through, "first").await.unwrap();
    assert_eq!(get(&direct).await.unwrap(), b"first", "it goes through, signature and all");

    for (fault, says, stored) in [
        (Fault::Refuse, "ConnectionRefused", false),
        (Fault::Reset, "Io", false),
        (Fault::CutRequest, "Io", false),
        (Fault::CutAnswer, "Io", true),
        (Fault::LoseAnswer, "Io", true),
        (Fault::Hang, "Timeout", false),
        (Fault::Answer(SLOW_DOWN), "SlowDown", false),
    ] {
        put(&through, "before").await.unwrap();
        proxy.set(fault.clone()).await;
        let failed = put(&through, "meanwhile").await.unwrap_err();
        assert!(failed.contains(says), "{fault:?}: {failed}");
        let expected: &[u8] = if stored { b"meanwhile" } else { b"before" };
        assert_eq!(get(&direct).await.unwrap(), expected, "{fault:?}");
        proxy.set(Fault::None).await;
    }
    put(&through, "last").await.unwrap();
    assert_eq!(get(&through).await.unwrap(), b"last");
    proxy.set(Fault::StaleReads { versions: 2 }).await;
    assert_eq!(get(&through).await.unwrap(), b"before", "two versions before the last");
    assert_eq!(get(&direct).await.unwrap(), b"last");
    let counts = proxy.counts();
    assert_eq!((counts.of(Kind::ReadPlaylist), counts.of(Kind::List)), (2, 0), "{counts:?}");
    assert_eq!(counts.of(Kind::PutPlaylist), 1 + 2 * 7 - 1 + 1, "all but the refused one: {counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_speaks_tls_with_a_certificate_that_can_be_swapped() {
    let minio = Minio::start().await;
    let proxy = FaultProxy::start(&minio.endpoint).await;
    let pem = std::fs::read(proxy.certificate()).unwrap();
    let trusted = reqwest::Certificate::from_pem(&pem).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .tls_certs_only([trusted])
        .build()
        .unwrap();
    let url = format!("{}/minio/health/live", proxy.https());
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    proxy.set(Fault::WrongCertificate).await;
    let failed = format!("{:?}", client.get(&url).send().await.unwrap_err());
    assert!(failed.contains("certificate") || failed.contains("Certificate"), "{failed}");
    let counted = async || (proxy.counts().of(Kind::Connection) > 0).then_some(());
    until(Duration::from_secs(5), "the connection without a request", counted, || "").await;
    proxy.set(Fault::None).await;
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
}

/// With one thread the proxy's task has not begun by then.
#[tokio::test]
async fn a_fault_may_be_set_before_the_proxy_runs() {
    let proxy = FaultProxy::start("http://127.0.0.1:9").await;
    proxy.set(Fault::Hang).await;
    proxy.set(Fault::None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_link_is_shared() {
    let minio = Minio::start().await;
    minio.create_public_bucket(BUCKET).await;
    let proxy = FaultProxy::start(&minio.endpoint).await;
    let client = client(&minio, &proxy.http());
    // Two of some 100 kB at 20 kB/s: neither is there within its 2 s.
    proxy.set(Fault::Slow { bytes_per_s: 20_000 }).await;
    let body: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
    let both = futures_util::future::join(Box::pin(put(&client, body)), Box::pin(put(&client, body))).await;
    assert!(both.0.is_err() && both.1.is_err(), "{both:?}");
    proxy.set(Fault::None).await;
    put(&client, body).await.unwrap();
}
