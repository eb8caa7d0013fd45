//! What has become of a segment's parts.

use std::time::Duration;

use super::{Group, Held, Parts, State};
use crate::domain::key::ObjectKey;
use crate::domain::playlist::ListedPart;

/// What decimals of a duration leave over.
const TOLERANCE: Duration = Duration::from_millis(2);

/// Of all parts of a segment together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Stored,
    /// Nothing is lost, and something is on its way.
    Pending,
    /// Not all are there, or ever will be.
    Lost,
}

impl Parts {
    pub(super) fn group(&self, segment: &ObjectKey) -> Option<&Group> {
        self.groups.iter().find(|group| group.segment == *segment)
    }

    /// Of a segment of this duration.
    pub fn standing(&self, segment: &ObjectKey, duration: Duration) -> Standing {
        let Some(group) = self.group(segment) else { return Standing::Lost };
        let all: Duration = group.parts.iter().map(|held| held.duration).sum();
        let has = |is: fn(&Held) -> bool| group.parts.iter().any(is);
        if all.abs_diff(duration) > TOLERANCE || has(|held| matches!(held.state, State::Lost)) {
            Standing::Lost
        } else if has(Held::is_pending) {
            Standing::Pending
        } else {
            Standing::Stored
        }
    }

    /// The parts of a segment of this duration, if all are stored: players that know one of them need the next one, too.
    pub fn listed(&self, segment: &ObjectKey, duration: Duration) -> Option<Vec<ListedPart>> {
        let are_stored = self.standing(segment, duration) == Standing::Stored;
        let group = self.group(segment).filter(|_| are_stored)?;
        let listed = |held: &Held| ListedPart {
            key: held.key.clone(),
            duration: held.duration,
            independent: held.independent,
        };
        Some(group.parts.iter().map(listed).collect())
    }

    /// The number behind the segment's last part.
    pub fn next_number(&self, segment: &ObjectKey) -> Option<u64> {
        self.group(segment)?.parts.last().map(|held| held.number + 1)
    }
}
