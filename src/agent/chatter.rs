//! What callers cause goes into the log as often as a person would do it, and the rest is counted: a back office that starts
//! and stops a stream all the time must not fill it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::rate::{Buckets, Rate};

/// Of one stream.
const LINES: Rate = Rate { interval: Duration::from_secs(60), burst: 10 };

#[derive(Debug)]
pub(super) struct Chatter(Mutex<Told>);

#[derive(Debug)]
struct Told {
    bucket: Buckets<()>,
    left_out: u64,
}

impl Default for Chatter {
    fn default() -> Self {
        Self(Mutex::new(Told { bucket: Buckets::new(LINES, 1), left_out: 0 }))
    }
}

impl Chatter {
    /// How many lines were left out before this one; `None`: it is left out, too.
    pub(super) fn may_tell(&self, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.bucket.take((), now).is_err() {
            told.left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut told.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_are_told_and_the_rest_is_counted() {
        let (chatter, now) = (Chatter::default(), crate::clock::now());
        let told: Vec<_> = (0..100).filter_map(|_| chatter.may_tell(now)).collect();
        assert_eq!(told, [0; 10]);
        assert_eq!(chatter.may_tell(now + LINES.interval), Some(90));
        assert_eq!(chatter.may_tell(now + LINES.interval), None);
    }
}
