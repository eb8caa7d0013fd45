//! Addresses that let their bearer watch one stream for a while.

use std::time::{Duration, UNIX_EPOCH};

use edge_agent::clock::wall_ms;
use edge_agent::domain::rate::Rate;
use edge_agent::domain::signature::SigningKeys;
use edge_agent::http::{Access, Limits};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{Server, TOKEN, access, header};

const FOLDER: &str = "/streams/cam_floor/";
const SEGMENT: &str = "segment_00000000123000000ab_000001.ts";
const PLAYLIST: &str = "#EXTM3U\n#EXTINF:2.000,\nsegment_00000000123000000ab_000001.ts\n";

async fn server() -> Server {
    let server = Server::guarded().await;
    for camera in ["cam_floor", "cam_other"] {
        server.write(&format!("location_1/{camera}/stream.m3u8"), PLAYLIST);
        server.write(&format!("location_1/{camera}/{SEGMENT}"), "0123456789");
    }
    server
}

async fn sign(server: &Server, body: Value) -> Response {
    let request = server.client.post(server.url("/api/streams/cam_floor/sign"));
    request.bearer_auth(TOKEN).json(&body).send().await.unwrap()
}

async fn get(server: &Server, url: &str) -> Response {
    server.client.get(url).send().await.unwrap()
}

fn now_s() -> u64 {
    wall_ms() / 1000
}

/// Signed with the key that is being replaced.
fn signed(path: &str, expires_s: u64) -> String {
    format!("{path}?{}", SigningKeys::new([b"old".to_vec()]).query(FOLDER, expires_s).unwrap())
}

#[tokio::test]
async fn a_signed_address_plays_without_the_token() {
    let server = server().await;
    let answer = sign(&server, json!({"expires_in": "10m"})).await;
    assert_eq!((answer.status(), header(&answer, "cache-control")), (StatusCode::OK, "no-store"));
    let answer: Value = answer.json().await.unwrap();
    let url = answer["url"].as_str().unwrap();
    assert!(url.starts_with(&server.url(&format!("{FOLDER}stream.m3u8?expires="))), "{url}");
    let query = url.split_once('?').unwrap().1;
    let expires_s: u64 = query.strip_prefix("expires=").unwrap().split('&').next().unwrap().parse().unwrap();
    assert!((595..=600).contains(&(expires_s - now_s())));
    let expires_at = humantime::parse_rfc3339(answer["expires_at"].as_str().unwrap()).unwrap();
    assert_eq!(expires_at, UNIX_EPOCH + Duration::from_secs(expires_s));

    let playlist = get(&server, url).await;
    assert_eq!(playlist.status(), StatusCode::OK);
    assert_eq!(header(&playlist, "content-type"), "application/vnd.apple.mpegurl");
    assert_eq!(header(&playlist, "cache-control"), "no-cache, no-store, must-revalidate");
    assert_eq!(header(&playlist, "access-control-allow-origin"), "*");
    let playlist = playlist.text().await.unwrap();
    assert_eq!(playlist, PLAYLIST.replace(SEGMENT, &format!("{SEGMENT}?{query}")));
    let uri = playlist.lines().last().unwrap();
    let segment = get(&server, &server.url(&format!("{FOLDER}{uri}"))).await;
    assert_eq!((segment.status(), header(&segment, "etag").is_empty()), (StatusCode::OK, false));
    assert_eq!(segment.text().await.unwrap(), "0123456789");
}

