//! What is asked of the storage: how often and with which outcome, how long it took, and how often of late.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::class::ObjectClass;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Init objects, too.
    PutSegment,
    PutPart,
    PutPlaylist,
    PutSnapshot,
    PutStatus,
    Get,
    Delete,
    List,
}

impl Operation {
    pub const ALL: [Self; 8] = [
        Self::PutSegment,
        Self::PutPart,
        Self::PutPlaylist,
        Self::PutSnapshot,
        Self::PutStatus,
        Self::Get,
        Self::Delete,
        Self::List,
    ];

    pub fn put(class: ObjectClass) -> Self {
        match class {
            ObjectClass::Segment | ObjectClass::Fmp4 | ObjectClass::Probe => Self::PutSegment,
            ObjectClass::Part => Self::PutPart,
            ObjectClass::Playlist => Self::PutPlaylist,
            ObjectClass::Snapshot => Self::PutSnapshot,
            ObjectClass::Sheet | ObjectClass::Page(_) => Self::PutStatus,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::PutSegment => "put_segment",
            Self::PutPart => "put_part",
            Self::PutPlaylist => "put_playlist",
            Self::PutSnapshot => "put_snapshot",
            Self::PutStatus => "put_status",
            Self::Get => "get",
            Self::Delete => "delete",
            Self::List => "list",
        }
    }

    /// What stores that charge for requests charge for it.
    fn fee(self) -> Fee {
        match self {
            Self::PutSegment
            | Self::PutPart
            | Self::PutPlaylist
            | Self::PutSnapshot
            | Self::PutStatus
            | Self::List => Fee::Write,
            Self::Get => Fee::Read,
            Self::Delete => Fee::None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fee {
    /// `PUT` and `LIST`: class A.
    Write,
    /// `GET`: class B.
    Read,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    NotFound,
    Unavailable,
    Throttled,
    Denied,
    Rejected,
    /// The agent waited no longer for it.
    GivenUp,
}

impl Outcome {
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::NotFound,
        Self::Unavailable,
        Self::Throttled,
        Self::Denied,
        Self::Rejected,
        Self::GivenUp,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotFound => "not_found",
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Rejected => "rejected",
            Self::GivenUp => "given_up",
        }
    }

    /// As far as one can tell: what failed on the way or at the store costs nothing.
    fn is_charged(self) -> bool {
        matches!(self, Self::Ok | Self::NotFound | Self::Denied | Self::Rejected)
    }
}

/// Requests per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rate {
    pub writes: f64,
    pub reads: f64,
}

/// Of a stream that is published in parts.
#[derive(Debug, Clone, Copy)]
pub struct PlannedParts {
    pub part: Duration,
    /// Its segments are stored whole, too.
    pub whole: bool,
}

impl Rate {
    pub fn all(&self) -> f64 {
        self.writes + self.reads
    }

    /// Of a stream while all goes well: each segment, its parts and the playlist once, and what lies beside them, so far
    /// apart.
    pub fn planned(
        segment: Duration,
        parts: Option<PlannedParts>,
        renditions: u8,
        min_playlist_interval: Duration,
        beside: [Option<Duration>; 2],
    ) -> Self {
        let each = |interval: Duration| 1.0 / interval.max(Duration::from_millis(1)).as_secs_f64();
        let in_parts = parts.map_or(0.0, |PlannedParts { part, .. }| {
            // The last one may be short.
            (segment.as_secs_f64() / part.as_secs_f64() - 1e-6).ceil() * each(segment)
        });
        let whole = if parts.is_none_or(|parts| parts.whole) { each(segment) } else { 0.0 };
        let of_stream = whole + in_parts + each(segment.max(min_playlist_interval));
        // A picture is one of a segment.
        let of_others: f64 = beside.into_iter().flatten().map(|interval| each(interval.max(segment))).sum();
        Self { writes: f64::from(renditions) * of_stream + of_others, reads: 0.0 }
    }
}

/// What a rate is of.
const OF_LATE: Duration = Duration::from_secs(600);
/// It is forgotten in such parts.
const PART: Duration = Duration::from_secs(60);
const PARTS: usize = 11;

/// One camera's.
#[derive(Debug, Clone)]
pub struct Requests {
    counts: [[u64; Outcome::ALL.len()]; Operation::ALL.len()],
    began: Instant,
    /// The last ones that cost something: when each part began, writes and reads.
    recent: VecDeque<(Instant, [u64; 2])>,
}

impl Requests {
    pub fn new(now: Instant) -> Self {
        Self { counts: Default::default(), began: now, recent: VecDeque::new() }
    }

    pub fn count(&mut self, now: Instant, operation: Operation, outcome: Outcome) {
        self.counts[operation as usize][outcome as usize] += 1;
        let fee = operation.fee();
        if !outcome.is_charged() || fee == Fee::None {
            return;
        }
        if self.recent.back().is_none_or(|(began, _)| now.saturating_duration_since(*began) >= PART) {
            self.recent.push_back((now, [0; 2]));
            if self.recent.len() > PARTS {
                self.recent.pop_front();
            }
        }
        if let Some((_, counts)) = self.recent.back_mut() {
            counts[usize::from(fee == Fee::Read)] += 1;
        }
    }

