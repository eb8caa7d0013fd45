//! Thousands of random scripts of slow, failing, lying and reordering stores.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::domain::playlist::{parse, render};
use crate::domain::test_time::start;

const S: Duration = Duration::from_secs(1);
const DEPTH: usize = 3;

fn plan() -> Plan {
    Plan {
        layout: Layout::new(&"loc".parse().unwrap(), &"cam".parse().unwrap()),
        depth: DEPTH,
        target_duration_s: 2,
        uploads: UploadLimits {
            in_flight: 3,
            backlog: 4,
            backlog_bytes: 1 << 20,
            segment_duration: 2 * S,
            most_pause: 2 * S,
        },
    }
}

/// How the store treats one call.
#[derive(Debug, Clone, Copy)]
struct Fate {
    delay_ms: u64,
    /// The call takes effect.
    works: bool,
    /// The answer says so. `works && !answers`: an answer lost after the object was stored.
    answers: bool,
    never: bool,
}

fn fate() -> impl Strategy<Value = Fate> {
    (0u64..6_000, 0u8..10).prop_map(|(delay, dice)| Fate {
        delay_ms: if dice % 2 == 0 { delay } else { delay / 40 },
        works: dice < 8,
        answers: dice < 6,
        never: dice == 9,
    })
}

/// A store with a viewer before it: checks the invariants at every change that a viewer can see.
struct World {
    now: Instant,
    machine: Publication,
    objects: BTreeSet<ObjectKey>,
    visible: Option<MediaPlaylist>,
    /// Every object that was ever visible: the MSN it had, the longest playlist, and when it left.
    seen: BTreeMap<ObjectKey, Seen>,
    pending: Vec<(Instant, Action, Fate)>,
    fates: Vec<Fate>,
    next_fate: usize,
    run: RunId,
    index: u64,
    runs: u32,
    discarded: HashSet<std::path::PathBuf>,
    produced: u64,
}

#[derive(Debug)]
struct Seen {
    msn: u64,
    duration: Duration,
    longest: Duration,
    left_at: Option<Instant>,
}

impl World {
    fn new(fates: Vec<Fate>) -> Self {
        Self {
            now: start(),
            machine: Publication::new(plan(), 42),
            objects: BTreeSet::new(),
            visible: None,
            seen: BTreeMap::new(),
            pending: Vec::new(),
            fates,
            next_fate: 0,
            run: RunId::new(1, 0),
            index: 0,
            runs: 1,
            discarded: HashSet::new(),
            produced: 0,
        }
    }

    fn fate(&mut self) -> Fate {
        self.next_fate += 1;
        let kind = Fate { delay_ms: 30, works: true, answers: true, never: false };
        if self.fates.is_empty() { kind } else { self.fates[self.next_fate % self.fates.len()] }
    }

    fn produce(&mut self) {
        let path = format!("{}-{}", self.run, self.index).into();
        let segment = Segment {
            run: self.run,
            index: self.index,
            duration: 2 * S,
            program_time: SystemTime::UNIX_EPOCH + Duration::from_secs(2 * self.produced),
            payload: Payload::File { path, bytes: 1000 },
        };
        self.index += 1;
        self.produced += 1;
        self.machine.handle(self.now, Input::Produced(segment));
        self.drain();
    }

    fn new_run(&mut self) {
        self.run = RunId::new(1, self.runs);
        self.runs += 1;
        self.index = 0;
    }

    /// kill -9: all that the machine knew is gone; calls on their way may still land.
    fn crash(&mut self) {
        self.machine = Publication::new(plan(), u64::from(self.runs));
        for (at, action, fate) in std::mem::take(&mut self.pending) {
            // What left the dead agent's machine lands before the next one reads (see `Takeover::Idle`).
            if at <= self.now + S {
                self.take_effect(&action, fate);
            }
        }
        self.new_run();
    }

    fn drain(&mut self) {
        for _ in 0..200 {
            let Some(action) = self.machine.poll(self.now) else {
                let deadline = self.machine.deadline();
                assert!(deadline.is_none_or(|at| at > self.now), "spins: {:?}", self.machine);
                return;
            };
            if let Action::Discard(Payload::File { path, .. }) = &action {
                assert!(self.discarded.insert(path.clone()), "discarded twice");
                continue;
            }
            let playlists =
                self.pending.iter().filter(|(_, a, _)| matches!(a, Action::PutPlaylist(_))).count();
            assert!(
                playlists == 0 || !matches!(action, Action::PutPlaylist(_)),
                "two playlist PUTs under way"
            );
            let fate = self.fate();
            self.pending.push((self.now + Duration::from_millis(fate.delay_ms), action, fate));
        }
        panic!("never drained");
    }

