//! Who may: tokens, and what a browser gets for one.

use edge_agent::domain::access::Tokens;
use edge_agent::http::{self, Access};
use reqwest::{Method, StatusCode};

use crate::control::{eventually, of_one};
use crate::{OLD_TOKEN, PATIENCE, Server, TOKEN, header};

const PLAYLIST: &str = "/streams/location_1/cam_floor/stream.m3u8";
const SEGMENT: &str = "/streams/location_1/cam_floor/segment_00000000123000000ab_000001.ts";
const CLOSED: [&str; 10] = [
    "/",
    "/assets/player.js",
    "/api/cameras.json",
    "/metrics",
    "/api/streams",
    "/api/streams/status/cam_floor",
    PLAYLIST,
    SEGMENT,
    "/none",
    "//healthz",
];

fn with(path: &str, token: &str) -> String {
    format!("{path}?token={token}")
}

async fn server() -> Server {
    let server = Server::guarded().await;
    server.write(PLAYLIST.trim_start_matches("/streams/"), "#EXTM3U\n");
    server.write(SEGMENT.trim_start_matches("/streams/"), "0123456789");
    server
}

#[tokio::test]
async fn without_the_token_there_is_nothing_but_health() {
    let server = server().await;
    for (path, status) in [("/healthz", 200), ("/readyz", 503), ("/api/health", 200)] {
        assert_eq!(server.get(path).send().await.unwrap().status(), status, "{path}");
    }
    for path in CLOSED {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE] {
            let answer = server.client.request(method.clone(), server.url(path)).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(header(&answer, "www-authenticate"), r#"Bearer realm="edge-agent""#);
            assert_eq!(header(&answer, "cache-control"), "no-store");
            assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
            assert_eq!(header(&answer, "set-cookie"), "");
        }
    }
    let answer = server.get(PLAYLIST).send().await.unwrap();
    assert_eq!(header(&answer, "access-control-allow-origin"), "*", "a player elsewhere sees why");
    assert!(answer.text().await.unwrap().contains("Authorization: Bearer"));
}

#[tokio::test]
async fn each_valid_token_opens_everything() {
    let server = server().await;
    for path in CLOSED {
        let expected = if path.starts_with("/none") || path.starts_with("//") { 404 } else { 200 };
        for token in [TOKEN, OLD_TOKEN] {
            let answer = server.get(path).bearer_auth(token).send().await.unwrap();
            assert_eq!(answer.status(), expected, "{path}");
        }
        let answer = server.get(&with(path, TOKEN)).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{path}");
        let written = server.raw(&format!("GET {path}?token={TOKEN}")).await;
        assert!(written.starts_with(&format!("HTTP/1.1 {expected}")), "{path}: {written}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_401_and_is_not_said_again() {
    let server = server().await;
    let wrong = "the-wrong-one-hunter2";
    for path in CLOSED {
        let by_header = server.get(path).bearer_auth(wrong).send().await.unwrap();
        let by_query = server.get(&with(path, wrong)).send().await.unwrap();
        // The header counts, whatever the address says.
        let both = server.get(&with(path, TOKEN)).bearer_auth(wrong).send().await.unwrap();
        for answer in [by_header, by_query, both] {
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(
                header(&answer, "www-authenticate"),
                r#"Bearer realm="edge-agent", error="invalid_token""#
            );
            let headers = format!("{:?}", answer.headers());
            let said = headers + &answer.text().await.unwrap();
            assert!(!said.contains("hunter2"), "{path}: {said}");
        }
    }
    for odd in ["Basic YTpi", "Bearer", "Bearer ", TOKEN, "Bearer a b"] {
        let answer = server.get("/api/streams").header("authorization", odd).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{odd}");
    }
}

#[tokio::test]
async fn the_page_gets_a_session_that_carries_it_to_the_segments() {
    let server = server().await;
    let page = server.get(&with("/", TOKEN)).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let cookie = header(&page, "set-cookie").to_owned();
    for part in ["edge_agent_session=", "; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age="] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    assert!(!cookie.contains("token") && !cookie.contains("Secure"), "{cookie}");
    assert_eq!(header(&page, "referrer-policy"), "no-referrer", "the token is still in the address");
    let session = cookie.split(';').next().unwrap();
    for path in CLOSED.into_iter().take(8) {
        let answer = server.get(path).header("cookie", session).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&answer, "set-cookie"), "", "{path}: it is fresh");
    }
    let (head, digits) = session.split_at(session.len() - 1);
    let forged = format!("{head}{}", if digits == "0" { "1" } else { "0" });
    let answer = server.get("/api/streams").header("cookie", forged).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    // Behind a proxy with TLS.
    let page = server.get(&with("/", TOKEN)).header("x-forwarded-proto", "https");
    assert!(header(&page.send().await.unwrap(), "set-cookie").ends_with("; Secure"));
}