#[tokio::test]
async fn it_opens_nothing_else() {
    let server = server().await;
    let answer: Value = sign(&server, json!({})).await.json().await.unwrap();
    let query = answer["url"].as_str().unwrap().split_once('?').unwrap().1.to_owned();
    for path in [
        "/streams/location_1/cam_other/stream.m3u8",
        "/streams/location_1/cam_floor/stream.m3u8",
        "/streams/cam_other/stream.m3u8",
        "/streams/x",
    ] {
        let answer = get(&server, &server.url(&format!("{path}?{query}"))).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
    }
    for path in ["/", "/api/streams", "/metrics", "/api/cameras.json", "/assets/player.js"] {
        let answer = get(&server, &server.url(&format!("{path}?{query}"))).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    for detour in ["../cam_other/stream.m3u8", "..%2fcam_other%2fstream.m3u8", "%2e%2e/cam_other/stream.m3u8"]
    {
        let answer = server.raw(&format!("GET {FOLDER}{detour}?{query}")).await;
        assert!(
            answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 404"),
            "{detour}: {answer}"
        );
    }
    let playlist = server.url(&format!("{FOLDER}stream.m3u8?{query}"));
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = server.client.request(method, &playlist).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    let unfair = server.client.post(server.url(&format!("/api/streams/cam_floor/sign?{query}")));
    assert_eq!(unfair.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "it does not beget others");
}

#[tokio::test]
async fn expired_and_forged_are_403() {
    let server = server().await;
    let path = format!("{FOLDER}stream.m3u8");
    let status = async |path: String| get(&server, &server.url(&path)).await.status();
    assert_eq!(
        status(signed(&path, now_s() + 60)).await,
        StatusCode::OK,
        "by the key that is being replaced"
    );
    let expired = get(&server, &server.url(&signed(&path, now_s() - 1))).await;
    assert_eq!((expired.status(), header(&expired, "cache-control")), (StatusCode::FORBIDDEN, "no-store"));
    assert_eq!(header(&expired, "access-control-allow-origin"), "*");
    assert!(expired.text().await.unwrap().contains("ask for a new one"));
    let good = signed(&path, now_s() + 60);
    let (head, last) = good.split_at(good.len() - 1);
    for forged in [
        format!("{head}{}", if last == "0" { "1" } else { "0" }),
        head.to_owned(),
        format!("{path}?signature=hunter2&expires=9999999999"),
        format!("{path}?signature="),
        format!("{path}?expires=&signature=%00"),
        good.replace("expires=", "expires=9"),
        good.replace("expires=", "expires=%20"),
    ] {
        let answer = get(&server, &server.url(&forged)).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{forged}");
        assert!(!answer.text().await.unwrap().contains("hunter2"));
    }
    // What was said for this request outweighs what a browser adds.
    let page = server.get(&format!("/?token={TOKEN}")).send().await.unwrap();
    let session = header(&page, "set-cookie").split(';').next().unwrap().to_owned();
    let both = server.get(&signed(&path, now_s() - 1)).header("cookie", session).send().await.unwrap();
    assert_eq!(both.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_withdrawn_key_takes_its_addresses_along() {
    let server = server().await;
    let good = server.url(&signed(&format!("{FOLDER}stream.m3u8"), now_s() + 60));
    assert_eq!(get(&server, &good).await.status(), StatusCode::OK);
    server.site.send_modify(|site| site.access.signing = SigningKeys::new([b"new".to_vec()]));
    let withdrawn = async { while get(&server, &good).await.status() != StatusCode::FORBIDDEN {} };
    tokio::time::timeout(crate::PATIENCE, withdrawn).await.unwrap();
}

#[tokio::test]
async fn a_player_with_the_token_in_the_address_gets_segments_without_it() {
    let server = server().await;
    let playlist = server.get(&format!("{FOLDER}stream.m3u8?token={TOKEN}")).send().await.unwrap();
    assert_eq!((playlist.status(), header(&playlist, "etag")), (StatusCode::OK, ""));
    let text = playlist.text().await.unwrap();
    assert!(!text.contains(TOKEN) && !text.contains("token"), "{text}");
    let uri = text.lines().last().unwrap();
    let segment = get(&server, &server.url(&format!("{FOLDER}{uri}"))).await;
    assert_eq!(segment.status(), StatusCode::OK, "{uri}");
    assert_eq!(header(&segment, "cache-control"), "private, max-age=31536000, immutable");
    // By header, the segments are asked for with the header too.
    let playlist = server.get(&format!("{FOLDER}stream.m3u8")).bearer_auth(TOKEN).send().await.unwrap();
    assert!(!header(&playlist, "etag").is_empty());
    assert_eq!(playlist.text().await.unwrap(), PLAYLIST);
}

/// A player asks for its media playlist under one address for as long as it plays.
#[tokio::test]
async fn a_token_in_the_address_leads_to_media_playlists_that_do_not_end() {
    let server = server().await;
    server.write(
        "location_1/cam_floor/multivariant.m3u8",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nstream.m3u8\n",
    );
    let multivariant = server.url(&format!("{FOLDER}multivariant.m3u8"));
    let token = TOKEN.replace('+', "%2B");
    let text = get(&server, &format!("{multivariant}?token={token}")).await.text().await.unwrap();
    let uri = text.lines().last().unwrap();
    assert!(uri.starts_with("stream.m3u8?token=") && !uri.contains("expires"), "{uri}");
    let media = get(&server, &server.url(&format!("{FOLDER}{uri}"))).await;
    assert_eq!(media.status(), StatusCode::OK);
    let text = media.text().await.unwrap();
    assert!(text.contains("?expires=") && !text.contains("token"), "{text}");
    // Who has an address for a while has it for that while.
    let expires_s = now_s() + 60;
    let query = signed("", expires_s);
    let text = get(&server, &format!("{multivariant}{query}")).await.text().await.unwrap();
    assert!(text.ends_with(&format!("\nstream.m3u8{query}\n")), "{text}");
}

#[tokio::test]
async fn conditions_and_ranges_of_a_signed_playlist_are_not_heeded() {
    let server = server().await;
    let url = server.url(&signed(&format!("{FOLDER}stream.m3u8"), now_s() + 60));
    let plain = server.get(&format!("{FOLDER}stream.m3u8")).bearer_auth(TOKEN).send().await.unwrap();
    let whole = get(&server, &url).await.text().await.unwrap();
    for (name, value) in [("if-none-match", header(&plain, "etag")), ("range", "bytes=0-3")] {
        let answer = server.client.get(&url).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
        assert_eq!(answer.text().await.unwrap(), whole);
    }
    let head = server.client.head(&url).send().await.unwrap();
    assert_eq!(header(&head, "content-length"), whole.len().to_string());
    let none = server.url(&signed(&format!("{FOLDER}x/../none.m3u8"), now_s() + 60));
    assert!(get(&server, &none).await.status().is_client_error());
}

#[tokio::test]
async fn what_is_asked_for_has_to_make_sense() {
    let server = server().await;
    for good in
        [json!({}), json!({"expires_in": 1}), json!({"expires_in": "1h"}), json!({"expires_in": 3600})]
    {
        assert_eq!(sign(&server, good.clone()).await.status(), StatusCode::OK, "{good}");
    }
    assert_eq!(sign(&server, json!(null)).await.status(), StatusCode::OK);
    let url = server.url("/api/streams/cam_floor/sign");
    let bare = server.client.post(&url).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(bare.status(), StatusCode::OK, "without a body");
    for bad in [
        json!({"expires_in": "2h"}),
        json!({"expires_in": 3601}),
        json!({"expires_in": 0}),
        json!({"expires_in": -1}),
        json!({"expires_in": "hunter2"}),
        json!({"expires_in": [1]}),
        json!({"expires_in": "999999999999999999999y"}),
        json!({"expires": 1}),
        json!([]),
        json!("hunter2"),
    ] {
        let answer = sign(&server, bad.clone()).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{bad}");
        let answer: Value = answer.json().await.unwrap();
        assert!(!answer["error"].as_str().unwrap().contains("hunter2"), "{answer}");
    }
    let none = server.client.post(server.url("/api/streams/none/sign")).bearer_auth(TOKEN).json(&json!({}));
    assert_eq!(none.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    // Pages of other sites may send this without asking.
    let form = server.client.post(&url).bearer_auth(TOKEN).header("content-type", "text/plain").body("{}");
    assert_eq!(form.send().await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let long = server.client.post(&url).bearer_auth(TOKEN).json(&json!({"x": "y".repeat(20_000)}));
    assert_eq!(long.send().await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_body_without_a_length_has_an_end_too() {
    let server = server().await;
    let chunk = format!("5000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x5000));
    let head = format!(
        "POST /api/streams/cam_floor/sign HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
         content-type: application/json\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    let mut stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    stream.write_all((head + &chunk).as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(crate::PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn without_the_token_nothing_is_signed() {
    let server = server().await;
    let url = server.url("/api/streams/cam_floor/sign");
    assert_eq!(server.client.post(&url).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let page = server.get(&format!("/?token={TOKEN}")).send().await.unwrap();
    let session = header(&page, "set-cookie").split(';').next().unwrap().to_owned();
    let answer = server.client.post(&url).header("cookie", session).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn signing_has_a_rate() {
    let signs = Rate { interval: Duration::from_secs(90), burst: 2 };
    let limits = Limits { signs, ..Limits::default() };
    let server = Server::of(access(), limits, Duration::from_secs(5)).await;
    for _ in 0..2 {
        assert_eq!(sign(&server, json!({})).await.status(), StatusCode::OK);
    }
    let answer = sign(&server, json!({})).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(!header(&answer, "retry-after").is_empty());
}

#[tokio::test]
async fn a_stream_that_lies_elsewhere_can_not_be_signed() {
    let server = server().await;
    server.site.send_modify(|site| {
        site.cameras[0].playlist_url = "https://bucket.example/l/cam_floor/stream.m3u8".into();
    });
    let refused = async { while sign(&server, json!({})).await.status() != StatusCode::CONFLICT {} };
    tokio::time::timeout(crate::PATIENCE, refused).await.unwrap();
}

#[tokio::test]
async fn the_address_is_by_the_name_that_was_asked_for() {
    let server = server().await;
    let line = "POST /api/streams/cam_floor/sign";
    let token = format!("authorization: Bearer {TOKEN}\r\nx-forwarded-proto: https\r\n");
    assert!(server.raw_with(line, &token).await.contains(r#""url":"https://localhost/streams/"#));
    // An open server signs, too: its addresses outlive the day when it gets a token.
    let open = Access { signing: SigningKeys::new([b"k".to_vec()]), ..Access::default() };
    let open = Server::of(open, Limits::default(), Duration::from_secs(5)).await;
    assert!(open.raw(line).await.starts_with("HTTP/1.1 200"));
}
