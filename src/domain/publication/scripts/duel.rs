//! Two agents before one store, and a viewer.

use std::time::{Duration, Instant, SystemTime};

use super::bucket::{Bucket, Fate, read};
use super::world::header_of;
use super::{S, plan};
use crate::domain::dice::Dice;
use crate::domain::ids::RunId;
use crate::domain::playlist::MediaPlaylist;
use crate::domain::publication::{Action, Input, Plan, Publication};
use crate::domain::segment::{Form, Payload, Segment};
use crate::domain::test_time::start;

pub(super) const MS: Duration = Duration::from_millis(1);

pub(super) struct Agent {
    /// `None`: killed.
    pub(super) machine: Option<Publication>,
    pub(super) run: RunId,
    pub(super) runs: Vec<RunId>,
    pub(super) note: Option<String>,
    pub(super) index: u64,
    pub(super) produce_at: Instant,
    pub(super) pending: Vec<(Instant, Action, Fate)>,
    pub(super) plan: Plan,
    /// Its calls fail.
    pub(super) cut_off: bool,
    /// Its playlists do.
    pub(super) stores_no_playlist: bool,
    /// When it last began to store a playlist, and how many other writes it began in all.
    pub(super) playlist_at: Option<Instant>,
    pub(super) writes: u64,
}

pub(super) struct Rivals {
    pub(super) began: Instant,
    pub(super) now: Instant,
    pub(super) bucket: Bucket,
    pub(super) agents: [Agent; 2],
    pub(super) dice: Dice,
    pub(super) latency_ms: u64,
    /// Reads may give any of these.
    pub(super) stale: Option<Vec<MediaPlaylist>>,
}

impl Rivals {
    pub(super) fn new(seed: u64, latency_ms: u64) -> Self {
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

    pub(super) fn of_forms(seed: u64, latency_ms: u64, forms: [Form; 2]) -> Self {
        let mut rivals = Self::new(seed, latency_ms);
        rivals.agents.iter_mut().zip(forms).for_each(|(agent, form)| agent.plan.form = form);
        rivals
    }

    /// Its first segment comes a moment later.
    pub(super) fn boot(&mut self, which: usize, knows_its_runs: bool) {
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

    pub(super) fn kill(&mut self, which: usize) {
        self.agents[which].machine = None;
        for (at, action, fate) in std::mem::take(&mut self.agents[which].pending) {
            // What left the machine lands.
            if at <= self.now + S {
                self.bucket.take_effect(self.now, &action, fate);
            }
        }
    }

    /// Nobody wants it from this one any more.
    pub(super) fn end(&mut self, which: usize) {
        let agent = &mut self.agents[which];
        agent.produce_at = self.now + 100_000 * S;
        agent.machine.iter_mut().for_each(|machine| machine.handle(self.now, Input::End));
        self.drain(which);
    }

    pub(super) fn step(&mut self, time: Duration) {
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

    pub(super) fn next_event(&self, which: usize) -> Option<Instant> {
        let agent = &self.agents[which];
        let machine = agent.machine.as_ref()?;
        let answer = agent.pending.iter().map(|(at, ..)| *at).min();
        [answer, machine.deadline(), Some(agent.produce_at)].into_iter().flatten().min()
    }

    pub(super) fn happen(&mut self, which: usize) {
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
            let payload = Payload::File { path, bytes: 1000, renditions: agent.plan.form.renditions };
            let (run, index, program_time) = (agent.run, agent.index, SystemTime::UNIX_EPOCH);
            let header = header_of(run, agent.plan.form.kind);
            let segment =
                Segment { run, index, duration: 2 * S, program_time, after_break: false, header, payload };
            machine.handle(now, Input::Produced(segment));
            agent.index += 1;
            agent.produce_at = now + 2 * S;
        }
    }

    pub(super) fn drain(&mut self, which: usize) {
        let agent = &mut self.agents[which];
        let Some(machine) = &mut agent.machine else { return };
        for _ in 0..200 {
            let Some(action) = machine.poll(self.now) else {
                assert!(machine.deadline().is_none_or(|at| at > self.now), "spins: {machine:?}");
                return;
            };
            let writes = matches!(
                action,
                Action::Put(_)
                    | Action::PutInit(_)
                    | Action::PutPlaylist(_)
                    | Action::Delete(_)
                    | Action::List
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

    pub(super) fn stands_back(&self, which: usize) -> bool {
        self.agents[which].machine.as_ref().is_some_and(|machine| machine.progress().standing_back)
    }

    pub(super) fn publishes(&self, which: usize) -> bool {
        // Two segments; a slow store has a look to answer, and a segment.
        let recent = 4 * S + 4 * MS * self.latency_ms as u32;
        self.agents[which].playlist_at.is_some_and(|at| self.now - at <= recent)
    }

    pub(super) fn assert_publishes_alone(&self, which: usize) {
        let found = (self.publishes(which), self.publishes(1 - which), &self.bucket.breaches);
        assert_eq!(found, (true, false, &vec![]), "published, the other did, breaches");
    }

    /// From the first breach to the last playlist of the one that stands back now.
    pub(super) fn fight(&self, loser: usize) -> Duration {
        let ended = self.agents[loser].playlist_at.zip(self.bucket.breached);
        ended.map_or(Duration::ZERO, |(at, began)| at.saturating_duration_since(began))
    }

    /// Viewers have forgotten what they saw in a fight.
    pub(super) fn forgive(&mut self) {
        self.bucket.breaches.clear();
        self.bucket.breached = None;
        let visible = self.bucket.visible.clone();
        let is_listed = |key: &_| visible.iter().any(|p| p.entries.iter().any(|e| e.key == *key));
        self.bucket.seen.retain(|key, _| is_listed(key));
    }
}
