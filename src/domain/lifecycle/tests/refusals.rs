//! A camera that lets nobody in.

use super::*;

#[test]
fn one_refusal_after_a_night_away_is_a_first_refusal() {
    let (mut life, mut now) = (started(start()), start());
    for _ in 0..30 {
        life.handle(now, Input::Exited(Cause::Unreachable));
        now = life.deadline().unwrap();
        life.poll(now);
    }
    life.handle(now, Input::Exited(Cause::Auth));
    assert!(life.deadline().unwrap() - now <= 60 * S);
    now = life.deadline().unwrap();
    life.poll(now);
    life.handle(now, Input::Exited(Cause::NotFound));
    assert!(life.deadline().unwrap() - now <= 2 * S);
}

#[test]
fn a_wrong_password_is_tried_rarely() {
    let t0 = start();
    let mut life = started(t0);
    life.handle(t0, Input::Exited(Cause::Auth));
    assert!(life.deadline().unwrap() - t0 >= 30 * S);
}

#[test]
fn a_refusal_is_remembered_by_the_next_start() {
    let t0 = start();
    let mut life = started(t0);
    life.handle(t0 + S, Input::Exited(Cause::Auth));
    life.handle(t0 + 2 * S, Input::Stop);
    assert_eq!(life.poll(t0 + 2 * S), None);
    assert!(life.is_over());
    let barred = life.barred();
    assert_eq!(barred.map(|barred| barred.times), Some(1));
    let again = || Lifecycle::new(Patience::for_segments_of(2 * S), Dice::new(5)).barred_by(barred);
    let mut life = again();
    life.handle(t0 + 3 * S, Input::Start);
    life.handle(t0 + 3 * S, Input::Asked);
    assert_eq!((life.poll(t0 + 3 * S), life.last_cause()), (None, Some(Cause::Auth)));
    let until = life.deadline().unwrap();
    assert!(until > t0 + 30 * S);
    assert_eq!(life.poll(until), Some(Action::Spawn));
    life.handle(until + S, Input::Exited(Cause::Auth));
    assert_eq!(life.barred().map(|barred| barred.times), Some(2), "ever more rarely, over all starts");
    life.handle(until, Input::Stop);
    let mut life = again();
    life.handle(until, Input::Start);
    assert_eq!(life.poll(until), Some(Action::Spawn));
    life.handle(until + S, Input::SegmentProduced(S));
    assert_eq!(life.barred(), None, "it let us in");
}

#[test]
fn a_refusal_counts_also_where_the_run_was_asked_to_end_meanwhile() {
    let t0 = start();
    let mut life = started(t0);
    life.handle(t0 + S, Input::Stop);
    assert_eq!(life.poll(t0 + S), Some(Action::Ask));
    life.handle(t0 + 2 * S, Input::Exited(Cause::Auth));
    assert_eq!(life.poll(t0 + 2 * S), None);
    assert!(life.is_over() && life.barred().is_some());
    // Wanted again before it has ended.
    let mut life = started(t0);
    life.handle(t0 + S, Input::Stop);
    assert_eq!(life.poll(t0 + S), Some(Action::Ask));
    life.handle(t0 + S, Input::Start);
    life.handle(t0 + 2 * S, Input::Exited(Cause::Auth));
    assert_eq!(life.poll(t0 + 3 * S), None, "its account might be locked");
    assert!(life.deadline().unwrap() > t0 + 30 * S);
}

#[test]
fn who_asks_need_not_wait_unless_the_camera_refused() {
    let t0 = start();
    let mut life = started(t0);
    let mut now = t0;
    for _ in 0..8 {
        now += S;
        life.handle(now, Input::Exited(Cause::Unreachable));
        // A thousand who ask are one.
        for _ in 0..1000 {
            life.handle(now, Input::Asked);
        }
        assert_eq!(life.poll(now + S / 5), None);
        now += 2 * S;
        assert_eq!(life.poll(now), Some(Action::Spawn));
    }
    life.handle(now, Input::Exited(Cause::Unreachable));
    life.handle(now + 20 * S, Input::Asked);
    assert_eq!(life.poll(now + 20 * S), Some(Action::Spawn), "at once, if it failed long ago");
    life.handle(now + 21 * S, Input::Exited(Cause::Auth));
    for second in 21..50 {
        life.handle(now + second * S, Input::Asked);
        assert_eq!(life.poll(now + second * S), None, "its account might be locked");
    }
}
