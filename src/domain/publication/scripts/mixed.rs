//! Everything at once: any plan, any store, any trouble.

use std::time::Duration;

use proptest::prelude::*;

use super::world::World;
use super::{S, fate, form, plan};
use crate::domain::gate::Failure;
use crate::domain::publication::{Input, Plan, Publication};
use crate::domain::uploads::UploadLimits;

fn any_plan() -> impl Strategy<Value = Plan> {
    let listed_bytes = prop::option::weighted(0.2, 1_000u64..40_000);
    (3usize..=10, 200u64..10_000, prop_oneof![Just(0u64), 0u64..10_000], form(), listed_bytes).prop_map(
        |(keep, ms, interval_ms, form, listed_bytes)| {
            let segment = Duration::from_millis(ms);
            Plan {
                depth: keep,
                form,
                target_duration_s: segment.as_secs_f64().ceil() as u64,
                uploads: UploadLimits {
                    in_flight: 3.min(keep - 1),
                    backlog: keep,
                    backlog_bytes: 60_000,
                    segment_duration: segment,
                    most_pause: segment.clamp(S, 5 * S),
                    attempt: (4 * segment).max(10 * S),
                },
                min_playlist_interval: Duration::from_millis(interval_ms),
                listed_bytes,
                ..plan()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_plan_and_no_trouble_break_the_invariants(
        plan in any_plan(),
        other in any_plan(),
        fates in prop::collection::vec(fate(), 1..60),
        slow in 1u64..8,
        events in prop::collection::vec((0u8..60, 0u64..5_000), 1..80),
    ) {
        let segment = plan.uploads.segment_duration;
        let mut changed = false;
        let mut world = World::new(fates.into_iter().map(|f| super::Fate { delay_ms: f.delay_ms * slow, ..f }).collect());
        world.machine = Publication::new(plan.clone(), 42);
        world.bucket.most = (4 * (plan.depth.max(other.depth) + 51)).max(24);
        world.plan = plan.clone();
        world.bucket.is_small = plan.listed_bytes.or(other.listed_bytes).is_some();
        for (event, wait_ms) in events {
            world.bytes = if event % 4 == 0 { 20_000 + wait_ms * 2 } else { 1_000 + wait_ms };
            let wait = segment.mul_f64(wait_ms as f64 / 2_500.0);
            match event {
                0 => world.new_run(),
                1 if changed => world.crash_and_follow(world.plan.clone()),
                1 => world.crash(),
                // Else nothing would tell of the other plan's playlists.
                2 if world.plan == plan && !changed => world.reboot(),
                3 => world.index += 1,
                4..7 => world.produce_of(Duration::from_millis(wait_ms % 1_900 + 100)),
                7 => world.now += 20 * wait,
                8 => { world.machine.handle(world.now, Input::StoreRenewed); world.drain(); }
                9 => world.bucket.refusal = Some(Failure::Rare),
                10 => world.bucket.refusal = Some(Failure::Retry { after: Some(Duration::from_millis(wait_ms * 100)) }),
                11 => world.bucket.refusal = Some(Failure::Never),
                12..15 => world.bucket.refusal = None,
                15 => world.clock_ms += wait_ms as i64 * 10_000 - 25_000_000,
                16 => world.produce_of(20 * wait),
                18 => {
                    changed = true;
                    world.crash_and_follow(if world.plan == plan { other.clone() } else { plan.clone() });
                }
                17 => (0..wait_ms / 200).for_each(|_| world.produce_of(segment)),
                _ => world.produce_of(segment),
            }
            world.step(world.now + wait);
            prop_assert!(world.machine.longest_named.len() <= 600, "{}", world.machine.longest_named.len());
        }
        world.bucket.refusal = None;
        world.fates.clear();
        let begun = world.now;
        while !world.machine.is_drained() {
            world.step(world.now + S / 10);
            prop_assert!(world.now < begun + 400 * S, "{:?}", world.machine);
        }
        world.settle_in(4000 * S);
        for pair in world.playlists_at.windows(2) {
            prop_assert!(pair[1] - pair[0] >= plan.min_playlist_interval || world.reboots > 0);
        }
        let listed: std::collections::BTreeSet<_> = world.bucket.visible.iter().flat_map(|p| &p.entries).map(|e| e.key.clone()).collect();
        let named: std::collections::BTreeSet<_> = world.machine.longest_named.keys().cloned().collect();
        prop_assert_eq!(&listed, &named, "longest_named leaks");
        let debug = format!("{:?}", world.machine);
        for empty in ["abandoned: {}", "attempts: {}", "leaving: []", "due: {}", "deleting: []"] {
            prop_assert!(debug.contains(empty), "{} in {}", empty, debug);
        }
    }
}
