//! The only callers of `now()`. Under tokio's paused test clock, monotonic time is the test's.

use std::time::{Instant, SystemTime};

/// Monotonic time: for deadlines and durations.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Wall clock: for people, file names and EXT-X-PROGRAM-DATE-TIME. It jumps.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Milliseconds since the Unix epoch; 0 before it.
pub fn wall_ms() -> u64 {
    let since = wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Sleeps until `at`; for ever if there is no deadline.
pub async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
