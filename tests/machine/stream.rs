//! What lies in the `file` store, seen as a viewer would.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::agent::{Agent, Place};
use crate::support::wait::until;

/// A transport stream's packet.
const PACKET: usize = 188;

/// Everything that one camera's playlist ever named while somebody looked.
#[derive(Debug)]
pub struct Stream {
    folder: PathBuf,
    kept: PathBuf,
    seen: BTreeMap<String, PathBuf>,
    media_sequence: u64,
}

impl Stream {
    pub fn of(place: &Place, camera: &str) -> Self {
        let kept = place.path().join("kept").join(camera);
        fs::create_dir_all(&kept).unwrap();
        let folder = place.path().join("out/l").join(camera);
        Self { folder, kept, seen: BTreeMap::new(), media_sequence: 0 }
    }

    /// Waits for so many segments that were not seen yet.
    pub async fn grows(&mut self, by: usize, deadline: Duration, agent: &Agent) {
        self.look();
        let wanted = self.seen.len() + by;
        let what = format!("{by} more segments in {}", self.folder.display());
        let look = async || {
            self.look();
            (self.seen.len() >= wanted).then_some(())
        };
        until(deadline, &what, look, || agent.log()).await;
    }

    /// Keeps what is new; nothing that is named may be missing, empty or cut off.
    pub fn look(&mut self) {
        let Ok(playlist) = fs::read_to_string(self.folder.join("stream.m3u8")) else { return };
        let first = playlist.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
        let first = first.unwrap().parse().unwrap();
        assert!(first >= self.media_sequence, "the media sequence went back to {first}");
        self.media_sequence = first;
        for name in playlist.lines().filter(|line| !line.starts_with('#')) {
            if self.seen.contains_key(name) {
                continue;
            }
            let bytes = fs::read(self.folder.join(name)).unwrap_or_else(|e| panic!("{name} is named: {e}"));
            assert!(
                !bytes.is_empty() && bytes.len().is_multiple_of(PACKET),
                "{name} has {} bytes",
                bytes.len()
            );
            let kept = self.kept.join(name);
            fs::write(&kept, bytes).unwrap();
            self.seen.insert(name.to_owned(), kept);
        }
    }

    /// Every segment holds all of its second's frames but a run's last one, which may be shorter.
    pub fn assert_whole(&self) {
        let run = |name: &str| name.split('_').nth(1).map(str::to_owned);
        let names: Vec<_> = self.seen.keys().collect();
        for pair in names.windows(2).filter(|pair| run(pair[0]) == run(pair[1])) {
            assert_eq!(frames(&self.seen[pair[0]]), "5", "{}", pair[0]);
        }
    }
}

fn frames(segment: &Path) -> String {
    let args = "-v error -select_streams v -count_packets -show_entries stream=nb_read_packets -of csv=p=0";
    let output = Command::new("ffprobe").args(args.split(' ')).arg(segment).output().expect("ffprobe");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().unwrap_or_default().trim_end_matches(',').to_owned()
}
