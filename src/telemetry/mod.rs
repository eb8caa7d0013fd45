//! Logging. Messages are constant sentences, values are fields; a healthy camera is silent at info.

pub mod logging;
