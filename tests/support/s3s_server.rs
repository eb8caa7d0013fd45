//! s3s over s3s-fs: a real S3 protocol, over HTTP, within the test process.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub const ACCESS_KEY: &str = "s3s-access-key";
pub const SECRET_KEY: &str = "s3s-secret-key";

/// Ends when dropped. Anybody may read objects.
#[derive(Debug)]
pub struct S3sServer {
    /// `http://127.0.0.1:port`
    pub endpoint: String,
    folder: TempDir,
    _server: JoinSet<()>,
}

impl S3sServer {
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder for s3s");
        let mut builder =
            S3ServiceBuilder::new(FileSystem::new(folder.path()).expect("s3s takes the folder"));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        builder.set_access(PublicRead);
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, service));
        Self { endpoint, folder, _server: server }
    }

    pub fn create_bucket(&self, name: &str) {
        std::fs::create_dir(self.folder.path().join(name)).expect("s3s-fs: a bucket is a folder");
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    let http = Builder::new(TokioExecutor::new());
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.expect("a listening socket accepts");
        let connection = http.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
        connections.spawn(async move { drop(connection.await) });
        while connections.try_join_next().is_some() {}
    }
}

struct PublicRead;

#[async_trait::async_trait]
impl S3Access for PublicRead {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_some() || context.s3_op().name() == "GetObject" {
            return Ok(());
        }
        Err(s3_error!(AccessDenied, "Signature is required"))
    }
}
