//! The shipped nginx configuration, in a real nginx before the real server.

use edge_agent::clock::wall_ms;
use edge_agent::domain::signature::SigningKeys;
use reqwest::{Method, Response, StatusCode};

use crate::real_nginx::Nginx;
use crate::{Server, TOKEN, header};

const FOLDER: &str = "/streams/location_1/cam_floor/";
const SEGMENT: &str = "segment_00000000123000000ab_000001.ts";
const PLAYLIST: &str = "#EXTM3U\n#EXTINF:2.000,\nsegment_00000000123000000ab_000001.ts\n";
fn signed(folder: &str, path: &str, lasts_s: i64) -> String {
    let expires_s = (wall_ms() / 1000).checked_add_signed(lasts_s).unwrap();
    format!("{path}?{}", SigningKeys::new([b"new".to_vec()]).query(folder, expires_s).unwrap())
}

async fn behind_nginx() -> (Server, Nginx) {
    let server = Server::guarded().await;
    // Also as ids alone lead to a stream.
    for folder in ["location_1/cam_floor", "location_1/cam_other", "cam_floor"] {
        server.write(&format!("{folder}/stream.m3u8"), PLAYLIST);
        server.write(&format!("{folder}/{SEGMENT}"), "0123456789");
        server.write(&format!("{folder}/init_00000000123000000ab.mp4"), "init");
    }
    let nginx = Nginx::before(server.addr).await;
    (server, nginx)
}

fn cached(answer: &Response) -> (StatusCode, &str) {
    (answer.status(), header(answer, "x-cache-status"))
}

#[tokio::test]
async fn parts_come_from_the_agent_each_time() {
    let server = Server::guarded().await;
    let part = format!("{FOLDER}part_00000000123000000ab_000001.m4s");
    server.write(part.trim_start_matches("/streams/"), "0123456789");
    let nginx = Nginx::before(server.addr).await;
    assert_eq!(nginx.get(&part).await.status(), StatusCode::UNAUTHORIZED);
    for _ in 0..2 {
        let answer = nginx.client.get(nginx.url(&part)).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!((answer.status(), header(&answer, "x-cache-status")), (StatusCode::OK, ""));
        assert_eq!(header(&answer, "access-control-allow-origin"), "*");
        assert_eq!(answer.text().await.unwrap(), "0123456789");
    }
}

