//! What a live playlist and its objects may do over time (RFC 8216, section 6.2), as a pure judge: it is told
//! what a viewer saw and when, and notes every breach. Times are since the viewer's start.

use std::collections::BTreeMap;
use std::time::Duration;

use super::m3u8::{Part, Playlist, Segment};
use super::seams::goes_back;

const RECHECK_EVERY: Duration = Duration::from_millis(500);
/// Between polls closer than this no segment can come and go unseen.
const CLOSE: Duration = Duration::from_secs(1);
const PROGRAM_TIME_SLACK: Duration = Duration::from_millis(5);
/// Of many EXTINFs, each rounded to microseconds, and of the timestamps that they come from.
const ROUNDING: Duration = Duration::from_millis(10);

const PLAYLIST_HEADERS: Headers =
    Headers { kind: "application/vnd.apple.mpegurl", cache: "no-cache, no-store, must-revalidate" };
const SEGMENT_HEADERS: Headers = Headers { kind: "video/mp2t", cache: "public, max-age=31536000, immutable" };

const FMP4_HEADERS: Headers = Headers { kind: "video/mp4", cache: "public, max-age=31536000, immutable" };

struct Headers {
    kind: &'static str,
    cache: &'static str,
}

/// One HTTP answer; `sent` and `received` bracket the moment for which it speaks.
#[derive(Debug, Clone)]
pub struct Answer {
    pub sent: Duration,
    pub received: Duration,
    pub status: u16,
    pub content_type: String,
    pub cache_control: String,
    /// Changes when the bytes do: the ETag, or a hash where a store gives none.
    pub fingerprint: String,
}

#[derive(Debug)]
struct Object {
    /// Of an init object: the longest that needs it.
    segment: Segment,
    /// When the last poll that saw it listed was sent: it was in the playlist at least until then.
    last_listed: Duration,
    /// The longest playlist that named it.
    longest: Duration,
    fingerprint: Option<String>,
    last_check: Duration,
    being_checked: bool,
    reported: bool,
}

impl Object {
    /// RFC 8216 6.2.2: it stays for its own duration and that of the longest playlist that named it.
    fn held_until(&self) -> Duration {
        self.last_listed + self.segment.duration + self.longest
    }
}

#[derive(Debug, Default)]
pub struct Judge {
    pub breaches: Vec<String>,
    /// The longest time between two segments' first appearances.
    pub longest_gap: Duration,
    last: Option<(Duration, Playlist)>,
    last_new: Option<Duration>,
    objects: BTreeMap<String, Object>,
    /// What EXT-X-MAP named.
    inits: BTreeMap<String, Object>,
    /// What EXT-X-PART named.
    parts: BTreeMap<String, Object>,
    uri_of: BTreeMap<u64, String>,
}

impl Judge {
    pub fn breach(&mut self, at: Duration, what: impl AsRef<str>) {
        self.breaches.push(format!("[{:.3}] {}", at.as_secs_f64(), what.as_ref()));
    }

    /// In the order of their first listing.
    pub fn segments(&self) -> Vec<Segment> {
        self.uri_of.values().map(|uri| self.objects[uri].segment.clone()).collect()
    }

    /// Without those that were listed before `known` others.
    pub fn segments_from(&self, known: usize) -> impl Iterator<Item = Segment> {
        self.uri_of.values().skip(known).map(|uri| self.objects[uri].segment.clone())
    }

    pub fn segment_count(&self) -> usize {
        self.uri_of.len()
    }

    /// Returns the URIs that are listed for the first time: the viewer fetches them at once.
    pub fn playlist(&mut self, answer: &Answer, text: &str) -> Vec<String> {
        self.headers("the playlist", answer, &PLAYLIST_HEADERS);
        let now = match Playlist::parse(text) {
            Ok(playlist) => playlist,
            Err(error) => {
                self.breach(answer.received, format!("the playlist is malformed: {error}"));
                return Vec::new();
            }
        };
        for problem in alone(&now) {
            self.breach(answer.received, problem);
        }
        if let Some((at, before)) = self.last.take() {
            for problem in succession(&before, &now, answer.received.saturating_sub(at)) {
                self.breach(answer.received, problem);
            }
        }
        let new = self.list(answer, &now);
        self.note_freshness(answer.received, !new.is_empty());
        self.last = Some((answer.sent, now));
        new
    }

