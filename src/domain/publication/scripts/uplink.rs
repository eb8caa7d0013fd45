//! An uplink that all uploads share.

use std::time::{Duration, Instant, SystemTime};

use super::world::{Fate, World};
use super::{S, plan};
use crate::domain::gate::Failure;
use crate::domain::ids::Msn;
use crate::domain::publication::{Action, Input, Plan, Publication, Remote};
use crate::domain::segment::{Payload, Segment};
use crate::domain::uploads::{Ticket, UploadLimits};

/// Uploads share the uplink, as they do on a real one: a store that merely answers late would not show what
/// happens when it is too slow for the stream. Returns (published, longest time without a new playlist).
fn over_an_uplink(keep: usize, of_bitrate: f64, segments: u64) -> (u64, Duration) {
    /// As `camera::publisher` limits an attempt for segments of 2 s.
    const ATTEMPT: Duration = Duration::from_secs(10);
    const STEP: Duration = Duration::from_millis(20);
    let mut world = World::new(vec![]);
    world.machine = Publication::new(plan_for(keep), 42);
    let (mut under_way, mut last_new, mut longest): (Vec<(Ticket, f64, Instant)>, _, _) =
        (vec![], world.now, Duration::ZERO);
    for step in 0..segments * 100 {
        world.now += STEP;
        if step % 100 == 0 {
            let path = step.to_string().into();
            let payload = Payload::File { path, bytes: 1000 };
            let (run, index) = (world.run, step / 100);
            let segment =
                Segment { run, index, duration: 2 * S, program_time: SystemTime::UNIX_EPOCH, payload };
            world.machine.handle(world.now, Input::Produced(segment));
        }
        let share = of_bitrate * STEP.as_secs_f64() / 2.0 / under_way.len().max(1) as f64;
        under_way.iter_mut().for_each(|(_, left, _)| *left -= share);
        for (ticket, ..) in under_way.extract_if(.., |(_, left, _)| *left <= 0.0) {
            world.machine.handle(world.now, Input::Stored(ticket));
        }
        let now = world.now;
        for (ticket, ..) in under_way.extract_if(.., |(_, _, since)| now - *since > ATTEMPT) {
            world.machine.handle(now, Input::StoreFailed(ticket, Failure::Retry { after: None }));
        }
        while let Some(action) = world.machine.poll(world.now) {
            let input = match action {
                Action::Put { ticket, .. } => {
                    under_way.push((ticket, 1.0, world.now));
                    continue;
                }
                Action::ReadRemote => Input::Remote(Remote::Absent { first: Msn(1) }),
                Action::PutPlaylist(_) => {
                    longest = longest.max(world.now - last_new);
                    last_new = world.now;
                    Input::PlaylistStored
                }
                Action::Delete(_) => Input::Deleted,
                Action::List => Input::Listed(vec![]),
                Action::Discard(_) => continue,
            };
            world.machine.handle(world.now, input);
        }
    }
    (world.machine.progress().segments_published, longest.max(world.now - last_new))
}

/// As `camera::supervisor` plans it.
fn plan_for(keep: usize) -> Plan {
    let uploads = UploadLimits { in_flight: 3.min(keep - 1), backlog: keep, ..plan().uploads };
    Plan { depth: keep, uploads, ..plan() }
}

#[test]
fn an_uplink_too_slow_for_the_stream_still_carries_what_it_can() {
    for keep in [3, 4, 5, 10] {
        for of_bitrate in [1.1, 0.95, 0.8, 0.5, 0.3] {
            let (published, longest) = over_an_uplink(keep, of_bitrate, 450);
            let most = 450.0 * f64::min(of_bitrate, 1.0);
            let what = format!("window {keep}, uplink {of_bitrate}");
            assert!(published as f64 > 0.85 * most, "{published} of {most}: {what}");
            assert!(longest.as_secs_f64() < 9.0 / of_bitrate.min(1.0), "{longest:?} without news: {what}");
        }
    }
}

/// A store that answers late, but as many as are asked at once.
#[test]
fn a_store_that_answers_late_is_asked_in_parallel_also_after_an_outage() {
    for late_ms in [100, 2_100, 2_500, 3_000] {
        let mut world = World::new(vec![]);
        world.machine = Publication::new(plan_for(5), 42);
        let late = |ms| Fate { delay_ms: ms, works: true, answers: true, never: false };
        world.produce();
        world.step(world.now + 2 * S);
        world.fates = vec![Fate { works: false, answers: false, ..late(10) }];
        for _ in 0..20 {
            world.produce();
            world.step(world.now + 2 * S);
        }
        world.fates = vec![late(late_ms)];
        for _ in 0..30 {
            world.produce();
            world.step(world.now + 2 * S);
        }
        let settled = world.machine.progress().segments_given_up;
        for _ in 0..100 {
            world.produce();
            world.step(world.now + 2 * S);
        }
        let lost = world.machine.progress().segments_given_up - settled;
        assert_eq!(lost, 0, "at {late_ms} ms");
    }
}
