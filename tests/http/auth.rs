//! What a proxy with a cache asks: may this be fetched?

use reqwest::{Method, StatusCode};

use edge_agent::clock::wall_ms;
use edge_agent::domain::signature::SigningKeys;

use crate::{Server, TOKEN, header};

const FOLDER: &str = "/streams/location_1/cam_floor/";
const SEGMENT: &str = "segment_00000000123000000ab_000001.ts";

async fn server() -> Server {
    let server = Server::guarded().await;
    for camera in ["cam_floor", "cam_other"] {
        server.write(&format!("location_1/{camera}/{SEGMENT}"), "0123456789");
    }
    server
}

#[tokio::test]
async fn it_says_what_the_real_address_would() {
    let server = server().await;
    let page = server.get("/?token=a%2Btoken/of-some=length").send().await.unwrap();
    let session = header(&page, "set-cookie").split(';').next().unwrap().to_owned();
    let (path, other) = (format!("{FOLDER}{SEGMENT}"), FOLDER.replace("floor", "other"));
    let now_s = wall_ms() / 1000;
    let signed =
        |folder: &str, ends_s: u64| SigningKeys::new([b"new".to_vec()]).query(folder, ends_s).unwrap();
    let (good, late) = (signed(FOLDER, now_s + 60), signed(FOLDER, now_s - 1));
    let bearer = format!("Bearer {TOKEN}");
    let mut seen = Vec::new();
    for query in [
        "",
        "?x",
        "?token=a%2Btoken/of-some=length",
        "?token=wrong",
        &format!("?{good}"),
        &format!("?{late}"),
    ] {
        for (name, value) in [
            ("x-none", ""),
            ("authorization", &*bearer),
            ("authorization", "Bearer no"),
            ("cookie", &*session),
        ] {
            for path in [&path, &format!("{other}{SEGMENT}")] {
                for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS] {
                    let real = server.client.request(method.clone(), server.url(&format!("{path}{query}")));
                    let real = real.header(name, value).send().await.unwrap().status();
                    let asked = server.get("/api/auth?token=wrong-and-not-meant").header(name, value);
                    let asked = asked.header("x-original-uri", format!("{path}{query}"));
                    let answer = asked.header("x-original-method", method.as_str()).send().await.unwrap();
                    let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&real);
                    let expected = if refused { real } else { StatusCode::NO_CONTENT };
                    assert_eq!(answer.status(), expected, "{method} {path}{query} {name}: {value}");
                    assert_eq!(answer.status() == StatusCode::NO_CONTENT, !answer.status().is_client_error());
                    seen.push(expected.as_u16());
                }
            }
        }
    }
    for code in [204, 401, 403] {
        assert!(seen.contains(&code), "{code} was never said");
    }
}

#[tokio::test]
async fn it_opens_nothing_itself_and_nobody_else_believes_its_headers() {
    let server = server().await;
    let query = SigningKeys::new([b"new".to_vec()]).query(FOLDER, wall_ms() / 1000 + 60).unwrap();
    let good = format!("{FOLDER}{SEGMENT}?{query}");
    let asked = |path: &str| server.get(path).header("x-original-uri", &good);
    assert_eq!(asked("/api/auth").send().await.unwrap().status(), StatusCode::NO_CONTENT);
    for path in ["/api/streams", "/metrics", "/", &format!("{FOLDER}{SEGMENT}"), "/api/auth/", "//api/auth"] {
        assert_eq!(asked(path).send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    // Neither one that is missing, nor two, nor what is no stream's object.
    for uris in [&[][..], &["no-path"], &["http://x/streams/a.ts"], &[&good, &good]] {
        let request =
            uris.iter().fold(server.get("/api/auth"), |request, uri| request.header("x-original-uri", *uri));
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{uris:?}");
        let request =
            uris.iter().fold(server.get("/api/auth"), |request, uri| request.header("x-original-uri", *uri));
        let answer = request.bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{uris:?}");
    }
    for uri in [
        "/",
        "/healthz",
        "/api/streams",
        "/streams/a/b/../c.ts",
        "/streams/a/b%2fc.ts",
        "/streams/a/cameras.yaml",
    ] {
        let asked = server.get("/api/auth").header("x-original-uri", uri).bearer_auth(TOKEN);
        assert_eq!(asked.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{uri}");
    }
}
