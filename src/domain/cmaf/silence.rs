//! Silence for a sound that has stopped. What players have of two tracks ends where the first of them does: without it
//! their picture would stand still for as long as the camera says nothing.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;

use super::{Sample, seconds};
use crate::domain::codecs::lc_channels;

/// So long sound may be behind a part's beginning, and so long none may come, by the picture's time.
const PATIENCE: Duration = Duration::from_millis(500);
/// Sound that was to be played so long ago, and longer than it ever used to be late, is of no use: silence goes on.
const TOO_LATE: Duration = Duration::from_secs(2);
/// Sound whose place is silence already, for so long: its clock is another one.
const MOST_HOMELESS: Duration = Duration::from_secs(5);
/// A sender report may put times right that are [`TOO_LATE`]: RFC 3550 6.2 wants one each 2 to 6 s.
const REPORTED_WITHIN: Duration = Duration::from_secs(8);
/// How late sound was is forgotten so many times slower than it comes.
const FORGETS: u32 = 16;
/// More was a jump of the picture's time.
const MOST: Duration = Duration::from_secs(10);
/// Of AAC-LC, at whatever rate: what ffmpeg's encoder makes of silence.
const MONO: &[u8] = &[0x01, 0x18, 0x20, 0x07];
const STEREO: &[u8] = &[0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c];
const PACKET: u32 = 1024;
/// A smaller hole is jitter: the packet before it lasts longer.
const LEAST_HOLE: u64 = 2 * PACKET as u64;
/// What AAC can have; its track counts in samples.
const RATES: RangeInclusive<u32> = 7_350..=96_000;
/// Each packet can be played by itself.
const FLAGS: u32 = 0x200_0000;

/// A packet of silence for the sound of this init object; `None`: what it would be is not known.
pub(super) fn packet(init: &[u8], per_second: u32) -> Option<Bytes> {
    match lc_channels(init).filter(|_| RATES.contains(&per_second))? {
        1 => Some(Bytes::from_static(MONO)),
        2 => Some(Bytes::from_static(STEREO)),
        _ => None,
    }
}

#[derive(Debug)]
pub(super) struct Silence {
    packet: Option<Bytes>,
    per_second: u32,
    /// Of the last packet that went, in the sound's unit; and of the last one that was put in.
    end: Option<u64>,
    filled: u64,
    /// How far the picture was when the last packet came that has a place.
    heard_at: Option<Duration>,
    /// None came since silence was put in.
    is_silent: bool,
    /// Of packets without one since the last that had one; and of those that were too late.
    homeless: Duration,
    lost: Duration,
    /// How late packets were that had a place.
    lag: Option<Duration>,
}

impl Silence {
    pub(super) fn new(packet: Option<Bytes>, per_second: u32) -> Self {
        Self {
            packet,
            per_second,
            end: None,
            filled: 0,
            heard_at: None,
            is_silent: false,
            homeless: Duration::ZERO,
            lost: Duration::ZERO,
            lag: None,
        }
    }

    /// Whether the packet has a place; `picture`: the end of its last frame.
    pub(super) fn hears(&mut self, packet: &Sample, picture: Option<Duration>) -> bool {
        let has_place = packet.time >= self.filled;
        let time = seconds(packet.time, self.per_second);
        let late = picture.map(|picture| picture.saturating_sub(time));
        let is_too_late = !has_place && late.is_some_and(|late| self.is_lost(late));
        // That of the last one before a pause is the whole pause.
        let lasts = seconds(packet.duration.min(PACKET).into(), self.per_second);
        if has_place {
            (self.homeless, self.lost) = (Duration::ZERO, Duration::ZERO);
            // A picture that stands lets sound seem nearer than it is.
            let before = self.lag.map(|lag| lag.saturating_sub(lasts / FORGETS));
            self.lag = late.max(before);
        } else {
            let count = if is_too_late { &mut self.lost } else { &mut self.homeless };
            *count = count.saturating_add(lasts);
        }
        // What is to be played much later leaves this moment without sound.
        let is_of_now = picture.is_none_or(|picture| time <= picture.saturating_add(PATIENCE));
        if is_of_now && !is_too_late {
            (self.heard_at, self.is_silent) = (picture, false);
        }
        has_place
    }

    /// If none ever had a place, it may catch up.
    fn is_lost(&self, late: Duration) -> bool {
        late > self.lag.map_or(MOST_HOMELESS, |lag| TOO_LATE.max(lag.saturating_add(PATIENCE)))
    }

    /// It comes, and never where it could be played.
    pub(super) fn is_homeless(&self) -> bool {
        self.homeless >= MOST_HOMELESS || self.lost >= REPORTED_WITHIN
    }

    /// Adds to the sound of a part that is played then what it lacks.
    pub(super) fn fill(&mut self, sound: &mut Vec<Sample>, begin: Duration, until: Duration) {
        let mut end = self.end.unwrap_or_else(|| self.units(begin));
        if let Some(bytes) = self.packet.clone() {
            let mut whole = Vec::with_capacity(sound.len());
            for packet in sound.drain(..) {
                if packet.time.saturating_sub(end) >= LEAST_HOLE {
                    self.pad(&mut whole, &bytes, end, packet.time - u64::from(PACKET) + 1);
                }
                end = packet.end();
                whole.push(packet);
            }
            let since = *self.heard_at.get_or_insert(begin);
            let covered = seconds(end, self.per_second);
            // Pictures may come in lumps, and sound be on its way that belongs to them.
            if self.is_silent || begin.saturating_sub(since.max(covered)) > PATIENCE {
                let from = end.max(self.units(until.saturating_sub(MOST)));
                end = self.pad(&mut whole, &bytes, from, self.units(until));
                (self.filled, self.is_silent) = (end, true);
            }
            *sound = whole;
        }
        self.end = sound.last().map(Sample::end).or(Some(end));
    }

    /// Silence that begins before `until`; returns its end.
    fn pad(&self, sound: &mut Vec<Sample>, bytes: &Bytes, from: u64, until: u64) -> u64 {
        let mut time = from;
        // A longer hole was a jump of the sound's time.
        while time < until && until - from <= self.units(MOST) {
            sound.push(Sample { time, duration: PACKET, offset: 0, flags: FLAGS, bytes: bytes.clone() });
            time = time.saturating_add(PACKET.into());
        }
        time
    }

    fn units(&self, time: Duration) -> u64 {
        u64::try_from(time.as_nanos() * u128::from(self.per_second) / 1_000_000_000).unwrap_or(u64::MAX)
    }
}
