//! The real agent as a child process.

use std::fmt::Write;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::minio::Minio;
use super::scratch::Scratch;
use super::wait::until;

const BINARY: &str = env!("CARGO_BIN_EXE_edge-agent");
/// Marks the agent and everything that it starts.
const MARK: &str = "EDGE_AGENT_TEST_SCRATCH";
const LOG_TAIL: usize = 60;
const KILLED_WITHIN_MS: u32 = 500;

/// Everything that makes up one agent's surroundings; agents started one after the other share it.
#[derive(Debug)]
pub struct Place {
    scratch: Scratch,
    env: Vec<(String, String)>,
}

/// Killed when dropped.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    pid: Pid,
    log: PathBuf,
    /// The log is appended to; this agent's part begins here.
    log_start: usize,
}

impl Place {
    pub fn new(name: &str) -> Self {
        let scratch = Scratch::new(name);
        fs::create_dir(scratch.join("spool")).expect("a spool folder");
        let path = scratch.path().display().to_string();
        // `demo` makes its folder in TMPDIR.
        let env = vec![(MARK.into(), path.clone()), ("TMPDIR".into(), path)];
        Self { scratch, env }
    }

    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    pub fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Writes the configuration: an S3 store in MinIO and cameras by id and URL.
    pub fn configure(&mut self, minio: &Minio, bucket: &str, cameras: &[(&str, &str)], more: &str) {
        self.configure_at(&minio.endpoint, minio, bucket, cameras, more);
    }

    /// The same with something at `endpoint` that stands before MinIO.
    pub fn configure_at(
        &mut self,
        endpoint: &str,
        minio: &Minio,
        bucket: &str,
        cameras: &[(&str, &str)],
        more: &str,
    ) {
        self.env("AWS_ACCESS_KEY_ID", &minio.access_key).env("AWS_SECRET_ACCESS_KEY", &minio.secret_key);
        let mut text = format!(
            "location: location_1\nspool: {}\nstorage:\n  type: s3\n  bucket: {bucket}\n  endpoint: {endpoint}\n{more}cameras:\n",
            self.scratch.join("spool").display(),
        );
        for (id, url) in cameras {
            writeln!(text, "  - {{id: {id}, rtsp_url: \"{url}\", use_case: live_stream}}")
                .expect("a String takes it");
        }
        self.write_config(&text);
    }

    pub fn write_config(&self, text: &str) {
        fs::write(self.scratch.join("cameras.yaml"), text).expect("the configuration can be written");
    }

