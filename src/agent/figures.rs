//! What is counted of the cameras, for metrics and status: it goes on over reloads and restarts of a camera.

use std::time::Instant;

use crate::camera::metered::{Meter, Stopwatch};
use crate::domain::prices::Prices;
use crate::domain::requests::{Histogram, Operation, Outcome};
use crate::engine::ffmpeg::FfmpegUse;
use crate::http::{CameraFigures, LatencyFigures, ProcessFigures, RequestFigures, StreamStatus};
use crate::sys::usage::own_process;

/// One camera's. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    pub(super) meter: Meter,
    pub(super) ffmpeg: FfmpegUse,
}

impl Figures {
    pub(super) fn new(stopwatch: Stopwatch) -> Self {
        Self { meter: Meter::new(stopwatch), ffmpeg: FfmpegUse::default() }
    }

    /// What its requests cost.
    pub(super) fn complete(
        &self,
        stream: StreamStatus,
        prices: Option<Prices>,
        now: Instant,
    ) -> StreamStatus {
        let rate = self.meter.read().rate(now);
        let cost = prices.zip(rate).map(|(prices, rate)| prices.per_month(rate));
        StreamStatus {
            requests_per_s: rate.map(|rate| rounded(rate.all(), 1000.0)),
            request_cost_per_month_usd: cost.map(|cost| rounded(cost, 100.0)),
            ..stream
        }
    }

    pub(super) fn told(&self, camera: &str) -> CameraFigures {
        let usage = self.ffmpeg.read();
        let requests = self.meter.read();
        let request = |(operation, outcome, count)| {
            let (operation, outcome) = (Operation::name(operation), Outcome::name(outcome));
            RequestFigures { operation, outcome, count }
        };
        CameraFigures {
            camera_id: camera.to_owned(),
            requests: requests.counts().map(request).collect(),
            ffmpeg_cpu: usage.cpu,
            ffmpeg_resident_bytes: usage.resident_bytes,
        }
    }
}

pub(super) fn latencies(stopwatch: &Stopwatch) -> Vec<LatencyFigures> {
    let told = |(operation, took): (Operation, &Histogram)| LatencyFigures {
        operation: operation.name(),
        buckets: took.cumulated().collect(),
        count: took.count(),
        sum: took.sum,
    };
    stopwatch.read().iter().map(told).collect()
}

pub(super) fn process() -> Option<ProcessFigures> {
    let own = own_process()?;
    let (cpu, resident_bytes) = (own.usage.cpu, own.usage.resident_bytes);
    Some(ProcessFigures { cpu, resident_bytes, open_fds: own.open_fds, started: own.started })
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}
