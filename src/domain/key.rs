//! The remote layout: which object has which name.
//!
//! ```text
//! {location}/{camera}/stream.m3u8
//! {location}/{camera}/segment_{run}_{index}.ts
//! {location}/{camera}/segment_{run}_{index}.m4s     fMP4
//! {location}/{camera}/init_{run}.mp4                what its run's segments need
//! {location}/{camera}/part_{run}_{number}.m4s       a part of a segment, counted within the run
//! {location}/{camera}/snapshot.jpg
//! {location}/{camera}/status.json
//! ```
//!
//! Of a camera with several renditions each one has a playlist and its own object of each segment. A name tells how many
//! there are, so the other names follow from the first one's:
//!
//! ```text
//! {location}/{camera}/multivariant.m3u8              names the playlists
//! {location}/{camera}/stream.m3u8                    of the first rendition
//! {location}/{camera}/stream_2.m3u8
//! {location}/{camera}/segment_{run}_{index}_1of2.ts
//! {location}/{camera}/segment_{run}_{index}_2of2.ts
//! ```

use std::fmt;
use std::sync::Arc;

use super::ids::{CameraId, Location, RunId};
use super::segment::{Form, MOST_RENDITIONS, Rendition, SegmentType, sibling_name};

/// The media playlist's name in a camera's folder.
pub const PLAYLIST_NAME: &str = "stream.m3u8";

/// The name there of the playlist that names the renditions' playlists.
pub const MULTIVARIANT_NAME: &str = "multivariant.m3u8";

/// The last still picture's name there.
pub const SNAPSHOT_NAME: &str = "snapshot.jpg";

/// The name there of what players should know.
pub const SHEET_NAME: &str = "status.json";

/// The folder of a camera's own origin, in its part of the spool.
pub const ORIGIN_NAME: &str = "origin";

/// An init object's name there begins with it.
pub const INIT_PREFIX: &str = "init_";

/// A part's name there begins with it.
pub const PART_PREFIX: &str = "part_";

/// `.{instance}-{number}.tmp`, in a folder as a store: hidden from web servers, and impossible as an object's name.
pub const TEMP_SUFFIX: &str = ".tmp";