    fn step(&mut self, until: Instant) {
        loop {
            let answer = self.pending.iter().map(|(at, ..)| *at).min();
            let next = [answer, self.machine.deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= until) else { break };
            self.now = next.max(self.now);
            if let Some(i) = self.pending.iter().position(|(at, ..)| *at <= self.now) {
                let (_, action, fate) = self.pending.remove(i);
                self.take_effect(&action, fate);
                self.answer(action, fate);
            }
            self.drain();
        }
        self.now = until;
    }

    fn take_effect(&mut self, action: &Action, fate: Fate) {
        if !fate.works {
            return;
        }
        match action {
            Action::Put { key, .. } => drop(self.objects.insert(key.clone())),
            Action::PutPlaylist(playlist) => self.becomes_visible(playlist),
            Action::Delete(keys) => keys.iter().for_each(|key| self.delete(key)),
            _ => {}
        }
    }

    fn answer(&mut self, action: Action, fate: Fate) {
        let ok = fate.works && fate.answers;
        let failure = if fate.never { Failure::Never } else { Failure::Retry { after: None } };
        let input = match action {
            Action::ReadRemote if ok => Input::Remote(match &self.visible {
                None => Remote::Absent { first: Msn(500) },
                Some(playlist) => Remote::Found(parse(&render(playlist), &plan().layout).unwrap()),
            }),
            Action::ReadRemote => Input::RemoteFailed(failure),
            Action::Put { ticket, .. } if ok => Input::Stored(ticket),
            Action::Put { ticket, .. } => Input::StoreFailed(ticket, failure),
            Action::PutPlaylist(_) if ok => Input::PlaylistStored,
            Action::PutPlaylist(_) => Input::PlaylistFailed(failure),
            Action::Delete(_) if ok => Input::Deleted,
            Action::Delete(_) => Input::DeleteFailed(failure),
            Action::List if ok => Input::Listed(self.objects.iter().cloned().collect()),
            Action::List => Input::ListFailed(failure),
            Action::Discard(_) => return,
        };
        self.machine.handle(self.now, input);
    }

    fn becomes_visible(&mut self, new: &MediaPlaylist) {
        assert!(new.entries.len() <= 20);
        if let Some(old) = &self.visible {
            assert!(new.media_sequence >= old.media_sequence, "media sequence went back");
            assert!(new.discontinuity_sequence >= old.discontinuity_sequence);
            let last = |p: &MediaPlaylist| p.entries.last().map(|e| e.msn);
            assert!(last(new) >= last(old), "live edge went back");
        }
        for (i, entry) in new.entries.iter().enumerate() {
            assert_eq!(entry.msn.0, new.media_sequence + i as u64);
            assert!(self.objects.contains(&entry.key), "names {} which is not stored", entry.key);
            let first =
                Seen { msn: entry.msn.0, duration: entry.duration, longest: Duration::ZERO, left_at: None };
            let seen = self.seen.entry(entry.key.clone()).or_insert(first);
            assert_eq!(seen.msn, entry.msn.0, "{} was renumbered", entry.key);
            assert!(seen.left_at.is_none(), "{} came back", entry.key);
            seen.longest = seen.longest.max(new.duration());
        }
        self.check_numbers(new);
        for (key, seen) in &mut self.seen {
            if seen.left_at.is_none() && !new.entries.iter().any(|e| e.key == *key) {
                seen.left_at = Some(self.now);
            }
        }
        self.visible = Some(new.clone());
    }

    fn check_numbers(&self, new: &MediaPlaylist) {
        for pair in new.entries.windows(2) {
            let path = |e: &Entry| plan().layout.run_of(&e.key).map(|run| (run, e.key.clone()));
            let (Some((run_a, _)), Some((run_b, _))) = (path(&pair[0]), path(&pair[1])) else { continue };
            let index = |e: &Entry| e.key.as_str()[e.key.as_str().len() - 9..][..6].parse::<u64>().unwrap();
            let continuous = run_a == run_b && index(&pair[0]) + 1 == index(&pair[1]);
            assert!(continuous || pair[1].discontinuity, "a break without a mark: {pair:?}");
            let elsewhere = self.seen.iter().find(|(k, s)| s.msn == pair[0].msn.0 && **k != pair[0].key);
            assert!(elsewhere.is_none(), "number {} names two objects", pair[0].msn);
        }
    }

    fn delete(&mut self, key: &ObjectKey) {
        if let Some(seen) = self.seen.get(key) {
            let left = seen.left_at.expect("a visible object was deleted");
            let hold = seen.duration + seen.longest;
            assert!(self.now >= left + hold, "{key} was deleted {:?} too early", left + hold - self.now);
        }
        self.objects.remove(key);
    }

