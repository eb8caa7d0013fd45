//! What a camera's requests to the storage cost.

use super::Report;
use crate::config::model::{Camera, Config, Settings, Start, StoreConfig};
use crate::domain::choice::{Choice, decide};
use crate::domain::media::Media;
use crate::domain::requests::{PlannedParts, Rate};

/// `media` is what the camera was found to send, if that is known.
pub(super) fn tell(config: &Config, camera: &Camera, media: Option<&Media>, report: &mut Report) {
    // A folder asks for nothing.
    if !matches!(config.store, StoreConfig::File(_) | StoreConfig::None) {
        let choice = decide(&camera.settings.wish(), media);
        report.pass(&format!("requests of {}", camera.id), in_words(config, &camera.settings, &choice));
    }
}

fn in_words(config: &Config, settings: &Settings, choice: &Choice) -> String {
    let beside = [settings.snapshot_interval, settings.status_interval];
    let segment = choice.segment_duration;
    let parts = settings.sub_second.map(|sub_second| PlannedParts {
        part: choice.part(sub_second.part_duration),
        whole: sub_second.compat_segments,
    });
    let rate = Rate::planned(segment, parts, choice.renditions(), config.min_playlist_interval, beside);
    let cost = match config.request_prices.map(|prices| prices.per_month(rate)) {
        Some(0.0) => "for which this storage charges nothing".to_owned(),
        Some(cost) => format!("about ${cost:.2} in 30 days, without traffic"),
        None => "and `storage.request_prices` does not say what they cost".to_owned(),
    };
    let while_it_runs = if settings.start == Start::OnDemand { " while it runs" } else { "" };
    let parts = parts.map_or(String::new(), |PlannedParts { part, .. }| {
        format!(" in parts of {:.3} s", part.as_secs_f64())
    });
    let seconds = segment.as_secs_f64();
    format!("{:.2} a second with segments of {seconds} s{parts}{while_it_runs}, {cost}", rate.all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, ProcessEnv};

    fn said(storage: &str, settings: &str) -> String {
        let text = format!(
            "location: l\nstorage: {{{storage}}}\ncameras: [{{id: a, rtsp_url: 'test://', settings: {{{settings}}}}}]\n"
        );
        let config = config::parse("cameras.yaml", &text, &ProcessEnv).unwrap().config;
        let settings = &config.cameras[0].settings;
        in_words(&config, settings, &decide(&settings.wish(), None))
    }

    #[test]
    fn each_storage_has_its_price() {
        let amazon = "type: s3, bucket: abc, region: eu-central-1";
        let expected = "1.02 a second with segments of 2 s, about $13.18 in 30 days, without traffic";
        assert_eq!(said(amazon, ""), expected);
        let all = "start: on_demand, status_interval: off, renditions: [{width: 640}, {width: 320}]";
        let expected =
            "2.00 a second with segments of 2 s while it runs, about $25.92 in 30 days, without traffic";
        assert_eq!(said(amazon, all), expected);
        let parts = "profile: sub_second, status_interval: off";
        let expected = "7.00 a second with segments of 1 s in parts of 0.200 s, about $90.72 in 30 days, without traffic";
        assert_eq!(said(amazon, parts), expected);
        let alone = said(amazon, &format!("{parts}, compat_segments: false"));
        assert!(alone.starts_with("6.00 a second"), "{alone}");
        let own = "type: s3, bucket: abc, endpoint: 'http://127.0.0.1:9000'";
        assert!(said(own, "").ends_with("and `storage.request_prices` does not say what they cost"));
        let free = "type: s3, bucket: abc, endpoint: 'https://s3.us-west-002.backblazeb2.com'";
        assert!(said(free, "").ends_with("for which this storage charges nothing"));
    }
}
