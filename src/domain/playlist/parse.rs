//! Reading back a playlist that this agent, or an earlier version of it, stored.

use std::time::{Duration, SystemTime};

use super::MediaPlaylist;
use crate::domain::ids::Msn;
use crate::domain::key::{Layout, ObjectKey};
use crate::domain::window::Entry;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaylistError {
    #[error("does not start with #EXTM3U")]
    NoHeader,
    #[error("line {line}: {tag} has a bad value")]
    BadValue { line: usize, tag: &'static str },
    #[error("has no {0}")]
    Missing(&'static str),
    #[error("line {line}: {tag} behind the first segment")]
    TooLate { line: usize, tag: &'static str },
    #[error("line {line}: a segment without EXTINF")]
    NoExtinf { line: usize },
    #[error("names more than {MOST_ENTRIES} segments")]
    TooMany,
}

/// Far above any window; what is longer is not ours.
const MOST_ENTRIES: usize = 10_000;
/// Far above any segment.
const MOST_SECONDS: f64 = 3600.0;
/// Half of what a player in JavaScript counts exactly: with room to count on.
const MOST_SEQUENCE: u64 = 1 << 52;
/// What counted on from there is read no more, but must not start over.
pub const MOST_COUNTED: u64 = 1 << 53;

/// Reads a media playlist that lies in `layout`'s folder.
///
/// Segments with names that this agent never gives are left out but keep their numbers, so that what is
/// published next counts on from the right place. Only the entries after the last such one are returned.
pub fn parse(text: &str, layout: &Layout) -> Result<MediaPlaylist, PlaylistError> {
    let mut reader = Reader::default();
    let mut lines = text.lines().map(str::trim).enumerate();
    if lines.next().is_none_or(|(_, first)| first != "#EXTM3U") {
        return Err(PlaylistError::NoHeader);
    }
    for (index, line) in lines {
        reader.line(index + 1, line, layout)?;
    }
    reader.finish()
}

/// What a damaged playlist still tells: the media sequence number after the last one that it may have named,
/// and a discontinuity sequence that does not go back.
pub fn scrape_sequences(text: &str) -> (Option<Msn>, u64) {
    let number = |tag: &str| text.lines().find_map(|l| sequence(l.trim().strip_prefix(tag)?, MOST_COUNTED));
    let lines = |is: fn(&str) -> bool| text.lines().filter(|l| is(l.trim())).count() as u64;
    let first = number("#EXT-X-MEDIA-SEQUENCE:");
    let uris = lines(|l| !l.is_empty() && !l.starts_with('#'));
    let breaks = lines(|l| l == "#EXT-X-DISCONTINUITY");
    let breaks_before = number("#EXT-X-DISCONTINUITY-SEQUENCE:").unwrap_or_default();
    (first.map(|first| Msn(first.saturating_add(uris))), breaks_before.saturating_add(breaks))
}

fn sequence(value: &str, most: u64) -> Option<u64> {
    value.trim().parse().ok().filter(|number| *number <= most)
}

#[derive(Default)]
struct Reader {
    target_duration_s: Option<u64>,
    media_sequence: u64,
    discontinuity_sequence: u64,
    entries: Vec<Entry>,
    named: usize,
    ended: bool,
    // What the tags before the next URI said.
    duration: Option<Duration>,
    program_time: Option<SystemTime>,
    discontinuity: bool,
    /// The last EXT-X-MAP: for all segments behind it.
    map: Option<String>,
}

impl Reader {
    fn line(&mut self, line: usize, text: &str, layout: &Layout) -> Result<(), PlaylistError> {
        let (tag, value) = text.split_once(':').unwrap_or((text, ""));
        let bad = |tag| PlaylistError::BadValue { line, tag };
        match tag {
            // It would number what is before it otherwise than what is behind it (RFC 8216 4.3.3).
            "#EXT-X-MEDIA-SEQUENCE" if self.named > 0 => {
                return Err(PlaylistError::TooLate { line, tag: "EXT-X-MEDIA-SEQUENCE" });
            }
            "#EXT-X-DISCONTINUITY-SEQUENCE" if self.named > 0 => {
                return Err(PlaylistError::TooLate { line, tag: "EXT-X-DISCONTINUITY-SEQUENCE" });
            }
            "#EXT-X-TARGETDURATION" => {
                self.target_duration_s = Some(value.parse().map_err(|_| bad("EXT-X-TARGETDURATION"))?);
            }
            "#EXT-X-MEDIA-SEQUENCE" => {
                self.media_sequence = sequence(value, MOST_SEQUENCE).ok_or(bad("EXT-X-MEDIA-SEQUENCE"))?;
            }
            "#EXT-X-DISCONTINUITY-SEQUENCE" => {
                self.discontinuity_sequence =
                    sequence(value, MOST_SEQUENCE).ok_or(bad("EXT-X-DISCONTINUITY-SEQUENCE"))?;
            }
            "#EXTINF" => {
                let seconds = value.split(',').next().and_then(|s| s.trim().parse::<f64>().ok());
                let seconds = seconds.filter(|seconds| *seconds <= MOST_SECONDS);
                let duration = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
                self.duration = Some(duration.ok_or(bad("EXTINF"))?);
            }
            // A stamp that can't be read is no reason to lose the window.
            "#EXT-X-PROGRAM-DATE-TIME" => self.program_time = humantime::parse_rfc3339(value).ok(),
            "#EXT-X-DISCONTINUITY" => self.discontinuity = true,
            "#EXT-X-MAP" => self.map = Some(value.trim().to_owned()),
            "#EXT-X-ENDLIST" => self.ended = true,
            _ if text.is_empty() || text.starts_with('#') => {}
            _ => self.uri(line, text, layout)?,
        }
        Ok(())
    }

    fn uri(&mut self, line: usize, uri: &str, layout: &Layout) -> Result<(), PlaylistError> {
        let duration = self.duration.take().ok_or(PlaylistError::NoExtinf { line })?;
        let program_time = self.program_time.take();
        let discontinuity = std::mem::take(&mut self.discontinuity);
        if self.named >= MOST_ENTRIES {
            return Err(PlaylistError::TooMany);
        }
        let msn = Msn(self.media_sequence.saturating_add(self.named as u64));
        self.named += 1;
        match layout.segment_named(uri).filter(|key| self.is_mapped(key)) {
            Some(key) => self.entries.push(Entry { msn, key, duration, program_time, discontinuity }),
            None => self.drop_up_to_here(discontinuity),
        }
        Ok(())
    }

    /// The map is the one that the segment needs, and that is rendered for it: none for a transport stream.
    fn is_mapped(&self, key: &ObjectKey) -> bool {
        let needs = key.init().map(|init| format!("URI=\"{}\"", init.file_name()));
        self.map == needs
    }

    /// A foreign segment: neither it nor what is before it can stay in the window.
    fn drop_up_to_here(&mut self, discontinuity: bool) {
        let tags =
            self.entries.iter().filter(|entry| entry.discontinuity).count() + usize::from(discontinuity);
        self.discontinuity_sequence = self.discontinuity_sequence.saturating_add(tags as u64);
        self.entries.clear();
    }

    fn finish(self) -> Result<MediaPlaylist, PlaylistError> {
        let next = self.media_sequence.saturating_add(self.named as u64);
        Ok(MediaPlaylist {
            target_duration_s: self
                .target_duration_s
                .ok_or(PlaylistError::Missing("EXT-X-TARGETDURATION"))?,
            media_sequence: self.entries.first().map_or(next, |first| first.msn.0),
            discontinuity_sequence: self.discontinuity_sequence,
            entries: self.entries,
            ended: self.ended,
            parts: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::render;
    use super::*;
    use crate::domain::ids::RunId;
    use crate::domain::segment::SegmentType;

    fn layout() -> Layout {
        Layout::new(&"loc".parse().unwrap(), &"cam".parse().unwrap())
    }

    fn playlist(count: u64) -> MediaPlaylist {
        let entry = |i| Entry {
            msn: Msn(895_000_000 + i),
            key: layout().segment(RunId::new(1_790_000_000_000, 7), i, SegmentType::MpegTs),
            duration: Duration::from_micros(2_000_000 - 66_667 * (i % 2)),
            program_time: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_123 + 2000 * i)),
            discontinuity: i == 1,
        };
        MediaPlaylist {
            target_duration_s: 2,
            media_sequence: 895_000_000,
            discontinuity_sequence: 3,
            entries: (0..count).map(entry).collect(),
            ended: false,
            parts: None,
        }
    }

    #[test]
    fn the_golden_playlist() {
        assert_eq!(render(&playlist(2)), include_str!("testdata/two_segments.m3u8"));
    }

    #[test]
    fn what_was_rendered_reads_back() {
        for count in [0, 1, 5] {
            assert_eq!(parse(&render(&playlist(count)), &layout()), Ok(playlist(count)));
        }
        let ended = MediaPlaylist { ended: true, ..playlist(2) };
        assert_eq!(parse(&render(&ended), &layout()), Ok(ended));
    }

    #[test]
    fn foreign_segments_are_left_out_but_counted() {
        let text = render(&playlist(3)).replace(playlist(3).entries[1].key.file_name(), "intro.ts");
        let read = parse(&text, &layout()).unwrap();
        assert_eq!((read.media_sequence, read.entries.len()), (895_000_002, 1));
        assert_eq!(read.discontinuity_sequence, 4, "the foreign segment's discontinuity left with it");
    }

    #[test]
    fn damage_is_an_error_and_its_number_is_still_found() {
        let text = render(&playlist(3));
        assert_eq!(parse("<html>blocked</html>", &layout()), Err(PlaylistError::NoHeader));
        let broken = text.replace("#EXT-X-TARGETDURATION:2", "#EXT-X-TARGETDURATION:two");
        assert_eq!(
            parse(&broken, &layout()),
            Err(PlaylistError::BadValue { line: 3, tag: "EXT-X-TARGETDURATION" })
        );
        assert_eq!(scrape_sequences(&broken), (Some(Msn(895_000_003)), 4));
        assert_eq!(scrape_sequences("<html>"), (None, 0));
        for bad in ["-1", "NaN", "inf", "1e19", "4000"] {
            assert!(
                parse(&text.replace("#EXTINF:2.000000,", &format!("#EXTINF:{bad},")), &layout()).is_err(),
                "{bad}"
            );
        }
    }

    fn fmp4_playlist(runs: &[u32]) -> MediaPlaylist {
        let mut playlist = playlist(runs.len() as u64);
        for (i, (entry, run)) in playlist.entries.iter_mut().zip(runs).enumerate() {
            entry.key = layout().segment(RunId::new(1, *run), i as u64, SegmentType::Fmp4);
        }
        playlist
    }

    #[test]
    fn each_run_of_an_fmp4_playlist_has_its_map() {
        let playlist = fmp4_playlist(&[1, 1, 2, 2]);
        let text = render(&playlist);
        assert_eq!(text.matches("#EXT-X-MAP:").count(), 2, "{text}");
        assert!(text.contains("#EXT-X-MAP:URI=\"init_0000000000100000002.mp4\"\n"), "{text}");
        assert_eq!(parse(&text, &layout()), Ok(playlist));
    }

    #[test]
    fn a_segment_behind_a_map_that_is_not_its_own_is_foreign() {
        let map = "#EXT-X-MAP:URI=\"init_0000000000100000002.mp4\"\n";
        let entries = |text: &str| parse(text, &layout()).unwrap().entries.len();
        let text = render(&fmp4_playlist(&[1, 1, 2, 2]));
        assert_eq!(entries(&text.replacen(map, "", 1)), 0, "nobody can play its last segment");
        assert_eq!(entries(&text.replacen("0000001.mp4", "0000003.mp4", 1)), 2);
        // Nothing takes a map back.
        let text = text + "#EXTINF:2.0,\n" + playlist(1).entries[0].key.file_name() + "\n";
        assert_eq!(entries(&text), 0);
    }

    #[test]
    fn a_sequence_behind_the_first_segment_is_damage() {
        for tag in ["EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE"] {
            let text = render(&playlist(2)) + &format!("#{tag}:7\n");
            assert_eq!(parse(&text, &layout()), Err(PlaylistError::TooLate { line: 14, tag }));
            assert_eq!(scrape_sequences(&text).0, Some(Msn(895_000_002)));
        }
    }

    #[test]
    fn numbers_that_leave_no_room_to_count_on_are_not_taken_over() {
        let text = render(&playlist(3));
        for tag in ["MEDIA-SEQUENCE:895000000", "DISCONTINUITY-SEQUENCE:3"] {
            let name = tag.split(':').next().unwrap();
            let broken = text.replace(tag, &format!("{name}:{}", u64::MAX));
            assert!(parse(&broken, &layout()).is_err(), "{tag}");
        }
        let broken = text.replace("895000000", "18446744073709551615");
        assert_eq!(scrape_sequences(&broken), (None, 4));
    }

    #[test]
    fn numbers_that_counted_past_the_limit_do_not_start_over() {
        let text = render(&playlist(3)).replace("895000000", &(MOST_SEQUENCE + 1).to_string());
        assert!(parse(&text, &layout()).is_err());
        assert_eq!(scrape_sequences(&text), (Some(Msn(MOST_SEQUENCE + 4)), 4));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "(#EXTM3U\n)?((#EXT-X-TARGETDURATION:|#EXT-X-MEDIA-SEQUENCE:|#EXTINF:|#EXT-X-PROGRAM-DATE-TIME:)?[-0-9a-zT:.,é]{0,24}\n){0,20}") {
            let _ = parse(&text, &layout());
            let _ = scrape_sequences(&text);
        }
    }
}
