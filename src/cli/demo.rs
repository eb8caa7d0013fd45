//! `edge-agent demo`: the whole pipeline with nothing but ffmpeg.

use std::fs::{self, File};
use std::io::{IsTerminal as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use nix::unistd::geteuid;
use secrecy::ExposeSecret as _;
use tokio::sync::watch;

use super::run::until_stopped;
use super::{DemoArgs, Outcome, say, start_logging};
use crate::agent::{Agent, playlist_url, random_key};
use crate::camera::status::CameraStatus;
use crate::clock;
use crate::config::model::{Camera, Config, FileConfig, HttpConfig, LIVE_STREAM, StoreConfig};
use crate::config::{Overrides, Said};
use crate::domain::source::Source;
use crate::engine::spool::root::default_root;
use crate::http::HttpError;
use crate::sys::signals::Signals;

/// How often the status line changes; without a terminal, how often it is printed.
const STATUS_EVERY: Duration = Duration::from_secs(1);
const STATUS_LINES_EVERY: u32 = 10;

pub(super) async fn demo(args: DemoArgs) -> Outcome {
    // Calm: the status line says what happens.
    start_logging(&args.log, tracing::Level::WARN);
    let folder = tempdir()?;
    let mut signals = Signals::listen(false).map_err(anyhow::Error::from)?;
    let (mut agent, config) = tokio::select! {
        started = start(args.listen, args.profile, &folder) => started?,
        _ = signals.stop() => return Ok(()),
    };
    let camera = &config.cameras[0];
    let http = agent.http_addr();
    say("edge-agent demo: a test pattern through ffmpeg, a folder as the bucket, and a browser.");
    say("");
    let token = config.http.as_ref().and_then(|http| http.tokens.first());
    let shown = token.map(|token| format!("?token={}", token.expose_secret())).unwrap_or_default();
    say(&format!("    http://{}/{shown}", http.unwrap_or(USUAL_ADDRESS)));
    say("");
    if let Some(url) = playlist_url(&config, camera, http) {
        say(&format!("Playlist: {url}{shown}"));
    }
    say("Ctrl-C ends it and leaves nothing behind.");
    let status = agent.statuses().first().cloned();
    let why = tokio::select! {
        why = until_stopped(&mut agent, &mut signals, args.run_for, None) => why,
        () = report(status) => "never",
    };
    if std::io::stdout().is_terminal() {
        say("");
    }
    tracing::debug!(why, "stopping");
    agent.stop(async { _ = signals.stop().await }).await;
    drop(folder);
    say("Stopped; nothing is left behind.");
    Ok(())
}

const USUAL_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// At the wanted address; if none is wanted and the usual one is taken, at a free port.
async fn start(
    wanted: Option<SocketAddr>,
    profile: Option<String>,
    folder: &Folder,
) -> anyhow::Result<(Agent, Config)> {
    let mut config = config(wanted.unwrap_or(USUAL_ADDRESS), profile, folder)?;
    match Agent::start(&config, &[&config.cameras[0]]).await {
        Err(error) if wanted.is_none() && matches!(error.downcast_ref(), Some(HttpError::InUse { .. })) => {
            config.http = Some(http(SocketAddr::new(USUAL_ADDRESS.ip(), 0))?);
            let agent = Agent::start(&config, &[&config.cameras[0]]).await?;
            Ok((agent, config))
        }
        started => Ok((started?, config)),
    }
}

fn config(listen: SocketAddr, profile: Option<String>, folder: &Folder) -> anyhow::Result<Config> {
    let wanted = Overrides { profile, ..Overrides::default() };
    let camera = Camera {
        id: "demo".parse()?,
        name: "Test pattern".into(),
        source: Source::TestPattern,
        use_case: LIVE_STREAM.into(),
        enabled: true,
        settings: wanted.over(&Said::default()).map_err(anyhow::Error::msg)?,
        said: Default::default(),
    };
    Ok(Config {
        location: "demo".parse()?,
        store: StoreConfig::File(FileConfig { root: folder.path.join("bucket"), public_base_url: None }),
        min_playlist_interval: Duration::ZERO,
        request_prices: None,
        http: Some(http(listen)?),
        spool: Some(folder.path.join("spool")),
        spool_limit: None,
        ffmpeg: None,
        defaults: Default::default(),
        cameras: vec![camera],
        others: Vec::new(),
    })
}

/// An address that others can reach has a token of its own, for this demo alone.
fn http(listen: SocketAddr) -> anyhow::Result<HttpConfig> {
    let mut http = HttpConfig::at(listen);
    if !http.is_local() {
        http.tokens.push(random_key()?);
    }
    Ok(http)
}

/// The temporary folder; dropping it removes it.
struct Folder {
    path: PathBuf,
    /// Held as long as this demo lives: see [`remove_leftovers`].
    _lock: File,
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

const FOLDER: &str = "edge-agent-demo-";
const LOCK: &str = "lock";

fn tempdir() -> anyhow::Result<Folder> {
    // In memory where that can be: a demo should not wear a memory card.
    let root = default_root();
    let base = root.parent().context("the spool has no parent")?;
    remove_leftovers(base);
    let path = base.join(format!("{FOLDER}{}-{:x}", std::process::id(), clock::wall_ms()));
    let make = || {
        fs::DirBuilder::new().mode(0o700).recursive(true).create(&path)?;
        let lock = File::create(path.join(LOCK))?;
        lock.lock()?;
        Ok::<_, std::io::Error>(lock)
    };
    let _lock = make().with_context(|| format!("no temporary folder {}", path.display()))?;
    Ok(Folder { path, _lock })
}

/// Folders of demos that were killed with -9: nobody holds their lock any more.
fn remove_leftovers(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let is_demo = entry.file_name().to_str().is_some_and(|name| name.starts_with(FOLDER));
        let is_ours = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == geteuid().as_raw());
        if is_demo && is_ours && File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// One line when it plays, then a calm status line.
async fn report(status: Option<watch::Receiver<CameraStatus>>) {
    let Some(mut status) = status else { return };
    let started = clock::now();
    // It fails only when the camera's task has ended, and then there is nothing to tell.
    let _ = status.wait_for(|status| status.playlist_stored.is_some()).await;
    let after = clock::now().saturating_duration_since(started);
    say(&format!("Playable after {:.1} s: open the page.", after.as_secs_f64()));
    let mut interval = tokio::time::interval(STATUS_EVERY);
    for ticks in 0u32.. {
        interval.tick().await;
        let line = status_line(&status.borrow());
        show(&line, ticks);
    }
}

fn status_line(status: &CameraStatus) -> String {
    let newest = status.last_segment.map(|at| clock::now().saturating_duration_since(at)).unwrap_or_default();
    format!(
        "{} segments published ({:.1} MB), the newest {} s ago, {} restarts",
        status.progress.segments_published,
        status.progress.bytes_published as f64 / 1e6,
        newest.as_secs(),
        status.restarts
    )
}

fn show(line: &str, ticks: u32) {
    let mut stdout = std::io::stdout().lock();
    if stdout.is_terminal() {
        let _ = write!(stdout, "\r\x1b[K{line}");
        let _ = stdout.flush();
    } else if ticks > 0 && ticks.is_multiple_of(STATUS_LINES_EVERY) {
        let _ = writeln!(stdout, "{line}");
    }
}
