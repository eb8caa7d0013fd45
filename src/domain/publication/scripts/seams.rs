//! Where two parts of the machine meet.

use std::time::Duration;

use super::bucket::Fate;
use super::world::World;
use super::{S, plan};
use crate::domain::gate::Failure;
use crate::domain::ids::{Msn, RunId};
use crate::domain::playlist::MediaPlaylist;
use crate::domain::publication::{Action, Input};
use crate::domain::segment::SegmentType;
use crate::domain::window::Entry;

/// Its run is the younger one.
fn other() -> RunId {
    RunId::new(1 << 40, 1)
}

fn of_another(first: u64) -> MediaPlaylist {
    let entry = |i| Entry {
        msn: Msn(first + i),
        key: plan().layout.segment(other(), i, SegmentType::MpegTs),
        duration: 2 * S,
        program_time: None,
        discontinuity: false,
    };
    MediaPlaylist {
        target_duration_s: 2,
        media_sequence: first,
        discontinuity_sequence: 0,
        entries: (0..3).map(entry).collect(),
        ended: false,
        parts: None,
    }
}

/// A store that is away when the agent starts: nobody else publishes.
#[test]
fn what_a_dead_store_costs_before_the_first_read_is_given_up() {
    let mut world = World::new(vec![Fate { delay_ms: 10, works: false, answers: false, never: false }]);
    for _ in 0..30 {
        world.produce();
        world.step(world.now + 2 * S);
    }
    let progress = world.machine.progress();
    assert_eq!((progress.segments_given_up + progress.backlog as u64, progress.segments_stood_back), (30, 0));
    world.settle();
}

/// With a store that is some hundred milliseconds late, the uploads of what waited take as long as a segment.
#[test]
fn what_waited_for_a_take_over_is_not_given_up_for_a_late_store() {
    for delay_ms in [50, 300, 600, 900] {
        let mut world = World::new(vec![Fate { delay_ms, works: true, answers: true, never: false }]);
        for _ in 0..5 {
            world.produce();
            world.step(world.now + 2 * S);
        }
        world.reboot();
        for _ in 0..30 {
            world.produce();
            world.step(world.now + 2 * S);
        }
        let progress = world.machine.progress();
        assert_eq!((progress.segments_given_up, progress.segments_stood_back), (0, 0), "at {delay_ms} ms");
    }
}

/// A listing takes its time; another agent takes over meanwhile, and the owner finds out only afterwards.
#[test]
fn a_late_listing_costs_nobody_elses_segments() {
    let mut world = World::new(vec![]);
    for _ in 0..4 {
        world.produce();
        world.step(world.now + 2 * S);
    }
    world.machine.sweep.begin(world.now);
    assert!(world.machine.sweep.start(world.now));
    let other = of_another(600);
    let keys: Vec<_> = other.entries.iter().map(|entry| entry.key.clone()).collect();
    world.machine.handle(world.now, Input::Listed(keys.clone()));
    // The camera is silent: there is nothing to store, and so nothing to look for.
    let end = world.now + 30 * S;
    while world.now < end {
        world.now += S / 10;
        world.drain();
        for (_, action, _) in std::mem::take(&mut world.pending) {
            match action {
                Action::Delete(gone) => {
                    assert!(!gone.iter().any(|key| keys.contains(key)), "viewers see them");
                    world.machine.handle(world.now, Input::Deleted);
                }
                Action::ReadRemote => {
                    world.machine.handle(world.now, Input::RemoteFailed(Failure::Retry { after: None }));
                }
                _ => {}
            }
        }
    }
}

/// Its last playlist PUT lands long after, and hides from it that another one publishes.
#[test]
fn an_owner_that_was_silent_stands_back_when_it_meets_another() {
    let mut world = World::new(vec![]);
    for _ in 0..20 {
        world.produce();
        world.step(world.now + 2 * S);
    }
    world.step(world.now + 30 * S);
    world.produce();
    world.step(world.now + 2 * S);
    assert!(!world.machine.progress().standing_back, "it found its own playlist");
    let last = world.bucket.visible.as_ref().unwrap().entries.last().unwrap().msn.0;
    world.bucket.visible = Some(of_another(last + 3));
    let playlists = world.playlists_at.len();
    world.produce();
    world.step(world.now + Duration::from_millis(1_900));
    assert!(world.machine.progress().standing_back);
    assert_eq!(world.playlists_at.len(), playlists, "nothing is written over the other's");
}
