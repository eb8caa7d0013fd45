//! `/api/streams`.

use edge_agent::http::{StreamStatus, UplinkStatus};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{Server, header};

pub fn told() -> StreamStatus {
    StreamStatus {
        stream_id: "cam_floor".into(),
        camera_id: "cam_floor".into(),
        name: "Floor".into(),
        is_adhoc: false,
        is_active: true,
        phase: "live",
        verdict: "ok",
        quality: Some("auto"),
        max_bitrate: Some(3000),
        mode: Some("copy"),
        encoder: None,
        mode_reason: Some("copying: H.264 High 1280x720, keyframe interval 2 s".into()),
        resolution: Some("1280x720".into()),
        fps: Some(24.99),
        bitrate_kbps: Some(2345),
        reason: None,
        uptime_s: Some(12.5),
        next_try_in_s: None,
        last_segment_age_s: Some(0.75),
        last_upload_age_s: Some(0.5),
        health_check_count: 7,
        reconnect_count: 2,
        restarts_by_cause: [("auth", 2)].into(),
        segments_published: 99,
        segments_given_up: 1,
        segments_missed: 0,
        parts_published: 495,
        parts_given_up: 4,
        segments_left_out: 3,
        bytes_published: 1234,
        requests_per_s: Some(1.05),
        request_cost_per_month_usd: Some(13.5),
        backlog: 1,
        uplink: Some(UplinkStatus { needs_kbps: 2460, carries_kbps: 246, short_percent: 90 }),
        standing_back: false,
        last_error: Some("the camera closed the connection".into()),
        last_cause: Some("disconnected"),
        storage_error: Some("storage refuses access: HTTP 403 ExpiredToken".into()),
        local_segments_given_up: 2,
        last_local_age_s: Some(0.5),
        playlist_url: None,
        local_url: Some("/streams/cam_floor/stream.m3u8".into()),
        viewers: 0,
        snapshot_url: Some("https://video.example/l/cam_floor/snapshot.jpg".into()),
        snapshot_age_s: Some(4.25),
        snapshots_failed: 3,
    }
}

#[tokio::test]
async fn the_list_and_one_stream_have_the_fields_of_the_api() {
    let server = Server::start().await;
    let list = server.get("/api/streams").send().await.unwrap();
    assert_eq!((list.status(), header(&list, "cache-control")), (StatusCode::OK, "no-store"));
    let list: Value = list.json().await.unwrap();
    let one: Value = server.get("/api/streams/status/cam_floor").send().await.unwrap().json().await.unwrap();
    assert_eq!(list, json!([one]));
    assert_eq!(
        one,
        json!({
            "stream_id": "cam_floor", "camera_id": "cam_floor", "name": "Floor", "is_adhoc": false, "is_active": true,
            "phase": "live", "verdict": "ok",
            "quality": "auto", "max_bitrate": 3000, "mode": "copy", "encoder": null,
            "mode_reason": "copying: H.264 High 1280x720, keyframe interval 2 s",
            "resolution": "1280x720", "fps": 24.99, "bitrate_kbps": 2345, "reason": null, "uptime_s": 12.5, "next_try_in_s": null,
            "last_segment_age_s": 0.75, "last_upload_age_s": 0.5, "health_check_count": 7,
            "reconnect_count": 2, "restarts_by_cause": {"auth": 2}, "segments_published": 99, "segments_given_up": 1, "segments_missed": 0,
            "parts_published": 495, "parts_given_up": 4, "segments_left_out": 3,
            "bytes_published": 1234,
            "requests_per_s": 1.05, "request_cost_per_month_usd": 13.5, "backlog": 1,
            "uplink": {"needs_kbps": 2460, "carries_kbps": 246, "short_percent": 90}, "standing_back": false,
            "last_error": "the camera closed the connection", "last_cause": "disconnected",
            "storage_error": "storage refuses access: HTTP 403 ExpiredToken", "local_segments_given_up": 2, "last_local_age_s": 0.5,
            "playlist_url": null, "local_url": "/streams/cam_floor/stream.m3u8", "viewers": 0,
            "snapshot_url": "https://video.example/l/cam_floor/snapshot.jpg", "snapshot_age_s": 4.25, "snapshots_failed": 3,
        })
    );
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_404_in_json() {
    let server = Server::start().await;
    let answer = server.get("/api/streams/status/cam_flor").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer, json!({ "error": "there is no stream of this id" }));
}
