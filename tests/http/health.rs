//! Health and metrics.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use edge_agent::domain::requests::{Latencies, Operation};
use edge_agent::http::{
    CameraFigures, Counted, LatencyFigures, ProcessFigures, RequestFigures, StreamStatus, Streams,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{Server, header, streams};

/// Shows these from now on; a connection goes by the newest router.
fn show(server: &Server, told: Vec<StreamStatus>) {
    server.site.send_modify(|site| site.streams = Streams::new(move || told.clone()));
}

/// The answer once it says so: a site is taken over a moment after it was sent.
async fn health(server: &Server, status: &str) -> (StatusCode, Value) {
    let wanted = async {
        loop {
            let answer = server.get("/api/health").send().await.unwrap();
            assert_eq!(header(&answer, "cache-control"), "no-store");
            let (code, body) = (answer.status(), answer.json::<Value>().await.unwrap());
            if body["status"] == status {
                return (code, body);
            }
        }
    };
    tokio::time::timeout(crate::PATIENCE, wanted).await.unwrap_or_else(|_| panic!("never {status}"))
}

fn camera(id: &str, verdict: &'static str, reason: Option<&str>) -> StreamStatus {
    let is_active = matches!(verdict, "ok" | "degraded");
    let camera_id = id.to_owned();
    StreamStatus { camera_id, verdict, reason: reason.map(Into::into), is_active, ..streams::told() }
}

#[tokio::test]
async fn the_process_is_alive() {
    let answer = Server::start().await.get("/healthz").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(&answer, "cache-control"), "no-store");
    assert_eq!(answer.text().await.unwrap(), "ok");
}

#[tokio::test]
async fn it_is_ready_from_the_storages_first_answer_on() {
    let server = Server::start().await;
    let answer = server.get("/readyz").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({"error": "the storage has not answered yet"}));
    server.site.borrow().ready.set();
    let answer = server.get("/readyz").send().await.unwrap();
    assert_eq!((answer.status(), header(&answer, "cache-control")), (StatusCode::OK, "no-store"));
}

#[tokio::test]
async fn health_is_that_of_the_worst_camera() {
    let server = Server::start().await;
    let (ok, idle) = (camera("a", "ok", None), camera("b", "idle", None));
    show(&server, vec![ok.clone(), idle.clone(), camera("c", "starting", None)]);
    let (code, body) = health(&server, "ok").await;
    assert_eq!((code, &body["active_streams"]), (StatusCode::OK, &json!(1)));
    let slow = camera("d", "degraded", Some("the uplink is too slow"));
    show(&server, vec![ok.clone(), slow.clone()]);
    let (code, body) = health(&server, "degraded").await;
    assert_eq!((code, &body["active_streams"]), (StatusCode::OK, &json!(2)));
    show(&server, vec![ok, slow, camera("e", "down", Some("the camera can't be reached"))]);
    let (code, body) = health(&server, "down").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    let expected = json!({
        "status": "down", "active_streams": 2, "cameras": [
            {"camera_id": "a", "verdict": "ok", "reason": null},
            {"camera_id": "d", "verdict": "degraded", "reason": "the uplink is too slow"},
            {"camera_id": "e", "verdict": "down", "reason": "the camera can't be reached"},
        ]
    });
    assert_eq!(body, expected);
    // What a caller named badly is told, and no reason to restart the box.
    let typo = camera("f", "down", Some("the camera can't be reached"));
    show(&server, vec![camera("a", "ok", None), StreamStatus { is_adhoc: true, ..typo }]);
    let (code, body) = health(&server, "ok").await;
    assert_eq!((code, &body["cameras"][1]["verdict"]), (StatusCode::OK, &json!("down")));
}

pub fn counted() -> Counted {
    let mut latencies = Latencies::default();
    for ms in [4, 40, 400, 40_000] {
        latencies.observe(Operation::PutSegment, Duration::from_millis(ms));
    }
    let latencies = latencies.iter().map(|(operation, took)| LatencyFigures {
        operation: operation.name(),
        buckets: took.cumulated().collect(),
        count: took.count(),
        sum: took.sum,
    });
    let request = |operation, outcome, count| RequestFigures { operation, outcome, count };
    Counted {
        cameras: vec![CameraFigures {
            camera_id: "cam_floor".into(),
            requests: vec![request("put_segment", "ok", 99), request("put_segment", "unavailable", 1)],
            ffmpeg_cpu: Duration::from_millis(12_500),
            ffmpeg_resident_bytes: 80 << 20,
        }],
        latencies: latencies.collect(),
        process: Some(ProcessFigures {
            cpu: Duration::from_millis(1250),
            resident_bytes: 20 << 20,
            open_fds: 23,
            started: Some(Duration::from_millis(1_800_000_000_250)),
        }),
    }
}

