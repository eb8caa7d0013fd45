//! Where the storage's credentials come from, so that they can be read again while the agent runs.

use std::cell::RefCell;
use std::env::VarError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::env::Env;
use super::env_file::{EnvFile, FileEnv};
use super::fault::Faults;
use super::load::parse_storage;
use super::model::StoreConfig;

/// The variable that names a newer copy of the configuration: systemd shows the agent a file that only root can read
/// as it was at the start.
pub const RELOAD_FROM: &str = "EDGE_AGENT_RELOAD_FROM";

/// The configuration's text as it was loaded: what changed in the file since waits for a reload.
#[derive(Clone)]
pub struct StorageSource {
    pub(super) file_name: String,
    pub(super) text: String,
    pub(super) env_file: Option<EnvFile>,
}

/// The storage as its sources have it now.
#[derive(Debug)]
pub struct StorageNow {
    pub store: Result<StoreConfig, Faults>,
    /// What it was read from and may change: key files, the file of variables, the AWS chain's own files.
    pub files: Vec<PathBuf>,
}

impl StorageSource {
    pub fn read(&self, base: &dyn Env) -> StorageNow {
        let recorded = Recorded { base, read: RefCell::default() };
        let store = FileEnv::load(self.env_file.as_ref(), &recorded)
            .and_then(|env| parse_storage(&self.file_name, &self.text, &env));
        let mut files = recorded.read.into_inner();
        if matches!(&store, Ok(StoreConfig::S3(s3)) if s3.credentials.is_none()) {
            files.extend(chain_files(base));
        }
        files.sort();
        files.dedup();
        StorageNow { store, files }
    }

    /// What a person does when the storage refuses the credentials.
    pub fn mend(&self, now: &StorageNow, base: &dyn Env) -> String {
        if let Ok(StoreConfig::File(file)) = &now.store {
            return format!("let this user write to {}", file.root.display());
        }
        let files: Vec<_> = now.files.iter().map(|file| file.display().to_string()).collect();
        if base.var(RELOAD_FROM).is_ok_and(|path| !path.is_empty()) {
            // What is put into a copy is gone with the next one.
            return "check the bucket and its rights; put valid credentials into the files that the service's are copies \
                    of, then `systemctl reload` (restart for LoadCredential=)"
                .to_owned();
        }
        let or_reload = format!("{}, then reload (SIGHUP)", self.file_name);
        if files.is_empty() {
            return format!("check the bucket and its rights; put valid credentials into {or_reload}");
        }
        format!(
            "check the bucket and its rights; put valid credentials into {}, which is seen within seconds, or into {or_reload}",
            files.join(" or ")
        )
    }
}

impl fmt::Debug for StorageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageSource")
            .field("file_name", &self.file_name)
            .field("env_file", &self.env_file)
            .finish_non_exhaustive()
    }
}

/// Where the AWS chain looks for what may change. The process's own variables do not.
fn chain_files(env: &dyn Env) -> Vec<PathBuf> {
    let var = |name: &str| env.var(name).ok().filter(|value| !value.is_empty()).map(PathBuf::from);
    let in_home = |name: &str| var("HOME").map(|home| home.join(".aws").join(name));
    let credentials = var("AWS_SHARED_CREDENTIALS_FILE").or_else(|| in_home("credentials"));
    let config = var("AWS_CONFIG_FILE").or_else(|| in_home("config"));
    [credentials, config, var("AWS_WEB_IDENTITY_TOKEN_FILE")].into_iter().flatten().collect()
}

/// Notes which files are read.
struct Recorded<'a> {
    base: &'a dyn Env,
    read: RefCell<Vec<PathBuf>>,
}