    /// All that were made: those that never were have no entry.
    pub fn counts(&self) -> impl Iterator<Item = (Operation, Outcome, u64)> {
        let of = |operation: Operation| {
            Outcome::ALL
                .map(|outcome| (operation, outcome, self.counts[operation as usize][outcome as usize]))
        };
        Operation::ALL.into_iter().flat_map(of).filter(|(_, _, count)| *count > 0)
    }

    /// Of the last ten minutes; `None` in the first one, which says nothing.
    pub fn rate(&self, now: Instant) -> Option<Rate> {
        let before = |at: Instant| now.saturating_duration_since(at);
        let span = before(self.began).min(OF_LATE);
        (span >= PART).then_some(())?;
        let parts = || self.recent.iter().filter(|(began, _)| before(*began) < OF_LATE);
        // Where the part before the oldest one has just been left out, the time since is what the others are of.
        let oldest =
            parts().next().map(|(began, _)| before(*began)).filter(|oldest| *oldest + 2 * PART > span);
        let seconds = oldest.unwrap_or(span).max(PART).as_secs_f64();
        let [writes, reads] =
            parts().fold([0; 2], |[writes, reads], (_, part)| [writes + part[0], reads + part[1]]);
        Some(Rate { writes: writes as f64 / seconds, reads: reads as f64 / seconds })
    }
}

/// Upper bounds of the buckets, in seconds: from a store on the same machine to what is given up.
pub const BOUNDS_S: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// How long something took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Histogram {
    /// Not cumulated; the last one is of what took longer than all bounds.
    counts: [u64; BOUNDS_S.len() + 1],
    pub sum: Duration,
}

impl Histogram {
    pub fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS_S.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS_S.len());
        self.counts[bucket] += 1;
        self.sum += took;
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many took as long as each bound at most.
    pub fn cumulated(&self) -> impl Iterator<Item = (f64, u64)> {
        BOUNDS_S.into_iter().zip(self.counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((bound, *sum))
        })
    }
}

/// How long the requests of all cameras took, by operation.
#[derive(Debug, Clone, Default)]
pub struct Latencies([Histogram; Operation::ALL.len()]);

impl Latencies {
    pub fn observe(&mut self, operation: Operation, took: Duration) {
        self.0[operation as usize].observe(took);
    }

    /// Of what was done at least once.
    pub fn iter(&self) -> impl Iterator<Item = (Operation, &Histogram)> {
        Operation::ALL.into_iter().zip(&self.0).filter(|(_, histogram)| histogram.count() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_time::start;

    const S: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn each_is_counted_by_operation_and_outcome() {
        let mut requests = Requests::new(start());
        for outcome in [Outcome::Ok, Outcome::Ok, Outcome::GivenUp] {
            requests.count(start(), Operation::put(ObjectClass::Fmp4), outcome);
        }
        requests.count(start(), Operation::Get, Outcome::NotFound);
        let counts: Vec<_> = requests.counts().collect();
        let expected = [
            (Operation::PutSegment, Outcome::Ok, 2),
            (Operation::PutSegment, Outcome::GivenUp, 1),
            (Operation::Get, Outcome::NotFound, 1),
        ];
        assert_eq!(counts, expected);
        for (index, (operation, outcome)) in Operation::ALL.into_iter().zip(Outcome::ALL).enumerate() {
            assert_eq!((operation as usize, outcome as usize), (index, index), "they are indices");
        }
    }

    #[test]
    fn the_rate_is_that_of_the_last_ten_minutes() {
        let t0 = start();
        let mut requests = Requests::new(t0);
        let mut now = t0;
        for second in 0..3600 {
            now = t0 + S * second;
            if second < 60 {
                assert_eq!(requests.rate(now), None, "a first burst is no rate");
            } else {
                let rate = requests.rate(now).unwrap();
                assert!(
                    (rate.writes - 1.0).abs() < 0.02 && (rate.reads - 0.1).abs() < 0.02,
                    "{second}: {rate:?}"
                );
            }
            requests.count(now, Operation::PutSegment, Outcome::Ok);
            requests.count(now, Operation::Delete, Outcome::Ok);
            requests.count(now, Operation::PutPlaylist, Outcome::Unavailable);
            if second % 10 == 0 {
                requests.count(now, Operation::Get, Outcome::NotFound);
            }
            assert!(requests.recent.len() <= PARTS);
        }
        let falling = requests.rate(now + 300 * S).unwrap();
        assert!((0.3..0.7).contains(&falling.writes), "{falling:?}");
        assert_eq!(requests.rate(now + 601 * S), Some(Rate::default()), "nothing of late");
        requests.count(now + 7200 * S, Operation::PutSegment, Outcome::Ok);
        let one = requests.rate(now + 7201 * S).unwrap();
        assert!(one.writes < 0.01, "one request is no rate of one a second: {one:?}");
    }

    #[test]
    fn buckets_are_cumulated_and_the_longest_are_in_the_count_alone() {
        let mut histogram = Histogram::default();
        for took in [5 * MS, 6 * MS, 30 * S, 31 * S] {
            histogram.observe(took);
        }
        let cumulated: Vec<_> = histogram.cumulated().collect();
        assert_eq!((cumulated[0], cumulated[1]), ((0.005, 1), (0.01, 2)));
        assert_eq!((cumulated[11], histogram.count()), ((30.0, 3), 4));
        assert_eq!(histogram.sum, 61 * S + 11 * MS);
    }
}
