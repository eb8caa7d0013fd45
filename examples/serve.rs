//! Serves a folder of streams with the player page: `cargo run --example serve -- ROOT [ADDR]`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use edge_agent::domain::key::PLAYLIST_NAME;
use edge_agent::http::{self, Access, CameraLink, FilesAt, STREAMS_PATH, Site};

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let root: PathBuf = args.next().context("usage: serve ROOT [ADDR]")?.into();
    let addr = args.next().as_deref().unwrap_or("127.0.0.1:0").parse()?;
    let bound = http::bind(addr, &Access::default()).await?;
    let cameras = cameras_in(&root)?;
    let files = FilesAt { root, folders: HashMap::new(), by_key: true };
    #[expect(clippy::print_stdout, reason = "the address is this program's output")]
    {
        println!("http://{}/", bound.local_addr());
    }
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    bound.serve(Site { cameras, files: Some(files), ..Site::default() }, stop, Duration::from_secs(1)).await;
    Ok(())
}

/// Each `{location}/{camera}` folder is a camera, whether its playlist is there yet or not.
fn cameras_in(root: &Path) -> Result<Vec<CameraLink>> {
    let mut cameras = Vec::new();
    for location in std::fs::read_dir(root)? {
        let location = location?;
        for camera in std::fs::read_dir(location.path())? {
            let id = camera?.file_name().to_string_lossy().into_owned();
            let folder = location.file_name().to_string_lossy().into_owned();
            let playlist_url = format!("{STREAMS_PATH}/{folder}/{id}/{PLAYLIST_NAME}");
            cameras.push(CameraLink { name: id.clone(), id, playlist_url });
        }
    }
    cameras.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(cameras)
}
