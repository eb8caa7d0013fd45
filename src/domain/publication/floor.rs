//! How far this machine's playlists went. Some stores and caches answer a read with what lay there a moment ago, and
//! numbers must not be given twice: a remote playlist that ends below the floor is not the last one.
//!
//! A running agent knows the floor by itself; to the next one it comes as a note, which whoever drives the publication
//! keeps for it. What is *sent* counts: viewers may see it though its answer is lost, or its sender dies. So the note
//! has what the store did not confirm yet, too: the next agent goes on behind it, whether it was stored or not. And it
//! has how long a playlist may have been: an earlier agent's plan may have been a larger one. And by what other name a run
//! went on, as whoever remembers this machine's runs does not know it.

use std::time::{Duration, Instant};

use super::sight::{breaks, next_msn};
use super::types::Remote;
use crate::domain::ids::{Msn, RunId};
use crate::domain::key::Layout;
use crate::domain::playlist::{MOST_COUNTED, MediaPlaylist, parse, render};
use crate::domain::window::{Entry, Window};

/// No key has it.
const LINE_END: &str = "|";
const NUMBERS: usize = 5;
/// The largest plan that can be configured.
const MOST_DEPTH: usize = 100;
const MOST_TARGET_S: u64 = 60;
const MOST_LONG_S: u64 = 4 * MOST_DEPTH as u64 * MOST_TARGET_S;
/// Whoever keeps the note has this much room for it.
pub const MOST_NOTED: usize = 4_000;
/// A late answer gets better by waiting, and then the window goes on without a gap.
const AGAIN: Duration = Duration::from_secs(1);
/// Less was read than the store confirmed: it certainly has more.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The last playlist was sent, but perhaps never stored; or somebody emptied the bucket.
const PATIENCE_IF_LOST: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Numbers {
    /// Behind the last one that was sent.
    next: u64,
    /// All discontinuities before that one.
    breaks: u64,
    /// `next` of the last playlist that the store confirmed.
    confirmed: u64,
    /// Where the last one that was sent began.
    first: u64,
}

#[derive(Debug, Default)]
pub(super) struct Floor {
    numbers: Option<Numbers>,
    /// The end of the last playlist that was sent, from the last confirmed number on.
    tail: Option<MediaPlaylist>,
    doubt: Option<Doubt>,
    /// Where the last one without an entry that was sent ended, and whether for ever: it may be there though nobody said so.
    sent_empty: Option<(Msn, bool)>,
    /// The newest other name of one of this machine's runs.
    other_name: Option<RunId>,
    /// The longest playlist that anybody may have stored.
    longest: Duration,
    /// So far as this machine's agents did, their note told.
    is_noted: bool,
}

/// What was read is below the floor.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    since: Instant,
    again_at: Instant,
}

impl Floor {
    /// What an earlier agent noted of the playlist of `layout`. What can't be read is no note.
    ///
    /// Returns the other name of a run of this machine.
    pub(super) fn recall(&mut self, layout: &Layout, note: &str) -> Option<RunId> {
        let mut words = note.splitn(3, ' ');
        let (numbers, noted) = (words.next()?, words.next()?);
        let fields: Vec<_> = numbers.split('/').collect();
        let (numbers, other_name) = fields.split_at_checked(NUMBERS)?;
        let numbers: Option<Vec<u64>> = numbers.iter().map(|n| n.parse().ok()).collect();
        let other_name = other_name.iter().map(|name| name.parse().ok()).collect::<Option<Vec<RunId>>>()?;
        if let Some(&[next, breaks, confirmed, first, longest_s]) = numbers.as_deref()
            && other_name.len() <= 1
            && noted == layout.playlist().as_str()
            && next.max(breaks) <= MOST_COUNTED
            && confirmed.max(first) <= next
        {
            self.raise(Numbers { next, breaks, confirmed, first });
            self.may_be_named(Duration::from_secs(longest_s.min(MOST_LONG_S)));
            self.is_noted = true;
            self.tail = words.next().and_then(|tail| parse(&tail.replace(LINE_END, "\n"), layout).ok());
            self.other_name = other_name.first().copied();
        }
        self.other_name
    }

