//! What one request, and one client's requests, may cost. Looked at before anything else.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::error;
use super::guard::for_players;
use super::site::STREAMS_PATH;
use crate::clock;
use crate::domain::rate::{Buckets, Rate};

/// What one client may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Of one address; further ones are closed.
    pub connections_of_one: usize,
    /// For a whole request head, and for a whole body; also how long a connection may idle between two requests.
    pub head: Duration,
    /// For a client that stopped taking bytes.
    pub stall: Duration,
    /// Of one address.
    pub requests: Rate,
    /// Also of this machine's own, which a proxy for many may have; and its connections.
    pub own_requests: bool,
    /// Signatures for one address.
    pub signs: Rate,
    /// Callers that wait for a stream at once, of all: each has a connection meanwhile.
    pub waits: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_of_one: 256,
            head: Duration::from_secs(20),
            stall: Duration::from_secs(20),
            requests: REQUESTS,
            own_requests: false,
            signs: SIGNS,
            waits: 128,
        }
    }
}

/// 250 a second: an office full of viewers may have one address, and each asks once or twice a second.
const REQUESTS: Rate = Rate { interval: Duration::from_millis(4), burst: 500 };
/// 20 a second: a back office asks for each of its viewers.
const SIGNS: Rate = Rate { interval: Duration::from_millis(50), burst: 200 };
/// Lines of the log about wrong tokens.
const TROUBLES: Rate = Rate { interval: Duration::from_secs(60), burst: 1 };
const MOST_CLIENTS: usize = 4096;

/// A request's line and headers, in bytes. Of headers hyper takes a hundred.
pub(super) const MOST_HEAD: usize = 16 * 1024;
/// Of what stands in the request line: path and query.
pub(super) const MOST_URI: usize = 4 * 1024;
const MOST_BODY: usize = 16 * 1024;

/// The peer, which may be a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Client(pub(super) IpAddr);

impl Client {
    pub(super) fn is_this_machine(self) -> bool {
        self.0.to_canonical().is_loopback()
    }

    /// Whoever has one IPv6 address has 2^64 of them.
    pub(super) fn key(self) -> u128 {
        match self.0.to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
            IpAddr::V6(ip) => ip.to_bits() & !u128::from(u64::MAX),
        }
    }
}

/// How many connections each address has: one alone must not have all of them.
#[derive(Debug)]
pub(super) struct Doors {
    most: usize,
    own_requests: bool,
    open: Mutex<HashMap<u128, usize>>,
}

/// One connection's. Gives its place back.
#[derive(Debug)]
pub(super) struct Door(Option<(Arc<Doors>, u128)>);

impl Doors {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let Limits { connections_of_one: most, own_requests, .. } = *limits;
        Arc::new(Self { most, own_requests, open: Mutex::default() })
    }

    /// `None`: it has too many already.
    pub(super) fn enter(self: &Arc<Self>, client: Client) -> Option<Door> {
        if client.is_this_machine() && !self.own_requests {
            return Some(Door(None));
        }
        let key = client.key();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Door(Some((self.clone(), key))))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let Some((doors, key)) = self.0.take() else { return };
        let mut open = doors.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = open.entry(key) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What is known of the clients; kept over a reload.
#[derive(Debug)]
pub(super) struct Clients {
    own_requests: bool,
    requests: Mutex<Buckets<u128>>,
    signs: Mutex<Buckets<u128>>,
    troubles: Mutex<Buckets<u128>>,
    waits: Arc<Semaphore>,
}

impl Clients {
    pub(super) fn new(limits: &Limits) -> Self {
        let buckets = |rate| Mutex::new(Buckets::new(rate, MOST_CLIENTS));
        Self {
            own_requests: limits.own_requests,
            signs: buckets(limits.signs),
            requests: buckets(limits.requests),
            troubles: buckets(TROUBLES),
            waits: Arc::new(Semaphore::new(limits.waits)),
        }
    }

    fn may_ask(&self, client: Client) -> Result<(), Duration> {
        if client.is_this_machine() && !self.own_requests {
            return Ok(());
        }
        take(&self.requests, client)
    }

    /// `None`: too many wait already.
    pub(super) fn may_wait(&self) -> Option<OwnedSemaphorePermit> {
        self.waits.clone().try_acquire_owned().ok()
    }

    pub(super) fn may_sign(&self, client: Client) -> Result<(), Duration> {
        take(&self.signs, client)
    }

    /// One line now and then, with nothing of what the client sent.
    pub(super) fn showed_a_wrong_token(&self, client: Client) {
        if take(&self.troubles, client).is_ok() {
            tracing::warn!(client = %client.0, "an http client showed a token that is not valid");
        }
    }
}

fn take(buckets: &Mutex<Buckets<u128>>, client: Client) -> Result<(), Duration> {
    buckets.lock().unwrap_or_else(PoisonError::into_inner).take(client.key(), clock::now())
}

/// Of a request; that of none is nobody's.
pub(super) fn client_of(request: &Request) -> Client {
    request.extensions().get().copied().unwrap_or(Client(Ipv6Addr::UNSPECIFIED.into()))
}

pub(super) fn limited(router: Router, clients: Arc<Clients>) -> Router {
    router.layer(DefaultBodyLimit::max(MOST_BODY)).layer(middleware::from_fn_with_state(clients, check))
}

async fn check(State(clients): State<Arc<Clients>>, request: Request, next: Next) -> Response {
    if let Err(wait) = clients.may_ask(client_of(&request)) {
        let refusal = too_many(wait);
        let is_player = request.uri().path().starts_with(STREAMS_PATH);
        return if is_player { for_players(refusal) } else { refusal };
    }
    let length = request.uri().path_and_query().map_or(0, |text| text.as_str().len());
    if length > MOST_URI {
        return error(StatusCode::URI_TOO_LONG, "the address is too long");
    }
    let body =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if body.is_some_and(|length: usize| length > MOST_BODY) {
        return error(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
    }
    next.run(request).await
}

pub(super) fn too_many(wait: Duration) -> Response {
    again_after(wait, error(StatusCode::TOO_MANY_REQUESTS, "too many requests"))
}

pub(super) fn again_after(wait: Duration, mut response: Response) -> Response {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    let seconds = HeaderValue::try_from(seconds.to_string()).expect("digits");
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_client_and_an_ipv4_address_another() {
        let key = |ip: &str| Client(ip.parse().unwrap()).key();
        assert_eq!(key("2001:db8:1:2::3"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::3"), key("2001:db8:1:3::3"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }
}
