//! A playlist that lies in the bucket: anybody with the key may have written it.
#![no_main]

use std::time::{Duration, Instant};

use edge_agent_fuzz::domain::ids::{Msn, RunId};
use edge_agent_fuzz::domain::key::Layout;
use edge_agent_fuzz::domain::playlist::{MediaPlaylist, parse, render, scrape_sequences};
use edge_agent_fuzz::domain::segment::SegmentType;
use edge_agent_fuzz::domain::window::{NewEntry, Window};
use libfuzzer_sys::fuzz_target;

const MOST_SEQUENCE: u64 = 1 << 53;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let layout = Layout::new(&"loc".parse().expect("a name"), &"cam".parse().expect("a name"));
    let (scraped, breaks) = scrape_sequences(&text);
    let lines = text.lines().count() as u64;
    assert!(scraped.is_none_or(|next| next.0 <= MOST_SEQUENCE + lines));
    assert!(breaks <= MOST_SEQUENCE + lines);
    let Ok(playlist) = parse(&text, &layout) else { return };
    round_trip(&playlist, &layout);
    for (depth, target_duration_s) in [(3, 1), (5, 2), (60, 60)] {
        for kind in [SegmentType::MpegTs, SegmentType::Fmp4] {
            go_on(&playlist, &layout, depth, target_duration_s, kind);
        }
    }
});

fn round_trip(playlist: &MediaPlaylist, layout: &Layout) {
    let text = render(playlist);
    assert!(text.len() <= 300 + 260 * playlist.entries.len(), "{} bytes", text.len());
    assert_numbers_read_back(playlist, layout);
    // Numbers at the limit, counted on, are read no more.
    let Ok(read) = parse(&text, layout) else { return };
    assert_eq!(render(&read), text);
    assert_eq!(read.media_sequence, playlist.media_sequence);
    assert_eq!(read.discontinuity_sequence, playlist.discontinuity_sequence);
    assert_eq!(read.ended, playlist.ended);
    let names = |p: &MediaPlaylist| p.entries.iter().map(|e| (e.msn, e.key.clone())).collect::<Vec<_>>();
    assert_eq!(names(&read), names(playlist));
}

/// Both sequences only ever grow, by what left, and the window stays bounded.
fn go_on(remote: &MediaPlaylist, layout: &Layout, depth: usize, target_duration_s: u64, kind: SegmentType) {
    let (mut now, next) = (Instant::now(), remote.entries.last().map_or(Msn(0), |last| last.msn.next()));
    let (mut window, retired) = Window::resume(now, depth, target_duration_s, remote.clone(), next);
    let mut before = window.snapshot();
    assert_eq!(before.media_sequence, remote.media_sequence + retired.len() as u64);
    for index in 0..6 {
        let new = NewEntry {
            key: layout.segment(RunId::new(1, 1), index, kind),
            duration: Duration::from_millis(900),
            program_time: None,
            discontinuity: index % 2 == 0,
        };
        now += Duration::from_secs(target_duration_s * (index % 3));
        let left = window.push(now, new);
        window.stored(now, next);
        let after = window.snapshot();
        let breaks = left.iter().filter(|entry| entry.discontinuity).count() as u64;
        assert_eq!(after.media_sequence, before.media_sequence + left.len() as u64);
        assert_eq!(after.discontinuity_sequence, before.discontinuity_sequence + breaks);
        assert!(after.entries.windows(2).all(|pair| pair[1].msn == pair[0].msn.next()));
        assert!(after.entries.len() <= (4 * depth).max(20));
        assert_numbers_read_back(&after, layout);
        before = after;
    }
}

/// By the next agent, even if it can't read the rest.
fn assert_numbers_read_back(playlist: &MediaPlaylist, layout: &Layout) {
    let text = render(playlist);
    let next = playlist.media_sequence + playlist.entries.len() as u64;
    if parse(&text, layout).is_err() {
        let (scraped, breaks) = scrape_sequences(&text);
        assert_eq!(scraped.map(|msn| msn.0), Some(next), "{text}");
        assert!(breaks >= playlist.discontinuity_sequence, "{text}");
    }
}
