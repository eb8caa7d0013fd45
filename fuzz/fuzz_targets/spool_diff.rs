//! ffmpeg's own playlist, perhaps half written or damaged, read again and again.
#![no_main]

use edge_agent_fuzz::spool_diff::{Diff, News};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut diff = Diff::default();
    let mut last = None;
    for reading in text.split('\u{0}') {
        let news = diff.advance(reading, u64::MAX);
        let mut expected = last.map_or(0, |index: u64| index + 1);
        let mut missed = 0;
        for segment in &news.segments {
            assert!(last.is_none_or(|last| segment.index > last), "told once and in order");
            // It becomes a path: nothing may lead out of the run's folder, and no other file be meant.
            assert_eq!(segment.name, format!("seg_{:06}.ts", segment.index));
            assert!(diff.has_told(&segment.name));
            missed += segment.index - expected;
            expected = segment.index + 1;
            last = Some(segment.index);
        }
        assert_eq!(news.missed, missed);
        assert_eq!(diff.advance(reading, u64::MAX), News::default(), "no news twice");
    }
});
