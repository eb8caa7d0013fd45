//! `edge-agent publish-player`: the page that plays the cameras, beside their streams, so that a public URL alone is a viewer.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use url::Url;

use super::{Failure, Outcome, PublishArgs, load, say};
use crate::agent::entry;
use crate::config::model::{Camera, Config, StoreConfig};
use crate::config::{self};
use crate::domain::class::{ObjectClass, PageFile};
use crate::domain::key::{Layout, ObjectKey};
use crate::http::{CameraLink, PAGE_LIST, page_files};
use crate::store;

const CALL_PATIENCE: Duration = Duration::from_secs(30);
const PAGE: &str = "index.html";

pub(super) async fn publish(args: PublishArgs) -> Outcome {
    let config = load(&args.config)?.config;
    let all: [&str; 0] = [];
    let cameras = config::select(&config, &all).map_err(|error| Failure::Config(error.to_string()))?;
    let link = |camera: &&Camera| link(&config, camera, args.to.is_some());
    let links = cameras.iter().map(link).collect::<Result<Vec<_>, _>>()?;
    let files = in_order(&links)?;
    match &args.to {
        Some(folder) => write(folder, &files)?,
        None => upload(&config, files).await?,
    }
    Ok(())
}

/// As the page finds the stream: beside it in the bucket, or anywhere.
fn link(config: &Config, camera: &Camera, is_elsewhere: bool) -> Result<CameraLink, Failure> {
    let key = entry(&Layout::new(&config.location, &camera.id), camera);
    let playlist_url = if is_elsewhere {
        let nowhere = || {
            let why =
                "the storage has no public URL: set `storage.public_base_url`, or the page finds no stream";
            Failure::Config(why.into())
        };
        store::public_url(&config.store, &key).ok_or_else(nowhere)?.to_string()
    } else {
        format!("{}/{}", camera.id, key.file_name())
    };
    Ok(CameraLink { id: camera.id.to_string(), name: camera.name.clone(), playlist_url })
}

/// The page itself last: who opens it meanwhile finds the rest.
fn in_order(links: &[CameraLink]) -> anyhow::Result<Vec<(String, Bytes)>> {
    let list = serde_json::to_vec(links).context("the list of cameras")?;
    let mut files: Vec<_> = page_files().map(|(name, bytes)| (name.into_owned(), bytes)).collect();
    files.push((PAGE_LIST.to_owned(), list.into()));
    files.sort_by_key(|(name, _)| name == PAGE);
    Ok(files)
}

fn write(folder: &Path, files: &[(String, Bytes)]) -> anyhow::Result<()> {
    for (name, bytes) in files {
        let path = folder.join(name);
        let written =
            path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, bytes));
        written.with_context(|| format!("{} can't be written", path.display()))?;
    }
    say(&format!("{}: {} files; any web server can have them", folder.display(), files.len()));
    Ok(())
}

async fn upload(config: &Config, files: Vec<(String, Bytes)>) -> Outcome {
    if matches!(config.store, StoreConfig::None) {
        let why =
            "`storage.type: none` has no bucket to publish the page in: the agent's own web server has it";
        return Err(Failure::Config(why.into()));
    }
    let store = store::open(&config.store).await.context("the storage can't be used")?;
    let key = |name: &str| ObjectKey::new(format!("{}/{name}", config.location));
    for (name, bytes) in files {
        let class = PageFile::of_name(&name).map_or(ObjectClass::Probe, ObjectClass::Page);
        let key = key(&name);
        let put = tokio::time::timeout(CALL_PATIENCE, store.put(&key, bytes, class));
        let stored =
            put.await.with_context(|| format!("{key}: no answer in {} s", CALL_PATIENCE.as_secs()))?;
        stored.with_context(|| format!("{key} was not stored"))?;
    }
    let Some(url) = store::public_url(&config.store, &key(PAGE)) else {
        say(&format!("{} is stored; the folder has no `public_base_url`", key(PAGE)));
        return Ok(());
    };
    look(&url).await?;
    say(url.as_str());
    Ok(())
}

/// As a browser would see it.
async fn look(url: &Url) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().timeout(CALL_PATIENCE).build()?;
    let answer = client.get(url.clone()).send().await.map_err(reqwest::Error::without_url);
    let answer = answer.with_context(|| format!("the page is stored, but {url} does not answer"))?;
    let status = answer.status();
    anyhow::ensure!(
        status.is_success(),
        "the page is stored, but {url} answers {status}: make the bucket public, or set `storage.public_base_url`"
    );
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    anyhow::ensure!(
        kind.starts_with("text/html"),
        "the page is stored, but {url} shows it as {kind:?} (Supabase does so with all HTML): \
         write it into a folder with `--to FOLDER`, and give that to any web host"
    );
    Ok(())
}
