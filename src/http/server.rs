//! The listener and its connections: how many, how slow, and how they end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

use super::answer::BodyWithin;
use super::guard::Access;
use super::limits::{Client, Clients, Door, Doors, Limits, MOST_HEAD};
use super::site::{Around, LiveSite, router};
use super::viewing::Audience;

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error(
        "will not listen on {addr} without a token, as other machines can reach it; \
         set `http.token` or `http.token_file`, or listen on 127.0.0.1"
    )]
    NeedsToken { addr: SocketAddr },
    #[error("cannot listen on {addr}: another program already does; stop it or choose another `http.listen`")]
    InUse { addr: SocketAddr },
    #[error("cannot listen on {addr}: ports below 1024 need privileges; choose another `http.listen`")]
    Denied { addr: SocketAddr },
    #[error("cannot listen on {addr}: this machine has no such address; choose another `http.listen`")]
    NoSuchAddress { addr: SocketAddr },
    #[error("cannot listen on {addr}")]
    Listen { addr: SocketAddr, source: io::Error },
}

impl HttpError {
    fn listen(addr: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { addr },
            io::ErrorKind::PermissionDenied => Self::Denied { addr },
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress { addr },
            _ => Self::Listen { addr, source },
        }
    }
}

/// A listener that has its port but answers nobody yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    addr: SocketAddr,
    limits: Limits,
}

/// Takes the address, so that an occupied port is known before anything else starts. Port 0: any free one.
///
/// # Errors
/// Without a token, any address but this machine's own.
pub async fn bind(addr: SocketAddr, access: &Access) -> Result<Bound, HttpError> {
    if access.tokens.is_empty() && !is_local(addr) {
        return Err(HttpError::NeedsToken { addr });
    }
    let listener = TcpListener::bind(addr).await.map_err(|source| HttpError::listen(addr, source))?;
    let addr = listener.local_addr().map_err(|source| HttpError::listen(addr, source))?;
    Ok(Bound { listener, addr, limits: Limits::default() })
}

fn is_local(addr: SocketAddr) -> bool {
    addr.ip().to_canonical().is_loopback()
}

impl Bound {
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Serves until `shutdown` completes; then idle connections are closed, answers under way may be finished
    /// within `grace`, and what is left is cut off.
    pub async fn serve(self, site: impl Into<LiveSite>, shutdown: impl Future<Output = ()>, grace: Duration) {
        let Self { listener, limits, addr } = self;
        let clients = Arc::new(Clients::new(&limits));
        let around = Around { is_local: is_local(addr), clients, audience: Audience::default() };
        let (slots, doors) = (Arc::new(Semaphore::new(limits.connections)), Doors::new(&limits));
        let graceful = GracefulShutdown::new();
        let LiveSite(mut site) = site.into();
        let routers = watch::Sender::new(router(site.borrow_and_update().clone(), &around));
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                Ok(()) = site.changed() => {
                    drop(routers.send_replace(router(site.borrow_and_update().clone(), &around)));
                }
                (accepted, slot) = accept(&listener, &slots, &doors) => {
                    let routers = routers.subscribe();
                    connections.spawn(converse(accepted, routers, limits, graceful.watcher(), slot));
                }
            }
        }
        drop(listener);
        if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
            tracing::debug!(connections = connections.len(), "http clients were cut off");
        }
        connections.shutdown().await;
    }
}

/// How long to wait when the process is out of file descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Of all, and of its address.
type Slot = (OwnedSemaphorePermit, Door);

/// Cancel-safe: a slot that was taken is given back.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    doors: &Arc<Doors>,
) -> ((TcpStream, Client), Slot) {
    let slot = Arc::clone(slots).acquire_owned().await.expect("nobody closes the semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let client = Client(peer.ip());
                // One that has too many is hung up on.
                if let Some(door) = doors.enter(client) {
                    return ((stream, client), (slot, door));
                }
            }
            Err(error) if is_clients_fault(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept http connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_clients_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

async fn converse(
    (stream, client): (TcpStream, Client),
    routers: watch::Receiver<Router>,
    limits: Limits,
    watcher: Watcher,
    _slot: Slot,
) {
    // A playlist is one small packet: no waiting for more.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.stall));
    // By the router of the moment: a browser keeps its connection over a reload.
    let service = service_fn(move |mut request: hyper::Request<_>| {
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(BodyWithin(limits.head));
        TowerToHyperService::new(routers.borrow().clone()).call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(MOST_HEAD)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::trace!(%error, "an http connection broke off");
    }
}
