//! An uplink: a TCP proxy whose clients share so many bits per second towards the server. Back they are free.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Small next to a segment, so that connections take turns.
const CHUNK: usize = 1024;
const CATCHES_UP: Duration = Duration::from_millis(500);
/// What the proxy itself holds back; the rest waits at the client, as before a modem.
const RECEIVE_BUFFER: u32 = 8 * 1024;

/// Ends with all of its connections when dropped.
#[derive(Debug)]
pub struct Throttle {
    addr: SocketAddr,
    uplink: Arc<Uplink>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Uplink {
    /// 0: as fast as it goes.
    kbps: AtomicU64,
    /// When it has carried all that it took.
    free_at: Mutex<Instant>,
}

impl Uplink {
    async fn carry(&self, bytes: usize) {
        let kbps = self.kbps.load(Ordering::Relaxed);
        if kbps == 0 {
            return;
        }
        // By the clock, not by pauses: those are too long on a busy machine.
        let mut free_at = self.free_at.lock().await;
        let from = (*free_at).max(now() - CATCHES_UP);
        *free_at = from + Duration::from_secs_f64(bytes as f64 * 8.0 / (kbps as f64 * 1000.0));
        tokio::time::sleep_until(*free_at).await;
    }
}

impl Throttle {
    /// Before the server at `http://host:port`.
    pub async fn before(endpoint: &str) -> Self {
        let server: SocketAddr = endpoint.trim_start_matches("http://").parse().expect("an address");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(RECEIVE_BUFFER).expect("a small buffer");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free loopback port");
        let listener = socket.listen(64).expect("a listening socket");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let uplink = Arc::new(Uplink { kbps: AtomicU64::new(0), free_at: Mutex::new(now()) });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, uplink.clone()));
        Self { addr, uplink, _tasks: tasks }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn set_kbps(&self, kbps: u64) {
        self.uplink.kbps.store(kbps, Ordering::Relaxed);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, uplink: Arc<Uplink>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let uplink = uplink.clone();
        connections.spawn(async move {
            let Ok(server) = TcpStream::connect(server).await else { return };
            let (mut client_in, mut client_out) = client.into_split();
            let (mut server_in, mut server_out) = server.into_split();
            let up = async {
                let mut chunk = [0; CHUNK];
                while let Ok(bytes @ 1..) = client_in.read(&mut chunk).await {
                    uplink.carry(bytes).await;
                    if server_out.write_all(&chunk[..bytes]).await.is_err() {
                        break;
                    }
                }
                let _ = server_out.shutdown().await;
            };
            let down = async {
                let _ = tokio::io::copy(&mut server_in, &mut client_out).await;
                let _ = client_out.shutdown().await;
            };
            tokio::join!(up, down);
        });
        while connections.try_join_next().is_some() {}
    }
}

#[expect(clippy::disallowed_methods, reason = "real time of a real proxy")]
fn now() -> Instant {
    Instant::now()
}
