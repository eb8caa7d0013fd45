//! A camera's luck, by example and by script.

use proptest::prelude::*;

use super::*;
use crate::domain::test_time::start;

const S: Duration = Duration::from_secs(1);

fn started(now: Instant) -> Lifecycle {
    let mut life = Lifecycle::new(Patience::for_segments_of(2 * S), Dice::new(3));
    life.handle(now, Input::Start);
    assert_eq!(life.poll(now), Some(Action::Spawn));
    assert_eq!(life.poll(now), None);
    life
}

#[test]
fn a_stop_asks_then_terminates_then_kills() {
    let t0 = start();
    let mut life = started(t0);
    life.handle(t0, Input::Stop);
    assert_eq!(life.poll(t0), Some(Action::Ask));
    assert_eq!(life.poll(t0 + S), None);
    assert_eq!(life.poll(t0 + 2 * S), Some(Action::Terminate));
    assert_eq!(life.poll(t0 + 4 * S), Some(Action::Kill));
    life.handle(t0 + 4 * S, Input::Exited(Cause::Crashed));
    assert!(life.is_over());
    assert_eq!((life.last_cause(), life.restarts()), (Some(Cause::Asked), 0));
}

#[test]
fn a_first_segment_that_never_comes_counts_as_death() {
    let t0 = start();
    let mut life = started(t0);
    assert_eq!(life.deadline(), Some(t0 + 24 * S));
    assert_eq!(life.poll(t0 + 24 * S), Some(Action::Terminate));
    life.handle(t0 + 25 * S, Input::Exited(Cause::Asked));
    assert_eq!(life.last_cause(), Some(Cause::Stalled));
    assert!(matches!(life.phase(), Phase::BackingOff { .. }));
}

#[test]
fn a_stall_counts_as_death_and_segments_put_it_off() {
    let t0 = start();
    let mut life = started(t0);
    life.handle(t0 + 3 * S, Input::SegmentProduced);
    life.handle(t0 + 5 * S, Input::SegmentProduced);
    assert_eq!(life.poll(t0 + 11 * S), None);
    assert_eq!(life.poll(t0 + 12 * S), Some(Action::Terminate));
}

#[test]
fn restarts_come_ever_more_rarely_and_a_stable_run_forgets() {
    let mut now = start();
    let mut life = started(now);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        life.handle(now, Input::Exited(Cause::Unreachable));
        let at = life.deadline().unwrap();
        pauses.push(at - now);
        assert_eq!(life.poll(at), Some(Action::Spawn));
        now = at;
    }
    assert!(pauses[0] <= S && pauses[11] >= 30 * S && pauses[11] <= 60 * S, "{pauses:?}");
    life.handle(now, Input::SegmentProduced);
    life.handle(now + 61 * S, Input::SegmentProduced);
    life.handle(now + 62 * S, Input::Exited(Cause::Disconnected));
    assert!(life.deadline().unwrap() - (now + 62 * S) <= S);
}

#[test]
fn a_wrong_password_is_tried_rarely() {
    let t0 = start();
    let mut life = started(t0);
    life.handle(t0, Input::Exited(Cause::Auth));
    assert!(life.deadline().unwrap() - t0 >= 30 * S);
}

#[test]
fn a_start_while_stopping_starts_again_at_once() {
    let t0 = start();
    let mut life = started(t0);
    life.handle(t0, Input::Stop);
    assert_eq!(life.poll(t0), Some(Action::Ask));
    life.handle(t0, Input::Start);
    assert_eq!(life.poll(t0), None, "the old run has to end first");
    life.handle(t0 + S, Input::Exited(Cause::Asked));
    assert_eq!(life.poll(t0 + S), Some(Action::Spawn));
    assert_eq!(life.failures(), 0);
}

#[test]
fn a_stop_while_backing_off_is_over_at_once() {
    let t0 = start();
    let mut life = started(t0);
    life.handle(t0, Input::Exited(Cause::Unreachable));
    life.handle(t0, Input::Stop);
    assert_eq!(life.poll(t0), None);
    assert!(life.is_over());
}

proptest! {
    /// Whatever happens in whatever order: actions come one at a time, never two runs at once, no
    /// deadline in the past once drained, and a stop always comes to an end.
    #[test]
    fn any_script_is_survived(script in prop::collection::vec((0u8..6, 0u32..40), 1..200)) {
        let mut now = start();
        let mut life = Lifecycle::new(Patience::for_segments_of(2 * S), Dice::new(9));
        let mut running = false;
        let drain = |life: &mut Lifecycle, now: Instant, running: &mut bool| {
            for _ in 0..10 {
                match life.poll(now) {
                    Some(Action::Spawn) => { assert!(!*running); *running = true; }
                    Some(_) => assert!(*running),
                    None => {
                        assert!(life.deadline().is_none_or(|at| at > now), "{:?}", life.phase());
                        return;
                    }
                }
            }
            panic!("never drained");
        };
        for (what, wait_s) in script {
            now += S * wait_s;
            drain(&mut life, now, &mut running);
            match what {
                0 => life.handle(now, Input::Start),
                1 => life.handle(now, Input::Stop),
                2 | 3 if running => life.handle(now, Input::SegmentProduced),
                4 if running => { running = false; life.handle(now, Input::Exited(Cause::Disconnected)); }
                5 if running => { running = false; life.handle(now, Input::Exited(Cause::Auth)); }
                _ => {}
            }
            drain(&mut life, now, &mut running);
        }
        life.handle(now, Input::Stop);
        drain(&mut life, now, &mut running);
        if running {
            now += 10 * S;
            drain(&mut life, now, &mut running);
            life.handle(now, Input::Exited(Cause::Asked));
            drain(&mut life, now, &mut running);
        }
        prop_assert!(life.is_over());
    }
}