/// What a folder as a store calls a file that is being written, of whatever instance.
pub fn is_temp(name: &str) -> bool {
    let parts = name.strip_prefix('.').and_then(|name| name.strip_suffix(TEMP_SUFFIX));
    parts.and_then(|parts| parts.split_once('-')).is_some_and(|(instance, number)| {
        instance.len() == 16
            && instance.bytes().all(|b| b.is_ascii_hexdigit())
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}

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
    pub fn form(&self) -> Form {
        let kinds = [SegmentType::Parted, SegmentType::Fmp4];
        let kind = kinds.into_iter().find(|kind| self.0.ends_with(suffix(*kind))).unwrap_or_default();
        Form { kind, renditions: self.place().of }
    }

    /// The same segment's name where there is no object of the whole; `None`: it is no fMP4 segment's.
    pub fn in_parts(&self) -> Option<Self> {
        let name = SegmentName::parse(self.file_name()).filter(|name| name.kind == SegmentType::Fmp4)?;
        Some(self.beside(&SegmentName { kind: SegmentType::Parted, ..name }.to_string()))
    }

    /// What a player needs before this segment: its run's init object, in the same folder. The name follows from the
    /// segment's, so no two runs ever share one.
    pub fn init(&self) -> Option<Self> {
        let name = SegmentName::parse(self.file_name()).filter(|name| name.kind.has_init())?;
        Some(self.beside(&init_name(name.run, name.place)))
    }

    /// The same segment or init object of another rendition; any other object has just one.
    #[must_use]
    pub fn rendition(&self, number: Rendition) -> Self {
        let name = self.file_name();
        if let Some(own) = SegmentName::parse(name) {
            return self.beside(&SegmentName { place: own.place.at(number), ..own }.to_string());
        }
        match parse_init_name(name) {
            Some((run, place)) => self.beside(&init_name(run, place.at(number))),
            None => self.clone(),
        }
    }

    /// The first rendition's and the others: all objects that are stored, named and deleted together.
    pub fn renditions(&self) -> impl Iterator<Item = Self> {
        (1..=self.place().of).map(|number| self.rendition(number))
    }

    fn place(&self) -> Of {
        let name = self.file_name();
        let of_segment = SegmentName::parse(name).map(|name| name.place);
        of_segment.or_else(|| Some(parse_init_name(name)?.1)).unwrap_or(Of::ONE)
    }

    fn beside(&self, name: &str) -> Self {
        let folder = self.0.len() - self.file_name().len();
        Self(format!("{}{name}", &self.0[..folder]).into())
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

    /// Of what this box serves itself, below the spool's root.
    pub fn of_origin(camera: &CameraId) -> Self {
        Self { folder: format!("{camera}/{ORIGIN_NAME}/").into() }
    }

    /// The prefix that [`crate::store::ObjectStore::list`] takes; ends in `/`.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The media playlist of the first rendition, or of the only one.
    pub fn playlist(&self) -> ObjectKey {
        self.named(PLAYLIST_NAME)
    }

    pub fn playlist_of(&self, number: Rendition) -> ObjectKey {
        self.named(&sibling_name(PLAYLIST_NAME, number))
    }

    pub fn multivariant(&self) -> ObjectKey {
        self.named(MULTIVARIANT_NAME)
    }

    /// A playlist that a stream of so many renditions does not have.
    pub fn is_stray_playlist(&self, key: &ObjectKey, renditions: Rendition, is_multivariant: bool) -> bool {
        (renditions + 1..=MOST_RENDITIONS).any(|number| *key == self.playlist_of(number))
            || (!is_multivariant && *key == self.multivariant())
    }

    pub fn snapshot(&self) -> ObjectKey {
        self.named(SNAPSHOT_NAME)
    }

    pub fn sheet(&self) -> ObjectKey {
        self.named(SHEET_NAME)
    }

    /// Of the first rendition.
    pub fn segment(&self, run: RunId, index: u64, form: impl Into<Form>) -> ObjectKey {
        let Form { kind, renditions: of } = form.into();
        self.named(&SegmentName { run, index, kind, place: Of { of, ..Of::ONE } }.to_string())
    }

    /// Of an fMP4 run, and of its first rendition.
    pub fn init(&self, run: RunId, renditions: Rendition) -> ObjectKey {
        self.named(&init_name(run, Of { of: renditions, ..Of::ONE }))
    }

    /// A part of a run's segments. Its number says the next one's name: a player need not be told it.
    pub fn part(&self, run: RunId, number: u64) -> ObjectKey {
        self.named(&format!("{PART_PREFIX}{run}_{number:06}{FMP4_SUFFIX}"))
    }

    /// Of a part: its run, and its number there. Of no other spelling than this agent's.
    pub fn part_named(&self, name: &str) -> Option<(RunId, u64)> {
        let (run, number) = name.strip_prefix(PART_PREFIX)?.strip_suffix(FMP4_SUFFIX)?.split_once('_')?;
        let (run, number) = (run.parse().ok()?, number.parse().ok()?);
        (self.part(run, number).file_name() == name).then_some((run, number))
    }

    /// The key behind a name that the first rendition's playlist has; `None` for names that this agent never gives there.
    pub fn segment_named(&self, name: &str) -> Option<ObjectKey> {
        SegmentName::parse(name).filter(|name| name.place.number == 1).map(|_| self.named(name))
    }

    /// The run that made this object; `None` unless it is a segment, a part or an init object in this very folder.
    pub fn run_of(&self, key: &ObjectKey) -> Option<RunId> {
        let name = key.as_str().strip_prefix(&*self.folder)?;
        let of_segment = SegmentName::parse(name).map(|name| name.run);
        of_segment.or_else(|| parse_part_name(name)).or_else(|| Some(parse_init_name(name)?.0))
    }

    /// The same with the segment's number in that run; `None` for an init object.
    pub fn place_of(&self, key: &ObjectKey) -> Option<(RunId, u64)> {
        let name = SegmentName::parse(key.as_str().strip_prefix(&*self.folder)?)?;
        Some((name.run, name.index))
    }

    /// Whether an object here may have this name. Others' folders have playlists and `.ts` files, too.
    pub fn gives(&self, name: &str) -> bool {
        let key = self.named(name);
        let is_playlist = key == self.playlist() || self.is_stray_playlist(&key, 1, false);
        is_playlist || key == self.snapshot() || key == self.sheet() || self.run_of(&key).is_some()
    }

    fn named(&self, name: &str) -> ObjectKey {
        ObjectKey(format!("{}{name}", self.folder).into())
    }
}

const MPEG_TS_SUFFIX: &str = ".ts";
const FMP4_SUFFIX: &str = ".m4s";
const PARTED_SUFFIX: &str = "_parts.m4s";

/// The place of a rendition among all of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Of {
    number: Rendition,
    of: Rendition,
}

impl Of {
    const ONE: Self = Self { number: 1, of: 1 };

    fn at(self, number: Rendition) -> Self {
        Self { number: number.clamp(1, self.of), ..self }
    }

    /// `1of3`, as this agent writes it.
    fn parse(text: &str) -> Option<Self> {
        let (number, of) = text.split_once("of")?;
        let place = Self { number: number.parse().ok()?, of: of.parse().ok()? };
        let is_one = (2..=MOST_RENDITIONS).contains(&place.of) && (1..=place.of).contains(&place.number);
        (is_one && text == format!("{}of{}", place.number, place.of)).then_some(place)
    }
}

/// What a name ends with: nothing for the only one.
impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of > 1 { write!(f, "_{}of{}", self.number, self.of) } else { Ok(()) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SegmentName {
    run: RunId,
    index: u64,
    kind: SegmentType,
    place: Of,
}

impl SegmentName {
    fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("segment_")?;
        // The longer one first: it ends as the shorter one.
        let kinds = [SegmentType::MpegTs, SegmentType::Parted, SegmentType::Fmp4];
        let (rest, kind) =
            kinds.into_iter().find_map(|kind| Some((rest.strip_suffix(suffix(kind))?, kind)))?;
        let (run, index) = rest.split_once('_')?;
        let (index, place) = match index.split_once('_') {
            Some((index, place)) => (index, Of::parse(place)?),
            None => (index, Of::ONE),
        };
        if !is_number(index) {
            return None;
        }
        Some(Self { run: run.parse().ok()?, index: index.parse().ok()?, kind, place })
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, index, kind, place } = self;
        write!(f, "segment_{run}_{index:06}{place}{}", suffix(*kind))
    }
}

