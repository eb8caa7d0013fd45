//! An fMP4 run's files: is what ffmpeg wrote whole? A full file system cuts files off and gives no error.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::LOCAL_INIT;
use crate::domain::fmp4::Header;
use crate::domain::segment::{Rendition, sibling};

/// Far above any.
const MOST_BYTES: u64 = 1 << 20;

/// A run's init object, with those of all renditions; `None`: one is missing or cut off.
///
/// # Errors
/// It could not be read: perhaps later.
pub fn read_header(folder: &Path, renditions: Rendition) -> io::Result<Option<Header>> {
    let first = folder.join(LOCAL_INIT);
    let Some(header) = read_one(&first)? else { return Ok(None) };
    let others: io::Result<Option<Vec<_>>> =
        (2..=renditions).map(|number| read_one(&sibling(&first, number))).collect();
    Ok(others?.map(|others| header.with(others)))
}

fn read_one(path: &Path) -> io::Result<Option<Header>> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() <= MOST_BYTES => Ok(Header::read(fs::read(path)?)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether boxes fill the file to its end. What can't be read is left to whoever wants its bytes.
pub fn is_whole(path: &Path, bytes: u64) -> bool {
    let ends = || -> io::Result<u64> {
        let (mut file, mut at) = (File::open(path)?, 0);
        while at < bytes {
            let mut head = [0; 16];
            file.seek(SeekFrom::Start(at))?;
            let room = (bytes - at).min(16) as usize;
            file.read_exact(&mut head[..room])?;
            let [a, b, c, d, _, _, _, _, long @ ..] = head;
            let (size, least) = match u32::from_be_bytes([a, b, c, d]) {
                1 => (u64::from_be_bytes(long), 16),
                size => (u64::from(size), 8),
            };
            // Zeros are what a crash leaves; ffmpeg writes each box's size.
            if size < least {
                return Ok(0);
            }
            at = at.saturating_add(size);
        }
        Ok(at)
    };
    ends().map_or(true, |end| end == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_cut_off_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seg_000000.m4s");
        let mut bytes = [&16u32.to_be_bytes()[..], b"moof", &[0; 8], &1u32.to_be_bytes(), b"mdat"].concat();
        bytes.extend(116u64.to_be_bytes());
        bytes.extend([0; 100]);
        fs::write(&path, &bytes).unwrap();
        assert!(is_whole(&path, bytes.len() as u64));
        for cut in [1, 7, 17, 40, 131] {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert!(!is_whole(&path, cut as u64), "{cut}");
        }
        fs::write(&path, &bytes[..16]).unwrap();
        assert!(is_whole(&path, 16), "what ends with a box can't be told from a whole one");
    }

    #[test]
    fn a_file_that_a_crash_left_zeros_in_or_odd_sizes_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seg_000000.m4s");
        let is_whole = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            is_whole(&path, bytes.len() as u64)
        };
        assert!(!is_whole(&[0; 64]));
        let first = [&16u32.to_be_bytes()[..], b"styp", &[0; 8]].concat();
        assert!(is_whole(&first));
        // The second one leads back to the beginning of the first one.
        for size in [u64::MAX, u64::MAX - 15, 0, 15] {
            let second = [&1u32.to_be_bytes()[..], b"mdat", &size.to_be_bytes()].concat();
            assert!(!is_whole(&[&first[..], &second].concat()), "{size}");
        }
    }

    #[test]
    fn half_an_init_object_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_header(folder.path(), 1).unwrap().is_none());
        for half in [&b""[..], b"\0\0\0\x10ftyp"] {
            fs::write(folder.path().join(LOCAL_INIT), half).unwrap();
            assert!(read_header(folder.path(), 1).unwrap().is_none());
        }
    }
}
