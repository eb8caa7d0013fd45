//! The drivers: they carry out what `domain` decides. One supervisor and one publisher per camera; nothing is
//! shared across cameras but the store and the engine's workshop.
//!
//! A driver is a loop: drain the machine's actions into tasks, wait for the first thing to happen, tell the
//! machine. May use: `domain`, `engine`, `store`, `clock`, `config::model`.

mod calls;
mod change;
pub mod ending;
mod looks;
pub mod metered;
pub mod outlets;
pub mod plan;
mod poster;
pub mod publisher;
mod reporter;
mod rivalry;
pub mod sheet;
pub mod snapshots;
pub mod status;
pub mod supervisor;
#[cfg(test)]
mod tests;
pub mod trouble;
pub mod variants;
mod voice;