    /// One line.
    pub(super) fn note(&self, layout: &Layout) -> Option<String> {
        let Numbers { next, breaks, confirmed, first } = self.numbers?;
        let longest_s = self.longest.as_secs();
        let other_name = self.other_name.map(|run| format!("/{run}")).unwrap_or_default();
        let playlist = layout.playlist();
        let mut note = format!("{next}/{breaks}/{confirmed}/{first}/{longest_s}{other_name} {playlist}");
        let tail = self.tail.as_ref().map(|tail| format!(" {}", render(tail).replace('\n', LINE_END)));
        // Without it numbers are skipped; a note that is not kept would let them be given twice.
        note.extend(tail.filter(|tail| note.len() + tail.len() <= MOST_NOTED));
        Some(note)
    }

    /// Somebody may have stored a playlist that is as long.
    pub(super) fn may_be_named(&mut self, duration: Duration) {
        self.longest = self.longest.max(duration);
    }

    /// Whoever made it may follow another plan.
    pub(super) fn saw(&mut self, playlist: &MediaPlaylist) {
        let target = playlist.target_duration_s.min(MOST_TARGET_S);
        self.may_be_named(longest(playlist.entries.len().min(MOST_DEPTH), target));
    }

    pub(super) fn longest_playlist(&self) -> Duration {
        self.longest
    }

    pub(super) fn sent(&mut self, playlist: &MediaPlaylist) {
        if playlist.entries.is_empty() {
            self.sent_empty = Some((next_msn(playlist), playlist.ended));
        }
        self.raise(Numbers { confirmed: 0, ..numbers(playlist) });
        self.tail = self.numbers.map(|numbers| behind(playlist, numbers.confirmed));
    }

    /// Its very number: another agent's empty one tells of other segments.
    pub(super) fn sent_it_empty(&self, playlist: &MediaPlaylist) -> bool {
        self.sent_empty == Some((next_msn(playlist), playlist.ended))
    }

    /// What was sent last was stored.
    pub(super) fn confirmed(&mut self) {
        self.tail = None;
        if let Some(numbers) = &mut self.numbers {
            numbers.confirmed = numbers.next;
        }
    }

    /// Another agent publishes: what it does not know of, it may delete. `other_name`: as what the run goes on, should it.
    pub(super) fn stand_back(&mut self, other_name: Option<RunId>) {
        self.tail = None;
        self.other_name = other_name.or(self.other_name);
    }

    fn raise(&mut self, new: Numbers) {
        let old = self.numbers.unwrap_or(new);
        self.numbers = Some(Numbers {
            next: old.next.max(new.next),
            breaks: old.breaks.max(new.breaks),
            confirmed: old.confirmed.max(new.confirmed),
            first: old.first.max(new.first),
        });
    }

    /// What the store has for certain. `is_ours`: this machine's agent made it.
    pub(super) fn read(&mut self, playlist: &MediaPlaylist, is_ours: bool) {
        self.raise(numbers(playlist));
        // Of one's own plan more is known than that it may be any of so many entries.
        if !is_ours || !self.is_noted {
            self.saw(playlist);
        }
    }

    /// The last number that was sent.
    pub(super) fn last(&self) -> Option<Msn> {
        self.numbers.and_then(|numbers| numbers.next.checked_sub(1)).map(Msn)
    }

    /// Behind the last number that the store has for certain.
    pub(super) fn known(&self) -> Msn {
        Msn(self.numbers.map_or(0, |numbers| numbers.confirmed))
    }

    /// Whether this should be read again, at [`Self::again_at`], before anything is made of it.
    pub(super) fn doubts(&mut self, now: Instant, remote: &Remote) -> bool {
        let patience = match (self.numbers, remote) {
            (Some(_), Remote::Found(playlist)) if self.joined(playlist).is_some() => Duration::ZERO,
            (Some(floor), Remote::Found(playlist)) if next_msn(playlist).0 < floor.confirmed => PATIENCE,
            (Some(floor), Remote::Found(playlist)) if next_msn(playlist).0 < floor.next => PATIENCE_IF_LOST,
            // It ends where it should, and began later: what was taken out of it, as by its end, is not seen yet.
            (Some(floor), Remote::Found(playlist)) if playlist.media_sequence < floor.first => {
                if self.tail.is_none() { PATIENCE } else { PATIENCE_IF_LOST }
            }
            (Some(_), Remote::Absent { .. }) => PATIENCE_IF_LOST,
            _ => Duration::ZERO,
        };
        let since = self.doubt.map_or(now, |doubt| doubt.since);
        let doubts = now < since + patience;
        self.doubt = doubts.then_some(Doubt { since, again_at: now + AGAIN });
        doubts
    }

