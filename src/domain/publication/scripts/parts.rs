//! Streams that are also published in parts: each is stored at once, listed with its whole segment, and leaves with it.

use std::time::Duration;

use proptest::prelude::*;

use super::bucket::Fate;
use super::world::World;
use super::{S, fate, plan};
use crate::domain::key::ObjectKey;
use crate::domain::parts::PartLimits;
use crate::domain::playlist::{ListedPart, MediaPlaylist, render};
use crate::domain::publication::{Action, Plan};
use crate::domain::segment::SegmentType;

/// Of each segment.
pub(super) const PARTS: u64 = 5;
const MS: Duration = Duration::from_millis(1);

fn parts_plan() -> Plan {
    let limits = PartLimits { duration: 400 * MS, in_flight: 4, life: 3 * S, attempt: S };
    Plan { form: SegmentType::Fmp4.into(), parts: Some(limits), ..plan() }
}

fn world(fates: Vec<Fate>) -> World {
    World::of_plan(fates, parts_plan())
}

/// With its first segment published.
fn begun() -> World {
    let mut world = world(vec![]);
    world.produce();
    world.step(world.now + 100 * MS);
    world
}

/// The segment of a part that [`World`] made.
pub(super) fn part_of(key: &ObjectKey, form: SegmentType) -> Option<ObjectKey> {
    let run = plan().layout.run_of(key)?;
    let name = key.file_name().strip_prefix("part_")?.strip_suffix(".m4s")?;
    let number: u64 = name.rsplit_once('_')?.1.parse().ok()?;
    Some(plan().layout.segment(run, number / PARTS, form))
}

fn listed(playlist: &MediaPlaylist) -> Vec<&ListedPart> {
    playlist.parts.iter().flat_map(|parts| &parts.of).flat_map(|(_, parts)| parts).collect()
}

fn parts_stored(world: &World) -> usize {
    world.bucket.objects.iter().filter(|key| part_of(key, SegmentType::Fmp4).is_some()).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_store_breaks_the_invariants_of_parts(
        fates in prop::collection::vec(fate(), 1..60),
        events in prop::collection::vec((0u8..40, 0u64..3_000), 1..40),
    ) {
        let mut world = world(fates);
        for (event, wait_ms) in events {
            match event {
                0 => world.new_run(),
                1 => world.crash(),
                2 => world.reboot(),
                3 => world.index += 1,
                8 => world.is_short = !world.is_short,
                4..7 => world.produce_of(Duration::from_millis(wait_ms % 1_900 + 100)),
                7 => world.step(world.now + Duration::from_millis(wait_ms)),
                _ => world.produce(),
            }
            world.step(world.now + Duration::from_millis(wait_ms / 10));
        }
        world.is_short = false;
        world.settle();
    }
}

#[test]
fn a_calm_store_sees_each_part_once_and_one_playlist_per_segment() {
    let mut world = begun();
    (0..19).for_each(|_| world.produce());
    world.step(world.now + S);
    let progress = world.machine.progress();
    assert_eq!((progress.parts_published, progress.parts_given_up), (20 * PARTS, 0));
    assert_eq!(progress.segments_published, 20);
    assert_eq!(world.playlists_at.len(), 20, "one with each segment");
    let visible = world.bucket.visible.clone().unwrap();
    assert_eq!(listed(&visible).len() as u64, PARTS, "those of the last one");
    assert!(parts_stored(&world) as u64 <= PARTS * (3 + 4 + 1), "{}", parts_stored(&world));
}

#[test]
fn the_playlist_is_one_of_low_latency_hls() {
    let mut world = begun();
    (0..2).for_each(|_| world.produce());
    world.step(world.now + S);
    let text = render(world.bucket.visible.as_ref().unwrap());
    let run = world.run;
    let expected = format!(
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:500\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-SERVER-CONTROL:PART-HOLD-BACK=7.200\n#EXT-X-PART-INF:PART-TARGET=0.400000\n\
         #EXT-X-MAP:URI=\"init_{run}.mp4\"\n"
    );
    assert!(text.starts_with(&expected), "{text}");
    let last = format!(
        "#EXT-X-PART:DURATION=0.400000,URI=\"part_{run}_000010.m4s\",INDEPENDENT=YES\n\
         #EXT-X-PART:DURATION=0.400000,URI=\"part_{run}_000011.m4s\"\n\
         #EXT-X-PART:DURATION=0.400000,URI=\"part_{run}_000012.m4s\"\n\
         #EXT-X-PART:DURATION=0.400000,URI=\"part_{run}_000013.m4s\"\n\
         #EXT-X-PART:DURATION=0.400000,URI=\"part_{run}_000014.m4s\"\n\
         #EXTINF:2.000000,\nsegment_{run}_000002.m4s\n\
         #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part_{run}_000015.m4s\"\n"
    );
    assert!(text.ends_with(&last), "{text}");
    assert_eq!(text.matches("#EXT-X-PART:").count() as u64, PARTS, "{text}");
    assert!(!text.contains("CAN-BLOCK-RELOAD"));
}

