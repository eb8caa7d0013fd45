//! Stores that take few writes of one name.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::world::World;
use super::{S, plan};
use crate::domain::publication::{Plan, Publication};

fn with_interval(fates: Vec<super::Fate>, interval: Duration) -> World {
    let mut world = World::new(fates);
    world.machine = Publication::new(Plan { min_playlist_interval: interval, ..plan() }, 42);
    world
}

fn assert_apart(puts: &[Instant], interval: Duration) {
    for pair in puts.windows(2) {
        assert!(pair[1] - pair[0] >= interval, "{:?} apart", pair[1] - pair[0]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn two_playlists_never_start_closer_than_the_interval(
        fates in prop::collection::vec(super::fate(), 1..40),
        waits in prop::collection::vec(0u64..5_000, 1..60),
        interval_ms in 0u64..10_000,
    ) {
        let interval = Duration::from_millis(interval_ms);
        let mut world = with_interval(fates, interval);
        for wait_ms in waits {
            world.produce();
            world.step(world.now + Duration::from_millis(wait_ms));
        }
        world.settle();
        assert_apart(&world.playlists_at, interval);
    }
}

/// Five segments to a playlist, and each is seen: the window holds more than one interval's.
#[test]
fn a_long_interval_starves_no_upload_and_hides_no_segment() {
    let interval = 10 * S;
    let mut world = with_interval(vec![], interval);
    for _ in 0..100 {
        world.produce();
        world.step(world.now + 2 * S);
    }
    assert!(!world.machine.is_drained(), "the last ones wait for their playlist");
    world.step(world.now + interval);
    assert!(world.machine.is_drained());
    let progress = world.machine.progress();
    assert_eq!((progress.segments_published, progress.segments_given_up), (100, 0));
    assert_eq!(world.bucket.seen.len(), 100);
    assert_apart(&world.playlists_at, interval);
}
