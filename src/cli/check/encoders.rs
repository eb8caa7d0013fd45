//! Which hardware encoders work here, why the others do not, and what each camera will encode with.

use super::Report;
use crate::clock;
use crate::config::model::{Camera, Settings};
use crate::domain::encoder::{Encoder, Policy, Wish};
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
    let settings = settings.max_by_key(|settings| settings.widest()).unwrap_or(&default);
    let nodes = render_nodes(RENDER_NODES.as_ref());
    let spawner = Spawner::start()?;
    let bench = Bench { ffmpeg, spawner: &spawner, nodes, settings };
    let findings = bench.try_all(Encoder::HARDWARE).await;
    let is_wanted = |encoder: Encoder| {
        cameras.iter().any(|camera| camera.settings.encoder.candidates().contains(&encoder))
    };
    for finding in &findings {
        let what = format!("encoder {}", finding.encoder());
        match finding {
            Finding::Works(way) if is_wanted(way.encoder) => {
                report.pass(&what, format!("works here ({way})"))
            }
            Finding::Works(way) => {
                let encoder = way.encoder;
                let how = format!(
                    "works here ({way}), but no camera asks for it with `encoder: {encoder}` or `auto`"
                );
                report.skip(&what, &how);
            }
            Finding::Fails { why, .. } => {
                report.skip(&what, &format!("ffmpeg lists it, but it does not work here: {why}"));
            }
            Finding::NotListed(_) => {}
        }
    }
    for wish in Wish::ALL {
        let of_wish = cameras.iter().filter(|camera| camera.settings.encoder == wish);
        let ids: Vec<_> = of_wish.map(|camera| camera.id.as_str()).collect();
        if !ids.is_empty() {
            tell(wish, &ids.join(", "), &findings, report);
        }
    }
    Ok(())
}

/// What cameras with this wish use where they encode.
fn tell(wish: Wish, cameras: &str, findings: &[Finding], report: &mut Report) {
    let works: Vec<_> = findings.iter().filter(|finding| finding.works()).map(Finding::encoder).collect();
    let policy = Policy::new(clock::now(), wish, &works);
    let what = format!("encoding of {cameras}");
    if let Some(refused) = policy.fallen_from() {
        let complaint = findings.iter().find(|finding| finding.encoder() == refused);
        let complaint = complaint.and_then(Finding::complaint).unwrap_or_default();
        return report.warn(&what, format!("{complaint}; in software until it works"), mend(refused));
    }
    let asked = format!("settings.encoder: {wish}");
    match policy.current() {
        Encoder::Software if wish == Wish::Auto => {
            report.pass(&what, format!("in software, as no hardware encoder works here ({asked})"));
        }
        Encoder::Software => report.pass(&what, "in software"),
        hardware => report.pass(&what, format!("with {hardware} ({asked})")),
    }
}
