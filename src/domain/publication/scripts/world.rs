//! A store that treats each call as a script says, and a viewer before it.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::bucket::{Bucket, Fate, read};
use super::parts::{PARTS, part_of};
use super::{S, plan};
use crate::domain::fmp4::Header;
use crate::domain::ids::RunId;
use crate::domain::key::ObjectKey;
use crate::domain::playlist::MediaPlaylist;
use crate::domain::publication::{Action, Input, Plan, Publication};
use crate::domain::segment::{Form, Part, Payload, Segment, SegmentType};
use crate::domain::test_time::start;
use crate::domain::uploads::Ticket;

/// A store with a viewer before it: checks the invariants at every change that a viewer can see.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) machine: Publication,
    pub(super) bucket: Bucket,
    pub(super) pending: Vec<(Instant, Action, Fate)>,
    pub(super) fates: Vec<Fate>,
    next_fate: usize,
    pub(super) run: RunId,
    pub(super) index: u64,
    runs: u32,
    discarded: HashSet<std::path::PathBuf>,
    produced: u64,
    /// When each playlist PUT began.
    pub(super) playlists_at: Vec<Instant>,
    /// What the machine's memory holds.
    pub(super) note: Option<String>,
    /// All that was ever visible, and how many versions late the next reads are.
    pub(super) history: Vec<MediaPlaylist>,
    pub(super) late_reads: VecDeque<usize>,
    pub(super) takes_no_playlist: bool,
    pub(super) takes_no_init: bool,
    /// The uplink carries parts, but not whole segments beside them.
    pub(super) is_short: bool,
    /// What a whole segment takes there, and a part, if it has no room for parts alone.
    pub(super) whole_ms: u64,
    pub(super) part_ms: u64,
    /// This part of a run is never stored.
    pub(super) lose_part: Option<u64>,
    pub(super) plan: Plan,
    /// Bytes of the next segments.
    pub(super) bytes: u64,
    pub(super) held: u64,
    pub(super) reboots: u64,
    pub(super) clock_ms: i64,
}

impl World {
    pub(super) fn new(fates: Vec<Fate>) -> Self {
        Self {
            now: start(),
            machine: Publication::new(plan(), 42),
            bucket: Bucket::default(),
            pending: Vec::new(),
            fates,
            next_fate: 0,
            run: RunId::new(1, 0),
            index: 0,
            runs: 1,
            discarded: HashSet::new(),
            produced: 0,
            playlists_at: Vec::new(),
            note: None,
            history: Vec::new(),
            late_reads: VecDeque::new(),
            takes_no_playlist: false,
            takes_no_init: false,
            is_short: false,
            whole_ms: 4_000,
            part_ms: 0,
            lose_part: None,
            plan: plan(),
            bytes: 1000,
            held: 0,
            reboots: 0,
            clock_ms: 1 << 40,
        }
    }

    pub(super) fn of_form(fates: Vec<Fate>, form: Form) -> Self {
        let plan = Plan { form, ..plan() };
        Self { machine: Publication::new(plan.clone(), 42), plan, ..Self::new(fates) }
    }

    pub(super) fn of_plan(fates: Vec<Fate>, plan: Plan) -> Self {
        Self { machine: Publication::new(plan.clone(), 42), plan, ..Self::new(fates) }
    }

    pub(super) fn fate(&mut self) -> Fate {
        self.next_fate += 1;
        let kind = Fate { delay_ms: 30, works: true, answers: true, never: false };
        if self.fates.is_empty() { kind } else { self.fates[self.next_fate % self.fates.len()] }
    }

    pub(super) fn produce(&mut self) {
        self.produce_of(2 * S);
    }

    pub(super) fn produce_of(&mut self, duration: Duration) {
        if self.plan.parts.is_some() {
            self.produce_parts(duration);
        }
        let path = format!("{}-{}", self.run, self.index).into();
        let segment = Segment {
            run: self.run,
            index: self.index,
            duration,
            after_break: false,
            header: header_of(self.run, self.plan.form.kind),
            program_time: SystemTime::UNIX_EPOCH
                + Duration::from_millis(self.clock_ms as u64 + 2000 * self.produced),
            payload: Payload::File { path, bytes: self.bytes, renditions: self.plan.form.renditions },
        };
        self.index += 1;
        self.produced += 1;
        self.held += self.bytes;
        self.machine.handle(self.now, Input::Produced(segment));
        self.drain();
    }

