//! One line that the next agent of this machine should know; what it says is not the engine's business.
//!
//! It has to outlive the agent, not the machine: the page cache is enough, so nothing is synced. It is written in place,
//! as one block: on a disk the system then writes that block every half a minute or so (a rename would make it
//! allocate and write one each time), and a spool that is full holds it still. One `write` within a page is there
//! wholly or not at all for whoever comes after a `kill -9`; what is torn all the same is no note.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory;
use crate::domain::publication::MOST_NOTED;

const NAME: &str = "note";
const BLOCK: usize = 4096;
const END: &str = "end";
/// A boot's id has 36 characters, and there are three ends of lines.
const _: () = assert!(36 + MOST_NOTED + END.len() + 3 <= BLOCK);

/// Clones are the same note. Without a folder it is kept for this process only.
#[derive(Debug, Clone, Default)]
pub struct Note(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    folder: Option<PathBuf>,
    text: Option<String>,
    is_new: bool,
    /// By whom the newest text is written.
    being_written: bool,
}

impl Note {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it lies in `folder`. What this process said is newer than what lies there.
    pub(crate) fn lies_in(&self, folder: &Path) {
        let found = recall(folder);
        let mut state = self.state();
        state.folder = Some(folder.to_owned());
        state.is_new = state.text.is_some();
        state.text = state.text.take().or(found);
    }

    pub fn text(&self) -> Option<String> {
        self.state().text.clone()
    }

    /// To be written by [`Self::write`].
    pub fn say(&self, text: String) {
        let mut state = self.state();
        state.text = Some(text);
        state.is_new = true;
    }

    /// Blocking: a card may be slow. Where one call hangs, others leave the newest text to it.
    pub fn write(&self) {
        if std::mem::replace(&mut self.state().being_written, true) {
            return;
        }
        while let Some((folder, text)) = self.next() {
            if let Err(error) = write(&folder, &text) {
                tracing::debug!(%error, "a note can't be kept: the next agent believes what the storage says");
            }
        }
    }

    fn next(&self) -> Option<(PathBuf, String)> {
        let mut state = self.state();
        let next = state.folder.clone().zip(state.text.clone()).filter(|_| state.is_new);
        state.is_new &= next.is_none();
        state.being_written = next.is_some();
        next
    }
}

fn write(folder: &Path, text: &str) -> io::Result<()> {
    let Some(boot) = memory::boot() else { return Ok(()) };
    let block = format!("{}\n{text}\n{END}\n", boot.trim());
    if text.contains('\n') || block.len() > BLOCK {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(false).mode(0o600).open(folder.join(NAME))?;
    file.write_all(format!("{block:BLOCK$}").as_bytes())
}

fn recall(folder: &Path) -> Option<String> {
    let block = memory::read(&folder.join(NAME), BLOCK);
    let mut lines = block.lines();
    let is_known = lines.next() == Some(memory::boot()?.trim());
    let text = lines.next().filter(|_| is_known && lines.next() == Some(END));
    text.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn said(folder: &Path) -> Option<String> {
        let note = Note::default();
        note.lies_in(folder);
        note.text()
    }

    fn say(note: &Note, text: &str) {
        note.say(text.to_owned());
        note.write();
    }

    #[test]
    fn the_last_note_is_known_to_the_next_agent() {
        let folder = tempfile::tempdir().unwrap();
        let note = Note::default();
        say(&note, "kept for this process");
        assert_eq!(note.text().as_deref(), Some("kept for this process"));
        note.lies_in(folder.path());
        say(&note, "a longer one");
        say(&note, "short");
        assert_eq!(said(folder.path()).as_deref(), Some("short"));
        let file = fs::metadata(folder.path().join(NAME)).unwrap();
        assert_eq!(file.len(), BLOCK as u64, "one block, however long the text");
        note.lies_in(folder.path());
        assert_eq!(note.text().as_deref(), Some("short"));
    }

    #[test]
    fn another_boot_and_garbage_say_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let note = Note::default();
        note.lies_in(folder.path());
        say(&note, "700/3");
        let path = folder.path().join(NAME);
        let whole = fs::read_to_string(&path).unwrap();
        let (_, rest) = whole.split_once('\n').unwrap();
        let torn = whole.split_once("/3").unwrap().0;
        for content in [
            format!("another-boot\n{rest}").into_bytes(),
            torn.as_bytes().to_vec(),
            format!("{torn}\n").into_bytes(),
            b"\xff\0garbage".to_vec(),
            vec![b'7'; 50 << 20],
            Vec::new(),
        ] {
            fs::write(&path, &content).unwrap();
            assert_eq!(said(folder.path()), None, "{} bytes", content.len());
        }
        // What comes next is well again, also over a longer file.
        fs::write(&path, vec![b'7'; 1 << 20]).unwrap();
        say(&note, "701/3");
        assert_eq!(said(folder.path()).as_deref(), Some("701/3"));
    }

    #[test]
    fn what_can_not_be_written_is_no_trouble() {
        let folder = tempfile::tempdir().unwrap();
        let note = Note::default();
        note.lies_in(&folder.path().join("gone"));
        say(&note, "1");
        note.lies_in(folder.path());
        say(&note, &"x".repeat(BLOCK));
        say(&note, "two\nlines");
        assert_eq!(said(folder.path()), None);
        say(&note, "2");
        assert_eq!(said(folder.path()).as_deref(), Some("2"));
    }

    #[test]
    fn the_longest_note_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (note, longest) = (Note::default(), "x".repeat(MOST_NOTED));
        note.lies_in(folder.path());
        say(&note, &longest);
        assert_eq!(said(folder.path()), Some(longest));
    }

    #[test]
    fn many_writers_leave_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let note = Note::default();
        note.lies_in(folder.path());
        std::thread::scope(|scope| {
            for i in 0..200 {
                note.say(i.to_string());
                scope.spawn(|| note.write());
            }
        });
        assert_eq!(said(folder.path()).as_deref(), Some("199"));
    }
}