#[tokio::test]
async fn metrics_follow_the_conventions() {
    let server = Server::start().await;
    let answer = server.get("/metrics").send().await.unwrap();
    assert_eq!(header(&answer, "content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(header(&answer, "cache-control"), "no-store");
    let text = answer.text().await.unwrap();
    for line in [
        "# TYPE edge_agent_segments_published_total counter",
        r#"edge_agent_segments_published_total{camera="cam_floor"} 99"#,
        r#"edge_agent_parts_published_total{camera="cam_floor"} 495"#,
        r#"edge_agent_parts_given_up_total{camera="cam_floor"} 4"#,
        r#"edge_agent_segments_left_out_total{camera="cam_floor"} 3"#,
        r#"edge_agent_published_bytes_total{camera="cam_floor"} 1234"#,
        r#"edge_agent_restarts_total{camera="cam_floor",cause="auth"} 2"#,
        "# TYPE edge_agent_segment_age_seconds gauge",
        r#"edge_agent_segment_age_seconds{camera="cam_floor"} 0.75"#,
        r#"edge_agent_playlist_age_seconds{camera="cam_floor"} 0.5"#,
        r#"edge_agent_backlog_segments{camera="cam_floor"} 1"#,
        r#"edge_agent_uplink_carried_bytes_per_second{camera="cam_floor"} 30750"#,
        r#"edge_agent_stream_verdict{camera="cam_floor",verdict="ok"} 1"#,
        r#"edge_agent_stream_verdict{camera="cam_floor",verdict="down"} 0"#,
        "edge_agent_streams_active 1",
        r#"edge_agent_bitrate_bytes_per_second{camera="cam_floor"} 293125"#,
        r#"edge_agent_frames_per_second{camera="cam_floor"} 24.99"#,
        r#"edge_agent_storage_cost_dollars_per_month{camera="cam_floor"} 13.5"#,
        "# TYPE edge_agent_storage_requests_total counter",
        r#"edge_agent_storage_requests_total{camera="cam_floor",operation="put_segment",outcome="ok"} 99"#,
        r#"edge_agent_ffmpeg_cpu_seconds_total{camera="cam_floor"} 12.5"#,
        r#"edge_agent_ffmpeg_resident_memory_bytes{camera="cam_floor"} 83886080"#,
        "# TYPE edge_agent_storage_request_duration_seconds histogram",
        r#"edge_agent_storage_request_duration_seconds_bucket{operation="put_segment",le="0.05"} 2"#,
        r#"edge_agent_storage_request_duration_seconds_bucket{operation="put_segment",le="30"} 3"#,
        r#"edge_agent_storage_request_duration_seconds_bucket{operation="put_segment",le="+Inf"} 4"#,
        r#"edge_agent_storage_request_duration_seconds_sum{operation="put_segment"} 40.444"#,
        r#"edge_agent_storage_request_duration_seconds_count{operation="put_segment"} 4"#,
        "process_cpu_seconds_total 1.25",
        "process_resident_memory_bytes 20971520",
        "process_open_fds 23",
        "process_start_time_seconds 1800000000.25",
        concat!("edge_agent_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(text.lines().any(|written| written == line), "{line} in\n{text}");
    }
    well_formed(&text);
    assert!(!text.contains("next_try"), "what has no value has no line");
}

/// Prometheus's own parser and rules.
#[tokio::test]
async fn prometheus_takes_the_metrics_and_has_nothing_to_say() {
    let server = Server::start().await;
    let text = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool =
        promtool.spawn().expect("needs promtool: packaging/setup.sh test installs it (package prometheus)");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}

fn well_formed(text: &str) {
    let (mut family, mut seen) = (("", ""), std::collections::HashSet::new());
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            family = head.split_once(' ').unwrap();
            assert!(seen.insert(head), "{line}: twice");
            assert!(text.contains(&format!("# HELP {} ", family.0)), "{line}: without help");
            assert_eq!(family.0.ends_with("_total"), family.1 == "counter", "{line}");
            assert!(family.0.starts_with("edge_agent_") || family.0.starts_with("process_"), "{line}");
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            let suffix = name.strip_prefix(family.0).unwrap_or("?");
            let of_histogram = family.1 == "histogram" && ["_bucket", "_sum", "_count"].contains(&suffix);
            assert!(suffix.is_empty() || of_histogram, "{line}: in another family");
            value.parse::<f64>().unwrap();
            assert!(seen.insert(sample), "{line}: twice");
        }
    }
    assert!(text.ends_with('\n') && seen.len() > 20);
}
