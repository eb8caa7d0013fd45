//! What lies in the bucket, asked of MinIO itself.

use aws_sdk_s3::Client;

use crate::stage::BUCKET;

/// The names of all segments below a folder, page by page.
pub async fn segments(client: &Client, folder: &str) -> Vec<String> {
    let mut pages = client.list_objects_v2().bucket(BUCKET).prefix(folder).into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.expect("MinIO lists");
        let keys = page.contents().iter().filter_map(|object| object.key()?.strip_prefix(folder));
        names.extend(keys.filter(|name| name.ends_with(".ts")).map(str::to_owned));
    }
    names
}