#[tokio::test]
async fn a_session_may_look_but_not_touch_and_is_renewed_while_it_is_used() {
    let server = server().await;
    let now_s = edge_agent::clock::wall_ms() / 1000;
    let session =
        |until_s: u64| format!("edge_agent_session={}", Tokens::new([OLD_TOKEN]).session(until_s).unwrap());
    let good = session(now_s + 20 * 3600);
    let answer = server.client.post(server.url("/api/streams")).header("cookie", &good).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let late = session(now_s + 3600);
    let playlist = server.get(PLAYLIST).header("cookie", &late).send().await.unwrap();
    assert!(header(&playlist, "set-cookie").starts_with("edge_agent_session="));
    let segment = server.get(SEGMENT).header("cookie", &late).send().await.unwrap();
    assert_eq!(header(&segment, "set-cookie"), "", "what is kept has no cookie");
    let over = server.get(PLAYLIST).header("cookie", session(now_s - 1)).send().await.unwrap();
    assert_eq!(over.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_needs_a_token_is_not_for_shared_caches() {
    let server = server().await;
    let segment = server.get(SEGMENT).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(header(&segment, "cache-control"), "private, max-age=31536000, immutable");
}

#[tokio::test]
async fn preflights_need_no_token() {
    let server = server().await;
    let answer = server
        .client
        .request(Method::OPTIONS, server.url(PLAYLIST))
        .header("origin", "https://elsewhere.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(header(&answer, "access-control-allow-headers").contains("authorization"));
    let api = server.client.request(Method::OPTIONS, server.url("/api/streams")).send().await.unwrap();
    assert_eq!(api.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_reload_takes_tokens_in_and_out() {
    let server = server().await;
    let status =
        async |token: &str| server.get("/api/streams").bearer_auth(token).send().await.unwrap().status();
    assert_eq!(status(OLD_TOKEN).await, StatusCode::OK);
    server.site.send_modify(|site| site.access.tokens = Tokens::new(["the-newest-of-tokens", TOKEN]));
    let taken_over = async {
        while status("the-newest-of-tokens").await != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, taken_over).await.unwrap();
    assert_eq!(status(TOKEN).await, StatusCode::OK);
    assert_eq!(status(OLD_TOKEN).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_a_token_only_this_machine_is_served() {
    for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let error = http::bind(addr.parse().unwrap(), &Access::default()).await.unwrap_err().to_string();
        assert!(error.contains(addr) && error.contains("http.token_file"), "{error}");
    }
    let bound = http::bind("127.0.0.2:0".parse().unwrap(), &Access::default()).await.unwrap();
    assert!(bound.local_addr().ip().is_loopback());
    let bound = http::bind("0.0.0.0:0".parse().unwrap(), &crate::access()).await.unwrap();
    let addr = bound.local_addr();
    // Should a configuration ever lose its tokens, the door stays shut.
    let serving = tokio::spawn(bound.serve(http::Site::default(), std::future::pending(), PATIENCE));
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let answer = client.get(format!("http://127.0.0.1:{}/api/streams", addr.port())).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    serving.abort();
}

#[tokio::test]
async fn without_a_token_another_sites_name_for_this_machine_opens_nothing() {
    let server = Server::start().await;
    server.write("location_1/cam_floor/stream.m3u8", "#EXTM3U\n");
    let ask = |host: &'static str, path| server.get(path).header("host", host).send();
    for path in ["/", PLAYLIST, "/api/streams", "/metrics"] {
        for host in ["evil.example", "evil.example:8080", "192.0.2.7"] {
            let answer = ask(host, path).await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{host} {path}");
            assert!(answer.text().await.unwrap().contains("http.token"));
        }
        assert_eq!(ask("localhost:8080", path).await.unwrap().status(), StatusCode::OK, "{path}");
    }
    let stop = server.client.post(server.url("/api/streams/stop")).header("host", "evil.example");
    let answer = stop.json(&serde_json::json!({ "camera_id": "cam_floor" })).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(ask("evil.example", "/healthz").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn without_a_token_a_page_of_another_site_sees_no_stream() {
    let server = Server::start().await;
    server.write("location_1/cam_floor/stream.m3u8", "#EXTM3U\n");
    let (control, orders) = of_one();
    server.site.send_modify(|site| site.control = control);
    let ask = async |method: Method, path: &str, header: (&'static str, &'static str)| {
        let asked = server.client.request(method, server.url(path)).header(header.0, header.1);
        let answer = asked.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let near = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "same-site"),
        ("origin", "http://localhost:3000"),
    ];
    eventually(async || {
        for here in near {
            assert_eq!(ask(Method::GET, PLAYLIST, here).await.0, StatusCode::OK, "{here:?}");
        }
        !orders.lock().unwrap().is_empty()
    })
    .await;
    orders.lock().unwrap().clear();
    let far = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("origin", "null")];
    let segment = "/streams/cam_floor/segment_00000000123000000ab_000001.ts";
    for path in [PLAYLIST, "/streams/cam_floor/stream.m3u8", segment] {
        for elsewhere in far {
            let (status, said) = ask(Method::GET, path, elsewhere).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} {elsewhere:?}");
            assert!(said.contains("http.token"), "{said}");
            assert_eq!(ask(Method::HEAD, path, elsewhere).await.0, StatusCode::FORBIDDEN, "{path}");
            assert_ne!(ask(Method::OPTIONS, path, elsewhere).await.1, "#EXTM3U\n");
        }
    }
    assert!(orders.lock().unwrap().is_empty(), "and no camera starts");
    // A link to the page, and what it needs.
    for path in ["/", "/assets/edge-player.js"] {
        let link = ("sec-fetch-site", "cross-site");
        assert_eq!(ask(Method::GET, path, link).await.0, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn with_a_token_the_name_does_not_matter() {
    let server = server().await;
    let answer = server.get("/api/streams").bearer_auth(TOKEN).header("host", "box.example").send();
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
}
