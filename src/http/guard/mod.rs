//! Who may: each request passes here before any route sees it. What is not open needs the token.

mod asker;
mod credentials;
mod host;

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::answer::{error, is_uncached};
use super::auth::asked_about;
use super::back_office;
use super::health;
use super::limits::client_of;
use super::site::{Around, STREAMS_PATH};
use crate::clock;
use crate::domain::access::Tokens;
use crate::domain::key::MULTIVARIANT_NAME;
use crate::domain::signature::{Invalid, SigningKeys, folder, shared_end, signed_query};
use asker::Asker;
use credentials::Shown;
pub(super) use credentials::of as shown_of;

/// Who may use the server.
#[derive(Debug, Clone)]
pub struct Access {
    /// None: everybody who reaches it, and it listens on this machine alone.
    pub tokens: Tokens,
    /// For addresses that let their bearer watch one stream.
    pub signing: SigningKeys,
    /// How long such an address is good at most.
    pub sign_max: Duration,
}

impl Default for Access {
    fn default() -> Self {
        let sign_max = Duration::from_secs(3600);
        Self { tokens: Tokens::default(), signing: SigningKeys::default(), sign_max }
    }
}

/// With this query the playlist's segments can be asked for, too: it has to hand it on.
#[derive(Debug, Clone)]
pub(super) struct HandedOn(pub(super) String);

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
    /// By the token in a header.
    Token,
    /// By the token in the address (as a query), which what follows from it should not have to show again.
    TokenInAddress(String),
    /// By a session that is good until then.
    Session(u64),
    /// By a query that opens the whole folder.
    Signed(String),
    Refused(Refusal),
    Invalid(Invalid),
    /// By another name than this machine's own, where nobody has to show a token.
    Misnamed,
    /// A page of another site asks, by the browser of somebody who may (see [`Asker`]).
    Foreign,
}

/// No token, or not a good one.
struct Refusal {
    why: &'static str,
    shown: bool,
}

async fn watch(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let now_s = clock::wall_ms() / 1000;
    let asked = asked_about(&request);
    let verdict = guard.judge(asked.as_ref().unwrap_or(&request), now_s);
    let path = request.uri().path();
    let (is_page, of_streams) = (path == "/", path.starts_with(STREAMS_PATH));
    let is_tls = request.headers().get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let mut session = false;
    let handed_on = match verdict {
        Verdict::Refused(refusal) => {
            if refusal.shown {
                guard.around.clients.showed_a_wrong_token(client_of(&request));
            }
            return unauthorized(&refusal, of_streams);
        }
        Verdict::Invalid(why) => return forbidden(why.to_string()),
        Verdict::Misnamed => return forbidden(MISNAMED),
        Verdict::Foreign => return forbidden(FOREIGN),
        Verdict::Open | Verdict::Token => None,
        Verdict::Session(until_s) => {
            session = until_s < now_s + SESSION_S / 2;
            None
        }
        // Players ask for a media playlist under the same address for as long as they play: no end fits that.
        Verdict::TokenInAddress(query) if is_multivariant(path) => Some(query),
        Verdict::TokenInAddress(_) => {
            session = is_page;
            guard.access.signing.query(folder(path), shared_end(now_s, guard.access.sign_max))
        }
        Verdict::Signed(query) => Some(query),
    };
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if let Some(query) = handed_on.filter(|_| of_streams && reads) {
        request.extensions_mut().insert(HandedOn(query));
    }
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
        if OPEN.contains(&path) || is_preflight {
            return Verdict::Open;
        }
        let reads = matches!(*method, Method::GET | Method::HEAD) && path != back_office::START;
        let is_open = tokens.is_empty() && self.around.is_local;
        let refused = |why, shown| Verdict::Refused(Refusal { why, shown });
        match credentials::of(request) {
            Shown::Signature { expires, signature } if reads && path.starts_with(STREAMS_PATH) => {
                match self.access.signing.verify(path, expires, signature, now_s) {
                    Ok(()) => Verdict::Signed(signed_query(expires, signature)),
                    Err(invalid) => Verdict::Invalid(invalid),
                }
            }
            _ if is_open && !host::is_this_machines(request) => Verdict::Misnamed,
            _ if is_open && is_foreign(path, asker::of(request)) => Verdict::Foreign,
            _ if is_open => Verdict::Open,
            Shown::Token(token) if tokens.admit(token) => Verdict::Token,
            Shown::TokenInAddress(token) if tokens.admit(&token) => {
                Verdict::TokenInAddress(format!("token={}", percent_encode(&token, NON_ALPHANUMERIC)))
            }
            Shown::Token(_) | Shown::TokenInAddress(_) => refused("this is not the token", true),
            // Other sites on this machine's name share its cookies: they may look, not touch.
            Shown::Session(_) if !reads => refused("this needs the token itself", false),
            Shown::Session(session) => match tokens.session_until(session, now_s) {
                Some(until_s) => Verdict::Session(until_s),
                None => refused("the session is over: open the page with its token again", false),
            },
            Shown::Signature { .. } | Shown::Nothing => refused(NOTHING_SHOWN, false),
        }
    }
}

const FOREIGN: &str =
    "pages of other sites may neither see nor start streams of a server without a token: set http.token";

fn is_multivariant(path: &str) -> bool {
    path.rsplit('/').next() == Some(MULTIVARIANT_NAME)
}

/// Where nobody has to show a token.
fn is_foreign(path: &str, asker: Asker) -> bool {
    match asker {
        Asker::Own => false,
        Asker::Neighbour => path == back_office::START,
        Asker::Elsewhere => path == back_office::START || path.starts_with(STREAMS_PATH),
    }
}

const NOTHING_SHOWN: &str =
    "this needs the token, as `Authorization: Bearer TOKEN` or as ?token=TOKEN behind the address";

fn unauthorized(refusal: &Refusal, of_streams: bool) -> Response {
    let challenge = if refusal.shown {
        r#"Bearer realm="edge-agent", error="invalid_token""#
    } else {
        r#"Bearer realm="edge-agent""#
    };
    let answer = error(StatusCode::UNAUTHORIZED, refusal.why);
    let answer = ([(header::WWW_AUTHENTICATE, challenge)], answer).into_response();
    if of_streams { for_players(answer) } else { answer }
}

const MISNAMED: &str = "without a token this server answers to localhost and 127.0.0.1 only: open it by such a name, \
    or set http.token";

fn forbidden(why: impl Into<String>) -> Response {
    for_players(error(StatusCode::FORBIDDEN, why))
}

/// So that one on another site sees why.
pub(super) fn for_players(mut response: Response) -> Response {
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// No cache that others share may keep what needed a token.
fn keep_private(headers: &mut HeaderMap) {
    let control = headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let Some(rest) = control.and_then(|control| control.strip_prefix("public")) else { return };
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
