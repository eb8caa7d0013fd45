//! What lies in a camera's folder of the bucket, asked of MinIO itself.

use std::time::Duration;

use aws_sdk_s3::Client;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::BUCKET;
use crate::support::minio::Minio;

const LIST_EVERY: Duration = Duration::from_secs(1);

/// The names of a folder's segments.
pub async fn segments(client: &Client, folder: &str) -> Vec<String> {
    let names = objects(client, folder).await;
    names.into_iter().filter(|name| name.ends_with(".ts")).collect()
}

/// All that a folder holds.
pub async fn objects(client: &Client, folder: &str) -> Vec<String> {
    let listed = client.list_objects_v2().bucket(BUCKET).prefix(folder).send().await.expect("MinIO lists");
    assert!(!listed.is_truncated().unwrap_or_default(), "more than a page of objects in {folder}");
    let names = listed.contents().iter().filter_map(|object| object.key()?.strip_prefix(folder));
    names.map(str::to_owned).collect()
}

/// Lists a folder every second.
#[derive(Debug)]
pub struct Watch {
    stop: CancellationToken,
    task: JoinHandle<Vec<Vec<String>>>,
}

impl Watch {
    pub fn start(minio: &Minio, folder: String) -> Self {
        let client = minio.client();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let watching = async move {
            let mut listings = Vec::new();
            let mut ticks = interval(LIST_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while stopped.run_until_cancelled(ticks.tick()).await.is_some() {
                listings.push(segments(&client, &folder).await);
            }
            listings
        };
        #[expect(clippy::disallowed_methods, reason = "owned here and joined in stop")]
        let task = tokio::spawn(watching);
        Self { stop, task }
    }

    /// All listings.
    pub async fn stop(self) -> Vec<Vec<String>> {
        self.stop.cancel();
        self.task.await.expect("the listing does not panic")
    }
}
