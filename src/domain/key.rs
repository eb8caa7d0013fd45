//! The remote layout: which object has which name.
//!
//! ```text
//! {location}/{camera}/stream.m3u8
//! {location}/{camera}/segment_{run}_{index}.ts
//! {location}/{camera}/segment_{run}_{index}.m4s     fMP4
//! {location}/{camera}/init_{run}.mp4                what its run's segments need
//! {location}/{camera}/snapshot.jpg
//! {location}/{camera}/status.json
//! ```

use std::fmt;
use std::sync::Arc;

use super::ids::{CameraId, Location, RunId};
use super::segment::SegmentType;

/// The media playlist's name in a camera's folder.
pub const PLAYLIST_NAME: &str = "stream.m3u8";

/// The last still picture's name there.
pub const SNAPSHOT_NAME: &str = "snapshot.jpg";

/// The name there of what players should know.
pub const SHEET_NAME: &str = "status.json";

/// An init object's name there begins with it.
pub const INIT_PREFIX: &str = "init_";

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

    /// What kind of segment it is, by its name.
    pub fn segment_type(&self) -> SegmentType {
        if self.0.ends_with(FMP4_SUFFIX) { SegmentType::Fmp4 } else { SegmentType::MpegTs }
    }

    /// What a player needs before this segment: its run's init object, in the same folder. The name follows from the
    /// segment's, so no two runs ever share one.
    pub fn init(&self) -> Option<Self> {
        let folder = self.0.len() - self.file_name().len();
        let (run, _) = parse_segment_name(self.file_name(), FMP4_SUFFIX)?;
        Some(Self(format!("{}{}", &self.0[..folder], init_name(run)).into()))
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

    pub fn segment(&self, run: RunId, index: u64, kind: SegmentType) -> ObjectKey {
        self.named(&format!("segment_{run}_{index:06}{}", suffix(kind)))
    }

    /// Of an fMP4 run.
    pub fn init(&self, run: RunId) -> ObjectKey {
        self.named(&init_name(run))
    }

    /// The key behind a name that one of our playlists has; `None` for names that this agent never gives.
    pub fn segment_named(&self, name: &str) -> Option<ObjectKey> {
        [MPEG_TS_SUFFIX, FMP4_SUFFIX].iter().find_map(|suffix| parse_segment_name(name, suffix))?;
        Some(self.named(name))
    }

    /// The run that made this object; `None` unless it is a segment or an init object in this very folder.
    pub fn run_of(&self, key: &ObjectKey) -> Option<RunId> {
        self.place_of(key)
            .map(|(run, _)| run)
            .or_else(|| parse_init_name(key.as_str().strip_prefix(&*self.folder)?))
    }

    /// The same with the segment's number in that run; `None` for an init object.
    pub fn place_of(&self, key: &ObjectKey) -> Option<(RunId, u64)> {
        let name = key.as_str().strip_prefix(&*self.folder)?;
        [MPEG_TS_SUFFIX, FMP4_SUFFIX].iter().find_map(|suffix| parse_segment_name(name, suffix))
    }

    fn named(&self, name: &str) -> ObjectKey {
        ObjectKey(format!("{}{name}", self.folder).into())
    }
}

const MPEG_TS_SUFFIX: &str = ".ts";
const FMP4_SUFFIX: &str = ".m4s";

fn suffix(kind: SegmentType) -> &'static str {
    match kind {
        SegmentType::MpegTs => MPEG_TS_SUFFIX,
        SegmentType::Fmp4 => FMP4_SUFFIX,
    }
}

fn init_name(run: RunId) -> String {
    format!("{INIT_PREFIX}{run}.mp4")
}

fn parse_init_name(name: &str) -> Option<RunId> {
    name.strip_prefix(INIT_PREFIX)?.strip_suffix(".mp4")?.parse().ok()
}

fn parse_segment_name(name: &str, suffix: &str) -> Option<(RunId, u64)> {
    let (run, index) = name.strip_prefix("segment_")?.strip_suffix(suffix)?.split_once('_')?;
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
        let key = layout().segment(run, 7, SegmentType::MpegTs);
        assert_eq!(key.as_str(), "location_1/cam_floor/segment_00000000123000000ab_000007.ts");
        assert_eq!((layout().run_of(&key), layout().place_of(&key)), (Some(run), Some((run, 7))));
        assert_eq!(key.init(), None);
        assert_eq!(layout().segment_named(key.file_name()), Some(key));
    }

    #[test]
    fn an_fmp4_segment_names_its_runs_init_object() {
        let run = RunId::new(0x123, 0xab);
        let key = layout().segment(run, 7, SegmentType::Fmp4);
        assert_eq!(key.as_str(), "location_1/cam_floor/segment_00000000123000000ab_000007.m4s");
        let init = key.init().unwrap();
        assert_eq!(init.as_str(), "location_1/cam_floor/init_00000000123000000ab.mp4");
        assert_eq!(init, layout().init(run));
        assert_eq!((layout().run_of(&key), layout().run_of(&init)), (Some(run), Some(run)));
        assert_eq!((key.segment_type(), init.init()), (SegmentType::Fmp4, None));
        assert_eq!(layout().segment_named(key.file_name()), Some(key));
        assert_eq!(layout().segment_named(init.file_name()), None, "it is no segment");
    }

    #[test]
    fn foreign_objects_are_nobodys_segment() {
        for name in [
            "stream.m3u8",
            "snapshot.jpg",
            "status.json",
            "holiday.mp4",
            "segment_.ts",
            "init_.mp4",
            "init_00000000123000000ab.ts",
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
