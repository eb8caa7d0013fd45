//! A real nginx with the shipped configuration.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const MEND: &str = "run packaging/setup.sh test";
/// For its start, and for each answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Killed when dropped, with its workers: they end with their master's channel.
pub struct Nginx {
    folder: tempfile::TempDir,
    tls: SocketAddr,
    pub plain: SocketAddr,
    pub client: Client,
    trust: Arc<ClientConfig>,
    _child: Child,
}

pub(super) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The shipped file with other addresses and folders.
fn configuration(folder: &Path, agent: SocketAddr, tls: SocketAddr, plain: SocketAddr) -> String {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/nginx/edge-agent.conf");
    let mut text = fs::read_to_string(shipped).unwrap();
    // nginx makes the last folder of a cache's path alone.
    assert!(Path::new("/var/lib/nginx").is_dir(), "Debian's nginx has it");
    let here = folder.display();
    for (shipped, ours) in [
        ("listen [::]:80;", String::new()),
        ("listen [::]:443 ssl;", String::new()),
        ("listen 80;", format!("listen {plain};")),
        ("listen 443 ssl;", format!("listen {tls} ssl;")),
        ("server 127.0.0.1:8080;", format!("server {agent};")),
        ("/var/lib/nginx/edge-agent", format!("{here}/cache")),
        ("/var/log/nginx/", format!("{here}/")),
        ("/etc/nginx/edge-agent/", format!("{here}/")),
    ] {
        assert!(text.contains(shipped), "the configuration has no {shipped:?} any more");
        text = text.replace(shipped, &ours);
    }
    whole(folder, &text)
}

/// The whole file, of what is in its `http`.
pub(super) fn whole(folder: &Path, http: &str) -> String {
    let here = folder.display();
    let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temps: String = temps.map(|name| format!("{name}_temp_path {here}/{name};")).concat();
    format!(
        "user root; daemon off; worker_processes 1; pid {here}/pid; error_log {here}/error.log;\n\
         events {{ worker_connections 256; }}\nhttp {{ {temps}\n{http}\n}}\n"
    )
}

pub(super) async fn start(folder: &Path, configuration: &str, at: SocketAddr) -> Child {
    let conf = folder.join("nginx.conf");
    fs::write(&conf, configuration).unwrap();
    // Debian has it where not everybody's PATH leads.
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("/usr/bin/env");
    command.env("PATH", path).args(["nginx", "-p"]).arg(folder).arg("-c").arg(conf);
    let said = fs::File::create(folder.join("said")).unwrap();
    command.stdout(Stdio::null()).stderr(said).stdin(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("no nginx ({error}): {MEND}"));
    let up = async {
        while TcpStream::connect(at).await.is_err() {
            let said = || fs::read_to_string(folder.join("said")).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "no nginx; {MEND}; it said: {}", said());
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, up).await.unwrap();
    child
}

impl Nginx {
    pub async fn before(agent: SocketAddr) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let (tls, plain) = (free_address(), free_address());
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("fullchain.pem", &own.cert.pem());
        write("privkey.pem", &own.signing_key.serialize_pem());
        let configuration = configuration(folder.path(), agent, tls, plain);
        let child = start(folder.path(), &configuration, tls).await;
        let mut roots = RootCertStore::empty();
        roots.add(own.cert.der().clone()).unwrap();
        let trust = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let own = reqwest::Certificate::from_pem(own.cert.pem().as_bytes()).unwrap();
        let client = Client::builder().no_proxy().timeout(PATIENCE).tls_certs_only([own]);
        let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { folder, tls, plain, client, trust: Arc::new(trust), _child: child }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.tls)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    /// All that it wrote for people to read.
    pub fn logs(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        ["edge-agent.access.log", "edge-agent.error.log", "error.log", "said"].map(read).concat()
    }

    /// Over TLS, without a client that tidies up paths.
    pub async fn raw(&self, request_line: &str) -> String {
        let tcp = TcpStream::connect(self.tls).await.unwrap();
        let connector = TlsConnector::from(self.trust.clone());
        let mut stream = connector.connect(self.tls.ip().into(), tcp).await.unwrap();
        let head = format!("{request_line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}
