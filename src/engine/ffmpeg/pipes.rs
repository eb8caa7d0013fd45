//! A run in parts: ffmpeg writes its frames into pipes, and what they make is told at once. Whole segments are put into the
//! run's folder, with a journal, as ffmpeg itself does it for other runs: so the same eyes follow both.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::unix::pipe;
use tokio::process::ChildStdout;

use super::tail::on_disk;
use crate::domain::arrivals::Arrivals;
use crate::domain::cmaf::{Cut, Cutter, Damaged, Made, Sample, Samples, Tracks};
use crate::domain::codecs::{Picture, Pictures};
use crate::domain::ids::RunId;
use crate::domain::segment::{Part, SegmentType};
use crate::engine::spool::{LOCAL_INIT, LOCAL_PLAYLIST, suffix};

/// Read at once.
const CHUNK_BYTES: usize = 16 << 10;
/// A camera that announces sound and sends none keeps its picture waiting so long.
const SOUND_TIME_S: u64 = 2;
/// Of a keyframe: parameter sets stand at its beginning.
const MOST_OF_FRAME: usize = 4 << 10;
/// As many as ffmpeg's own journal has.
const JOURNAL: usize = 16;

/// What a run in parts is made of.
#[derive(Debug)]
pub(super) struct Outlets {
    pub(super) picture: Option<ChildStdout>,
    pub(super) sound: Option<pipe::Receiver>,
}

/// How its frames become parts and segments.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    pub(super) run: RunId,
    pub(super) folder: PathBuf,
    pub(super) cut: Cut,
    pub(super) most_bytes: u64,
    pub(super) is_copy: bool,
}

/// What came of some bytes.
#[derive(Debug, Default)]
pub(super) struct Piped {
    pub(super) parts: Vec<Part>,
    pub(super) segments: Vec<Whole>,
    /// Nothing more can be made of this run.
    pub(super) damaged: Option<Damaged>,
    pub(super) is_over_limit: bool,
    /// Its sound can't be played with its picture.
    pub(super) is_sound_homeless: bool,
}

#[derive(Debug)]
pub(super) struct Whole {
    index: u64,
    duration: Duration,
    parts: Vec<Bytes>,
}

#[derive(Debug)]
pub(super) struct Pipes {
    picture: Track<ChildStdout>,
    sound: Option<Track<pipe::Receiver>>,
    recipe: Recipe,
    /// Until the tracks are known.
    waiting: Vec<Sample>,
    cutter: Option<Cutter>,
    /// Still to be written.
    init: Option<Vec<u8>>,
    /// Of a copy: what its first keyframe shows, and whether another one came.
    first: Option<Picture>,
    is_other: bool,
    is_damaged: bool,
    /// Its sound came too late for the init object: players know no track of it.
    is_mute: bool,
    /// The journal's last lines.
    journal: Vec<(u64, Duration)>,
    /// How much was told in parts, and in segments.
    told: Duration,
    whole: Duration,
    arrivals: Arrivals,
}

#[derive(Debug)]
struct Track<R> {
    source: Option<R>,
    samples: Samples,
    chunk: Box<[u8]>,
}

impl<R: AsyncRead + Unpin> Track<R> {
    fn new(source: Option<R>) -> Self {
        Self { source, samples: Samples::default(), chunk: vec![0; CHUNK_BYTES].into() }
    }

    /// How many bytes lie in the chunk; never again after the end. Cancel-safe.
    async fn read(&mut self) -> usize {
        let Some(source) = &mut self.source else { return std::future::pending().await };
        let read = source.read(&mut self.chunk).await.unwrap_or(0);
        if read == 0 {
            self.source = None;
        }
        read
    }

    fn take(&mut self, read: usize) -> Result<(), Damaged> {
        self.samples.feed(self.chunk.get(..read).unwrap_or_default())
    }
}

impl Pipes {
    pub(super) fn new(outlets: Outlets, recipe: Recipe) -> Self {
        Self {
            picture: Track::new(outlets.picture),
            sound: outlets.sound.map(|sound| Track::new(Some(sound))),
            recipe,
            waiting: Vec::new(),
            cutter: None,
            init: None,
            first: None,
            is_other: false,
            is_damaged: false,
            is_mute: false,
            journal: Vec::new(),
            told: Duration::ZERO,
            whole: Duration::ZERO,
            arrivals: Arrivals::default(),
        }
    }

