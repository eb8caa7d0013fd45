//! Follows one run's folder: what ffmpeg lists there becomes segments.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::clock;
use crate::domain::fmp4::Header;
use crate::domain::ids::RunId;
use crate::domain::lifecycle::Cause;
use crate::domain::segment::{Form, Payload, Rendition, Segment, SegmentType, sibling};
use crate::domain::timeline::Timeline;
use crate::engine::EngineEvent;
use crate::engine::spool::diff::{Diff, Listed, end};
use crate::engine::spool::likeness::Likeness;
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
    form: Form,
    /// Of an fMP4 run, from its first segment on.
    header: Option<Arc<Header>>,
    likeness: Likeness,
    pub(super) diff: Diff,
    timeline: Timeline,
    /// When the newest segment ended, where that is known better than by looking.
    pub(super) ended_at: Option<SystemTime>,
}

impl Tail {
    pub(super) fn new(run: RunId, folder: &Path, form: Form, is_copy: bool) -> Self {
        let (diff, timeline) = (Diff::default(), Timeline::default());
        let likeness = Likeness::new(is_copy);
        Self { run, path: folder.to_owned(), form, header: None, likeness, diff, timeline, ended_at: None }
    }

    /// Of a run in parts: what they say of the time is exact.
    pub(super) fn in_parts(self) -> Self {
        Self { timeline: Timeline::fine(), ..self }
    }

    pub(super) fn renditions(&self) -> Rendition {
        self.form.renditions
    }

    /// An error: the spool did not answer, so nothing is known; it is asked again.
    pub(super) async fn news(&mut self) -> io::Result<News> {
        let (folder, mut diff, form) = (self.path.clone(), self.diff.clone(), self.form);
        let (known, mut likeness) = (self.header.clone(), self.likeness.clone());
        // One step, and the diff moves on only if it came to its end: a hang costs time, not segments.
        let (diff, missed, found, header, likeness, used) = on_disk(move || {
            let text = read_playlist(&folder, 1)?;
            // A segment is there when all renditions have it; the durations are the same.
            let mut until = u64::MAX;
            for number in 2..=form.renditions {
                until = until.min(end(&read_playlist(&folder, number)?));
            }
            let news = diff.advance(&text, until);
            if let Some(first) = news.segments.first() {
                remove_missed(&folder, first.index, news.missed, form);
            }
            // It is whole when the playlist names a segment.
            let is_due = form.kind == SegmentType::Fmp4 && known.is_none() && !news.segments.is_empty();
            let header =
                if is_due { fragments::read_header(&folder, form.renditions)?.map(Arc::new) } else { known };
            let found: Vec<_> = news
                .segments
                .into_iter()
                .map(|listed| weigh(&folder, listed, form, header.is_some()))
                .map(|found| found.judged_by(&mut likeness, form.kind))
                .collect();
            // Runs that ended count too: their segments may still wait.
            let used = folder.parent().map_or(0, used_by_runs);
            Ok((diff, news.missed, found, header, likeness, used))
        })
        .await?;
        let has_changed = likeness.is_lost() && !self.likeness.is_lost();
        (self.diff, self.header, self.likeness) = (diff, header, likeness);
        let mut events = self.tell(missed, found);
        if has_changed {
            events.push(EngineEvent::Unfit(Cause::StreamChanged));
        }
        Ok(News { events, used })
    }

    fn is_headless(&self) -> bool {
        self.form.kind == SegmentType::Fmp4 && self.header.is_none()
    }

