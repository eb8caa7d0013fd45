//! The streams that this server has, as a bucket would show them: no listing, no other files than the agent's.

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::response::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};
use tower_http::services::ServeDir;
use utoipa::PartialSchema as _;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ContentBuilder, PathItem, Required, ResponseBuilder, ResponsesBuilder};
use utoipa_axum::router::OpenApiRouter;

use super::beneath::Beneath;
use super::guard::HandedOn;
use super::nearby::Nearby;
use super::site::STREAMS_PATH;
use super::viewing::{Places, locate};
use crate::domain::class::ObjectClass;
use crate::domain::playlist::with_query;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Far more than a hundred segments take.
const MOST_PLAYLIST: usize = 1024 * 1024;
/// All that [`class_of`] knows, by their content types.
const SERVED: [ObjectClass; 5] = [
    ObjectClass::Playlist,
    ObjectClass::Segment,
    ObjectClass::Fmp4,
    ObjectClass::Snapshot,
    ObjectClass::Sheet,
];
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(3600);

pub(super) fn router(root: PathBuf, places: Places) -> OpenApiRouter {
    // Not a route of its own: OpenAPI knows no parameter that has folders in it.
    let mut router = OpenApiRouter::new().nest_service(STREAMS_PATH, service(root, places));
    let item = PathItem::new(HttpMethod::Get, described());
    router.get_openapi_mut().paths.paths.insert(format!("{STREAMS_PATH}/{{id}}/{{name}}"), item);
    router
}

/// All are left out by who shows a token and does not wait.
const QUERIES: [(&str, &str); 4] = [
    ("expires", "Of an address that was signed: seconds since 1970, together with `signature`"),
    ("signature", "Takes the place of a token, for what is beside the playlist that was signed"),
    ("_HLS_msn", "A playlist of a stream in parts: not before it has this segment (RFC 8216bis 6.2.5.2)"),
    ("_HLS_part", "With `_HLS_msn`: not before it has this part of it"),
];

fn described() -> Operation {
    let parameter = |name: &str, what: &str| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(what))
            .schema(Some(String::schema()))
    };
    let id = parameter("id", "The stream's id; in the `file` store also its folder: `location_1/cam_floor`");
    let name = parameter("name", "`stream.m3u8`, or what a playlist names");
    let queries = QUERIES.map(|(name, what)| {
        let query = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
        query.required(Required::False).description(Some(what)).schema(Some(String::schema())).build()
    });
    let answers = [
        ("200", "The playlist, segment or picture"),
        ("206", "A part of it"),
        ("304", "It is known already"),
        ("400", "It asks for a part that can't be there"),
        (
            "403",
            "The signature is not for this address, or over; or there is no token, and a page of another site asks",
        ),
        ("404", "There is none of this name, or not now"),
        ("416", "It has no such part"),
    ];
    let content = |answer: ResponseBuilder, class: ObjectClass| {
        answer.content(class.content_type(), ContentBuilder::new().build())
    };
    let answers = answers.map(|(status, what)| {
        let answer = ResponseBuilder::new().description(what);
        let classes = SERVED.into_iter().filter(|_| status == "200" || status == "206");
        (status, classes.fold(answer, content).build())
    });
    OperationBuilder::new()
        .summary(Some("A playlist of a stream that this server has, or what belongs to it"))
        .tag("streams")
        .parameter(id)
        .parameter(name)
        .parameters(Some(queries))
        .responses(ResponsesBuilder::new().responses_from_iter(answers).build())
        .build()
}

fn service(root: PathBuf, places: Places) -> Router {
    // ServeDir answers conditional and range requests; `gate` decides what it gets to see.
    let files = ServeDir::with_backend("", Beneath::new(root))
        .append_index_html_on_directories(false)
        .ignore_multi_range_requests(true);
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD])
        // The star alone leaves this one out.
        .allow_headers(AllowHeaders::list([HeaderName::from_static("*"), header::AUTHORIZATION]))
        .expose_headers([header::ETAG, header::CONTENT_LENGTH, header::CONTENT_RANGE, header::DATE])
        .max_age(PREFLIGHT_MAX_AGE)
        // The answer is the same for every origin.
        .vary([]);
    let files = Router::new().fallback_service(files).layer(middleware::from_fn(gate));
    files.layer(middleware::from_fn_with_state(places, locate)).layer(cors)
}

async fn gate(mut request: Request, next: Next) -> Response {
    let Some(class) = class_of(request.uri().path()) else {
        return not_found();
    };
    drop_odd_range(&mut request);
    let query = request.extensions_mut().remove::<HandedOn>().filter(|_| class == ObjectClass::Playlist);
    let query = query.map(|HandedOn(query)| query);
    let nearby = request.extensions_mut().remove::<Nearby>();
    let mut response = match (nearby.and_then(|nearby| nearby.knows(&request)), query) {
        (Some(ask), query) => ask.answer(query.as_deref(), next).await,
        (None, Some(query)) => playlist_with(&query, request.uri(), next).await,
        (None, None) => answer(request, next).await,
    };
    let status = response.status();
    let headers = response.headers_mut();
    match status {
        StatusCode::NOT_FOUND => return not_found(),
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED => {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(class.cache_control()));
        }
        _ => {
            headers.insert(header::CACHE_CONTROL, NO_STORE);
        }
    }
    if status.is_success() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(class.content_type()));
    }
    response
}

