//! edge-agent: live video from RTSP cameras to any browser through nothing but object storage.
//!
//! The map of the house (ARCHITECTURE.md has the tour):
//!
//! * [`domain`]: the decisions. Pure: no I/O, no clock, no task, no log.
//! * [`config`]: `cameras.yaml` and the environment, parsed into a validated model.
//! * [`engine`]: turns a camera into segments (ffmpeg and its spool).
//! * [`store`]: the remote object store, one trait and its backends.
//! * [`camera`]: the drivers that carry out what `domain` decides, one supervisor per camera.
//! * [`http`]: the built-in web server (player page, file store).
//! * [`agent`]: the composition root.
//! * [`sys`], [`telemetry`], [`clock`]: processes and signals, logging, the only callers of `now()`.

pub mod agent;
pub mod camera;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod engine;
pub mod http;
pub mod store;
pub mod sys;
pub mod telemetry;