    /// The store becomes well: soon all is published, and nothing is left over.
    fn settle(&mut self) {
        self.fates.clear();
        self.produce();
        self.step(self.now + 400 * S);
        assert!(self.machine.is_drained(), "{:?}", self.machine);
        assert!(self.pending.is_empty());
        let listed: BTreeSet<_> =
            self.visible.iter().flat_map(|p| &p.entries).map(|e| e.key.clone()).collect();
        assert_eq!(self.objects, listed, "orphans, or listed but missing");
        assert_eq!(self.machine.progress().backlog, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_store_breaks_the_invariants(
        fates in prop::collection::vec(fate(), 1..60),
        events in prop::collection::vec((0u8..40, 0u64..5_000), 1..60),
    ) {
        let mut world = World::new(fates);
        for (event, wait_ms) in events {
            match event {
                0 => world.new_run(),
                1 => world.crash(),
                2 => world.index += 1,
                _ => world.produce(),
            }
            world.step(world.now + Duration::from_millis(wait_ms));
        }
        world.settle();
    }
}

#[test]
fn a_calm_store_sees_one_put_and_one_playlist_per_segment() {
    let mut world = World::new(vec![]);
    for _ in 0..20 {
        world.produce();
        world.step(world.now + 2 * S);
    }
    let progress = world.machine.progress();
    assert_eq!((progress.segments_published, progress.segments_given_up), (20, 0));
    assert_eq!(progress.live_edge, Some(Msn(519)));
    // Window, hold (own 2 s + playlist 6 s = 4 segments) and one.
    assert!(world.objects.len() <= DEPTH + 4 + 1, "{}", world.objects.len());
    assert!(world.visible.as_ref().unwrap().entries.iter().all(|e| !e.discontinuity));
}

#[test]
fn a_retired_segment_outlives_its_playlist_by_the_hold() {
    let mut world = World::new(vec![]);
    for _ in 0..4 {
        world.produce();
        world.step(world.now + 2 * S);
    }
    let (gone, left) = world.seen.iter().find_map(|(k, s)| Some((k.clone(), s.left_at?))).unwrap();
    world.step(left + 8 * S - Duration::from_millis(1));
    assert!(world.objects.contains(&gone), "6 s of playlist and its own 2 s are not over");
    world.step(left + 9 * S);
    assert!(!world.objects.contains(&gone));
}

#[test]
fn an_outage_gives_up_the_oldest_and_returns_to_the_live_edge() {
    let mut world = World::new(vec![]);
    (0..3).for_each(|_| world.produce());
    world.step(world.now + 2 * S);
    world.fates = vec![Fate { delay_ms: 10, works: false, answers: false, never: false }];
    for _ in 0..30 {
        world.produce();
        world.step(world.now + 2 * S);
    }
    world.fates.clear();
    let end = world.now;
    while world.machine.progress().backlog > 0 {
        world.step(world.now + Duration::from_millis(100));
        assert!(world.now < end + 4 * S, "not back within two segments");
    }
    let progress = world.machine.progress();
    assert_eq!(progress.segments_given_up, 26);
    world.step(world.now + S);
    let marks = world.visible.as_ref().unwrap().entries.iter().filter(|e| e.discontinuity).count();
    assert_eq!(
        marks + world.visible.as_ref().unwrap().discontinuity_sequence as usize,
        1,
        "one break in all"
    );
}

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

#[test]
fn a_store_that_refuses_playlists_does_not_fill_with_segments() {
    let mut world = World::new(vec![]);
    (0..3).for_each(|_| world.produce());
    world.step(world.now + 2 * S);
    let before = world.objects.len();
    for _ in 0..500 {
        world.machine.handle(world.now, Input::PlaylistFailed(Failure::Never));
        world.pending.retain(|(_, action, _)| !matches!(action, Action::PutPlaylist(_)));
        world.produce();
        world.pending.retain(|(_, action, _)| !matches!(action, Action::PutPlaylist(_)));
        world.step(world.now + 2 * S);
    }
    let under_way = plan().uploads.in_flight;
    assert!(world.objects.len() <= before + DEPTH + under_way, "{} objects", world.objects.len());
}

#[test]
fn what_a_store_refused_to_delete_is_swept_when_it_deletes_again() {
    let mut world = World::new(vec![]);
    for i in 0..15_000u64 {
        let key = plan().layout.segment(RunId::new(7, 7), i);
        world.objects.insert(key.clone());
        world.machine.retired.condemn(key, world.now);
    }
    assert!(world.machine.progress().objects_left > 0);
    world.settle();
}
