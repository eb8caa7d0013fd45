//! Start, touch and stop.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge_agent::http::{
    Accepted, Control, Limits, Order, Outcome, Overrides, Refusal, Settled, Start, Streams,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::streams::told;
use crate::{PATIENCE, Server, TOKEN, header};

pub type Orders = Arc<Mutex<Vec<(String, Order)>>>;

/// Of one camera that can be played at once, and one that always runs.
pub fn of_one() -> (Control, Orders) {
    let orders = Orders::default();
    let kept = orders.clone();
    let control = Control::new(move |id, order| {
        kept.lock().unwrap().push((id.to_owned(), order));
        match (id, order) {
            ("cam_floor", _) => Ok(Box::pin(std::future::ready(Outcome::Known))),
            ("cam_always", Order::Stop) => Err(Refusal::AlwaysRuns),
            _ => Err(Refusal::NoStream),
        }
    });
    let kept = orders.clone();
    let control = control.starting(move |start| {
        let id = start.id.unwrap_or_else(|| "cam_floor".into());
        kept.lock().unwrap().push((id.clone(), Order::Want));
        let accepted = match id.as_str() {
            "cam_floor" => Ok(accepted(&id, Box::pin(std::future::ready(Outcome::Known)))),
            _ => Err(Refusal::NoStream),
        };
        Box::pin(std::future::ready(accepted))
    });
    (control, orders)
}

pub fn accepted(id: &str, settled: Settled) -> Accepted {
    let quality = Some("high");
    Accepted { stream_id: id.into(), settled, quality, max_bitrate: Some(900), profile: "low" }
}

/// One that answers each start so, and what it was asked.
pub fn answering(answer: impl Fn() -> Result<(), Refusal> + Send + Sync + 'static) -> (Control, Starts) {
    let starts = Starts::default();
    let kept = starts.clone();
    let control = Control::new(|_, _| Err(Refusal::NoStream)).starting(move |start| {
        kept.lock().unwrap().push(start);
        let accepted = answer().map(|()| accepted("cam_floor", Box::pin(std::future::ready(Outcome::Known))));
        Box::pin(std::future::ready(accepted))
    });
    (control, starts)
}

pub type Starts = Arc<Mutex<Vec<Start>>>;

/// The server takes a new site over in a moment.
pub async fn eventually<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let waits = async { while !is_so().await {} };
    tokio::time::timeout(PATIENCE, waits).await.unwrap();
}

