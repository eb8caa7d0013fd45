//! How many bits a second a rendition needs: what a multivariant playlist announces of it.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
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
/// ... but not sooner after the last announcement than this, nor before half of what is remembered is new.
const BETWEEN_AVERAGES: RangeInclusive<Duration> = Duration::from_secs(30)..=Duration::from_secs(600);
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
///   rounded: what the media playlist says, or less where no segment is as long as was promised. Shorter sets have
///   higher peaks, so that errs on the safe side.
/// * It is announced with some headroom. A set above the announced peak raises it at once: no recent set is ever above
///   what is announced. It sinks when the peak of the last hour is much less, so no sooner than about an hour after
///   the set that it was announced for.
/// * The average is that of the last hour. It is announced anew with each new peak, and when it has gone far from what
///   was announced: once in ten minutes of media time at most, sooner while little was seen yet.
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
        self.duration += other.duration;
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
        // None lasts an hour: then sums can't overflow.
        let duration = duration.min(MEMORY);
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
            && self.remembered().duration - oldest.sum.duration >= MEMORY
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
        Duration::from_secs((longest + Duration::from_millis(500)).as_secs().max(1))
    }

    /// Sets with the next segment may reach back to the first that is kept.
    fn keep(&mut self, segment: Sum, target: Duration) {
        self.last.push_back(segment);
        let mut kept: Duration = self.last.iter().map(|sum| sum.duration).sum();
        while let Some(oldest) = self.last.front()
            && self.last.len() > 1
            && kept - oldest.duration > *sets_last(target).end()
        {
            kept -= oldest.duration;
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
        sets.filter(|set| sets_last(target).contains(&set.duration)).map(Sum::bps).max()
    }

    fn announce(&mut self) {
        let measured = self.parts.iter().map(|part| part.peak_bps).max().unwrap_or_default();
        if measured == 0 {
            return;
        }
        let remembered = self.remembered();
        let average_bps = remembered.bps();
        let peak_bps = match self.announced {
            Some(announced) if measured <= announced.peak_bps && !is_below(measured, announced.peak_bps) => {
                let most_off = per_mille(announced.average_bps, MUCH_OFF);
                let is_off = average_bps.abs_diff(announced.average_bps) > most_off;
                let (soonest, latest) = BETWEEN_AVERAGES.into_inner();
                if !is_off || self.since_announced < (remembered.duration / 2).clamp(soonest, latest) {
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

/// How long the sets are whose bit rates count.
fn sets_last(target: Duration) -> RangeInclusive<Duration> {
    target / 2..=target * 3 / 2
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);
    const HOUR_OF_2_S: u64 = 1800;

    /// Bytes of a segment of 2 s.
    fn of_kbps(kbps: u64) -> u64 {
        kbps * 2 * 125
    }

    fn dice(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *seed >> 33
    }

    /// How often the announcement changes over these segments of 2 s, in kbps.
    fn changes(meter: &mut Meter, kbps: impl Iterator<Item = u64>) -> usize {
        let mut changes = 0;
        for kbps in kbps {
            let before = meter.announced();
            meter.segment(of_kbps(kbps), 2 * S);
            changes += usize::from(meter.announced() != before);
        }
        changes
    }

    fn kbps(meter: &Meter) -> (u64, u64) {
        let Bandwidth { peak_bps, average_bps } = meter.announced().unwrap();
        (peak_bps / 1000, average_bps / 1000)
    }

    #[test]
    fn a_stream_of_one_bit_rate_is_announced_once() {
        let mut meter = Meter::default();
        assert_eq!(meter.announced(), None);
        let day = (0..24 * HOUR_OF_2_S).map(|i| 1000 + i % 21);
        assert!(changes(&mut meter, day) <= 1);
        assert_eq!(kbps(&meter), (1050, 1000));
    }

    #[test]
    fn a_larger_segment_raises_the_peak_at_once_and_for_an_hour() {
        let mut meter = Meter::default();
        changes(&mut meter, (0..100).map(|_| 1000));
        assert_eq!(changes(&mut meter, [1040].into_iter()), 0, "that is what the headroom is for");
        assert_eq!(changes(&mut meter, [2000].into_iter()), 1);
        assert_eq!(kbps(&meter), (2100, 1010));
        let hour = (0..HOUR_OF_2_S - 1).map(|_| 1000);
        assert_eq!(changes(&mut meter, hour), 0);
        assert_eq!(changes(&mut meter, (0..200).map(|_| 1000)), 1, "then it sinks");
        assert_eq!(kbps(&meter), (1050, 1000));
        changes(&mut meter, [1350].into_iter());
        assert_eq!(kbps(&meter).0, 1420);
        let changes = changes(&mut meter, (0..24 * HOUR_OF_2_S).map(|_| 1000));
        assert_eq!((changes, kbps(&meter).0), (0, 1420), "that little does not matter");
    }

    #[test]
    fn the_average_follows_what_is_seen() {
        let mut meter = Meter::default();
        changes(&mut meter, [3000].into_iter());
        assert_eq!(kbps(&meter), (3150, 3000));
        assert_eq!(changes(&mut meter, (0..30).map(|_| 1000)), 1, "a minute is enough to know better");
        assert_eq!(kbps(&meter).0, 3150);
        assert!((1000..1300).contains(&kbps(&meter).1), "{:?}", kbps(&meter));
        changes(&mut meter, (0..HOUR_OF_2_S / 2).map(|_| 1000));
        assert!((1000..1150).contains(&kbps(&meter).1), "{:?}", kbps(&meter));
        changes(&mut meter, (0..2 * HOUR_OF_2_S).map(|_| 2500));
        assert!((2200..2600).contains(&kbps(&meter).1), "{:?}", kbps(&meter));
    }

    #[test]
    fn an_average_that_moves_on_and_on_is_announced_six_times_an_hour() {
        let mut meter = Meter::default();
        changes(&mut meter, (0..HOUR_OF_2_S).map(|_| 100));
        // So that the peak has nothing to say.
        changes(&mut meter, [30_000].into_iter());
        // 200 times as much in an hour.
        let growing = (0..HOUR_OF_2_S).map(|i| (100.0 * 200f64.powf(i as f64 / HOUR_OF_2_S as f64)) as u64);
        let changes = changes(&mut meter, growing);
        assert!((4..=7).contains(&changes), "{changes}");
    }

    #[test]
    fn no_average_is_above_the_peak() {
        let mut meter = Meter::default();
        // No set with it is as long as it has to be: 0.4 s are too short, 1.8 s too long.
        meter.segment(1_000_000, S * 2 / 5);
        meter.segment(1_000, S * 7 / 5);
        assert_eq!(kbps(&meter), (6, 6));
    }

    #[test]
    fn a_short_segment_counts_together_with_its_neighbours() {
        let mut meter = Meter::default();
        meter.segment(of_kbps(1000), 2 * S);
        // Alone it would be 10 Mbps.
        meter.segment(250_000, S / 5);
        let with_the_one_before = (2_000_000 + 2_000_000) * 10 / 22 / 1000;
        assert_eq!(kbps(&meter).0, with_the_one_before * 105 / 100 / 10 * 10 + 10);
        let mut short = Meter::default();
        short.segment(1_000, S / 5);
        assert_eq!(short.announced(), None, "a set has to last half a second here");
        short.segment(1_000, S / 5);
        short.segment(1_000, S / 5);
        assert_eq!(kbps(&short), (42, 40));
    }

    /// As an encoder without a limit: between a still picture and rain.
    #[test]
    fn a_noisy_stream_is_announced_seldom_and_takes_no_memory() {
        let (mut meter, mut seed) = (Meter::default(), 7);
        let mut day = 0;
        for hour in 0..48 {
            let level = [300, 400, 2000, 900][hour / 3 % 4];
            let noise = (0..HOUR_OF_2_S).map(|_| level / 2 + dice(&mut seed) % level);
            let hourly = changes(&mut meter, noise);
            assert!(hourly <= 25, "{hourly} in hour {hour}");
            day += hourly;
            assert!(meter.last.len() <= 3 && meter.parts.len() <= 14, "{meter:?}");
        }
        assert!(day < 48 * 6, "{day} in two days");
    }

    /// Whatever was seen within the hour is below what is announced, also when the peak has sunk.
    #[test]
    fn no_segment_of_the_last_hour_is_above_the_peak() {
        let (mut meter, mut seed, mut sunk) = (Meter::default(), 1, 0);
        let mut seen: VecDeque<u64> = VecDeque::new();
        for index in 0..12 * HOUR_OF_2_S {
            // A level for a while, and now and then a burst.
            let level = 200 + 3000 * u64::from(index / 4000 % 2 == 0);
            let kbps = level + dice(&mut seed) % 300 + 4000 * u64::from(dice(&mut seed).is_multiple_of(3000));
            let before = meter.announced().map_or(0, |told| told.peak_bps);
            meter.segment(of_kbps(kbps), 2 * S);
            seen.push_back(kbps * 1000);
            if seen.len() as u64 > HOUR_OF_2_S {
                seen.pop_front();
            }
            let told = meter.announced().unwrap();
            let peak = seen.iter().copied().max().unwrap_or_default();
            assert!(peak <= told.peak_bps, "{peak} in segment {index}: {told:?}");
            assert!(told.average_bps <= told.peak_bps);
            sunk += u64::from(told.peak_bps < before);
        }
        assert!((1..20).contains(&sunk), "{sunk}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// RFC 8216 4.3.4.2 by the letter, over segments of all lengths.
        #[test]
        fn no_set_of_segments_is_above_the_peak(
            segments in prop::collection::vec((0u64..3_000_000, prop_oneof![100u64..900, 1_500u64..2_499]), 1..60),
        ) {
            let mut meter = Meter::default();
            let mut seen = vec![(1, 2_000)];
            meter.segment(1, 2 * S);
            for (bytes, millis) in segments {
                meter.segment(bytes, Duration::from_millis(millis));
                seen.push((bytes, millis));
                let peak = meter.announced().map_or(0, |told| told.peak_bps);
                for from in 0..seen.len() {
                    for to in from + 1..=seen.len() {
                        let (bytes, millis) = seen[from..to].iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
                        if (1_000..=3_000).contains(&millis) {
                            prop_assert!(bytes * 8000 / millis <= peak, "{bytes} bytes in {millis} ms, {peak}");
                        }
                    }
                }
            }
        }

        /// Also where sizes and durations are absurd.
        #[test]
        fn it_keeps_little_and_does_not_panic(
            segments in prop::collection::vec((any::<u64>(), any::<u64>(), 0u32..64), 1..400),
            short in any::<bool>(),
        ) {
            let mut meter = Meter::default();
            for (bytes, nanos, shift) in segments {
                let duration = Duration::from_nanos(nanos >> shift >> if short { 40 } else { 0 });
                meter.segment(bytes >> shift, duration.saturating_mul(if shift == 1 { u32::MAX } else { 1 }));
                prop_assert!(meter.last.len() <= MOST_KEPT && meter.parts.len() <= 14);
                if let Some(told) = meter.announced() {
                    prop_assert!(told.average_bps <= told.peak_bps);
                }
            }
            meter.segment(u64::MAX, Duration::MAX);
            meter.segment(u64::MAX, Duration::MAX);
            meter.segment(u64::MAX, Duration::ZERO);
        }
    }
}
