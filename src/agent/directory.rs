//! The streams that there are now, as the web server knows them: whatever changes is seen by the next request.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::Agent;
use super::site::urls;
use super::slot::Slot;
use super::streams::{self, Urls};
use crate::clock;
use crate::config::Said;
use crate::config::model::{Adhoc, Camera, Config};
use crate::domain::ids::CameraId;
use crate::domain::prices::Prices;
use crate::domain::source::{RtspUrl, Source};
use crate::http::{StreamStatus, Streams};

#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) slot: Slot,
    pub(super) camera: Camera,
    pub(super) urls: Urls,
    /// As a caller named it, of a camera that the configuration does not know.
    pub(super) asked: Option<RtspUrl>,
}

#[derive(Debug, Default)]
pub(super) struct Directory {
    /// In the order of the configuration, and then in that of their starts.
    pub(super) streams: Vec<Stream>,
    /// Where each of them stands there, by its id.
    places: HashMap<String, usize>,
    /// Ids in the configuration, also of cameras that do not run, in small letters.
    pub(super) taken: HashSet<String>,
    /// `None`: there are no streams but those of the configuration.
    pub(super) adhoc: Option<Adhoc>,
    pub(super) defaults: Said,
    prices: Option<Prices>,
}

pub(super) type Directories = watch::Receiver<Arc<Directory>>;

impl Directory {
    pub(super) fn one(&self, id: &str) -> Option<&Stream> {
        self.streams.get(*self.places.get(id)?)
    }

    /// Some file systems would put both into one folder.
    pub(super) fn is_taken(&self, id: &CameraId) -> bool {
        let id = id.as_str().to_ascii_lowercase();
        let is_like = |stream: &Stream| stream.camera.id.as_str().eq_ignore_ascii_case(&id);
        self.taken.contains(&id) || self.streams.iter().any(is_like)
    }
}

impl Stream {
    pub(super) fn is_of(&self, url: &RtspUrl) -> bool {
        self.asked.as_ref() == Some(url) || matches!(&self.camera.source, Source::Rtsp(own) if own == url)
    }

    fn told(&self, prices: Option<Prices>) -> StreamStatus {
        let (Self { slot, camera, urls, .. }, now) = (self, clock::now());
        let mut told = streams::stream_status(&slot.status.borrow(), &camera.name, urls.clone(), now);
        told.local_segments_given_up = slot.origin.borrow().progress.segments_given_up;
        slot.figures.complete(told, prices, now)
    }
}

/// What the web server tells of the streams, asked for at each request.
pub(super) fn told(directories: Directories) -> Streams {
    let of_one = directories.clone();
    let all = move || {
        let directory = directories.borrow().clone();
        directory.streams.iter().map(|stream| stream.told(directory.prices)).collect()
    };
    Streams::new(all).with_one(move |id| {
        let directory = of_one.borrow().clone();
        Some(directory.one(id)?.told(directory.prices))
    })
}

impl Agent {
    /// The streams that there are from now on.
    pub(super) fn directory(&self, addr: SocketAddr) -> Directory {
        let slots: HashMap<_, _> = self.slots.iter().map(|slot| (&slot.id, slot)).collect();
        let entry = |camera: &Camera, asked| {
            let slot = slots.get(&camera.id).map(|slot| (*slot).clone())?;
            Some(Stream { slot, camera: camera.clone(), urls: urls(&self.config, camera, addr), asked })
        };
        let configured = self.cameras.iter().filter_map(|camera| entry(camera, None));
        let Config { cameras, others, defaults, request_prices: prices, .. } = &self.config;
        let ids = cameras.iter().map(|camera| &camera.id).chain(others.iter().map(|other| &other.id));
        let taken: HashSet<_> = ids.map(|id| id.as_str().to_ascii_lowercase()).collect();
        let adhoc = self.config.http.as_ref().and_then(|http| http.adhoc.clone());
        let passing = self.adhoc.streams.iter().filter_map(|stream| {
            let camera = &stream.assignment.camera;
            let may_stay = adhoc.is_some() && !taken.contains(&camera.id.as_str().to_ascii_lowercase());
            entry(camera, Some(stream.asked.clone().filter(|_| may_stay)?))
        });
        let streams: Vec<_> = configured.chain(passing).collect();
        let places = streams.iter().enumerate();
        let places = places.map(|(at, stream)| (stream.camera.id.to_string(), at)).collect();
        Directory { streams, places, taken, adhoc, defaults: defaults.clone(), prices: *prices }
    }
}
