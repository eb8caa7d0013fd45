//! What ffmpeg reports of a camera's streams: a line of standard error where it begins with `[`, else of the list of
//! frames.
#![no_main]

use edge_agent_fuzz::probe::report::Report;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut report = Report::default();
    for line in text.lines() {
        if line.starts_with('[') {
            report.hear(line);
        } else {
            let _ = report.read(line);
        }
    }
    let enough = report.is_enough();
    // With frames or without.
    if let Some(media) = report.told() {
        assert!(media.video.fps.is_none_or(|fps| fps.is_finite() && fps > 0.0), "{media:?}");
        assert!(!enough || media.video.keyframes.longest.is_some(), "{media:?}");
        let _ = media.to_string();
    }
});
