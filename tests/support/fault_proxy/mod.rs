//! A proxy before a real S3 server, over HTTP and HTTPS on one port, whose faults are switched while it runs.
//! `Host` goes through unchanged, as the signature covers it.

mod counts;
mod http;
mod serve;
mod tls;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

#[allow(unused_imports, reason = "every test binary uses its share")]
pub use counts::{Counts, Kind};
use tls::Tls;

/// What the store does wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    None,
    /// Nobody listens: connections are refused.
    Refuse,
    /// Each connection is reset when its request is there.
    Reset,
    /// Each connection is reset in the middle of a request's body.
    CutRequest,
    /// Served, then reset in the middle of the answer.
    CutAnswer,
    /// Served, then closed without any answer.
    LoseAnswer,
    /// Accepted, and not a byte comes. What still waits when the fault ends is served then.
    Hang,
    /// This answer to everything.
    Answer(Canned),
    /// No PUT of a name with both of these is served.
    LosePut {
        containing: &'static str,
        ending: &'static str,
    },
    /// All requests share an uplink this fast.
    Slow {
        bytes_per_s: u64,
    },
    /// A playlist that is read is this many versions old.
    StaleReads {
        versions: usize,
    },
    /// Its certificate is one that nobody trusts.
    WrongCertificate,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Canned {
    pub status: u16,
    pub headers: &'static [(&'static str, &'static str)],
    pub body: &'static str,
}

/// Ends when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    /// Has the certificate to trust.
    folder: TempDir,
    _server: JoinSet<()>,
}

const TAKEN_UP_WITHIN: Duration = Duration::from_secs(30);
/// Older versions than this are forgotten.
const VERSIONS_KEPT: usize = 100;

#[derive(Debug)]
struct Shared {
    /// `http://127.0.0.1:port`
    upstream: String,
    client: reqwest::Client,
    fault: watch::Sender<Fault>,
    /// The fault that the listener has taken up.
    listening: watch::Sender<Fault>,
    counts: Mutex<Counts>,
    /// When the slow link has carried all that it was given.
    link_free: Mutex<Option<Instant>>,
    /// What was put, by target, the newest last.
    playlists: Mutex<HashMap<String, VecDeque<Vec<u8>>>>,
    tls: Tls,
}

impl FaultProxy {
    /// Before the server at `upstream`, `http://127.0.0.1:port`.
    pub async fn start(upstream: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder for the proxy");
        let (tls, certificate) = Tls::new();
        std::fs::write(folder.path().join("ca.pem"), certificate).expect("the certificate can be written");
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        // Before the server closes them.
        let client = client.pool_idle_timeout(Duration::from_secs(5));
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: client.build().expect("an HTTP client"),
            fault: watch::channel(Fault::None).0,
            listening: watch::channel(Fault::None).0,
            counts: Mutex::default(),
            link_free: Mutex::default(),
            playlists: Mutex::default(),
            tls,
        });
        // Keeps the port while nobody listens on it.
        let reserved = bound("127.0.0.1:0".parse().expect("an address"));
        let address = reserved.local_addr().expect("a bound socket has an address");
        let mut server = JoinSet::new();
        let listener = listen(address);
        // Before the task has begun a fault may be set already.
        let (state, faults) = (shared.clone(), shared.fault.subscribe());
        server.spawn(async move {
            serve::accept(state, faults, address, listener).await;
            drop(reserved);
        });
        Self { address, shared, folder, _server: server }
    }

    pub fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    /// For who trusts [`Self::certificate`].
    pub fn https(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// For `SSL_CERT_FILE`.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// From the return on it holds for old and new connections.
    pub async fn set(&self, fault: Fault) {
        let mut listening = self.shared.listening.subscribe();
        self.shared.fault.send_replace(fault.clone());
        let taken_up = listening.wait_for(|now| *now == fault);
        let taken_up = timeout(TAKEN_UP_WITHIN, taken_up).await.expect("the proxy takes it up in time");
        drop(taken_up.expect("the proxy runs"));
    }

    /// Since the start.
    pub fn counts(&self) -> Counts {
        self.shared.counts.lock().unwrap().clone()
    }
}

impl Shared {
    /// The link's share of these bytes' time.
    async fn carry(&self, bytes: usize) {
        let Fault::Slow { bytes_per_s } = *self.fault.borrow() else { return };
        let takes = Duration::from_secs_f64(bytes as f64 / bytes_per_s as f64);
        #[expect(clippy::disallowed_methods, reason = "a link has a speed in real time")]
        let now = Instant::now();
        let free = {
            let mut free = self.link_free.lock().unwrap();
            let at = free.map_or(now, |at| at.max(now)) + takes;
            *free.insert(at)
        };
        let mut fault = self.fault.subscribe();
        tokio::select! {
            () = sleep_until(free) => {}
            _ = fault.wait_for(|fault| !matches!(fault, Fault::Slow { .. })) => {}
        }
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket takes the option");
    socket.set_reuseport(true).expect("a socket takes the option");
    socket.bind(address).expect("a loopback port");
    socket
}

fn listen(address: SocketAddr) -> TcpListener {
    bound(address).listen(1024).expect("a bound socket listens")
}
