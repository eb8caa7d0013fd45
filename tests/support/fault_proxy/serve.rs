//! The proxy's connections.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::{Method, Response};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::counts::Kind;
use super::http::{Client, Head, Stream, answer};
use super::{Fault, Shared, VERSIONS_KEPT, listen};

/// Its handshake's first byte.
const TLS: u8 = 0x16;

/// Closes its listener while connections are to be refused.
pub(super) async fn accept(
    shared: Arc<Shared>,
    mut fault: watch::Receiver<Fault>,
    address: SocketAddr,
    listener: TcpListener,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = fault.changed() => {
                let now = fault.borrow_and_update().clone();
                if matches!(now, Fault::Refuse | Fault::WrongCertificate) {
                    connections.shutdown().await;
                }
                if now == Fault::Refuse {
                    listener = None;
                } else if listener.is_none() {
                    listener = Some(listen(address));
                }
                shared.listening.send_replace(now);
            }
            Some(_) = connections.join_next() => {}
            accepted = next(listener.as_ref()) => {
                let Ok((socket, _)) = accepted else { continue };
                let shared = shared.clone();
                connections.spawn(async move { drop(serve(&shared, socket).await) });
            }
        }
    }
}

async fn next(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn serve(shared: &Shared, socket: TcpStream) -> io::Result<()> {
    // Whenever it is dropped the client sees a reset. All answers are read by then, or are not to be.
    socket.set_zero_linger()?;
    socket.set_nodelay(true)?;
    let mut requests = 0;
    let result = requests_of(shared, socket, &mut requests).await;
    if requests == 0 {
        shared.counts.lock().unwrap().add(Kind::Connection);
    }
    result
}

async fn requests_of(shared: &Shared, socket: TcpStream, requests: &mut u64) -> io::Result<()> {
    let stream = secured(shared, socket).await?;
    let mut client = Client::new(stream, shared);
    while let Some(head) = client.head().await? {
        *requests += 1;
        shared.counts.lock().unwrap().add(Kind::of(&head.method, &head.target));
        one(shared, &mut client, head).await?;
    }
    Ok(())
}

async fn secured(shared: &Shared, socket: TcpStream) -> io::Result<Box<dyn Stream>> {
    let mut first = [0];
    socket.peek(&mut first).await?;
    end_of_hang(shared).await;
    if first[0] != TLS {
        return Ok(Box::new(socket));
    }
    let wrong = *shared.fault.borrow() == Fault::WrongCertificate;
    let acceptor = if wrong { &shared.tls.wrong } else { &shared.tls.right };
    Ok(Box::new(acceptor.accept(socket).await?))
}

async fn end_of_hang(shared: &Shared) {
    let mut fault = shared.fault.subscribe();
    // Fails only when the proxy ends.
    let _ = fault.wait_for(|fault| *fault != Fault::Hang).await;
}

async fn one(shared: &Shared, client: &mut Client<'_>, head: Head) -> io::Result<()> {
    let reset = || Err(ErrorKind::ConnectionReset.into());
    let length = head.content_length();
    if *shared.fault.borrow() == Fault::CutRequest {
        client.body(&head, length / 2).await?;
        return reset();
    }
    let body = client.body(&head, length).await?;
    if *shared.fault.borrow() == Fault::Hang {
        tokio::select! {
            biased;
            () = client.gone() => return reset(),
            () = end_of_hang(shared) => {}
        }
    }
    let fault = shared.fault.borrow().clone();
    match fault {
        Fault::Reset => return reset(),
        Fault::LosePut { containing, ending } if head.is_put_of(containing, ending) => {
            let headers = [("content-length".to_owned(), "0".to_owned())];
            return client.stream.write_all(&answer(503, &headers, b"")).await;
        }
        Fault::Answer(canned) => {
            let headers = canned.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            let length = ("content-length".to_owned(), canned.body.len().to_string());
            let headers: Vec<_> = headers.chain([length]).collect();
            return client.stream.write_all(&answer(canned.status, &headers, canned.body.as_bytes())).await;
        }
        _ => {}
    }
    let bytes = served(shared, &head, body, &fault).await?;
    match fault {
        Fault::LoseAnswer => reset(),
        Fault::CutAnswer => {
            client.stream.write_all(&bytes[..bytes.len() / 2]).await?;
            client.stream.flush().await?;
            reset()
        }
        _ => {
            client.stream.write_all(&bytes).await?;
            client.stream.flush().await
        }
    }
}

/// The real server's answer, as bytes.
async fn served(shared: &Shared, head: &Head, body: Vec<u8>, fault: &Fault) -> io::Result<Vec<u8>> {
    let kind = Kind::of(&head.method, &head.target);
    let put = (kind == Kind::PutPlaylist).then(|| body.clone());
    let answered = forward(shared, head, body).await.map_err(io::Error::other)?;
    let status = answered.status().as_u16();
    let mut headers: Vec<_> = answered
        .headers()
        .iter()
        .filter(|(name, _)| !["connection", "content-length", "transfer-encoding"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let said_length = answered.headers().get("content-length").cloned();
    let mut bytes = answered.bytes().await.map_err(io::Error::other)?.to_vec();
    let mut playlists = shared.playlists.lock().unwrap();
    if let Some(body) = put.filter(|_| status == 200) {
        let versions = playlists.entry(path_of(&head.target)).or_default();
        versions.push_back(body);
        if versions.len() > VERSIONS_KEPT {
            versions.pop_front();
        }
    }
    if let Fault::StaleReads { versions } = fault
        && kind == Kind::ReadPlaylist
        && let Some(kept) = playlists.get(&path_of(&head.target))
        && let Some(old) = kept.len().checked_sub(versions + 1).and_then(|at| kept.get(at))
    {
        bytes.clone_from(old);
    }
    drop(playlists);
    let length = match (head.method.as_str(), said_length) {
        ("HEAD", Some(said)) => String::from_utf8_lossy(said.as_bytes()).into_owned(),
        _ => bytes.len().to_string(),
    };
    headers.push(("content-length".into(), length));
    Ok(answer(status, &headers, &bytes))
}

/// The SDK adds `x-id` to tell operations apart.
fn path_of(target: &str) -> String {
    target.split('?').next().unwrap_or_default().to_owned()
}

async fn forward(shared: &Shared, head: &Head, body: Vec<u8>) -> reqwest::Result<Response> {
    let method = Method::from_bytes(head.method.as_bytes()).unwrap_or_default();
    let mut request = shared.client.request(method, format!("{}{}", shared.upstream, head.target));
    for (name, value) in &head.headers {
        // Answered here, or ours.
        if !["expect", "connection", "content-length"].contains(&name.to_lowercase().as_str()) {
            request = request.header(name, value);
        }
    }
    request.body(body).send().await
}
