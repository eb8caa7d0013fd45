//! Starts that are told what the playlist was some time ago.

use proptest::prelude::*;

use super::world::World;
use super::*;
use crate::domain::playlist::MediaPlaylist;
use crate::domain::publication::Publication;
use crate::domain::publication::sight::breaks;

/// How the store reads after a kill: `late` versions behind, so many times.
#[derive(Debug, Clone)]
struct Start {
    live_ms: u64,
    late: usize,
    reads: usize,
}

fn starts() -> impl Strategy<Value = Vec<Start>> {
    let start = (500u64..30_000, 0usize..12, 0usize..30);
    prop::collection::vec(start.prop_map(|(live_ms, late, reads)| Start { live_ms, late, reads }), 1..6)
}

fn live(world: &mut World, time: Duration) {
    let until = world.now + time;
    while world.now < until {
        world.produce();
        world.step((world.now + 2 * S).min(until));
    }
}

/// What a viewer who saw all playlists makes of them.
fn assert_never_back(history: &[MediaPlaylist]) {
    let end = |p: &MediaPlaylist| (p.media_sequence + p.entries.len() as u64, breaks(p));
    for pair in history.windows(2) {
        let (old, new) = (end(&pair[0]), end(&pair[1]));
        assert!(new.0 >= old.0 && new.1 >= old.1, "went back: {old:?}, {new:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn numbers_never_go_back_after_a_late_read(
        starts in starts(), fates in prop::collection::vec(fate(), 0..20), form in form(),
    ) {
        let mut world = World::of_form(fates, form);
        live(&mut world, 20 * S);
        for start in starts {
            world.crash();
            // Where every read is late, nobody knows what became of the playlist that was sent last: the numbers that
            // it alone had are not used.
            let note = world.note.as_deref().and_then(|note| note.split('/').next());
            world.bucket.floor = note.map_or(0, |next| next.parse().unwrap());
            world.late_reads = std::iter::repeat_n(start.late, start.reads).collect();
            live(&mut world, Duration::from_millis(start.live_ms));
        }
        world.late_reads.clear();
        assert_never_back(&world.history);
        world.settle();
    }
}

fn killed_after(segments: u32) -> World {
    let mut world = World::new(vec![]);
    live(&mut world, 2 * S * segments);
    world.step(world.now + S);
    world.crash();
    world
}

fn next_after(world: &World, playlist: &MediaPlaylist) -> MediaPlaylist {
    let at = world.history.iter().position(|old| old == playlist).expect("it was visible");
    world.history[at + 1].clone()
}

#[test]
fn a_read_that_is_late_for_some_seconds_costs_neither_numbers_nor_window() {
    let mut world = killed_after(10);
    let before = world.bucket.visible.clone().unwrap();
    world.late_reads = std::iter::repeat_n(4, 5).collect();
    live(&mut world, 8 * S);
    let after = world.bucket.visible.clone().unwrap();
    let seam = after.entries.iter().find(|entry| entry.discontinuity).unwrap();
    assert_eq!(seam.msn, before.entries.last().unwrap().msn.next());
    assert_eq!(world.machine.progress().segments_stood_back, 0);
    assert!(world.late_reads.is_empty());
    world.settle();
}

#[test]
fn where_every_read_is_late_the_numbers_go_on_from_the_floor() {
    let mut world = killed_after(10);
    let before = world.bucket.visible.clone().unwrap();
    world.late_reads = std::iter::repeat_n(4, 1_000).collect();
    live(&mut world, 9 * S);
    assert_eq!(world.bucket.visible.as_ref(), Some(&before), "it still hopes");
    live(&mut world, 5 * S);
    let reads = 1_000 - world.late_reads.len();
    assert!((10..16).contains(&reads), "{reads} reads");
    let after = next_after(&world, &before);
    assert_eq!(after.media_sequence, before.entries.last().unwrap().msn.next().0);
    assert!(after.entries[0].discontinuity);
    assert!(after.duration() >= 6 * S, "three target durations have waited");
    assert_eq!(
        (world.machine.progress().segments_stood_back, world.machine.progress().segments_given_up),
        (0, 0)
    );
    world.late_reads.clear();
    world.settle();
}

#[test]
fn what_was_not_seen_stays_until_viewers_have_left_it() {
    let mut world = killed_after(10);
    world.late_reads = std::iter::repeat_n(4, 1_000).collect();
    let before = world.bucket.visible.clone().unwrap();
    // Viewers get no newer playlist for a long time.
    world.takes_no_playlist = true;
    live(&mut world, 300 * S);
    assert!(world.machine.window.is_some(), "it has taken over");
    assert!(before.entries.iter().all(|entry| world.bucket.objects.contains(&entry.key)));
    world.takes_no_playlist = false;
    world.late_reads.clear();
    live(&mut world, 30 * S);
    // What is deleted too early is found on the way.
    world.settle();
}

#[test]
fn an_emptied_bucket_goes_on_from_the_floor() {
    let mut world = killed_after(10);
    let before = world.bucket.visible.take().unwrap();
    world.bucket.objects.clear();
    live(&mut world, 8 * S);
    let after = next_after(&world, &before);
    assert_eq!(after.media_sequence, before.entries.last().unwrap().msn.next().0);
    assert!(after.entries[0].discontinuity);
}

#[test]
fn a_playlist_that_was_sent_and_never_stored_costs_a_start_nothing() {
    let mut world = killed_after(10);
    live(&mut world, 6 * S);
    world.step(world.now + S);
    let before = world.bucket.visible.clone().unwrap();
    // Two more are stored; viewers don't hear of them.
    world.takes_no_playlist = true;
    live(&mut world, 4 * S);
    world.crash();
    world.takes_no_playlist = false;
    live(&mut world, 3 * S);
    let after = next_after(&world, &before);
    let breaks = after.entries.iter().filter(|entry| entry.msn > before.entries.last().unwrap().msn);
    assert_eq!(
        breaks.map(|entry| entry.discontinuity).collect::<Vec<_>>(),
        [false, false, true],
        "what was stored is shown, and then comes the seam"
    );
    world.settle();
}

/// The lost one named less than the one that viewers have.
#[test]
fn what_only_the_lost_playlist_did_not_name_stays_until_viewers_have_left_it() {
    let mut world = killed_after(10);
    live(&mut world, 6 * S);
    world.step(world.now + S);
    world.takes_no_playlist = true;
    live(&mut world, 4 * S);
    let before = world.bucket.visible.clone().unwrap();
    world.crash();
    live(&mut world, 300 * S);
    assert!(world.machine.window.is_some(), "it has taken over");
    assert!(before.entries.iter().all(|entry| world.bucket.objects.contains(&entry.key)));
    world.takes_no_playlist = false;
    live(&mut world, 30 * S);
    world.settle();
}

/// Of 50 segments, after an outage of more.
#[test]
fn the_hold_knows_the_playlists_of_a_plan_that_kept_more() {
    let mut world = World::new(vec![]);
    world.plan.depth = 50;
    world.plan.uploads.backlog = 50;
    world.bucket.most = 200;
    world.machine = Publication::new(world.plan.clone(), 42);
    live(&mut world, 120 * S);
    world.takes_no_playlist = true;
    live(&mut world, 190 * S);
    world.takes_no_playlist = false;
    live(&mut world, 10 * S);
    let longest = world.history.iter().map(|playlist| playlist.entries.len()).max().unwrap();
    assert!(longest > 80, "{longest}");
    assert!(world.bucket.visible.as_ref().unwrap().entries.len() < 60);
    world.plan = plan();
    world.crash();
    // What is deleted too early is found on the way.
    live(&mut world, 600 * S);
    world.settle_in(2_000 * S);
}
