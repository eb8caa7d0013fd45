//! As much of HTTP/1.1 as an S3 client speaks.

use std::io::{self, ErrorKind};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Shared;

const CHUNK: usize = 8 << 10;
const LONGEST_HEAD: usize = 64 << 10;

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

#[derive(Debug)]
pub(super) struct Head {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn is_put_of(&self, containing: &str, ending: &str) -> bool {
        let path = self.target.split('?').next().unwrap_or_default();
        self.method == "PUT" && path.contains(containing) && path.ends_with(ending)
    }

    pub fn content_length(&self) -> usize {
        self.header("content-length").and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

/// A client's connection, with what was read beyond the last request.
pub(super) struct Client<'a> {
    pub stream: Box<dyn Stream>,
    read: Vec<u8>,
    shared: &'a Shared,
}

impl<'a> Client<'a> {
    pub fn new(stream: Box<dyn Stream>, shared: &'a Shared) -> Self {
        Self { stream, read: Vec::new(), shared }
    }

    /// The next request's head; `None` when the client closes the connection.
    pub async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = parse(&self.read[..end])?;
                self.read.drain(..end + 4);
                return Ok(Some(head));
            }
            if self.read.len() > LONGEST_HEAD {
                return Err(io::Error::new(ErrorKind::InvalidData, "an endless head"));
            }
            if self.more().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// As much of a request's body.
    pub async fn body(&mut self, head: &Head, bytes: usize) -> io::Result<Vec<u8>> {
        if head.header("expect").is_some() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        while self.read.len() < bytes {
            if self.more().await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.read.drain(..bytes).collect())
    }

    async fn more(&mut self) -> io::Result<usize> {
        let mut chunk = [0; CHUNK];
        let bytes = self.stream.read(&mut chunk).await?;
        self.shared.carry(bytes).await;
        self.read.extend_from_slice(&chunk[..bytes]);
        Ok(bytes)
    }

    /// Returns when the client has closed the connection.
    pub async fn gone(&mut self) {
        while self.more().await.is_ok_and(|bytes| bytes > 0) {}
    }
}

fn parse(head: &[u8]) -> io::Result<Head> {
    let bad = || io::Error::new(ErrorKind::InvalidData, "not HTTP/1.1");
    let text = std::str::from_utf8(head).map_err(|_| bad())?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = words.next().zip(words.next()).ok_or_else(bad)?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':').ok_or_else(bad)?;
        Ok((name.to_owned(), value.trim().to_owned()))
    };
    let headers = lines.map(header).collect::<io::Result<_>>()?;
    Ok(Head { method: method.to_owned(), target: target.to_owned(), headers })
}

/// The bytes of an answer.
pub(super) fn answer(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} \r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    let mut bytes = (text + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
