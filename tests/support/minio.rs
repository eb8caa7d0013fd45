//! A real MinIO server of the test's own: free loopback port, temporary folder, random credentials.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use tempfile::TempDir;

const READY_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// The port is free when it is chosen; somebody else may take it before MinIO binds it.
const PORT_TRIES: usize = 5;

/// MinIO wants O_DIRECT, which memory has since Linux 6.6.
fn in_memory() -> Option<TempDir> {
    let folder = super::scratch::in_memory("edge-agent-minio-")?;
    let mut options = File::options();
    options.create_new(true).write(true).custom_flags(nix::libc::O_DIRECT);
    options.open(folder.path().join("probe")).ok().map(|_| folder)
}

/// Killed when dropped.
#[derive(Debug)]
pub struct Minio {
    /// `http://127.0.0.1:port`, without a trailing slash.
    pub endpoint: String,
    pub access_key: String,
    pub secret_key: String,
    child: Child,
    folder: TempDir,
}

#[derive(Debug)]
pub struct Temporary {
    pub access_key: String,
    pub secret_key: String,
    pub session_token: String,
}

impl Minio {
    /// Starts a server and waits until it answers signed requests. Panics with the mend if it can't.
    pub async fn start() -> Self {
        let binary = find_minio();
        for _ in 0..PORT_TRIES {
            let mut minio = Self::spawn(&binary);
            match tokio::time::timeout(READY_WITHIN, minio.ready()).await {
                Ok(true) => return minio,
                Ok(false) => continue,
                Err(_) => panic!("MinIO is not ready after {READY_WITHIN:?}; it said:\n{}", minio.log()),
            }
        }
        panic!("MinIO found no free port in {PORT_TRIES} tries");
    }

    fn spawn(binary: &Path) -> Self {
        let folder = in_memory().unwrap_or_else(|| TempDir::new().expect("a temporary folder for MinIO"));
        let log = File::create(folder.path().join("log")).expect("a log file for MinIO");
        let address = free_address();
        let (access_key, secret_key) = (random_hex(), random_hex());
        let child = Command::new(binary)
            .args(["server", "--quiet", "--address", &address])
            .arg(folder.path().join("data"))
            .env("MINIO_ROOT_USER", &access_key)
            .env("MINIO_ROOT_PASSWORD", &secret_key)
            // No console, and no word to the outside.
            .env("MINIO_BROWSER", "off")
            .env("MINIO_UPDATE", "off")
            .env("MINIO_CALLHOME_ENABLE", "off")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of MinIO's log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("can't run {}: {error}", binary.display()));
        Self { endpoint: format!("http://{address}"), access_key, secret_key, child, folder }
    }

    /// `false`: it exited, most likely because its port was taken.
    async fn ready(&mut self) -> bool {
        let client = self.client();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                let log = self.log();
                assert!(log.contains("in use"), "MinIO exited with {status}; it said:\n{log}");
                return false;
            }
            // Its health page says yes before it takes signed requests.
            if client.list_buckets().send().await.is_ok() {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A client with the root credentials.
    pub fn client(&self) -> Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.endpoint)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new(&self.access_key, &self.secret_key, None, None, "test"))
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Client::from_conf(config)
    }

    /// Credentials of an hour's life, with a session token.
    pub async fn temporary_keys(&self) -> Temporary {
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
            .endpoint_url(&self.endpoint)
            .region(aws_sdk_sts::config::Region::new("us-east-1"))
            .credentials_provider(Credentials::new(&self.access_key, &self.secret_key, None, None, "test"))
            .build();
        // MinIO takes any role.
        let ask = aws_sdk_sts::Client::from_conf(config).assume_role();
        let ask = ask.role_arn("arn:aws:iam::123456789012:role/any").role_session_name("test");
        let answer = ask.duration_seconds(3600).send().await.expect("MinIO gives temporary keys");
        let keys = answer.credentials.expect("an answer with keys");
        Temporary {
            access_key: keys.access_key_id,
            secret_key: keys.secret_access_key,
            session_token: keys.session_token,
        }
    }

    /// A bucket whose objects anybody may read (but not list).
    pub async fn create_public_bucket(&self, name: &str) {
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":["*"]}},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::{name}/*"]}}]}}"#
        );
        let client = self.client();
        client.create_bucket().bucket(name).send().await.expect("MinIO creates a bucket");
        client.put_bucket_policy().bucket(name).policy(policy).send().await.expect("MinIO takes a policy");
    }

    /// Where anybody reads an object of a public bucket.
    pub fn public_url(&self, bucket: &str, key: &str) -> String {
        format!("{}/{bucket}/{key}", self.endpoint)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the server printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Minio {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    listener.local_addr().expect("a bound listener has an address").to_string()
}

fn random_hex() -> String {
    format!("{:016x}", getrandom::u64().expect("the system gives random numbers"))
}

/// `$EDGE_AGENT_TEST_MINIO`, else PATH, else where `go install` puts it.
fn find_minio() -> PathBuf {
    if let Some(path) = std::env::var_os("EDGE_AGENT_TEST_MINIO") {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(go_bin());
    folders.extend(std::env::var_os("HOME").map(|home| PathBuf::from(home).join("go/bin")));
    folders.into_iter().map(|folder| folder.join("minio")).find(|file| file.is_file()).unwrap_or_else(|| {
        panic!(
            "this test needs a real MinIO server: run packaging/setup.sh, or \
             `go install github.com/minio/minio@latest`, or set EDGE_AGENT_TEST_MINIO to its path"
        )
    })
}

fn go_bin() -> Option<PathBuf> {
    let output = Command::new("go").args(["env", "GOPATH"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(path.trim()).join("bin")).filter(|_| output.status.success())
}
