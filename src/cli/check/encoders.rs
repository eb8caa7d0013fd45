//! Which hardware encoders work here, and why the others do not.

use super::Report;
use crate::config::model::{Camera, Settings};
use crate::domain::encoder::Encoder;
use crate::engine::ffmpeg::capabilities::Capabilities;
use crate::engine::ffmpeg::encoders::{Bench, Finding, RENDER_NODES, render_nodes};
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
    for finding in bench.try_all(Encoder::HARDWARE).await {
        let what = format!("encoder {}", finding.encoder());
        match &finding {
            Finding::Works(way) => {
                report.skip(&what, &format!("works here ({way}); pictures are encoded in software for now"))
            }
            Finding::Fails { why, .. } => {
                report.skip(&what, &format!("ffmpeg lists it, but it does not work here: {why}"));
            }
            Finding::NotListed(_) => {}
        }
    }
    Ok(())
}
