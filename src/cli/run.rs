//! `edge-agent run`: the agent until it is told to stop.

use std::time::Duration;

use super::{Failure, Outcome, RunArgs, load, start_logging};
use crate::agent::Agent;
use crate::config;
use crate::sys::signals::StopSignals;
use crate::sys::systemd;

pub(super) async fn run(args: RunArgs) -> Outcome {
    start_logging(&args.log, tracing::Level::INFO);
    let loaded = load(&args.config)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let config = loaded.config;
    let cameras = config::select(&config, &args.cameras).map_err(|e| Failure::Config(e.to_string()))?;
    let mut signals = StopSignals::listen().map_err(anyhow::Error::from)?;
    let agent = tokio::select! {
        agent = Agent::start(&config, &cameras) => agent?,
        why = signals.next() => {
            tracing::info!(why, "stopped while starting");
            return Ok(());
        }
    };
    let ids: Vec<_> = cameras.iter().map(|camera| camera.id.as_str()).collect();
    let http = agent.http_addr().map(|addr| format!("http://{addr}/"));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), cameras = ids.join(" "), http, "edge-agent started");
    systemd::ready(&format!("{} cameras", cameras.len()));
    let why = until_stopped(&agent, &mut signals, args.run_for).await;
    tracing::info!(why, "stopping");
    systemd::stopping();
    agent.stop(async { _ = signals.next().await }).await;
    tracing::info!("stopped");
    Ok(())
}

/// Waits for a signal or the end of `run_for`; meanwhile tells systemd that the agent lives.
pub(super) async fn until_stopped(
    agent: &Agent,
    signals: &mut StopSignals,
    run_for: Option<Duration>,
) -> &'static str {
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
            name = signals.next() => return name,
            () = &mut end => return "--for is over",
            () = ping => {
                if agent.is_alive() {
                    systemd::alive();
                }
            }
        }
    }
}
