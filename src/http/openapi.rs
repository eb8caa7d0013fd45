//! `/api/openapi.json`: the routes, as their code describes them.

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, OpenApi, Ref, SecurityRequirement};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::answer::Trouble;
use super::back_office::START;
use super::guard::SESSION_COOKIE;

/// Known when all routes are.
#[derive(Debug, Clone, Default)]
pub(super) struct Document(Arc<OnceLock<String>>);

impl Document {
    pub(super) fn router(&self) -> OpenApiRouter {
        OpenApiRouter::new().routes(routes!(openapi).with_state(self.clone()))
    }

    /// Of everything that was put into the router.
    pub(super) fn is(&self, api: OpenApi) {
        self.0.get_or_init(|| finished(api).to_json().unwrap_or_default());
    }
}

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "api",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)))]
async fn openapi(State(document): State<Document>) -> Response {
    let json = document.0.get().cloned().unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], json).into_response()
}

/// What holds for all routes.
fn finished(mut api: OpenApi) -> OpenApi {
    api.info.title = "edge-agent".into();
    api.info.version = env!("CARGO_PKG_VERSION").into();
    api.info.description = Some("The agent's web server: docs/http.md".into());
    api.info.license = None;
    let components = api.components.get_or_insert_with(Components::new);
    components.schemas.insert(Trouble::name().into(), Trouble::schema());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let query = ApiKey::Query(ApiKeyValue::new("token"));
    let cookie = ApiKey::Cookie(ApiKeyValue::with_description(
        SESSION_COOKIE,
        "What the page gets for the token; reads only.",
    ));
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.add_security_scheme("query", SecurityScheme::ApiKey(query));
    components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    let needs = ["bearer", "query", "session"].map(|name| SecurityRequirement::new(name, [""; 0]));
    for (path, item) in &mut api.paths.paths {
        for operation in operations(item) {
            common_answers(operation);
        }
        let changing = if path == START { &mut item.get } else { &mut item.post };
        if let Some(operation) = changing {
            // A session of the page reads, and no more.
            operation.security = Some(needs[..2].to_vec());
        }
    }
    api.security = Some(needs.to_vec());
    api
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post].into_iter().filter_map(Option::as_mut)
}

fn common_answers(operation: &mut Operation) {
    let is_open = operation.security.is_some();
    let has_body = operation.request_body.is_some();
    let answers = [
        ("401", "No token, or not the right one", !is_open),
        ("403", "Without a token: by a name that is not this machine's own", !is_open),
        ("400", "Not the body that is wanted", has_body),
        ("408", "The body does not come", has_body),
        ("413", "The body is too long", has_body),
        ("415", "The body is not application/json", has_body),
        ("414", "The address is too long", true),
        ("429", "Too many requests: again after `Retry-After` seconds", true),
        ("431", "The headers are too long", true),
    ];
    for (status, what, _) in answers.into_iter().filter(|(_, _, applies)| *applies) {
        let schema = Ref::from_schema_name(Trouble::name());
        let mut answer = ResponseBuilder::new().description(what);
        if status != "431" {
            answer = answer.content("application/json", ContentBuilder::new().schema(Some(schema)).build());
        }
        operation.responses.responses.entry(status.into()).or_insert_with(|| answer.build().into());
    }
}
