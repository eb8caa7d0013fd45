//! The storage as the agent and the viewers use it: put, get, list, public read, delete.

use std::time::Duration;

use bytes::Bytes;

use super::{Report, viewers};
use crate::clock;
use crate::config::model::{Camera, Config, StoreConfig};
use crate::domain::class::ObjectClass;
use crate::domain::key::ObjectKey;
use crate::domain::segment::SegmentType;
use crate::store::{self, ObjectStore, StoreError};

/// The round trip of one scratch object, and whether what these cameras need may be put.
pub(super) async fn check(config: &Config, cameras: &[&Camera], report: &mut Report) {
    if matches!(config.store, StoreConfig::None) {
        return report.skip("storage", "none: the video stays on this box, and its web server has it");
    }
    let store = match store::open(&config.store).await {
        Ok(store) => store,
        Err(error) => return report.fail("storage", error.to_string(), mend(&config.store, &error)),
    };
    let folder = format!("{}/", config.location);
    let name = format!("{folder}edge-agent-check-{:x}", clock::wall_ms());
    let key = ObjectKey::new(format!("{name}.ts"));
    let body = Bytes::from(format!("edge-agent check {key}"));
    let mut fail = |report: &mut Report, what: &str, error: &StoreError| {
        report.fail(&format!("storage {what}"), error.to_string(), mend(&config.store, error));
    };
    if let Err(error) = within(store.put(&key, body.clone(), ObjectClass::Probe)).await {
        return fail(report, "put", &error);
    }
    report.pass("storage put", key.as_str());
    types(config, &*store, &name, cameras, report).await;
    match within(store.get(&key)).await {
        Ok(read) if read == body => report.pass("storage get", "the bytes come back"),
        Ok(_) => {
            report.fail("storage get", "other bytes come back", "is another agent's check running right now?")
        }
        Err(error) => fail(report, "get", &error),
    }
    match within(store.list(&folder)).await {
        Ok(keys) if keys.contains(&key) => report.pass("storage list", "the object is listed"),
        Ok(_) => report.fail(
            "storage list",
            "the object is not listed",
            "the storage lists stale data: the start-up sweep may leave objects behind",
        ),
        Err(error) => fail(report, "list", &error),
    }
    if viewers::check(config, &key, &body, report).await
        && cameras.iter().any(|c| c.settings.sub_second.is_some())
    {
        viewers::check_parts(config, &*store, &name, report).await;
    }
    delete(&*store, &key, &mut fail, report).await;
}

/// What the cameras' objects are, besides transport streams, and a name's ending for each.
fn classes(cameras: &[&Camera]) -> Vec<(ObjectClass, &'static str)> {
    let any = |wants: fn(&Camera) -> bool| cameras.iter().any(|camera| wants(camera));
    let mut classes = vec![(ObjectClass::Playlist, "m3u8"), (ObjectClass::Sheet, "json")];
    if any(|camera| camera.settings.segment_type == SegmentType::Fmp4) {
        classes.push((ObjectClass::Fmp4, "mp4"));
    }
    if any(|camera| camera.settings.snapshot_interval.is_some()) {
        classes.push((ObjectClass::Snapshot, "jpg"));
    }
    classes
}

/// A bucket may have a list of what it takes.
async fn types(
    config: &Config,
    store: &dyn ObjectStore,
    name: &str,
    cameras: &[&Camera],
    report: &mut Report,
) {
    const MEND: &str = "put this content type on the bucket's list of MIME types, or empty the list";
    let (mut keys, mut taken) = (Vec::new(), Vec::new());
    for (class, ending) in classes(cameras) {
        // Of another name each: some stores take one write a second of a name.
        let key = ObjectKey::new(format!("{name}.{ending}"));
        let put = within(store.put(&key, Bytes::from_static(b"edge-agent check"), class)).await;
        keys.push(key);
        let what = format!("storage put {}", class.content_type());
        match put {
            Ok(()) => taken.push(class.content_type()),
            Err(error @ StoreError::Denied { .. }) if class.is_of_the_stream() => {
                report.fail(&what, error.to_string(), MEND);
            }
            Err(error @ StoreError::Denied { .. }) => report.warn(&what, error.to_string(), MEND),
            Err(error) => report.fail(&what, error.to_string(), mend(&config.store, &error)),
        }
    }
    if !taken.is_empty() {
        report.pass("storage content types", taken.join(", "));
    }
    // What can't be deleted is told of the first object.
    let _ = within(store.delete(&keys)).await;
}

/// A store's own limit is that of a large segment over a slow uplink.
pub(super) async fn within<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = || StoreError::Unavailable { reason: format!("no answer in {} s", CALL_PATIENCE.as_secs()) };
    tokio::time::timeout(CALL_PATIENCE, call).await.unwrap_or_else(|_| Err(late()))
}

async fn delete(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    fail: &mut impl FnMut(&mut Report, &str, &StoreError),
    report: &mut Report,
) {
    if let Err(error) = within(store.delete(std::slice::from_ref(key))).await {
        return fail(report, "delete", &error);
    }
    match within(store.get(key)).await {
        Err(StoreError::NotFound) => report.pass("storage delete", "the object is gone"),
        Ok(_) => report.fail(
            "storage delete",
            "the object is still there",
            "grant deletion to the key; on B2, let the bucket drop hidden versions after a day",
        ),
        Err(error) => fail(report, "get after delete", &error),
    }
}

const CALL_PATIENCE: Duration = Duration::from_secs(30);

fn mend(store: &StoreConfig, error: &StoreError) -> &'static str {
    match (error, store) {
        (StoreError::Denied { .. }, StoreConfig::Supabase(_)) => {
            "check SUPABASE_KEY (the service role or an sb_secret_ key) and that the bucket exists"
        }
        (StoreError::Denied { .. }, StoreConfig::S3(_)) => {
            "check the credentials, that the bucket exists, and that they may put, get, list and delete in it"
        }
        (StoreError::Denied { .. }, StoreConfig::File(_) | StoreConfig::None) => {
            "let this user write to the folder"
        }
        (StoreError::Unavailable { .. } | StoreError::Throttled { .. }, _) => {
            "check the endpoint or URL, the network, and that the service is up; then try again"
        }
        (StoreError::NotFound | StoreError::Rejected { .. }, _) => {
            "check the bucket's name, the endpoint and the region"
        }
    }
}
