//! A simulated link: a TCP proxy that holds every byte for half a round trip each way, and a new connection's
//! first bytes for one more (the handshake). So every extra exchange shows: `100-continue`, a cold connection.
//! Bandwidth is not limited, and there is no slow start.
//!
//! Threads, as tokio's timers round up to whole milliseconds.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const CHUNK: usize = 64 << 10;

/// Its threads end with their connections; the listener's ends with the process.
pub struct Link {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Link {
    pub fn start(server: SocketAddr, round_trip: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let link = Self { address: listener.local_addr()?, connections: Arc::default() };
        let connections = link.connections.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::Relaxed);
                // Either side's end closes the other's socket; the client sees a broken connection.
                let _ = connect(&client, server, round_trip);
            }
        });
        Ok(link)
    }

    /// How many the agent opened so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn connect(client: &TcpStream, server: SocketAddr, round_trip: Duration) -> io::Result<()> {
    let opened = Instant::now();
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let one_way = round_trip / 2;
    pipe(client.try_clone()?, server.try_clone()?, one_way, opened + round_trip);
    pipe(server, client.try_clone()?, one_way, opened);
    Ok(())
}

fn pipe(mut from: TcpStream, mut to: TcpStream, one_way: Duration, open_from: Instant) {
    let (sender, on_the_way) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut chunk = vec![0; CHUNK];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            let arrives = Instant::now().max(open_from) + one_way;
            if sender.send((arrives, chunk[..read].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (arrives, bytes) in on_the_way {
            thread::sleep(arrives.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