    /// To be told now and then also when nothing new came, so that the last gap counts.
    pub fn note_freshness(&mut self, at: Duration, new: bool) {
        let Some(last) = self.last_new.or(new.then_some(at)) else { return };
        self.longest_gap = self.longest_gap.max(at.saturating_sub(last));
        self.last_new = Some(if new { at } else { last });
    }

    fn list(&mut self, answer: &Answer, now: &Playlist) -> Vec<String> {
        let mut new = Vec::new();
        for segment in &now.segments {
            let owner = self.uri_of.entry(segment.msn).or_insert_with(|| segment.uri.clone()).clone();
            if owner != segment.uri {
                let problem = format!("MSN {} was {owner} and is now {}", segment.msn, segment.uri);
                self.breach(answer.received, problem);
            }
            new.extend(self.list_init(answer, segment, now.duration()));
            new.extend(self.list_parts(answer, segment, now.duration()));
            let Some(object) = self.objects.get_mut(&segment.uri) else {
                // What has no object is never asked for.
                new.extend((!segment.gap).then(|| segment.uri.clone()));
                self.objects.insert(segment.uri.clone(), first_seen(segment, answer, now.duration()));
                continue;
            };
            object.last_listed = answer.sent;
            object.longest = object.longest.max(now.duration());
            let problems = changes(&object.segment, segment);
            for problem in problems {
                self.breach(answer.received, problem);
            }
        }
        new
    }

    /// What the segment needs has to be there as long as it has.
    fn list_init(&mut self, answer: &Answer, segment: &Segment, longest: Duration) -> Option<String> {
        let uri = segment.map.clone()?;
        let Some(init) = self.inits.get_mut(&uri) else {
            self.inits.insert(uri.clone(), first_seen(segment, answer, longest));
            return Some(uri);
        };
        init.last_listed = answer.sent;
        init.longest = init.longest.max(longest);
        init.segment.duration = init.segment.duration.max(segment.duration);
        None
    }

    /// Parts stay as long as they would as segments.
    fn list_parts(&mut self, answer: &Answer, segment: &Segment, longest: Duration) -> Vec<String> {
        let mut new = Vec::new();
        for Part { uri, duration, .. } in &segment.parts {
            let Some(part) = self.parts.get_mut(uri) else {
                let own = Segment {
                    duration: *duration,
                    uri: uri.clone(),
                    parts: Vec::new(),
                    gap: false,
                    ..segment.clone()
                };
                self.parts.insert(uri.clone(), first_seen(&own, answer, longest));
                new.push(uri.clone());
                continue;
            };
            part.last_listed = answer.sent;
            part.longest = part.longest.max(longest);
            if part.segment.msn != segment.msn || part.segment.duration != *duration {
                self.breaches.push(format!("{uri} was another part before"));
            }
        }
        new
    }

    /// How many parts were ever listed.
    pub fn part_count(&self) -> usize {
        self.parts.len()
    }

    /// The answer for an object that was listed once.
    pub fn object(&mut self, uri: &str, answer: &Answer) {
        let listed =
            self.last.as_ref().is_some_and(|(_, playlist)| playlist.segments.iter().any(|s| names(s, uri)));
        let others = self.inits.get_mut(uri).or(self.parts.get_mut(uri));
        let Some(object) = self.objects.get_mut(uri).or(others) else { return };
        object.being_checked = false;
        object.last_check = answer.received;
        if answer.status != 200 {
            let held_until = object.held_until();
            if answer.received >= held_until || std::mem::replace(&mut object.reported, true) {
                return;
            }
            let how = if listed { "listed but missing".into() } else { early(held_until, answer.received) };
            return self.breach(answer.received, format!("{uri} is {how} (HTTP {})", answer.status));
        }
        match object.fingerprint.replace(answer.fingerprint.clone()) {
            Some(before) if before != answer.fingerprint => {
                self.breach(answer.received, format!("{uri} has other bytes than before"));
            }
            Some(_) => {}
            None if uri.ends_with(".m4s") || uri.ends_with(".mp4") => {
                self.headers(uri, answer, &FMP4_HEADERS);
            }
            None => self.headers(uri, answer, &SEGMENT_HEADERS),
        }
    }

