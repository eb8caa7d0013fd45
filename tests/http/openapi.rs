//! The description of the routes: all of them are in it, and answer as it says.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{Server, TOKEN, header};

async fn described(server: &Server) -> Value {
    let answer = server.get("/api/openapi.json").bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!((answer.status(), header(&answer, "content-type")), (StatusCode::OK, "application/json"));
    answer.json().await.unwrap()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap_or_else(|| panic!("{value}")).keys().cloned().collect()
}

const OF_BACK_OFFICES: &str = "?indicator_id=cam_floor";

/// Whoever adds a route by `routes!` has described it.
#[test]
fn there_is_no_other_way_to_add_a_route() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.extend(std::fs::read_dir(folder.join("guard")).unwrap().map(|entry| entry.unwrap().path()));
    let mut routes = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        routes += text.matches("routes!(").count();
        for call in [".route(", ".route_service(", ".nest(", ".nest_service(", "axum::routing", ".fallback"] {
            let there = text.contains(call);
            // The folder of streams describes itself by hand.
            let is_files = file.ends_with("files.rs") && [".nest_service(", ".fallback"].contains(&call);
            assert!(!there || is_files, "{}: {call} leaves OpenAPI out; use routes!", file.display());
        }
    }
    assert!(routes >= 10, "{routes}");
}

#[tokio::test]
async fn every_described_route_is_there() {
    let server = Server::guarded().await;
    server.write("location_1/cam_floor/stream.m3u8", "#EXTM3U\n");
    server.site.borrow().ready.set();
    let api = described(&server).await;
    let expected = [
        "/",
        "/api/auth",
        "/api/cameras.json",
        "/api/health",
        "/api/openapi.json",
        "/api/stream/start",
        "/api/stream/status",
        "/api/stream/stop",
        "/api/streams",
        "/api/streams/start",
        "/api/streams/status/{id}",
        "/api/streams/stop",
        "/api/streams/touch",
        "/api/streams/{id}/sign",
        "/assets/{name}",
        "/healthz",
        "/metrics",
        "/readyz",
        "/streams/{id}/{name}",
    ];
    assert_eq!(keys(&api["paths"]), expected.map(str::to_owned).into());
    for (path, item) in api["paths"].as_object().unwrap() {
        let real = path.replace("{id}", "cam_floor").replace("{name}", "player.js");
        let real =
            if path.starts_with("/streams/") { real.replace("player.js", "stream.m3u8") } else { real };
        let is_back_offices = path.starts_with("/api/stream/");
        for (method, operation) in item.as_object().unwrap() {
            let request = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let real = if is_back_offices && method == "get" {
                real.clone() + OF_BACK_OFFICES
            } else {
                real.clone()
            };
            let asked = server.client.request(request.clone(), server.url(&real));
            // A signature has a usual time.
            let names_its_stream = operation.get("requestBody").is_some() && !path.contains("{id}");
            let name = if is_back_offices { "indicator_id" } else { "camera_id" };
            let body = names_its_stream.then(|| json!({name: "cam_floor"}));
            let asked = body.iter().fold(asked, |asked, body| asked.json(body));
            let asked = asked.header("x-original-uri", "/streams/location_1/cam_floor/stream.m3u8");
            let answer = asked.bearer_auth(TOKEN).send().await.unwrap();
            let said = if path == "/api/auth" { StatusCode::NO_CONTENT } else { StatusCode::OK };
            assert_eq!(answer.status(), said, "{method} {path}");
            let content_type = header(&answer, "content-type").split(';').next().unwrap().to_owned();
            let described = operation["responses"]["200"]["content"].as_object();
            let fits = described.is_none_or(|types| types.contains_key(&content_type));
            let is_asset = path.starts_with("/assets/");
            assert!(fits || is_asset, "{method} {path}: {content_type} of {described:?}");
            // It is open exactly where it says so.
            let anonymous = server.client.request(request, server.url(&real)).send().await.unwrap();
            let own = operation.get("security");
            let is_open = own == Some(&json!([{}]));
            let by_session = own.is_none();
            assert!(
                is_open || by_session != (method == "post" || path == "/api/stream/start"),
                "{method} {path}"
            );
            assert_eq!(anonymous.status() != StatusCode::UNAUTHORIZED, is_open, "{method} {path}");
            assert_eq!(operation["responses"].get("401").is_none(), is_open, "{method} {path}");
            assert!(operation["responses"].get("429").is_some(), "{method} {path}");
            let has_body = operation.get("requestBody").is_some();
            assert_eq!(operation["responses"].get("408").is_some(), has_body, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn answers_have_the_described_fields() {
    let server = Server::guarded().await;
    let api = described(&server).await;
    let schemas = &api["components"]["schemas"];
    for (path, schema) in [
        ("/api/streams/status/cam_floor", "StreamStatus"),
        ("/api/health", "Health"),
        ("/api/streams/status/none", "Trouble"),
    ] {
        let answer: Value = server.get(path).bearer_auth(TOKEN).send().await.unwrap().json().await.unwrap();
        assert_eq!(keys(&answer), keys(&schemas[schema]["properties"]), "{path}");
    }
    let sign = server.client.post(server.url("/api/streams/cam_floor/sign")).bearer_auth(TOKEN);
    let signed: Value = sign.json(&json!({"expires_in": 60})).send().await.unwrap().json().await.unwrap();
    assert_eq!(keys(&signed), keys(&schemas["Signed"]["properties"]));
    let cameras = server.get("/api/cameras.json").bearer_auth(TOKEN).send().await.unwrap();
    let cameras: Value = cameras.json().await.unwrap();
    assert_eq!(keys(&cameras[0]), keys(&schemas["CameraLink"]["properties"]));
}

#[tokio::test]
async fn the_description_is_whole() {
    let server = Server::guarded().await;
    let api = described(&server).await;
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(api["info"]["title"], "edge-agent");
    assert_eq!(api["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(keys(&api["components"]["securitySchemes"]).len(), 3);
    let stream = &api["components"]["schemas"]["StreamStatus"]["properties"];
    let named = |field: &str, way: &str| {
        let reference = stream[field].pointer(way).and_then(Value::as_str).map(|reference| &reference[1..]);
        let reference = reference.unwrap_or_else(|| panic!("{field}: {}", stream[field]));
        api.pointer(reference).unwrap_or_else(|| panic!("{reference}"))["enum"].clone()
    };
    assert_eq!(named("phase", "/$ref"), json!(["idle", "starting", "live", "stopping", "waiting"]));
    assert_eq!(named("verdict", "/$ref"), json!(["ok", "idle", "starting", "degraded", "down"]));
    assert_eq!(named("mode", "/oneOf/0/$ref"), json!(["copy", "transcode"]));
    let text = api.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(api.pointer(pointer).is_some(), "{pointer} is nowhere");
    }
    assert!(!text.contains("hunter2") && !text.contains(TOKEN));
    // Without a folder of streams there is no such route.
    server.site.send_modify(|site| site.files = None);
    let gone = async { while described(&server).await["paths"].get("/streams/{id}/{name}").is_some() {} };
    tokio::time::timeout(crate::PATIENCE, gone).await.unwrap();
}
