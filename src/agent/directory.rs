//! The streams that there are now, as the web server knows them: whatever changes is seen by the next request.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::Agent;
use super::site::urls;
use super::slot::Slot;
use super::streams::{self, Urls};
use crate::clock;
use crate::config::Said;
use crate::config::model::{Adhoc, Camera, Config};
use crate::domain::adhoc::{derived_id, is_surely_same};
use crate::domain::ids::CameraId;
use crate::domain::prices::Prices;
use crate::domain::source::{RtspUrl, Source};
use crate::http::{Refusal, StreamStatus, Streams};

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
    /// The same of the configuration's, by the names that follow from their URLs. Empty where no caller gives URLs.
    urls: HashMap<CameraId, usize>,
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

    /// Of the configuration, by its camera's URL and the name that follows from it.
    pub(super) fn of_url(&self, url: &RtspUrl, derived: &CameraId) -> Option<&Stream> {
        let stream = self.streams.get(*self.urls.get(derived)?)?;
        let Source::Rtsp(own) = &stream.camera.source else { return None };
        is_surely_same(own, url).then_some(stream)
    }

    /// One that a caller's start added, and that nobody wants any more, takes a place again.
    pub(super) fn has_room_for(&self, stream: &Stream, now: Instant) -> Result<(), Refusal> {
        let most = self.adhoc.as_ref().map_or(0, |limits| limits.max_streams);
        if stream.asked.is_none() || stream.slot.is_wanted(now) {
            return Ok(());
        }
        let wanted = |stream: &&Stream| stream.asked.is_some() && stream.slot.is_wanted(now);
        if self.streams.iter().filter(wanted).count() < most { Ok(()) } else { Err(full(most)) }
    }

    /// Some file systems would put both into one folder.
    pub(super) fn is_taken(&self, id: &CameraId) -> bool {
        let id = id.as_str().to_ascii_lowercase();
        let is_like = |stream: &Stream| stream.camera.id.as_str().eq_ignore_ascii_case(&id);
        self.taken.contains(&id) || self.streams.iter().any(is_like)
    }
}

pub(super) fn full(most: usize) -> Refusal {
    Refusal::Busy(format!(
        "there are {most} streams of other cameras, as many as http.adhoc.max_streams allows: stop one"
    ))
}

impl Stream {
    /// Of a camera of the configuration whatever the login is: who tries some must not learn which one is right.
    pub(super) fn is_of(&self, url: &RtspUrl) -> bool {
        match (&self.asked, &self.camera.source) {
            (Some(asked), _) => asked == url,
            (None, Source::Rtsp(own)) => derived_id(own) == derived_id(url),
            (None, Source::TestPattern | Source::Clip(_)) => false,
        }
    }

    fn told(&self, prices: Option<Prices>) -> StreamStatus {
        let (Self { slot, camera, urls, .. }, now) = (self, clock::now());
        let mut told = streams::stream_status(&slot.status.borrow(), &camera.name, urls.clone(), now);
        told.is_adhoc = self.asked.is_some();
        {
            let origin = slot.origin.borrow();
            told.local_segments_given_up = origin.progress.segments_given_up;
            let age = origin.playlist_stored.map(|at| now.saturating_duration_since(at));
            told.last_local_age_s = age.map(streams::seconds);
        }
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
    pub(super) fn directory(&self) -> Directory {
        let slots: HashMap<_, _> = self.slots.iter().map(|slot| (&slot.id, slot)).collect();
        let entry = |camera: &Camera, asked| {
            let slot = slots.get(&camera.id).map(|slot| (*slot).clone())?;
            Some(Stream { slot, camera: camera.clone(), urls: urls(&self.config, camera), asked })
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
        let mut urls = HashMap::new();
        for (at, stream) in streams.iter().enumerate().filter(|_| adhoc.is_some()) {
            if let (None, Source::Rtsp(url)) = (&stream.asked, &stream.camera.source) {
                urls.entry(derived_id(url)).or_insert(at);
            }
        }
        Directory { streams, places, urls, taken, adhoc, defaults: defaults.clone(), prices: *prices }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::slot::tests::slot;
    use super::*;
    use crate::config::model::{Settings, Start};

    #[test]
    fn nobody_learns_a_cameras_login_by_trying_some() {
        let url = |login: &str| crate::domain::adhoc::url(&format!("rtsp://{login}10.0.0.1/a")).unwrap();
        let slot = slot(Settings::default());
        let mut camera = slot.wanted.borrow().assignment.as_ref().unwrap().camera.clone();
        camera.source = Source::Rtsp(url("viewer:hunter2@"));
        let mut stream = Stream { slot, camera, urls: Urls::default(), asked: None };
        for login in ["viewer:hunter2@", "viewer:wrong@", ""] {
            assert!(stream.is_of(&url(login)), "{login}");
        }
        assert!(!stream.is_of(&crate::domain::adhoc::url("rtsp://viewer:hunter2@10.0.0.1/b").unwrap()));
        stream.asked = Some(url("viewer:hunter2@"));
        assert!(!stream.is_of(&url("viewer:wrong@")), "a caller's own goes by all of it");
    }

    #[test]
    fn what_has_ended_and_is_wanted_again_counts_as_a_new_one() {
        let (now, idle) = (clock::now(), Duration::from_secs(5));
        let stream = |asked: Option<&str>| {
            let slot = slot(Settings { start: Start::OnDemand, idle_timeout: idle, ..Settings::default() });
            let camera = slot.wanted.borrow().assignment.as_ref().unwrap().camera.clone();
            let asked = asked.map(|url| crate::domain::adhoc::url(url).unwrap());
            Stream { slot, camera, urls: Urls::default(), asked }
        };
        let urls = ["rtsp://10.0.0.1/a", "rtsp://10.0.0.1/b", "rtsp://10.0.0.1/c"];
        let streams: Vec<_> = urls.into_iter().map(Some).chain([None]).map(stream).collect();
        let adhoc = Some(Adhoc { max_streams: 2, ..Adhoc::default() });
        let directory = Directory { streams, adhoc, ..Directory::default() };
        let [one, two, three, configured] = &directory.streams[..] else { panic!("four") };
        configured.slot.renew(now);
        one.slot.renew(now);
        assert!(directory.has_room_for(two, now).is_ok());
        two.slot.renew(now);
        assert!(matches!(directory.has_room_for(three, now), Err(Refusal::Busy(_))));
        assert!(directory.has_room_for(two, now).is_ok(), "it has its place");
        configured.slot.end();
        assert!(directory.has_room_for(configured, now).is_ok(), "it is no stream of a caller's");
        one.slot.end();
        assert!(directory.has_room_for(three, now).is_ok());
    }
}
