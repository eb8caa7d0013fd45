//! The streams that there are now, as the web server knows them: whatever changes is seen by the next request.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::slot::Slot;
use super::streams::{self, Urls};
use crate::clock;
use crate::config::Said;
use crate::config::model::{Adhoc, Camera};
use crate::domain::ids::CameraId;
use crate::domain::source::{RtspUrl, Source};
use crate::http::Streams;

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
    /// Ids in the configuration, also of cameras that do not run, in small letters.
    pub(super) taken: HashSet<String>,
    /// `None`: there are no streams but those of the configuration.
    pub(super) adhoc: Option<Adhoc>,
    pub(super) defaults: Said,
}

pub(super) type Directories = watch::Receiver<Arc<Directory>>;

impl Directory {
    pub(super) fn one(&self, id: &str) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.camera.id.as_str() == id)
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
}

/// What the web server tells of the streams, asked for at each request.
pub(super) fn told(directories: Directories) -> Streams {
    Streams::new(move || {
        let (now, directory) = (clock::now(), directories.borrow().clone());
        let tell = |stream: &Stream| {
            let Stream { slot, camera, urls, .. } = stream;
            streams::stream_status(&slot.status.borrow(), &camera.name, urls.clone(), now)
        };
        directory.streams.iter().map(tell).collect()
    })
}
