//! An answer that comes when the window it was about is no more.

use std::time::{Duration, Instant, SystemTime};

use super::{S, plan};
use crate::domain::ids::{Msn, RunId};
use crate::domain::playlist::MediaPlaylist;
use crate::domain::publication::{Action, Input, Publication, Remote};
use crate::domain::segment::{Payload, Segment, SegmentType};
use crate::domain::test_time::start;
use crate::domain::window::{NewEntry, Window};

/// Answers all but reads and playlists, which are returned.
fn drain(machine: &mut Publication, now: Instant) -> Vec<Action> {
    let mut asked = Vec::new();
    while let Some(action) = machine.poll(now) {
        match action {
            Action::Put(start) => machine.handle(now, Input::Stored(start.ticket)),
            Action::ReadRemote | Action::PutPlaylist(_) => asked.push(action),
            _ => {}
        }
    }
    asked
}

fn produce(machine: &mut Publication, now: Instant, run: RunId, index: u64) -> Vec<Action> {
    let payload = Payload::File { path: index.to_string().into(), bytes: 1, renditions: 1 };
    let program_time = SystemTime::UNIX_EPOCH;
    let segment =
        Segment { run, index, duration: 2 * S, program_time, after_break: false, payload, header: None };
    machine.handle(now, Input::Produced(segment));
    drain(machine, now)
}

/// Another agent's, by a run older than any that is produced here.
fn foreign(now: Instant) -> MediaPlaylist {
    let mut window = Window::new(3, 2, Msn(900), 0);
    for index in 0..3 {
        let key = plan().layout.segment(RunId::new(0, 9), index, SegmentType::MpegTs);
        window.push(now, NewEntry { key, duration: 2 * S, program_time: None, discontinuity: false });
    }
    window.snapshot()
}

#[test]
fn a_playlist_sent_before_a_stand_back_counts_for_nothing_after_the_next_take_over() {
    let (mut now, run) = (start(), RunId::new(5, 5));
    let mut machine = Publication::new(plan(), 42);
    assert_eq!(produce(&mut machine, now, run, 0), [Action::ReadRemote]);
    machine.handle(now, Input::Remote(Remote::Absent { first: Msn(7), discontinuity_sequence: 0 }));
    assert!(matches!(drain(&mut machine, now)[..], [Action::PutPlaylist(_)]));
    machine.handle(now, Input::PlaylistStored);
    // A look that is not answered: the playlist goes without it, and the answer is another's playlist then.
    now += S;
    assert_eq!(produce(&mut machine, now, run, 1), [Action::ReadRemote]);
    now += 2 * S;
    assert!(matches!(drain(&mut machine, now)[..], [Action::PutPlaylist(_)]), "within the lease");
    let theirs = Remote::Found(foreign(now));
    machine.handle(now, Input::Remote(theirs.clone()));
    assert!(machine.progress().standing_back);
    now += Duration::from_secs(60);
    assert_eq!(produce(&mut machine, now, run, 2), [Action::ReadRemote]);
    machine.handle(now, Input::Remote(theirs));
    assert!(!machine.progress().standing_back, "the other one is silent");

    machine.handle(now, Input::PlaylistStored);
    assert!(machine.sweep.awaits_playlist(), "that was the old playlist");
    assert!(matches!(drain(&mut machine, now)[..], [Action::PutPlaylist(_)]));
    machine.handle(now, Input::PlaylistStored);
    assert!(!machine.sweep.awaits_playlist());
}
