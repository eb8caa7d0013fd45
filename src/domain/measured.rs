//! What is really published of a stream: the size, rate and bit rate of its last segments.

use std::collections::VecDeque;
use std::time::Duration;

use super::codecs::{Streams, frames, of_init, of_transport_stream};
use super::ids::RunId;

/// Rates are of so much media.
const OF_LATE: Duration = Duration::from_secs(20);
const MOST_KEPT: usize = 64;

/// Of the first rendition, of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub run: RunId,
    /// Pixels; `None`: nothing could be told of its streams.
    pub size: Option<(u32, u32)>,
    pub frames_per_s: Option<f64>,
    /// With sound and packaging.
    pub kbps: u32,
}

/// Looks at each stored segment.
#[derive(Debug, Default)]
pub struct Measure {
    run: Option<RunId>,
    streams: Option<Streams>,
    last: VecDeque<Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    bytes: u64,
    frames: Option<u32>,
    duration: Duration,
}

impl Measure {
    /// `init` is what the segment needs before it; empty: it is a transport stream.
    pub fn segment(&mut self, run: RunId, init: &[u8], segment: &[u8], duration: Duration) -> Measured {
        if self.run != Some(run) {
            (self.run, self.streams) = (Some(run), None);
            self.last.clear();
        }
        let is_fmp4 = !init.is_empty();
        // Within a run nothing of it changes.
        if self.streams.is_none() {
            self.streams = if is_fmp4 { of_init(init) } else { of_transport_stream(segment) };
        }
        let frames =
            if is_fmp4 { frames::of_fragments(segment) } else { frames::of_transport_stream(segment) };
        self.last.push_back(Seen { bytes: segment.len() as u64, frames, duration });
        while self.last.len() > MOST_KEPT
            || (self.last.len() > 1 && self.span().saturating_sub(self.last[0].duration) >= OF_LATE)
        {
            self.last.pop_front();
        }
        Measured {
            run,
            size: self.streams.as_ref().map(|streams| (streams.width, streams.height)),
            frames_per_s: self.frames_per_s(),
            kbps: self.kbps(),
        }
    }

    fn span(&self) -> Duration {
        self.last.iter().fold(Duration::ZERO, |sum, seen| sum.saturating_add(seen.duration))
    }

    fn seconds(&self) -> Option<f64> {
        Some(self.span().as_secs_f64()).filter(|seconds| *seconds > 0.0)
    }

    /// To two decimals.
    fn frames_per_s(&self) -> Option<f64> {
        let frames: Option<u64> = self.last.iter().map(|seen| seen.frames.map(u64::from)).sum();
        Some((frames? as f64 / self.seconds()? * 100.0).round() / 100.0)
    }

    fn kbps(&self) -> u32 {
        let bytes = self.last.iter().fold(0u64, |sum, seen| sum.saturating_add(seen.bytes));
        // A number that is too large for the type saturates.
        self.seconds().map_or(0, |seconds| (bytes as f64 * 8.0 / 1000.0 / seconds).round() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TS: &[u8] = include_bytes!("../../fuzz/corpus-seeds/codecs/h264.ts");
    const S: Duration = Duration::from_secs(1);

    fn run(dice: u32) -> RunId {
        RunId::new(1, dice)
    }

    #[test]
    fn size_and_rates_are_those_of_the_runs_last_segments() {
        let mut measure = Measure::default();
        let frames = frames::of_transport_stream(TS).unwrap();
        let first = measure.segment(run(1), &[], TS, S);
        assert_eq!((first.size, first.frames_per_s), (Some((64, 36)), Some(f64::from(frames))));
        assert_eq!(first.kbps, (TS.len() as f64 * 8.0 / 1000.0).round() as u32);
        for _ in 0..100 {
            measure.segment(run(1), &[], TS, S / 2);
        }
        let faster = measure.segment(run(1), &[], TS, S / 2);
        assert_eq!(faster.frames_per_s, Some(f64::from(2 * frames)), "what is long ago is forgotten");
        assert!(measure.last.len() <= 41, "{}", measure.last.len());
        let other = measure.segment(run(2), &[], &[0; 1000], S);
        assert_eq!((other.size, other.frames_per_s, other.kbps), (None, None, 8), "of this run alone");
    }

    #[test]
    fn absurd_durations_do_no_harm() {
        let mut measure = Measure::default();
        for duration in [Duration::ZERO, Duration::MAX, Duration::MAX, Duration::from_nanos(1)] {
            measure.segment(run(1), &[], TS, duration);
        }
        for _ in 0..1000 {
            assert_eq!(Measure::default().segment(run(1), &[], TS, Duration::ZERO).kbps, 0);
            measure.segment(run(1), &[], &[], Duration::ZERO);
        }
        assert!(measure.last.len() <= MOST_KEPT);
    }
}
