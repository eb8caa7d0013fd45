//! What lies in the bucket, asked of MinIO itself.

use aws_sdk_s3::Client;

use crate::stage::BUCKET;

const MEDIA: [&str; 3] = [".ts", ".m4s", ".mp4"];

/// The names of all segments below a folder, their parts and their inits, page by page.
pub async fn media(client: &Client, folder: &str) -> Vec<String> {
    let mut pages = client.list_objects_v2().bucket(BUCKET).prefix(folder).into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.expect("MinIO lists");
        let keys = page.contents().iter().filter_map(|object| object.key()?.strip_prefix(folder));
        let is_media = |name: &&str| MEDIA.iter().any(|ending| name.ends_with(ending));
        names.extend(keys.filter(is_media).map(str::to_owned));
    }
    names
}
