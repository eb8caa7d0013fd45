//! Two agents on one camera.
//!
//! Promised: a newcomer changes nothing, the other's silence or an outage ends in one clean take-over, and what two
//! that begin in the same moment (or are cut off from each other) do to viewers is over soon.

use std::time::{Duration, Instant, SystemTime};

use proptest::prelude::*;

use super::bucket::{Bucket, Fate, read};
use super::{S, plan};
use crate::domain::dice::Dice;
use crate::domain::ids::RunId;
use crate::domain::playlist::MediaPlaylist;
use crate::domain::publication::{Action, Input, Plan, Publication};
use crate::domain::segment::{Payload, Segment};
use crate::domain::test_time::start;

const MS: Duration = Duration::from_millis(1);
/// A watch, another look for the jitter, and an upload.
const SOON: Duration = Duration::from_secs(30);

struct Agent {
    /// `None`: killed.
    machine: Option<Publication>,
    run: RunId,
    runs: Vec<RunId>,
    note: Option<String>,
    index: u64,
    produce_at: Instant,
    pending: Vec<(Instant, Action, Fate)>,
    plan: Plan,
    /// Its calls fail.
    cut_off: bool,
    /// Its playlists do.
    stores_no_playlist: bool,
    /// When it last began to store a playlist, and how many other writes it began in all.
    playlist_at: Option<Instant>,
    writes: u64,
}

struct Rivals {
    began: Instant,
    now: Instant,
    bucket: Bucket,
    agents: [Agent; 2],
    dice: Dice,
    latency_ms: u64,
    /// Reads may give any of these.
    stale: Option<Vec<MediaPlaylist>>,
}

impl Rivals {
    fn new(seed: u64, latency_ms: u64) -> Self {
        let agent = || Agent {
            machine: None,
            run: RunId::new(0, 0),
            runs: vec![],
            note: None,
            index: 0,
            produce_at: start(),
            pending: vec![],
            plan: plan(),
            cut_off: false,
            stores_no_playlist: false,
            playlist_at: None,
            writes: 0,
        };
        let now = start();
        let (bucket, dice) = (Bucket::default(), Dice::new(seed));
        Self { began: now, now, bucket, agents: [agent(), agent()], dice, latency_ms, stale: None }
    }

    /// Its first segment comes a moment later.
    fn boot(&mut self, which: usize, knows_its_runs: bool) {
        let age_ms = u64::try_from((self.now - self.began).as_millis()).unwrap();
        let mut machine = Publication::new(self.agents[which].plan.clone(), self.dice.roll());
        let agent = &mut self.agents[which];
        if knows_its_runs {
            machine.handle(self.now, Input::OwnRuns(agent.runs.clone()));
            agent.note.clone().into_iter().for_each(|note| machine.handle(self.now, Input::Recalled(note)));
        }
        agent.run = RunId::new(age_ms, which as u32);
        agent.runs.push(agent.run);
        agent.index = 0;
        agent.machine = Some(machine);
        agent.produce_at = self.now + MS * (self.dice.roll() % 2000) as u32;
    }

    fn kill(&mut self, which: usize) {
        self.agents[which].machine = None;
        for (at, action, fate) in std::mem::take(&mut self.agents[which].pending) {
            // What left the machine lands.
            if at <= self.now + S {
                self.bucket.take_effect(self.now, &action, fate);
            }
        }
    }

    fn step(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some((at, which)) = (0..2).filter_map(|i| Some((self.next_event(i)?, i))).min() {
            if at > until {
                break;
            }
            self.now = self.now.max(at);
            self.happen(which);
            self.drain(which);
        }
        self.now = until;
    }

    fn next_event(&self, which: usize) -> Option<Instant> {
        let agent = &self.agents[which];
        let machine = agent.machine.as_ref()?;
        let answer = agent.pending.iter().map(|(at, ..)| *at).min();
        [answer, machine.deadline(), Some(agent.produce_at)].into_iter().flatten().min()
    }

