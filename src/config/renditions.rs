//! `settings.renditions`: encodings of the same picture beside each other.

use super::read::{Field, Reader, Spot};
use super::settings::{bitrate, width};
use crate::domain::choice::Rendition;
use crate::domain::segment::MOST_RENDITIONS;

const KEYS: &[&str] = &["width", "max_bitrate"];

/// An empty list: just one encoding, whatever the defaults say. `None`: there is a fault in it.
pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<Rendition>> {
    let items = reader.list(field)?;
    if items.len() > usize::from(MOST_RENDITIONS) {
        let problem = format!("has {} entries; give {MOST_RENDITIONS} at most", items.len());
        reader.fault(&field.spot, problem);
        return None;
    }
    let mut renditions: Vec<Option<Rendition>> = Vec::new();
    for item in &items {
        let rendition = read_one(reader, item);
        let twin = renditions.iter().position(|other| rendition.is_some() && *other == rendition);
        if let Some(twin) = twin {
            let problem = format!("is the same as renditions[{twin}]; leave one out");
            reader.fault(&item.spot, problem);
        }
        renditions.push(rendition);
    }
    renditions.into_iter().collect()
}

fn read_one(reader: &mut Reader<'_>, item: &Field<'_>) -> Option<Rendition> {
    let Some(section) = reader.section(item) else {
        if item.node.is_null() {
            reader.fault(&item.spot, "is empty; use e.g. {width: 1280, max_bitrate: 1500}");
        }
        return None;
    };
    reader.refuse_unknown(&section, KEYS, None);
    reader.require(&section, "width", "give the picture's width in pixels, e.g. 1280");
    let faults_before = reader.faults.len();
    let width = width(reader, &section, "width");
    let max_kbps = bitrate(reader, &section);
    let is_good = reader.faults.len() == faults_before;
    width.filter(|_| is_good).map(|width| Rendition { width: width.value, max_kbps })
}

/// They are encoded, and have their own sizes.
pub(super) fn refuse_clash(
    reader: &mut Reader<'_>,
    renditions: &Spot,
    width: Option<&Spot>,
    passthrough: bool,
) {
    if let Some(width) = width {
        reader.fault(width, "is of no use beside renditions, which have their own; leave one of them out");
    }
    if passthrough {
        let problem = "are encoded, and video: passthrough wants the camera's own; leave one of them out";
        reader.fault(renditions, problem);
    }
}
