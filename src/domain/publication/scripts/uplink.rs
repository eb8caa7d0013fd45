//! An uplink that all uploads share.

use std::time::{Duration, SystemTime};

use super::S;
use super::world::World;
use crate::domain::ids::Msn;
use crate::domain::publication::{Action, Input, Remote};
use crate::domain::segment::{Payload, Segment};
use crate::domain::uploads::Ticket;

/// Uploads share the uplink, as they do on a real one: a store that merely answers late would not show what
/// happens when it is too slow for the stream. Returns (published, longest time without a new playlist).
fn over_an_uplink(of_bitrate: f64, segments: u64) -> (u64, Duration) {
    const STEP: Duration = Duration::from_millis(20);
    let mut world = World::new(vec![]);
    let (mut under_way, mut last_new, mut longest): (Vec<(Ticket, f64)>, _, _) =
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
        under_way.iter_mut().for_each(|(_, left)| *left -= share);
        for (ticket, _) in under_way.extract_if(.., |(_, left)| *left <= 0.0) {
            world.machine.handle(world.now, Input::Stored(ticket));
        }
        while let Some(action) = world.machine.poll(world.now) {
            let input = match action {
                Action::Put { ticket, .. } => {
                    under_way.push((ticket, 1.0));
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

#[test]
fn an_uplink_too_slow_for_the_stream_still_carries_what_it_can() {
    for of_bitrate in [1.1, 0.95, 0.8, 0.5, 0.3, 0.1] {
        let (published, longest) = over_an_uplink(of_bitrate, 450);
        let most = 450.0 * f64::min(of_bitrate, 1.0);
        assert!(published as f64 > 0.9 * most, "{published} of {most} at {of_bitrate}");
        assert!(
            longest.as_secs_f64() < 7.0 / of_bitrate.min(1.0),
            "{longest:?} without news at {of_bitrate}"
        );
    }
}
