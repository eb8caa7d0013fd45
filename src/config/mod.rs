//! `cameras.yaml` and the environment, parsed into a validated [`model`].

pub mod model;
