//! Streams in parts, for viewers who are near: their playlist tells of each part as it comes, and is waited for
//! (`_HLS_msn`, `_HLS_part`; RFC 8216bis, 6.2.5.2), and so is the part that comes next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::response::Parts;
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout_at;

use super::answer::error;
use super::files::{not_found, playlist};
use crate::clock;
use crate::domain::edge::{Ask, Edge, Found, Has};
use crate::domain::key::Layout;
use crate::domain::playlist::{MediaPlaylist, parse, with_query};

const PLAYLIST: &str = "stream.m3u8";
const PART_PREFIX: &str = "part_";
/// However long its segments are.
const PLAYLIST_WITHIN: Duration = Duration::from_secs(15);

/// A stream's newest parts, for requests that are about it.
#[derive(Debug, Clone)]
pub(super) struct Nearby {
    pub(super) edge: watch::Receiver<Edge>,
    /// Who may wait.
    pub(super) waits: Arc<Semaphore>,
}

/// A request that is answered here.
#[derive(Debug)]
pub(super) struct Asked {
    nearby: Nearby,
    uri: Uri,
    what: What,
}

#[derive(Debug)]
enum What {
    Part(String),
    Playlist(Result<Option<Ask>, &'static str>),
}

impl Nearby {
    /// `None`: it is about something else.
    pub(super) fn knows(self, request: &Request) -> Option<Asked> {
        let uri = request.uri().clone();
        let name = uri.path().rsplit('/').next().unwrap_or_default();
        let what = if name == PLAYLIST {
            // Without parts there is nothing that could be waited for, and files answer conditions and ranges.
            if !self.edge.borrow().tells_parts() {
                return None;
            }
            What::Playlist(ask_of(uri.query().unwrap_or_default()))
        } else {
            let is_part = name.starts_with(PART_PREFIX) && self.edge.borrow().find(name) != Found::Nowhere;
            What::Part(is_part.then(|| name.to_owned())?)
        };
        Some(Asked { nearby: self, uri, what })
    }
}

impl Asked {
    /// `query`: what the viewer had to show, for all that the playlist names.
    pub(super) async fn answer(self, query: Option<&str>, next: Next) -> Response {
        let Self { nearby, uri, what } = self;
        match what {
            What::Part(name) => nearby.part(&name).await,
            What::Playlist(Ok(ask)) => nearby.playlist(ask, query, &uri, next).await,
            What::Playlist(Err(why)) => error(StatusCode::BAD_REQUEST, why),
        }
    }
}

impl Nearby {
    async fn part(mut self, name: &str) -> Response {
        let until = clock::now() + self.edge.borrow().patience();
        let mut place = None;
        loop {
            match self.edge.borrow_and_update().find(name) {
                Found::There(bytes) => return bytes.into_response(),
                Found::Nowhere => return not_found(),
                Found::Next => {}
            }
            if !self.waits_for_more(until, &mut place).await {
                return not_found();
            }
        }
    }

    /// Who has waited too long gets what there is: players take that better than an error.
    async fn playlist(mut self, ask: Option<Ask>, query: Option<&str>, uri: &Uri, next: Next) -> Response {
        let (began, mut may_wait, mut place) = (clock::now(), true, None);
        let mut newest = None;
        loop {
            let (count, layout) = {
                let edge = self.edge.borrow_and_update();
                (edge.playlists(), edge.layout())
            };
            let stored = match newest.take().filter(|(of, _)| *of == count) {
                Some((_, stored)) => stored,
                None => match Stored::read(layout, uri, next.clone()).await {
                    Ok(stored) => stored,
                    Err(response) => return response,
                },
            };
            let told = stored.parsed.as_ref().and_then(|playlist| self.edge.borrow().told(playlist));
            match told.as_ref().zip(ask).map_or(Has::Yes, |(told, ask)| told.has(ask)) {
                Has::Never => {
                    return error(StatusCode::BAD_REQUEST, "_HLS_msn or _HLS_part is too far ahead");
                }
                Has::NotYet if may_wait => {
                    let patience = told.map_or(Duration::ZERO, |told| told.patience()).min(PLAYLIST_WITHIN);
                    may_wait = self.waits_for_more(began + patience, &mut place).await;
                    newest = Some((count, stored));
                }
                Has::Yes | Has::NotYet => {
                    let text = told.map_or(stored.text, |told| told.text());
                    let text = query.map(|query| with_query(&text, query)).unwrap_or(text);
                    return Response::from_parts(stored.head, text.into());
                }
            }
        }
    }

    /// `false`: nothing came in time, or too many wait already.
    async fn waits_for_more(&mut self, until: Instant, place: &mut Option<OwnedSemaphorePermit>) -> bool {
        if place.is_none() {
            *place = self.waits.clone().try_acquire_owned().ok();
        }
        place.is_some() && matches!(timeout_at(until.into(), self.edge.changed()).await, Ok(Ok(())))
    }
}

/// A playlist as it is stored.
struct Stored {
    head: Parts,
    text: String,
    /// If it is one of ours.
    parsed: Option<MediaPlaylist>,
}

impl Stored {
    async fn read(layout: Option<Layout>, uri: &Uri, next: Next) -> Result<Self, Response> {
        let (head, text) = playlist(uri, next).await?;
        let parsed = layout.and_then(|layout| parse(&text, &layout).ok());
        Ok(Self { head, text, parsed })
    }
}

/// What the delivery directives ask for; other parameters are not ours.
fn ask_of(query: &str) -> Result<Option<Ask>, &'static str> {
    let value = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.into_iter().find(|(key, _)| *key == name);
        found
            .map(|(_, value)| value.parse::<u64>().map_err(|_| "_HLS_msn and _HLS_part are numbers"))
            .transpose()
    };
    match (value("_HLS_msn")?, value("_HLS_part")?) {
        (Some(msn), part) => Ok(Some(Ask { msn, part })),
        (None, None) => Ok(None),
        (None, Some(_)) => Err("_HLS_part without _HLS_msn"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_numbers_among_other_parameters() {
        let ask = |msn, part| Ok(Some(Ask { msn, part }));
        assert_eq!(ask_of("_HLS_msn=7&_HLS_part=2"), ask(7, Some(2)));
        assert_eq!(ask_of("token=a&_HLS_part=0&_HLS_msn=7&_HLS_skip=YES"), ask(7, Some(0)));
        assert_eq!(ask_of("_HLS_msn=7"), ask(7, None));
        assert_eq!(ask_of("t=1"), Ok(None));
        assert_eq!(ask_of(""), Ok(None));
        for wrong in ["_HLS_part=1", "_HLS_msn=-1", "_HLS_msn=", "_HLS_msn=1&_HLS_part=x"] {
            assert!(ask_of(wrong).is_err(), "{wrong}");
        }
    }
}