    /// Objects to look at again: those that are listed or held, not too often.
    pub fn due(&mut self, now: Duration) -> Vec<String> {
        let all = self.objects.iter_mut().chain(&mut self.inits).chain(&mut self.parts);
        let due = all.filter(|(_, object)| {
            !object.being_checked && now < object.held_until() && now >= object.last_check + RECHECK_EVERY
        });
        due.map(|(uri, object)| {
            object.being_checked = true;
            uri.clone()
        })
        .collect()
    }

    /// Until when each object has to be there, by its URI; what is listed now is so for ever.
    pub fn held(&self) -> BTreeMap<String, Duration> {
        let listed = self.last.iter().flat_map(|(_, playlist)| &playlist.segments);
        let objects = self.objects.iter().chain(&self.inits);
        let mut held: BTreeMap<_, _> =
            objects.map(|(uri, object)| (uri.clone(), object.held_until())).collect();
        // Parts leave with their segment, also when only newer ones have theirs listed.
        held.extend(self.parts.iter().map(|(uri, part)| {
            let segment = self.uri_of.get(&part.segment.msn).and_then(|uri| self.objects.get(uri));
            let segment = segment.map(Object::held_until);
            (uri.clone(), part.held_until().max(segment.unwrap_or_default()))
        }));
        let first = self.last.as_ref().and_then(|(_, playlist)| playlist.segments.first());
        let kept =
            self.parts.iter().filter(|(_, part)| first.is_some_and(|first| part.segment.msn >= first.msn));
        held.extend(kept.map(|(uri, _)| (uri.clone(), Duration::MAX)));
        let names = listed.clone().flat_map(|segment| [Some(&segment.uri), segment.map.as_ref()]).flatten();
        let parts = listed.flat_map(|segment| &segment.parts).map(|part| &part.uri);
        held.extend(names.chain(parts).map(|uri| (uri.clone(), Duration::MAX)));
        held
    }

    fn headers(&mut self, what: &str, answer: &Answer, wanted: &Headers) {
        if answer.content_type != wanted.kind {
            self.breach(answer.received, format!("{what} has the content type {:?}", answer.content_type));
        }
        if answer.cache_control != wanted.cache {
            self.breach(answer.received, format!("{what} has the cache control {:?}", answer.cache_control));
        }
    }
}

fn names(segment: &Segment, uri: &str) -> bool {
    let is_part = segment.parts.iter().any(|part| part.uri == uri);
    segment.uri == uri || segment.map.as_deref() == Some(uri) || is_part
}

fn first_seen(segment: &Segment, answer: &Answer, longest: Duration) -> Object {
    Object {
        segment: segment.clone(),
        last_listed: answer.sent,
        longest,
        fingerprint: None,
        last_check: answer.received,
        being_checked: true,
        reported: false,
    }
}

fn early(held_until: Duration, gone_at: Duration) -> String {
    format!("gone at least {:.1} s too early", held_until.saturating_sub(gone_at).as_secs_f64())
}

/// What is wrong with a playlist by itself.
fn alone(playlist: &Playlist) -> Vec<String> {
    let mut problems = Vec::new();
    if playlist.ended {
        problems.push("the playlist has an ENDLIST".into());
    }
    if playlist.segments.is_empty() {
        problems.push("the playlist is empty".into());
    }
    for segment in &playlist.segments {
        if segment.duration.as_secs_f64().round() > playlist.target_duration as f64 {
            let (duration, target) = (segment.duration, playlist.target_duration);
            problems.push(format!("{} lasts {duration:?}, the target duration is {target} s", segment.uri));
        }
    }
    for segment in &playlist.segments {
        // Nothing takes a map back, so a transport stream behind one can't be played.
        if segment.uri.ends_with(".ts") == segment.map.is_some() {
            problems.push(format!("{} has the init object {:?}", segment.uri, segment.map));
        }
    }
    problems.extend(in_parts(playlist));
    for pair in playlist.segments.windows(2) {
        if goes_back(&pair[0], &pair[1]) && pair[0].continuity == pair[1].continuity {
            problems.push(format!("the program time goes back at {}", pair[1].uri));
        }
    }
    problems
}

