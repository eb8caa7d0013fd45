//! The end of a stream that nobody wants any more: players are told (EXT-X-ENDLIST), and when they have had the time to
//! see the rest, nothing is left of it but an empty playlist, which keeps the numbers.

use std::time::{Duration, Instant};

use super::Publication;
use crate::domain::parts::Parts;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It goes on.
    No,
    /// What an earlier publication left is still to be taken over.
    Resumes,
    /// What was produced is still to be published.
    Asked,
    /// The playlist of this generation ends.
    Said { generation: u64 },
    /// It is stored; at this time nothing is named any more.
    Shown { until: Instant },
    /// Nothing is named any more; the holds run.
    Emptied,
}

impl Publication {
    pub(super) fn end(&mut self, now: Instant) {
        self.ending = Ending::Asked;
        self.wind_up(now);
    }

    pub(super) fn end_what_is_there(&mut self) {
        self.ending = Ending::Resumes;
        self.ownership.wake();
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending != Ending::No
    }

    /// One step further, if it is time.
    pub(super) fn wind_up(&mut self, now: Instant) {
        let Some(window) = &mut self.window else {
            // Nothing was published, or another agent publishes, and the end is not this one's to tell. What waits to
            // be published is to come first.
            let has_none = self.standby.len() == 0 && self.ending != Ending::Resumes;
            if self.is_ending() && (has_none || self.ownership.is_standing_back()) {
                self.ending = Ending::No;
                // Of a segment that never came.
                self.parts.iter_mut().for_each(Parts::clear);
            }
            return;
        };
        match self.ending {
            Ending::Asked | Ending::Resumes if self.uploads.is_idle() => {
                window.end();
                self.generation += 1;
                self.changed_at = Some(now);
                self.ending = Ending::Said { generation: self.generation };
            }
            Ending::Said { generation } if self.stored_generation >= generation => {
                let listed: Duration = window.entries().map(|entry| entry.duration).sum();
                self.ending = Ending::Shown { until: now + listed };
            }
            Ending::Shown { until } if until <= now => {
                let gone = window.clear();
                // The lease may not be over, but whoever wants the stream elsewhere need not wait for this.
                self.ownership.leaves();
                self.generation += 1;
                self.changed_at = Some(now);
                self.ending = Ending::Emptied;
                self.retire(gone);
                self.forget_all_parts(now);
                self.retire_inits(now);
            }
            _ => {}
        }
    }

    /// When to call [`Self::wind_up`].
    pub(super) fn wind_up_at(&self) -> Option<Instant> {
        if let Ending::Shown { until } = self.ending { Some(until) } else { None }
    }

    /// Nothing of the stream is left to be removed, or nobody asked for that.
    pub(super) fn is_wound_up(&self) -> bool {
        match self.ending {
            Ending::No => true,
            Ending::Resumes | Ending::Asked | Ending::Said { .. } | Ending::Shown { .. } => false,
            // It may be the last time that this camera runs: what a killed agent left goes with it.
            Ending::Emptied => self.sweep.was_done() && self.retired.is_empty(),
        }
    }
}
