//! What is done, and what is left to do.

use super::{Progress, Publication};
use crate::domain::parts::Parts;
use crate::domain::window::Window;

impl Publication {
    /// All that was produced is stored and listed: an agent that stops may go. Holds that still run are the
    /// next start's sweep, and what is too little to be shown is, too. One that stands back has nothing to finish. Behind
    /// [`super::Input::End`] all objects are removed, too.
    pub fn is_drained(&self) -> bool {
        self.uploads.is_idle()
            && self.parts.as_ref().is_none_or(Parts::is_idle)
            && (self.standby.len() == 0 || self.ownership.is_standing_back())
            && (self.generation == self.stored_generation || self.is_thin())
            && self.playlist_put.is_none()
            && !self.retired.is_deleting()
            && self.discards.is_empty()
            && self.is_wound_up()
    }

    pub fn progress(&self) -> Progress {
        let standing_back = self.ownership.is_standing_back();
        let waiting = if standing_back { 0 } else { self.standby.len() };
        Progress {
            backlog: self.uploads.backlog() + waiting,
            objects_left: self.retired.forgotten(),
            live_edge: self.window.as_ref().and_then(Window::live_edge),
            uplink: self.uploads.shortage(),
            standing_back,
            rival: self.ownership.rival(),
            conflicts: self.ownership.conflicts(),
            parts_published: self.parts.as_ref().map_or(0, Parts::stored_count),
            parts_given_up: self.parts.as_ref().map_or(0, Parts::given_up),
            is_short_for_both: !self.is_parted()
                && self.parts.as_ref().is_some_and(|parts| parts.precedence().is_short()),
            is_without_parts: self.parts.as_ref().is_some_and(|parts| parts.precedence().is_without_parts()),
            bytes_published: self.progress.bytes_published
                + self.parts.as_ref().map_or(0, Parts::bytes_stored),
            ..self.progress
        }
    }
}