#[test]
fn a_part_that_is_lost_hides_its_segments_parts_and_nothing_else() {
    let mut world = begun();
    (0..2).for_each(|_| world.produce());
    world.lose_part = Some(17);
    world.produce();
    world.step(world.now + 900 * MS);
    let visible = world.bucket.visible.clone().unwrap();
    let segment = plan().layout.segment(world.run, 3, SegmentType::Fmp4);
    assert_eq!(visible.entries.last().map(|entry| &entry.key), Some(&segment));
    assert_eq!(listed(&visible), Vec::<&ListedPart>::new());
    let next = plan().layout.part(world.run, 4 * PARTS);
    assert_eq!(
        visible.parts.and_then(|parts| parts.hint),
        Some(next),
        "where it goes on is told all the same"
    );
    world.produce();
    world.step(world.now + 4 * S);
    let visible = world.bucket.visible.clone().unwrap();
    assert_eq!(listed(&visible).len() as u64, PARTS);
    assert!(visible.entries.iter().all(|entry| !entry.discontinuity), "the whole segment is there");
    let progress = world.machine.progress();
    assert_eq!((progress.segments_published, progress.segments_given_up), (5, 0));
    assert!(progress.parts_given_up >= 1);
    world.lose_part = None;
    world.settle();
}

#[test]
fn the_playlist_waits_a_little_for_the_last_part() {
    let mut world = begun();
    (0..2).for_each(|_| world.produce());
    world.step(world.now + S);
    let before = world.playlists_at.len();
    world.lose_part = Some(19);
    world.produce();
    world.step(world.now + 500 * MS);
    assert_eq!(world.playlists_at.len(), before, "it may come");
    world.step(world.now + S);
    assert_eq!(world.playlists_at.len(), before + 1, "but not for long");
    assert_eq!(listed(world.bucket.visible.as_ref().unwrap()), Vec::<&ListedPart>::new());
}

#[test]
fn the_first_segments_parts_wait_for_the_answer_and_are_listed() {
    let mut world = world(vec![]);
    world.produce();
    world.step(world.now + S);
    assert_eq!(listed(world.bucket.visible.as_ref().unwrap()).len() as u64, PARTS);
    let progress = world.machine.progress();
    assert_eq!((progress.parts_published, progress.parts_given_up), (PARTS, 0));
}

#[test]
fn while_another_agent_may_publish_no_part_is_stored() {
    let mut world = world(vec![]);
    (0..4).for_each(|_| world.produce());
    world.reboot();
    let before = parts_stored(&world);
    (0..2).for_each(|_| world.produce());
    let under_way = world.pending.iter().filter(|(_, action, _)| matches!(action, Action::PutPart(_)));
    assert_eq!((parts_stored(&world), under_way.count()), (before, 0));
    world.settle();
}

#[test]
fn where_no_playlist_is_taken_parts_do_not_pile_up() {
    let mut world = world(vec![]);
    (0..4).for_each(|_| world.produce());
    world.takes_no_playlist = true;
    (0..4).for_each(|_| world.produce());
    let most = parts_stored(&world);
    (0..100).for_each(|_| world.produce());
    assert!(parts_stored(&world) <= most, "{}", parts_stored(&world));
    world.takes_no_playlist = false;
    world.settle();
}

/// As with a spool that is full.
#[test]
fn parts_that_the_playlist_names_stay_while_no_segment_comes() {
    let mut world = begun();
    world.step(world.now + S);
    let named = world.bucket.visible.clone().unwrap();
    for _ in 0..100 {
        world.produce_parts(2 * S);
        world.index += 1;
    }
    assert_eq!(world.bucket.visible.as_ref(), Some(&named));
    assert_eq!(listed(&named).len() as u64, PARTS);
    assert!(listed(&named).iter().all(|part| world.bucket.objects.contains(&part.key)));
    assert!(parts_stored(&world) as u64 <= PARTS * 70, "{}", parts_stored(&world));
}

