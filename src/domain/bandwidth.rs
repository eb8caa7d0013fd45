//! How many bits a second a rendition needs: what a multivariant playlist announces of it.

use std::collections::VecDeque;
use std::time::Duration;

/// What is remembered: sets of segments whose end is longer ago no longer count.
const MEMORY: Duration = Duration::from_secs(3600);
/// It is forgotten in such parts.
const PART: Duration = Duration::from_secs(300);
/// How much more than was measured is announced as the peak, in per mille: segments that are a little larger than all
/// before do not change it.
const HEADROOM: u64 = 50;
/// A peak that was measured below this share of the announced one, in per mille, is announced anew.
const MUCH_LESS: u64 = 700;
/// An average that is off by more than this share, in per mille, is announced anew.
const MUCH_OFF: u64 = 150;
/// ... but not sooner after it was announced last.
const BETWEEN_AVERAGES: Duration = Duration::from_secs(600);
/// Shorter segments than anybody makes are taken together rather than kept one by one.
const MOST_KEPT: usize = 128;

/// In bits per second, RFC 8216 4.3.4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth {
    /// BANDWIDTH.
    pub peak_bps: u64,
    /// AVERAGE-BANDWIDTH.
    pub average_bps: u64,
}

/// Measures one rendition. The rule:
///
/// * The peak is the largest bit rate of any contiguous set of segments that lasts between 0.5 and 1.5 target durations
///   (RFC 8216, 4.1), in the last hour of media time. The target duration is that of the longest segment of this hour,
///   rounded: at most what the media playlist says, so the peak is at least the playlist's.
/// * It is announced with some headroom. A set above the announced peak raises it at once: no recent set is ever above
///   what is announced. It sinks when the peak of the last hour is much less, so no sooner than about an hour after
///   the set that it was announced for.
/// * The average is that of the last hour. It is announced anew with each new peak, and when it has gone far from what
///   was announced, but then at most once in ten minutes of media time.
///
/// What it keeps is bounded, whatever the segments are.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    /// The last segments, as far back as a set with the next one may reach; the newest is the last.
    last: VecDeque<Sum>,
    /// The hour.
    parts: VecDeque<Part>,
    announced: Option<Bandwidth>,
    since_announced: Duration,
}

/// Of some segments.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    bits: u64,
    duration: Duration,
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    sum: Sum,
    longest: Duration,
    peak_bps: u64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.bits = self.bits.saturating_add(other.bits);
        self.duration = self.duration.saturating_add(other.duration);
    }

    /// Rounded up: what is announced is never below what was seen.
    fn bps(self) -> u64 {
        let nanos = self.duration.as_nanos().max(1);
        let bps = (u128::from(self.bits) * 1_000_000_000).div_ceil(nanos);
        u64::try_from(bps).unwrap_or(u64::MAX)
    }
}

impl Meter {
    /// The next segment of the rendition.
    pub fn segment(&mut self, bytes: u64, duration: Duration) {
        let segment = Sum { bits: bytes.saturating_mul(8), duration };
        self.remember(segment);
        let target = self.target();
        self.keep(segment, target);
        if let Some((peak_bps, part)) = self.peak_of_newest(target).zip(self.parts.back_mut()) {
            part.peak_bps = part.peak_bps.max(peak_bps);
        }
        self.since_announced = self.since_announced.saturating_add(duration);
        self.announce();
    }

    /// What the playlist should say. Changes only when that is worth a new one; `None`: not enough was seen yet.
    pub fn announced(&self) -> Option<Bandwidth> {
        self.announced
    }

    /// Adds to the hour, and lets go what is longer ago.
    fn remember(&mut self, segment: Sum) {
        if self.parts.back().is_none_or(|part| part.sum.duration >= PART) {
            self.parts.push_back(Part::default());
        }
        if let Some(part) = self.parts.back_mut() {
            part.sum.add(segment);
            part.longest = part.longest.max(segment.duration);
        }
        while let Some(oldest) = self.parts.front()
            && self.remembered().duration.saturating_sub(oldest.sum.duration) >= MEMORY
        {
            self.parts.pop_front();
        }
    }

    fn remembered(&self) -> Sum {
        self.parts.iter().fold(Sum::default(), |mut sum, part| {
            sum.add(part.sum);
            sum
        })
    }

    /// In whole seconds, as the playlist has it.
    fn target(&self) -> Duration {
        let longest = self.parts.iter().map(|part| part.longest).max().unwrap_or_default();
        Duration::from_secs(longest.saturating_add(Duration::from_millis(500)).as_secs().max(1))
    }

    /// Sets with the next segment may reach back to the first that is kept.
    fn keep(&mut self, segment: Sum, target: Duration) {
        self.last.push_back(segment);
        let mut kept: Duration =
            self.last.iter().fold(Duration::ZERO, |kept, sum| kept.saturating_add(sum.duration));
        while let Some(oldest) = self.last.front()
            && self.last.len() > 1
            && kept.saturating_sub(oldest.duration) > target * 3 / 2
        {
            kept = kept.saturating_sub(oldest.duration);
            self.last.pop_front();
        }
        if self.last.len() > MOST_KEPT
            && let (Some(mut first), Some(second)) = (self.last.pop_front(), self.last.pop_front())
        {
            first.add(second);
            self.last.push_front(first);
        }
    }

    /// Of the sets that end with the newest segment: each set did so once.
    fn peak_of_newest(&self, target: Duration) -> Option<u64> {
        let mut set = Sum::default();
        let sets = self.last.iter().rev().map(|sum| {
            set.add(*sum);
            set
        });
        let within = (target / 2)..=(target.saturating_mul(3) / 2);
        sets.filter(|set| within.contains(&set.duration)).map(Sum::bps).max()
    }

    fn announce(&mut self) {
        let measured = self.parts.iter().map(|part| part.peak_bps).max().unwrap_or_default();
        if measured == 0 {
            return;
        }
        let average_bps = self.remembered().bps();
        let peak_bps = match self.announced {
            Some(announced) if measured <= announced.peak_bps && !is_below(measured, announced.peak_bps) => {
                let is_off =
                    average_bps.abs_diff(announced.average_bps) > per_mille(announced.average_bps, MUCH_OFF);
                if !is_off || self.since_announced < BETWEEN_AVERAGES {
                    return;
                }
                announced.peak_bps
            }
            _ => round_up(measured.saturating_add(per_mille(measured, HEADROOM))),
        };
        self.announced = Some(Bandwidth { peak_bps, average_bps: average_bps.min(peak_bps) });
        self.since_announced = Duration::ZERO;
    }
}

fn is_below(measured: u64, announced: u64) -> bool {
    measured < per_mille(announced, MUCH_LESS)
}

fn per_mille(of: u64, share: u64) -> u64 {
    of / 1000 * share + of % 1000 * share / 1000
}

/// To three digits.
fn round_up(bps: u64) -> u64 {
    let step = 10u64.pow(bps.checked_ilog10().unwrap_or_default().saturating_sub(2));
    bps.div_ceil(step).saturating_mul(step)
}
