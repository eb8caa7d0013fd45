//! `/streams/{id}/…`: the same for every storage; and who watches.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{PATIENCE, Server, TOKEN, files, header};

const PLAYLIST: &str = "/streams/cam_floor/stream.m3u8";
const SEGMENT: &str = "/streams/cam_floor/segment_00000000123000000ab_000001.ts";

async fn filled(server: Server) -> Server {
    for (name, body) in [("stream.m3u8", "#EXTM3U\n"), ("multivariant.m3u8", "#EXTM3U\n")] {
        server.write(&format!("location_1/cam_floor/{name}"), body);
    }
    server.write("location_1/cam_floor/segment_00000000123000000ab_000001.ts", "0123456789");
    server.write("location_1/cam_other/stream.m3u8", "#EXTM3U\n");
    server
}

#[tokio::test]
async fn a_stream_is_found_by_its_id_with_the_headers_of_its_objects() {
    let server = filled(Server::start().await).await;
    let playlist = server.get(PLAYLIST).header("origin", "http://localhost:3000").send().await.unwrap();
    assert_eq!(playlist.status(), StatusCode::OK);
    assert_eq!(header(&playlist, "content-type"), "application/vnd.apple.mpegurl");
    assert_eq!(header(&playlist, "cache-control"), "no-cache, no-store, must-revalidate");
    assert_eq!(header(&playlist, "access-control-allow-origin"), "*");
    let part = server.get(SEGMENT).header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(header(&part, "content-range"), "bytes 2-4/10");
    assert_eq!(header(&part, "cache-control"), "public, max-age=31536000, immutable");
    let etag = header(&part, "etag").to_owned();
    assert_eq!(part.text().await.unwrap(), "234");
    let known = server.get(SEGMENT).header("if-none-match", etag).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let preflight =
        server.client.request(Method::OPTIONS, server.url(PLAYLIST)).header("origin", "https://x");
    let preflight = preflight.header("access-control-request-method", "GET").send().await.unwrap();
    assert_eq!(header(&preflight, "access-control-allow-methods"), "GET,HEAD");
}

#[tokio::test]
async fn what_is_no_stream_here_is_404_for_players_of_any_site() {
    let server = filled(Server::start().await).await;
    server.write("location_1/stream.m3u8", "#EXTM3U\n");
    for path in [
        "/streams/cam_other/stream.m3u8",
        "/streams/location_1/stream.m3u8",
        "/streams/cam_floor/segment_00000000123000000ab_000002.ts",
        "/streams/cam_floor/",
        "/streams/stream.m3u8",
    ] {
        let answer = server.get(path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(header(&answer, "access-control-allow-origin"), "*", "{path}");
        assert_eq!(header(&answer, "cache-control"), "no-store", "{path}");
    }
}

/// Only in a `file` store the keys are names that somebody knows.
#[tokio::test]
async fn keys_are_found_in_a_file_store_alone() {
    let server = filled(Server::start().await).await;
    let key = "/streams/location_1/cam_floor/stream.m3u8";
    assert_eq!(server.get(key).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.get("/streams/location_1/cam_other/stream.m3u8").send().await.unwrap().status(), 200);
    server.site.send_modify(|site| site.files = Some(files(&server.root, false)));
    let gone = async { while server.get(key).send().await.unwrap().status() != StatusCode::NOT_FOUND {} };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    assert_eq!(server.get(PLAYLIST).send().await.unwrap().status(), StatusCode::OK);
}

async fn viewers(server: &Server) -> Value {
    let status = server.get("/api/streams/status/cam_floor").bearer_auth(TOKEN).send().await.unwrap();
    status.json::<Value>().await.unwrap()["viewers"].clone()
}

#[tokio::test]
async fn who_asks_for_the_playlist_is_a_viewer_and_is_counted_once() {
    let server = filled(Server::guarded().await).await;
    let get = |path: &str| server.get(path).bearer_auth(TOKEN);
    assert_eq!(viewers(&server).await, json!(0));
    for name in ["VLC", "Safari", "VLC", "VLC"] {
        get(PLAYLIST).header("user-agent", name).send().await.unwrap();
        get(SEGMENT).header("user-agent", name).send().await.unwrap();
    }
    assert_eq!(viewers(&server).await, json!(2));
    // None of these watches: without the token, what is not there, a look, what only leads on.
    server.get(PLAYLIST).header("user-agent", "a").send().await.unwrap();
    get("/streams/cam_floor/stream_2.m3u8").header("user-agent", "b").send().await.unwrap();
    get("/streams/cam_floor/multivariant.m3u8").header("user-agent", "c").send().await.unwrap();
    server
        .client
        .head(server.url(PLAYLIST))
        .bearer_auth(TOKEN)
        .header("user-agent", "d")
        .send()
        .await
        .unwrap();
    get("/streams/location_1/cam_other/stream.m3u8").header("user-agent", "e").send().await.unwrap();
    assert_eq!(viewers(&server).await, json!(2));
    // The same stream by its key, and others behind a proxy on this machine.
    get("/streams/location_1/cam_floor/stream.m3u8").header("user-agent", "VLC").send().await.unwrap();
    for from in ["192.0.2.1", "192.0.2.2"] {
        get(PLAYLIST).header("user-agent", "VLC").header("x-forwarded-for", from).send().await.unwrap();
    }
    assert_eq!(viewers(&server).await, json!(4));
    // Each signed address is somebody's.
    for seconds in [60, 61] {
        let url = server.url("/api/streams/cam_floor/sign");
        let signed = server.client.post(url).bearer_auth(TOKEN).json(&json!({"expires_in": seconds}));
        let signed: Value = signed.send().await.unwrap().json().await.unwrap();
        let url = signed["url"].as_str().unwrap();
        let watched = server.client.get(url).header("user-agent", "VLC").send().await.unwrap();
        assert_eq!(watched.status(), StatusCode::OK);
    }
    assert_eq!(viewers(&server).await, json!(6));
    let metrics = server.get("/metrics").bearer_auth(TOKEN).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("edge_agent_stream_viewers{camera=\"cam_floor\"} 6\n"), "{metrics}");
}
