//! The multivariant playlist: what the renditions are, measured on the segments that were stored. It is written again
//! only when a figure that it announces is not true any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::calls::Calls;
use super::poster::Bill;
use crate::domain::bandwidth::Meter;
use crate::domain::codecs::{self, Streams};
use crate::domain::ids::RunId;
use crate::domain::key::PLAYLIST_NAME;
use crate::domain::playlist::{Variant, render_multivariant};
use crate::domain::segment::{Rendition, sibling_name};
use crate::store::StoreError;

/// Where stored segments are shown. Clones are the same.
#[derive(Debug, Clone)]
pub struct Board(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug)]
struct State {
    columns: Vec<Column>,
    /// Of encoded pictures: they are what was asked for.
    frames_per_s: Option<f64>,
    /// What was taken last.
    taken: Option<String>,
}

#[derive(Debug, Default)]
struct Column {
    meter: Meter,
    run: Option<RunId>,
    streams: Option<Streams>,
}

impl Board {
    pub fn new(renditions: Rendition, frames_per_s: Option<f64>) -> Self {
        let columns = (0..renditions).map(|_| Column::default()).collect();
        let state = Mutex::new(State { columns, frames_per_s, taken: None });
        Self(Arc::new(Shared { state, news: Notify::new() }))
    }

    /// For what is stored elsewhere, too.
    pub(super) fn another(&self) -> Self {
        let state = self.state();
        Self::new(Rendition::try_from(state.columns.len()).unwrap_or(Rendition::MAX), state.frames_per_s)
    }

    /// This segment of this run and rendition is stored; `init` is what it needs before it.
    pub(super) fn show(
        &self,
        run: RunId,
        number: Rendition,
        init: &[u8],
        segment: &[u8],
        duration: Duration,
    ) {
        let mut state = self.state();
        let Some(column) = state.columns.get_mut(usize::from(number).wrapping_sub(1)) else { return };
        column.show(run, init, segment, duration);
        if state.is_news() {
            self.0.news.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Column {
    fn show(&mut self, run: RunId, init: &[u8], segment: &[u8], duration: Duration) {
        self.meter.segment(segment.len() as u64, duration);
        // Within a run nothing of it changes.
        if self.run != Some(run) || self.streams.is_none() {
            let of_init = || codecs::of_init(init);
            let seen = if init.is_empty() { codecs::of_transport_stream(segment) } else { of_init() };
            // What can't be told is most likely as it was.
            self.streams = seen.or(self.streams.take());
            self.run = Some(run);
        }
    }
}

impl State {
    fn is_news(&self) -> bool {
        let text = self.text();
        text.is_some() && text != self.taken
    }

    /// `None`: not all renditions are known yet.
    fn text(&self) -> Option<String> {
        let numbered = (1..).zip(&self.columns);
        let variant = |(number, column): (Rendition, &Column)| {
            Some(Variant {
                uri: sibling_name(PLAYLIST_NAME, number),
                bandwidth: column.meter.announced()?,
                streams: column.streams.clone()?,
                frames_per_s: self.frames_per_s,
            })
        };
        let variants: Option<Vec<_>> = numbered.map(variant).collect();
        variants.map(|variants| render_multivariant(&variants))
    }
}

impl Bill for Board {
    const NAME: &'static str = "multivariant.m3u8";
    const WITHOUT: &'static str = "players find the first rendition alone";
    const MEND: &'static str = "let the storage take application/vnd.apple.mpegurl";

    fn text(&mut self) -> Option<Bytes> {
        let mut state = self.state();
        state.taken = state.text();
        state.taken.clone().map(Bytes::from)
    }

    async fn changed(&mut self) {
        while !self.state().is_news() {
            self.0.news.notified().await;
        }
    }

    async fn put(calls: &Calls, text: Bytes) -> Result<(), StoreError> {
        calls.put_multivariant(text).await
    }
}