/// The playlist, whose segments are asked for with the same query. Each viewer has his own: no conditions, no ranges.
async fn playlist_with(query: &str, uri: &Uri, next: Next) -> Response {
    match playlist(uri, next).await {
        Ok((parts, text)) => Response::from_parts(parts, with_query(&text, query).into()),
        Err(response) => response,
    }
}

/// A playlist as it is stored, for who makes another one of it; or why there is none.
pub(super) async fn playlist(uri: &Uri, next: Next) -> Result<(Parts, String), Response> {
    let mut whole = Request::new(Body::empty());
    whole.uri_mut().clone_from(uri);
    let (mut parts, body) = next.run(whole).await.into_parts();
    if parts.status != StatusCode::OK {
        return Err(Response::from_parts(parts, body));
    }
    let Ok(playlist) = axum::body::to_bytes(body, MOST_PLAYLIST).await else {
        return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
    };
    for header in [header::CONTENT_LENGTH, header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
        parts.headers.remove(header);
    }
    Ok((parts, String::from_utf8_lossy(&playlist).into_owned()))
}

/// A suffix longer than the object means all of it (RFC 9110 14.1.2); ServeDir says 416.
async fn answer(request: Request, next: Next) -> Response {
    let range = request.headers().get(header::RANGE);
    let suffix = range.and_then(|range| range.as_bytes().get(6..)?.strip_prefix(b"-"));
    if !suffix.is_some_and(|digits| digits.iter().any(|digit| (b'1'..=b'9').contains(digit))) {
        return next.run(request).await;
    }
    let mut whole = Request::new(Body::empty());
    whole.uri_mut().clone_from(request.uri());
    let response = next.clone().run(request).await;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE { next.run(whole).await } else { response }
}

/// What is missing now may be there in a moment: no cache shall keep that.
pub(super) fn not_found() -> Response {
    (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, NO_STORE)]).into_response()
}

/// The class of the object that this path names; `None` for what no object key can be.
///
/// Keys have nothing that needs percent-encoding, so a `%` is either a detour or an attack.
pub(super) fn class_of(path: &str) -> Option<ObjectClass> {
    let key = path.strip_prefix('/').unwrap_or(path);
    let plain = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    if !key.split('/').all(plain) {
        return None;
    }
    ObjectClass::of_name(key.rsplit('/').next()?)
}

/// A range that must be ignored (RFC 9110 14.2): on HEAD, of another unit, or tied to a version by If-Range,
/// which is answered with the whole.
fn drop_odd_range(request: &mut Request) {
    let bytes =
        |value: &HeaderValue| value.as_bytes().get(..6).is_some_and(|b| b.eq_ignore_ascii_case(b"bytes="));
    let headers = request.headers();
    let keep = request.method() == Method::GET
        && !headers.contains_key(header::IF_RANGE)
        && headers.get(header::RANGE).is_some_and(bytes);
    if !keep {
        request.headers_mut().remove(header::RANGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_object_keys_have_a_class() {
        assert_eq!(class_of("/location_1/cam_floor/stream.m3u8"), Some(ObjectClass::Playlist));
        assert_eq!(class_of("/l/c/segment_0_000001.ts"), Some(ObjectClass::Segment));
        assert_eq!(class_of("/l/c/snapshot.jpg"), Some(ObjectClass::Snapshot));
        assert_eq!(class_of("/l/c/status.json"), Some(ObjectClass::Sheet));
        for name in ["/l/c/segment_0_000001.m4s", "/l/c/init_0.mp4"] {
            assert_eq!(class_of(name), Some(ObjectClass::Fmp4));
        }
        for name in
            ["stream.m3u8", "a.ts", "a.m4s", "init_0.mp4", "part_0_1.m4s", "snapshot.jpg", "status.json"]
        {
            let content_type = class_of(name).map(ObjectClass::content_type).expect(name);
            assert!(SERVED.map(ObjectClass::content_type).contains(&content_type), "{name} is not described");
        }
        for path in [
            "/",
            "",
            "/l/",
            "/l/c/",
            "/l/c/.stream.m3u8",
            "/.l/stream.m3u8",
            "/../stream.m3u8",
            "/l/../stream.m3u8",
            "/l/%2e%2e/stream.m3u8",
            "/l/..%2fstream.m3u8",
            "/l//stream.m3u8",
            "//etc/stream.m3u8",
            "/l/c\\stream.m3u8",
            "/l/stream.m3u8%00.ts",
            "/l/cameras.yaml",
            "/l/c/holiday.jpg",
            "/l/c/holiday.mp4",
            "/l/c/cameras.json",
            "/l/stream",
            "/l/stream.m3u8.tmp",
        ] {
            assert_eq!(class_of(path), None, "{path}");
        }
    }
}