    /// A part came at this time. A frame comes out when the next one is there, which is when it ends.
    pub(super) fn came(&mut self, part: &Part, at: SystemTime) {
        self.told += part.duration;
        self.arrivals.came(at, self.told);
    }

    /// When these segments ended.
    pub(super) fn ended_at(&mut self, segments: &[Whole]) -> Option<SystemTime> {
        self.whole += segments.iter().map(|segment| segment.duration).sum::<Duration>();
        self.arrivals.when(self.whole)
    }

    /// What the next bytes bring; never again behind the end of both pipes. Cancel-safe.
    pub(super) async fn next(&mut self) -> Piped {
        let taken = match &mut self.sound {
            // Sound first: what has come of it belongs to the frames that have.
            Some(sound) => tokio::select! {
                biased;
                read = sound.read() => sound.take(read),
                read = self.picture.read() => self.picture.take(read),
            },
            None => {
                let read = self.picture.read().await;
                self.picture.take(read)
            }
        };
        let mut piped = Piped::default();
        if self.is_damaged {
            // It is read all the same, or ffmpeg would hang.
            return piped;
        }
        if let Err(damaged) = taken.and_then(|()| self.cut(&mut piped)) {
            self.is_damaged = true;
            piped.damaged = Some(damaged);
        }
        piped.is_over_limit = self.cutter.as_ref().is_some_and(Cutter::is_over_limit);
        let is_late = self.is_mute && self.sound.as_ref().is_some_and(|sound| sound.samples.init().is_some());
        piped.is_sound_homeless = is_late || self.cutter.as_ref().is_some_and(Cutter::is_sound_homeless);
        piped
    }

    pub(super) fn is_over(&self) -> bool {
        self.picture.source.is_none() && self.sound.as_ref().is_none_or(|sound| sound.source.is_none())
    }

    /// The last part and segment, of what there is.
    pub(super) fn finish(&mut self) -> Piped {
        let mut piped = Piped::default();
        let made = self.cutter.as_mut().map(Cutter::finish).unwrap_or_default();
        self.sort(made, &mut piped);
        piped
    }

    fn cut(&mut self, piped: &mut Piped) -> Result<(), Damaged> {
        self.waiting.extend(&mut self.picture.samples);
        if self.cutter.is_none() && !self.join() {
            return Ok(());
        }
        let Some(cutter) = &mut self.cutter else { return Ok(()) };
        while let Some(packet) = self.sound.as_mut().and_then(|sound| sound.samples.next()) {
            // It is read all the same, or ffmpeg would hang.
            if !self.is_mute {
                cutter.hear(packet);
            }
        }
        let mut made = Vec::new();
        let cut = self.waiting.drain(..).try_for_each(|frame| {
            made.extend(cutter.see(frame)?);
            Ok(())
        });
        // Before the damage, too: it is counted.
        self.sort(made, piped);
        cut
    }

    /// As soon as it is known of both what they are.
    fn join(&mut self) -> bool {
        let Some(picture) = self.picture.samples.init() else { return false };
        let sound = self.sound.as_ref().map(|sound| sound.samples.init());
        let tracks = match sound {
            None => Tracks::join(picture, None),
            Some(Some(sound)) => Tracks::join(picture, Some(sound)),
            Some(None) => {
                let alone = Tracks::join(picture, None);
                let most =
                    alone.as_ref().map_or(0, |tracks| SOUND_TIME_S * u64::from(tracks.picture_per_second));
                let ends = self.waiting.first().zip(self.waiting.last());
                if ends.is_none_or(|(first, last)| last.time.saturating_sub(first.time) < most) {
                    return false;
                }
                alone
            }
        };
        let Some(tracks) = tracks else { return false };
        self.is_mute = matches!(sound, Some(None));
        self.cutter = Some(Cutter::new(&tracks, self.recipe.cut, self.recipe.most_bytes));
        self.init = Some(tracks.init);
        true
    }