    /// One fifth of the segment after the other.
    pub(super) fn produce_parts(&mut self, duration: Duration) {
        for place in 0..PARTS {
            let part = Part {
                run: self.run,
                number: self.index * PARTS + place,
                segment: self.index,
                duration: duration / PARTS as u32,
                independent: place == 0,
                bytes: Bytes::from_static(b"part"),
            };
            self.machine.handle(self.now, Input::PartProduced(part));
            self.drain();
            self.step(self.now + duration / PARTS as u32);
        }
    }

    pub(super) fn new_run(&mut self) {
        self.run = RunId::new(1, self.runs);
        self.runs += 1;
        self.index = 0;
    }

    /// kill -9: all that the machine knew is gone; calls on their way may still land.
    pub(super) fn crash(&mut self) {
        let before = (0..self.runs).map(|run| RunId::new(1, run)).collect();
        let note = self.note.take();
        self.reboot();
        self.machine.handle(self.now, Input::OwnRuns(before));
        if let Some(note) = note.clone() {
            self.machine.handle(self.now, Input::Recalled(note));
        }
        self.note = note;
    }

    /// Killed, and started with another plan: what has no place in it leaves, seen or not.
    pub(super) fn crash_and_follow(&mut self, plan: Plan) {
        self.plan = plan;
        self.crash();
        let next = self.note.as_deref().and_then(|note| note.split('/').next()?.parse().ok());
        self.bucket.floor = self.bucket.floor.max(next.unwrap_or_default());
    }

    /// The same, and nobody knows any more which runs were this machine's, nor what it noted.
    pub(super) fn reboot(&mut self) {
        self.note = None;
        self.held = 0;
        self.reboots += 1;
        self.machine = Publication::new(self.plan.clone(), u64::from(self.runs));
        for (at, action, fate) in std::mem::take(&mut self.pending) {
            // What left the dead agent's machine lands before the next one reads (see `Takeover::Idle`).
            if at <= self.now + S {
                self.take_effect(&action, fate);
            }
        }
        self.new_run();
    }

    pub(super) fn drain(&mut self) {
        for _ in 0..200 {
            let Some(action) = self.machine.poll(self.now) else {
                let deadline = self.machine.deadline();
                assert!(deadline.is_none_or(|at| at > self.now), "spins: {:?}", self.machine);
                return;
            };
            let gone = match &action {
                Action::Show(start) => Some(&start.payload),
                Action::Discard(payload) => Some(payload),
                _ => None,
            };
            if let Some(Payload::File { path, bytes, .. }) = gone {
                self.held = self.held.saturating_sub(*bytes);
                assert!(self.discarded.insert(path.clone()), "discarded twice");
                continue;
            }
            if let Action::Remember(note) = action {
                self.note = Some(note);
                continue;
            }
            if let Action::Drop(ticket) | Action::Yield(ticket) = action {
                self.drop_upload(ticket);
                continue;
            }
            let playlists =
                self.pending.iter().filter(|(_, a, _)| matches!(a, Action::PutPlaylist(_))).count();
            assert!(
                playlists == 0 || !matches!(action, Action::PutPlaylist(_)),
                "two playlist PUTs under way"
            );
            if matches!(action, Action::PutPlaylist(_)) {
                self.playlists_at.push(self.now);
            }
            let is_refused = match &action {
                Action::PutPlaylist(_) => self.takes_no_playlist,
                Action::PutInit(_) => self.takes_no_init,
                Action::PutPart(start) => self
                    .lose_part
                    .is_some_and(|number| start.key.file_name().ends_with(&format!("_{number:06}.m4s"))),
                _ => false,
            };
            let mut fate = self.fate();
            fate.works &= !is_refused;
            fate.delay_ms += self.takes_longer_ms(&action);
            self.pending.push((self.now + Duration::from_millis(fate.delay_ms), action, fate));
        }
        panic!("never drained");
    }