async fn post(server: &Server, call: &str, body: Value) -> (StatusCode, Value) {
    let answer =
        server.client.post(server.url(&format!("/api/streams/{call}"))).json(&body).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn calls_become_orders() {
    let server = Server::start().await;
    let (control, orders) = of_one();
    server.site.send_modify(|site| site.control = control);
    let camera = json!({"camera_id": "cam_floor"});
    let touched = json!({"stream_id": "cam_floor", "status": "running", "playlist_url": null,
        "local_url": "/streams/cam_floor/stream.m3u8"});
    let mut expected = touched.clone();
    for (name, value) in [("quality", json!("high")), ("max_bitrate", json!(900)), ("profile", json!("low"))]
    {
        expected[name] = value;
    }
    // The server takes the new site over in a moment.
    let taken = async {
        while orders.lock().unwrap().is_empty() {
            assert_eq!(post(&server, "start", camera.clone()).await, (StatusCode::OK, expected.clone()));
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.unwrap();
    assert_eq!(post(&server, "start?wait=2s", camera.clone()).await, (StatusCode::OK, expected.clone()));
    assert_eq!(post(&server, "touch", json!({"stream_id": "cam_floor"})).await, (StatusCode::OK, touched));
    let stopped = json!({"stream_id": "cam_floor", "status": "stopping"});
    assert_eq!(post(&server, "stop", camera).await, (StatusCode::OK, stopped));
    server.get("/streams/location_1/cam_floor/stream.m3u8").send().await.unwrap();
    let orders = orders.lock().unwrap().clone();
    let [.., (_, waited), (_, touched), (_, stopped), (fetched, by_fetching)] = &orders[..] else {
        panic!("{orders:?}")
    };
    let all = [*waited, *touched, *stopped, *by_fetching];
    assert_eq!(all, [Order::Want, Order::Want, Order::Stop, Order::Fetched]);
    assert_eq!(fetched, "cam_floor");
}

/// A preflight needs no token, and a wallboard of pictures is nobody who watches.
#[tokio::test]
async fn only_who_may_fetch_and_fetches_the_stream_wants_it() {
    let server = Server::guarded().await;
    let (control, orders) = of_one();
    server.site.send_modify(|site| site.control = control);
    let path = |name: &str| server.url(&format!("/streams/cam_floor/{name}"));
    let taken = async {
        while orders.lock().unwrap().is_empty() {
            server.client.get(path("stream.m3u8")).bearer_auth(TOKEN).send().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.unwrap();
    orders.lock().unwrap().clear();
    server.client.request(Method::OPTIONS, path("stream.m3u8")).send().await.unwrap();
    server.client.get(path("stream.m3u8")).send().await.unwrap();
    for (method, name) in [
        (Method::OPTIONS, "stream.m3u8"),
        (Method::POST, "stream.m3u8"),
        (Method::GET, "snapshot.jpg"),
        (Method::GET, "status.json"),
        (Method::GET, "nothing"),
    ] {
        server.client.request(method, path(name)).bearer_auth(TOKEN).send().await.unwrap();
    }
    assert_eq!(*orders.lock().unwrap(), []);
    for name in ["multivariant.m3u8", "segment_1_000001.ts", "segment_1_000001.m4s", "init_1.mp4"] {
        server.client.get(path(name)).bearer_auth(TOKEN).send().await.unwrap();
    }
    assert_eq!(orders.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn what_can_not_be_done_says_why_and_not_in_the_callers_words() {
    let server = Server::start().await;
    for (call, body, code) in [
        ("start", json!({"camera_id": "x-hunter2"}), StatusCode::NOT_FOUND),
        ("touch", json!({"camera_id": "x-hunter2"}), StatusCode::NOT_FOUND),
        ("stop", json!({"camera_id": "cam_always"}), StatusCode::CONFLICT),
        ("start", json!({}), StatusCode::BAD_REQUEST),
        ("start", json!({"camera_id": "a", "stream_id": "b"}), StatusCode::BAD_REQUEST),
        (
            "start",
            json!({"camera_id": "cam_floor", "rtsp_link": "rtsp://u:hunter2@h"}),
            StatusCode::BAD_REQUEST,
        ),
        ("start", json!({"camera_id": 7}), StatusCode::BAD_REQUEST),
        ("start?wait=hunter2", json!({"camera_id": "cam_floor"}), StatusCode::BAD_REQUEST),
        ("start?wait=61s", json!({"camera_id": "cam_floor"}), StatusCode::BAD_REQUEST),
        ("start?wait=-1", json!({"camera_id": "cam_floor"}), StatusCode::BAD_REQUEST),
    ] {
        let (status, answer) = post(&server, call, body.clone()).await;
        assert_eq!(status, code, "{call} {body}: {answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(!error.is_empty() && !error.contains("hunter2"), "{error}");
    }
    let form = server.client.post(server.url("/api/streams/start")).body("camera_id=cam_floor");
    let form = form.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    assert_eq!(form.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "other sites' pages can send forms");
}

#[tokio::test]
async fn who_waits_learns_that_the_camera_failed() {
    let server = Server::start().await;
    let idle = || {
        let last_error = Some("the camera refused user or password (401)".to_owned());
        let last_cause = Some("auth");
        let told = told();
        vec![edge_agent::http::StreamStatus {
            is_active: false,
            phase: "waiting",
            last_error,
            last_cause,
            ..told
        }]
    };
    server.site.send_modify(|site| site.streams = Streams::new(idle));
    let body = json!({"camera_id": "cam_floor"});
    let starting = async { while post(&server, "start", body.clone()).await.0 != StatusCode::ACCEPTED {} };
    tokio::time::timeout(PATIENCE, starting).await.unwrap();
    let answer = post(&server, "start?wait=5", body.clone()).await;
    let expected = json!({"error": "the camera refused user or password (401)", "cause": "auth"});
    assert_eq!(answer, (StatusCode::BAD_GATEWAY, expected));
    // A camera that takes longer than its caller waits.
    let never = Control::new(|_, _| Err(Refusal::NoStream)).starting(|_| {
        let accepted = accepted("cam_floor", Box::pin(std::future::pending()));
        Box::pin(std::future::ready(Ok(accepted)))
    });
    server.site.send_modify(|site| site.control = never);
    let still =
        async { while post(&server, "start?wait=50ms", body.clone()).await.0 != StatusCode::ACCEPTED {} };
    tokio::time::timeout(PATIENCE, still).await.unwrap();
}

#[tokio::test]
async fn a_token_is_asked_for_here_too() {
    let server = Server::guarded().await;
    let start =
        || server.client.post(server.url("/api/streams/start")).json(&json!({"camera_id": "cam_floor"}));
    assert_eq!(start().send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(start().bearer_auth(TOKEN).send().await.unwrap().status(), StatusCode::OK);
    let path = format!("/api/streams/start?wait=1s&token={}", TOKEN.replace('+', "%2B"));
    let with_query = server.client.post(server.url(&path));
    let answer =
        with_query.json(&json!({"camera_id": "cam_floor"})).timeout(Duration::from_secs(10)).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_wanted_otherwise_is_handed_on() {
    let server = Server::start().await;
    let (control, starts) = answering(|| Ok(()));
    server.site.send_modify(|site| site.control = control);
    let body = json!({"rtsp_url": "rtsp://u:hunter2@h/1", "stream_id": "gate", "quality": "low", "max_bitrate": 700,
        "profile": "realtime"});
    eventually(async || {
        let (status, answer) = post(&server, "start", body.clone()).await;
        assert!(!answer.to_string().contains("hunter2"));
        status == StatusCode::OK && !starts.lock().unwrap().is_empty()
    })
    .await;
    let start = starts.lock().unwrap().pop().unwrap();
    assert_eq!(
        (start.id.as_deref(), start.rtsp_url.as_deref()),
        (Some("gate"), Some("rtsp://u:hunter2@h/1"))
    );
    let text = |text: &str| Some(text.to_owned());
    let expected = Overrides { quality: text("low"), max_bitrate: text("700"), profile: text("realtime") };
    assert_eq!(start.overrides, expected);
}

#[tokio::test]
async fn each_refusal_of_a_start_has_its_status() {
    let server = Server::start().await;
    let text = || "why".to_owned();
    for (refusal, code, cause) in [
        (Refusal::Invalid(text()), StatusCode::BAD_REQUEST, None),
        (Refusal::Forbidden(text()), StatusCode::FORBIDDEN, None),
        (Refusal::Conflict(text()), StatusCode::CONFLICT, None),
        (Refusal::Busy(text()), StatusCode::TOO_MANY_REQUESTS, None),
        (Refusal::Unreachable(text()), StatusCode::BAD_GATEWAY, Some("unreachable")),
    ] {
        let (control, _) = answering(move || Err(refusal.clone()));
        server.site.send_modify(|site| site.control = control);
        let body = json!({"rtsp_url": "rtsp://u:hunter2@h/1"});
        eventually(async || post(&server, "start", body.clone()).await.0 == code).await;
        let mut expected = json!({"error": "why"});
        cause.into_iter().for_each(|cause| expected["cause"] = json!(cause));
        assert_eq!(post(&server, "start", body.clone()).await.1, expected);
    }
}

/// Each holds a connection: they must not take those of the viewers.
#[tokio::test]
async fn only_so_many_wait_at_once_and_nothing_is_done_for_the_others() {
    let limits = Limits { waits: 2, ..Limits::default() };
    let server = Server::with(limits, Duration::from_secs(5)).await;
    let (control, orders) = of_nobody();
    server.site.send_modify(|site| site.control = control);
    let camera = json!({"camera_id": "cam_floor"});
    let mut waiting = JoinSet::new();
    let wanted = |orders: &Orders| orders.lock().unwrap().len();
    while wanted(&orders) < 2 {
        let request = server.client.post(server.url("/api/streams/start?wait=20s")).json(&camera);
        waiting.spawn(request.send());
        let taken = async {
            let before = wanted(&orders);
            while wanted(&orders) == before && waiting.try_join_next().is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, taken).await.unwrap();
    }
    let answer =
        server.client.post(server.url("/api/streams/start?wait=20s")).json(&camera).send().await.unwrap();
    assert_eq!((answer.status(), header(&answer, "retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    let path = "/api/stream/start?indicator_id=cam_floor";
    let answer = server.get(path).send().await.unwrap();
    assert_eq!((answer.status(), header(&answer, "retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert_eq!(wanted(&orders), 2, "it was not started");
    let at_once = server.get(&format!("{path}&wait=0")).send().await.unwrap();
    assert_eq!(at_once.status(), StatusCode::OK);
    assert_eq!(post(&server, "start", camera.clone()).await.0, StatusCode::OK, "who does not wait is served");
    // Whoever goes away makes room, also over a reload.
    server.site.send_modify(|_| ());
    waiting.shutdown().await;
    let room = async {
        loop {
            let orders_before = wanted(&orders);
            let request = server.client.post(server.url("/api/streams/start?wait=1s")).json(&camera);
            let status = request.send().await.unwrap().status();
            if status != StatusCode::SERVICE_UNAVAILABLE {
                assert!(wanted(&orders) > orders_before);
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, room).await.unwrap();
}

/// Of a camera that does not come.
fn of_nobody() -> (Control, Orders) {
    let orders = Orders::default();
    let kept = orders.clone();
    let control = Control::new(|_, _| Err(Refusal::NoStream)).starting(move |start| {
        let id = start.id.unwrap_or_default();
        kept.lock().unwrap().push((id.clone(), Order::Want));
        let accepted = accepted(&id, Box::pin(std::future::pending()));
        Box::pin(std::future::ready(Ok(accepted)))
    });
    (control, orders)
}
