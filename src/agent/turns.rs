//! How often a stream's runs may begin: a process is dear, and a back office may start and stop all day.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::ids::CameraId;
use crate::domain::rate::{Buckets, Rate};

/// Of one stream.
const RUNS: Rate = Rate { interval: Duration::from_secs(1), burst: 3 };
/// Beyond so many they share one turn.
const MOST_STREAMS: usize = 1 << 16;

/// Of all streams, so that one which is forgotten and named again gets no more.
#[derive(Debug, Clone)]
pub(super) struct Turns(Arc<Mutex<Buckets<CameraId>>>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Buckets::new(RUNS, MOST_STREAMS))))
    }
}

impl Turns {
    /// A run may begin now, or when it may.
    pub(super) fn take(&self, camera: &CameraId, now: Instant) -> Result<(), Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(camera.clone(), now)
    }
}