    fn happen(&mut self, which: usize) {
        let now = self.now;
        let agent = &mut self.agents[which];
        let Some(machine) = &mut agent.machine else { return };
        if let Some(i) = agent.pending.iter().position(|(at, ..)| *at <= now) {
            let (_, action, fate) = agent.pending.remove(i);
            self.bucket.take_effect(now, &action, fate);
            if let (Action::PutPlaylist(playlist), Some(stale)) = (&action, &mut self.stale) {
                stale.push(playlist.clone());
            }
            let answer = match (&action, &self.stale) {
                (Action::ReadRemote, Some(stale)) if fate.works && !stale.is_empty() => {
                    let old = self.dice.roll() as usize % stale.len();
                    Some(Input::Remote(read(stale.get(old))))
                }
                _ => self.bucket.answer(action, fate),
            };
            answer.into_iter().for_each(|input| machine.handle(now, input));
        }
        if agent.produce_at <= now {
            let path = format!("{}-{}", agent.run, agent.index).into();
            let payload = Payload::File { path, bytes: 1000 };
            let (run, index, program_time) = (agent.run, agent.index, SystemTime::UNIX_EPOCH);
            let segment = Segment { run, index, duration: 2 * S, program_time, after_break: false, payload };
            machine.handle(now, Input::Produced(segment));
            agent.index += 1;
            agent.produce_at = now + 2 * S;
        }
    }

    fn drain(&mut self, which: usize) {
        let agent = &mut self.agents[which];
        let Some(machine) = &mut agent.machine else { return };
        for _ in 0..200 {
            let Some(action) = machine.poll(self.now) else {
                assert!(machine.deadline().is_none_or(|at| at > self.now), "spins: {machine:?}");
                return;
            };
            let writes = matches!(
                action,
                Action::Put { .. } | Action::PutPlaylist(_) | Action::Delete(_) | Action::List
            );
            assert!(!(writes && machine.progress().standing_back), "stands back and does {action:?}");
            if let Action::Remember(note) = action {
                agent.note = Some(note);
                continue;
            }
            if matches!(action, Action::Discard(_)) {
                continue;
            }
            agent.writes += u64::from(writes);
            if matches!(action, Action::PutPlaylist(_)) {
                agent.playlist_at = Some(self.now);
            }
            let delay_ms = self.latency_ms / 2 + self.dice.roll() % (self.latency_ms + 1);
            let is_refused = agent.stores_no_playlist && matches!(action, Action::PutPlaylist(_));
            let works = !agent.cut_off && !is_refused;
            let fate = Fate { delay_ms, works, answers: works, never: false };
            agent.pending.push((self.now + MS * delay_ms as u32, action, fate));
        }
        panic!("never drained");
    }

    fn stands_back(&self, which: usize) -> bool {
        self.agents[which].machine.as_ref().is_some_and(|machine| machine.progress().standing_back)
    }

    fn publishes(&self, which: usize) -> bool {
        // Two segments; a slow store has a look to answer, and a segment.
        let recent = 4 * S + 4 * MS * self.latency_ms as u32;
        self.agents[which].playlist_at.is_some_and(|at| self.now - at <= recent)
    }

    fn assert_publishes_alone(&self, which: usize) {
        let found = (self.publishes(which), self.publishes(1 - which), &self.bucket.breaches);
        assert_eq!(found, (true, false, &vec![]), "published, the other did, breaches");
    }

    /// From the first breach to the last playlist of the one that stands back now.
    fn fight(&self, loser: usize) -> Duration {
        let ended = self.agents[loser].playlist_at.zip(self.bucket.breached);
        ended.map_or(Duration::ZERO, |(at, began)| at.saturating_duration_since(began))
    }

