//! What a camera's settings ask of its publisher.

use std::time::Duration;

use crate::config::model::Settings;
use crate::domain::choice::Choice;
use crate::domain::ids::{CameraId, Location};
use crate::domain::key::Layout;
use crate::domain::parts::PartLimits;
use crate::domain::publication::Plan;
use crate::domain::quota;
use crate::domain::segment::{Form, SegmentType};
use crate::domain::uploads::UploadLimits;

/// Uploads under way at once: one is usual; more let a slow one be overtaken.
const UPLOADS_AT_ONCE: usize = 3;
/// For a store call: short enough to try again while the segment is worth it.
const ATTEMPT: Duration = Duration::from_secs(10);
const ATTEMPT_SEGMENTS: u32 = 4;

/// The plan that these settings ask for, and what was chosen; `spool_share` is what the camera's spool may take.
pub fn plan(
    location: &Location,
    camera: &CameraId,
    settings: &Settings,
    choice: &Choice,
    spool_share: u64,
) -> Plan {
    let segment_duration = choice.segment_duration;
    let pause = segment_duration.clamp(Duration::from_secs(1), Duration::from_secs(5));
    let kind = match settings.sub_second {
        Some(sub_second) if !sub_second.compat_segments => SegmentType::Parted,
        _ => settings.segment_type,
    };
    Plan {
        layout: Layout::new(location, camera),
        depth: settings.segments_to_keep,
        target_duration_s: choice.target_duration_s,
        form: Form { kind, renditions: choice.renditions() },
        multivariant: settings.is_multivariant(),
        uploads: UploadLimits {
            // One less than may wait: with all under way, a newer one could only push out one that is nearly there.
            in_flight: UPLOADS_AT_ONCE.min(settings.segments_to_keep - 1),
            // What is older than the window would leave the playlist the moment it entered.
            backlog: settings.segments_to_keep,
            backlog_bytes: quota::backlog(spool_share, 1),
            segment_duration,
            most_pause: pause,
            attempt: (ATTEMPT_SEGMENTS * segment_duration).max(ATTEMPT),
        },
        min_playlist_interval: Duration::ZERO,
        listed_bytes: None,
        parts: settings.sub_second.map(|sub_second| PartLimits::usual(choice.part(sub_second.part_duration))),
    }
}
