//! Whose stream an object under [`STREAMS_PATH`](super::STREAMS_PATH) is, and where it lies; and who watches.
//!
//! Two names are a stream and its object, whatever the storage. More are an object's key in the `file` store.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{Method, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;

use super::control::Control;
use super::files::not_found;
use super::guard::shown_of;
use super::limits::client_of;
use super::nearby::Nearby;
use super::site::{FilesAt, Folder};
use crate::clock;
use crate::domain::class::ObjectClass;
use crate::domain::key::MULTIVARIANT_NAME;
use crate::domain::viewers::Viewers;

/// Of one stream; nobody counts more.
const MOST_VIEWERS: usize = 1024;
/// Viewers that wait for the next part at once, of all streams: each has a connection meanwhile.
const MOST_WAITS: usize = 256;

/// Who watches which stream. Clones are the same; it outlives a reload.
#[derive(Debug, Clone, Default)]
pub(super) struct Audience(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    streams: Mutex<HashMap<Arc<str>, Viewers<u64>>>,
    hasher: RandomState,
    /// Who may wait for what comes next.
    waits: Arc<Semaphore>,
}

impl Default for Shared {
    fn default() -> Self {
        let waits = Arc::new(Semaphore::new(MOST_WAITS));
        Self { streams: Mutex::default(), hasher: RandomState::default(), waits }
    }
}

impl Audience {
    fn streams(&self) -> MutexGuard<'_, HashMap<Arc<str>, Viewers<u64>>> {
        self.0.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, stream: &Arc<str>, viewer: u64, now: Instant, stays: Duration) {
        let mut streams = self.streams();
        if !streams.contains_key(stream) {
            // A new stream is the time to forget those that nobody watches, or that are no more.
            streams.retain(|_, viewers| viewers.count(now) > 0);
            streams.insert(stream.clone(), Viewers::new(MOST_VIEWERS));
        }
        if let Some(viewers) = streams.get_mut(stream) {
            viewers.saw(viewer, now, stays);
        }
    }

    pub(super) fn of(&self, stream: &str, now: Instant) -> usize {
        self.streams().get(stream).map_or(0, |viewers| viewers.count(now))
    }

    /// Who asks, as far as it can be told: what he shows, from where and with what. A proxy on this machine tells from
    /// where it was asked itself.
    fn viewer(&self, request: &Request) -> u64 {
        let headers = request.headers();
        let client = client_of(request);
        let behind = headers.get("x-forwarded-for").filter(|_| client.is_this_machine());
        let agent = headers.get(header::USER_AGENT);
        self.0.hasher.hash_one((client.key(), behind, agent, shown_of(request)))
    }
}

/// Where the streams lie.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Known>);

#[derive(Debug)]
struct Known {
    folders: HashMap<Arc<str>, Folder>,
    /// The same the other way round, where objects can be asked for by their keys.
    by_key: Option<HashMap<String, Arc<str>>>,
    control: Control,
    audience: Audience,
}

impl Places {
    pub(super) fn new(files: &FilesAt, control: Control, audience: Audience) -> Self {
        let folders: HashMap<Arc<str>, Folder> =
            files.folders.iter().map(|(id, folder)| (id.as_str().into(), folder.clone())).collect();
        let by_key = files
            .by_key
            .then(|| folders.iter().map(|(id, folder)| (folder.path.clone(), id.clone())).collect());
        Self(Arc::new(Known { folders, by_key, control, audience }))
    }

    /// The stream, if it is one of this server's, and the object's key.
    fn find(&self, path: &str) -> Option<(Option<&Arc<str>>, String)> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let (folder, object) = path.rsplit_once('/')?;
        if !folder.contains('/') {
            let (id, folder) = self.0.folders.get_key_value(folder)?;
            return Some((Some(id), format!("{}{object}", folder.path)));
        }
        let known = self.0.by_key.as_ref()?;
        Some((known.get(&path[..=folder.len()]), path.to_owned()))
    }
}