    /// Viewers have forgotten what they saw in a fight.
    fn forgive(&mut self) {
        self.bucket.breaches.clear();
        self.bucket.breached = None;
        let visible = self.bucket.visible.clone();
        let is_listed = |key: &_| visible.iter().any(|p| p.entries.iter().any(|e| e.key == *key));
        self.bucket.seen.retain(|key, _| is_listed(key));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_newcomer_stands_back_and_takes_over_from_the_dead(
        seed in any::<u64>(), latency_ms in 5u64..600, age_ms in 8_000u64..90_000, known in any::<bool>(),
    ) {
        let mut world = Rivals::new(seed, latency_ms);
        world.boot(0, false);
        world.step(MS * age_ms as u32);
        world.boot(1, false);
        world.step(3 * SOON);
        prop_assert!(world.stands_back(1) && !world.stands_back(0));
        prop_assert_eq!(world.agents[1].writes, 0, "a newcomer changes nothing");
        world.assert_publishes_alone(0);
        world.kill(0);
        world.step(SOON);
        world.assert_publishes_alone(1);
        world.boot(0, known);
        world.step(SOON);
        prop_assert!(world.stands_back(0), "its runs are not the newest any more");
        world.assert_publishes_alone(1);
    }

    /// The other does not notice, as no watch is needed and the pause is shorter than its own.
    #[test]
    fn a_killed_owner_that_knows_its_runs_goes_on(
        seed in any::<u64>(), latency_ms in 5u64..300, pause_ms in 0u64..1_000,
    ) {
        let mut world = Rivals::new(seed, latency_ms);
        world.boot(0, false);
        world.step(20 * S);
        world.boot(1, false);
        world.step(SOON);
        world.kill(0);
        world.step(MS * pause_ms as u32);
        world.boot(0, true);
        world.step(4 * S);
        prop_assert!(world.publishes(0), "it waits for nobody");
        world.step(SOON);
        prop_assert!(world.stands_back(1));
        prop_assert_eq!(world.agents[1].writes, 0);
        world.assert_publishes_alone(0);
    }

    /// Short ones are not noticed by the other, long ones end its standing back. Where the owner comes back in the very
    /// moment in which the other takes over, both publish until they look.
    #[test]
    fn an_outage_of_the_owner_ends_in_one_clean_owner(
        seed in any::<u64>(), latency_ms in 5u64..300, outage_ms in 100u64..120_000,
    ) {
        let mut world = Rivals::new(seed, latency_ms);
        world.boot(0, false);
        world.step(20 * S);
        world.boot(1, false);
        world.step(SOON);
        world.agents[0].cut_off = true;
        world.step(MS * outage_ms as u32);
        world.agents[0].cut_off = false;
        world.step(2 * SOON);
        let owner = usize::from(world.stands_back(0));
        prop_assert!(world.stands_back(1 - owner));
        let may_meet = (4_000..25_000).contains(&outage_ms);
        if may_meet {
            prop_assert!(world.fight(1 - owner) <= 8 * S, "{:?} of a fight", world.fight(1 - owner));
            world.forgive();
        }
        world.assert_publishes_alone(owner);
    }

    #[test]
    fn two_that_start_together_are_one_soon(
        seed in any::<u64>(), latency_ms in 5u64..600, apart_ms in 0u64..3_000, old in any::<bool>(),
    ) {
        let mut world = Rivals::new(seed, latency_ms);
        if old {
            world.boot(0, false);
            world.step(20 * S);
            world.kill(0);
            world.step(20 * S);
        }
        world.boot(0, false);
        world.step(MS * apart_ms as u32);
        world.boot(1, false);
        world.step(SOON);
        world.step(SOON);
        let owner = usize::from(world.stands_back(0));
        // Some seconds; where the early looks all miss each other, the next one comes within 38 s.
        prop_assert!(world.fight(1 - owner) <= 45 * S, "{:?} of a fight", world.fight(1 - owner));
        world.forgive();
        world.step(2 * SOON);
        prop_assert!(world.stands_back(1 - owner) && !world.stands_back(owner));
        world.assert_publishes_alone(owner);
    }

    #[test]
    fn own_playlists_read_late_are_nobody_elses(seed in any::<u64>(), latency_ms in 5u64..600, before in any::<bool>()) {
        let mut world = Rivals::new(seed, latency_ms);
        world.stale = Some(vec![]);
        if before {
            // Also those of the one that was taken over from.
            world.boot(1, false);
            world.step(20 * S);
            world.kill(1);
            world.stale = Some(world.bucket.visible.clone().into_iter().collect());
        }
        world.boot(0, false);
        world.step(SOON + SOON);
        world.step(400 * S);
        let progress = world.agents[0].machine.as_ref().unwrap().progress();
        prop_assert_eq!((progress.conflicts, progress.segments_given_up, progress.segments_stood_back), (0, 0, 0));
        world.assert_publishes_alone(0);
    }

    #[test]
    fn whatever_happens_to_two_agents_one_publishes_in_the_end(
        seed in any::<u64>(), latency_ms in 5u64..1_500,
        events in prop::collection::vec((0u8..10, 0usize..2, 0u64..40_000), 1..20),
    ) {
        let mut world = Rivals::new(seed, latency_ms);
        world.boot(0, false);
        for (event, which, wait_ms) in events {
            match event {
                0 | 1 => world.kill(which),
                2..=4 if world.agents[which].machine.is_none() => world.boot(which, event == 2),
                5 | 6 => world.agents[which].cut_off = true,
                _ => world.agents[which].cut_off = false,
            }
            world.step(MS * wait_ms as u32);
        }
        for which in 0..2 {
            world.agents[which].cut_off = false;
            if world.agents[which].machine.is_none() {
                world.boot(which, false);
            }
        }
        world.step(3 * SOON);
        world.forgive();
        world.step(3 * SOON);
        let owner = usize::from(world.stands_back(0));
        prop_assert!(world.stands_back(1 - owner));
        world.assert_publishes_alone(owner);
    }
}

/// The one between stores no playlist, so viewers have what the first one left.
#[test]
fn what_was_sent_is_listed_later_only_if_nobody_swept_it_meanwhile() {
    let mut world = Rivals::new(1, 50);
    world.boot(0, false);
    world.step(20 * S);
    world.agents[0].stores_no_playlist = true;
    world.step(3 * S);
    world.kill(0);
    world.agents[0].stores_no_playlist = false;
    world.agents[1].stores_no_playlist = true;
    world.boot(1, false);
    world.step(300 * S);
    assert!(world.agents[1].writes > 0, "it has taken over");
    world.kill(1);
    world.boot(0, true);
    world.step(SOON);
    world.assert_publishes_alone(0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn agents_of_other_plans_take_over_from_each_other(
        seed in any::<u64>(), latency_ms in 5u64..600, depths in prop::array::uniform2(3usize..30),
        targets in prop::array::uniform2(2u64..5),
        lives in prop::collection::vec((0usize..2, 1u64..60_000, 0u64..40_000, any::<[bool; 3]>()), 1..8),
    ) {
        let mut world = Rivals::new(seed, latency_ms);
        world.bucket.most = 4 * 30;
        for which in 0..2 {
            let plan = &mut world.agents[which].plan;
            (plan.depth, plan.uploads.backlog) = (depths[which], depths[which]);
            plan.target_duration_s = targets[which];
        }
        for (which, life_ms, death_ms, [known, loses, cut_off]) in lives {
            world.boot(which, known);
            world.step(MS * life_ms as u32);
            world.agents[which].stores_no_playlist = loses;
            world.agents[which].cut_off = cut_off;
            world.step(MS * (life_ms % 9_000) as u32);
            world.kill(which);
            world.agents[which].stores_no_playlist = false;
            world.agents[which].cut_off = false;
            world.bucket.floor = world.bucket.floor.max(noted(&world.agents[which].note));
            world.step(MS * death_ms as u32);
        }
        world.boot(0, true);
        world.step(20 * SOON);
        world.assert_publishes_alone(0);
    }
}

fn noted(note: &Option<String>) -> u64 {
    note.as_deref().and_then(|note| note.split('/').next()?.parse().ok()).unwrap_or_default()
}

#[test]
fn the_watch_after_a_reboot_loses_no_segment() {
    let mut world = Rivals::new(1, 50);
    world.boot(0, false);
    world.step(20 * S);
    world.kill(0);
    world.boot(0, false);
    world.step(20 * S);
    let agent = &world.agents[0];
    let progress = agent.machine.as_ref().unwrap().progress();
    assert_eq!((progress.segments_given_up, progress.segments_stood_back, progress.backlog), (0, 0, 0));
    assert_eq!(progress.segments_published, agent.index);
    let first = plan().layout.segment(agent.run, 0);
    assert!(world.bucket.seen.contains_key(&first), "viewers saw the first segment");
    world.assert_publishes_alone(0);
}

#[test]
fn an_undisturbed_owner_looks_twice_a_minute() {
    let mut world = Rivals::new(1, 50);
    world.boot(0, false);
    world.step(60 * S);
    let mut reads = 0;
    for _ in 0..36_000 {
        let before = world.agents[0].pending.iter().filter(|(_, a, _)| *a == Action::ReadRemote).count();
        world.step(100 * MS);
        let after = world.agents[0].pending.iter().filter(|(_, a, _)| *a == Action::ReadRemote).count();
        reads += after.saturating_sub(before);
    }
    assert!(reads <= 130, "{reads} reads in an hour");
}
