//! The document as a whole, in either of its two shapes.

use std::collections::HashMap;
use std::path::Path;

use super::camera::{self, AnyCamera};
use super::check::{self, absolute_path, program};
use super::model::{Camera, Config, FileConfig, HttpConfig, OtherCamera, StoreConfig};
use super::node::{Kind, Node};
use super::read::{Field, Reader, Section, Spot, kind};
use super::settings::{self, Said};
use super::storage::Storage;
use super::{http, storage, storage_env, usual_env};
use crate::domain::ids::{CameraId, Location};
use crate::domain::quota;

pub(super) const KEYS: &[&str] =
    &["location", "storage", "http", "spool_limit", "spool", "ffmpeg", "defaults", "cameras"];
pub(super) const DEFAULTS_KEYS: &[&str] = &["settings"];

const NO_CAMERA: &str = "is empty; add a camera: `- id: cam_1` with its `rtsp_url` below";

/// `None` only if there was a fault.
pub(super) fn read(reader: &mut Reader<'_>, root: Option<&Node>) -> Option<Config> {
    let top = Spot { path: String::new(), line: root.map_or(1, |root| root.line) };
    match root {
        Some(node @ Node { kind: Kind::List(_), .. }) => list(reader, node),
        Some(node @ Node { kind: Kind::Map(_), .. }) => {
            let section = reader.section(&Field { spot: top, node })?;
            if section.has("rtsp_url") && !section.has("cameras") {
                let mend = "put `- ` before its first key and indent the others as far";
                reader.fault(&section.spot, format!("the file is a single camera, not a list; {mend}"));
                return None;
            }
            full(reader, &section)
        }
        Some(node) if !node.is_null() => {
            let shapes = "a list of cameras (`- id: …`) or the full form (`cameras:` and more)";
            reader.fault(&top, format!("the file is {}; it must be {shapes}", kind(node)));
            None
        }
        _ => {
            reader.fault(&Spot { path: "cameras".into(), ..top }, NO_CAMERA);
            None
        }
    }
}

/// The plain list: everything else is the environment's.
fn list(reader: &mut Reader<'_>, node: &Node) -> Option<Config> {
    let spot = |path: &str| Spot { path: path.into(), line: 1 };
    let location = storage_env::location(reader);
    let storage = storage_env::storage(reader, &spot("storage"));
    let storage = storage_env::with_variables_of_file(reader, storage);
    let field = Field { spot: Spot { path: "cameras".into(), line: node.line }, node };
    let usual = usual_env::settings(reader);
    usual_env::refuse_torn(reader, &usual, &usual);
    let (http, spool) = (usual_env::server(reader), usual_env::spool(reader));
    let (cameras, others) = cameras(reader, &field, &usual, false);
    let (location, storage) = (location?, storage?);
    if spool.as_ref().is_some_and(|spool| lies_among(spool, &storage.store, &location)) {
        reader.env_fault(usual_env::STREAM_DIR, AMONG_VIDEOS);
    }
    Some(Config {
        location,
        store: storage.store,
        min_playlist_interval: storage.min_playlist_interval,
        request_prices: storage.request_prices,
        http,
        spool,
        spool_limit: None,
        ffmpeg: None,
        defaults: usual,
        cameras,
        others,
    })
}