#[tokio::test]
async fn segments_come_from_the_cache_and_playlists_from_the_agent() {
    let (server, nginx) = behind_nginx().await;
    let playlist = signed(FOLDER, &format!("{FOLDER}stream.m3u8"), 600);
    let text = nginx.get(&playlist).await.text().await.unwrap();
    let uri = text.lines().last().unwrap();
    assert!(uri.starts_with(SEGMENT) && uri.contains("signature="), "{text}");
    let segment = format!("{FOLDER}{uri}");
    let first = nginx.get(&segment).await;
    assert_eq!(cached(&first), (StatusCode::OK, "MISS"));
    // The agent's own word to browsers, and to caches that do not ask it.
    assert_eq!(header(&first, "cache-control"), "private, max-age=31536000, immutable");
    assert_eq!(first.text().await.unwrap(), "0123456789");
    let again = nginx.get(&segment).await;
    assert_eq!(cached(&again), (StatusCode::OK, "HIT"));
    assert_eq!(header(&again, "access-control-allow-origin"), "*");
    assert_eq!((header(&again, "content-type"), again.headers().contains_key("etag")), ("video/mp2t", true));
    // Of all viewers, whatever they show.
    let by_token = nginx.client.get(nginx.url(&format!("{FOLDER}{SEGMENT}"))).bearer_auth(TOKEN);
    assert_eq!(cached(&by_token.send().await.unwrap()), (StatusCode::OK, "HIT"));
    let ranged = nginx.client.get(nginx.url(&segment)).header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!(cached(&ranged), (StatusCode::PARTIAL_CONTENT, "HIT"));
    assert_eq!(header(&ranged, "content-range"), "bytes 2-4/10");
    assert_eq!(ranged.text().await.unwrap(), "234");
    // What the cache has no answer for yet is asked for whole.
    let other = signed("/streams/cam_floor/", &format!("/streams/cam_floor/{SEGMENT}"), 600);
    let ranged = nginx.client.get(nginx.url(&other)).header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!(cached(&ranged), (StatusCode::PARTIAL_CONTENT, "MISS"));
    assert_eq!(cached(&nginx.get(&other).await), (StatusCode::OK, "HIT"), "by its id alone, too");
    let init = signed(FOLDER, &format!("{FOLDER}init_00000000123000000ab.mp4"), 600);
    for expected in ["MISS", "HIT"] {
        assert_eq!(cached(&nginx.get(&init).await), (StatusCode::OK, expected));
    }

    // The agent has another one meanwhile.
    server.write("location_1/cam_floor/stream.m3u8", PLAYLIST.replace("2.000", "1.500"));
    let fresh = nginx.get(&playlist).await;
    assert_eq!(cached(&fresh), (StatusCode::OK, ""));
    assert_eq!(header(&fresh, "cache-control"), "no-cache, no-store, must-revalidate");
    assert!(fresh.text().await.unwrap().contains("1.500"));
    // What was not there is not remembered as missing.
    let late = signed(FOLDER, &format!("{FOLDER}{}", SEGMENT.replace("000001", "000002")), 600);
    assert_eq!(nginx.get(&late).await.status(), StatusCode::NOT_FOUND);
    server.write(&format!("location_1/cam_floor/{}", SEGMENT.replace("000001", "000002")), "x");
    assert_eq!(cached(&nginx.get(&late).await), (StatusCode::OK, "MISS"));
}

