//! One entry of `cameras`.

use super::model::{Camera, LIVE_STREAM, OtherCamera};
use super::read::{Given, Reader, Section};
use super::settings::{self, Said};
use super::suggest::nearest;
use crate::domain::ids::CameraId;
use crate::domain::source::{Source, SourceError};

pub(super) const KEYS: &[&str] = &["id", "name", "rtsp_url", "use_case", "enabled", "settings"];

pub(super) enum AnyCamera {
    Ours(Box<Camera>),
    Other(OtherCamera),
}

/// Read by itself, so that a camera with other faults still takes part in the search for duplicates.
pub(super) fn id(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Given<CameraId>> {
    reader.require(section, "id", "give the camera a name of its own, e.g. `id: cam_floor`");
    reader.parsed(section, "id", str::parse)
}

/// `None` only if there was a fault.
pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    id: Option<CameraId>,
    base: &Said,
) -> Option<AnyCamera> {
    if let Some(use_case) = other_use_case(reader, section)? {
        return Some(AnyCamera::Other(OtherCamera { id: id?, use_case }));
    }
    reader.refuse_unknown(section, KEYS, Some(("settings", settings::KEYS)));
    let name = reader.text(section, "name").map(|name| name.value.value);
    reader.require(section, "rtsp_url", "give the camera's URL (test:// is a built-in pattern)");
    let source = reader.parsed(section, "rtsp_url", source);
    let enabled = reader.boolean(section, "enabled").unwrap_or(true);
    let said = settings::read(reader, section.get("settings"), base);
    let id = id?;
    Some(AnyCamera::Ours(Box::new(Camera {
        name: name.unwrap_or_else(|| id.to_string()),
        id,
        source: source?.value,
        use_case: LIVE_STREAM.into(),
        enabled,
        settings: said.settings(),
        said,
    })))
}

/// `Some(None)` for live streams. A camera of another use case is left alone: its other keys are for other
/// software and may be anything.
fn other_use_case(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Option<String>> {
    if !section.has("use_case") {
        return Some(None);
    }
    let Given { value, spot } = reader.text(section, "use_case")?;
    if value.value == LIVE_STREAM {
        return Some(None);
    }
    if nearest(&value.value, [LIVE_STREAM]).is_some() {
        reader.warn(&spot, format!("is not `{LIVE_STREAM}`, so this camera is left alone; is that a typo?"));
    }
    Some(Some(value.value))
}

#[derive(Debug, thiserror::Error)]
enum RtspUrlError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("has a `#`, which ends a URL; in a user name or password write `%23`")]
    Fragment,
}

/// A source whose URL has no fragment. `rtsp://user:12#3@camera/` would be the host `user`, port 12.
fn source(text: &str) -> Result<Source, RtspUrlError> {
    match text.parse()? {
        Source::Rtsp(url) if url.reveal().contains('#') => Err(RtspUrlError::Fragment),
        source => Ok(source),
    }
}
