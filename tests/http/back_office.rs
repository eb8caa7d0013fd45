//! The calls of back offices that were written for another service.

use edge_agent::http::Refusal;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::control::{answering, eventually, of_one};
use super::streams::told;
use crate::{Server, TOKEN, header};

const START: &str = "/api/stream/start?indicator_id=cam_floor";

async fn get(server: &Server, path: &str) -> (StatusCode, Value) {
    let answer = server.get(path).bearer_auth(TOKEN).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn their_calls_are_ours_by_other_names() {
    let server = Server::guarded().await;
    let (control, starts) = answering(|| Ok(()));
    server.site.send_modify(|site| site.control = control);
    let link = "rtsp%3A%2F%2Fu%3Ahunter2%40h%2F1%3Fx%3D1%26y%3D2";
    let path = format!("/api/stream/start?indicator_id=123&rtsp_link={link}");
    let expected = json!({"stream_path": "/streams/cam_floor/stream.m3u8", "status": "started"});
    eventually(async || {
        let answer = get(&server, &path).await;
        let is_ours = !starts.lock().unwrap().is_empty();
        assert!(!is_ours || answer == (StatusCode::OK, expected.clone()), "{answer:?}");
        is_ours
    })
    .await;
    let start = starts.lock().unwrap().pop().unwrap();
    assert_eq!(start.id.as_deref(), Some("123"));
    assert_eq!(start.rtsp_url.as_deref(), Some("rtsp://u:hunter2@h/1?x=1&y=2"));

    let (status, state) = get(&server, "/api/stream/status?indicator_id=cam_floor").await;
    let expected = json!({"indicator_id": "cam_floor", "status": "running", "is_active": true, "uptime_s": 12.5,
        "stream_path": "/streams/cam_floor/stream.m3u8", "error": null, "cause": null});
    assert_eq!((status, state), (StatusCode::OK, expected));

    server.site.send_modify(|site| site.control = of_one().0);
    let stop = async |body: Value| {
        let call = server.client.post(server.url("/api/stream/stop")).bearer_auth(TOKEN).json(&body);
        let answer = call.send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let expected = (StatusCode::OK, json!({"indicator_id": "cam_floor", "status": "stopped"}));
    eventually(async || stop(json!({"indicator_id": "cam_floor"})).await == expected).await;
    let (status, answer) = stop(json!({"indicator_id": 123})).await;
    assert_eq!(
        (status, &answer["status"]),
        (StatusCode::NOT_FOUND, &json!("error")),
        "a number is a name, too"
    );
    assert_eq!(stop(json!({"indicator_id": "cam_always"})).await.0, StatusCode::CONFLICT);
    assert_eq!(stop(json!({})).await.0, StatusCode::BAD_REQUEST);
}

/// Where no folder is served, by the stream's own name.
#[tokio::test]
async fn a_stream_that_lies_elsewhere_has_a_path_here_all_the_same() {
    let server = Server::guarded().await;
    let elsewhere = || vec![edge_agent::http::StreamStatus { local_url: None, ..told() }];
    server.site.send_modify(|site| site.streams = edge_agent::http::Streams::new(elsewhere));
    let expected = json!("/streams/cam_floor/stream.m3u8");
    eventually(async || get(&server, START).await.1["stream_path"] == expected).await;
}

/// The path leads to this box: what it has beside its storage can be played, and the storage itself not when that fails.
#[tokio::test]
async fn a_storage_that_fails_is_no_matter_where_the_box_has_the_stream_beside_it() {
    let server = Server::guarded().await;
    for (last_local_age_s, code) in [(Some(0.5), StatusCode::OK), (None, StatusCode::BAD_GATEWAY)] {
        let failed = move || {
            let error = Some("storage refuses access: HTTP 403".to_owned());
            vec![edge_agent::http::StreamStatus {
                storage_error: error,
                last_local_age_s,
                last_upload_age_s: None,
                ..told()
            }]
        };
        server.site.send_modify(|site| {
            site.streams = edge_agent::http::Streams::new(failed);
            site.control = of_one().0;
        });
        eventually(async || get(&server, START).await.0 == code).await;
    }
}

#[tokio::test]
async fn an_invalid_link_gives_an_error_with_details() {
    let server = Server::guarded().await;
    for (refusal, code, error, cause) in [
        (
            Refusal::Invalid("rtsp_url is no rtsp:// or rtsps:// URL".into()),
            StatusCode::BAD_REQUEST,
            "rtsp_link is no rtsp:// or rtsps:// URL",
            None,
        ),
        (Refusal::Forbidden("no".into()), StatusCode::FORBIDDEN, "no", None),
        (Refusal::Conflict("no".into()), StatusCode::CONFLICT, "no", None),
        (Refusal::Unreachable("no".into()), StatusCode::BAD_GATEWAY, "no", Some("unreachable")),
    ] {
        let (control, _) = answering(move || Err(refusal.clone()));
        server.site.send_modify(|site| site.control = control);
        let path = "/api/stream/start?indicator_id=1&rtsp_link=x-hunter2";
        let expected = json!({"status": "error", "error": error, "cause": cause});
        eventually(async || get(&server, path).await == (code, expected.clone())).await;
    }
    let failed = || {
        let (last_error, last_cause) =
            (Some("the camera does not know this path (404)".into()), Some("not_found"));
        vec![edge_agent::http::StreamStatus {
            is_active: false,
            phase: "waiting",
            last_error,
            last_cause,
            ..told()
        }]
    };
    server.site.send_modify(|site| {
        site.streams = edge_agent::http::Streams::new(failed);
        site.control = of_one().0;
    });
    let expected =
        json!({"status": "error", "error": "the camera does not know this path (404)", "cause": "not_found"});
    eventually(async || get(&server, START).await == (StatusCode::BAD_GATEWAY, expected.clone())).await;
    let (_, state) = get(&server, "/api/stream/status?indicator_id=cam_floor").await;
    assert_eq!((&state["status"], &state["cause"]), (&json!("error"), &json!("not_found")));
    for (path, code) in [
        ("/api/stream/start", StatusCode::BAD_REQUEST),
        ("/api/stream/start?indicator_id=", StatusCode::BAD_REQUEST),
        ("/api/stream/start?indicator_id=a&indicator_id=b", StatusCode::BAD_REQUEST),
        ("/api/stream/start?indicator_id=cam_floor&wait=hunter2", StatusCode::BAD_REQUEST),
        ("/api/stream/start?indicator_id=hunter2", StatusCode::NOT_FOUND),
        ("/api/stream/status", StatusCode::BAD_REQUEST),
        ("/api/stream/status?indicator_id=hunter2", StatusCode::NOT_FOUND),
    ] {
        let (status, answer) = get(&server, path).await;
        assert_eq!(status, code, "{path}: {answer}");
        assert_eq!(answer["status"], "error", "{path}");
        assert!(!answer.to_string().contains("hunter2"), "{answer}");
    }
}

/// It is a GET, and changes something.
#[tokio::test]
async fn a_session_starts_no_stream_by_get() {
    let server = Server::guarded().await;
    let (control, starts) = answering(|| Ok(()));
    server.site.send_modify(|site| site.control = control);
    let path = format!("/?token={}", TOKEN.replace('+', "%2B"));
    let page = server.get(&path).send().await.unwrap();
    let cookie = header(&page, "set-cookie").split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("edge_agent_session="), "{cookie}");
    let list = server.get("/api/streams").header("cookie", &cookie).send().await.unwrap();
    assert_eq!(list.status(), StatusCode::OK, "it may read");
    for method in [Method::GET, Method::HEAD, Method::POST] {
        for path in [
            START,
            "/api/stream/%73tart?indicator_id=cam_floor",
            "/api/stream/start/?indicator_id=cam_floor",
            "//api/stream/start?indicator_id=cam_floor",
        ] {
            let asked = server.client.request(method.clone(), server.url(path)).header("cookie", &cookie);
            let status = asked.send().await.unwrap().status();
            assert!(status.is_client_error(), "{method} {path}: {status}");
        }
    }
    assert!(starts.lock().unwrap().is_empty());
    let by_token = format!("{START}&token={}", TOKEN.replace('+', "%2B"));
    eventually(async || {
        let status = server.get(&by_token).send().await.unwrap().status();
        assert_eq!(status, StatusCode::OK);
        !starts.lock().unwrap().is_empty()
    })
    .await;
}

/// A server without a token answers everybody on this machine, whose browser may be told to come here.
#[tokio::test]
async fn a_page_of_another_site_starts_no_stream() {
    let server = Server::start().await;
    let (control, starts) = answering(|| Ok(()));
    server.site.send_modify(|site| site.control = control);
    let from = async |site: &str, more: &str| {
        let asked = server.get(&format!("{START}{more}")).header("sec-fetch-site", site);
        asked.send().await.unwrap().status()
    };
    for site in ["cross-site", "same-site", "CROSS-SITE", ""] {
        assert_eq!(from(site, "").await, StatusCode::FORBIDDEN, "{site}");
        assert_eq!(from(site, "&token=anything").await, StatusCode::FORBIDDEN, "{site}");
    }
    assert!(starts.lock().unwrap().is_empty());
    for site in ["same-origin", "none"] {
        assert_eq!(from(site, "").await, StatusCode::OK, "{site}");
    }
    assert_eq!(server.get(START).send().await.unwrap().status(), StatusCode::OK, "and no browser at all");
}
