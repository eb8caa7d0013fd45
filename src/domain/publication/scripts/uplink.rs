//! An uplink that all calls share.

use std::time::{Duration, Instant, SystemTime};

use super::bucket::Fate;
use super::world::World;
use super::{S, plan};
use crate::domain::dice::Dice;
use crate::domain::gate::Failure;
use crate::domain::ids::{Msn, RunId};
use crate::domain::publication::{Action, Input, Plan, Progress, Publication, Remote};
use crate::domain::segment::{Payload, Segment};
use crate::domain::uploads::UploadLimits;

const MEAN_BYTES: u64 = 100_000;
const SEGMENT: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(20);
/// Of a call that is no segment.
const SMALL_BYTES: f64 = 1_000.0;

/// A camera before an uplink: a store that merely answers late would not show what happens when the uplink is too
/// slow for the stream.
struct Link {
    machine: Publication,
    now: Instant,
    bytes_per_s: f64,
    /// Nothing passes before.
    hangs_until: Instant,
    /// Connections that were under way in the hang stay dead.
    under_way: Vec<Call>,
    /// What the kernel still holds of calls that were given up: it goes on.
    leftovers: Vec<f64>,
    /// How much that can be.
    socket_buffer: f64,
    sizes: Dice,
    /// By how much a segment may be larger or smaller.
    spread: f64,
    produced: u64,
    produced_bytes: u64,
    /// Of playlists and questions: they share the uplink.
    small_bytes: f64,
    last_news: Instant,
    longest_silence: Duration,
    /// Of a segment, when a playlist shows it first: since it was produced.
    oldest: Duration,
    dropped: u64,
}

struct Call {
    action: Action,
    left: f64,
    until: Instant,
    dead: bool,
}

impl Call {
    /// Bytes of a segment that have passed already.
    fn sent(&self) -> Option<f64> {
        let Action::Put(start) = &self.action else { return None };
        Some(start.payload.bytes() as f64 - self.left)
    }
}

impl Link {
    fn new(keep: usize, of_bitrate: f64, spread: f64) -> Self {
        let now = World::new(vec![]).now;
        Self {
            machine: Publication::new(plan_for(keep), 42),
            now,
            bytes_per_s: of_bitrate * MEAN_BYTES as f64 / SEGMENT.as_secs_f64(),
            hangs_until: now,
            under_way: vec![],
            leftovers: vec![],
            socket_buffer: 0.0,
            sizes: Dice::new(7),
            spread,
            produced: 0,
            produced_bytes: 0,
            small_bytes: 0.0,
            last_news: now,
            longest_silence: Duration::ZERO,
            oldest: Duration::ZERO,
            dropped: 0,
        }
    }

    fn run(&mut self, segments: u64) -> Progress {
        for step in 0..segments * 100 {
            self.now += STEP;
            if step % 100 == 0 {
                self.produce();
            }
            self.pass();
            self.drain();
        }
        self.longest_silence = self.longest_silence.max(self.now - self.last_news);
        self.machine.progress()
    }

    fn produce(&mut self) {
        let of_mean = 1.0 + self.spread * (2.0 * self.sizes.unit() - 1.0);
        let bytes = (MEAN_BYTES as f64 * of_mean) as u64;
        let index = self.produced;
        let payload = Payload::File { path: index.to_string().into(), bytes, renditions: 1 };
        // When it was produced, told by its stamp.
        let program_time = SystemTime::UNIX_EPOCH + SEGMENT * u32::try_from(index).unwrap();
        let segment = Segment {
            run: RunId::new(1, 0),
            index,
            duration: SEGMENT,
            program_time,
            after_break: false,
            header: None,
            payload,
        };
        self.produced += 1;
        self.produced_bytes += bytes;
        self.machine.handle(self.now, Input::Produced(segment));
    }

    /// One step's bytes pass.
    fn pass(&mut self) {
        let hangs = self.now < self.hangs_until;
        self.under_way.iter_mut().for_each(|call| call.dead |= hangs);
        let share = self.bytes_per_s * STEP.as_secs_f64();
        let alive = self.under_way.iter().filter(|call| !call.dead).count();
        let share = share / (alive + self.leftovers.len()).max(1) as f64;
        self.leftovers.iter_mut().for_each(|left| *left -= share);
        self.leftovers.retain(|left| *left > 0.0);
        self.under_way.iter_mut().filter(|call| !call.dead).for_each(|call| call.left -= share);
        let done: Vec<_> = self.under_way.extract_if(.., |call| call.left <= 0.0).collect();
        done.into_iter().for_each(|call| self.answer(call.action, true));
        let now = self.now;
        let late: Vec<_> = self.under_way.extract_if(.., |call| now >= call.until).collect();
        late.into_iter().for_each(|call| self.give_up(call));
    }

    fn give_up(&mut self, call: Call) {
        self.leftovers.push(if call.dead { 0.0 } else { call.left.min(self.socket_buffer) });
        self.answer(call.action, false);
    }

