//! The built-in web server: the player page, the list of cameras, and the `file` store's folder.
//!
//! It knows the cameras only as [`CameraLink`]s, plain values. May use: `domain::class`.

mod beneath;
mod files;
mod page;
mod server;
mod site;

pub use server::{Bound, HttpError, Limits, bind};
pub use site::{CameraLink, FilesAt, STREAMS_PATH, Site};
