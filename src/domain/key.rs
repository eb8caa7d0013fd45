//! The remote layout: which object has which name.
//!
//! ```text
//! {location}/{camera}/stream.m3u8
//! {location}/{camera}/segment_{run}_{index}.ts
//! {location}/{camera}/snapshot.jpg
//! {location}/{camera}/status.json
//! ```

use std::fmt;
use std::sync::Arc;

use super::ids::{CameraId, Location, RunId};

/// The media playlist's name in a camera's folder.
pub const PLAYLIST_NAME: &str = "stream.m3u8";

/// The last still picture's name there.
pub const SNAPSHOT_NAME: &str = "snapshot.jpg";

/// The name there of what players should know.
pub const SHEET_NAME: &str = "status.json";

/// An object's full name in the store: `/`-separated, never starting with `/`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(Arc<str>);

impl ObjectKey {
    /// For names that a store listed or a test makes up; the agent's own come from [`Layout`].
    pub fn new(key: impl Into<Arc<str>>) -> Self {
        Self(key.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last path segment: what a playlist in the same folder names.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// One camera's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Ends in `/`, so that `cam_1` is never a prefix of `cam_10`.
    folder: Arc<str>,
}

impl Layout {
    pub fn new(location: &Location, camera: &CameraId) -> Self {
        Self { folder: format!("{location}/{camera}/").into() }
    }

    /// The prefix that [`crate::store::ObjectStore::list`] takes; ends in `/`.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    pub fn playlist(&self) -> ObjectKey {
        self.named(PLAYLIST_NAME)
    }

    pub fn snapshot(&self) -> ObjectKey {
        self.named(SNAPSHOT_NAME)
    }

    pub fn sheet(&self) -> ObjectKey {
        self.named(SHEET_NAME)
    }

    pub fn segment(&self, run: RunId, index: u64) -> ObjectKey {
        self.named(&format!("segment_{run}_{index:06}.ts"))
    }

    /// The key behind a name that one of our playlists has; `None` for names that this agent never gives.
    pub fn segment_named(&self, name: &str) -> Option<ObjectKey> {
        parse_segment_name(name).map(|_| self.named(name))
    }

    /// The run that made this object; `None` unless it is a segment in this very folder.
    pub fn run_of(&self, key: &ObjectKey) -> Option<RunId> {
        self.place_of(key).map(|(run, _)| run)
    }

    /// The same with the segment's number in that run.
    pub fn place_of(&self, key: &ObjectKey) -> Option<(RunId, u64)> {
        parse_segment_name(key.as_str().strip_prefix(&*self.folder)?)
    }

    fn named(&self, name: &str) -> ObjectKey {
        ObjectKey(format!("{}{name}", self.folder).into())
    }
}

fn parse_segment_name(name: &str) -> Option<(RunId, u64)> {
    let (run, index) = name.strip_prefix("segment_")?.strip_suffix(".ts")?.split_once('_')?;
    let digits = index.len() >= 6 && index.bytes().all(|b| b.is_ascii_digit());
    if !digits {
        return None;
    }
    Some((run.parse().ok()?, index.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::new(&"location_1".parse().unwrap(), &"cam_floor".parse().unwrap())
    }

    #[test]
    fn keys_follow_the_layout() {
        let run = RunId::new(0x123, 0xab);
        assert_eq!(layout().playlist().as_str(), "location_1/cam_floor/stream.m3u8");
        assert_eq!(layout().snapshot().as_str(), "location_1/cam_floor/snapshot.jpg");
        let key = layout().segment(run, 7);
        assert_eq!(key.as_str(), "location_1/cam_floor/segment_00000000123000000ab_000007.ts");
        assert_eq!((layout().run_of(&key), layout().place_of(&key)), (Some(run), Some((run, 7))));
        assert_eq!(layout().segment_named(key.file_name()), Some(key));
    }

    #[test]
    fn foreign_objects_are_nobodys_segment() {
        for name in [
            "stream.m3u8",
            "snapshot.jpg",
            "status.json",
            "holiday.mp4",
            "segment_.ts",
            "segment_00000000123000000ab_7.ts",
            "../segment_00000000123000000ab_000007.ts",
        ] {
            assert_eq!(
                layout().run_of(&ObjectKey::new(format!("location_1/cam_floor/{name}"))),
                None,
                "{name}"
            );
            assert_eq!(layout().segment_named(name), None, "{name}");
        }
        let elsewhere = ObjectKey::new("location_1/cam_floor2/segment_00000000123000000ab_000007.ts");
        assert_eq!(layout().run_of(&elsewhere), None);
    }
}
