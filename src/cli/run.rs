//! `edge-agent run`: the agent until it is told to stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{ConfigArgs, Failure, Outcome, RunArgs, find, load_from, start_logging};
use crate::agent::{Agent, Prepared};
use crate::config::model::Camera;
use crate::config::{self, Loaded, RELOAD_FROM};
use crate::domain::ids::CameraId;
use crate::sys::signals::{Asked, Signals, is_interactive};
use crate::sys::{heap, limits, systemd};

pub(super) async fn run(args: RunArgs) -> Outcome {
    start_logging(&args.log, tracing::Level::INFO);
    if let Err(error) = limits::raise_open_files() {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    let sources = Sources { path: find(&args.config)?, config: args.config, ids: args.cameras };
    let (loaded, cameras) = sources.load(&sources.path)?;
    let mut signals = Signals::listen(!is_interactive()).map_err(anyhow::Error::from)?;
    let picked: Vec<_> = cameras.iter().collect();
    let mut agent = tokio::select! {
        agent = Agent::start(&loaded.config, &picked) => agent?,
        why = signals.stop() => {
            tracing::info!(why, "stopped while starting");
            return Ok(());
        }
    };
    agent.watch_credentials(loaded.storage);
    let http = agent.http_addr().map(|addr| format!("http://{addr}/"));
    let cameras = agent.camera_ids().join(" ");
    tracing::info!(version = env!("CARGO_PKG_VERSION"), cameras, http, "edge-agent started");
    systemd::ready(&agent.summary());
    let why = until_stopped(&mut agent, &mut signals, args.run_for, Some(sources)).await;
    tracing::info!(why, "stopping");
    systemd::stopping();
    agent.stop(async { _ = signals.stop().await }).await;
    tracing::info!("stopped");
    Ok(())
}

/// How often the line for `systemctl status` is looked at; it is sent when it changed.
const GLANCE: Duration = Duration::from_secs(2);
/// So that what a fault took for a while goes back to the system.
const TRIM: Duration = Duration::from_secs(60);

/// What the command line said: a reload reads it again.
#[derive(Debug)]
pub(super) struct Sources {
    path: PathBuf,
    config: ConfigArgs,
    ids: Vec<String>,
}

impl Sources {
    fn load(&self, content: &Path) -> Result<(Loaded, Vec<Camera>), Failure> {
        let loaded = load_from(&self.path, content, &self.config)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let cameras =
            config::select(&loaded.config, &self.ids).map_err(|e| Failure::Config(e.to_string()))?;
        let cameras = cameras.into_iter().cloned().collect();
        Ok((loaded, cameras))
    }

    fn load_again(&self) -> Result<(Loaded, Vec<Camera>), Failure> {
        let newer = std::env::var_os(RELOAD_FROM).filter(|path| !path.is_empty()).map(PathBuf::from);
        if let Some(path) = newer.as_deref().filter(|path| !path.exists()) {
            let path = path.display();
            let mend = "put the new configuration there first, as `systemctl reload` does";
            return Err(Failure::Config(format!("{path}: is not there ({RELOAD_FROM}); {mend}")));
        }
        self.load(newer.as_deref().unwrap_or(&self.path))
    }
}

/// SIGHUP, from the signal to the new configuration.
struct Reload {
    sources: Option<Arc<Sources>>,
    /// One at a time.
    preparing: JoinSet<Result<Prepared, Failure>>,
    /// Asked for again meanwhile: what is being read may be older than the file.
    again: bool,
}

impl Reload {
    fn ask(&mut self, agent: &Agent) {
        let Some(sources) = &self.sources else { return };
        if !self.preparing.is_empty() {
            self.again = true;
            return;
        }
        systemd::reloading();
        let sources = sources.clone();
        self.preparing.spawn(agent.prepare(move || sources.load_again()));
    }

    fn prepared(&mut self, agent: &mut Agent, prepared: Result<Prepared, Failure>) {
        if std::mem::take(&mut self.again) {
            return self.ask(agent);
        }
        match prepared {
            Ok(prepared) => {
                let changes = agent.apply(prepared);
                let ids = |ids: &[CameraId]| ids.iter().map(CameraId::as_str).collect::<Vec<_>>().join(" ");
                tracing::info!(
                    started = ids(&changes.start),
                    stopped = ids(&changes.stop),
                    restarted = ids(&changes.restart),
                    unchanged = changes.unchanged.len(),
                    "configuration reloaded"
                );
            }
            Err(failure) => {
                let why = match failure {
                    Failure::Config(text) => text,
                    Failure::Other(error) => error.map(|error| format!("{error:#}")).unwrap_or_default(),
                };
                for fault in why.lines() {
                    tracing::error!(fault, "the configuration can't be used");
                }
                tracing::error!("reload refused: nothing changed");
            }
        }
        systemd::ready(&agent.summary());
    }
}

/// Waits for a signal or the end of `run_for`; meanwhile reloads, and tells systemd that the agent lives.
pub(super) async fn until_stopped(
    agent: &mut Agent,
    signals: &mut Signals,
    run_for: Option<Duration>,
    sources: Option<Sources>,
) -> &'static str {
    let sources = sources.map(Arc::new);
    let mut reload = Reload { sources, preparing: JoinSet::new(), again: false };
    let mut told = agent.summary();
    let mut glance = tokio::time::interval(GLANCE);
    let mut trim = tokio::time::interval(TRIM);
    let mut watchdog = systemd::watchdog_interval().map(tokio::time::interval);
    let end = async {
        match run_for {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    loop {
        let ping = async {
            match &mut watchdog {
                Some(interval) => drop(interval.tick().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop(name) => return name,
                Asked::Reload => reload.ask(agent),
            },
            event = agent.next() => agent.handle(event),
            Some(prepared) = reload.preparing.join_next() => {
                let bug = |error| Err(Failure::Other(Some(anyhow::Error::new(error))));
                reload.prepared(agent, prepared.unwrap_or_else(bug));
            }
            () = &mut end => return "--for is over",
            _ = glance.tick() => {
                let summary = agent.summary();
                if summary != told {
                    systemd::status(&summary);
                    told = summary;
                }
            }
            _ = trim.tick() => heap::trim(),
            () = ping => {
                if agent.is_alive() {
                    systemd::alive();
                }
            }
        }
    }
}
