//! The released binary at work in a stage's folder.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::stage::Stage;

/// Killed when dropped; its ffmpegs go with it.
pub struct AgentProcess<'a> {
    stage: &'a Stage,
    child: Child,
}

impl<'a> AgentProcess<'a> {
    /// `yaml` is its configuration.
    pub fn start(stage: &'a Stage, yaml: &str) -> anyhow::Result<Self> {
        let config = stage.path().join("cameras.yaml");
        fs::write(&config, yaml)?;
        let child = Command::new(env!("CARGO_BIN_EXE_edge-agent"))
            .arg("--config")
            .arg(&config)
            // It ends even if this benchmark is killed.
            .args(["--for", "20m"])
            // Neither this shell's accounts nor its proxies.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", stage.path())
            .env("AWS_ACCESS_KEY_ID", "bench")
            .env("AWS_SECRET_ACCESS_KEY", "bench")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stderr(File::create(stage.path().join("agent.log"))?)
            .spawn()
            .context("the agent")?;
        Ok(Self { stage, child })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.stage.path().join("agent.log")).unwrap_or_default()
    }

    pub fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the agent ended with {status}");
        Ok(())
    }
}

impl Drop for AgentProcess<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