    fn sort(&mut self, made: Vec<Made>, piped: &mut Piped) {
        for made in made {
            match made {
                Made::Part { number, segment, duration, independent, bytes, keyframe } => {
                    keyframe.iter().for_each(|keyframe| self.compare(keyframe));
                    let part = Part { run: self.recipe.run, number, segment, duration, independent, bytes };
                    // Nobody should see another picture without a break; the segment's look ends the run.
                    piped.parts.extend((!self.is_other).then_some(part));
                }
                Made::Segment { index, duration, parts } => {
                    piped.segments.push(Whole { index, duration, parts })
                }
            }
        }
    }

    fn compare(&mut self, keyframe: &Bytes) {
        if !self.recipe.is_copy {
            return;
        }
        let mut pictures = Pictures::default();
        pictures.read_sample(keyframe.get(..MOST_OF_FRAME).unwrap_or(keyframe));
        for picture in pictures.found() {
            self.is_other |= *self.first.get_or_insert_with(|| picture.clone()) != picture;
        }
    }

    /// Puts segments where the journal's readers look.
    ///
    /// # Errors
    /// The spool did not take them, or not in time: they are lost.
    pub(super) async fn keep(&mut self, segments: Vec<Whole>) -> io::Result<()> {
        let (folder, init) = (self.recipe.folder.clone(), self.init.clone());
        let mut journal = self.journal.clone();
        let kept = on_disk(move || {
            if let Some(init) = init {
                write_whole(&folder, LOCAL_INIT, &[init.into()])?;
            }
            for Whole { index, duration, parts } in segments {
                write_whole(&folder, &segment_name(index), &parts)?;
                journal.push((index, duration));
            }
            journal.drain(..journal.len().saturating_sub(JOURNAL));
            write_whole(&folder, LOCAL_PLAYLIST, &[journal_text(&journal).into()])?;
            Ok(journal)
        });
        self.journal = kept.await?;
        self.init = None;
        Ok(())
    }
}

fn segment_name(index: u64) -> String {
    format!("seg_{index:06}.{}", suffix(SegmentType::Fmp4))
}

fn journal_text(journal: &[(u64, Duration)]) -> String {
    let mut text = "#EXTM3U\n".to_owned();
    for (index, duration) in journal {
        // Writing to a String can't fail.
        let _ = writeln!(text, "#EXTINF:{:.6},\n{}", duration.as_secs_f64(), segment_name(*index));
    }
    text
}

/// In its place and whole, or not at all.
fn write_whole(folder: &Path, name: &str, pieces: &[Bytes]) -> io::Result<()> {
    let (path, draft) = (folder.join(name), folder.join(format!("{name}.tmp")));
    let write = || -> io::Result<()> {
        let mut file = fs::File::create(&draft)?;
        pieces.iter().try_for_each(|piece| io::Write::write_all(&mut file, piece))?;
        fs::rename(&draft, &path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&draft)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cmaf::testing::{fragment, init};

    const KEY: u32 = 0x200_0000;
    const NO_KEY: u32 = 0x101_0000;

    fn pipes() -> Pipes {
        let cut = Cut { part: Duration::from_millis(200), segment: Duration::from_millis(900) };
        let (run, folder) = (RunId::new(1, 1), PathBuf::new());
        let recipe = Recipe { run, folder, cut, most_bytes: 1 << 20, is_copy: false };
        Pipes::new(Outlets { picture: None, sound: None }, recipe)
    }

    /// 25 in a second, each second with a keyframe.
    fn frame(number: u64) -> Vec<u8> {
        let flags = if number.is_multiple_of(25) { KEY } else { NO_KEY };
        let bytes = Bytes::from_static(b"frame");
        fragment(&[Sample { time: 40 * number, duration: 40, offset: 0, flags, bytes }])
    }

    #[test]
    fn what_came_before_the_damage_is_handed_on() {
        let (mut pipes, mut piped) = (pipes(), Piped::default());
        let torn: Vec<u8> = (0..33).chain([3]).chain(33..40).flat_map(frame).collect();
        pipes.picture.samples.feed(&[init(1000), torn].concat()).unwrap();
        assert!(pipes.cut(&mut piped).is_err());
        let mut last = pipes.finish();
        piped.parts.append(&mut last.parts);
        piped.segments.append(&mut last.segments);
        let numbers: Vec<_> = piped.parts.iter().map(|part| part.number).collect();
        let indexes: Vec<_> = piped.segments.iter().map(|whole| whole.index).collect();
        assert_eq!((numbers, indexes), ((0..7).collect(), vec![0, 1]));
    }
}
