//! The built-in web server: the player page, the cameras and how they are, and their streams.
//!
//! It knows the cameras only as [`CameraLink`]s and [`StreamStatus`]es, plain values. May use: `clock`,
//! `domain::{access, class, edge, key, playlist, rate, signature, viewers}`.

mod answer;
mod auth;
mod back_office;
mod beneath;
mod control;
mod figures;
mod files;
mod guard;
mod health;
mod limits;
mod metrics;
mod nearby;
mod openapi;
mod page;
mod server;
mod sign;
mod site;
mod start;
mod streams;
mod viewing;
mod words;

pub use control::{Accepted, Control, Order, Outcome, Overrides, Refusal, Settled, Start, Starting};
pub use figures::{CameraFigures, Counted, Figures, LatencyFigures, ProcessFigures, RequestFigures};
pub use guard::Access;
pub use health::Ready;
pub use limits::Limits;
pub use page::{LIST as PAGE_LIST, files as page_files};
pub use server::{Bound, HttpError, bind};
pub use site::{CameraLink, FilesAt, Folder, LiveSite, STREAMS_PATH, Site};
pub use streams::{StreamStatus, Streams, UplinkStatus};
pub use words::{MODES, PHASES, VERDICTS};
