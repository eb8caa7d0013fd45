//! The S3 server as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// The argument that makes this binary the server.
pub const ROLE: &str = "serve-s3";

/// Ends when dropped, or when this process ends.
pub struct S3Process {
    pub address: SocketAddr,
    child: Child,
}

impl S3Process {
    pub fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the S3 server")?;
        let stdout = child.stdout.take().context("the S3 server's output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().context("the S3 server's address")?;
        Ok(Self { address, child })
    }
}

impl Drop for S3Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