/// Puts the object's key into the request; who fetches a stream's playlists or segments wants it.
pub(super) async fn locate(State(places): State<Places>, mut request: Request, next: Next) -> Response {
    let Some((stream, key)) = places.find(request.uri().path()) else { return not_found() };
    let object = key.rsplit('/').next().unwrap_or_default();
    let class = ObjectClass::of_name(object);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let stream = stream.filter(|_| reads && class.is_some_and(ObjectClass::is_of_the_stream));
    if let Some(id) = stream {
        places.0.control.want(id);
    }
    // It names playlists: its viewers ask for one of those, too.
    let is_watching = class == Some(ObjectClass::Playlist) && object != MULTIVARIANT_NAME;
    let watching = stream.filter(|_| is_watching && request.method() == Method::GET);
    let watching = watching.map(|id| (id.clone(), places.0.audience.viewer(&request)));
    if let Some(folder) = stream.and_then(|id| places.0.folders.get(id)) {
        let nearby = Nearby { edge: folder.edge.clone(), waits: places.0.audience.0.waits.clone() };
        request.extensions_mut().insert(nearby);
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let Ok(uri) = Uri::try_from(format!("/{key}{query}")) else { return not_found() };
    *request.uri_mut() = uri;
    let response = next.run(request).await;
    if let Some((id, viewer)) = watching.filter(|_| !response.status().is_client_error())
        && let Some(folder) = places.0.folders.get(&id)
    {
        places.0.audience.saw(&id, viewer, clock::now(), folder.stays);
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::domain::edge::Edge;

    fn places(by_key: bool) -> Places {
        let folder = |path: &str| Folder {
            path: path.into(),
            stays: Duration::from_secs(10),
            edge: watch::channel(Edge::EMPTY).1,
        };
        let folders = [
            ("cam".to_owned(), folder("shop/cam/")),
            // An id may be a location's name.
            ("shop".to_owned(), folder("shop/shop/")),
        ];
        let files = FilesAt { root: "/x".into(), folders: folders.into(), by_key };
        Places::new(&files, Control::default(), Audience::default())
    }

    #[test]
    fn two_names_are_a_stream_and_more_are_a_key() {
        let find = |by_key, path: &str| {
            let places = places(by_key);
            places.find(path).map(|(id, key)| (id.map(|id| id.to_string()).unwrap_or_default(), key))
        };
        let found = |id: &str, key: &str| Some((id.to_owned(), key.to_owned()));
        for by_key in [false, true] {
            assert_eq!(find(by_key, "/cam/stream.m3u8"), found("cam", "shop/cam/stream.m3u8"));
            assert_eq!(find(by_key, "/shop/stream.m3u8"), found("shop", "shop/shop/stream.m3u8"));
            for path in
                ["/other/stream.m3u8", "/stream.m3u8", "/", "", "/cam%2f/stream.m3u8", "/../stream.m3u8"]
            {
                assert_eq!(find(by_key, path), None, "{path}");
            }
            // What is no name of an object is refused later.
            assert_eq!(find(by_key, "/cam/.."), found("cam", "shop/cam/.."));
        }
        assert_eq!(find(true, "/shop/cam/stream.m3u8"), found("cam", "shop/cam/stream.m3u8"));
        assert_eq!(find(true, "/shop/other/stream.m3u8"), found("", "shop/other/stream.m3u8"));
        assert_eq!(find(true, "/a/shop/cam/stream.m3u8"), found("", "a/shop/cam/stream.m3u8"));
        for path in ["/shop/cam/stream.m3u8", "/cam/../cam/stream.m3u8", "//cam/stream.m3u8"] {
            assert_eq!(find(false, path), None, "{path}");
        }
    }

    #[test]
    fn streams_that_nobody_watches_any_more_are_forgotten() {
        let (audience, t0, s) = (Audience::default(), clock::now(), Duration::from_secs(1));
        for stream in 0..100 {
            audience.saw(&format!("s{stream}").into(), 1, t0, 10 * s);
        }
        audience.saw(&"s1".into(), 2, t0 + 5 * s, 10 * s);
        assert_eq!([audience.of("s1", t0 + 5 * s), audience.of("s2", t0 + 5 * s)], [2, 1]);
        audience.saw(&"new".into(), 1, t0 + 11 * s, 10 * s);
        let known = audience.streams().len();
        assert_eq!((known, audience.of("s1", t0 + 11 * s)), (2, 1));
    }
}
