//! The runs that this machine made.

use std::collections::VecDeque;

use crate::domain::ids::RunId;

/// Those of a camera that reboots every minute, in a day without storage: the last playlist is an old one then.
const MOST: usize = 2_048;

#[derive(Debug, Default)]
pub(super) struct OwnRuns(VecDeque<RunId>);

impl OwnRuns {
    pub(super) fn add(&mut self, run: RunId) {
        if !self.has(run) {
            self.0.push_back(run);
            self.0.drain(..self.0.len().saturating_sub(MOST));
        }
    }

    pub(super) fn has(&self, run: RunId) -> bool {
        self.0.contains(&run)
    }
}
