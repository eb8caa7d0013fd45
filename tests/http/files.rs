//! `/streams`: headers, ranges, conditions, CORS.

use reqwest::{Method, StatusCode};

use crate::{Server, TOKEN, header};

const PLAYLIST: &str = "location_1/cam_floor/stream.m3u8";
const SEGMENT: &str = "location_1/cam_floor/segment_00000000123000000ab_000001.ts";
const SNAPSHOT: &str = "location_1/cam_floor/snapshot.jpg";
const SHEET: &str = "location_1/cam_floor/status.json";
const SEGMENT_BODY: &[u8] = b"0123456789";

async fn server() -> Server {
    filled(Server::start().await)
}

fn filled(server: Server) -> Server {
    server.write(PLAYLIST, "#EXTM3U\n");
    server.write(SEGMENT, SEGMENT_BODY);
    server.write(SNAPSHOT, "a picture");
    server.write(SHEET, "{}");
    server
}

fn at(key: &str) -> String {
    format!("/streams/{key}")
}

#[tokio::test]
async fn objects_have_the_headers_of_their_class() {
    let server = server().await;
    for (key, content_type, cache_control) in [
        (PLAYLIST, "application/vnd.apple.mpegurl", "no-cache, no-store, must-revalidate"),
        (SEGMENT, "video/mp2t", "public, max-age=31536000, immutable"),
        (SNAPSHOT, "image/jpeg", "no-cache, no-store, must-revalidate"),
        (SHEET, "application/json", "no-cache, no-store, must-revalidate"),
    ] {
        let answer = server.get(&at(key)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(header(&answer, "content-type"), content_type);
        assert_eq!(header(&answer, "cache-control"), cache_control);
        assert_eq!(header(&answer, "accept-ranges"), "bytes");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        for present in ["etag", "last-modified", "date", "content-length"] {
            assert!(!header(&answer, present).is_empty(), "{key} has no {present}");
        }
    }
    let body = server.get(&at(SEGMENT)).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(body, SEGMENT_BODY);
}

#[tokio::test]
async fn a_query_is_no_part_of_the_name() {
    let answer = server().await.get(&format!("{}?t=17", at(PLAYLIST))).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let server = server().await;
    let get = server.get(&at(SEGMENT)).send().await.unwrap();
    // RFC 9110 14.2: Range means nothing on HEAD.
    let head =
        server.client.head(server.url(&at(SEGMENT))).header("range", "bytes=0-1").send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    for name in ["content-type", "cache-control", "etag", "last-modified", "content-length"] {
        assert_eq!(header(&head, name), header(&get, name), "{name}");
    }
    assert_eq!(header(&head, "content-length"), "10");
    assert!(head.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn ranges_answer_the_asked_bytes() {
    let server = server().await;
    for (range, content_range, body) in [
        ("bytes=0-0", "bytes 0-0/10", "0"),
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=5-999", "bytes 5-9/10", "56789"),
    ] {
        let answer = server.get(&at(SEGMENT)).header("range", range).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(header(&answer, "content-range"), content_range, "{range}");
        assert_eq!(header(&answer, "content-type"), "video/mp2t", "{range}");
        assert_eq!(header(&answer, "content-length"), body.len().to_string(), "{range}");
        assert_eq!(answer.text().await.unwrap(), body, "{range}");
    }
}

#[tokio::test]
async fn a_range_beyond_the_end_is_416() {
    let server = server().await;
    for range in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
        let answer = server.get(&at(SEGMENT)).header("range", range).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(header(&answer, "content-range"), "bytes */10", "{range}");
        assert_eq!(header(&answer, "cache-control"), "no-store", "{range}");
    }
}

#[tokio::test]
async fn ranges_that_cannot_be_kept_answer_the_whole() {
    let server = server().await;
    for (name, value) in
        [("range", "bytes=0-1,4-5"), ("range", "bytes=-999"), ("range", "pages=1-2"), ("if-range", "\"old\"")]
    {
        let mut request = server.get(&at(SEGMENT)).header(name, value);
        if name != "range" {
            request = request.header("range", "bytes=0-1");
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{name}: {value}");
        assert_eq!(answer.bytes().await.unwrap(), SEGMENT_BODY, "{name}: {value}");
    }
}

#[tokio::test]
async fn an_unchanged_object_is_304_and_a_changed_one_is_not() {
    let server = server().await;
    let first = server.get(&at(PLAYLIST)).send().await.unwrap();
    let (etag, modified) = (header(&first, "etag").to_owned(), header(&first, "last-modified").to_owned());
    for (name, value) in [
        ("if-none-match", etag.clone()),
        ("if-none-match", format!("\"other\", W/{etag}")),
        ("if-modified-since", modified),
    ] {
        let answer = server.get(&at(PLAYLIST)).header(name, &value).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{name}: {value}");
        assert_eq!(header(&answer, "etag"), etag);
        assert_eq!(header(&answer, "cache-control"), "no-cache, no-store, must-revalidate");
    }
    server.write(PLAYLIST, "#EXTM3U\n#EXT-X-VERSION:3\n");
    let answer = server.get(&at(PLAYLIST)).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_ne!(header(&answer, "etag"), etag);
}

#[tokio::test]
async fn any_origin_may_read_with_the_token() {
    let server = filled(Server::guarded().await);
    let missing = at("location_1/cam_floor/segment_00000000123000000ab_000009.ts");
    for path in [at(PLAYLIST), missing] {
        let asked = server.get(&path).bearer_auth(TOKEN).header("origin", "https://shop.example");
        let answer = asked.header("sec-fetch-site", "cross-site").send().await.unwrap();
        assert_ne!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(header(&answer, "access-control-allow-origin"), "*", "{path}");
        let exposed = header(&answer, "access-control-expose-headers").to_ascii_lowercase();
        for name in ["etag", "content-length", "content-range", "date"] {
            assert!(exposed.split(',').any(|entry| entry.trim() == name), "{name} in {exposed:?}");
        }
    }
}

#[tokio::test]
async fn a_preflight_allows_reading_and_lasts_an_hour() {
    let server = server().await;
    let answer = server
        .client
        .request(Method::OPTIONS, server.url(&at(PLAYLIST)))
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "range, x-anything")
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    assert_eq!(header(&answer, "access-control-allow-origin"), "*");
    assert_eq!(header(&answer, "access-control-allow-methods"), "GET,HEAD");
    assert_eq!(header(&answer, "access-control-allow-headers"), "*,authorization");
    assert_eq!(header(&answer, "access-control-max-age"), "3600");
}

#[tokio::test]
async fn nothing_can_be_written() {
    let server = server().await;
    for method in [Method::PUT, Method::POST, Method::DELETE] {
        let answer = server.client.request(method.clone(), server.url(&at(SEGMENT))).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    assert_eq!(std::fs::read(server.root.path().join(SEGMENT)).unwrap(), SEGMENT_BODY);
    let server = Server::guarded().await;
    server.write("location_1/cam_floor/stream.m3u8", "#EXTM3U\n");
    let token = format!("/streams/cam_floor/stream.m3u8?token={}", TOKEN.replace('+', "%2B"));
    assert_eq!(server.get(&token).send().await.unwrap().status(), StatusCode::OK);
    for method in [Method::PUT, Method::POST, Method::DELETE] {
        let answer = server.client.request(method.clone(), server.url(&token)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
}

#[tokio::test]
async fn missing_objects_are_404_and_no_cache_keeps_that() {
    let answer = server().await.get(&at("location_1/cam_none/stream.m3u8")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(header(&answer, "cache-control"), "no-store");
}

#[tokio::test]
async fn folders_hidden_and_foreign_files_are_not_there() {
    let server = server().await;
    server.write("location_1/cam_floor/.stream.m3u8", "half");
    server.write("location_1/.cache/stream.m3u8", "hidden");
    server.write("location_1/cam_floor/stream.m3u8.tmp", "half");
    server.write("location_1/cameras.yaml", "password: x");
    server.write("location_1/notes", "x");
    std::fs::create_dir_all(server.root.path().join("location_1/folder.ts")).unwrap();
    for path in [
        "/streams",
        "/streams/",
        "/streams/location_1",
        "/streams/location_1/cam_floor/",
        "/streams/location_1/folder.ts",
        "/streams/location_1/folder.ts/",
        "/streams/location_1/cam_floor/.stream.m3u8",
        "/streams/location_1/.cache/stream.m3u8",
        "/streams/location_1/cam_floor/stream.m3u8.tmp",
        "/streams/location_1/cameras.yaml",
        "/streams/location_1/notes",
        "/streams/location_1/cam_floor/stream.m3u8/",
        "/streams/location_1/cam_floor/stream.m3u8/x.ts",
    ] {
        assert_eq!(server.get(path).send().await.unwrap().status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn no_path_leads_out_of_the_root() {
    let server = server().await;
    let outside = server.root.path().parent().unwrap().join("outside-of-the-root.m3u8");
    let mut paths = vec!["//etc/passwd".to_owned(), "/streams//etc/passwd".to_owned()];
    for dots in ["..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..%00", "..\\", "..%5c", "..%2f"] {
        paths.push(format!("/streams/{dots}/outside-of-the-root.m3u8"));
        paths.push(format!("/streams/location_1/{dots}/{dots}/outside-of-the-root.m3u8"));
        paths.push(format!("/streams/location_1/{dots}/location_1/cam_floor/stream.m3u8"));
        paths.push(format!("/assets/{dots}/index.html"));
        paths.push(format!("/streams{dots}/"));
    }
    std::fs::write(&outside, "secret").unwrap();
    let mut answers = Vec::new();
    for path in &paths {
        answers.push(server.raw(&format!("GET {path}")).await);
    }
    std::fs::remove_file(&outside).unwrap();
    for (path, answer) in paths.iter().zip(answers) {
        let refused = ["HTTP/1.1 404", "HTTP/1.1 400"].iter().any(|status| answer.starts_with(status));
        assert!(refused && !answer.contains("secret"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn symlinks_are_not_followed() {
    let server = server().await;
    let elsewhere = tempfile::TempDir::new().unwrap();
    crate::write(elsewhere.path(), "stream.m3u8", "secret");
    let link = |to: &std::path::Path, name: &str| {
        std::os::unix::fs::symlink(to, server.root.path().join(name)).unwrap();
    };
    link(elsewhere.path(), "linked");
    link(&elsewhere.path().join("stream.m3u8"), "linked.m3u8");
    for path in ["/streams/linked/stream.m3u8", "/streams/linked.m3u8"] {
        assert_eq!(server.get(path).send().await.unwrap().status(), StatusCode::NOT_FOUND, "{path}");
    }
}
