//! Follows one run's folder: what ffmpeg lists there becomes segments.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::clock;
use crate::domain::fmp4::Header;
use crate::domain::ids::RunId;
use crate::domain::lifecycle::Cause;
use crate::domain::segment::{Payload, Segment, SegmentType};
use crate::domain::timeline::Timeline;
use crate::engine::EngineEvent;
use crate::engine::spool::diff::{Diff, Listed};
use crate::engine::spool::root::{discard, used_by_runs};
use crate::engine::spool::{LOCAL_PLAYLIST, fragments, suffix};

/// Far more than can be on disk.
const MOST_MISSED: u64 = 10_000;
const DISK_TIME: Duration = Duration::from_secs(3);
/// Less than a segment.
pub(super) const FULL_BYTES: u128 = 128 * 1024;
/// A transport stream is made of these.
const PACKET_BYTES: u64 = 188;
/// What a file system gives room in, at least.
const BLOCK_BYTES: u64 = 512;

/// Follows one run's folder.
pub(super) struct Tail {
    pub(super) run: RunId,
    pub(super) path: PathBuf,
    kind: SegmentType,
    /// Of an fMP4 run, from its first segment on.
    header: Option<Arc<Header>>,
    pub(super) diff: Diff,
    timeline: Timeline,
}

impl Tail {
    pub(super) fn new(run: RunId, folder: &Path, kind: SegmentType) -> Self {
        let (diff, timeline) = (Diff::default(), Timeline::default());
        Self { run, path: folder.to_owned(), kind, header: None, diff, timeline }
    }

    /// An error: the spool did not answer, so nothing is known; it is asked again.
    pub(super) async fn news(&mut self) -> io::Result<News> {
        let (folder, mut diff, kind) = (self.path.clone(), self.diff.clone(), self.kind);
        let known = self.header.clone();
        // One step, and the diff moves on only if it came to its end: a hang costs time, not segments.
        let (diff, missed, found, header, used) = on_disk(move || {
            let text = match fs::read(folder.join(LOCAL_PLAYLIST)) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                // Before the first segment, and after somebody emptied the tmpfs: no news either way.
                Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
                // Out of file descriptors: what is there stays there, and is told later.
                Err(error) => return Err(error),
            };
            let news = diff.advance(&text);
            if let Some(first) = news.segments.first() {
                remove_missed(&folder, first.index, news.missed, kind);
            }
            // It is whole when the playlist names a segment.
            let is_due = kind == SegmentType::Fmp4 && known.is_none() && !news.segments.is_empty();
            let header = if is_due { fragments::read_header(&folder)?.map(Arc::new) } else { known };
            let found: Vec<_> = news
                .segments
                .into_iter()
                .map(|listed| weigh(&folder, listed, kind, header.is_some()))
                .collect();
            // Runs that ended count too: their segments may still wait.
            let used = folder.parent().map_or(0, used_by_runs);
            Ok((diff, news.missed, found, header, used))
        })
        .await?;
        self.diff = diff;
        self.header = header;
        Ok(News { events: self.tell(missed, found), used })
    }

    fn is_headless(&self) -> bool {
        self.kind == SegmentType::Fmp4 && self.header.is_none()
    }

    fn tell(&mut self, missed: u64, found: Vec<Found>) -> Vec<EngineEvent> {
        let (mut seen, mut lost) = (clock::wall(), missed);
        if missed > 0 {
            // Nobody knows how long they were.
            self.timeline = Timeline::default();
        }
        if let [_, .., last] = found.as_slice()
            && self.timeline.is_new()
        {
            // A burst ends somewhere within the segment after it. Too early an anchor moves on without a break.
            seen = seen.checked_sub(last.listed.duration).unwrap_or(seen);
        }
        let mut later: Duration = found.iter().map(|found| found.listed.duration).sum();
        let mut events = Vec::new();
        for Found { listed, path, bytes } in found {
            later = later.saturating_sub(listed.duration);
            let stamp = self.timeline.stamp(seen.checked_sub(later).unwrap_or(seen), listed.duration);
            if bytes == 0 {
                lost += 1;
                continue;
            }
            let (index, duration, payload) = (listed.index, listed.duration, Payload::File { path, bytes });
            let segment = Segment {
                run: self.run,
                index,
                duration,
                program_time: stamp.start,
                after_break: stamp.is_break,
                header: self.header.clone(),
                payload,
            };
            events.push(EngineEvent::Segment(segment));
        }
        if lost > 0 {
            events.push(EngineEvent::Lost { segments: lost });
        }
        if self.is_headless() && lost > 0 {
            // Nobody could play this run.
            events.push(EngineEvent::Unfit(Cause::Spool));
        }
        events
    }
}

