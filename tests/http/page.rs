//! The page, its assets and its API.

use reqwest::StatusCode;
use serde_json::json;

use crate::{Server, header};

#[tokio::test]
async fn the_page_comes_with_a_strict_policy() {
    let server = Server::start().await;
    let answer = server.get("/").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(&answer, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    let policy = header(&answer, "content-security-policy").to_owned();
    for part in
        ["default-src 'none'", "script-src 'self'", "media-src blob:", "connect-src 'self' http: https:"]
    {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(answer.text().await.unwrap().contains("assets/player.js"));
}

#[tokio::test]
async fn everything_the_page_needs_is_in_the_binary() {
    let server = Server::start().await;
    for (path, content_type) in [
        ("/assets/player.js", "text/javascript; charset=utf-8"),
        ("/assets/edge-player.js", "text/javascript; charset=utf-8"),
        ("/assets/hls.worker.js", "text/javascript; charset=utf-8"),
        ("/assets/player.css", "text/css; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        let answer = server.get(path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&answer, "content-type"), content_type);
        assert_eq!(header(&answer, "cache-control"), "no-cache");
        // Other sites' pages may load the element from here.
        assert_eq!(header(&answer, "access-control-allow-origin"), "*");
        let etag = header(&answer, "etag").to_owned();
        assert!(!answer.bytes().await.unwrap().is_empty());
        let again = server.get(path).header("if-none-match", &etag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
        assert_eq!(header(&again, "etag"), etag);
        assert!(again.bytes().await.unwrap().is_empty());
        let other = server.get(path).header("if-none-match", "\"other\"").send().await.unwrap();
        assert_eq!(other.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn nothing_else_is_an_asset() {
    let server = Server::start().await;
    for path in ["/assets/", "/assets/index.html", "/assets/none.js", "/index.html.map", "/player", "/api"] {
        assert_eq!(server.get(path).send().await.unwrap().status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn the_list_of_cameras_is_json_and_fresh() {
    let server = Server::start().await;
    let answer =
        server.get("/api/cameras.json").header("origin", "https://elsewhere.example").send().await.unwrap();
    assert_eq!(header(&answer, "content-type"), "application/json");
    assert_eq!(header(&answer, "cache-control"), "no-store");
    // Streams may be read from other sites; which cameras there are is for this page alone.
    assert_eq!(header(&answer, "access-control-allow-origin"), "");
    let cameras: serde_json::Value = answer.json().await.unwrap();
    let playlist = "/streams/cam_floor/stream.m3u8";
    assert_eq!(
        cameras,
        json!([{ "id": "cam_floor", "name": "Floor \"Camera\" <1>", "playlist_url": playlist }])
    );
}