/// What is wrong with its parts (RFC 8216bis, 4.4.3.7, 4.4.3.8, 4.4.4.9).
fn in_parts(playlist: &Playlist) -> Vec<String> {
    let mut problems = Vec::new();
    let has_parts = playlist.segments.iter().any(|segment| !segment.parts.is_empty());
    problems.extend((has_parts && !playlist.hinted).then(|| "parts without a hint of the next one".into()));
    let Some(target) = playlist.part_target else {
        problems.extend(has_parts.then(|| "parts without PART-INF".into()));
        return problems;
    };
    if playlist.part_hold_back.is_none_or(|back| back < 3 * target) {
        problems.push(format!("PART-HOLD-BACK is {:?}, PART-TARGET {target:?}", playlist.part_hold_back));
    }
    let mut behind = Duration::ZERO;
    for segment in playlist.segments.iter().rev() {
        behind += segment.duration;
        let Some((last, others)) = segment.parts.split_last() else { continue };
        let all: Duration = segment.parts.iter().map(|part| part.duration).sum();
        if all.abs_diff(segment.duration) > ROUNDING || !segment.parts[0].independent {
            problems
                .push(format!("the parts of {} are not it: {all:?} of {:?}", segment.uri, segment.duration));
        }
        if behind > Duration::from_secs(3 * playlist.target_duration) + ROUNDING {
            problems.push(format!("parts of {}, which is old", segment.uri));
        }
        let is_short = |part: &&Part| part.duration < target.mul_f64(0.85);
        let odd = others.iter().find(is_short).or([last].into_iter().find(|last| last.duration > target));
        if let Some(part) = odd.or(others.iter().find(|part| part.duration > target)) {
            problems.push(format!("{} lasts {:?}, PART-TARGET is {target:?}", part.uri, part.duration));
        }
    }
    problems
}

/// What is wrong with a playlist as the next one; `apart`: the time between their polls.
fn succession(before: &Playlist, now: &Playlist, apart: Duration) -> Vec<String> {
    let mut problems = Vec::new();
    if now.target_duration != before.target_duration {
        let (from, to) = (before.target_duration, now.target_duration);
        problems.push(format!("the target duration changes from {from} to {to}"));
    }
    for (what, from, to) in [
        ("media sequence", before.media_sequence, now.media_sequence),
        ("discontinuity sequence", before.discontinuity_sequence, now.discontinuity_sequence),
        ("live edge", edge(before), edge(now)),
    ] {
        if to < from {
            problems.push(format!("the {what} goes back from {from} to {to}"));
        }
    }
    if now.media_sequence > edge(before) && apart < CLOSE && !before.segments.is_empty() {
        let (from, to) = (edge(before), now.media_sequence);
        problems.push(format!("the media sequence jumps from a live edge of {from} to {to}"));
    }
    let shortest = Duration::from_secs(3 * now.target_duration);
    if now.media_sequence > before.media_sequence && now.duration() + ROUNDING < shortest {
        problems.push(format!("segments are removed although only {:?} remain", now.duration()));
    }
    problems
}

/// One past the last media sequence number.
fn edge(playlist: &Playlist) -> u64 {
    playlist.media_sequence + playlist.segments.len() as u64
}

/// What must not change about a segment while it is listed.
fn changes(before: &Segment, now: &Segment) -> Vec<String> {
    let mut problems = Vec::new();
    if now.msn != before.msn {
        problems.push(format!("{} was MSN {} and is now {}", now.uri, before.msn, now.msn));
    }
    // Covers a discontinuity that appears, vanishes, or leaves without being counted.
    if now.continuity != before.continuity {
        let (from, to) = (before.continuity, now.continuity);
        problems.push(format!("{}: the discontinuity sequence changes from {from} to {to}", now.uri));
    }
    if now.map != before.map {
        problems.push(format!("{} needed {:?} and now {:?}", now.uri, before.map, now.map));
    }
    if now.duration != before.duration {
        problems.push(format!("{} lasted {:?} and now {:?}", now.uri, before.duration, now.duration));
    }
    if let (Some(a), Some(b)) = (before.program_time, now.program_time) {
        let off = a.duration_since(b).or_else(|_| b.duration_since(a)).unwrap_or_default();
        if off > PROGRAM_TIME_SLACK {
            problems.push(format!("{}: the program time changes by {off:?}", now.uri));
        }
    }
    problems
}
