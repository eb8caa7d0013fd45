//! What is new in ffmpeg's own playlist. Pure.

use std::time::Duration;

use crate::domain::segment::{Rendition, sibling_name};

/// A line of ffmpeg's playlist that was not seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub index: u64,
    pub duration: Duration,
}

/// Millions of years of segments: what is more is damage.
const MOST_INDEX: u64 = 1 << 52;

/// Follows one run's playlist; a wake-up may be lost, or come twice, without harm.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Diff {
    next_index: u64,
}

/// What one reading brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    pub segments: Vec<Listed>,
    /// Segments that were finished but slid out of ffmpeg's playlist before this reading.
    pub missed: u64,
}

impl Diff {
    /// The segment was told of already, so somebody else is to remove it.
    pub fn has_told(&self, name: &str) -> bool {
        index_of_any(name).is_some_and(|index| index < self.next_index)
    }

    /// Before the segment `until`: what follows is not there for all renditions yet.
    pub fn advance(&mut self, playlist: &str, until: u64) -> News {
        let mut news = News::default();
        let mut duration = None;
        for line in playlist.lines().map(str::trim) {
            if let Some(value) = line.strip_prefix("#EXTINF:") {
                let seconds = value.split(',').next().and_then(|s| s.parse::<f64>().ok());
                duration = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
            } else if !line.is_empty() && !line.starts_with('#') {
                let Some((index, duration)) = index_of(line).zip(duration.take()) else { continue };
                if (self.next_index..until).contains(&index) {
                    news.missed += index - self.next_index;
                    self.next_index = index + 1;
                    news.segments.push(Listed { name: line.to_owned(), index, duration });
                }
            }
        }
        news
    }
}

/// `seg_000012.ts`, `seg_000012.m4s` -> 12. Nothing but the very name that ffmpeg was told to give: it becomes a path.
fn index_of(name: &str) -> Option<u64> {
    let (digits, suffix) = name.strip_prefix("seg_")?.split_once('.')?;
    matches!(suffix, "ts" | "m4s").then_some(())?;
    let index = digits.parse().ok().filter(|index| *index < MOST_INDEX)?;
    (digits == format!("{index:06}")).then_some(index)
}

/// The same of any rendition: `seg_000012_2.ts` -> 12.
fn index_of_any(name: &str) -> Option<u64> {
    let of_rendition = || {
        let (stem, number_and_suffix) = name.rsplit_once('_')?;
        let (number, suffix) = number_and_suffix.split_once('.')?;
        let number: Rendition = number.parse().ok()?;
        let first = format!("{stem}.{suffix}");
        (sibling_name(&first, number) == name).then(|| index_of(&first)).flatten()
    };
    index_of(name).or_else(of_rendition)
}

/// The number behind the last segment that a rendition's playlist names.
pub fn end(playlist: &str) -> u64 {
    let named = playlist.lines().filter_map(|line| index_of_any(line.trim()));
    named.max().map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playlist(indices: std::ops::Range<u64>) -> String {
        let lines: String = indices
            .map(|i| format!("#EXTINF:2.000000,\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000+0000\nseg_{i:06}.ts\n"))
            .collect();
        format!("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n{lines}")
    }

    fn indices(news: &News) -> Vec<u64> {
        news.segments.iter().map(|s| s.index).collect()
    }

    #[test]
    fn each_segment_is_told_once_and_in_order() {
        let mut diff = Diff::default();
        assert_eq!(indices(&diff.advance(&playlist(0..2), u64::MAX)), [0, 1]);
        assert!(diff.has_told("seg_000001.ts"));
        assert!(diff.has_told("seg_000001.m4s"), "a run has one type");
        assert!(!diff.has_told("seg_000002.ts") && !diff.has_told("seg_000001.ts.tmp"));
        assert_eq!(diff.advance(&playlist(0..2), u64::MAX), News::default());
        let news = diff.advance(&playlist(1..4), u64::MAX);
        assert_eq!((indices(&news), news.missed), (vec![2, 3], 0));
        assert_eq!(news.segments[0].duration, Duration::from_secs(2));
    }

    #[test]
    fn what_slid_away_unseen_is_counted() {
        let mut diff = Diff::default();
        diff.advance(&playlist(0..2), u64::MAX);
        let news = diff.advance(&playlist(5..7), u64::MAX);
        assert_eq!((indices(&news), news.missed), (vec![5, 6], 3));
    }

    #[test]
    fn what_one_rendition_lacks_is_not_there_yet() {
        let second = |indices| playlist(indices).replace(".ts", "_2.ts");
        assert_eq!((end(&second(0..3)), end(""), end(&playlist(0..2))), (3, 0, 2));
        let mut diff = Diff::default();
        assert_eq!(indices(&diff.advance(&playlist(0..3), end(&second(0..2)))), [0, 1]);
        assert!(diff.has_told("seg_000001_2.ts") && !diff.has_told("seg_000002_2.ts"));
        assert!(!diff.has_told("seg_000001_1.ts") && !diff.has_told("seg_000001_x.ts"));
        let news = diff.advance(&playlist(1..4), end(&second(1..4)));
        assert_eq!((indices(&news), news.missed), (vec![2, 3], 0));
    }

    #[test]
    fn damage_is_passed_over() {
        let mut diff = Diff::default();
        for text in [
            "",
            "#EXTINF:abc,\nseg_000000.ts",
            "seg_000000.ts",
            "#EXTINF:-1,\nseg_000000.ts",
            "#EXTINF:2,\n../x",
            "#EXTINF:2,\nseg_000001./../../x.ts",
            "#EXTINF:2,\nseg_000001.tsé",
            "#EXTINF:2,\nseg_+00001.ts",
            "#EXTINF:2,\nseg_18446744073709551615.ts",
        ] {
            assert_eq!(diff.advance(text, u64::MAX), News::default(), "{text}");
        }
    }
}
