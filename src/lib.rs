//! edge-agent: live video from RTSP cameras to any browser through nothing but object storage.
//!
//! The map of the house. ARCHITECTURE.md has the tour; `tests/house.rs` holds who may import whom.
//!
//! * [`domain`]: the decisions. Pure: no I/O, no clock, no task, no log.
//! * [`config`]: `cameras.yaml` and the environment, parsed into a validated model.
//! * [`engine`]: turns a camera into segments (ffmpeg and its spool). Knows no store.
//! * [`store`]: the remote object store, one trait and its backends. Knows no playlist.
//! * [`camera`]: the drivers that carry out what `domain` decides, a supervisor and a publisher per camera.
//! * [`http`]: the built-in web server (player page, list of cameras, the `file` store's folder).
//! * [`agent`]: the composition root: a configuration becomes a running tree of tasks.
//! * [`cli`]: the command line.
//! * [`sys`], [`telemetry`], [`clock`]: processes and signals, log formats, the only callers of `now()`.
//!
//! A segment's way: [`engine`] (ffmpeg wrote it) to [`camera::supervisor`] (the camera lives) to
//! [`camera::publisher`], which asks [`domain::publication::Publication`] what to do and does it on a [`store`].

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