    /// `edge-agent ARGS` in this place, which holds `cameras.yaml`; `wrapper` is a program that becomes it in the end.
    fn command(&self, wrapper: &[&str], args: &[&str]) -> Command {
        let mut words = wrapper.iter().chain([&BINARY]).chain(args);
        let mut command = Command::new(words.next().expect("there is the agent"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            // Neither this shell's accounts nor its proxies.
            // What stands for settings: nobody's here.
            let usual = ["PORT", "STREAM_DIR", "CLEANUP_DELAY_SECONDS", "HLS_SEGMENT_TIME", "HLS_LIST_SIZE"];
            if usual.contains(&&*text)
                || ["AWS_", "SUPABASE_", "EDGE_AGENT_"].iter().any(|prefix| text.starts_with(prefix))
                || text.to_lowercase().ends_with("_proxy")
            {
                command.env_remove(&name);
            }
        }
        command.args(words).envs(self.env.iter().cloned()).current_dir(self.path());
        // No lookup of instance credentials or shared profiles.
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", self.path());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// A command that ends by itself.
    pub async fn run(&self, args: &[&str], deadline: Duration) -> Output {
        let output = timeout(deadline, self.command(&[], args).output()).await;
        output.unwrap_or_else(|_| panic!("edge-agent {args:?} still runs after {deadline:?}")).expect(BINARY)
    }

    pub fn start(&self, args: &[&str]) -> Agent {
        self.start_under(&[], args)
    }

    /// The same by way of a program that executes it: `unshare`, `faketime`.
    pub fn start_under(&self, wrapper: &[&str], args: &[&str]) -> Agent {
        let log = self.scratch.join("agent.log");
        let log_start = fs::read(&log).map_or(0, |text| text.len());
        let file = OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        let again = |file: &File| file.try_clone().expect("a second handle of the log");
        let child = self.command(wrapper, args).stdout(again(&file)).stderr(file).spawn().expect(BINARY);
        let pid = child.id().expect("a child that was just started has a pid");
        Agent { child, pid: Pid::from_raw(pid.cast_signed()), log, log_start }
    }

    /// ffmpeg processes that an agent of this place started.
    pub fn ffmpegs(&self) -> Vec<Process> {
        let mark = self.path().display().to_string();
        processes().filter(|process| process.name == "ffmpeg" && process.mentions(&mark)).collect()
    }

    /// Everything that runs in this place, agents included.
    pub fn processes(&self) -> Vec<Process> {
        let mark = self.path().display().to_string();
        processes().filter(|process| process.mentions(&mark)).collect()
    }

    pub async fn no_ffmpeg_within(&self, deadline: Duration) {
        let none = async || self.ffmpegs().is_empty().then_some(());
        until(deadline, "the end of every ffmpeg", none, || format!("left: {:?}", self.ffmpegs())).await;
    }
}

impl Agent {
    /// All that this agent has printed.
    pub fn log(&self) -> String {
        let all = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&all[self.log_start.min(all.len())..]).into_owned()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        format!("the agent said:\n{}", lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n"))
    }

    pub fn id(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    /// Waits for a line that has all of `words`, `a|b` standing for either, in any case of letters; returns it.
    pub async fn log_line(&mut self, words: &[&str], deadline: Duration) -> String {
        let has =
            |line: &str, word: &str| word.split('|').any(|either| line.contains(&either.to_lowercase()));
        let fits = |line: &&str| words.iter().all(|word| has(&line.to_lowercase(), word));
        let found = |log: &str| log.lines().find(fits).map(str::to_owned);
        until(
            deadline,
            &format!("a log line with {words:?}"),
            async || found(&self.log()),
            || self.log_tail(),
        )
        .await
    }

    pub fn assert_running(&mut self) {
        let status = self.child.try_wait().expect("the agent's state can be read");
        assert!(status.is_none(), "the agent ended with {status:?}; {}", self.log_tail());
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid, signal).expect("the agent can be signalled");
    }

    pub async fn exit(&mut self, deadline: Duration) -> ExitStatus {
        match timeout(deadline, self.child.wait()).await {
            Ok(status) => status.expect("the agent's exit can be awaited"),
            Err(_) => panic!("the agent still runs after {deadline:?}; {}", self.log_tail()),
        }
    }

    /// SIGTERM, then exit 0 within the deadline.
    pub async fn stop(&mut self, deadline: Duration) {
        self.signal(Signal::SIGTERM);
        let status = self.exit(deadline).await;
        assert!(status.success(), "after SIGTERM the agent ended with {status}; {}", self.log_tail());
    }

    pub async fn kill9(&mut self) {
        self.signal(Signal::SIGKILL);
        self.exit(Duration::from_secs(5)).await;
    }
}

impl Drop for Agent {
    /// Its place may be removed next: nobody should still write there.
    fn drop(&mut self) {
        self.child.start_kill().ok();
        for _ in 0..KILLED_WITHIN_MS {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[derive(Debug)]
pub struct Process {
    pub pid: u32,
    pub name: String,
    pub argv: String,
    environment: String,
    folder: PathBuf,
}

impl Process {
    fn mentions(&self, path: &str) -> bool {
        self.argv.contains(path) || self.environment.contains(path) || self.folder.starts_with(path)
    }
}

/// All that can be read of all processes; dead ones that nobody waited for have neither argv nor environment.
fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").expect("/proc can be read");
    entries.flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let read =
            |name| fs::read(entry.path().join(name)).map(|b| String::from_utf8_lossy(&b).replace('\0', " "));
        Some(Process {
            pid,
            name: read("comm").ok()?.trim().to_owned(),
            argv: read("cmdline").ok()?,
            environment: read("environ").unwrap_or_default(),
            folder: fs::read_link(entry.path().join("cwd")).unwrap_or_default(),
        })
    })
}