fn suffix(kind: SegmentType) -> &'static str {
    match kind {
        SegmentType::MpegTs => MPEG_TS_SUFFIX,
        SegmentType::Fmp4 => FMP4_SUFFIX,
        SegmentType::Parted => PARTED_SUFFIX,
    }
}

/// Its run.
fn parse_part_name(name: &str) -> Option<RunId> {
    let (run, number) = name.strip_prefix(PART_PREFIX)?.strip_suffix(FMP4_SUFFIX)?.split_once('_')?;
    is_number(number).then(|| run.parse().ok())?
}

/// As this agent writes it: of six digits or more.
fn is_number(text: &str) -> bool {
    text.len() >= 6 && text.bytes().all(|b| b.is_ascii_digit())
}

fn init_name(run: RunId, place: Of) -> String {
    format!("{INIT_PREFIX}{run}{place}.mp4")
}

fn parse_init_name(name: &str) -> Option<(RunId, Of)> {
    let rest = name.strip_prefix(INIT_PREFIX)?.strip_suffix(".mp4")?;
    let (run, place) = match rest.split_once('_') {
        Some((run, place)) => (run, Of::parse(place)?),
        None => (rest, Of::ONE),
    };
    Some((run.parse().ok()?, place))
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
        assert_eq!(init, layout().init(run, 1));
        assert_eq!((layout().run_of(&key), layout().run_of(&init)), (Some(run), Some(run)));
        assert_eq!((key.form(), init.init()), (SegmentType::Fmp4.into(), None));
        assert_eq!(layout().segment_named(key.file_name()), Some(key));
        assert_eq!(layout().segment_named(init.file_name()), None, "it is no segment");
    }

    #[test]
    fn a_part_is_its_runs_and_no_segment() {
        let run = RunId::new(0x123, 0xab);
        let key = layout().part(run, 1_234_567);
        assert_eq!(key.as_str(), "location_1/cam_floor/part_00000000123000000ab_1234567.m4s");
        assert_eq!((layout().run_of(&key), layout().place_of(&key)), (Some(run), None));
        assert_eq!((key.init(), key.rendition(1)), (None, key.clone()));
        assert!(key.clone().renditions().eq([key.clone()]));
        assert_eq!(layout().segment_named(key.file_name()), None);
        assert!(layout().part(run, 7).as_str().ends_with("_000007.m4s"));
    }

    #[test]
    fn the_names_of_all_renditions_follow_from_the_first_ones() {
        let run = RunId::new(0x123, 0xab);
        let names = |key: &ObjectKey| -> Vec<String> {
            key.renditions().map(|key| key.file_name().to_owned()).collect()
        };
        let key = layout().segment(run, 7, Form { kind: SegmentType::Fmp4, renditions: 2 });
        let [first, second] = ["1of2", "2of2"].map(|n| format!("segment_00000000123000000ab_000007_{n}.m4s"));
        assert_eq!(names(&key), [first.as_str(), second.as_str()]);
        let init = key.init().unwrap();
        assert_eq!((&init, init.renditions().count()), (&layout().init(run, 2), 2));
        assert_eq!(key.rendition(2).init(), Some(init.rendition(2)));
        assert_eq!(key.rendition(2).rendition(1), key);
        assert_eq!(key.form(), Form { kind: SegmentType::Fmp4, renditions: 2 });
        for key in key.renditions().chain(init.renditions()) {
            assert_eq!(layout().run_of(&key), Some(run), "{key}");
        }
        assert_eq!(layout().segment_named(&first), Some(key));
        assert_eq!(layout().segment_named(&second), None, "the first one's playlist does not name it");
        let only = layout().segment(run, 7, SegmentType::MpegTs);
        assert!(only.clone().renditions().eq([only]));
    }

    #[test]
    fn playlists_that_a_stream_does_not_have_are_known() {
        let is_stray = |name: &str, renditions, multivariant| {
            layout().is_stray_playlist(&layout().named(name), renditions, multivariant)
        };
        assert!(is_stray("stream_2.m3u8", 1, false) && is_stray("multivariant.m3u8", 1, false));
        assert!(!is_stray("stream_2.m3u8", 2, true) && !is_stray("multivariant.m3u8", 2, true));
        assert!(is_stray("stream_4.m3u8", 2, true) && !is_stray("stream_5.m3u8", 2, true));
        assert!(!is_stray("stream.m3u8", 1, false) && !is_stray("stream_1.m3u8", 1, false));
        assert_eq!(layout().playlist_of(1), layout().playlist());
    }

    #[test]
    fn the_names_that_objects_have_are_known() {
        let of = |kind, renditions| layout().segment(RunId::new(1, 2), 7, Form { kind, renditions });
        let fmp4 = of(SegmentType::Fmp4, 2);
        let all = [of(SegmentType::MpegTs, 1), fmp4.rendition(2), fmp4.init().unwrap(), layout().playlist()];
        for key in [layout().playlist_of(2), layout().multivariant(), layout().snapshot(), layout().sheet()]
            .iter()
            .chain(&all)
        {
            assert!(layout().gives(key.file_name()), "{key}");
        }
        for name in ["wedding.jpg", "main.ts", "songs.m3u8", "init_d.mp4", "segment_1.ts", "lock", ""] {
            assert!(!layout().gives(name), "{name}");
        }
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
            "part_00000000123000000ab_7.m4s",
            "part_00000000123000000ab_000007.ts",
            "part_00000000123000000ab_00000x.m4s",
            "part_000007.m4s",
            "segment_00000000123000000ab_000007_1of1.ts",
            "segment_00000000123000000ab_000007_3of2.ts",
            "segment_00000000123000000ab_000007_+1of2.ts",
            "segment_00000000123000000ab_000007_1of9.ts",
            "segment_00000000123000000ab_000007_.ts",
            "init_00000000123000000ab_0of2.mp4",
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
