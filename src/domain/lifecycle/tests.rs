//! A camera's luck, by example and by script.

mod refusals;

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
    life.handle(t0 + 3 * S, Input::SegmentProduced(2 * S));
    life.handle(t0 + 5 * S, Input::SegmentProduced(2 * S));
    assert_eq!(life.poll(t0 + 11 * S), None);
    assert_eq!(life.poll(t0 + 12 * S), Some(Action::Terminate));
}

#[test]
fn an_agent_that_was_stopped_itself_takes_no_run_for_dead() {
    let t0 = start();
    let mut life = started(t0);
    life.handle(t0 + 3 * S, Input::SegmentProduced(2 * S));
    life.handle(t0 + 60 * S, Input::HeldUp(60 * S));
    assert_eq!(life.poll(t0 + 60 * S), None);
    assert_eq!(life.poll(t0 + 67 * S), Some(Action::Terminate));
    // Nor does a run that ends have less time for it.
    life.handle(t0 + 80 * S, Input::HeldUp(12 * S));
    assert_eq!(life.poll(t0 + 80 * S), None);
    assert_eq!(life.poll(t0 + 82 * S), Some(Action::Kill));
}

#[test]
fn a_run_that_gives_nothing_ends_also_where_the_agent_stands_still_again_and_again() {
    let t0 = start();
    let mut life = started(t0);
    life.handle(t0 + S, Input::SegmentProduced(2 * S));
    // Three seconds in each four.
    let ended = (1..60).find(|times| {
        let now = t0 + S + 4 * S * *times;
        life.handle(now, Input::HeldUp(3 * S));
        life.poll(now) == Some(Action::Terminate)
    });
    assert_eq!(ended, Some(7), "seven seconds of its own");
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
    life.handle(now, Input::SegmentProduced(2 * S));
    life.handle(now + 61 * S, Input::SegmentProduced(2 * S));
    life.handle(now + 62 * S, Input::Exited(Cause::Disconnected));
    assert!(life.deadline().unwrap() - (now + 62 * S) <= S);
}

/// Restarts within an hour of a camera that gives segments for `alive`, then refuses for `dead`.
fn tries_in_an_hour(alive: Duration, dead: Duration) -> (u64, Duration) {
    let t0 = start();
    let (mut life, mut now) = (started(t0), t0);
    let (mut tries, mut longest_wait) = (0, Duration::ZERO);
    while now < t0 + 3600 * S {
        // Alive: a segment every 2 s.
        let end = now + alive;
        while now + 2 * S <= end {
            now += 2 * S;
            life.handle(now, Input::SegmentProduced(2 * S));
        }
        life.handle(now, Input::Exited(Cause::Disconnected));
        let back = now + dead;
        loop {
            now = life.deadline().unwrap();
            assert_eq!(life.poll(now), Some(Action::Spawn));
            tries += 1;
            if now >= back {
                break;
            }
            life.handle(now, Input::Exited(Cause::Unreachable));
        }
        longest_wait = longest_wait.max(now - back);
    }
    (tries, longest_wait)
}

#[test]
fn a_camera_that_reboots_every_minute_is_picked_up_quickly_each_time() {
    let (tries, longest_wait) = tries_in_an_hour(50 * S, 10 * S);
    assert!(longest_wait <= 8 * S, "{longest_wait:?}");
    assert!(tries <= 60 * 7, "{tries}");
}

#[test]
fn a_camera_that_dies_after_5_s_each_time_is_not_hammered() {
    let (tries, _) = tries_in_an_hour(5 * S, Duration::ZERO);
    assert!((50..=120).contains(&tries), "{tries}");
}

#[test]
fn a_camera_that_jumps_every_20_s_is_seen_most_of_the_time() {
    let (t0, mut seen) = (start(), Duration::ZERO);
    let (mut life, mut now) = (started(t0), t0);
    while now < t0 + 3600 * S {
        (0..10).for_each(|i| life.handle(now + 2 * S * i, Input::SegmentProduced(2 * S)));
        (now, seen) = (now + 20 * S, seen + 20 * S);
        life.handle(now, Input::Unfit(Cause::ClockJumped));
        assert_eq!(life.poll(now), Some(Action::Ask));
        life.handle(now, Input::Exited(Cause::Asked));
        now = life.deadline().unwrap();
        assert_eq!(life.poll(now), Some(Action::Spawn));
    }
    assert!(seen > 2700 * S, "{seen:?} of an hour");
}

#[test]
fn a_jump_starts_the_next_run_at_once_but_not_for_ever() {
    let t0 = start();
    let mut life = started(t0);
    life.handle(t0 + 3 * S, Input::SegmentProduced(2 * S));
    life.handle(t0 + 4 * S, Input::Unfit(Cause::ClockJumped));
    assert_eq!(life.poll(t0 + 4 * S), Some(Action::Ask));
    life.handle(t0 + 4 * S, Input::Exited(Cause::Asked));
    assert_eq!((life.last_cause(), life.restarts()), (Some(Cause::ClockJumped), 1));
    assert_eq!(life.poll(t0 + 4 * S), Some(Action::Spawn));
    life.handle(t0 + 5 * S, Input::Runaway);
    assert_eq!(life.poll(t0 + 5 * S), Some(Action::Kill));
    life.handle(t0 + 5 * S, Input::Exited(Cause::Crashed));
    assert!(life.deadline().unwrap() > t0 + 5 * S, "a camera that jumps all the time waits");
}