impl Env for Recorded<'_> {
    fn var(&self, name: &str) -> Result<String, VarError> {
        self.base.var(name)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.read.borrow_mut().push(path.to_owned());
        self.base.read(path, limit)
    }

    fn exists(&self, path: &Path) -> bool {
        self.base.exists(path)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::tests::Stub;
    use crate::config::{Place, load_with};

    const FULL: &str = "storage:\n  type: s3\n  bucket: streams\n  endpoint: http://h:9000\n";
    const CAMERA: &str = "cameras:\n  - {id: a, rtsp_url: \"rtsp://u:${PASSWORD}@h/1\"}\n";

    fn load(env: &Stub, env_file: Option<&str>) -> crate::config::Loaded {
        let path = Path::new("/etc/c.yaml");
        let env_file = env_file.map(|path| EnvFile::new(Path::new(path)));
        load_with(path, path, env_file.as_ref(), env).unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn s3(now: &StorageNow) -> &crate::config::model::S3Config {
        match &now.store {
            Ok(StoreConfig::S3(s3)) => s3,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_file_is_named_and_read_again() {
        let text = format!("{FULL}  access_key_id: me\n  secret_access_key_file: key\n{CAMERA}");
        let env = Stub::default().file("/etc/c.yaml", &text).file("/etc/key", "old\n").var("PASSWORD", "x");
        let source = load(&env, None).storage;
        // The cameras' part may be wrong by now, and another text in the file waits for a reload.
        let env = Stub::default().file("/etc/c.yaml", "- nonsense").file("/etc/key", "new\n");
        let now = source.read(&env);
        assert_eq!(now.files, [PathBuf::from("/etc/key")]);
        let credentials = s3(&now).credentials.as_ref().unwrap();
        assert_eq!(credentials.secret_access_key.expose_secret(), "new");
        let mend = source.mend(&now, &env);
        assert!(mend.contains("/etc/key"), "{mend}");
        let mend = source.mend(&now, &env.var("EDGE_AGENT_RELOAD_FROM", "/run/edge-agent/cameras.yaml"));
        assert!(
            mend.contains("systemctl reload") && !mend.contains("/etc/key"),
            "a copy is no place: {mend}"
        );
        let empty = source.read(&Stub::default().file("/etc/key", ""));
        assert!(empty.store.is_err());
        assert_eq!(empty.files, now.files, "a file that is being written is looked at again");
    }

    #[test]
    fn a_file_of_variables_comes_before_the_process_and_reaches_s3() {
        let text = format!("{FULL}{CAMERA}");
        let vars = "PASSWORD=a$b\nAWS_ACCESS_KEY_ID=id\nAWS_SECRET_ACCESS_KEY=secret\nAWS_SESSION_TOKEN=t\nAWS_PROFILE=p\n";
        let env = Stub::default().file("/etc/c.yaml", &text).file("/e", vars).var("PASSWORD", "stale");
        let loaded = load(&env, Some("/e"));
        assert!(
            matches!(&loaded.config.cameras[0].source, crate::domain::source::Source::Rtsp(url) if url.reveal().contains("a$b"))
        );
        let now = loaded.storage.read(&env);
        let credentials = s3(&now).credentials.as_ref().unwrap();
        assert_eq!(credentials.access_key_id, "id");
        assert!(credentials.session_token.is_some());
        assert_eq!(now.files, [PathBuf::from("/e")]);
        assert!(!format!("{now:?} {:?}", loaded.storage).contains("secret\""), "secrets stay hidden");
    }

    #[test]
    fn the_file_of_variables_may_be_absent_only_if_that_is_said() {
        let text = format!("{FULL}cameras: [{{id: a, rtsp_url: \"test://\"}}]\n");
        let env = Stub::default().file("/etc/c.yaml", &text).var("HOME", "/home/me");
        let now = load(&env, Some("-/e")).storage.read(&env);
        let wanted = ["/e", "/home/me/.aws/config", "/home/me/.aws/credentials"];
        assert_eq!(now.files, wanted.map(PathBuf::from), "the AWS chain's own files too");
        let path = Path::new("/etc/c.yaml");
        let faults = load_with(path, path, Some(&EnvFile::new(Path::new("/e"))), &env).unwrap_err();
        assert_eq!(faults.iter().next().unwrap().place, Place::File("/e".into()));
        let env = env.file("/e", "AWS_ACCESS_KEY_ID=id\nAWS_PROFILE=p\n");
        let faults = load_with(path, path, Some(&EnvFile::new(Path::new("/e"))), &env).unwrap_err();
        assert!(faults.to_string().contains("AWS_SECRET_ACCESS_KEY: is not set"), "{faults}");
        let env = env.file("/e", "AWS_PROFILE=p\n");
        let warnings = load(&env, Some("/e")).warnings;
        assert!(warnings.iter().any(|warning| warning.field == "AWS_PROFILE"), "{warnings:?}");
    }
}
