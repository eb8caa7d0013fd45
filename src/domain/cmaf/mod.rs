//! From ffmpeg's frames to parts and segments (CMAF, ISO/IEC 23000-19: a part is a chunk, a segment is its chunks).
//!
//! ffmpeg writes picture and sound into a pipe each, every frame in a fragment of its own ([`Samples`] reads them back): so
//! no frame waits for the other track, and each frame's time is its own. In one file ffmpeg guesses the duration of a
//! frame that the other track's made it write, and the guesses add up. [`Cutter`] puts the tracks together again.

mod cutter;
mod join;
mod samples;
#[cfg(test)]
pub(crate) mod testing;
mod write;

pub use cutter::{Cut, Cutter, Made};
pub use join::Tracks;
pub use samples::{Damaged, Sample, Samples};
