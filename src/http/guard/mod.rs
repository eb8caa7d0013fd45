//! Who may: each request passes here before any route sees it. What is not open needs the token.

mod credentials;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};

use super::answer::{error, is_uncached};
use super::health;
use super::limits::client_of;
use super::site::{Around, STREAMS_PATH};
use crate::clock;
use crate::domain::access::Tokens;
use credentials::Shown;

/// Who may use the server.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// None: everybody who reaches it, and it listens on this machine alone.
    pub tokens: Tokens,
}

/// What load balancers and probes ask, who have no token.
const OPEN: [&str; 3] = [health::ALIVE, health::READY, health::HEALTH];

/// A page that is looked at keeps its session; one that is not loses it.
const SESSION_S: u64 = 24 * 60 * 60;
pub(super) const SESSION_COOKIE: &str = "edge_agent_session";

#[derive(Debug, Clone)]
struct Guard {
    access: Access,
    around: Around,
}

pub(super) fn guarded(router: Router, access: Access, around: Around) -> Router {
    router.layer(middleware::from_fn_with_state(Guard { access, around }, watch))
}

enum Verdict {
    Open,
    /// By the token itself, which a page should not have to show again.
    Token,
    /// By a session that is good until then.
    Session(u64),
    Refused {
        why: &'static str,
        shown: bool,
    },
}

async fn watch(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let now_s = clock::wall_ms() / 1000;
    let verdict = guard.judge(&request, now_s);
    let path = request.uri().path();
    let (is_page, of_streams) = (path == "/", path.starts_with(STREAMS_PATH));
    let is_tls = request.headers().get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let session = match verdict {
        Verdict::Refused { why, shown } => {
            if shown {
                guard.around.clients.showed_a_wrong_token(client_of(&request));
            }
            return refusal(why, shown, of_streams);
        }
        Verdict::Token if is_page => true,
        Verdict::Session(until_s) => until_s < now_s + SESSION_S / 2,
        Verdict::Token | Verdict::Open => false,
    };
    let mut response = next.run(request).await;
    if !guard.access.tokens.is_empty() {
        keep_private(response.headers_mut());
    }
    if session && is_uncached(&response) {
        let cookie = guard.access.tokens.session(now_s + SESSION_S).map(|session| cookie(&session, is_tls));
        response.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    }
    response
}

impl Guard {
    fn judge(&self, request: &Request, now_s: u64) -> Verdict {
        let (path, method) = (request.uri().path(), request.method());
        let tokens = &self.access.tokens;
        // Preflights come without credentials, by design.
        let is_preflight = method == Method::OPTIONS && path.starts_with(STREAMS_PATH);
        if OPEN.contains(&path) || is_preflight || (tokens.is_empty() && self.around.is_local) {
            return Verdict::Open;
        }
        let wrong = Verdict::Refused { why: "this is not the token", shown: true };
        match credentials::of(request) {
            Shown::Token(token) if tokens.admit(&token) => Verdict::Token,
            Shown::Token(_) => wrong,
            // Other sites on this machine's name share its cookies: they may look, not touch.
            Shown::Session(_) if !matches!(*method, Method::GET | Method::HEAD) => {
                Verdict::Refused { why: "this needs the token itself", shown: false }
            }
            Shown::Session(session) => match tokens.session_until(session, now_s) {
                Some(until_s) => Verdict::Session(until_s),
                None => Verdict::Refused {
                    why: "the session is over: open the page with its token again",
                    shown: true,
                },
            },
            Shown::Nothing => Verdict::Refused { why: NOTHING_SHOWN, shown: false },
        }
    }
}

const NOTHING_SHOWN: &str =
    "this needs the token, as `Authorization: Bearer TOKEN` or as ?token=TOKEN behind the address";

fn refusal(why: &'static str, shown: bool, of_streams: bool) -> Response {
    let challenge = if shown {
        r#"Bearer realm="edge-agent", error="invalid_token""#
    } else {
        r#"Bearer realm="edge-agent""#
    };
    let mut response =
        ([(header::WWW_AUTHENTICATE, challenge)], error(StatusCode::UNAUTHORIZED, why)).into_response();
    if of_streams {
        // So that a player on another site sees why.
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}

/// No cache that others share may keep what needed a token.
fn keep_private(headers: &mut HeaderMap) {
    let Some(rest) =
        headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok()?.strip_prefix("public"))
    else {
        return;
    };
    if let Ok(private) = HeaderValue::try_from(format!("private{rest}")) {
        headers.insert(header::CACHE_CONTROL, private);
    }
}

fn cookie(session: &str, is_tls: bool) -> HeaderValue {
    let secure = if is_tls { "; Secure" } else { "" };
    let cookie =
        format!("{SESSION_COOKIE}={session}; Path=/; Max-Age={SESSION_S}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(cookie).expect("digits and letters")
}
