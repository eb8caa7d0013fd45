//! `profile: sub_second`: what goes with it, and what does not.

use std::time::Duration;

use super::read::{Given, Reader, Spot};
use super::settings::{Said, frames, is_whole, join, shown};
use crate::domain::segment::SegmentType;

/// Spots: of what this section gives. What the base has alone was told there.
pub(super) fn refuse_clash(
    reader: &mut Reader<'_>,
    said: &Said,
    profile: Option<Spot>,
    segment_type: Option<Spot>,
    (part, segment): (Option<Given<Duration>>, &Option<Given<Duration>>),
    (rate, compat): (Option<Spot>, Option<Spot>),
) {
    if !said.is_sub_second() {
        for spot in part.map(|part| part.spot).into_iter().chain(compat) {
            reader.fault(&spot, "is for profile: sub_second; give that, too, or leave it out");
        }
        return;
    }
    if said.segment_type == Some(SegmentType::MpegTs) {
        if let Some(spot) = &segment_type {
            reader.fault(spot, "is mpegts, and profile: sub_second needs fmp4; use fmp4, or leave it out");
        } else if let Some(spot) = &profile {
            reader.fault(spot, "is sub_second, which needs segment_type: fmp4; give that here, too");
        }
    }
    if let Some(spot) = part.as_ref().or(segment.as_ref()).map(|given| &given.spot) {
        refuse_long(reader, said, spot);
    }
    // One that nobody gave fits by itself.
    let rate = rate.filter(|_| !said.is_passed_through());
    if let (Some(length), Some(spot)) = (said.part_duration(), part.map(|part| part.spot).or(rate)) {
        refuse_torn(reader, said, length, &spot);
    }
}

/// A part is a part of a segment.
fn refuse_long(reader: &mut Reader<'_>, said: &Said, spot: &Spot) {
    let segment = said.settings().segment_duration;
    let Some(part) = said.settings().sub_second.map(|it| it.part_duration).filter(|part| *part > segment)
    else {
        return;
    };
    let (part, segment) = (part.as_secs_f64(), segment.as_secs_f64());
    reader.fault(
        spot,
        format!("segments of {segment} s have no parts of {part} s; make part_duration the shorter one"),
    );
}

/// Spots as in [`refuse_clash`].
pub(super) fn refuse_renditions(
    reader: &mut Reader<'_>,
    said: &Said,
    profile: Option<&Spot>,
    renditions: Option<Spot>,
) {
    if !said.is_sub_second() || !said.has_renditions() {
        return;
    }
    if let Some(spot) = profile {
        reader.fault(spot, "is sub_second, which has one rendition; leave renditions out");
    } else if let Some(spot) = renditions {
        reader.fault(
            &spot,
            "go with whole segments, and the profile is sub_second; leave them out, or give another here",
        );
    }
}

/// All parts are alike only if each is a whole number of frames.
fn refuse_torn(reader: &mut Reader<'_>, said: &Said, part: Duration, spot: &Spot) {
    let rate = said.settings().target_fps;
    let count = frames(rate, part);
    if is_whole(count) {
        return;
    }
    let seconds = |frames: f64| (frames > 0.0).then(|| frames / f64::from(rate)).filter(is_short_number);
    let near = join(seconds(count.floor()), seconds(count.ceil()));
    let mend = near.map_or_else(
        || "use another one, or another target_fps".to_owned(),
        |near| format!("use parts of {near} s"),
    );
    let length = part.as_secs_f64();
    let count = shown(count);
    reader.fault(
        spot,
        format!("parts of {length} s at {rate} fps are {count} frames, not a whole number; {mend}"),
    );
}

/// In whole milliseconds: others can't be written down.
fn is_short_number(seconds: &f64) -> bool {
    is_whole(seconds * 1000.0)
}
