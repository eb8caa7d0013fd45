//! The agent's parsers of what others wrote, compiled from the agent's own sources. Not the whole agent: its
//! storage SDK would take minutes to build with a sanitizer, and none of it is fuzzed here.
#![allow(dead_code, reason = "only the parsers are called")]

#[path = "../../src/config/mod.rs"]
pub mod config;
#[path = "../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../src/engine/spool/diff.rs"]
pub mod spool_diff;
#[path = "../../src/engine/ffmpeg/stderr.rs"]
pub mod stderr;
/// What a probe's ffmpeg reports.
#[path = "../../src/engine/ffmpeg/probe"]
pub mod probe {
    pub mod measure;
    pub mod report;
}