#[test]
fn in_parts_alone_no_segment_is_named_as_if_it_were_there() {
    let form = SegmentType::Parted.into();
    let mut world = World::of_plan(vec![], Plan { form, ..parts_plan() });
    (0..3).for_each(|_| world.produce());
    world.step(world.now + S);
    let text = render(world.bucket.visible.as_ref().unwrap());
    assert_eq!(text.matches("#EXT-X-GAP\n#EXTINF:").count(), 3, "{text}");
    assert_eq!(text.matches("_parts.m4s\n").count(), 3, "{text}");
    assert_eq!(text.matches("#EXT-X-PART:").count() as u64, PARTS, "{text}");
    assert!(text.contains("#EXT-X-MAP:"), "{text}");
    // Another agent, or this one after a kill, goes on with it.
    world.crash();
    (0..3).for_each(|_| world.produce());
    world.settle();
}

#[test]
fn where_the_uplink_has_no_room_for_both_whole_segments_are_gaps() {
    let mut world = begun();
    (0..3).for_each(|_| world.produce());
    world.is_short = true;
    (0..30).for_each(|_| world.produce());
    let progress = world.machine.progress();
    assert!(progress.is_short_for_both && progress.segments_left_out >= 12, "{progress:?}");
    assert_eq!((progress.parts_given_up, progress.segments_given_up), (0, 0));
    world.step(world.now + S);
    let visible = world.bucket.visible.clone().unwrap();
    let text = render(&visible);
    assert!(text.contains("#EXT-X-GAP\n#EXTINF:2.000000,\n"), "{text}");
    assert!(!text.contains("#EXT-X-DISCONTINUITY\n"), "nothing is missing for who takes parts: {text}");
    assert_eq!(listed(&visible).len() as u64, PARTS, "of a gap as of any");
    let part = plan().layout.run_of(&listed(&visible)[0].key);
    assert_eq!(part, Some(world.run));
    // There is room again.
    world.is_short = false;
    (0..30).for_each(|_| world.produce());
    let progress = world.machine.progress();
    assert!(!progress.is_short_for_both);
    let text = render(world.bucket.visible.as_ref().unwrap());
    assert!(!text.contains("#EXT-X-GAP"), "{text}");
    world.settle();
}

#[test]
fn what_an_agent_left_out_the_next_one_goes_on_behind() {
    let mut world = begun();
    world.is_short = true;
    (0..10).for_each(|_| world.produce());
    assert!(world.machine.progress().segments_left_out > 0);
    let old = world.bucket.visible.clone().unwrap();
    world.crash();
    (0..2).for_each(|_| world.produce());
    world.step(world.now + 5 * S);
    let new = world.bucket.visible.clone().unwrap();
    let run = |playlist: &MediaPlaylist| playlist.entries.first().map(|e| plan().layout.run_of(&e.key));
    assert_eq!(run(&new), run(&old), "what viewers have stays: {new:?}");
    world.is_short = false;
    world.settle();
}

#[test]
fn a_whole_segment_that_is_in_the_way_is_dropped_and_stops_nothing() {
    let mut world = begun();
    (0..3).for_each(|_| world.produce());
    (world.is_short, world.whole_ms) = (true, 20_000);
    (0..60).for_each(|_| world.produce());
    let progress = world.machine.progress();
    assert!(progress.segments_left_out > 50, "{progress:?}");
    assert_eq!((progress.parts_given_up, progress.segments_given_up), (0, 0));
    world.is_short = false;
    world.settle();
}

#[test]
fn where_there_is_no_room_for_parts_alone_the_playlist_goes_on() {
    // Of the last two no whole segment ever gets its turn.
    for part_ms in [1_900, 2_100, 2_900] {
        with_parts_of(part_ms);
    }
}

fn with_parts_of(part_ms: u64) {
    let mut world = begun();
    (0..3).for_each(|_| world.produce());
    (world.is_short, world.part_ms) = (true, part_ms);
    let mut still = 0;
    for _ in 0..150 {
        let before = world.playlists_at.len();
        world.produce();
        still = if world.playlists_at.len() > before { 0 } else { still + 1 };
        assert!(still <= 7, "{part_ms} ms: no playlist for {still} segments: {:?}", world.machine.progress());
    }
    let progress = world.machine.progress();
    let makes_way = progress.segments_left_out + progress.segments_given_up > 50;
    assert!(makes_way || progress.parts_given_up > 50 && progress.segments_published > 100, "{progress:?}");
    (world.is_short, world.part_ms) = (false, 0);
    world.settle();
}
