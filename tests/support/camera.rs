//! An RTSP camera with faults on demand: `rtsp_camera.py` as a child process.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// Debian's own: the GStreamer bindings belong to it, not to a Python of pyenv or conda.
const PYTHON: &str = "/usr/bin/python3";
const READY_WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub struct CameraOpts {
    /// 0: any free one.
    pub port: u16,
    pub size: (u32, u32),
    pub fps: u32,
    /// GOP length in frames.
    pub gop: u32,
    pub audio: bool,
    /// So many cameras in one: `/cam1`, `/cam2` and so on.
    pub count: u32,
    /// User and password, asked for by digest.
    pub login: Option<(String, String)>,
    /// Further options of `rtsp_camera.py`, which come last and so win: `--codec=h265 --gop=25,100,13`.
    pub more: &'static str,
}

impl Default for CameraOpts {
    /// 1280x720 at 25 frames per second with AAC, open to all.
    fn default() -> Self {
        Self { port: 0, size: (1280, 720), fps: 25, gop: 50, audio: true, count: 1, login: None, more: "" }
    }
}

/// Killed when dropped; it also ends by itself when the test process does.
#[derive(Debug)]
pub struct Camera {
    pub port: u16,
    control_port: u16,
    child: Child,
    /// The camera lives until this closes.
    _alive: ChildStdin,
}

impl Camera {
    /// Panics with the mend if it can't start.
    pub async fn start(opts: CameraOpts) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/rtsp_camera.py");
        let mut child = Command::new(PYTHON)
            // No cache beside the sources.
            .arg("-B")
            .arg(script)
            .args(arguments(&opts))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("can't run {PYTHON} ({error}): {MEND}"));
        let alive = child.stdin.take().expect("stdin is piped");
        let line = tokio::time::timeout(READY_WITHIN, first_line(&mut child))
            .await
            .unwrap_or_else(|_| panic!("the test camera is not ready after {READY_WITHIN:?}"));
        let port = |name| number_after(&line, name);
        Self { port: port("rtsp-port="), control_port: port("control-port="), child, _alive: alive }
    }

    /// Without credentials.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// The `number`th of [`CameraOpts::count`], from 1.
    pub fn url_of(&self, number: u32) -> String {
        self.url().replace("/cam1", &format!("/cam{number}"))
    }

    /// `credentials` is `user:password`, percent-encoded.
    pub fn url_with(&self, credentials: &str) -> String {
        self.url().replacen("rtsp://", &format!("rtsp://{credentials}@"), 1)
    }

    /// Injects a fault or asks for the state, e.g. `freeze?what=video`; see `rtsp_camera.py`.
    pub async fn control(&self, request: &str) -> serde_json::Value {
        let url = format!("http://127.0.0.1:{}/{request}", self.control_port);
        let answer = reqwest::get(&url).await.expect("the camera's control port answers");
        assert!(answer.status().is_success(), "camera control {request}: {}", answer.status());
        answer.json().await.expect("the camera answers with JSON")
    }

    /// How often it sent nothing for so long that a client hangs up, as the machine was busy; a test that stops it
    /// counts, too.
    pub async fn held_up(&self) -> usize {
        let status = self.control("status").await;
        status["held_up"].as_u64().expect("the camera counts") as usize
    }

    /// A host that hangs: its kernel still takes connections and data, and nothing answers.
    pub fn hang(&self, hangs: bool) {
        self.signal(if hangs { Signal::SIGSTOP } else { Signal::SIGCONT });
    }

    /// SIGSTOP makes it a host that has gone silent: its kernel keeps the connections, nobody answers.
    pub fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("the camera runs");
        kill(Pid::from_raw(pid.cast_signed()), signal).expect("the camera can be signalled");
    }

    pub async fn stop(mut self) {
        self.child.kill().await.expect("the camera can be killed");
    }
}

/// Where a camera on this port is found, also before it runs.
pub fn url(port: u16) -> String {
    format!("rtsp://127.0.0.1:{port}/cam1")
}

const MEND: &str =
    "the test camera needs GStreamer's RTSP server for Debian's Python; run packaging/setup.sh test";

fn arguments(opts: &CameraOpts) -> Vec<String> {
    let (width, height) = opts.size;
    let mut args = vec![
        format!("--port={}", opts.port),
        format!("--size={width}x{height}"),
        format!("--fps={}", opts.fps),
        format!("--gop={}", opts.gop),
        format!("--audio={}", if opts.audio { "aac" } else { "none" }),
    ];
    args.push(format!("--count={}", opts.count));
    if let Some((user, password)) = &opts.login {
        args.extend(["--auth=digest".into(), format!("--user={user}"), format!("--password={password}")]);
    }
    args.extend(opts.more.split_whitespace().map(str::to_owned));
    args
}

async fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    let stdout = child.stdout.take().expect("stdout is piped");
    BufReader::new(stdout).read_line(&mut line).await.expect("the camera's output can be read");
    if !line.starts_with("READY") {
        let mut error = String::new();
        let mut stderr = child.stderr.take().expect("stderr is piped");
        stderr.read_to_string(&mut error).await.ok();
        panic!("{MEND}. It said:\n{line}{error}");
    }
    // GStreamer may go on to complain; a full pipe would block it.
    let mut stderr = child.stderr.take().expect("stderr is piped");
    #[expect(clippy::disallowed_methods, reason = "ends with the camera")]
    tokio::spawn(async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await });
    line
}

fn number_after(line: &str, name: &str) -> u16 {
    let rest = line.split_once(name).map_or("", |(_, rest)| rest);
    let digits = rest.split_whitespace().next().unwrap_or_default();
    digits.parse().unwrap_or_else(|_| panic!("no {name} in the camera's first line: {line}"))
}