    fn answer(&mut self, action: Action, ok: bool) {
        let failure = Failure::Retry { after: None };
        let input = match action {
            Action::PutPart(_) => unreachable!("no parts are made here"),
            Action::Put(start) if ok => Input::Stored(start.ticket),
            Action::Put(start) => Input::StoreFailed(start.ticket, failure),
            Action::PutInit(start) if ok => Input::Stored(start.ticket),
            Action::PutInit(start) => Input::StoreFailed(start.ticket, failure),
            Action::Ask => Input::Answered(ok),
            Action::PutPlaylist(playlist) if ok => {
                self.longest_silence = self.longest_silence.max(self.now - self.last_news);
                self.last_news = self.now;
                let edge = playlist.entries.last().and_then(|entry| entry.program_time).unwrap();
                let produced = edge.duration_since(SystemTime::UNIX_EPOCH).unwrap();
                let begun = SEGMENT * u32::try_from(self.produced - 1).unwrap();
                self.oldest = self.oldest.max(begun - produced);
                Input::PlaylistStored
            }
            Action::PutPlaylist(_) => Input::PlaylistFailed(failure),
            Action::ReadRemote if ok => {
                Input::Remote(Remote::Absent { first: Msn(1), discontinuity_sequence: 0 })
            }
            Action::ReadRemote => Input::RemoteFailed(failure),
            Action::Delete(_) if ok => Input::Deleted,
            Action::Delete(_) => Input::DeleteFailed(failure),
            Action::List if ok => Input::Listed(vec![]),
            Action::List => Input::ListFailed(failure),
            Action::Show(_)
            | Action::Discard(_)
            | Action::Drop(_)
            | Action::Yield(_)
            | Action::Remember(_) => return,
        };
        self.machine.handle(self.now, input);
    }

    fn drain(&mut self) {
        while let Some(action) = self.machine.poll(self.now) {
            let (left, limit) = match &action {
                Action::Discard(_) | Action::Remember(_) => continue,
                Action::Drop(ticket) => {
                    self.dropped += 1;
                    let is_it =
                        |call: &Call| matches!(&call.action, Action::Put(start) if start.ticket == *ticket);
                    let at = self.under_way.iter().position(is_it).expect("it is under way");
                    let call = self.under_way.remove(at);
                    self.give_up(call);
                    continue;
                }
                Action::Put(start) => (start.payload.bytes() as f64, 3600 * S),
                _ => {
                    self.small_bytes += SMALL_BYTES;
                    (SMALL_BYTES, plan_for(3).uploads.attempt)
                }
            };
            self.under_way.push(Call { action, left, until: self.now + limit, dead: false });
        }
    }
}

/// As `camera::supervisor` plans it.
fn plan_for(keep: usize) -> Plan {
    let attempt = 10 * S;
    let uploads = UploadLimits {
        in_flight: 3.min(keep - 1),
        backlog: keep,
        backlog_bytes: 32 << 20,
        attempt,
        ..plan().uploads
    };
    Plan { depth: keep, uploads, ..plan() }
}

#[test]
fn an_uplink_too_slow_for_the_stream_still_carries_what_it_can() {
    for keep in [3, 5, 10] {
        for of_bitrate in [1.2, 0.95, 0.8, 0.5, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05] {
            for (spread, socket_buffer) in [(0.0, 0.0), (0.3, 0.0), (0.3, MEAN_BYTES as f64)] {
                let mut link = Link::new(keep, of_bitrate, spread);
                link.socket_buffer = socket_buffer;
                let progress = link.run(450);
                let of_bitrate = f64::min(of_bitrate, 1.0);
                let what = format!(
                    "window {keep}, uplink {of_bitrate}, sizes ±{spread}, buffer {socket_buffer}: {progress:?}"
                );
                let going: f64 = link.under_way.iter().filter_map(Call::sent).sum();
                let room = link.produced_bytes as f64 * of_bitrate - link.small_bytes - going;
                let part = progress.bytes_published as f64 / room;
                assert!(part > 0.85, "{part:.2} of what it could carry: {what}");
                assert!(
                    link.longest_silence < (5 * SEGMENT).div_f64(of_bitrate),
                    "{:?}: {what}",
                    link.longest_silence
                );
                // So many may go side by side, at the start or for a trial.
                let upload = SEGMENT.mul_f64((1.0 + spread) / of_bitrate);
                let oldest = SEGMENT * u32::try_from(keep).unwrap() + 3 * upload;
                assert!(link.oldest <= oldest, "{:?} old in the playlist: {what}", link.oldest);
                let Some(shortage) = progress.uplink else {
                    assert!(of_bitrate > 0.9, "{what}");
                    continue;
                };
                let told = f64::from(shortage.carries_kbps) / (link.bytes_per_s * 8.0 / 1000.0);
                assert!((0.8..1.2).contains(&told), "{told:.2} of the truth: {what}");
                let needs = f64::from(shortage.needs_kbps) / 400.0;
                assert!((0.8..1.2).contains(&needs) && shortage.carries_kbps < shortage.needs_kbps, "{what}");
            }
        }
    }
}

#[test]
fn an_uplink_that_was_too_slow_and_is_not_any_more_is_no_shortage() {
    let mut link = Link::new(5, 0.1, 0.3);
    assert!(link.run(100).uplink.is_some());
    link.bytes_per_s *= 30.0;
    let settled = link.run(30);
    assert_eq!(settled.uplink, None);
    assert_eq!(link.run(100).segments_given_up, settled.segments_given_up);
}

/// What was under way in a hang never ends; new connections work once it is over.
#[test]
fn a_hang_is_noticed_soon_however_long_it_was() {
    for of_bitrate in [5.0, 0.3, 0.1] {
        for hang_s in [5, 30, 60, 300] {
            let mut link = Link::new(5, of_bitrate, 0.0);
            link.run(60);
            link.hangs_until = link.now + hang_s * S;
            link.run(u64::from(hang_s) / 2);
            let end = link.now;
            let stored = link.machine.progress().segments_published;
            while link.machine.progress().segments_published == stored {
                link.run(1);
            }
            // What was measured before the hang may give the first upload of it as long as two take.
            let alone = SEGMENT.div_f64(of_bitrate.min(1.0));
            let most = 2 * alone + 20 * S + if hang_s > 100 { 60 * S } else { 2 * alone };
            assert!(link.now - end < most, "{:?} after {hang_s} s at {of_bitrate}", link.now - end);
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