    fn tell(&mut self, missed: u64, found: Vec<Found>) -> Vec<EngineEvent> {
        let (mut lost, mut withheld) = (missed, 0);
        let mut seen = self.ended_at.take().unwrap_or_else(clock::wall);
        if missed > 0 {
            // Nobody knows how long they were.
            self.timeline.begin_anew();
        }
        if let [_, .., last] = found.as_slice()
            && self.timeline.is_new()
        {
            // A burst ends somewhere within the segment after it. Too early an anchor moves on without a break.
            seen = seen.checked_sub(last.listed.duration).unwrap_or(seen);
        }
        let mut later: Duration = found.iter().map(|found| found.listed.duration).sum();
        let mut events = Vec::new();
        for Found { listed, path, bytes, is_for_viewers } in found {
            later = later.saturating_sub(listed.duration);
            let stamp = self.timeline.stamp(seen.checked_sub(later).unwrap_or(seen), listed.duration);
            if bytes == 0 || !is_for_viewers {
                *(if is_for_viewers { &mut lost } else { &mut withheld }) += 1;
                continue;
            }
            let (index, duration) = (listed.index, listed.duration);
            let payload = Payload::File { path, bytes, renditions: self.form.renditions };
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
        if withheld > 0 {
            events.push(EngineEvent::Withheld { segments: withheld });
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

/// ffmpeg's own playlist of a rendition.
fn read_playlist(folder: &Path, number: Rendition) -> io::Result<String> {
    match fs::read(sibling(&folder.join(LOCAL_PLAYLIST), number)) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        // Before the first segment, and after somebody emptied the tmpfs: no news either way.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        // Out of file descriptors: what is there stays there, and is told later.
        Err(error) => Err(error),
    }
}

/// A listed segment, and what is on disk of it.
struct Found {
    listed: Listed,
    path: PathBuf,
    /// 0: nothing.
    bytes: u64,
    is_for_viewers: bool,
}

impl Found {
    /// What is of another picture than the run's first segment would need a discontinuity, and perhaps another choice.
    fn judged_by(self, likeness: &mut Likeness, kind: SegmentType) -> Self {
        let is_for_viewers = self.bytes == 0 || likeness.holds_for(&self.path, kind);
        if !is_for_viewers {
            discard(&self.path);
        }
        Self { is_for_viewers, ..self }
    }
}

/// Of all renditions: with one missing, players would come to a halt when they change.
fn weigh(folder: &Path, listed: Listed, form: Form, has_header: bool) -> Found {
    let path = folder.join(&listed.name);
    let files = (1..=form.renditions).map(|number| sibling(&path, number));
    let sizes: Option<Vec<_>> = files.clone().map(|file| weigh_one(&file, form.kind, has_header)).collect();
    if sizes.is_none() {
        // A full file system gives empty files, and half ones, and no error.
        files.for_each(|file| discard(&file));
    }
    Found { listed, path, bytes: sizes.into_iter().flatten().sum(), is_for_viewers: true }
}

/// `None`: it is not there, or not whole.
fn weigh_one(path: &Path, kind: SegmentType, has_header: bool) -> Option<u64> {
    let bytes = fs::metadata(path).map_or(0, |meta| meta.len());
    let is_whole = match kind {
        SegmentType::MpegTs => !is_cut_off(bytes, path),
        SegmentType::Fmp4 | SegmentType::Parted => has_header && fragments::is_whole(path, bytes),
    };
    (bytes > 0 && is_whole).then_some(bytes)
}

/// A full file system cuts at a block's end, which is seldom a packet's. Where it is both, the room that is left
/// tells.
fn is_cut_off(bytes: u64, path: &Path) -> bool {
    let full = || free_bytes(path).is_ok_and(|free| free < FULL_BYTES);
    !bytes.is_multiple_of(PACKET_BYTES) || (bytes.is_multiple_of(BLOCK_BYTES) && full())
}

/// Segments before `first` that slid out of ffmpeg's playlist unseen would fill the spool.
fn remove_missed(folder: &Path, first: u64, missed: u64, form: Form) {
    for index in first.saturating_sub(missed.min(MOST_MISSED))..first {
        let path = folder.join(format!("seg_{index:06}.{}", suffix(form.kind)));
        (1..=form.renditions).for_each(|number| discard(&sibling(&path, number)));
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
        indices
            .map(|index| Found {
                listed: listed(index),
                path: PathBuf::new(),
                bytes: 188,
                is_for_viewers: true,
            })
            .collect()
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
        let mut tail = Tail::new(RunId::new(1, 1), Path::new(""), SegmentType::MpegTs.into(), false);
        tail.tell(0, found(0..1));
        // The clock stands nearly still: six segments in no time are stamped from now on backwards.
        let events = tail.tell(3, found(4..6));
        assert!(age(&events) < Duration::from_secs(5), "{:?}", age(&events));
        assert_eq!(events.last(), Some(&EngineEvent::Lost { segments: 3 }));
        let Some(EngineEvent::Segment(first)) = events.first() else { panic!("{events:?}") };
        assert!(clock::wall().duration_since(first.program_time).unwrap() >= Duration::from_secs(4));
    }
}