    pub(super) fn again_at(&self) -> Option<Instant> {
        self.doubt.map(|doubt| doubt.again_at)
    }

    /// What to go on from. Below the floor, the newest playlist was not seen: what was seen can't keep its place.
    pub(super) fn lift(&self, remote: Remote) -> Remote {
        let Some(floor) = self.numbers else { return remote };
        let lifted = |next: u64, breaks: u64| Remote::Damaged {
            next: Msn(next.max(floor.next)),
            discontinuity_sequence: breaks.max(floor.breaks),
        };
        match remote {
            Remote::Found(playlist) if next_msn(&playlist).0 >= floor.next => {
                let is_late = playlist.media_sequence < floor.first;
                Remote::Found(if is_late { behind(&playlist, floor.first) } else { playlist })
            }
            Remote::Found(playlist) => {
                self.joined(&playlist).map_or_else(|| lifted(floor.next, breaks(&playlist)), Remote::Found)
            }
            Remote::Absent { .. } => lifted(floor.next, floor.breaks),
            Remote::Damaged { next, discontinuity_sequence } => lifted(next.0, discontinuity_sequence),
        }
    }

    /// `remote` with what was sent behind it, if the two belong together.
    fn joined(&self, remote: &MediaPlaylist) -> Option<MediaPlaylist> {
        let (floor, tail) = (self.numbers?, self.tail.as_ref()?);
        let next = next_msn(remote);
        let same = |entry: &&Entry| {
            let number = entry.msn;
            remote.entries.iter().find(|old| old.msn == number).is_none_or(|old| old.key == entry.key)
        };
        let follows = (tail.media_sequence..floor.next).contains(&next.0)
            && next_msn(tail).0 == floor.next
            && tail.entries.iter().all(|entry| same(&entry));
        let mut joined = remote.clone();
        joined.entries.extend(tail.entries.iter().filter(|entry| entry.msn >= next).cloned());
        (follows && breaks(&joined) == floor.breaks).then(|| behind(&joined, floor.first))
    }
}

/// The longest playlist of a plan: a duration that rounds to the target duration is up to half a second more.
pub(super) fn longest(depth: usize, target_duration_s: u64) -> Duration {
    (Duration::from_secs(target_duration_s) + Duration::from_millis(500))
        * u32::try_from(Window::most(depth)).unwrap_or(u32::MAX)
}

fn numbers(playlist: &MediaPlaylist) -> Numbers {
    let next = next_msn(playlist).0;
    Numbers { next, breaks: breaks(playlist), confirmed: next, first: playlist.media_sequence }
}

