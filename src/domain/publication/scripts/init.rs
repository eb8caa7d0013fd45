//! Init objects of fMP4 runs, by example; that none is missing or deleted too early is in `bucket`.

use super::bucket::Fate;
use super::duel::{MS, Rivals};
use super::world::World;
use super::{S, plan};
use crate::domain::publication::{Action, Plan};
use crate::domain::segment::{Form, SegmentType};

fn fmp4() -> World {
    World::of_form(vec![], SegmentType::Fmp4.into())
}

fn live(world: &mut World, segments: u32) {
    for _ in 0..segments {
        world.produce();
        world.step(world.now + 2 * S);
    }
}

fn inits(world: &World) -> Vec<String> {
    let names = world.bucket.objects.iter().map(|key| key.file_name().to_owned());
    names.filter(|name| name.starts_with("init_")).collect()
}

#[test]
fn each_run_has_one_and_it_leaves_after_its_segments() {
    let mut world = fmp4();
    live(&mut world, 10);
    let first = inits(&world);
    assert_eq!(first.len(), 1, "however long the run is");
    world.new_run();
    live(&mut world, 1);
    assert_eq!(inits(&world).len(), 2);
    // Until then the first run's last segments are listed or held.
    live(&mut world, 5);
    assert!(inits(&world).contains(&first[0]));
    live(&mut world, 6);
    assert!(inits(&world).len() == 1 && !inits(&world).contains(&first[0]));
    let progress = world.machine.progress();
    assert_eq!((progress.segments_published, progress.orphans_swept), (22, 0), "it was not the sweep");
}

#[test]
fn no_playlist_comes_before_it() {
    let mut world = fmp4();
    world.produce();
    world.step(world.now + S / 20);
    let at = world.pending.iter().position(|(_, action, _)| matches!(action, Action::PutInit(_)));
    let (_, late, fate) = world.pending.remove(at.expect("it goes first"));
    // Its segments are stored meanwhile, as many as may be under way.
    live(&mut world, 3);
    assert!(world.bucket.objects.len() >= 3 && world.bucket.visible.is_none());
    world.pending.push((world.now, late, fate));
    world.step(world.now + S);
    assert_eq!(world.bucket.visible.as_ref().unwrap().entries.len(), 4);
    assert_eq!(world.machine.progress().segments_given_up, 0);
    world.settle();
}

#[test]
fn one_that_is_refused_is_tried_again() {
    let mut world = fmp4();
    world.fates = vec![Fate { delay_ms: 10, works: false, answers: false, never: true }];
    live(&mut world, 10);
    assert!(world.bucket.visible.is_none());
    world.fates.clear();
    live(&mut world, 30);
    assert!(world.bucket.visible.is_some());
    world.settle();
}

/// The segments are taken all the while.
#[test]
fn a_store_that_refuses_them_for_ever_fills_neither_itself_nor_the_memory() {
    for never in [false, true] {
        let mut world = fmp4();
        world.fates = vec![Fate { delay_ms: 10, works: true, answers: true, never }];
        live(&mut world, 4);
        world.takes_no_init = true;
        for _ in 0..200 {
            world.new_run();
            live(&mut world, 2);
            let kept = format!("{:?}", world.machine).matches("Init { header").count();
            assert!(kept <= 8, "{kept} are kept");
            assert!(world.held <= 8 * world.bytes, "{} bytes are held", world.held);
            assert!(world.bucket.objects.len() <= 60, "{} objects", world.bucket.objects.len());
        }
        assert!(world.machine.progress().segments_given_up > 300, "it is told");
        world.takes_no_init = false;
        live(&mut world, 20);
        let newest = world.bucket.visible.as_ref().unwrap().entries.last().unwrap().key.clone();
        let (_, index) = plan().layout.place_of(&newest).unwrap();
        assert_eq!(index + 1, world.index, "the live edge is back");
        world.settle();
    }
}

#[test]
fn one_of_a_dead_run_is_swept() {
    let mut world = fmp4();
    live(&mut world, 3);
    world.new_run();
    world.takes_no_playlist = true;
    world.produce();
    world.step(world.now + S / 2);
    assert_eq!(inits(&world).len(), 2);
    // Nobody knows the second one any more: it is named nowhere.
    world.note = None;
    world.crash();
    world.takes_no_playlist = false;
    live(&mut world, 200);
    assert_eq!(inits(&world).len(), 1);
    assert!(world.machine.progress().orphans_swept > 0);
    world.settle();
}

#[test]
fn another_form_begins_a_new_window_and_the_numbers_go_on() {
    let two = Form { kind: SegmentType::MpegTs, renditions: 2 };
    let (fmp4, ts): (Form, Form) = (SegmentType::Fmp4.into(), SegmentType::MpegTs.into());
    for (old, new) in [(fmp4, ts), (ts, fmp4), (ts, two), (two, ts)] {
        let mut world = World::of_form(vec![], old);
        live(&mut world, 10);
        let before = world.bucket.visible.clone().unwrap();
        world.crash_and_follow(Plan { form: new, ..plan() });
        live(&mut world, 2);
        assert_eq!(world.bucket.visible.as_ref(), Some(&before), "three target durations are not there yet");
        live(&mut world, 1);
        let after = world.bucket.visible.clone().unwrap();
        assert_eq!(after.media_sequence, before.entries.last().unwrap().msn.next().0);
        assert!(after.discontinuity_sequence >= before.discontinuity_sequence);
        assert!(after.entries[0].discontinuity);
        assert_eq!(after.entries.len(), 3);
        assert!(
            before.entries.iter().all(|entry| world.bucket.objects.contains(&entry.key)),
            "they are held"
        );
        live(&mut world, 3);
        world.settle();
    }
}

/// An owner that was cut off deletes what is due before it looks who publishes now.
#[test]
fn one_that_another_may_delete_is_not_used_again() {
    let world = gone_on_under_another_name();
    let named = world.bucket.visible.as_ref().unwrap().entries[0].key.init().unwrap();
    assert_ne!(named, plan().layout.init(world.agents[1].run, 1));
}

/// Nobody made a run of that name, but this machine's note knows it.
#[test]
fn after_a_kill_nobody_waits_for_whoever_wrote_under_the_other_name() {
    for knows_the_name in [true, false] {
        let mut world = gone_on_under_another_name();
        world.kill(1);
        if !knows_the_name {
            world.agents[1].note = None;
        }
        let killed = world.now;
        world.boot(1, true);
        // The first segment, three calls; a silence lasts six seconds.
        world.step(6 * S);
        let publishes = world.agents[1].playlist_at.is_some_and(|at| at > killed);
        assert_eq!((publishes, world.bucket.breaches.len()), (knows_the_name, 0));
    }
}

fn gone_on_under_another_name() -> Rivals {
    let mut world = Rivals::of_forms(8_697_467_266_958_072_756, 442, [SegmentType::Fmp4.into(); 2]);
    world.boot(0, false);
    world.boot(1, true);
    world.step(MS * 36_518);
    assert!(world.publishes(0) && world.stands_back(1));
    world.agents[0].cut_off = true;
    world.step(MS * 12_722);
    world.agents[0].cut_off = false;
    world.step(90 * S);
    assert!(world.publishes(1), "in the middle of its run");
    world.forgive();
    world.step(90 * S);
    world.assert_publishes_alone(1);
    world
}
