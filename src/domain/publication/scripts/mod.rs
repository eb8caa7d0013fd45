//! Thousands of random scripts of slow, failing, lying and reordering stores, and examples.

mod bucket;
mod disowned;
mod duel;
mod ending;
mod init;
mod interval;
mod late;
mod mixed;
mod parts;
mod rivals;
mod seams;
mod uplink;
mod world;

use std::time::Duration;

use proptest::prelude::*;

use super::Plan;
use crate::domain::gate::Failure;
use crate::domain::ids::{Msn, RunId};
use crate::domain::key::Layout;
use crate::domain::publication::{Action, Input};
use crate::domain::segment::{Form, SegmentType};
use crate::domain::uploads::UploadLimits;

use bucket::Fate;
use world::World;

const S: Duration = Duration::from_secs(1);
const DEPTH: usize = 3;

fn plan() -> Plan {
    Plan {
        layout: Layout::new(&"loc".parse().unwrap(), &"cam".parse().unwrap()),
        depth: DEPTH,
        target_duration_s: 2,
        form: SegmentType::MpegTs.into(),
        multivariant: false,
        uploads: UploadLimits {
            in_flight: 3,
            backlog: 4,
            backlog_bytes: 1 << 20,
            segment_duration: 2 * S,
            most_pause: 2 * S,
            // Shorter than some answers take: they count as late.
            attempt: 3 * S,
        },
        min_playlist_interval: Duration::ZERO,
        parts: None,
        listed_bytes: None,
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    (0u64..6_000, 0u8..10).prop_map(|(delay, dice)| Fate {
        delay_ms: if dice % 2 == 0 { delay } else { delay / 40 },
        works: dice < 8,
        answers: dice < 6,
        never: dice == 9,
    })
}

fn form() -> impl Strategy<Value = Form> {
    let kind = prop_oneof![Just(SegmentType::MpegTs), Just(SegmentType::Fmp4)];
    (kind, prop_oneof![3 => Just(1), 1 => 2..=3u8]).prop_map(|(kind, renditions)| Form { kind, renditions })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_store_breaks_the_invariants(
        fates in prop::collection::vec(fate(), 1..60),
        events in prop::collection::vec((0u8..40, 0u64..5_000), 1..60),
        form in form(),
    ) {
        let mut world = World::of_form(fates, form);
        for (event, wait_ms) in events {
            match event {
                0 => world.new_run(),
                1 => world.crash(),
                2 => world.reboot(),
                3 => world.index += 1,
                4..7 => world.produce_of(Duration::from_millis(wait_ms % 1_900 + 100)),
                _ => world.produce(),
            }
            world.step(world.now + Duration::from_millis(wait_ms));
        }
        world.settle();
    }
}

#[test]
fn a_calm_store_sees_one_put_and_one_playlist_per_segment() {
    let mut world = World::new(vec![]);
    for _ in 0..20 {
        world.produce();
        world.step(world.now + 2 * S);
    }
    let progress = world.machine.progress();
    assert_eq!((progress.segments_published, progress.segments_given_up), (20, 0));
    assert_eq!(progress.live_edge, Some(Msn(519)));
    // Window, hold (own 2 s + playlist 6 s = 4 segments) and one.
    assert!(world.bucket.objects.len() <= DEPTH + 4 + 1, "{}", world.bucket.objects.len());
    assert!(world.bucket.visible.as_ref().unwrap().entries.iter().all(|e| !e.discontinuity));
}

#[test]
fn a_retired_segment_outlives_its_playlist_by_the_hold() {
    let mut world = World::new(vec![]);
    for _ in 0..4 {
        world.produce();
        world.step(world.now + 2 * S);
    }
    let (gone, left) = world.bucket.seen.iter().find_map(|(k, s)| Some((k.clone(), s.left_at?))).unwrap();
    world.step(left + 8 * S - Duration::from_millis(1));
    assert!(world.bucket.objects.contains(&gone), "6 s of playlist and its own 2 s are not over");
    world.step(left + 9 * S);
    assert!(!world.bucket.objects.contains(&gone));
}

#[test]
fn the_hold_knows_playlists_that_were_longer_than_the_one_that_is_found() {
    let mut world = World::new(vec![]);
    // Of 1.9 s, four segments are a window of 7.6 s; with the short last one it is 6.3 s.
    for _ in 0..8 {
        world.produce_of(Duration::from_millis(1_900));
        world.step(world.now + 2 * S);
    }
    world.produce_of(Duration::from_millis(600));
    world.step(world.now + S);
    world.crash();
    for _ in 0..12 {
        world.produce();
        // What is deleted too early is found here.
        world.step(world.now + 2 * S);
    }
}

/// Where segments are short the window is longer than asked for: that is no other plan.
#[test]
fn kill_after_kill_the_sweep_comes_as_soon_as_the_own_plan_allows() {
    let mut world = World::new(vec![]);
    for _ in 0..30 {
        world.produce_of(Duration::from_millis(300));
        world.step(world.now + Duration::from_millis(300));
    }
    assert!(world.bucket.visible.as_ref().unwrap().entries.len() > 4 * DEPTH);
    let before = world.machine.hold_of_unknown(Duration::ZERO);
    for _ in 0..3 {
        world.crash();
        for _ in 0..5 {
            world.produce_of(Duration::from_millis(300));
            world.step(world.now + Duration::from_millis(300));
        }
        assert_eq!(world.machine.hold_of_unknown(Duration::ZERO), before);
    }
    // Without a note it may have been any plan.
    world.reboot();
    for _ in 0..60 {
        world.produce();
        world.step(world.now + S);
    }
    assert!(world.machine.hold_of_unknown(Duration::ZERO) > before);
}

#[test]
fn an_outage_gives_up_the_oldest_and_returns_to_the_live_edge() {
    let mut world = World::new(vec![]);
    (0..3).for_each(|_| world.produce());
    world.step(world.now + 2 * S);
    world.fates = vec![Fate { delay_ms: 10, works: false, answers: false, never: false }];
    for _ in 0..30 {
        world.produce();
        world.step(world.now + 2 * S);
    }
    world.fates.clear();
    let end = world.now;
    while world.machine.progress().backlog > 0 {
        world.step(world.now + Duration::from_millis(100));
        assert!(world.now < end + 4 * S, "not back within two segments");
    }
    let progress = world.machine.progress();
    assert_eq!(progress.segments_given_up, 26);
    world.step(world.now + S);
    let marks = world.bucket.visible.as_ref().unwrap().entries.iter().filter(|e| e.discontinuity).count();
    assert_eq!(
        marks + world.bucket.visible.as_ref().unwrap().discontinuity_sequence as usize,
        1,
        "one break in all"
    );
}

#[test]
fn a_camera_that_rebooted_through_an_outage_meets_nobody_after_it() {
    let mut world = World::new(vec![]);
    (0..3).for_each(|_| world.produce());
    world.step(world.now + 2 * S);
    world.fates = vec![Fate { delay_ms: 10, works: false, answers: false, never: false }];
    for _ in 0..200 {
        world.new_run();
        world.produce();
        world.step(world.now + 20 * S);
    }
    world.fates.clear();
    for _ in 0..20 {
        world.produce();
        world.step(world.now + 2 * S);
    }
    let progress = world.machine.progress();
    assert_eq!((progress.conflicts, progress.segments_stood_back), (0, 0));
    world.settle();
}

#[test]
fn a_store_that_refuses_playlists_does_not_fill_with_segments() {
    let mut world = World::new(vec![]);
    (0..3).for_each(|_| world.produce());
    world.step(world.now + 2 * S);
    let before = world.bucket.objects.len();
    for _ in 0..500 {
        world.machine.handle(world.now, Input::PlaylistFailed(Failure::Never));
        world.pending.retain(|(_, action, _)| !matches!(action, Action::PutPlaylist(_)));
        world.produce();
        world.pending.retain(|(_, action, _)| !matches!(action, Action::PutPlaylist(_)));
        world.step(world.now + 2 * S);
    }
    let under_way = plan().uploads.in_flight;
    assert!(
        world.bucket.objects.len() <= before + DEPTH + under_way,
        "{} objects",
        world.bucket.objects.len()
    );
}

#[test]
fn what_a_store_refused_to_delete_is_swept_when_it_deletes_again() {
    let mut world = World::new(vec![]);
    for i in 0..15_000u64 {
        let key = plan().layout.segment(RunId::new(7, 7), i, SegmentType::MpegTs);
        world.bucket.objects.insert(key.clone());
        world.machine.retired.condemn(key, world.now);
    }
    assert!(world.machine.progress().objects_left > 0);
    world.settle();
}

#[test]
fn a_store_that_refuses_reading_does_not_fill_with_segments() {
    let mut world = World::new(vec![Fate { delay_ms: 10, works: true, answers: true, never: false }]);
    for _ in 0..500 {
        world.produce();
        world.pending.retain(|(_, action, _)| *action != Action::ReadRemote);
        world.machine.handle(world.now, Input::RemoteFailed(Failure::Rare));
        world.step(world.now + 2 * S);
    }
    assert!(world.bucket.objects.len() <= 8, "{} objects", world.bucket.objects.len());
}