/// The end of a playlist, from number `first` on. Without its parts: nobody reads them back, and a note is short.
fn behind(playlist: &MediaPlaylist, first: u64) -> MediaPlaylist {
    let mut end = MediaPlaylist { parts: None, ..playlist.clone() };
    let before = end.entries.iter().take_while(|entry| entry.msn.0 < first).count();
    let breaks = end.entries.drain(..before).filter(|entry| entry.discontinuity).count() as u64;
    end.discontinuity_sequence = end.discontinuity_sequence.saturating_add(breaks);
    end.media_sequence = end.entries.first().map_or(first, |entry| entry.msn.0);
    end
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::domain::ids::RunId;
    use crate::domain::playlist::{ListedPart, PartList};
    use crate::domain::segment::SegmentType;
    use crate::domain::test_time::start;
    use crate::domain::window::NewEntry;

    fn layout() -> Layout {
        Layout::new(&"loc".parse().unwrap(), &"cam".parse().unwrap())
    }

    fn floor(note: &str) -> Floor {
        let mut floor = Floor::default();
        floor.recall(&layout(), note);
        floor
    }

    /// Entries 100 to 100 + `count`; every second one has a break.
    fn playlist(count: u64) -> MediaPlaylist {
        let mut window = Window::new(50, 2, Msn(100), 7);
        for i in 0..count {
            let key = layout().segment(RunId::new(1, 1), i, SegmentType::MpegTs);
            let duration = Duration::from_millis(1_933);
            let program_time = Some(SystemTime::UNIX_EPOCH + 1_000 * u32::try_from(i).unwrap() * duration);
            window.push(start(), NewEntry { key, duration, program_time, discontinuity: i % 2 == 1 });
        }
        window.snapshot()
    }

    fn after_losing(confirmed: u64, sent: u64) -> Floor {
        let mut floor = Floor::default();
        floor.sent(&playlist(confirmed));
        floor.confirmed();
        floor.sent(&playlist(sent));
        let note = floor.note(&layout()).unwrap();
        self::floor(&note)
    }

    #[test]
    fn a_note_is_read_back() {
        let note = "700/3/699/695/40 loc/cam/stream.m3u8";
        assert_eq!(floor(note).note(&layout()).as_deref(), Some(note));
        let note = after_losing(4, 6).note(&layout()).unwrap();
        assert_eq!(note.lines().count(), 1);
        assert_eq!(floor(&note).note(&layout()), Some(note));
    }

    #[test]
    fn the_other_name_of_a_run_is_noted_until_there_is_a_newer_one() {
        let noted = |floor: &Floor| {
            let note = floor.note(&layout()).unwrap();
            Floor::default().recall(&layout(), &note)
        };
        let mut first = floor("700/3/699/695/40 loc/cam/stream.m3u8");
        assert_eq!(noted(&first), None);
        first.stand_back(Some(RunId::new(5, 1)));
        assert_eq!(noted(&first), Some(RunId::new(5, 1)));
        let mut second = self::floor(&first.note(&layout()).unwrap());
        assert_eq!((second.last(), noted(&second)), (Some(Msn(699)), Some(RunId::new(5, 1))));
        second.stand_back(None);
        assert_eq!(noted(&second), Some(RunId::new(5, 1)));
        second.stand_back(Some(RunId::new(6, 2)));
        assert_eq!(noted(&second), Some(RunId::new(6, 2)));
    }

    #[test]
    fn what_was_sent_and_not_confirmed_is_gone_on_from_stored_or_not() {
        let mut floor = after_losing(4, 6);
        for stored in [4, 5, 6] {
            let remote = Remote::Found(playlist(stored));
            assert!(!floor.doubts(start(), &remote));
            assert_eq!(floor.lift(remote), Remote::Found(playlist(6)), "{stored}");
        }
        // Older than what was confirmed, or made by somebody else: what was sent does not fit behind it.
        let mut foreign = playlist(5);
        foreign.entries[4].key = layout().segment(RunId::new(2, 2), 4, SegmentType::MpegTs);
        for remote in [playlist(3), foreign] {
            let remote = Remote::Found(remote);
            assert!(floor.doubts(start(), &remote));
            assert_eq!(floor.lift(remote), Remote::Damaged { next: Msn(106), discontinuity_sequence: 10 });
        }
        floor.stand_back(None);
        assert!(matches!(floor.lift(Remote::Found(playlist(5))), Remote::Damaged { .. }));
    }

    #[test]
    fn what_the_last_playlist_did_not_name_any_more_does_not_come_back() {
        let mut floor = Floor::default();
        floor.sent(&playlist(4));
        floor.confirmed();
        floor.sent(&behind(&playlist(6), 102));
        let lifted = floor.lift(Remote::Found(playlist(4)));
        assert_eq!(lifted, Remote::Found(behind(&playlist(6), 102)));
    }

    /// The end of a stream takes all entries out, and adds none.
    #[test]
    fn what_was_taken_out_at_the_end_does_not_come_back() {
        let mut ended = Floor::default();
        ended.sent(&playlist(6));
        ended.confirmed();
        let emptied = behind(&playlist(6), 106);
        ended.sent(&emptied);
        ended.confirmed();
        let mut floor = floor(&ended.note(&layout()).unwrap());
        let late = |count| Remote::Found(playlist(count));
        assert!(floor.doubts(start(), &late(6)));
        assert!(
            floor.doubts(start() + PATIENCE / 2, &late(6)) && !floor.doubts(start() + PATIENCE, &late(6))
        );
        assert_eq!(floor.lift(late(6)), Remote::Found(emptied.clone()));
        assert!(!floor.doubts(start(), &Remote::Found(emptied.clone())));
        // That it was stored is not sure.
        ended.sent(&emptied);
        let mut unsure = self::floor(&ended.note(&layout()).unwrap());
        assert!(unsure.doubts(start(), &late(6)) && !unsure.doubts(start() + PATIENCE_IF_LOST, &late(6)));
        // Another agent went on from there, and ended too.
        let later = MediaPlaylist { media_sequence: 120, ..emptied };
        assert_eq!(floor.lift(Remote::Found(later.clone())), Remote::Found(later));
    }

    #[test]
    fn a_note_is_short_also_after_the_first_playlist() {
        let mut floor = Floor::default();
        floor.read(&playlist(49), false);
        floor.sent(&playlist(50));
        assert!(floor.note(&layout()).unwrap().len() < 400);
    }

    #[test]
    fn parts_take_no_room_in_a_note() {
        let part = |number| ListedPart {
            key: layout().part(RunId::new(1_800_000_000_000, 1), number),
            duration: Duration::from_millis(200),
            independent: false,
        };
        let of = vec![(Msn(105), (0..100).map(part).collect())];
        let [target, hold_back] = [Duration::from_millis(200), Duration::from_secs(6)];
        let parts = Some(PartList { target, hold_back, of, open: Vec::new(), hint: None, blocks: false });
        let mut sent = Floor::default();
        sent.sent(&playlist(4));
        sent.confirmed();
        sent.sent(&MediaPlaylist { parts, ..playlist(6) });
        let floor = floor(&sent.note(&layout()).unwrap());
        assert_eq!(floor.lift(Remote::Found(playlist(4))), Remote::Found(playlist(6)));
    }

    #[test]
    fn a_tail_that_is_too_long_to_be_kept_costs_the_numbers_nothing() {
        let mut floor = Floor::default();
        floor.sent(&playlist(100));
        let note = floor.note(&layout()).unwrap();
        assert!(note.len() <= MOST_NOTED, "{}", note.len());
        assert_eq!(self::floor(&note).last(), Some(Msn(199)));
    }

    #[test]
    fn what_is_no_note_of_this_playlist_is_ignored() {
        let name = RunId::new(5, 1);
        assert_eq!(floor(&format!("700/3/699/1/1/{name} loc/cam/stream.m3u8")).last(), Some(Msn(699)));
        let two_names = format!("700/3/699/1/1/{name}/{name} loc/cam/stream.m3u8");
        let huge = format!("{}/3/699/695/40 loc/cam/stream.m3u8", u64::MAX);
        for note in [
            "",
            "700",
            "700/3/699/695/40",
            "700/3/699/695 loc/cam/stream.m3u8",
            "700/3/699/1/1/1 loc/cam/stream.m3u8",
            "700/3/699/1/1/ loc/cam/stream.m3u8",
            &two_names,
            "700/-3/699/695/40 loc/cam/stream.m3u8",
            "700/3/701/695/40 loc/cam/stream.m3u8",
            "700/3/699/701/40 loc/cam/stream.m3u8",
            "700/3/699/695/40 other/cam/stream.m3u8",
            &huge,
        ] {
            assert_eq!(floor(note).last(), None, "{note}");
        }
    }

    #[test]
    fn an_empty_bucket_and_a_damaged_playlist_go_on_from_the_floor() {
        let floor = floor("700/3/699/695/40 loc/cam/stream.m3u8");
        let damaged =
            |next, discontinuity_sequence| Remote::Damaged { next: Msn(next), discontinuity_sequence };
        let absent = Remote::Absent { first: Msn(9_000), discontinuity_sequence: 0 };
        assert_eq!(floor.lift(absent), damaged(700, 3));
        assert_eq!(floor.lift(damaged(10, 9)), damaged(700, 9));
        assert_eq!(floor.lift(damaged(9_000, 1)), damaged(9_000, 3));
    }
}