#[tokio::test]
async fn who_may_not_gets_nothing_also_out_of_the_cache() {
    let (_server, nginx) = behind_nginx().await;
    let path = format!("{FOLDER}{SEGMENT}");
    let good = signed(FOLDER, &path, 600);
    let other = "/streams/location_1/cam_other/";
    for address in [&good, &signed(other, &format!("{other}{SEGMENT}"), 600)] {
        for expected in ["MISS", "HIT"] {
            assert_eq!(cached(&nginx.get(address).await), (StatusCode::OK, expected));
        }
    }
    let last = good.chars().last().unwrap();
    let forged = format!("{}{}", &good[..good.len() - 1], if last == '0' { '1' } else { '0' });
    for refused in [
        forged,
        signed(FOLDER, &path, -1),
        signed(other, &path, 600),
        signed("/streams/cam_floor/", &path, 600),
        format!("{path}?signature=x"),
    ] {
        let answer = nginx.get(&refused).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{refused}");
        assert_eq!(header(&answer, "access-control-allow-origin"), "*");
        assert!(!answer.text().await.unwrap().contains("0123456789"));
    }
    for (query, bearer) in [("", None), ("?token=wrong-token-0000", None), ("", Some("wrong-token-0000"))] {
        let asked = nginx.client.get(nginx.url(&format!("{path}{query}")));
        let asked = bearer.iter().fold(asked, |asked, token| asked.bearer_auth(token));
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{query} {bearer:?}");
        assert!(header(&answer, "www-authenticate").starts_with("Bearer"));
    }
    // The caller's own word on what is to be judged counts for nothing.
    let asked = nginx.client.get(nginx.url(&path)).header("x-original-uri", &good);
    assert_eq!(asked.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(nginx.get("/api/auth").await.status(), StatusCode::NOT_FOUND);
    // A player on another site asks first, without credentials.
    let preflight = nginx.client.request(Method::OPTIONS, nginx.url(&path));
    let preflight =
        preflight.header("origin", "https://x.example").header("access-control-request-method", "GET");
    let answer = preflight.send().await.unwrap();
    assert_eq!((answer.status(), header(&answer, "access-control-allow-origin")), (StatusCode::OK, "*"));
}

/// The signature is one of cam_floor: to the agent the whole path must look like one of its folder, to the cache like
/// another's.
#[tokio::test]
async fn a_detour_does_not_lead_to_what_another_may_see() {
    let (server, nginx) = behind_nginx().await;
    let other = "/streams/location_1/cam_other/";
    let filled = signed(other, &format!("{other}{SEGMENT}"), 600);
    assert_eq!(nginx.get(&filled).await.status(), StatusCode::OK);
    let query = signed(FOLDER, "", 600);
    for detour in [
        format!("{FOLDER}..%2fcam_other%2f{SEGMENT}"),
        format!("{FOLDER}%2e%2e%2fcam_other%2f{SEGMENT}"),
        format!("{FOLDER}../cam_other/{SEGMENT}"),
        format!("{FOLDER}%2e%2e/cam_other/{SEGMENT}"),
        format!("//streams/location_1/cam_other/{SEGMENT}"),
        format!("/streams/location_1/cam_other/x/../{SEGMENT}"),
        format!("{FOLDER}{}", SEGMENT.replace('_', "%5f")),
    ] {
        let answer = nginx.raw(&format!("GET {detour}{query}")).await;
        let status = answer.split_whitespace().nth(1).unwrap_or_default();
        assert!(["400", "403", "404"].contains(&status), "{detour}: {answer}");
        assert!(!answer.contains("0123456789"), "{detour}");
        // Nor does the agent itself say that it may be fetched.
        let asked = server.get("/api/auth").header("x-original-uri", format!("{detour}{query}"));
        let status = asked.send().await.unwrap().status();
        assert!([StatusCode::FORBIDDEN, StatusCode::UNAUTHORIZED].contains(&status), "{detour}: {status}");
    }
}

#[tokio::test]
async fn the_api_is_behind_it_and_its_log_has_no_secret() {
    let (server, nginx) = behind_nginx().await;
    let sign = nginx.client.post(nginx.url("/api/streams/cam_floor/sign")).bearer_auth(TOKEN);
    let signed: serde_json::Value = sign.send().await.unwrap().json().await.unwrap();
    let url = signed["url"].as_str().unwrap().to_owned();
    let folder = "/streams/cam_floor/";
    assert!(url.starts_with(&nginx.url(folder)), "by the name and scheme that the viewer uses: {url}");
    assert_eq!(nginx.client.get(&url).send().await.unwrap().status(), StatusCode::OK);
    let page = nginx.get(&format!("/?token={}", TOKEN.replace('+', "%2B"))).await;
    let cookie = header(&page, "set-cookie").to_owned();
    assert!(cookie.contains("; Secure"), "{cookie}");
    let session = cookie.split(';').next().unwrap();
    let path = format!("{FOLDER}{SEGMENT}");
    let by_session = nginx.client.get(nginx.url(&path)).header("cookie", session).send().await.unwrap();
    assert_eq!(by_session.status(), StatusCode::OK);
    let query = url.split_once('?').unwrap().1;
    assert_eq!(nginx.get(&format!("{folder}{SEGMENT}?{query}")).await.status(), StatusCode::OK);
    assert_eq!(nginx.get(&format!("{path}?token={TOKEN}")).await.status(), StatusCode::OK);
    let plain = nginx.client.get(format!("http://{}/?x=y", nginx.plain)).send().await.unwrap();
    assert_eq!(plain.status(), StatusCode::MOVED_PERMANENTLY);

    // The agent is gone: nginx has something to complain of.
    server.stop.send(()).unwrap();
    server.task.await.unwrap();
    for path in [format!("{path}?{query}"), format!("{FOLDER}stream.m3u8?token={TOKEN}")] {
        let answer = nginx.get(&path).await;
        assert!(answer.status().is_server_error(), "{path}: {}", answer.status());
    }
    let logs = nginx.logs();
    assert!(logs.contains(&format!("GET {path} 200 ")), "{logs}");
    let signature = query.split_once("signature=").unwrap().1;
    for secret in [signature, TOKEN, "token=", session] {
        assert!(!logs.contains(secret), "{secret} in {logs}");
    }
}
