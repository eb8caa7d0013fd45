//! The decisions of the agent, pure: no I/O, no clock, no task, no log. Time and dice are arguments.
//!
//! May use: `std` (no `fs`, `net`, `process`, `thread`), `bytes`, `url`, `thiserror`, itself.

pub mod class;
pub mod ids;
pub mod key;
pub mod source;