#[test]
fn key_frames_10_s_apart_are_no_stall() {
    let t0 = start();
    let mut life = started(t0);
    for i in 1..100 {
        life.handle(t0 + 10 * S * i, Input::SegmentProduced(10 * S));
        assert_eq!(life.poll(t0 + 10 * S * i + 9 * S), None);
    }
    assert_eq!(life.poll(t0 + 1005 * S), Some(Action::Terminate));
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
    fn any_script_is_survived(script in prop::collection::vec((0u8..10, 0u32..40), 1..200)) {
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
                2 | 3 if running => life.handle(now, Input::SegmentProduced(2 * S)),
                4 if running => { running = false; life.handle(now, Input::Exited(Cause::Disconnected)); }
                5 if running => { running = false; life.handle(now, Input::Exited(Cause::Auth)); }
                6 => life.handle(now, Input::Unfit(Cause::PictureChanged)),
                7 => life.handle(now, Input::HeldUp(S * wait_s)),
                8 => life.handle(now, Input::Runaway),
                9 => life.handle(now, Input::Asked),
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

    /// Whatever a camera does for hours: tries are bounded, they never end, and a good run forgets.
    #[test]
    fn tries_are_bounded_and_never_end(
        script in prop::collection::vec((0usize..7, 0u32..90), 50..400),
    ) {
        const CAUSES: [Cause; 7] = [
            Cause::Disconnected, Cause::Unreachable, Cause::Auth, Cause::NotFound, Cause::Crashed,
            Cause::ClockJumped, Cause::BadStream,
        ];
        let t0 = start();
        let (mut life, mut now) = (started(t0), t0);
        let (mut tries, mut refusals) = (0, 0);
        for (cause, alive_s) in script {
            // Most runs give nothing at all.
            let alive_s = alive_s.saturating_sub(60);
            for _ in 0..alive_s / 2 {
                now += 2 * S;
                life.handle(now, Input::SegmentProduced(2 * S));
            }
            life.handle(now, Input::Exited(CAUSES[cause]));
            let at = life.deadline().unwrap();
            prop_assert!(at - now <= 900 * S, "it waits for {:?}", at - now);
            if CAUSES[cause] == Cause::Auth {
                refusals += 1;
                prop_assert!(at - now >= 30 * S);
            }
            now = at;
            prop_assert_eq!(life.poll(now), Some(Action::Spawn));
            tries += 1;
        }
        let hours = (now - t0).as_secs_f64() / 3600.0;
        // A good run of 30 s, and then each kind's quick rungs again, at the very worst.
        prop_assert!(f64::from(tries) <= 40.0 + 700.0 * hours, "{tries} tries in {hours} h");
        prop_assert!(f64::from(refusals) <= 1.0 + 120.0 * hours, "{refusals} refusals in {hours} h");
        for i in 0..=16 {
            life.handle(now + 2 * S * i, Input::SegmentProduced(2 * S));
        }
        now += 40 * S;
        life.handle(now, Input::Exited(Cause::Disconnected));
        prop_assert!(life.deadline().unwrap() - now <= S, "a good run is not forgotten");
    }
}

#[test]
fn a_renewed_run_ends_with_all_it_made_and_is_followed_at_once_and_counts_as_no_failure() {
    let t0 = start();
    let mut life = started(t0);
    life.handle(t0 + 3 * S, Input::SegmentProduced(2 * S));
    life.handle(t0 + 4 * S, Input::Renew);
    assert_eq!(life.poll(t0 + 4 * S), Some(Action::Ask));
    life.handle(t0 + 5 * S, Input::Exited(Cause::Asked));
    assert_eq!((life.failures(), life.restarts(), life.last_cause()), (0, 0, Some(Cause::Asked)));
    assert_eq!(life.poll(t0 + 5 * S), Some(Action::Spawn));
    life.handle(t0 + 6 * S, Input::Renew);
    assert_eq!(life.poll(t0 + 6 * S), Some(Action::Ask));
    life.handle(t0 + 7 * S, Input::Exited(Cause::Unreachable));
    assert_eq!((life.failures(), life.restarts()), (1, 1), "it failed by itself meanwhile");
    life.handle(t0 + 7 * S, Input::Renew);
    assert_eq!(life.poll(t0 + 7 * S), None, "nothing runs");
    life.handle(t0 + 7 * S, Input::Stop);
    life.poll(t0 + 7 * S);
    assert!(life.is_over());
}

#[test]
fn an_encoder_that_died_is_replaced_at_once_also_after_a_bad_night() {
    let mut now = start();
    let mut life = started(now);
    for cause in [Cause::Unreachable; 20] {
        life.handle(now, Input::Exited(cause));
        now = life.deadline().unwrap();
        assert_eq!(life.poll(now), Some(Action::Spawn));
    }
    let pauses = [(); 8].map(|()| {
        life.handle(now, Input::Exited(Cause::Encoder));
        let at = life.deadline().unwrap();
        let pause = at - now;
        assert_eq!(life.poll(at), Some(Action::Spawn));
        now = at;
        pause
    });
    assert_eq!(pauses[0], Duration::ZERO);
    assert!(pauses[1] <= S && pauses[7] > 2 * S, "software that fails is not hammered: {pauses:?}");
}
