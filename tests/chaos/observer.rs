//! What an outage cost, as a viewer of the public playlist saw it.

use std::time::{Duration, SystemTime};

use crate::support::viewer::{Arrival, Viewer};

/// A segment of 1 s that is listed when it is this old is live: its own second, and one for a busy machine.
const LIVE: Duration = Duration::from_secs(2);

/// The moment from which on it counts.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    arrivals: usize,
    breaches: usize,
}

#[derive(Debug, Default)]
pub struct Cost {
    /// The longest time without a new segment.
    pub dark: Duration,
    pub lost: u64,
    pub seams: u64,
    pub breaches: Vec<String>,
    /// What is wrong with the seams.
    pub seam_faults: Vec<String>,
}

pub fn mark(viewer: &Viewer) -> Mark {
    let journal = viewer.journal();
    Mark { arrivals: journal.arrivals.len(), breaches: journal.breaches.len() }
}

/// When the first segment that came since `after` was on time; by the stamps, if those can be trusted.
pub fn live_since(viewer: &Viewer, after: SystemTime, stamps: bool) -> Option<SystemTime> {
    let fresh = |arrival: &&Arrival| arrival.at > after && (!stamps || age(arrival) <= LIVE);
    viewer.journal().arrivals.iter().find(fresh).map(|arrival| arrival.at)
}

/// How old the newest of its pictures was when it came.
fn age(arrival: &Arrival) -> Duration {
    let end = arrival.segment.program_time.map(|start| start + arrival.segment.duration);
    end.and_then(|end| arrival.at.duration_since(end).ok()).unwrap_or_default()
}

pub fn cost(viewer: &Viewer, since: Mark) -> Cost {
    let journal = viewer.journal();
    let from = since.arrivals.saturating_sub(1);
    let mut cost = Cost { breaches: journal.breaches[since.breaches..].to_vec(), ..Cost::default() };
    for pair in journal.arrivals[from.min(journal.arrivals.len())..].windows(2) {
        let [before, now] = pair else { continue };
        cost.dark = cost.dark.max(now.at.duration_since(before.at).unwrap_or_default());
        cost.seams += u64::from(now.segment.discontinuity);
        let missing = missing(&before.segment.uri, &now.segment.uri);
        cost.lost += missing.unwrap_or_default();
        let hole = missing != Some(0);
        if hole && !now.segment.discontinuity {
            cost.seam_faults.push(format!("a hole without a discontinuity before {}", now.segment.uri));
        }
        if !hole && now.segment.discontinuity {
            cost.seam_faults.push(format!("a discontinuity without a hole before {}", now.segment.uri));
        }
    }
    cost
}

/// Segments of one run that were never listed; `None` where another run begins. `segment_{run}_{index}.ts`, or `.m4s`; without an object of the
/// whole `segment_{run}_{index}_parts.m4s`
fn missing(before: &str, now: &str) -> Option<u64> {
    let parts = |uri: &str| {
        let (name, _) = uri.rsplit_once('.')?;
        let (head, index) = name.strip_suffix("_parts").unwrap_or(name).rsplit_once('_')?;
        Some((head.to_owned(), index.parse::<u64>().ok()?))
    };
    let ((run_before, before), (run, now)) = parts(before).zip(parts(now))?;
    (run == run_before).then(|| now.saturating_sub(before + 1))
}
