//! The test rig's own tests: a viewer that can't see a breach, or a camera that gives no picture, proves nothing.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod fault_proxy;
mod judge;
mod m3u8;
mod parts;
mod seams;
mod viewer;
