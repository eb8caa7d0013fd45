//! The command line: what to run, and how it ends.

mod check;
mod demo;
mod inspect;
mod publish_player;
mod run;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand};
use tracing::Level;

use crate::config::{self, EnvFile, Faults, FileEnv, Loaded, ProcessEnv};
use crate::domain::profile::Profile;
use crate::sys::{heap, systemd};
use crate::telemetry::logging::{self, LogFormat};

/// Live video from RTSP cameras to any browser through nothing but object storage.
#[derive(Debug, Parser)]
#[command(name = "edge-agent", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the cameras (also without any subcommand).
    Run(RunArgs),
    /// Check configuration, ffmpeg, spool, storage and cameras; tell what to mend.
    Check(CheckArgs),
    /// Print a camera's ffmpeg command, secrets hidden.
    Argv(CameraArgs),
    /// Print a camera's public playlist URL.
    Url(CameraArgs),
    /// Put the page that plays the cameras into the bucket, beside their streams.
    PublishPlayer(PublishArgs),
    /// Show a test pattern in the browser: no configuration, camera, bucket or network needed.
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration [default: $EDGE_AGENT_CONFIG, ./cameras.yaml, /etc/edge-agent/cameras.yaml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Variables for the configuration, NAME=value by line, seen when they change; with a `-` before its name the
    /// file may be absent
    #[arg(long, value_name = "FILE", env = "EDGE_AGENT_ENV_FILE", allow_hyphen_values = true)]
    // An empty one is none; as a path clap would refuse it.
    #[arg(value_parser = OsStringValueParser::new().map(PathBuf::from))]
    env_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct LogArgs {
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// Tell more: -v each segment, -vv everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Run this camera (may be repeated) [default: all enabled live_stream cameras]
    #[arg(long = "camera", value_name = "ID")]
    cameras: Vec<String>,
    /// Stop cleanly after this time, e.g. 30s or 2h
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    run_for: Option<Duration>,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Check these cameras only (may be repeated)
    #[arg(long = "camera", value_name = "ID")]
    cameras: Vec<String>,
    /// Leave out what needs the network: storage and cameras
    #[arg(long)]
    offline: bool,
}

#[derive(Debug, Args)]
struct CameraArgs {
    /// The camera's id
    id: String,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Args)]
struct PublishArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Write it into this folder instead, for another web host
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Where the page is served [default: 127.0.0.1:8080, or another port if that one is taken]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<std::net::SocketAddr>,
    /// As settings.profile; sub_second is half a second behind the lens
    #[arg(long, value_name = "PROFILE", value_parser = Profile::ALL.map(Profile::name))]
    profile: Option<String>,
    /// Stop after this time, e.g. 30s
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    run_for: Option<Duration>,
    #[command(flatten)]
    log: LogArgs,
}

/// How a command ends when it does not end well.
#[derive(Debug)]
enum Failure {
    /// The configuration or the command line is wrong: status 2.
    Config(String),
    /// Anything else: status 1. Its own lines are printed already if it is `None`.
    Other(Option<anyhow::Error>),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(Some(error))
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Config(faults.to_string())
    }
}

type Outcome = Result<(), Failure>;

/// Parses the command line and runs it to its exit status.
pub fn main() -> ExitCode {
    heap::bound();
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Run(cli.run));
    if let Command::Run(_) | Command::Demo(_) = command {
        heap::leave_caches();
    }
    let outcome = match command {
        Command::Run(args) => in_runtime(run::run(args)),
        Command::Check(args) => in_runtime(check::check(args)),
        Command::Demo(args) => in_runtime(demo::demo(args)),
        Command::Argv(args) => in_runtime(inspect::argv(args)),
        Command::Url(args) => inspect::url(&args),
        Command::PublishPlayer(args) => in_runtime(publish_player::publish(args)),
    };
    let (text, status) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Config(text)) => (Some(text), 2),
        Err(Failure::Other(error)) => (error.map(|error| format!("{error:#}")), 1),
    };
    if let Some(text) = text {
        let mut stderr = std::io::stderr().lock();
        for line in text.lines() {
            let _ = writeln!(stderr, "edge-agent: {line}");
        }
    }
    ExitCode::from(status)
}

/// The runtime that all commands use.
///
/// # Errors
/// No threads.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // File reads and name look-ups.
        .max_blocking_threads(16)
        // Longer than any pause between two tries: on a machine that gives no more threads, those that are there do.
        .thread_keep_alive(Duration::from_secs(1200))
        .enable_all()
        .build()
}

fn in_runtime(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = runtime().map_err(|error| anyhow::anyhow!("no runtime: {error}"))?;
    let outcome = runtime.block_on(command);
    // A file system that hangs holds its threads: they are left behind.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Tells what is worth `quiet` or more; each `-v` one level more.
fn start_logging(args: &LogArgs, quiet: Level) {
    const LEVELS: [Level; 4] = [Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    let first = LEVELS.iter().position(|level| *level == quiet).unwrap_or_default();
    let level = LEVELS.get(first + usize::from(args.verbose)).unwrap_or(&Level::TRACE);
    logging::start(args.log_format, *level, systemd::is_journal());
}

/// Finds and loads the configuration.
fn load(args: &ConfigArgs) -> Result<Loaded, Failure> {
    let path = find(args)?;
    load_from(&path, &path, args)
}

fn find(args: &ConfigArgs) -> Result<PathBuf, Failure> {
    let env_file = env_file(args);
    let env = FileEnv::load(env_file.as_ref(), &ProcessEnv)?;
    config::find(args.config.as_deref(), &env).map_err(|e| Failure::Config(e.to_string()))
}

/// The configuration at `path`, its text from `content`.
fn load_from(path: &Path, content: &Path, args: &ConfigArgs) -> Result<Loaded, Failure> {
    Ok(config::load_with(path, content, env_file(args).as_ref(), &ProcessEnv)?)
}

fn env_file(args: &ConfigArgs) -> Option<EnvFile> {
    args.env_file.as_deref().filter(|path| !path.as_os_str().is_empty()).map(EnvFile::new)
}

/// A line on standard output. A reader that went away is no error.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
