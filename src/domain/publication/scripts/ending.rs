//! A stream that nobody wants any more ends for its viewers, and leaves an empty playlist.

use std::time::Duration;

use proptest::prelude::*;

use super::duel::{MS, Rivals};
use super::world::World;
use super::{S, fate, form};
use crate::domain::ids::Msn;
use crate::domain::publication::{Input, Plan};
use crate::domain::segment::{Form, SegmentType};

fn live(world: &mut World, segments: usize) {
    for _ in 0..segments {
        world.produce();
        world.step(world.now + 2 * S);
    }
}

fn end(world: &mut World) {
    world.machine.handle(world.now, Input::End);
    world.drain();
}

#[test]
fn viewers_are_told_see_the_rest_and_then_nothing_is_left() {
    for renditions in [1, 2] {
        for kind in [SegmentType::MpegTs, SegmentType::Fmp4] {
            let mut world = World::of_form(vec![], Form { kind, renditions });
            live(&mut world, 10);
            let last = world.machine.progress().live_edge.unwrap();
            end(&mut world);
            world.step(world.now + S);
            let shown = world.bucket.visible.clone().unwrap();
            assert!(shown.ended && shown.entries.len() == 3 && !world.machine.is_drained());
            world.step(world.now + 4 * S);
            assert_eq!(world.bucket.visible.as_ref(), Some(&shown), "viewers see the rest");
            world.step(world.now + 2 * S);
            let empty = world.bucket.visible.clone().unwrap();
            assert!(empty.ended && empty.entries.is_empty());
            assert_eq!(Msn(empty.media_sequence), last.next());
            assert!(!world.bucket.objects.is_empty(), "they are held");
            world.step(world.now + 20 * S);
            assert!(world.bucket.objects.is_empty());
            world.step(world.now + 60 * S);
            assert!(world.machine.is_drained(), "nothing is left to be found either");
        }
    }
}

#[test]
fn the_next_one_goes_on_at_once() {
    let mut world = World::new(vec![]);
    live(&mut world, 5);
    end(&mut world);
    world.step(world.now + 30 * S);
    let ended = world.bucket.visible.clone().unwrap();
    // On another machine, say.
    world.reboot();
    live(&mut world, 4);
    let on = world.bucket.visible.clone().unwrap();
    assert!(!on.ended && on.entries.len() == 3, "{on:?}");
    assert!(on.media_sequence >= ended.media_sequence);
    assert!(
        on.discontinuity_sequence + u64::from(on.entries[0].discontinuity) > ended.discontinuity_sequence
    );
    world.settle();
}

#[test]
fn one_that_published_nothing_has_nothing_to_end() {
    let mut world = World::new(vec![]);
    end(&mut world);
    assert!(world.machine.is_drained() && world.bucket.visible.is_none());
}

/// It has nothing to add, and ends what it finds.
#[test]
fn what_a_killed_agent_left_is_ended_and_removed_without_a_segment() {
    for renditions in [1, 2] {
        for kind in [SegmentType::MpegTs, SegmentType::Fmp4] {
            let mut world = World::of_form(vec![], Form { kind, renditions });
            live(&mut world, 7);
            let (last, run) = (world.bucket.visible.clone().unwrap(), world.run);
            world.reboot();
            world.machine.handle(world.now, Input::OwnRuns(vec![run]));
            world.machine.handle(world.now, Input::Resume);
            world.drain();
            for _ in 0..300 {
                world.step(world.now + S);
            }
            let empty = world.bucket.visible.clone().unwrap();
            assert!(empty.ended && empty.entries.is_empty(), "{empty:?}");
            let next = last.entries.last().unwrap().msn.next();
            assert_eq!(Msn(empty.media_sequence), next, "it keeps the numbers");
            assert!(world.bucket.objects.is_empty(), "{:?}", world.bucket.objects);
            assert!(world.machine.is_drained());
        }
    }
}

#[test]
fn where_nothing_was_left_there_is_an_end_too() {
    let mut world = World::new(vec![]);
    world.machine.handle(world.now, Input::Resume);
    world.drain();
    for _ in 0..300 {
        world.step(world.now + S);
    }
    assert!(world.machine.is_drained() && world.bucket.objects.is_empty());
}

/// Its last segment comes with the end, or its only one does.
#[test]
fn one_that_ends_before_it_is_known_who_publishes_ends_all_the_same() {
    for kind in [SegmentType::MpegTs, SegmentType::Fmp4] {
        for before in [0, 5] {
            let mut world = World::new(vec![]);
            live(&mut world, before);
            // As another type, perhaps: players keep the old playlist until there is enough of the new one.
            world.crash_and_follow(Plan { form: kind.into(), ..world.plan.clone() });
            world.produce();
            end(&mut world);
            world.step(world.now + 400 * S);
            assert!(world.machine.is_drained(), "{:?}", world.machine);
            let visible = world.bucket.visible.clone().unwrap();
            assert!(visible.ended && visible.entries.is_empty(), "{visible:?}");
            assert!(world.bucket.objects.is_empty(), "{:?}", world.bucket.objects);
        }
    }
}

/// Another agent on the same camera, which somebody wants there.
#[test]
fn one_that_ends_leaves_a_stream_alone_that_goes_on_elsewhere() {
    // While it ends, and where a sweep meets what is not named yet.
    for (latency_ms, waits) in [(50, 0..24), (600, 90..104)] {
        // With a target duration of a second all that it lists is over within its lease.
        for (target_duration_s, live_s) in [(2, 4), (1, 60)] {
            for (kind, wait) in
                waits.clone().flat_map(|wait| [(SegmentType::MpegTs, wait), (SegmentType::Fmp4, wait)])
            {
                let mut world = Rivals::of_forms(1, latency_ms, [kind.into(); 2]);
                world.agents.iter_mut().for_each(|agent| agent.plan.target_duration_s = target_duration_s);
                world.boot(0, false);
                world.step(live_s * S);
                world.end(0);
                world.step(wait * 500 * MS);
                world.boot(1, false);
                world.step(400 * S);
                let is_drained = world.agents[0].machine.as_ref().unwrap().is_drained();
                let found = (&world.bucket.breaches, is_drained);
                assert_eq!(found, (&vec![], true), "{kind:?}, {latency_ms} ms, {live_s} s, {wait}");
                world.assert_publishes_alone(1);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Also when the store is bad, or the agent is killed on the way.
    #[test]
    fn it_ends_whatever_the_store_does(
        fates in prop::collection::vec(fate(), 0..40),
        form in form(),
        cycles in prop::collection::vec((1usize..8, 0u64..40_000, any::<bool>()), 1..6),
    ) {
        let mut world = World::of_form(fates, form);
        for (segments, wait_ms, killed) in cycles {
            live(&mut world, segments);
            if segments % 2 == 0 {
                // It comes with the end.
                world.produce();
            }
            end(&mut world);
            world.step(world.now + Duration::from_millis(wait_ms));
            if killed {
                world.crash();
            } else {
                // The same agent, wanted again: another publication with what this machine knows.
                world.crash_and_follow(Plan { ..world.plan.clone() });
            }
        }
        world.fates.clear();
        live(&mut world, 3);
        end(&mut world);
        world.step(world.now + 400 * S);
        prop_assert!(world.machine.is_drained(), "{:?}", world.machine);
        let visible = world.bucket.visible.clone().unwrap();
        prop_assert!(visible.ended && visible.entries.is_empty());
        prop_assert!(world.bucket.objects.is_empty(), "{:?}", world.bucket.objects);
    }
}
