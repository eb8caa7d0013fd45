//! `cameras.yaml` and the environment, parsed into a validated [`model`].
//!
//! ```text
//! text ── yaml ──> node ── file ─┬─ camera ── settings
//!                                ├─ http
//!                                └─ storage / storage_env ──> model::Config, or every fault at once
//! ```
//!
//! The tree is walked by hand instead of by serde, because all faults are reported together, each with
//! its line and field. The process is seen through [`Env`] alone, so that all of it is testable.
//! May use: `domain`. Only `yaml` names the YAML crate, only `env` touches the process.

mod adhoc;
mod camera;
mod check;
mod diff;
mod env;
mod env_file;
mod expand;
mod fault;
mod file;
mod http;
mod load;
pub mod model;
mod node;
mod overrides;
mod prices;
mod read;
mod renditions;
mod secret;
mod select;
mod settings;
mod source;
mod storage;
mod storage_env;
mod sub_second;
mod suggest;
mod usual_env;
mod value;
mod yaml;

#[cfg(test)]
mod tests;

pub use diff::{CameraChanges, camera_changes, same_access, same_place, same_stream};
pub use env::{Env, ProcessEnv};
pub use env_file::{EnvFile, FileEnv};
pub use fault::{Fault, Faults, Place};
pub use load::{Loaded, NotFound, find, load, load_with, parse};
pub use overrides::Overrides;
pub use select::{SelectError, select};
pub use settings::Said;
pub use source::{RELOAD_FROM, StorageNow, StorageSource};