/// What one look brought.
#[derive(Default)]
pub(super) struct News {
    pub(super) events: Vec<EngineEvent>,
    /// Bytes of all of the camera's runs.
    pub(super) used: u64,
}

/// A listed segment, and what is on disk of it.
struct Found {
    listed: Listed,
    path: PathBuf,
    /// 0: nothing.
    bytes: u64,
}

fn weigh(folder: &Path, listed: Listed, kind: SegmentType, has_header: bool) -> Found {
    let path = folder.join(&listed.name);
    let bytes = fs::metadata(&path).map_or(0, |meta| meta.len());
    let is_whole = match kind {
        SegmentType::MpegTs => !is_cut_off(bytes, folder),
        SegmentType::Fmp4 => has_header && fragments::is_whole(&path, bytes),
    };
    if bytes == 0 || !is_whole {
        // A full file system gives empty files, and half ones, and no error.
        discard(&path);
        return Found { listed, path, bytes: 0 };
    }
    Found { listed, path, bytes }
}

/// A full file system cuts at a block's end, which is seldom a packet's. Where it is both, the room that is left
/// tells.
fn is_cut_off(bytes: u64, folder: &Path) -> bool {
    let full = || free_bytes(folder).is_ok_and(|free| free < FULL_BYTES);
    !bytes.is_multiple_of(PACKET_BYTES) || (bytes.is_multiple_of(BLOCK_BYTES) && full())
}

/// Segments before `first` that slid out of ffmpeg's playlist unseen would fill the spool.
fn remove_missed(folder: &Path, first: u64, missed: u64, kind: SegmentType) {
    for index in first.saturating_sub(missed.min(MOST_MISSED))..first {
        discard(&folder.join(format!("seg_{index:06}.{}", suffix(kind))));
    }
}

/// A spool that hangs must not keep the driver from hearing that it is to stop.
pub(super) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::time::timeout(DISK_TIME, tokio::task::spawn_blocking(work)).await;
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
    done.map_err(late)?.map_err(io::Error::other)?
}

/// Also if it hides what was there: then the next folder above tells.
pub(super) fn is_read_only(path: &Path) -> bool {
    let there = path.ancestors().find_map(|folder| statvfs(folder).ok());
    there.is_some_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY))
}

pub(super) fn free_bytes(folder: &Path) -> io::Result<u128> {
    let fs = statvfs(folder)?;
    Ok(u128::from(fs.blocks_available()) * u128::from(fs.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(indices: std::ops::Range<u64>) -> Vec<Found> {
        let duration = Duration::from_secs(2);
        let listed = |index| Listed { name: format!("seg_{index:06}.ts"), index, duration };
        indices.map(|index| Found { listed: listed(index), path: PathBuf::new(), bytes: 188 }).collect()
    }

    /// Of the last segment: how long ago it started.
    fn age(events: &[EngineEvent]) -> Duration {
        let mut times = events.iter().filter_map(|event| match event {
            EngineEvent::Segment(segment) => Some(segment.program_time),
            _ => None,
        });
        clock::wall().duration_since(times.next_back().unwrap()).unwrap()
    }

    #[test]
    fn behind_missed_segments_the_stamps_follow_the_clock_at_once() {
        let mut tail = Tail::new(RunId::new(1, 1), Path::new(""), SegmentType::MpegTs);
        tail.tell(0, found(0..1));
        // The clock stands nearly still: six segments in no time are stamped from now on backwards.
        let events = tail.tell(3, found(4..6));
        assert!(age(&events) < Duration::from_secs(5), "{:?}", age(&events));
        assert_eq!(events.last(), Some(&EngineEvent::Lost { segments: 3 }));
        let Some(EngineEvent::Segment(first)) = events.first() else { panic!("{events:?}") };
        assert!(clock::wall().duration_since(first.program_time).unwrap() >= Duration::from_secs(4));
    }
}
