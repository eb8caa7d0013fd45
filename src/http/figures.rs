//! What `/metrics` tells besides the streams' status: counters and histograms, as plain values.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Everything at one moment.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    pub cameras: Vec<CameraFigures>,
    /// Of all cameras together: the storage is the same.
    pub latencies: Vec<LatencyFigures>,
    /// `None`: the machine does not tell.
    pub process: Option<ProcessFigures>,
}

#[derive(Debug, Clone)]
pub struct CameraFigures {
    pub camera_id: String,
    /// To the storage.
    pub requests: Vec<RequestFigures>,
    /// Of all its ffmpegs so far.
    pub ffmpeg_cpu: Duration,
    pub ffmpeg_resident_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
pub struct RequestFigures {
    pub operation: &'static str,
    pub outcome: &'static str,
    pub count: u64,
}

#[derive(Debug, Clone)]
pub struct LatencyFigures {
    pub operation: &'static str,
    /// Upper bounds in seconds, and how many took no longer.
    pub buckets: Vec<(f64, u64)>,
    pub count: u64,
    pub sum: Duration,
}

/// The agent itself, without its ffmpegs.
#[derive(Debug, Clone, Copy)]
pub struct ProcessFigures {
    pub cpu: Duration,
    pub resident_bytes: u64,
    pub open_fds: usize,
    /// Since the Unix epoch.
    pub started: Option<Duration>,
}

/// Gives the figures as they are now.
#[derive(Clone)]
pub struct Figures(Arc<dyn Fn() -> Counted + Send + Sync>);

impl Figures {
    pub fn new(now: impl Fn() -> Counted + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> Counted {
        (self.0)()
    }
}

impl Default for Figures {
    fn default() -> Self {
        Self::new(Counted::default)
    }
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Figures").finish_non_exhaustive()
    }
}
