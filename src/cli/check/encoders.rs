//! Which encoders work here, and why the others do not.

use super::Report;
use crate::config::model::{Camera, Settings};
use crate::domain::encoder::{Encoder, Wish};
use crate::engine::ffmpeg::capabilities::Capabilities;
use crate::engine::ffmpeg::encoders::{Bench, Finding, RENDER_NODES, mend, render_nodes};
use crate::sys::child::Spawner;

/// Tries each hardware encoder that ffmpeg lists, at the size of the largest picture.
pub(super) async fn check(
    ffmpeg: &Capabilities,
    cameras: &[&Camera],
    report: &mut Report,
) -> anyhow::Result<()> {
    let default = Settings::default();
    let settings = cameras.iter().map(|camera| &camera.settings);
    let settings = settings.max_by_key(|settings| settings.target_width).unwrap_or(&default);
    let nodes = render_nodes(RENDER_NODES.as_ref());
    let spawner = Spawner::start()?;
    let bench = Bench { ffmpeg, spawner: &spawner, nodes, settings };
    let findings = bench.try_all(Encoder::HARDWARE).await;
    for finding in &findings {
        let wanted_by = |camera: &&&Camera| camera.settings.encoder == Wish::Only(finding.encoder());
        tell(finding, cameras.iter().find(wanted_by).copied(), report);
    }
    if cameras.iter().any(|camera| camera.settings.encoder == Wish::Auto) {
        let works = findings.iter().find(|finding| finding.works());
        report.pass(
            "encoder auto",
            works.map_or_else(
                || "software, as no hardware encoder works here".to_owned(),
                |finding| finding.encoder().to_string(),
            ),
        );
    }
    Ok(())
}

fn tell(finding: &Finding, wanted_by: Option<&Camera>, report: &mut Report) {
    let what = format!("encoder {}", finding.encoder());
    match (finding, finding.complaint(), wanted_by) {
        (Finding::Works(way), _, _) => report.pass(&what, format!("works: {way}")),
        (_, Some(complaint), Some(camera)) => {
            report.fail(&what, format!("camera {}: {complaint}", camera.id), mend(finding.encoder()));
        }
        (Finding::Fails { why, .. }, _, None) => {
            report.skip(&what, &format!("ffmpeg lists it, but it does not work here: {why}"));
        }
        _ => {}
    }
}
