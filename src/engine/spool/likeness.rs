//! Whether a copied run still shows what it began with.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;

use crate::domain::codecs::{Picture, Pictures, keyframes};
use crate::domain::segment::SegmentType;

/// What is read at once: whole packets of a transport stream.
const CHUNK_BYTES: usize = 188 * 256;
/// A tenth of it is much for what a segment begins with.
const MOST_OF_MOOF: u64 = 1 << 20;
/// Of a frame: parameter sets stand at its beginning.
const MOST_OF_FRAME: u64 = 4 << 10;
/// Of one segment: a camera may send nothing but keyframes.
const MOST_KEYFRAMES: usize = 64;

/// Of one run.
#[derive(Debug, Clone, Default)]
pub struct Likeness {
    is_copy: bool,
    /// Of the run's first frame.
    first: Option<Picture>,
    is_other: bool,
}

impl Likeness {
    /// The agent's own encoder changes nothing.
    pub fn new(is_copy: bool) -> Self {
        Self { is_copy, ..Self::default() }
    }

    /// The run has shown another picture.
    pub fn is_lost(&self) -> bool {
        self.is_other
    }

    /// Whether the run's next segment has nothing but the first one's picture. Nothing behind one that has another does:
    /// the run is over. Blocking.
    pub fn holds_for(&mut self, segment: &Path, kind: SegmentType) -> bool {
        if self.is_copy && !self.is_other {
            // What can't be read, or says nothing, is taken for the same.
            for picture in pictures(segment, kind).unwrap_or_default() {
                let first = self.first.get_or_insert_with(|| picture.clone());
                if *first != picture {
                    tracing::debug!(before = ?first, now = ?picture, "the camera's picture has changed");
                    self.is_other = true;
                }
            }
        }
        !self.is_other
    }
}

fn pictures(segment: &Path, kind: SegmentType) -> io::Result<Vec<Picture>> {
    let (mut file, mut pictures) = (File::open(segment)?, Pictures::default());
    match kind {
        SegmentType::MpegTs => read_packets(&mut file, &mut pictures)?,
        SegmentType::Fmp4 | SegmentType::Parted => read_fragments(&mut file, &mut pictures)?,
    }
    Ok(pictures.found())
}

/// All of it: a keyframe may be anywhere.
fn read_packets(file: &mut File, pictures: &mut Pictures) -> io::Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    loop {
        chunk.clear();
        if file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk)? == 0 {
            return Ok(());
        }
        pictures.read_packets(&chunk);
    }
}

/// The tables, and where they say that a keyframe begins.
fn read_fragments(file: &mut File, pictures: &mut Pictures) -> io::Result<()> {
    let (end, mut at) = (file.metadata()?.len(), 0);
    let mut rest = MOST_KEYFRAMES;
    while at < end {
        let mut head = [0; 8];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut head)?;
        let [a, b, c, d, kind @ ..] = head;
        let size = u64::from(u32::from_be_bytes([a, b, c, d]));
        // ffmpeg writes longer ones for more than 4 GB.
        if size < 8 {
            return Ok(());
        }
        if &kind == b"moof" && size <= MOST_OF_MOOF {
            let moof = read(file, at, size)?;
            for frame in keyframes(&moof).unwrap_or_default().into_iter().take(rest) {
                pictures.read_sample(&read(file, at.saturating_add(frame), MOST_OF_FRAME)?);
                rest -= 1;
            }
        }
        at += size;
    }
    Ok(())
}

fn read(file: &mut File, at: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.by_ref().take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
