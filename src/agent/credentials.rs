//! The storage's credentials while the agent runs: new ones are taken up, refused ones are told of once for all
//! cameras.
//!
//! The files that credentials come from are looked at every [`LOOK_EVERY`]: by time, size and inode, through links, so
//! that a secret which Kubernetes swaps behind a link is seen. When the storage refuses access they are looked at once
//! more, and the AWS chain is asked again, as the SDK keeps what a profile gave it for ever.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use crate::camera::trouble::Trouble;
use crate::clock;
use crate::config::model::StoreConfig;
use crate::config::{ProcessEnv, StorageNow, StorageSource, same_access, same_place};
use crate::store::renewing::{Access, RenewingStore};
use crate::store::{Identity, ObjectStore, open_anew};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Between two questions to the AWS chain, which may go over the network.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// The store that all cameras use, and what is known of it: also past a reload, which watches other sources.
#[derive(Debug, Clone)]
pub(super) struct SharedStore {
    store: Arc<RenewingStore>,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug)]
struct Known {
    /// What it was opened with.
    config: StoreConfig,
    /// What the AWS chain gave it, as far as that is known.
    identity: Option<Identity>,
    refusals: Trouble,
}

impl SharedStore {
    pub(super) fn new(store: Arc<dyn ObjectStore>, config: StoreConfig) -> Self {
        let known = Known { config, identity: None, refusals: Trouble::default() };
        Self { store: Arc::new(RenewingStore::new(store)), known: Arc::new(Mutex::new(known)) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn store(&self) -> Arc<RenewingStore> {
        self.store.clone()
    }

    pub(super) fn config(&self) -> StoreConfig {
        self.known().config.clone()
    }

    /// Without an `identity` it is looked up when the store is used.
    pub(super) fn renew(&self, store: Arc<dyn ObjectStore>, config: StoreConfig, identity: Option<Identity>) {
        let mut known = self.known();
        known.config = config;
        known.identity = identity;
        self.store.renew(store);
    }
}

/// A file's state, as far as it tells that the content may be another.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

fn stamps(files: &[PathBuf]) -> Vec<(PathBuf, Stamp)> {
    let stamp = |file: &PathBuf| {
        let meta = fs::metadata(file).ok()?;
        Some((meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
    };
    files.iter().map(|file| (file.clone(), stamp(file))).collect()
}

/// One look at the sources: what they were like just before they were read.
struct Look {
    /// Since the last one.
    changed: bool,
    stamps: Vec<(PathBuf, Stamp)>,
    now: StorageNow,
}

/// One task for the whole agent.
pub(super) struct Credentials {
    shared: SharedStore,
    /// `None`: there is nothing to be read again.
    source: Option<StorageSource>,
    seen: Option<Vec<(PathBuf, Stamp)>>,
    /// The last look found something that can't be used; and the trouble that was told of.
    unusable: Option<String>,
    /// The AWS chain is not asked sooner, unless its files change.
    ask_at: Option<Instant>,
    questions: Trouble,
    mend: String,
}

impl Credentials {
    pub(super) fn new(shared: SharedStore, source: Option<StorageSource>) -> Self {
        Self {
            shared,
            source,
            seen: None,
            unusable: None,
            ask_at: None,
            questions: Trouble::default(),
            mend: "check the storage's credentials and permissions".into(),
        }
    }

    pub(super) async fn keep(mut self) {
        let mut access = self.shared.store.access();
        let before = access.borrow_and_update().clone();
        // What a reload mended in the moment between two of these tasks.
        if before.refused.is_none() {
            self.tell(&before);
        }
        let mut refusals = before.refusals;
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let refused = tokio::select! {
                _ = ticks.tick() => false,
                Ok(()) = access.changed() => {
                    let now = access.borrow_and_update().clone();
                    self.tell(&now);
                    std::mem::replace(&mut refusals, now.refusals) < now.refusals
                }
            };
            self.look(refused).await;
        }
    }

    /// One line when it begins, then ever more rarely, and one when it is over.
    fn tell(&self, access: &Access) {
        let now = clock::now();
        match &access.refused {
            Some((operation, reason)) => {
                if let Some(report) = self.shared.known().refusals.failed(now) {
                    let (operation, lasting_s) = (operation.name(), report.lasting.as_secs());
                    let (reason, mend) = (reason.as_str(), self.mend.as_str());
                    tracing::error!(operation, reason, lasting_s, mend, "storage refuses access");
                }
            }
            None => {
                if let Some(report) = self.shared.known().refusals.succeeded(now) {
                    let after = format!("{:.1} s", report.lasting.as_secs_f64());
                    tracing::info!(after, "storage grants access again");
                }
            }
        }
    }

    /// Reads the sources if they changed, if the last reading was of no use, or if the storage `refused` what they
    /// gave.
    async fn look(&mut self, refused: bool) {
        let Some(source) = self.source.clone() else { return };
        let seen = self.seen.clone();
        let again = self.unusable.is_some() || (refused && is_chain(&self.shared.config()));
        let look = move || {
            let files: Vec<_> = seen.iter().flatten().map(|(file, _)| file.clone()).collect();
            let before = stamps(&files);
            let changed = seen.is_none_or(|seen| seen != before);
            if !again && !changed {
                return None;
            }
            let now = source.read(&ProcessEnv);
            // What changed between the two looks is seen at the next one.
            let stamps = if now.files == files { before } else { stamps(&now.files) };
            let mend = source.mend(&now, &ProcessEnv);
            Some((Look { changed, stamps, now }, mend))
        };
        let Ok(Some((look, mend))) = tokio::task::spawn_blocking(look).await else { return };
        self.mend = mend;
        if look.changed {
            self.ask_at = None;
        }
        let is_first = self.seen.replace(look.stamps).is_none();
        match look.now.store {
            Ok(config) => self.take_up(config, is_first).await,
            Err(faults) => self.is_unusable(&faults.to_string().replace('\n', "; ")),
        }
    }

    async fn take_up(&mut self, config: StoreConfig, is_first: bool) {
        let current = self.shared.config();
        if !same_place(&current, &config) {
            return self.is_unusable("they are for another storage now: reload (SIGHUP) to move there");
        }
        let chain = is_chain(&config);
        if !chain && same_access(&current, &config) {
            return self.unusable = None;
        }
        let now = clock::now();
        if chain && self.ask_at.is_some_and(|at| now < at) {
            // Looked at again as soon as it may be asked.
            return self.unusable = self.unusable.take().or(Some(String::new()));
        }
        self.ask_at = Some(now + ASK_EVERY);
        let known = self.shared.known().identity.clone();
        let is_first = chain && is_first && known.is_none();
        match open_anew(&config).await {
            Ok((_, identity)) if Some(&identity) == known.as_ref() => {
                self.unusable = None;
                self.questions.succeeded(now);
            }
            // The open store finds the same, or has its own say about what it does not find.
            Ok((_, identity)) if is_first => self.shared.known().identity = Some(identity),
            Err(_) if is_first => {}
            Ok((store, identity)) => {
                self.unusable = None;
                self.questions.succeeded(now);
                self.shared.renew(store, config, Some(identity));
                tracing::info!("storage credentials were renewed");
            }
            Err(error) => self.gives_none(now, &error.to_string()),
        }
    }

    /// The AWS chain has none. Its words may differ at every question (request ids): told ever more rarely.
    fn gives_none(&mut self, now: Instant, why: &str) {
        if let Some(report) = self.questions.failed(now) {
            let lasting_s = report.lasting.as_secs();
            tracing::warn!(why, lasting_s, "new storage credentials can't be used: keeping the old ones");
        }
        self.unusable = Some(String::new());
    }

    /// Told once; looked at again until it is better.
    fn is_unusable(&mut self, why: &str) {
        if self.unusable.as_deref() != Some(why) {
            tracing::warn!(why, "new storage credentials can't be used: keeping the old ones");
        }
        self.unusable = Some(why.to_owned());
    }
}

/// The AWS SDK finds the credentials by itself.
fn is_chain(config: &StoreConfig) -> bool {
    matches!(config, StoreConfig::S3(s3) if s3.credentials.is_none())
}

/// Starts over with other sources or another store; what a task began is dropped at its next wait.
pub(super) fn spawn(shared: &SharedStore, source: Option<StorageSource>) -> tokio::task::JoinSet<()> {
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(Credentials::new(shared.clone(), source).keep());
    tasks
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::{EnvFile, load_with};
    use crate::store::memory::MemoryStore;

    const LONG: Duration = Duration::from_secs(60);

    /// A configuration with its key in `data/key`, where `data` is a link as Kubernetes makes it.
    struct Secrets {
        folder: tempfile::TempDir,
        shared: SharedStore,
        _task: tokio::task::JoinSet<()>,
    }

    impl Secrets {
        fn new(storage: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let secrets = |version: &str, key: &str| {
                fs::create_dir(folder.path().join(version)).unwrap();
                fs::write(folder.path().join(version).join("key"), key).unwrap();
            };
            secrets("v1", "old");
            secrets("v2", "new");
            std::os::unix::fs::symlink("v1", folder.path().join("data")).unwrap();
            fs::write(folder.path().join("env"), "").unwrap();
            let path = folder.path().join("cameras.yaml");
            fs::write(&path, format!("{storage}cameras: [{{id: a, rtsp_url: \"test://\"}}]\n")).unwrap();
            let env_file = EnvFile::new(&folder.path().join("env"));
            let loaded = load_with(&path, &path, Some(&env_file), &ProcessEnv).unwrap();
            let shared = SharedStore::new(Arc::<MemoryStore>::default(), loaded.config.store);
            let task = spawn(&shared, Some(loaded.storage));
            Self { folder, shared, _task: task }
        }

        fn key(&self) -> String {
            match self.shared.config() {
                StoreConfig::Supabase(config) => config.key.expose_secret().to_owned(),
                other => panic!("{other:?}"),
            }
        }

        fn point_to(&self, version: &str) {
            let new = self.folder.path().join("new");
            std::os::unix::fs::symlink(version, &new).unwrap();
            fs::rename(new, self.folder.path().join("data")).unwrap();
        }

        /// Waits for a renewal; `false` if none comes.
        async fn is_renewed(&self) -> bool {
            let mut renewals = self.shared.store.renewals().unwrap();
            tokio::time::timeout(LONG, renewals.changed()).await.is_ok()
        }
    }

    const SUPABASE: &str = "storage: {type: supabase, url: \"http://h\", key_file: data/key}\n";

    #[tokio::test(start_paused = true)]
    async fn a_secret_behind_a_link_is_taken_up_and_a_bad_one_is_not() {
        let secrets = Secrets::new(SUPABASE);
        assert!(!secrets.is_renewed().await, "nothing has changed");
        fs::write(secrets.folder.path().join("v1/key"), "").unwrap();
        assert!(!secrets.is_renewed().await, "an empty file is no key");
        assert_eq!(secrets.key(), "old");
        secrets.point_to("v2");
        assert!(secrets.is_renewed().await);
        assert_eq!(secrets.key(), "new");
        secrets.point_to("v2");
        assert!(!secrets.is_renewed().await, "another link to the same key");
    }

    #[tokio::test(start_paused = true)]
    async fn another_place_is_a_matter_of_a_reload() {
        let storage = "storage: {type: supabase, url: \"http://${HOST_OF_TEST}\", key_file: data/key}\n";
        let folder_of = |secrets: &Secrets| secrets.folder.path().join("env");
        let text = storage.replace("${HOST_OF_TEST}", "h");
        let secrets = Secrets::new(&text);
        // The text that was loaded counts, whatever the file has by now.
        fs::write(secrets.folder.path().join("cameras.yaml"), storage.replace("${HOST_OF_TEST}", "other"))
            .unwrap();
        secrets.point_to("v2");
        assert!(secrets.is_renewed().await);
        assert!(matches!(secrets.shared.config(), StoreConfig::Supabase(c) if c.url.as_str() == "http://h/"));
        fs::write(folder_of(&secrets), "HALF").unwrap();
        assert!(!secrets.is_renewed().await);
    }
}
