//! `/metrics`, in the text format that every Prometheus scraper reads (0.0.4).
//!
//! Written by hand: the values are a snapshot, and `prometheus-client` counts for itself and writes OpenMetrics only,
//! whose `TYPE` lines older scrapers do not match to the counters.

mod text;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::NOT_STORED;
use super::figures::{CameraFigures, Counted, Figures};
use super::streams::{StreamStatus, Streams};
use text::Text;

/// Words of `restarts_by_cause`.
const USUAL_CAUSES: [&str; 8] =
    ["auth", "bad_stream", "crashed", "disconnected", "encoder", "not_found", "stalled", "unreachable"];
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn router(streams: Streams, figures: Figures) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(metrics)).with_state((streams, figures))
}

/// For Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, description = "Text format 0.0.4", body = String, content_type = "text/plain")))]
async fn metrics(State((streams, figures)): State<(Streams, Figures)>) -> Response {
    let text = written(&streams.now(), &figures.now());
    ([NOT_STORED, (header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

/// One value per camera; `None`: there is none now.
type Value = fn(&StreamStatus) -> Option<f64>;

const COUNTERS: &[(&str, &str, Value)] = &[
    ("segments_published_total", "Segments that the storage took.", |s| Some(s.segments_published as f64)),
    ("segments_given_up_total", "Segments that were not uploaded in time.", |s| {
        Some(s.segments_given_up as f64)
    }),
    ("local_segments_given_up_total", "Segments that viewers of this server missed.", |s| {
        Some(s.local_segments_given_up as f64)
    }),
    ("segments_missed_total", "Segments that were lost before their upload.", |s| {
        Some(s.segments_missed as f64)
    }),
    ("parts_published_total", "Parts of segments that the storage took.", |s| Some(s.parts_published as f64)),
    ("parts_given_up_total", "Parts of segments that were not uploaded in time.", |s| {
        Some(s.parts_given_up as f64)
    }),
    ("segments_left_out_total", "Segments that went in parts alone, for want of room in the uplink.", |s| {
        Some(s.segments_left_out as f64)
    }),
    ("published_bytes_total", "Bytes of the segments and parts that the storage took.", |s| {
        Some(s.bytes_published as f64)
    }),
    ("health_checks_total", "Looks of the health monitor.", |s| Some(s.health_check_count as f64)),
    ("snapshots_failed_total", "Still pictures that could not be made or stored.", |s| {
        Some(s.snapshots_failed as f64)
    }),
];

const GAUGES: &[(&str, &str, Value)] = &[
    ("stream_active", "1: a run gives segments.", |s| Some(f64::from(s.is_active))),
    ("stream_standing_back", "1: another agent publishes the camera.", |s| Some(f64::from(s.standing_back))),
    ("stream_viewers", "Viewers of the stream on this server.", |s| Some(s.viewers as f64)),
    ("stream_live_seconds", "Time that the camera has been live without a break.", |s| s.uptime_s),
    ("stream_next_try_seconds", "Time until the next try of a camera that failed.", |s| s.next_try_in_s),
    ("segment_age_seconds", "Time since the last segment was made.", |s| s.last_segment_age_s),
    ("playlist_age_seconds", "Time since the storage took a playlist.", |s| s.last_upload_age_s),
    ("snapshot_age_seconds", "Time since the storage took a still picture.", |s| s.snapshot_age_s),
    ("bitrate_bytes_per_second", "What is published, with sound and packaging.", |s| {
        s.bitrate_kbps.map(bytes)
    }),
    ("frames_per_second", "Pictures that are published.", |s| s.fps),
    (
        "storage_cost_dollars_per_month",
        "What the requests of the last ten minutes cost in 30 days; no traffic.",
        |s| s.request_cost_per_month_usd,
    ),
    ("backlog_segments", "Segments that wait for their upload.", |s| Some(s.backlog as f64)),
    ("uplink_needed_bytes_per_second", "What a stream needs that the uplink does not carry.", |s| {
        s.uplink.map(|uplink| bytes(uplink.needs_kbps))
    }),
    (
        "uplink_carried_bytes_per_second",
        "What the uplink carries of a stream that it does not carry whole.",
        |s| s.uplink.map(|uplink| bytes(uplink.carries_kbps)),
    ),
];

const VERDICTS: [&str; 5] = ["ok", "idle", "starting", "degraded", "down"];

fn bytes(kbps: u32) -> f64 {
    f64::from(kbps) * 125.0
}

fn written(streams: &[StreamStatus], counted: &Counted) -> String {
    let mut text = Text::default();
    text.family("build_info", "gauge", "The agent's version.");
    text.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    text.family("streams", "gauge", "Cameras, also those that nobody wants now.");
    text.sample(&[], streams.len() as f64);
    text.family("streams_active", "gauge", "Cameras with a run that gives segments.");
    text.sample(&[], streams.iter().filter(|stream| stream.is_active).count() as f64);
    for (kind, families) in [("counter", COUNTERS), ("gauge", GAUGES)] {
        for (name, help, value) in families {
            text.family(name, kind, help);
            for stream in streams {
                if let Some(value) = value(stream) {
                    text.sample(&[("camera", &stream.camera_id)], value);
                }
            }
        }
    }
    text.family("restarts_total", "counter", "Runs that ended without being asked to, by cause.");
    for stream in streams {
        let mut counts = stream.restarts_by_cause.clone();
        // A count that begins with 1 is no increase to Prometheus. Of those that rest it would be too many lines.
        if stream.phase != "idle" {
            USUAL_CAUSES.iter().for_each(|cause| _ = counts.entry(cause).or_default());
        }
        for (cause, count) in counts {
            text.sample(&[("camera", &stream.camera_id), ("cause", cause)], count as f64);
        }
    }
    text.family("stream_verdict", "gauge", "1: how the camera is.");
    for stream in streams {
        for verdict in VERDICTS {
            let labels = [("camera", stream.camera_id.as_str()), ("verdict", verdict)];
            text.sample(&labels, f64::from(stream.verdict == verdict));
        }
    }
    write_cameras(&mut text, &counted.cameras);
    write_machine(&mut text, counted);
    text.done()
}

fn write_cameras(text: &mut Text, cameras: &[CameraFigures]) {
    text.family("storage_requests_total", "counter", "Requests to the storage, by what came of them.");
    for camera in cameras {
        for request in &camera.requests {
            let (operation, outcome) = (("operation", request.operation), ("outcome", request.outcome));
            text.sample(&[("camera", &camera.camera_id), operation, outcome], request.count as f64);
        }
    }
    text.family(
        "ffmpeg_cpu_seconds_total",
        "counter",
        "CPU time of the camera's ffmpegs, and what they started.",
    );
    for camera in cameras {
        text.sample(&[("camera", &camera.camera_id)], camera.ffmpeg_cpu.as_secs_f64());
    }
    text.family(
        "ffmpeg_resident_memory_bytes",
        "gauge",
        "Memory of the camera's ffmpeg, and what it started.",
    );
    for camera in cameras {
        text.sample(&[("camera", &camera.camera_id)], camera.ffmpeg_resident_bytes as f64);
    }
}

fn write_machine(text: &mut Text, counted: &Counted) {
    let help = "How long requests to the storage took, of all cameras.";
    text.family("storage_request_duration_seconds", "histogram", help);
    for took in &counted.latencies {
        text.histogram(("operation", took.operation), &took.buckets, took.count, took.sum.as_secs_f64());
    }
    let Some(process) = &counted.process else { return };
    text.family("process_cpu_seconds_total", "counter", "CPU time of the agent itself.");
    text.sample(&[], process.cpu.as_secs_f64());
    text.family("process_resident_memory_bytes", "gauge", "Memory of the agent itself.");
    text.sample(&[], process.resident_bytes as f64);
    text.family("process_open_fds", "gauge", "Open file descriptors of the agent.");
    text.sample(&[], process.open_fds as f64);
    text.family("process_start_time_seconds", "gauge", "When the agent was started, since the Unix epoch.");
    if let Some(started) = process.started {
        text.sample(&[], started.as_secs_f64());
    }
}