fn full(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Config> {
    reader.refuse_unknown(section, KEYS, None);
    let location = location(reader, section);
    let storage = storage_of(reader, section);
    let http = match section.get("http") {
        Some(field) => http::read(reader, &field),
        None => usual_env::server(reader),
    };
    let spool = if section.has("spool") {
        reader.parsed(section, "spool", absolute_path).map(|spool| spool.value)
    } else {
        usual_env::spool(reader)
    };
    let spool_limit = reader.bytes(section, "spool_limit", quota::LEAST);
    let ffmpeg = reader.parsed(section, "ffmpeg", program).map(|ffmpeg| ffmpeg.value);
    let defaults = defaults(reader, section);
    let knows_others = http.as_ref().is_some_and(|http| http.adhoc.is_some());
    let (cameras, others) = match section.get("cameras") {
        Some(field) => cameras(reader, &field, &defaults, knows_others),
        None if knows_others => Default::default(),
        None => {
            reader.require(section, "cameras", "list the cameras: `cameras:` and `- id: …` below");
            Default::default()
        }
    };
    storage.iter().for_each(|storage| is_served(reader, section, &storage.store, http.as_ref()));
    let (location, storage) = (location?, storage?);
    let Storage { store, min_playlist_interval, request_prices } = storage;
    spool.iter().for_each(|spool| is_apart(reader, section, spool, &store, &location));
    Some(Config {
        location,
        store,
        min_playlist_interval,
        request_prices,
        http,
        spool,
        spool_limit,
        ffmpeg,
        defaults,
        cameras,
        others,
    })
}

/// What stays on this box has to be served by it.
fn is_served(reader: &mut Reader<'_>, section: &Section<'_>, store: &StoreConfig, http: Option<&HttpConfig>) {
    const WHY: &str = "with storage.type `none` nobody can watch but by this box's own web server";
    if !matches!(store, StoreConfig::None) {
        return;
    }
    let spot = |key: &str| section.get(key).map_or_else(|| section.spot_of(key), |field| field.spot);
    // An `http` that is no good has its own fault.
    if http.is_none() && !section.has("http") {
        let mend = "add `http.listen`, or store the video: s3, supabase or file";
        reader.fault(&spot("storage"), format!("{WHY}; {mend}"));
    } else if http.is_some_and(|http| !http.streams) {
        reader.fault(&spot("http"), format!("{WHY}; leave `streams: false` out"));
    }
}

/// The spool's folders would lie among the cameras' ones, and might have the same names.
fn is_apart(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    spool: &Path,
    store: &StoreConfig,
    location: &Location,
) {
    if lies_among(spool, store, location) {
        let spot = section.get("spool").map_or_else(|| section.spot_of("spool"), |field| field.spot);
        reader.fault(&spot, AMONG_VIDEOS);
    }
}

const AMONG_VIDEOS: &str = "is where the storage's folder has the cameras' video; give it a folder of its own, best in memory \
    (/run/edge-agent)";

fn lies_among(spool: &Path, store: &StoreConfig, location: &Location) -> bool {
    let StoreConfig::File(FileConfig { root, .. }) = store else { return false };
    let videos = root.join(location.as_str());
    spool.starts_with(&videos) || videos.starts_with(spool)
}

fn location(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Location> {
    if section.has("location") {
        reader.parsed(section, "location", check::location).map(|location| location.value)
    } else {
        storage_env::location(reader)
    }
}

fn storage_of(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Storage> {
    let storage = match section.get("storage") {
        Some(field) if field.node.is_null() => {
            reader.fault(&field.spot, "is empty; fill it in, or remove it to take the environment's");
            None
        }
        Some(field) => {
            let section = reader.section(&field)?;
            storage::read(reader, &section)
        }
        None => storage_env::storage(reader, &section.spot_of("storage")),
    };
    storage_env::with_variables_of_file(reader, storage)
}

/// As [`read`] does, but the storage alone. `None` only if there was a fault.
pub(super) fn read_storage(reader: &mut Reader<'_>, root: Option<&Node>) -> Option<StoreConfig> {
    let top = Spot { path: String::new(), line: 1 };
    let storage = match root {
        Some(node @ Node { kind: Kind::Map(_), .. }) => {
            let section = reader.section(&Field { spot: top, node })?;
            storage_of(reader, &section)
        }
        _ => {
            let storage = storage_env::storage(reader, &Spot { path: "storage".into(), ..top });
            storage_env::with_variables_of_file(reader, storage)
        }
    };
    Some(storage?.store)
}

fn defaults(reader: &mut Reader<'_>, section: &Section<'_>) -> Said {
    let usual = usual_env::settings(reader);
    let said = match section.get("defaults").and_then(|field| reader.section(&field)) {
        Some(section) => {
            reader.refuse_unknown(&section, DEFAULTS_KEYS, Some(("settings", settings::KEYS)));
            settings::read(reader, section.get("settings"), &usual)
        }
        None => usual.clone(),
    };
    usual_env::refuse_torn(reader, &usual, &said);
    said
}

/// `may_be_none`: callers may start others.
fn cameras(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    base: &Said,
    may_be_none: bool,
) -> (Vec<Camera>, Vec<OtherCamera>) {
    let items = reader.list(field).unwrap_or_default();
    if items.is_empty() && !may_be_none && (field.node.is_null() || matches!(field.node.kind, Kind::List(_)))
    {
        reader.fault(&field.spot, NO_CAMERA);
    }
    let (mut cameras, mut others) = (Vec::new(), Vec::new());
    let mut ids = Ids::default();
    for item in &items {
        if item.node.is_null() {
            reader.fault(&item.spot, NO_CAMERA);
        }
        let Some(section) = reader.section(item) else { continue };
        let id = camera::id(reader, &section).map(|id| {
            ids.note(reader, &id.value, &id.spot);
            id.value
        });
        match camera::read(reader, &section, id, base) {
            Some(AnyCamera::Ours(camera)) => cameras.push(*camera),
            Some(AnyCamera::Other(other)) => others.push(other),
            None => {}
        }
    }
    (cameras, others)
}

/// The ids so far. Cameras of all use cases share them: they may share the bucket, too.
#[derive(Default)]
struct Ids(HashMap<String, (CameraId, Spot)>);

impl Ids {
    fn note(&mut self, reader: &mut Reader<'_>, id: &CameraId, spot: &Spot) {
        let folded = id.as_str().to_ascii_lowercase();
        let Some((earlier, first)) = self.0.get(&folded) else {
            self.0.insert(folded, (id.clone(), spot.clone()));
            return;
        };
        let whose = format!("{} in line {}", first.path, first.line);
        if earlier == id {
            reader.fault(spot, format!("`{id}` is also {whose}; give every camera an id of its own"));
        } else {
            let danger = "some file systems would put both into one folder";
            reader.warn(spot, format!("`{id}` differs from {whose} in capitals only; {danger}"));
        }
    }
}
