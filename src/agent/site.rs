//! What the web server shows: which streams it has, and under which addresses.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use super::Agent;
use super::directory::{Directory, Stream};
use super::streams::Urls;
use crate::config::model::{Camera, Config, StoreConfig};
use crate::domain::key::{Layout, ObjectKey};
use crate::domain::viewers::stays;
use crate::http::{CameraLink, FilesAt, Folder, STREAMS_PATH, Site};
use crate::store;

impl Agent {
    pub(super) fn site_at(&self, addr: SocketAddr, directory: &Directory) -> Site {
        let link = |camera: &Camera| {
            // A path where it can be: the page may be reached under any name of this machine.
            let local = local_url(&self.config, camera);
            let playlist_url = local.or_else(|| playlist_url(&self.config, camera, Some(addr)))?;
            Some(CameraLink { id: camera.id.to_string(), name: camera.name.clone(), playlist_url })
        };
        let cameras = directory.streams.iter().filter_map(|stream| link(&stream.camera)).collect();
        Site { cameras, files: self.files(directory), ..Site::default() }
    }

    /// What the web server serves of the streams.
    fn files(&self, directory: &Directory) -> Option<FilesAt> {
        if !serves(&self.config) {
            return None;
        }
        let stored_at = match &self.config.store {
            StoreConfig::File(file) => Some(file.root.clone()),
            StoreConfig::S3(_) | StoreConfig::Supabase(_) | StoreConfig::None => None,
        };
        let folder = |stream: &Stream| {
            let camera = &stream.camera;
            let layout = match stored_at {
                Some(_) => Layout::new(&self.config.location, &camera.id),
                None => Layout::of_origin(&camera.id),
            };
            let stays = stays(camera.settings.wish().longest_segment());
            let edge = stream.slot.edge.clone();
            (camera.id.to_string(), Folder { path: layout.folder().to_owned(), stays, edge })
        };
        let folders: HashMap<_, _> = directory.streams.iter().map(folder).collect();
        let by_key = stored_at.is_some();
        let root = stored_at.unwrap_or_else(|| self.around.workshop.spool_root.clone());
        Some(FilesAt { root, folders, by_key })
    }
}

fn serves(config: &Config) -> bool {
    config.http.as_ref().is_some_and(|http| http.streams)
}

pub(super) fn urls(config: &Config, camera: &Camera) -> Urls {
    let layout = Layout::new(&config.location, &camera.id);
    let playlist = told_url(config, &entry(&layout, camera));
    let stays_here = matches!(config.store, StoreConfig::None);
    let snapshot = || match stays_here {
        true => Some(local_url_of(camera, layout.snapshot().file_name())),
        false => told_url(config, &layout.snapshot()),
    };
    let snapshot = camera.settings.snapshot_interval.and_then(|_| snapshot());
    Urls { playlist, local: local_url(config, camera), snapshot }
}

/// On this very server; `None` where it does not have the streams.
fn local_url(config: &Config, camera: &Camera) -> Option<String> {
    let layout = Layout::of_origin(&camera.id);
    serves(config).then(|| local_url_of(camera, entry(&layout, camera).file_name()))
}

fn local_url_of(camera: &Camera, name: &str) -> String {
    format!("{STREAMS_PATH}/{}/{name}", camera.id)
}

/// Where viewers find a camera's playlist; `None` for a folder that nothing serves.
pub fn playlist_url(config: &Config, camera: &Camera, http: Option<SocketAddr>) -> Option<String> {
    if matches!(config.store, StoreConfig::None) {
        return local_url(config, camera)
            .zip(address(config, http))
            .map(|(path, addr)| format!("http://{addr}{path}"));
    }
    url_of(config, &entry(&Layout::new(&config.location, &camera.id), camera), http)
}

/// Where players begin: those that ask for parts by their names need the playlist that has them.
pub fn entry(layout: &Layout, camera: &Camera) -> ObjectKey {
    let settings = &camera.settings;
    let is_one = !settings.is_multivariant() || settings.sub_second.is_some();
    if is_one { layout.playlist() } else { layout.multivariant() }
}

fn url_of(config: &Config, key: &ObjectKey, http: Option<SocketAddr>) -> Option<String> {
    let here = |path: String| Some(format!("http://{}{path}", address(config, http)?));
    let told = told_url(config, key)?;
    if told.starts_with('/') { here(told) } else { Some(told) }
}

/// As callers are told, who know by which name they reach this server: a path is on it.
fn told_url(config: &Config, key: &ObjectKey) -> Option<String> {
    let is_here = matches!(config.store, StoreConfig::File(_)) && serves(config);
    let here = || is_here.then(|| format!("{STREAMS_PATH}/{key}"));
    store::public_url(&config.store, key).map(|url| url.to_string()).or_else(here)
}

/// Of this machine's server, as its own programs reach it.
fn address(config: &Config, http: Option<SocketAddr>) -> Option<SocketAddr> {
    let mut addr = http.or(config.http.as_ref().map(|http| http.listen))?;
    if addr.ip().is_unspecified() {
        addr.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    Some(addr)
}

#[cfg(test)]
mod tests {
    use super::super::slot::tests::slot;
    use super::*;
    use crate::config::model::{Settings, SubSecond};

    #[test]
    fn who_asks_for_parts_begins_where_they_are_named() {
        let sub_second =
            Some(SubSecond { part_duration: std::time::Duration::from_millis(200), compat_segments: true });
        for (passthrough, sub_second, file) in [
            (false, None, "stream.m3u8"),
            (true, None, "multivariant.m3u8"),
            (false, sub_second, "stream.m3u8"),
            (true, sub_second, "stream.m3u8"),
        ] {
            let settings = Settings { passthrough, sub_second, ..Settings::default() };
            let camera = slot(settings).wanted.borrow().assignment.as_ref().unwrap().camera.clone();
            let layout = Layout::new(&"l".parse().unwrap(), &camera.id);
            assert_eq!(entry(&layout, &camera).file_name(), file);
        }
    }
}