    fn takes_longer_ms(&self, action: &Action) -> u64 {
        let is_whole =
            |action: &Action| matches!(action, Action::Put(start) if start.key.in_parts().is_some());
        match action {
            _ if !self.is_short => 0,
            Action::Put(_) if is_whole(action) => self.whole_ms,
            Action::PutPart(_) if self.pending.iter().any(|(_, action, _)| is_whole(action)) => 900,
            Action::PutPart(_) => self.part_ms,
            _ => 0,
        }
    }

    /// Its caller does not wait any more; it may land all the same, now or never.
    fn drop_upload(&mut self, dropped: Ticket) {
        let is_it = |action: &Action| matches!(action, Action::Put(start) if start.ticket == dropped);
        let at = self.pending.iter().position(|(_, action, _)| is_it(action)).expect("it is under way");
        let (_, action, fate) = self.pending.remove(at);
        self.take_effect(&action, fate);
        self.answer(action, Fate { answers: false, never: false, ..fate });
    }

    pub(super) fn step(&mut self, until: Instant) {
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
        self.bucket.take_effect(self.now, action, fate);
        assert!(self.bucket.breaches.is_empty(), "{:?}", self.bucket.breaches);
        let visible = self.bucket.visible.iter().filter(|new| self.history.last() != Some(new));
        self.history.extend(visible.cloned().collect::<Vec<_>>());
    }

    fn answer(&mut self, action: Action, fate: Fate) {
        if action == Action::ReadRemote
            && fate.works
            && fate.answers
            && let Some(late) = self.late_reads.pop_front()
        {
            let old = self.history.len().checked_sub(1 + late).and_then(|at| self.history.get(at));
            return self.machine.handle(self.now, Input::Remote(read(old)));
        }
        if let Some(input) = self.bucket.answer(action, fate) {
            self.machine.handle(self.now, input);
        }
    }

    /// The store becomes well: soon all is published, and nothing is left over.
    pub(super) fn settle(&mut self) {
        self.settle_in(400 * S);
    }

    pub(super) fn settle_in(&mut self, time: Duration) {
        self.fates.clear();
        self.produce_of(Duration::from_secs(self.plan.target_duration_s.min(2)));
        self.step(self.now + time);
        if self.machine.is_thin() {
            // Of another type than before: a window of them takes its place.
            for _ in 0..20 {
                self.produce_of(Duration::from_secs(self.plan.target_duration_s.min(2)));
                self.step(self.now + 2 * S);
            }
            self.step(self.now + time);
        }
        assert!(self.machine.is_drained(), "{:?}", self.machine);
        assert!(self.pending.is_empty());
        let listed = self.bucket.visible.iter().flat_map(|p| &p.entries).map(|e| e.key.clone());
        let listed = listed.flat_map(|key| [key.init(), Some(key)]).flatten();
        let listed: BTreeSet<_> = listed.flat_map(|key| key.renditions().collect::<Vec<_>>()).collect();
        // Parts stay as long as their segment, also if they are not listed any more.
        let is_listed_part = |key: &&ObjectKey| {
            let of = |form| part_of(key, form).is_some_and(|segment| listed.contains(&segment));
            of(SegmentType::Fmp4) || of(SegmentType::Parted)
        };
        let objects: BTreeSet<_> =
            self.bucket.objects.iter().filter(|key| !is_listed_part(key)).cloned().collect();
        let is_gap = |key: &ObjectKey| {
            self.plan.form.kind == SegmentType::Fmp4 && key.form().kind == SegmentType::Parted
        };
        let listed: BTreeSet<_> = listed.iter().filter(|key| !is_gap(key)).cloned().collect();
        assert_eq!(objects, listed, "orphans, or listed but missing");
        assert_eq!((self.machine.progress().backlog, self.held), (0, 0), "segments, and bytes in the spool");
    }
}

/// Each run has another one.
pub(super) fn header_of(run: RunId, kind: SegmentType) -> Option<Arc<Header>> {
    kind.has_init().then(|| Arc::new(Header::of_tests(&run.to_string())))
}
