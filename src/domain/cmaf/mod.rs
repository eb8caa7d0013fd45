//! From ffmpeg's frames to parts and segments (CMAF, ISO/IEC 23000-19: a part is a chunk, a segment is its chunks).
//!
//! ffmpeg writes picture and sound into a pipe each, every frame in a fragment of its own ([`Samples`] reads them back): so
//! no frame waits for the other track, and each frame's time is its own. In one file ffmpeg guesses the duration of a
//! frame that the other track's made it write, and the guesses add up. [`Cutter`] puts the tracks together again.

mod cutter;
mod join;
mod samples;
mod silence;
#[cfg(test)]
pub(crate) mod testing;
mod write;

use std::time::Duration;

pub use cutter::{Cut, Cutter, Made};
pub use join::Tracks;
pub use samples::{Damaged, Sample, Samples};

/// To the nanosecond: enough to tell any two frames apart.
fn seconds(time: u64, per_second: u32) -> Duration {
    let per_second = u64::from(per_second.max(1));
    let rest = u128::from(time % per_second) * 1_000_000_000 / u128::from(per_second);
    Duration::new(time / per_second, u32::try_from(rest).unwrap_or_default())
}
