//! How often a stream's runs may begin, and what they left be removed: a process is dear and so are requests, and a back
//! office may start and stop all day.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::ids::CameraId;
use crate::domain::rate::{Buckets, Rate};

/// Of one stream.
const RUNS: Rate = Rate { interval: Duration::from_secs(1), burst: 3 };
/// Who stops it once does not wait.
const CLEARS: Rate = Rate { interval: Duration::from_secs(5), burst: 3 };
/// Beyond so many they share one turn.
const MOST_STREAMS: usize = 1 << 16;

/// Of all streams, so that one which is forgotten and named again gets no more.
#[derive(Debug, Clone)]
pub(super) struct Turns(Arc<Mutex<Buckets<CameraId>>>);

impl Turns {
    pub(super) fn of_runs() -> Self {
        Self::of(RUNS)
    }

    pub(super) fn of_clears() -> Self {
        Self::of(CLEARS)
    }

    fn of(rate: Rate) -> Self {
        Self(Arc::new(Mutex::new(Buckets::new(rate, MOST_STREAMS))))
    }

    /// It may be done now, or when it may.
    pub(super) fn take(&self, camera: &CameraId, now: Instant) -> Result<(), Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(camera.clone(), now)
    }
}
