//! Health and metrics.

use edge_agent::http::{StreamStatus, Streams};
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
        concat!("edge_agent_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(text.lines().any(|written| written == line), "{line} in\n{text}");
    }
    well_formed(&text);
    assert!(!text.contains("next_try"), "what has no value has no line");
}

/// As `promtool check metrics` would have it.
fn well_formed(text: &str) {
    let (mut family, mut seen) = (("", ""), std::collections::HashSet::new());
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            family = head.split_once(' ').unwrap();
            assert!(seen.insert(head), "{line}: twice");
            assert!(text.contains(&format!("# HELP {} ", family.0)), "{line}: without help");
            assert_eq!(family.0.ends_with("_total"), family.1 == "counter", "{line}");
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(sample.split('{').next().unwrap(), family.0, "{line}: in another family");
            value.parse::<f64>().unwrap();
            assert!(seen.insert(sample), "{line}: twice");
        }
    }
    assert!(text.ends_with('\n') && seen.len() > 20);
}
